
# Errors, and all that is odd, inside of the hooks: nothing of ours is left
# attached to what is gone, and statements mean what they mean without safeguard.

use strict;
use warnings FATAL => 'all';

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = incident_node('hooks',
	conf => [
		'max_prepared_transactions = 5', 'autovacuum_naptime = 1s', 'wal_level = logical',
		'compute_query_id = on', 'safeguard.track_queries = all', 'safeguard.max_rows = 1000',
		'min_parallel_table_scan_size = 0', 'parallel_setup_cost = 0', 'parallel_tuple_cost = 0',
		map { "safeguard.$_ = record" } qw(unqualified_dml unlinked_from destructive_ddl lock_timeout
		  upsert_overwrite conflict_silent constraint_bypass conflict_target) ],
	init => { allows_streaming => 'logical' });

$node->safe_psql(
	'postgres', q{
	CREATE TABLE load (k int PRIMARY KEY, v int CHECK (v < 100));
	CREATE TABLE big AS SELECT g AS a, g % 7 AS b FROM generate_series(1, 20000) g;
	CREATE TABLE log (n int);
});

# each is run twice in one session, and then something that must be stopped
my $n = 0;
sub runs
{
	my ($what, $sql, $expected) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "$sql;\n$sql;\n", on_error_stop => 0);
	my ($again, $ignored, $said) = $node->psql('postgres', "SET client_min_messages = warning;\n$sql;\n$BAD;", on_error_stop => 0);

	is($out, defined $expected ? "$expected\n$expected" : $out, "$what: as it must be") or diag $err;
	like($said, qr/ERROR:  UPDATE matches table "point_info"/, "$what: and the session is still guarded");
	return $err;
}

runs('an exception block around an upsert that fails', q{
	TRUNCATE load, log;
	DO $$BEGIN
		FOR i IN 1 .. 5 LOOP
			BEGIN
				INSERT INTO load SELECT g, CASE WHEN g = 50 AND i % 2 = 0 THEN 200 ELSE i END FROM generate_series(1, 60) g
				ON CONFLICT (k) DO UPDATE SET v = excluded.v;
			EXCEPTION WHEN check_violation THEN INSERT INTO log VALUES (i);
			END;
		END LOOP;
	END$$;
	SELECT count(*), max(v), (SELECT count(*) FROM log) FROM load}, '60|5|2');
runs('an exception block around a row limit', q{
	TRUNCATE load;
	INSERT INTO load SELECT g, 1 FROM generate_series(1, 60) g;
	BEGIN;
	SET LOCAL safeguard.max_rows_session = 10;
	SAVEPOINT a;
	UPDATE load SET v = 2;
	ROLLBACK TO a;
	UPDATE load SET v = 3 WHERE k <= 10;
	SAVEPOINT b;
	UPDATE load SET v = 4;
	ROLLBACK TO b;
	COMMIT;
	SELECT sum(v) FROM load}, '80');
runs('a cursor held over the commit, read in pieces', q{
	BEGIN;
	DECLARE c CURSOR WITH HOLD FOR WITH w AS (INSERT INTO log VALUES (1) RETURNING n) SELECT 1;
	ROLLBACK;
	BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT a FROM big ORDER BY a; FETCH 3 FROM c; COMMIT;
	FETCH 2 FROM c; MOVE 10 FROM c; CLOSE c}, "1\n2\n3\n4\n5");
runs('RETURNING, taken by a cursor in pieces, with an upsert', q{
	TRUNCATE load;
	DO $$
	DECLARE r record; n int := 0;
	BEGIN
		FOR r IN INSERT INTO load SELECT g, 1 FROM generate_series(1, 200) g ON CONFLICT (k) DO UPDATE SET v = 2 RETURNING k LOOP
			n := n + 1;
			EXIT WHEN n = 3;
		END LOOP;
	END$$;
	SELECT count(*) FROM load}, '200');
