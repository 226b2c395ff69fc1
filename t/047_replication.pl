
# Replication with every rule at error: logical replication both ways, where
# no apply worker ever stops; a slot in a transaction that safeguard has looked
# at; a standby with figures of its own, and as the next primary.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @strict = (
	(map { "safeguard.$_ = error" } qw(composite_key composite_key_doubt conflict_target upsert_overwrite
		  unqualified_dml row_limit outer_reference unlinked_from constraint_bypass destructive_ddl
		  lock_timeout scope conflict_silent)),
	'safeguard.large_table = 0',
	'safeguard.temp_tables = on',
	'safeguard.true_is_unqualified = on',
	'safeguard.max_rows = 5');

# what a session has to do to be allowed what it means
my $allowed = 'SET safeguard.max_level = record; SET safeguard.max_rows = 0;';

sub strict_node
{
	my ($name) = @_;
	return incident_node(
		$name,
		init => { allows_streaming => 'logical' },
		conf => [ @strict, 'max_worker_processes = 20', "wal_receiver_status_interval = '1s'" ]);
}

my $east = strict_node('east');
my $west = strict_node('west');

is($east->safe_psql('postgres', q{SELECT string_agg(rule, ' ') FROM safeguard.rules WHERE level <> 'error'}),
	'conflict_target', 'all rules are at error that can be');

# ---------------------------------------------------------------------------
# Logical replication, both ways
# ---------------------------------------------------------------------------

# Each publishes two tables that the other has, too: one with rows to copy.
# One column is a scope, one table is watched.
for my $node ($east, $west)
{
	$node->safe_psql(
		'postgres', "$allowed" . q{
		CREATE TABLE east_readings (meter_id int, id int, value int, PRIMARY KEY (meter_id, id));
		CREATE TABLE west_readings (meter_id int, id int, value int, PRIMARY KEY (meter_id, id));
		CREATE TABLE east_full (a int, b int);
		ALTER TABLE east_full REPLICA IDENTITY FULL;
		SELECT safeguard.set_column('east_readings', 'meter_id', 'scope');
		SELECT safeguard.set_column('west_readings', 'meter_id', 'scope');
		SELECT safeguard.watch('west_readings', 'meter_id');
		CREATE TABLE log (what text);
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			DELETE FROM public.log;
			INSERT INTO public.log SELECT TG_OP FROM generate_series(1, 10);
			UPDATE public.log SET what = what || '!';
			RETURN NULL;
		END $$;
		CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON east_readings
			FOR EACH ROW EXECUTE FUNCTION note();
		ALTER TABLE east_readings ENABLE ALWAYS TRIGGER note});
}
$east->safe_psql('postgres', $allowed . q{
	INSERT INTO east_readings SELECT m, r, 0 FROM generate_series(1, 3) m, generate_series(1, 20) r;
	CREATE PUBLICATION east FOR TABLE east_readings, east_full});
$west->safe_psql('postgres', $allowed . q{
	INSERT INTO west_readings SELECT m, r, 0 FROM generate_series(1, 3) m, generate_series(1, 20) r;
	CREATE PUBLICATION west FOR TABLE west_readings WHERE (meter_id < 3)});
$west->safe_psql('postgres', "CREATE SUBSCRIPTION from_east CONNECTION '" . $east->connstr . " dbname=postgres' PUBLICATION east");
$east->safe_psql('postgres', "CREATE SUBSCRIPTION from_west CONNECTION '" . $west->connstr . " dbname=postgres' PUBLICATION west");
$west->wait_for_subscription_sync($east, 'from_east');
$east->wait_for_subscription_sync($west, 'from_west');
is($west->safe_psql('postgres', 'SELECT count(*) FROM east_readings'), '60', 'rows are copied to the west');
is($east->safe_psql('postgres', 'SELECT count(*) FROM west_readings'), '40', 'and to the east');

# what the rules would reject in a session is applied row by row
$east->safe_psql('postgres', $allowed . q{
	UPDATE east_readings SET value = 1;
	UPDATE east_readings SET value = 2 WHERE id IN (SELECT id FROM east_readings WHERE meter_id = 1);
	INSERT INTO east_readings VALUES (1, 1, 9) ON CONFLICT (meter_id, id) DO UPDATE SET value = excluded.value;
	DELETE FROM east_readings WHERE meter_id = 3;
	INSERT INTO east_full SELECT n, n FROM generate_series(1, 50) n;
	UPDATE east_full SET b = b + 1;
	DELETE FROM east_full WHERE a > 40});
$west->safe_psql('postgres', $allowed . q{
	UPDATE west_readings SET value = 3;
	UPDATE west_readings SET meter_id = 9 WHERE meter_id = 2 AND id < 5;
	BEGIN;
	SAVEPOINT a;
	DELETE FROM west_readings WHERE meter_id = 1 AND id < 10;
	ROLLBACK TO a;
	UPDATE west_readings SET value = 4 WHERE meter_id = 1;
	COMMIT});
$east->wait_for_catchup('from_east');
$west->wait_for_catchup('from_west');

my $sums = 'SELECT count(*), sum(value), sum(id) FROM';
is( $west->safe_psql('postgres', "$sums east_readings"),
	$east->safe_psql('postgres', "$sums east_readings"),
	'changes of the east are applied in the west');
is( $west->safe_psql('postgres', 'SELECT count(*), sum(b) FROM east_full'),
	'40|860', 'also those of a table without a key');
