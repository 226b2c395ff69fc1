
# Watched tables: in force in sessions that are there already, carried by
# pg_dump, counting what replication applies, harmless without shared memory.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = incident_node(
	'watch',
	init => { allows_streaming => 'logical' },
	conf => ['max_prepared_transactions = 5']);
my $dir = $node->basedir;

my $WATCHED = q{SELECT relation, scope, inserted, updated, deleted FROM safeguard.watched
	WHERE database = current_database() ORDER BY relation COLLATE "C", scope::text COLLATE "C"};

# A session that has its plans and caches before the table is watched.
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_safe(
	q{PREPARE touch AS UPDATE point_info SET point_name = 'x' WHERE (system_id, id) = ($1, 1)});
$session->query_safe('EXECUTE touch(1)') for 1 .. 7;

my $other = $node->background_psql('postgres', on_error_stop => 0);
$other->query_safe('BEGIN');
$other->query_safe(q{SELECT safeguard.watch('point_info', 'system_id')});
is($node->safe_psql('postgres', $WATCHED), '', 'nothing before the commit');
$other->query_safe('COMMIT');
$session->query_safe('EXECUTE touch(1)');
is( $node->safe_psql('postgres', $WATCHED),
	'public.point_info|{"system_id": 1}|0|1|0',
	'a cached plan of another session counts from the commit on');
$other->query_safe(q{SELECT safeguard.unwatch('point_info')});
$session->query_safe('EXECUTE touch(1)');
is($node->safe_psql('postgres', $WATCHED), '', 'and no more after unwatch');
$other->quit;

# A session that is terminated has committed nothing.
$node->safe_psql('postgres', q{SELECT safeguard.watch('point_info', 'system_id')});
$session->query_safe('BEGIN');
$session->query_safe('EXECUTE touch(1)');
$node->safe_psql('postgres',
	q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
	WHERE state = 'idle in transaction'});
is($node->safe_psql('postgres', $WATCHED), '', 'a session that is terminated');
eval { $session->quit };

# What is prepared counts once, when it is prepared.
$node->safe_psql(
	'postgres', q{
	BEGIN;
	DELETE FROM point_info WHERE (system_id, id) = (2, 4);
	PREPARE TRANSACTION 'two'});
is( $node->safe_psql('postgres', $WATCHED),
	'public.point_info|{"system_id": 2}|0|0|1',
	'a prepared transaction');
$node->safe_psql('postgres', q{COMMIT PREPARED 'two'});
is( $node->safe_psql('postgres', $WATCHED),
	'public.point_info|{"system_id": 2}|0|0|1',
	'its commit does not count again');

# Many clients at once, some of whose work is undone: the figures agree with
# the table.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE busy (scope int, v int);
	SELECT safeguard.watch('busy', 'scope')});
$node->pgbench(
	'--no-vacuum --client=8 --jobs=2 --transactions=60 --random-seed=7',
	0, [qr/480\/480/], [qr/random seed/],
	'changes by eight clients',
	{
		'038_watch' => q{
			\set s random(1, 5)
			\set undo random(1, 3)
			BEGIN;
			INSERT INTO busy VALUES (:s, 1), (:s + 1, 1);
			SAVEPOINT a;
			UPDATE busy SET v = v + 1 WHERE ctid = (SELECT ctid FROM busy WHERE scope = :s LIMIT 1 FOR UPDATE SKIP LOCKED);
			INSERT INTO busy VALUES (:s, 2);
			SAVEPOINT b;
			INSERT INTO busy SELECT :s, 0 FROM generate_series(1, 3);
			\if :undo = 1
				ROLLBACK TO a;
			\elif :undo = 2
				ROLLBACK TO b;
			\endif
			DELETE FROM busy WHERE ctid IN (SELECT ctid FROM busy WHERE scope = :s AND v = 0 LIMIT 1 FOR UPDATE SKIP LOCKED);
			COMMIT;
		}
	});
is( $node->safe_psql(
		'postgres', q{
	SELECT count(*), count(*) FILTER (WHERE rows = counted) FROM (
		SELECT scope, count(*) AS rows FROM busy GROUP BY 1) t
	FULL JOIN (SELECT (scope->>'scope')::int AS scope, inserted - deleted AS counted FROM safeguard.watched
	WHERE relation = 'public.busy') w USING (scope)}),
	'6|6',
	'are all counted');
$node->safe_psql('postgres', 'DROP TABLE busy');