runs('recursion of triggers and functions that write', q{
	DROP TABLE IF EXISTS deep; CREATE TABLE deep (n int PRIMARY KEY, x int);
	CREATE OR REPLACE FUNCTION down() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN IF NEW.n < 50 THEN INSERT INTO deep VALUES (NEW.n + 1, 0) ON CONFLICT (n) DO UPDATE SET x = deep.x + 1; END IF; RETURN NULL; END$$;
	CREATE TRIGGER down AFTER INSERT ON deep FOR EACH ROW EXECUTE FUNCTION down();
	INSERT INTO deep VALUES (1, 0);
	SELECT count(*) FROM deep}, '50');
runs('deferred constraints that write and fail at commit', q{
	DROP TABLE IF EXISTS late; CREATE TABLE late (n int);
	CREATE OR REPLACE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN INSERT INTO load VALUES (NEW.n, NEW.n) ON CONFLICT (k) DO UPDATE SET v = excluded.v; RETURN NULL; END$$;
	CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
	BEGIN; INSERT INTO late VALUES (500); COMMIT;
	BEGIN; INSERT INTO late VALUES (50); COMMIT;
	SELECT count(*) FROM late}, '1');
runs('two-phase commit', q{
	TRUNCATE load;
	BEGIN; INSERT INTO load VALUES (1, 1) ON CONFLICT (k) DO UPDATE SET v = 2; PREPARE TRANSACTION 'a';
	COMMIT PREPARED 'a';
	BEGIN; INSERT INTO load VALUES (1, 1) ON CONFLICT (k) DO UPDATE SET v = 2; PREPARE TRANSACTION 'b';
	ROLLBACK PREPARED 'b';
	SELECT * FROM load}, '1|1');
runs('parallel query', q{
	SET debug_parallel_query = on; SET force_parallel_mode = on;
	SELECT count(*), sum(b) FROM big WHERE a IN (SELECT a FROM big WHERE b = 3);
	DROP TABLE IF EXISTS made; CREATE TABLE made AS SELECT b, count(*) FROM big GROUP BY b;
	UPDATE load SET v = 5 WHERE k IN (SELECT a FROM big WHERE b = 1)}, '2857|8571');
runs('DISCARD ALL, plans and all', qq{
	PREPARE p AS INSERT INTO load VALUES (3, 3) ON CONFLICT (k) DO UPDATE SET v = load.v; EXECUTE p;
	DISCARD ALL; PREPARE p AS SELECT 7; EXECUTE p; DISCARD PLANS; EXECUTE p; DEALLOCATE ALL}, "7\n7");
runs('a table with exceptions is dropped and made again', q{
	DROP TABLE IF EXISTS again; CREATE TABLE again (a int, b int, PRIMARY KEY (a, b));
	SELECT safeguard.set_level('again', 'composite_key', 'off'), safeguard.set_column('again', 'a', 'scope'), safeguard.watch('again', 'a');
	INSERT INTO again VALUES (1, 1);
	PREPARE q AS UPDATE again SET b = 2 WHERE a = 1; EXECUTE q;
	DROP TABLE again; CREATE TABLE again (a int, b int, PRIMARY KEY (a, b));
	INSERT INTO again VALUES (1, 1);
	UPDATE again SET b = 3 WHERE b = 1; EXECUTE q;
	DEALLOCATE q;
	SELECT * FROM again;
	SELECT count(*) FROM safeguard.watched WHERE relation ~ 'again'}, "||\n1|2\n0");
runs('COPY FROM into a table whose trigger upserts, and fails', q{
	TRUNCATE load; DROP TABLE IF EXISTS source; CREATE TABLE source (n int);
	CREATE OR REPLACE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN INSERT INTO load VALUES (NEW.n, NEW.n) ON CONFLICT (k) DO UPDATE SET v = excluded.v; RETURN NEW; END$$;
	CREATE TRIGGER t BEFORE INSERT ON source FOR EACH ROW EXECUTE FUNCTION late();
	COPY source FROM PROGRAM 'seq 1 60';
	COPY source FROM PROGRAM 'seq 90 110';
	SELECT count(*) FROM source}, '60');
