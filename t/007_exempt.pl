
# What safeguard does not judge, although a statement like it would be
# rejected: apply workers, referential actions, the server's own statements,
# extension scripts.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = incident_node('publisher', init => { allows_streaming => 'logical' });
my $node = incident_node('subscriber', init => { allows_streaming => 'logical' });

# Logical replication: the trigger on the subscriber does what composite_key
# rejects.  Rejecting it would stop the subscription.
$publisher->safe_psql(
	'postgres', q{
	CREATE TABLE orders (id int PRIMARY KEY);
	CREATE PUBLICATION pub FOR TABLE orders;
});
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE orders (id int PRIMARY KEY);
	CREATE FUNCTION on_order() RETURNS trigger LANGUAGE plpgsql
	SET search_path = public AS
	\$\$BEGIN $BAD; RETURN NULL; END\$\$;
	CREATE TRIGGER on_order AFTER INSERT ON orders
	FOR EACH ROW EXECUTE FUNCTION on_order();
});
my ($rc, $out, $err) = $node->psql('postgres', 'INSERT INTO orders VALUES (1)');
like($err, qr/ERROR:  UPDATE matches table/, 'a session is rejected in the trigger');

$node->safe_psql('postgres',
	'ALTER TABLE orders ENABLE ALWAYS TRIGGER on_order');
$node->safe_psql('postgres', 'SELECT safeguard.findings_reset()');
$node->safe_psql('postgres',
	"CREATE SUBSCRIPTION sub CONNECTION '"
	  . $publisher->connstr . ' dbname=postgres'
	  . "' PUBLICATION pub");
$node->wait_for_subscription_sync($publisher, 'sub');
$publisher->safe_psql('postgres', 'INSERT INTO orders VALUES (1), (2)');
$publisher->wait_for_catchup('sub');
is( $node->safe_psql(
		'postgres',
		q{SELECT (SELECT count(*) FROM orders),
				 (SELECT count(*) FROM point_info WHERE point_name = 'Grid import')}),
	'2|8',
	'the apply worker applies what its trigger does');
is(figures($node), '0|0', 'and is not judged');
$node->safe_psql('postgres', 'DROP SUBSCRIPTION sub');
$publisher->stop;

# Referential actions of composite foreign keys, and of the half of one.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b));
	CREATE TABLE child (a int, b int, n int, PRIMARY KEY (a, b, n),
		FOREIGN KEY (a, b) REFERENCES parent ON UPDATE CASCADE ON DELETE CASCADE);
	CREATE TABLE loose (a int, b int, n int, PRIMARY KEY (a, n),
		FOREIGN KEY (a, b) REFERENCES parent ON UPDATE CASCADE ON DELETE SET NULL (b));
	INSERT INTO parent SELECT a, b FROM generate_series(1, 3) a, generate_series(1, 3) b;
	INSERT INTO child SELECT a, b, n FROM parent, generate_series(1, 2) n;
	INSERT INTO loose SELECT a, b, 10 * b FROM parent;
});
is($node->safe_psql('postgres', 'UPDATE parent SET b = 9 WHERE (a, b) = (1, 1); SELECT count(*) FROM child WHERE b = 9'),
	'2', 'ON UPDATE CASCADE passes');
is($node->safe_psql('postgres', 'DELETE FROM parent WHERE (a, b) = (2, 2); SELECT count(*) FROM child'),
	'16', 'ON DELETE CASCADE passes');
is($node->safe_psql('postgres', 'SELECT count(*) FROM loose WHERE b IS NULL'),
	'1', 'ON DELETE SET NULL (column) passes');

# REFRESH MATERIALIZED VIEW CONCURRENTLY deletes from its own view by ctid.
$node->safe_psql(
	'postgres', q{
	CREATE MATERIALIZED VIEW points AS SELECT * FROM point_info;
	CREATE UNIQUE INDEX points_key ON points (system_id, id);
	DELETE FROM point_info WHERE system_id = 1 AND id = 1;
	UPDATE point_info SET point_name = 'new' WHERE system_id = 1 AND id = 2;
	REFRESH MATERIALIZED VIEW CONCURRENTLY points;
});
is($node->safe_psql('postgres', 'SELECT count(*) FROM points'),
	'7', 'REFRESH MATERIALIZED VIEW CONCURRENTLY passes');
is(figures($node), '0|0', 'none of these was counted');

# An extension script is not judged; a function it made is, once it is called.
SKIP:
{
	my ($sharedir, undef) = run_command([ 'pg_config', '--sharedir' ]);
	my $extensions = "$sharedir/extension";
	skip 'cannot write to the extension folder', 4 unless -w $extensions;

	my $name = 'safeguard_test_script';
	append_to_file("$extensions/$name.control",
		"default_version = '1.0'\nrelocatable = true\n");
	append_to_file("$extensions/$name--1.0.sql",
		"UPDATE public.point_info SET point_name = 'x';\n"
		  . ($BAD =~ s/UPDATE point_info/UPDATE public.point_info/r)
		  . ";\nCREATE FUNCTION $name() RETURNS void LANGUAGE plpgsql AS\n"
		  . "\$\$BEGIN $BAD; END\$\$;\n"
		  . "CREATE FUNCTION ${name}_upsert() RETURNS void LANGUAGE sql AS\n"
		  . "'INSERT INTO public.point_info (system_id) VALUES (1) ON CONFLICT (system_id) DO NOTHING';\n");
	($rc, $out, $err) = $node->psql('postgres', "CREATE EXTENSION $name");
	is($rc, 0, 'an extension script passes') or diag $err;
	is(figures($node), '0|0', 'and is not counted');
	unlike($err, qr/WARNING/, 'and is not warned of what it creates');
	rejected_with($node, 'postgres', "SELECT $name()",
		'a function of the extension is judged when a user calls it');
	unlink "$extensions/$name.control", "$extensions/$name--1.0.sql";
}

$node->stop;

done_testing();