# pg_dump carries the declaration; loading the data is no change.
$node->safe_psql(
	'postgres', q{
	CREATE SCHEMA "Odd";
	CREATE TABLE "Odd"."Table" ("A" int, b text) PARTITION BY LIST ("A");
	CREATE TABLE "Odd".one PARTITION OF "Odd"."Table" FOR VALUES IN (1);
	INSERT INTO "Odd"."Table" VALUES (1, 'x');
	SELECT safeguard.watch('"Odd"."Table"', 'A', 'b');
});
my $target = PostgreSQL::Test::Cluster->new('target');
$target->init(allows_streaming => 'logical');
add_conf($target, "shared_preload_libraries = 'safeguard'");
$target->start;

my $DECLARED = q{SELECT relation, scope FROM safeguard.watches() ORDER BY relation::text COLLATE "C"};
my $ALWAYS = q{SELECT count(*), count(*) FILTER (WHERE tgenabled = 'A') FROM pg_trigger
	WHERE tgfoid = 'safeguard.watch_rows'::regproc};

sub check_restored
{
	my ($how, $database) = @_;
	is($target->safe_psql($database, $DECLARED),
		$node->safe_psql('postgres', $DECLARED), "$how: declarations");
	is($target->safe_psql($database, $ALWAYS),
		'5|5', "$how: all triggers fire always");
	is($target->safe_psql($database, $WATCHED), '', "$how: no change yet");
	$target->safe_psql($database,
		q{INSERT INTO "Odd".one VALUES (1, 'y'); DELETE FROM point_info WHERE (system_id, id) = (1, 4)});
	is( $target->safe_psql($database, $WATCHED),
		qq{"Odd"."Table"|{"A": 1, "b": "y"}|1|0|0\npublic.point_info|{"system_id": 1}|0|0|1},
		"$how: in force");
	$target->safe_psql($database, q{DELETE FROM "Odd".one WHERE b = 'y'});
	return;
}

$node->command_ok(
	[
		'pg_dump', '--no-sync', '-d', $node->connstr('postgres'),
		'-f', "$dir/plain.sql"
	],
	'pg_dump writes a script');
$target->safe_psql('postgres', 'CREATE DATABASE plain');
$target->command_ok(
	[
		'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1',
		'-d', $target->connstr('plain'),
		'-f', "$dir/plain.sql"
	],
	'the script runs without an error');
check_restored('script', 'plain');

$node->command_ok(
	[
		'pg_dump', '--no-sync', '-Fc', '-d', $node->connstr('postgres'),
		'-f', "$dir/custom.dump"
	],
	'pg_dump writes an archive');
$target->safe_psql('postgres', 'CREATE DATABASE custom');
$target->command_ok(
	[
		'pg_restore', '--exit-on-error', '-j', '2',
		'-d', $target->connstr('custom'), "$dir/custom.dump"
	],
	'pg_restore restores it');
check_restored('archive', 'custom');

# pg_restore -j may load a partition after its table's triggers: as a session
# with these two settings, whose changes of other rows count.
$target->safe_psql('custom', q{
	SET check_function_bodies = off;
	SET row_security = off;
	COPY "Odd".one FROM PROGRAM 'echo 1,late' (FORMAT csv);
	INSERT INTO "Odd"."Table" VALUES (1, 'later');
	DELETE FROM "Odd".one WHERE b = 'late'});
is( $target->safe_psql('custom', $WATCHED . q{ LIMIT 1}),
	qq{"Odd"."Table"|{"A": 1, "b": "late"}|0|0|1}, 'rows that a restore loads are no change');

# so does export_settings(), as often as it is run
my $script = $node->safe_psql('postgres', 'SELECT safeguard.export_settings()');
$target->safe_psql('custom',
	q{SELECT safeguard.unwatch(relation) FROM safeguard.watches()});
$target->safe_psql('custom', $script) for 1 .. 2;
is($target->safe_psql('custom', $DECLARED),
	$node->safe_psql('postgres', $DECLARED), 'export_settings');
is($target->safe_psql('custom', $ALWAYS), '5|5', 'export_settings: always');

# Rows that replication applies are changes like any other.
$target->safe_psql('postgres', 'CREATE DATABASE replica');
create_incident($target, 'replica');
$target->safe_psql('replica',
	q{TRUNCATE point_info, systems; SELECT safeguard.watch('point_info', 'system_id')});
$node->safe_psql('postgres',
	'CREATE PUBLICATION points FOR TABLE systems, point_info');
my $connection = $node->connstr . ' dbname=postgres';
$target->safe_psql('replica',
	qq{CREATE SUBSCRIPTION points CONNECTION '$connection' PUBLICATION points});
