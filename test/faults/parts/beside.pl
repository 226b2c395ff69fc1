
# Hooks in other kinds of sessions, and while others change what they rely on:
# the extension goes beside a migration and beside cached plans, the library
# comes in the middle of a session, an apply worker fails and tries again, a
# standby, a single user.

use strict;
use warnings FATAL => 'all';

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use Test::More;

my $node = incident_node('beside',
	conf => [ 'wal_level = logical', 'max_prepared_transactions = 5', "deadlock_timeout = '100ms'",
		'safeguard.max_rows = 1000', 'safeguard.track_queries = all', 'compute_query_id = on' ],
	init => { allows_streaming => 'logical' });
my $TABLES = q{
	CREATE TABLE load (k int PRIMARY KEY, v int CHECK (v < 100));
	CREATE FUNCTION write(n int) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		BEGIN
			INSERT INTO public.load SELECT g, n FROM generate_series(1, 60) g ON CONFLICT (k) DO UPDATE SET v = excluded.v;
		EXCEPTION WHEN check_violation THEN
			INSERT INTO public.load VALUES (0, 1) ON CONFLICT (k) DO UPDATE SET v = load.v + 1;
		END;
	END$$;};
$node->safe_psql('postgres', $TABLES);

sub guarded
{
	my ($on, $what) = @_;
	my ($rc, $out, $err) = $on->psql('postgres', $BAD);
	like($err, qr/ERROR:  UPDATE matches table "point_info"/, $what);
	return;
}

sub client
{
	my ($on) = @_;
	return Protocol->connect(host => $on->host, port => $on->port, dbname => 'postgres',
		user => $on->safe_psql('postgres', 'SELECT current_user'), application => 'a_client');
}

# What a statement of this session says: the SQLSTATE of its error, or its tag.
sub says
{
	my ($session, $sql) = @_;
	my $answer = $session->query($sql);
	return $answer->{error} ? $answer->{error}{C} : $answer->{tag};
}

# ---------------------------------------------------------------- a portal run in pieces

my $session = client($node);
$session->query('BEGIN');
$session->prepare(up => 'WITH w AS (INSERT INTO load SELECT g, 1 FROM generate_series(1, 60) g
	ON CONFLICT (k) DO UPDATE SET v = excluded.v RETURNING k) SELECT k FROM w');
sub fetch
{
	my ($portal, $rows) = @_;
	my $answer = $session->say(E => "$portal\0" . pack('N', $rows))->say(H => '')->say(S => '')->answer;
	return $answer->{error} ? $answer->{error}{C} : scalar @{ $answer->{rows} };
}
$session->say(B => "one\0up\0" . pack('n n n', 0, 0, 0));
is(fetch('one', 7), 7, 'seven rows of an upsert are fetched');
$session->query('SAVEPOINT a');
is(says($session, 'SELECT write(200)'), 'SELECT 1', 'an upsert in between, which fails inside');
$session->say(B => "two\0up\0" . pack('n n n', 0, 0, 0));
is(fetch('two', 5), 5, 'five of the same, beside');
$session->query('SET LOCAL safeguard.max_rows_session = 5');
is(says($session, 'UPDATE load SET v = 2'), 'SG005', 'a statement beside them that changes too much');
$session->query('ROLLBACK TO a');
is(fetch('two', 5), '34000', 'the portal of what is rolled back is gone');
$session->query('ROLLBACK TO a');
is(fetch('one', 100), 53, 'the first goes on');
is(says($session, 'COMMIT'), 'COMMIT', 'and is committed');
is($session->rows('SELECT count(*), max(v) FROM load'), '60|1', 'as it was meant');
is($session->rows(q{SELECT sum(statements), sum(proposed), sum(inserted), sum(replaced) FROM safeguard.upsert_stats WHERE relation::regclass::text = 'load'}),
	'3|121|61|60', 'each that was executed to its end is counted once');

# ---------------------------------------------------------------- limits, cursors, exceptions and triggers together