runs('an error in the output of rows', q{
	SELECT a, 1 / (a - 10) FROM big WHERE a <= 10;
	WITH w AS (INSERT INTO load VALUES (70, 1) ON CONFLICT (k) DO UPDATE SET v = 2 RETURNING v) SELECT 1 / (v - v) FROM w;
	SELECT count(*) FROM load WHERE k = 70}, '0');
runs('DROP EXTENSION while it is loaded', q{
	BEGIN; SET LOCAL client_min_messages = warning; DROP EXTENSION safeguard CASCADE; CREATE EXTENSION safeguard; ROLLBACK;
	SELECT count(*) > 5 FROM safeguard.rules}, 't');

# ---------------------------------------------------------------- keys that change beside cached plans

my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_safe(q{
	CREATE TABLE changing (a int, b int, c int, PRIMARY KEY (a, b));
	CREATE TABLE from_them (a int, b int, c int, PRIMARY KEY (a, b));
	INSERT INTO changing SELECT g, g, g FROM generate_series(1, 5) g;
	INSERT INTO from_them SELECT * FROM changing;
	SET plan_cache_mode = force_generic_plan;
	PREPARE p AS UPDATE changing SET c = 0 WHERE b IN (SELECT f.b FROM from_them f WHERE f.a = 3);
	PREPARE u AS INSERT INTO changing VALUES (1, 1, 1) ON CONFLICT (a, b) DO UPDATE SET c = excluded.c;});
sub executes
{
	my ($name, $expected, $what) = @_;
	$session->{stderr} = '';
	$session->query("EXECUTE $name");
	like($session->{stderr}, $expected, $what);
	return;
}
executes('p', qr/composite|by part of its key/, 'a cached plan is stopped');
for my $change (
	[ 'CREATE UNIQUE INDEX only_b ON changing (b)', 'p', qr/^(?!.*ERROR)/s, 'a key that makes it right' ],
	[ 'DROP INDEX only_b', 'p', qr/by part of its key/, 'and its end' ],
	[ 'ALTER TABLE changing DROP CONSTRAINT changing_pkey', 'u', qr/there is no unique or exclusion constraint/, 'the key of an upsert goes' ],
	[ 'ALTER TABLE changing ADD PRIMARY KEY (a, b)', 'u', qr/^(?!.*ERROR)/s, 'and comes back' ],
	[ 'ALTER TABLE changing ALTER c TYPE bigint', 'u', qr/^(?!.*ERROR)/s, 'a type changes' ],
	[ 'ALTER TABLE changing RENAME b TO d', 'p', qr/column "b" does not exist|ERROR/, 'a column is renamed' ],
	[ 'DROP TABLE from_them', 'p', qr/does not exist/, 'a table goes' ])
{
	my ($sql, $plan, $expected, $what) = @$change;
	$node->safe_psql('postgres', $sql);
	executes($plan, $expected, $what);
}
eval { $session->quit };

# ---------------------------------------------------------------- other processes

$node->safe_psql('postgres', q{
	SELECT pg_create_logical_replication_slot('s', 'test_decoding');
	INSERT INTO load VALUES (80, 1) ON CONFLICT (k) DO UPDATE SET v = 2;
	UPDATE load SET v = 3 WHERE k = 80;
	DELETE FROM load WHERE k = 80}) if $node->psql('postgres', q{SELECT pg_create_logical_replication_slot('t', 'pgoutput')}) == 0 && -e $node->config_data('--pkglibdir') . '/test_decoding.so';
$node->safe_psql('postgres', 'ALTER TABLE big SET (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0); UPDATE big SET b = 1 WHERE a < 500');
$node->poll_query_until('postgres', q{SELECT autovacuum_count > 0 FROM pg_stat_user_tables WHERE relname = 'big'});
pass('autovacuum works');

is($node->safe_psql('postgres', q{SELECT value FROM safeguard.status() WHERE item = 'unjudged'}), '0', 'nothing went unjudged');
is($node->safe_psql('postgres', q{SELECT count(*) FROM safeguard.upsert_stats WHERE proposed <> inserted + replaced + skipped}), '0', 'sums of upserts agree');
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC:|TRAP:|terminated by signal|reference leak|refcount leak|not closed|problem in alloc/, 'nothing crashed or leaked');
done_testing();