is( $east->safe_psql('postgres', "$sums west_readings"),
	$west->safe_psql('postgres', "$sums west_readings WHERE meter_id < 3"),
	'changes of the west are applied in the east');
is($west->safe_psql('postgres', 'SELECT count(*), min(what) FROM log'), '10|DELETE!',
	'a trigger that fires always does its work there');

# TRUNCATE of tables that hold data
$east->safe_psql('postgres', $allowed . 'TRUNCATE east_readings, east_full');
$east->wait_for_catchup('from_east');
is($west->safe_psql('postgres', 'SELECT (SELECT count(*) FROM east_readings) + (SELECT count(*) FROM east_full)'),
	'0', 'TRUNCATE is applied');

for my $node ($east, $west)
{
	my $name = $node->name;
	is($node->safe_psql('postgres', 'SELECT sum(apply_error_count + sync_error_count) FROM pg_stat_subscription_stats'),
		'0', "$name: no worker has failed");
	is($node->safe_psql('postgres', q{SELECT value FROM safeguard.status() WHERE item = 'unjudged'}),
		'0', "$name: nothing went unjudged");
	unlike(slurp_file($node->logfile), qr/ERROR:  .*|PANIC/, "$name: no error in the log");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM safeguard.findings WHERE application LIKE 'from\_%' OR application LIKE 'pg\_%sync%'}),
		'0', "$name: what is applied is not found");
}
rejected_with($west, 'postgres', $BAD, 'a session is judged as ever');

# ---------------------------------------------------------------------------
# A slot
# ---------------------------------------------------------------------------

# refused in a transaction that has written: so nothing here has
my ($rc, $out, $err) = $east->psql(
	'postgres', q{
	SET safeguard.max_level = warning;
	BEGIN;
	UPDATE east_readings SET value = 1;
	SELECT count(*) FROM safeguard.findings;
	SELECT count(*) FROM safeguard.check('UPDATE east_readings SET value = 1');
	SELECT pg_current_xact_id_if_assigned() IS NULL;
	SELECT slot_name FROM pg_create_logical_replication_slot('here', 'pgoutput');
	COMMIT;
	SET safeguard.max_level = record;
	INSERT INTO east_readings VALUES (1, 1, 1);
	SELECT count(*) > 0 FROM pg_logical_slot_get_binary_changes('here', NULL, NULL,
		'proto_version', '1', 'publication_names', 'east');
	SELECT pg_drop_replication_slot('here')});
like($err, qr/WARNING:  UPDATE of table "east_readings" has no WHERE clause/, 'a statement is found');
is($rc, 0, 'and a slot made in the same transaction') or diag $err;
like($out, qr/\nt\nhere\nt\n?/, 'which has given no transaction identifier, and sends changes');

# ---------------------------------------------------------------------------
# A standby
# ---------------------------------------------------------------------------

$west->stop;
$east->safe_psql('postgres', 'ALTER SUBSCRIPTION from_west DISABLE');
$east->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($east, 'base', has_streaming => 1);
add_conf($standby, "safeguard.sample_interval = '1s'");
$standby->start;
$east->wait_for_catchup($standby);

rejected_with($east, 'postgres', $BAD, 'a finding on the primary');
is(figures($standby), '0|0', 'is none of the standby, which has begun with no figures');
$standby->psql('postgres', "SELECT 1 / 0 AS of_the_standby");
my $failed = q{SELECT sum(errors) FROM safeguard.query_stats WHERE query LIKE '%of_the_standby%'};
is($standby->safe_psql('postgres', $failed), '1', 'a statement that fails there is counted there');
is($east->safe_psql('postgres', $failed), '', 'and not on the primary');
ok( $standby->poll_query_until('postgres', 'SELECT count(*) > 0 FROM safeguard.pool_history'),
	'the pool is sampled there');
for my $sql (
	q{SELECT safeguard.set_level('point_info', 'scope', 'off')},
	q{SELECT safeguard.set_column('point_info', 'id', 'identity')},
	q{SELECT safeguard.migrate('1', 'CREATE TABLE one (a int)')},
	q{SELECT safeguard.migration_begin('1')},
	q{SELECT safeguard.watch('point_info', 'system_id')})
{
	(undef, undef, $err) = $standby->psql('postgres', $sql);
	like($err, qr/ERROR:  .*cannot execute (?:safeguard\.\w+\(\)|CREATE TRIGGER) (?:during recovery|in a read-only transaction)/, "refused there: $sql");
}
is($standby->safe_psql('postgres', q{SELECT value FROM safeguard.status() WHERE item = 'collector'}),
	'running', 'figures are saved there');

$east->wait_for_catchup($standby);
$east->stop;
$standby->restart;
is($standby->safe_psql('postgres', $failed), '1', 'and survive a restart');
$standby->promote;
rejected_with($standby, 'postgres', $BAD, 'rejected after promotion');
(undef, undef, $err) = $standby->psql('postgres', 'UPDATE west_readings SET value = 5 WHERE id = 1');
like($err, qr/ERROR:  .*"meter_id"/, 'by a column that was declared on the old primary, too');
is(figures($standby), '1|1', 'counted by the new primary');
is($standby->safe_psql('postgres', $failed), '1', 'which goes on with its own figures');
is($standby->safe_psql('postgres', q{SELECT safeguard.migrate('1', 'CREATE TABLE one (a int)')}), 'applied',
	'migrations run there');
unlike(slurp_file($standby->logfile), qr/PANIC:|TRAP:|terminated by signal/, 'no process died');
$standby->stop;

done_testing();