$target->wait_for_subscription_sync($node, 'points', 'replica');
is( $target->safe_psql('replica', $WATCHED),
	qq{public.point_info|{"system_id": 1}|4|0|0\npublic.point_info|{"system_id": 2}|3|0|0},
	'the first copy of a subscription');
$node->safe_psql('postgres',
	q{UPDATE point_info SET point_name = 'y' WHERE system_id = 1; DELETE FROM point_info WHERE system_id = 2});
$node->wait_for_catchup('points');
is( $target->safe_psql('replica', $WATCHED),
	qq{public.point_info|{"system_id": 1}|4|4|0\npublic.point_info|{"system_id": 2}|3|0|3},
	'and what it applies');
$target->safe_psql('replica', 'DROP SUBSCRIPTION points');
$target->stop;

# Whoever watches by a column of many values takes no room from others, be they
# tables of his own or of another role; after a restart all is as it was.
add_conf($node, 'safeguard.max_watched = 20');
$node->safe_psql('postgres', 'SELECT safeguard.stats_reset()');
$node->restart;
$node->safe_psql(
	'postgres', q{
	CREATE ROLE regress_sg_greedy;
	CREATE ROLE regress_sg_modest;
	CREATE SCHEMA room;
	GRANT ALL ON SCHEMA room TO regress_sg_greedy, regress_sg_modest;
	SET search_path = room;
	SET ROLE regress_sg_greedy;
	CREATE TABLE greedy (k int);
	CREATE TABLE second (k int);
	SET ROLE regress_sg_modest;
	CREATE TABLE modest (k int);
	RESET ROLE;
	SELECT safeguard.watch(t, 'k') FROM unnest('{greedy,second,modest}'::regclass[]) t;
	INSERT INTO greedy SELECT generate_series(1, 20)});
my $ROOM = q{SELECT relation, count(scope), sum(inserted) FILTER (WHERE scope IS NOT NULL), sum(inserted)
	FROM safeguard.watched GROUP BY 1 ORDER BY relation COLLATE "C"};
is($node->safe_psql('postgres', $ROOM), 'room.greedy|20|20|20', 'a table alone has all that is promised');
$node->safe_psql(
	'postgres', q{
	SET search_path = room;
	INSERT INTO greedy SELECT generate_series(21, 300);
	INSERT INTO second SELECT generate_series(1, 300);
	INSERT INTO modest SELECT generate_series(1, 5);
	INSERT INTO greedy SELECT generate_series(1, 500);
	INSERT INTO modest SELECT generate_series(6, 7)});
my $room = "room.greedy|20|40|800\nroom.modest|7|7|7\nroom.second|5|5|300";
is($node->safe_psql('postgres', $ROOM), $room, 'but leaves room to others');
$node->safe_psql(
	'postgres', q{
	SET ROLE regress_sg_greedy;
	DO $$ BEGIN
		FOR i IN 1 .. 300 LOOP
			EXECUTE format('CREATE TABLE room.many_%s (k int)', i);
			PERFORM safeguard.watch(format('room.many_%s', i));
			EXECUTE format('INSERT INTO room.many_%s VALUES (1)', i);
		END LOOP;
	END $$;
	SET ROLE regress_sg_modest;
	CREATE TABLE room.last (k int);
	SELECT safeguard.watch('room.last', 'k');
	INSERT INTO room.last VALUES (1), (2)});
is( $node->safe_psql('postgres', q{SELECT count(scope), sum(inserted) FROM safeguard.watched WHERE relation = 'room.last'}),
	'2|2', 'so do many tables of one owner');
is($node->safe_psql('postgres', 'SELECT sum(inserted) FROM safeguard.watched'),
	800 + 7 + 300 + 300 + 2, 'and no change is lost');
my $all = $node->safe_psql('postgres', $ROOM);
$node->restart;
is($node->safe_psql('postgres', $ROOM), $all, 'a restart changes nothing');

# Without shared memory nothing is counted, and nobody is kept from writing.
add_conf($node, "shared_preload_libraries = ''");
$node->restart;
$node->safe_psql('postgres',
	q{UPDATE point_info SET point_name = 'z'; TRUNCATE "Odd"."Table"});
my ($rc, $out, $err) = $node->psql(
	'postgres',
	'SELECT * FROM safeguard.watched',
	extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/ERROR:  55000:/, 'no figures without shared memory');
($rc, $out, $err) =
  $node->psql('postgres', q{SELECT safeguard.watch('systems')});
is($rc, 0, 'a table can be declared');
like($err, qr/WARNING:  changes of table "systems" are not counted yet/,
	'with a word of warning');
$node->safe_psql('postgres', q{SELECT safeguard.unwatch('systems'); DROP TABLE point_info});
$node->stop;

done_testing();
