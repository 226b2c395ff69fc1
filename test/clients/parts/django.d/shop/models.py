from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q


class Tenant(models.Model):
    name = models.CharField(max_length=50, unique=True)
    closed = models.BooleanField(default=False)


class Tag(models.Model):
    tenant = models.ForeignKey(Tenant, models.CASCADE)
    label = models.CharField(max_length=50)

    class Meta:
        unique_together = [('tenant', 'label')]


class Order(models.Model):
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name='orders')
    number = models.IntegerField()
    state = models.CharField(max_length=10, default='open')
    total = models.IntegerField(default=0)
    data = models.JSONField(default=dict)
    words = ArrayField(models.TextField(), default=list)
    tags = models.ManyToManyField(Tag, related_name='orders')
    marked = models.ManyToManyField(Tag, through='Mark', related_name='marked_orders')
    follows = models.ManyToManyField('self', symmetrical=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=['tenant', 'number'], name='order_number'),
                       models.CheckConstraint(check=Q(total__gte=0), name='order_total')]


class Line(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name='lines')
    no = models.IntegerField()
    item = models.CharField(max_length=50)
    amount = models.IntegerField()

    class Meta:
        unique_together = [('order', 'no')]


class Note(models.Model):
    order = models.ForeignKey(Order, models.SET_NULL, null=True)
    text = models.TextField()


class Mark(models.Model):
    order = models.ForeignKey(Order, models.CASCADE)
    tag = models.ForeignKey(Tag, models.CASCADE)
    kind = models.CharField(max_length=10, default='plain')

    class Meta:
        unique_together = [('order', 'tag')]


class Rush(Order):
    by = models.DateField()


class Booking(models.Model):
    room = models.IntegerField()
    first = models.IntegerField()
    last = models.IntegerField()
    cancelled = models.BooleanField(default=False)

    class Meta:
        constraints = [ExclusionConstraint(
            name='booking_overlap', condition=Q(cancelled=False),
            expressions=[(Func(F('room'), F('room'), function='int4range', template="int4range(room, room, '[]')"),
                          RangeOperators.EQUAL),
                         (Func(F('first'), F('last'), function='int4range'), RangeOperators.OVERLAPS)])]


# tables that Django did not make: their keys have two columns, of which this
# version of Django can be told one only
class System(models.Model):
    id = models.IntegerField(primary_key=True)
    vendor = models.TextField()

    class Meta:
        managed = False
        db_table = 'system'


class Point(models.Model):
    system = models.ForeignKey(System, models.DO_NOTHING)
    id = models.IntegerField(primary_key=True)
    name = models.TextField(null=True)
    value = models.IntegerField(null=True)

    class Meta:
        managed = False
        db_table = 'point'


class Reading(models.Model):
    system = models.ForeignKey(System, models.DO_NOTHING)
    point_id = models.IntegerField()
    at = models.DateTimeField(primary_key=True)
    value = models.IntegerField()

    class Meta:
        managed = False
        db_table = 'reading'


class Canary(models.Model):
    system = models.ForeignKey(System, models.DO_NOTHING)
    id = models.IntegerField(primary_key=True)
    name = models.TextField(null=True)

    class Meta:
        managed = False
        db_table = 'canary'