$session->query(q{
	CREATE TABLE fired (n int);
	CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$
	DECLARE r record; seen int := 0;
	BEGIN
		BEGIN
			FOR r IN INSERT INTO load SELECT g, NEW.n FROM generate_series(1, 60) g
				ON CONFLICT (k) DO UPDATE SET v = excluded.v RETURNING k
			LOOP
				seen := seen + 1;
				IF seen = 20 THEN PERFORM 1 / NEW.n; END IF;
				EXIT WHEN seen = 40;
			END LOOP;
		EXCEPTION WHEN division_by_zero THEN PERFORM write(200);
		END;
		RETURN NULL;
	END$$;
	CREATE TRIGGER fire AFTER INSERT OR UPDATE ON fired FOR EACH ROW EXECUTE FUNCTION fire();
	INSERT INTO fired SELECT g FROM generate_series(0, 3) g;
	CREATE FUNCTION piecemeal() RETURNS text LANGUAGE plpgsql AS $$
	DECLARE c refcursor := 'c'; said text := '';
	BEGIN
		FOR i IN 1 .. 3 LOOP
			BEGIN
				UPDATE fired SET n = n;
				IF i = 2 THEN RAISE EXCEPTION USING ERRCODE = 'P0099'; END IF;
				UPDATE point_info SET point_name = 'x' WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 2);
			EXCEPTION WHEN OTHERS THEN said := said || sqlstate || ' ';
			END;
		END LOOP;
		RETURN said;
	END$$});
$session->query('SET safeguard.max_rows_session = 3');
is($session->rows('SELECT piecemeal()'), 'SG001 P0099 SG001 ', 'rejections and errors, caught in turn');
is(says($session, 'UPDATE fired SET n = 3'), 'SG005', 'a limit, with a trigger that upserts in a cursor');
is(says($session, 'UPDATE fired SET n = 3 WHERE n > 0'), 'UPDATE 3', 'what the trigger writes is not counted');
is(says($session, q{WITH w AS (UPDATE fired SET n = 0 WHERE n = 3 RETURNING n) INSERT INTO fired SELECT n FROM w}),
	'INSERT 0 3', 'nor rows that are inserted');
is($session->rows('SELECT v FROM load WHERE k = 0') > 1, 1, 'it has done its work');

# ---------------------------------------------------------------- two-phase commit

$session->query('SET safeguard.max_rows_session = 5; SET lock_timeout = 0');
for my $end ('COMMIT', 'ROLLBACK')
{
	my $label = lc "two_$end";
	$session->query('TRUNCATE fired; INSERT INTO fired VALUES (1), (2), (3); DROP TRIGGER IF EXISTS fire ON fired');
	$session->query(qq{BEGIN; SELECT safeguard.keep_rows('$label', 'fired'); SELECT safeguard.watch('fired', 'n');
		SELECT safeguard.set_level('fired', 'unqualified_dml', 'error');
		SELECT safeguard.migrate('$label', 'UPDATE fired SET n = n + 10 WHERE n < 3');
		SELECT write(3); SELECT write(300)});
	is(says($session, "PREPARE TRANSACTION '$label'"), 'PREPARE TRANSACTION', "$end: prepared with all that is attached");
	$session->query(q{SET lock_timeout = '50ms'});
	is(says($session, 'SELECT write(5)'), '55P03', 'what is written waits for it');
	$session->query('SET lock_timeout = 0');
	$session->query('DISCARD ALL');
	is(says($session, "$end PREPARED '$label'"), "$end PREPARED", "$end PREPARED");
	is($session->rows('SELECT string_agg(n::text, $$ $$ ORDER BY n) FROM fired'), $end eq 'COMMIT' ? '3 11 12' : '1 2 3', 'its rows');
	is(says($session, 'UPDATE fired SET n = n'), $end eq 'COMMIT' ? 'SG004' : 'UPDATE 3', 'its level');
	is($session->rows("SELECT coalesce(sum(rows), 0) FROM safeguard.kept_rows WHERE label = '$label'"), $end eq 'COMMIT' ? '2' : '0', 'what it keeps');
	is($session->rows(q{SELECT count(DISTINCT relation) FROM safeguard.watched WHERE relation::text ~ 'fired'}), $end eq 'COMMIT' ? '1' : '0', 'what it watches');
	is($session->rows("SELECT safeguard.schema_version()"), 'two_commit', 'its migration');
	$session->query(q{SELECT safeguard.unwatch('fired'); SELECT safeguard.clear_level('fired', 'unqualified_dml')}) if $end eq 'COMMIT';
}
guarded($node, 'guarded as before');

