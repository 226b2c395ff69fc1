"""A later migration: columns, constraints and the data for them."""

from django.conf import settings
from django.db import migrations, models
from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import Concat


def fill(apps, schema_editor):
    Line, Order = apps.get_model('shop', 'Line'), apps.get_model('shop', 'Order')
    Line.objects.filter(tenant=None).update(
        tenant=Subquery(Order.objects.filter(pk=OuterRef('order')).values('tenant')[:1]))
    Order.objects.filter(code='').update(code=Concat(models.Value('#'), F('number'), output_field=models.TextField()))


def allow(apps, schema_editor):
    # the first step of the way back, in the transaction of the migration
    schema_editor.execute(f'SET LOCAL safeguard.destructive_ddl = {settings.ALLOWED}')


class Migration(migrations.Migration):
    dependencies = [('shop', '0001_initial')]
    operations = [
        migrations.AddField('Line', 'tenant', models.ForeignKey('shop.Tenant', models.CASCADE, null=True)),
        migrations.AddField('Order', 'code', models.CharField(max_length=20, default='')),
        migrations.RunPython(fill, migrations.RunPython.noop),
        # Django cannot alter a table whose foreign keys still have to be checked
        migrations.RunSQL('SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED', ''),
        migrations.AlterField('Line', 'tenant', models.ForeignKey('shop.Tenant', models.CASCADE)),
        migrations.AlterField('Line', 'amount', models.BigIntegerField()),
        migrations.AlterUniqueTogether('Line', [('tenant', 'order', 'no')]),
        migrations.AddIndex('Order', models.Index(fields=['tenant', 'state'], name='order_state')),
        migrations.AddConstraint('Order', models.UniqueConstraint(fields=['tenant', 'code'], name='order_code')),
        migrations.RemoveConstraint('Order', 'order_total'),
        migrations.RenameField('Note', 'text', 'body'),
        migrations.RunPython(migrations.RunPython.noop, allow),
    ]