# ---------------------------------------------------------------- the extension goes

# beside a migration and open transactions with cached plans
$session->query('SET plan_cache_mode = force_generic_plan');
$session->query("PREPARE bad AS $BAD");
$session->query('PREPARE up AS INSERT INTO load VALUES (1, 1) ON CONFLICT (k) DO UPDATE SET v = excluded.v');
is(says($session, 'EXECUTE bad'), 'SG001', 'a cached plan');
my $migrating = client($node);
$migrating->say(Q => "SELECT safeguard.migrate('beside', 'CREATE TABLE made (a int); SELECT pg_sleep(1); INSERT INTO made VALUES (1)')\0");
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM safeguard.migrations_running}) or die;
my $dropping = client($node);
$dropping->say(Q => "SET client_min_messages = error; DROP EXTENSION safeguard CASCADE\0");
is($migrating->answer->{error}{C} // 'none', 'none', 'a migration beside DROP EXTENSION ends well');
is($dropping->answer->{error}{C} // 'none', 'none', 'and so does DROP EXTENSION');
is($session->rows('SELECT count(*) FROM made'), '1', 'what it has made is there');
is(says($session, 'EXECUTE bad'), 'SG001', 'rules act without the extension');
is(says($session, 'EXECUTE up'), 'INSERT 0 1', 'upserts run');
is(says($session, 'DELETE FROM load WHERE k > 0'), 'DELETE 60', 'and deletions');
is(says($session, 'SELECT write(200)'), 'SELECT 1', 'and what fails inside');
$dropping->query('CREATE EXTENSION safeguard');
is(says($session, 'EXECUTE bad'), 'SG001', 'and again when it is made anew');
is($session->rows(q{SELECT count(*) FROM safeguard.rules}) > 5, 1, 'whose functions are there for sessions that knew the old ones');

# dropped in the transaction that uses it, all the way to the end
is(says($session, q{BEGIN; SELECT safeguard.set_level('point_info', 'composite_key', 'off')}), 'SELECT 1', 'an exception');
is(says($session, 'EXECUTE bad'), 'UPDATE 8', 'holds');
$session->query('SET LOCAL client_min_messages = error; SAVEPOINT a; DROP EXTENSION safeguard CASCADE');
is(says($session, 'EXECUTE bad'), 'SG001', 'and goes with the extension');
$session->query('ROLLBACK TO a');
is(says($session, 'EXECUTE bad'), 'UPDATE 8', 'and comes back with it');
$session->query('ROLLBACK');
is(says($session, 'EXECUTE bad'), 'SG001', 'and was never committed');
$_->disconnect for $migrating, $dropping;

# a key goes between PREPARE and EXECUTE, in this transaction and in others
$session->query('DEALLOCATE ALL; BEGIN; SAVEPOINT a; ALTER TABLE load DROP CONSTRAINT load_pkey');
$session->prepare(late => 'INSERT INTO load VALUES (2, 2) ON CONFLICT (k) DO UPDATE SET v = excluded.v');
is($session->execute('late')->{error}{C} // 'none', '42P10', 'no key when it is executed');
$session->query('ROLLBACK TO a');
is($session->execute('late')->{error}{C} // 'none', 'none', 'the same statement, when the key is back');
$session->query('ROLLBACK');
$session->disconnect;

# ---------------------------------------------------------------- logical decoding, and an apply worker that fails

$node->safe_psql('postgres', 'CREATE DATABASE sub; CREATE TABLE sent (k int PRIMARY KEY, v int); CREATE PUBLICATION p FOR TABLE sent');
create_incident($node, 'sub');
my $slot = q{SELECT pg_create_logical_replication_slot('%s', 'pgoutput')};
$node->safe_psql('postgres', sprintf($slot, $_)) for qw(s decoded);
$node->safe_psql('sub', "$TABLES " . q{
	CREATE TABLE sent (k int PRIMARY KEY, v int);
	CREATE FUNCTION apply() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM public.write(NEW.v);
		INSERT INTO public.load VALUES (100 + NEW.k, NEW.v) ON CONFLICT (k) DO UPDATE SET v = excluded.v;
		UPDATE public.point_info SET point_name = 'x' WHERE id IN (SELECT p.id FROM public.point_info p WHERE p.system_id = 2);
		RETURN NEW;
	END$$;
	CREATE TRIGGER apply BEFORE INSERT OR UPDATE ON sent FOR EACH ROW EXECUTE FUNCTION apply();
	ALTER TABLE sent ENABLE ALWAYS TRIGGER apply});
$node->safe_psql('sub', sprintf(
	q{CREATE SUBSCRIPTION s CONNECTION '%s dbname=postgres' PUBLICATION p WITH (create_slot = false, copy_data = false)}, $node->connstr));
my $failed = q{SELECT apply_error_count >= %d FROM pg_stat_subscription_stats};
$node->safe_psql('postgres', 'INSERT INTO sent VALUES (1, 1)');
$node->wait_for_catchup('s');
$node->safe_psql('postgres', 'INSERT INTO sent VALUES (2, 200)');
ok($node->poll_query_until('sub', sprintf($failed, 1)), 'an apply worker fails in a trigger that upserts');
$node->safe_psql('sub', 'ALTER TABLE load DROP CONSTRAINT load_v_check');
$node->wait_for_catchup('s');
is($node->safe_psql('sub', 'SELECT count(*), max(v) FROM load'), '62|200', 'and goes on when the cause is gone');
is($node->safe_psql('sub', q{SELECT count(*) FROM point_info WHERE point_name = 'x'}), '8', 'what it executes is not judged');
is($node->safe_psql('postgres', q{SELECT count(*) >= 6 FROM pg_logical_slot_get_binary_changes('decoded', NULL, NULL, 'proto_version', '1', 'publication_names', 'p')}),
	't', 'the changes can be decoded');
$node->safe_psql('sub', 'DROP SUBSCRIPTION s');

# ---------------------------------------------------------------- a standby

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('beside_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
add_conf($standby, "max_standby_streaming_delay = '100ms'");
$standby->start;
$node->wait_for_catchup($standby);
my $reading = client($standby);
is(says($reading, 'SELECT write(1)'), '25006', 'an upsert on a standby');
is(says($reading, 'EXPLAIN UPDATE load SET v = 1'), 'EXPLAIN', 'EXPLAIN');
$reading->query("PREPARE bad AS $BAD");
is(says($reading, 'EXPLAIN EXECUTE bad'), 'EXPLAIN', 'a plan is cached');
$reading->query('BEGIN; DECLARE c CURSOR FOR SELECT * FROM load');
$reading->query('FETCH 5 FROM c');
$node->safe_psql('postgres', 'SET client_min_messages = error; DROP EXTENSION safeguard CASCADE; DROP TABLE load; VACUUM FULL point_info');
$node->wait_for_catchup($standby);
my $went = says($reading, 'FETCH 5 FROM c');
like($went, qr/^(?:40001|57P01|FETCH 5)$/, 'a cursor in conflict with recovery');
$reading = client($standby);
$reading->query("PREPARE bad AS $BAD");
my $explained = $reading->query('EXPLAIN EXECUTE bad');
like($explained->{notices}[0]{M} // '', qr/^UPDATE matches table "point_info"/, 'a plan there, when the extension is gone');
is(says($reading, 'EXECUTE bad'), '25006', 'executed') or diag explain $explained;
$standby->promote;
guarded($standby, 'guarded when promoted without the extension');
$standby->stop;
unlike(slurp_file($standby->logfile), qr/PANIC:|TRAP:|terminated by signal/, 'nothing crashed there');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC:|TRAP:|terminated by signal|reference leak|refcount leak|not closed|problem in alloc/, 'nothing crashed or leaked');

# ---------------------------------------------------------------- LOAD in the middle

my $late = PostgreSQL::Test::Cluster->new('beside_late');
$late->init;
add_conf($late, 'max_prepared_transactions = 5');
$late->start;
create_incident($late, 'postgres');
$late->safe_psql('postgres', "$TABLES " . q{
	INSERT INTO load SELECT g, 0 FROM generate_series(1, 60) g;
	CREATE FUNCTION load(n int) RETURNS int LANGUAGE plpgsql AS $$BEGIN IF n = 3 THEN LOAD 'safeguard'; END IF; RETURN n; END$$});
$session = client($late);
$session->query('SET plan_cache_mode = force_generic_plan');
$session->query("PREPARE bad AS $BAD");
is(says($session, "BEGIN; EXECUTE bad"), 'UPDATE 8', 'not guarded yet');
$session->query('ROLLBACK; BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT k FROM load ORDER BY k; DECLARE d CURSOR FOR SELECT k FROM load');
$session->query('FETCH 3 FROM c; FETCH 3 FROM d');
# while a statement that was started without it is running, with its CTE, upsert and cursors
is($session->rows(q{WITH w AS (INSERT INTO load SELECT load(g), g FROM generate_series(1, 60) g
	ON CONFLICT (k) DO UPDATE SET v = excluded.v RETURNING k) SELECT count(*) FROM w}), '60', 'LOAD inside of an upsert');
is(scalar @{ $session->query('FETCH 100 FROM d')->{rows} }, 57, 'a cursor from before');
is(says($session, 'EXECUTE bad'), 'SG001', 'a plan from before is judged in the same transaction');
is(says($session, 'ROLLBACK'), 'ROLLBACK', 'rolled back');
is(says($session, 'EXECUTE bad'), 'SG001', 'and in the next');
$session->query('SET safeguard.max_rows_session = 5');
is(says($session, 'UPDATE load SET v = 1'), 'SG005', 'limits hold');
is(says($session, q{BEGIN; SELECT write(1); SELECT write(200); PREPARE TRANSACTION 'late'}), 'PREPARE TRANSACTION', 'two-phase');
is(says($session, q{COMMIT PREPARED 'late'}), 'COMMIT PREPARED', 'commit');
is(says($session, 'SELECT * FROM safeguard.findings'), '55000', 'figures need shared memory');
is(says($session, 'DISCARD ALL'), 'DISCARD ALL', 'DISCARD ALL');
is(says($session, "PREPARE bad AS $BAD; EXECUTE bad"), 'SG001', 'after it');
is(says($session, $BAD), 'SG001', 'and at once');
$session->disconnect;
is($late->safe_psql('postgres', 'SELECT v FROM load WHERE k = 0'), '1', 'all has been written');
$late->stop;
unlike(slurp_file($late->logfile), qr/PANIC:|TRAP:|terminated by signal|reference leak|refcount leak|not closed|problem in alloc/, 'nothing crashed or leaked');

# ---------------------------------------------------------------- a single user

# Returns what the server says, with safeguard preloaded or by LOAD
sub single
{
	my ($on, @sql) = @_;
	my ($out, $err) = ('', '');
	my $in = join '', map { s/\s+/ /gr . "\n" } @sql;
	IPC::Run::run([ 'postgres', '--single', '-D', $on->data_dir, 'postgres' ], '<', \$in, '>', \$out, '2>', \$err)
	  or diag $err;
	return "$out\n$err";
}
add_conf($late, "shared_preload_libraries = 'safeguard'");
for my $way ('preloaded', 'loaded')
{
	add_conf($late, "shared_preload_libraries = ''") if $way eq 'loaded';
	my $said = single($late, "LOAD 'safeguard'", $BAD, 'SELECT write(2)', 'SELECT write(200)', 'SELECT max(v) AS highest FROM load WHERE k > 0',
		'SET safeguard.max_rows_session = 3', 'UPDATE load SET v = 9',
		"SELECT safeguard.migrate('$way', 'CREATE TABLE by_$way (a int)') AS done", 'SELECT status FROM safeguard.health()',
		'SELECT safeguard.check_key($$load$$, $$k$$)', 'DROP EXTENSION safeguard CASCADE', 'CREATE EXTENSION safeguard', 'VACUUM load', $BAD);

	is(() = $said =~ /ERROR:  UPDATE matches table "point_info"/g, 2, "$way: a single user is guarded");
	like($said, qr/ERROR:  UPDATE changes more than 3 rows/, "$way: and limited");
	like($said, qr/highest = "2"/, "$way: upserts, and errors inside");
	like($said, qr/done = "applied"/, "$way: migrations");
	unlike($said, qr/PANIC|TRAP|FATAL|leak|WARNING:  (?!session|safeguard)/, "$way: nothing else is said") or diag $said;
}
$late->start;
is($late->safe_psql('postgres', 'SELECT count(*) FROM by_loaded'), '0', 'a server of many again');
$late->stop;
done_testing();
