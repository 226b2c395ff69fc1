
# Figures of statements: what counts as one, what fails in which phase, who
# sees what, and that nothing is counted twice or where it was not asked for.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Figures;
use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use Test::More;

my $node = figures_node('queries');

# Runs what fails, and tests with which message.
sub fails
{
	my ($sql, $message, $what) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql, on_error_stop => 0);
	like($err, $message, $what);
	return;
}

sub client
{
	return Protocol->connect(
		host => $node->host,
		port => $node->port,
		user => (getpwuid $<)[0],
		dbname => 'postgres');
}

# Bind of text parameters, Execute of so many rows at most, Sync
sub fetch
{
	my ($client, $name, $rows, $again) = @_;
	$client->say(B => "p\0$name\0" . pack('n n n', 0, 0, 0)) if !$again;
	return $client->say(E => "p\0" . pack('N', $rows));
}

# ---------------- what counts ----------------

$node->safe_psql(
	'postgres', q{
	SELECT count(*) FROM t WHERE id > 3;
	SELECT count(*)  FROM t /* other values */ WHERE id > 4;
	INSERT INTO t VALUES (101, 1), (102, 2);
	UPDATE t SET v = 7 WHERE id > 90;
	WITH d AS (DELETE FROM t WHERE id > 100 RETURNING id) SELECT count(*) FROM d;
	SELECT id FROM t WHERE v > 50 ORDER BY 1 \; SELECT id FROM t WHERE v > 60 ORDER BY 1;
});
is(figures_of('SELECT count(*) FROM t WHERE id > $1'), '2|0|2',
	'a statement counts whatever its values, comments and layout');
is(figures_of('INSERT INTO t VALUES ($1, $2), ($3, $4)'), '1|0|2', 'INSERT');
is(figures_of('UPDATE t SET v = $1 WHERE id > $2'), '1|0|12', 'UPDATE');
is(figures_of('WITH d AS (DELETE FROM t WHERE id > $1 RETURNING id) SELECT count(*) FROM d'),
	'1|0|1', 'a data-modifying CTE');
is(figures_of('SELECT id FROM t WHERE v > $1 ORDER BY $2', 'sum(calls)'), '2',
	'two statements in one message');
is($node->safe_psql('postgres',
		q{SELECT count(*) FROM safeguard.query_stats WHERE query ~ '(102|other values|90)'}),
	'0', 'no constant and no comment is kept');
is($node->safe_psql('postgres',
		q{SELECT count(*) FROM safeguard.query_stats
		   WHERE queryid IS NULL OR calls < 1 OR total_ms < max_ms OR max_ms < p95_ms
		      OR avg_ms > max_ms OR last_executed_at > now()}),
	'0', 'the figures agree');
my $first = figures_of('SELECT count(*) FROM t WHERE id > $1', 'last_executed_at');
$node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE id > 5');
isnt(figures_of('SELECT count(*) FROM t WHERE id > $1', 'last_executed_at'),
	$first, 'last_executed_at moves');

# ---------------- what runs inside ----------------

reset_figures();
$node->safe_psql(
	'postgres', q{
	SELECT inner_query();
	SELECT sql_inner();
	CALL steps();
	DO $$ BEGIN PERFORM count(*) FROM t WHERE v > 7; END $$;
	INSERT INTO fires VALUES (1), (2);
	EXPLAIN (ANALYZE) SELECT count(*) FROM t WHERE v > 8;
	EXPLAIN SELECT count(*) FROM t WHERE v > 9;
	CREATE TABLE copied AS SELECT id FROM t WHERE v > 10;
	COPY (SELECT id FROM t WHERE v > 11) TO '/dev/null';
	PREPARE p AS SELECT id FROM t WHERE v = $1;
	EXECUTE p(1);
	EXECUTE p(2);
	EXPLAIN (ANALYZE) EXECUTE p(3);
	DEALLOCATE p;
});
is(figures_of($_), '1|0|' . (/^SELECT/ ? 1 : /INSERT/ ? 2 : 0), "counts once: $_")
  for 'SELECT inner_query()', 'SELECT sql_inner()', 'CALL steps()', 'DO $1',
  'INSERT INTO fires VALUES ($1), ($2)',
  'EXPLAIN (ANALYZE) SELECT count(*) FROM t WHERE v > $1',
  'EXPLAIN SELECT count(*) FROM t WHERE v > $1',
  'EXPLAIN (ANALYZE) EXECUTE p($1)';
like(figures_of('CREATE TABLE copied AS SELECT id FROM t WHERE v > $1'), qr/^1\|0\|\d\d$/,
	'CREATE TABLE AS');
like(figures_of('COPY (SELECT id FROM t WHERE v > $1) TO $2'), qr/^1\|0\|\d\d$/,
	'COPY of a query');
is(figures_of('PREPARE p AS SELECT id FROM t WHERE v = $1', 'sum(calls)'), '2',
	'EXECUTE counts as what was prepared');
is($node->safe_psql('postgres',
		q{SELECT coalesce(string_agg(query, E'\n'), '') FROM safeguard.query_stats
		   WHERE query IN ('SELECT count(*) FROM t WHERE v > $1', 'UPDATE t SET v = v WHERE id = $1',
		   'SELECT id FROM t WHERE v > $1') OR query ~ '^(EXECUTE|DEALLOCATE|SELECT count.* FROM systems)'}),
	'', 'and nothing of what they run');

# cursors: a call, however often it is fetched from
reset_figures();
$node->safe_psql(
	'postgres', q{
	BEGIN;
	DECLARE one CURSOR FOR SELECT id FROM t WHERE v < 500 ORDER BY id;
	FETCH 5 FROM one;
	FETCH 5 FROM one;
	MOVE 5 IN one;
	CLOSE one;
	DECLARE two CURSOR FOR SELECT id FROM t WHERE v < 501 ORDER BY v;
	FETCH ALL FROM two;
	DECLARE three SCROLL CURSOR FOR SELECT v FROM t ORDER BY v;
	FETCH 3 FROM three;
	COMMIT;
	DECLARE four CURSOR WITH HOLD FOR SELECT v FROM t WHERE id < 12;
	FETCH 3 FROM four;
	CLOSE four;
	BEGIN;
	DECLARE six CURSOR WITH HOLD FOR SELECT v FROM t WHERE id < 12 ORDER BY v;
	FETCH 3 FROM six;
	COMMIT;
	BEGIN;
	DECLARE seven NO SCROLL CURSOR WITH HOLD FOR SELECT v FROM t WHERE id < 12 ORDER BY id;
	FETCH 3 FROM seven;
	COMMIT;
});
is(figures_of('DECLARE one CURSOR FOR SELECT id FROM t WHERE v < $1 ORDER BY id'),
	'1|0|15', 'a cursor is one call');
is(figures_of('DECLARE two CURSOR FOR SELECT id FROM t WHERE v < $1 ORDER BY v'),
	'1|0|100', 'so is one that is fetched at once');
is(figures_of('DECLARE three SCROLL CURSOR FOR SELECT v FROM t ORDER BY v'),
	'1|0|3', 'and one that COMMIT closes');
is(figures_of('DECLARE four CURSOR WITH HOLD FOR SELECT v FROM t WHERE id < $1'),
	'1|0|11', 'and one that outlives its transaction');
is(figures_of('DECLARE six CURSOR WITH HOLD FOR SELECT v FROM t WHERE id < $1 ORDER BY v'),
	'1|0|11', 'whose rows the server takes from the first one on');
is(figures_of('DECLARE seven NO SCROLL CURSOR WITH HOLD FOR SELECT v FROM t WHERE id < $1 ORDER BY id'),
	'1|0|11', 'or where it stands');
$node->psql('postgres', q{
	BEGIN;
	DECLARE five CURSOR FOR SELECT 1 / (50 - id) FROM t ORDER BY id;
	FETCH 10 FROM five;
	FETCH 100 FROM five;
	ROLLBACK}, on_error_stop => 0);
is(figures_of('DECLARE five CURSOR FOR SELECT $1 / ($2 - id) FROM t ORDER BY id'),
	'1|1|10', 'and one that fails when it is fetched from');
is($node->safe_psql('postgres',
		q{SELECT count(*) FROM safeguard.query_stats WHERE query ~ '^(FETCH|MOVE)'}),
	'0', 'FETCH does not count');
reset_figures();
{
	my $client = client();
	$client->prepare('many', 'SELECT id FROM t WHERE id <= 20 ORDER BY id');
	$client->query('BEGIN');
	fetch($client, 'many', 8);
	fetch($client, 'many', 8, 1);
	fetch($client, 'many', 8, 1)->say(S => '')->answer;
	$client->query('COMMIT');
	$client->disconnect;
}
is(figures_of('SELECT id FROM t WHERE id <= $1 ORDER BY id'), '1|0|20',
	'a statement that is fetched by pieces is one call');

# ---------------- errors, phase by phase ----------------

reset_figures();
fails('SELEC 1 FROM t', qr/syntax error/, 'parse');
fails(q{SELECT 'unterminated}, qr/unterminated/, 'scan');
fails('SELECT nothing FROM t WHERE id = 1', qr/does not exist/, 'analyse');
fails('SELECT 1 / 0 FROM t', qr/division by zero/, 'plan');
fails('SELECT 1 / (v - v) FROM t WHERE id > 1', qr/division by zero/, 'execute');
fails('SET ROLE regress_sg_one; DELETE FROM t WHERE id = 1', qr/permission denied/,
	'privileges');
fails('INSERT INTO t VALUES (1, 1)', qr/duplicate key/, 'a violation');
fails('INSERT INTO c VALUES (1, 5000)', qr/violates foreign key/, 'at the commit of one statement');
fails(q{BEGIN; INSERT INTO c VALUES (2, 5000); COMMIT}, qr/violates foreign key/, 'at COMMIT');
fails(q{SET statement_timeout = 500; SELECT pg_sleep(100)}, qr/statement timeout/, 'timeout');
fails('VACUUM nowhere', qr/does not exist/, 'a utility command');
fails(q{DO $$ BEGIN RAISE EXCEPTION 'no'; END $$}, qr/no/, 'DO');

is(figures_of('SELEC $1 FROM t', 'calls, errors, queryid'), '1|1|', 'parse: counted');
is($node->safe_psql('postgres',
		'SELECT calls, errors FROM safeguard.query_stats WHERE query IS NULL'),
	'1|1', 'scan: counted without a text');
is(figures_of('SELECT nothing FROM t WHERE id = $1'), '1|1|0', 'analyse: counted');
is(figures_of('SELECT $1 / $2 FROM t'), '1|1|0', 'plan: counted');
is(figures_of('SELECT $1 / (v - v) FROM t WHERE id > $2'), '1|1|0', 'execute: counted');
is(figures_of('DELETE FROM t WHERE id = $1', 'role, calls, errors'),
	'regress_sg_one|1|1', 'privileges: counted for the role that runs it');
is(figures_of('INSERT INTO t VALUES ($1, $2)'), '1|1|0', 'a violation: counted');
is(figures_of('INSERT INTO c VALUES ($1, $2)'), '2|1|2',
	'an error at the commit of one statement is its own');
is(figures_of('COMMIT', 'sum(calls), sum(errors)'), '1|1', 'that at COMMIT is that of COMMIT');
is(figures_of('SELECT pg_sleep($1)', 'calls, errors, max_ms > 0'),
	'1|1|t', 'timeout: counted with its time');
is(figures_of('VACUUM nowhere'), '1|1|0', 'a utility command: counted');
is(figures_of('DO $1'), '1|1|0', 'DO: counted');

# the right one of several in a message
reset_figures();
fails('SELECT 11 \; SELECT nothing FROM t; ', qr/does not exist/, 'the second of two');
fails('SELECT v FROM t WHERE id = 1 \; SELECT 1 / 0 \; SELECT id FROM t', qr/division/,
	'the second of three');
is(figures_of('SELECT $1'), '1|0|1', 'the first went well');
is(figures_of('SELECT nothing FROM t'), '1|1|0', 'the second failed in analysis');
is(figures_of('SELECT v FROM t WHERE id = $1'), '1|0|1', 'the first of three went well');
is(figures_of('SELECT $1 / $2'), '1|1|0', 'the second failed');
is(figures_of('SELECT id FROM t'), '||', 'and the third was not reached');

# EXECUTE has a place in the message, what it executes another text
reset_figures();
fails(q{PREPARE q AS SELECT id FROM t WHERE v = $1 \; EXECUTE q(1) \; EXECUTE q(2 / 0)},
	qr/division by zero/, 'a parameter of EXECUTE');
fails(q{PREPARE r AS SELECT 1 / (id - $1) FROM t WHERE id = 7 \; EXECUTE r(1) \; EXECUTE r(7) \; SELECT 15},
	qr/division by zero/, 'what EXECUTE executes');
fails(q{PREPARE s AS INSERT INTO c VALUES ($1, 5000) \; EXECUTE s(8)}, qr/violates foreign key/,
	'at the commit of EXECUTE');
is(figures_of('EXECUTE q($1 / $2)'), '1|1|0', 'is an error of EXECUTE');
is(figures_of('PREPARE q AS SELECT id FROM t WHERE v = $1', 'sum(calls), sum(errors)'),
	'1|0', 'and not of what was prepared');
is(figures_of('PREPARE r AS SELECT $2 / (id - $1) FROM t WHERE id = $3', 'sum(calls), sum(errors)'),
	'2|1', 'is an error of what was prepared');
is(figures_of('PREPARE s AS INSERT INTO c VALUES ($1, $2)', 'sum(calls), sum(errors)'),
	'1|1', 'so is one at its commit');

# its text is gone when its commit fails
reset_figures();
{
	my $long = 'y' x 34_000_000;	# memory that is given back at once
	my $client = client();
	$client->query('PREPARE u AS INSERT INTO c VALUES ($1, 5000)');
	$client->query("PREPARE w AS INSERT INTO c (t, id) VALUES (5000, \$1) /* $long */");
	like($client->query('EXECUTE u(9)')->{error}{M}, qr/violates foreign key/,
		'at the commit of EXECUTE, which was counted');
	$client->query(q{SET safeguard.track_queries = 'slow'});
	like($client->query('EXECUTE w(9)')->{error}{M}, qr/violates foreign key/,
		'and when it was not');
	$client->query('RESET safeguard.track_queries');
	$client->prepare('x', 'INSERT INTO c SELECT $1, 5000 FROM t WHERE id = 1');
	my $nine = pack('n n N a n', 0, 1, 1, '9', 0);
	$client->say(B => "p\0x\0$nine")->say(E => "p\0" . pack('N', 0))->say(B => "q\0x\0$nine");
	like($client->say(C => "Sx\0")->say(S => '')->answer->{error}{M}, qr/violates foreign key/,
		'at Sync, when what was bound is no longer prepared');
	is($client->query('SELECT 1')->{error}, undef, 'the server is there');
	$client->disconnect;
}
is($node->safe_psql('postgres',
		q{SELECT string_agg(format('%s %s', coalesce(query, '-'), errors), '|' ORDER BY query, errors)
		    FROM safeguard.query_stats WHERE errors > 0}),
	'INSERT INTO c SELECT $1, $2 FROM t WHERE id = $3 1|PREPARE u AS INSERT INTO c VALUES ($1, $2) 1|- 1',
	'each error has the right text or none');

# what fails inside is an error of what the client has sent, and of its role
reset_figures();
$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION fails_inside() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
		$$ BEGIN RETURN (SELECT 16 / (v - v) FROM t WHERE id = 1); END $$;
	CREATE FUNCTION misspelt() RETURNS int LANGUAGE plpgsql AS
		$$ BEGIN RETURN (SELECT nothing FROM t); END $$});
fails('SET ROLE regress_sg_one; SELECT fails_inside()', qr/division by zero/, 'inside');
fails('SELECT misspelt()', qr/does not exist/, 'inside, in analysis');
is(figures_of('SELECT fails_inside()', 'role, calls, errors'), 'regress_sg_one|1|1',
	'an error inside of a function of another role');
is(figures_of('SELECT misspelt()'), '1|1|0', 'an error in the analysis of what is inside');
is($node->safe_psql('postgres', 'SELECT sum(errors) FROM safeguard.query_stats'), '2',
	'and of nothing else');

# what the log does not get is not seen, and does no harm
reset_figures();
fails(q{SET log_min_messages = 'panic'; SELECT 1 / (id - id) FROM t; SELECT count(*) FROM c;
	RESET log_min_messages; SELECT 1 / (v - v) FROM t}, qr/division by zero/, 'not in the log');
is(figures_of('SELECT $1 / (id - id) FROM t'), '||', 'an error that the log does not get');
is(figures_of('SELECT count(*) FROM c'), '1|0|1', 'the next statement');
is(figures_of('SELECT $1 / (v - v) FROM t'), '1|1|0', 'and the next error');

# a statement that fails in a block, and what is sent to the failed block
reset_figures();
fails('BEGIN; SELECT 1 / (id - id) FROM t; SELECT 12; SELEC; ROLLBACK; SELECT 13 AS a',
	qr/current transaction is aborted/, 'a failed block');
is(figures_of('SELECT $1 / (id - id) FROM t'), '1|1|0', 'what failed it is counted');
is(figures_of('SELECT $1 AS a'), '1|0|1', 'and what comes after it');
is($node->safe_psql('postgres',
		q{SELECT sum(errors) FROM safeguard.query_stats}),
	'1', 'but not what the block refuses');
$node->psql('postgres',
	'BEGIN; SAVEPOINT s; SELECT 1 / (v - v) FROM t; ROLLBACK TO s; SELECT count(*) FROM c; COMMIT',
	on_error_stop => 0);
is(figures_of('SELECT $1 / (v - v) FROM t'), '1|1|0', 'an error in a subtransaction');
is(figures_of('SELECT count(*) FROM c'), '1|0|1', 'and what comes after it');

# an error that the statement itself deals with is none
reset_figures();
$node->safe_psql(
	'postgres', q{
	DO $$ BEGIN
		FOR i IN 1..3 LOOP
			BEGIN
				INSERT INTO t VALUES (1, 1);
			EXCEPTION WHEN unique_violation THEN NULL;
			END;
		END LOOP;
	END $$});
is(figures_of('DO $1'), '1|0|0', 'a caught error is no error of the statement');
is($node->safe_psql('postgres',
		q{SELECT relation, constraint_name, kind, count FROM safeguard.constraint_violations}),
	'public.t|t_pkey|unique|3', 'but the violations count');

# where statements are not counted, violations are: also those that no statement inside of it
# has raised, with parameters, and after an error
reset_figures();
$node->safe_psql(
	'postgres', q{
	CREATE DOMAIN positive AS int CHECK (VALUE > 0);
	CREATE FUNCTION catches(a int) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE p positive;
	BEGIN
		BEGIN
			p := a;
		EXCEPTION WHEN check_violation THEN NULL;
		END;
		BEGIN
			INSERT INTO t VALUES (1, 1);
		EXCEPTION WHEN unique_violation THEN NULL;
		END;
		RETURN a;
	END $$});
{
	my $client = client();
	$client->query(q{SET safeguard.track_queries = 'off'});
	$client->query($_) for 'SELECT catches(-1)', 'SELECT 1 / 0', 'SELECT catches(-1)', 'BEGIN', 'SELECT 1 / 0',
	  'SELECT 1', 'ROLLBACK', 'SELECT catches(-1)', 'UPDATE t SET v = catches(-1) WHERE id = 2';
	$client->prepare('c', 'SELECT catches($1::int)');
	$client->execute('c', '-1') for 1 .. 7;
	$client->execute('c', 'x');
	$client->execute('c', '-1');
	$client->query('INSERT INTO t VALUES (1, 1)');
	$client->disconnect;
}
is($node->safe_psql('postgres',
		q{SELECT constraint_name, count FROM safeguard.constraint_violations ORDER BY 1}),
	join("\n", 'positive_check|12', 't_pkey|13'), 'they count where statements do not');
is(figures_of('SELECT catches(-$1)', 'count(*)'), '0', 'which do not');

# all kinds of violations, and no more than there is room for
reset_figures();
$node->safe_psql(
	'postgres', q{
	CREATE TABLE kinds (a int NOT NULL, b int CHECK (b > 0), c int UNIQUE DEFERRABLE INITIALLY DEFERRED,
		d int4range, EXCLUDE USING gist (d WITH &&))});
fails("INSERT INTO kinds VALUES $_", qr/violates/, "violation: $_")
  for '(NULL, 1)', '(1, 0)', '(1, 1, 1), (1, 1, 1)', q{(1, 1, 1, '[1,3]'), (1, 1, 2, '[2,5]')};
fails('COPY kinds FROM STDIN;' . "\nx\n\\.\n", qr/invalid input/, 'no violation');
fails('COPY kinds FROM STDIN (FORMAT csv);' . "\n,1,1,\n\\.\n", qr/violates/, 'violation of COPY');
is($node->safe_psql('postgres',
		q{SELECT constraint_name, kind, count FROM safeguard.constraint_violations ORDER BY kind}),
	join("\n", 'kinds_b_check|check|1', 'kinds_d_excl|exclusion|1', '|not null|2', 'kinds_c_key|unique|1'),
	'violations by kind')
  if $node->safe_psql('postgres', 'SHOW server_version_num') < 180000;
# what a function raises may name anything, and violates nothing
my $KINDS = 'SELECT count(*) FROM safeguard.constraint_violations';
my $kinds = $node->safe_psql('postgres', $KINDS);
fails(q{DO $$ BEGIN RAISE unique_violation USING TABLE = 'made up', CONSTRAINT = 'too'; END $$},
	qr/unique_violation/, 'a violation that is none');
is($node->safe_psql('postgres', $KINDS), $kinds, 'and does not count');
$node->safe_psql(
	'postgres', q{
	CREATE TABLE many (a int);
	DO $$ BEGIN
		EXECUTE 'ALTER TABLE many ' || (SELECT string_agg(format('ADD CONSTRAINT c%s CHECK (a <> %s)', i, i), ', ')
			FROM generate_series(1, 1100) i);
	END $$;
	DO $$ BEGIN
		FOR i IN 1..1100 LOOP
			BEGIN
				INSERT INTO many VALUES (i);
			EXCEPTION WHEN check_violation THEN NULL;
			END;
		END LOOP;
	END $$});
is($node->safe_psql('postgres', $KINDS),
	'1000', 'there is room for so many');

# extended protocol: Bind, Execute, Sync
reset_figures();
{
	my $client = client();
	$client->prepare('by_id', 'SELECT v FROM t WHERE id = $1');
	$client->execute('by_id', 1) for 1 .. 7;
	my $answer = $client->execute('by_id', 'x');
	like($answer->{error}{M}, qr/invalid input syntax/, 'Bind fails');
	$client->prepare('later', 'INSERT INTO c VALUES ($1, 5000)');
	$answer = $client->execute('later', 3);
	like($answer->{error}{M}, qr/violates foreign key/, 'Sync fails');
	$answer = $client->prepare('wrong', 'SELECT nothing FROM c');
	like($answer->{error}{M}, qr/does not exist/, 'Parse fails');
	$answer = $client->execute('missing');
	like($answer->{error}{M}, qr/prepared statement "missing" does not exist/,
		'nothing to execute');
	$client->disconnect;
}
is(figures_of('SELECT v FROM t WHERE id = $1'), '8|1|7', 'Bind: the same statement');
is(figures_of('INSERT INTO c VALUES ($1, $2)'), '1|1|1', 'Sync: counted');
is(figures_of('SELECT nothing FROM c'), '1|1|0', 'Parse: counted');

# A commit that fails after all has been executed: the call counts, too, where
# it was passed over as fast.
for my $mode ([ 'all', 'on' ], [ 'slow', 'on' ], [ 'slow', 'off' ])
{
	my $client = client();
	my $nine = pack('n n N a n', 0, 1, 1, '9', 0);
	my $failed = "violates foreign key";

	reset_figures();
	$client->query("SET compute_query_id = $mode->[1]; SET plan_cache_mode = force_generic_plan");
	$client->query("SET safeguard.track_queries = '$mode->[0]'");
	like($client->query('INSERT INTO c VALUES (9, 5000)')->{error}{M}, qr/$failed/, "commit of one: @$mode");
	$client->query($_) for 'BEGIN', 'INSERT INTO c VALUES (9, 5000)';
	like($client->query('COMMIT')->{error}{M}, qr/$failed/, 'COMMIT');
	$client->prepare('ext', 'INSERT INTO c (id, t) VALUES ($1, 5000)');
	$client->prepare('fine', 'SELECT v FROM t WHERE id = $1');
	$client->execute('fine', 9);
	like($client->execute('ext', 9)->{error}{M}, qr/$failed/, 'Sync');
	$client->say(B => "p\0ext\0$nine")->say(E => "p\0" . pack('N', 0));
	like($client->say(B => "\0fine\0$nine")->say(S => '')->answer->{error}{M}, qr/$failed/,
		'Sync after a Bind that plans nothing');
	$client->prepare('end', 'COMMIT');
	$client->query('BEGIN');
	$client->execute('ext', 9);
	like($client->execute('end')->{error}{M}, qr/$failed/, 'COMMIT by the extended protocol');
	$client->query($_) for 'BEGIN', 'SELECT v FROM t WHERE id = 7';
	like($client->execute('nowhere')->{error}{M}, qr/does not exist/, 'no statement in a block');
	$client->query('ROLLBACK');
	$client->disconnect;
	my @expected = $mode->[0] eq 'all' ? ('2|1', '3|2', '2|0', '2|2') : ('1|1', '1|1', '|', '2|2');
	for ('INSERT INTO c VALUES ($1, $2)', 'INSERT INTO c (id, t) VALUES ($1, $2)',
		'SELECT v FROM t WHERE id = $1', 'COMMIT')
	{
		is(figures_of($_, 'sum(calls), sum(errors)'), shift @expected, "@$mode: $_");
	}
}

# cancelled, and told to go
reset_figures();
{
	my $client = client();
	$client->say(Q => "SELECT pg_sleep(200)\0");
	my $running = q{FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep' AND wait_event = 'PgSleep'};
	$node->poll_query_until('postgres', "SELECT count(*) = 1 $running");
	$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) $running");
	like($client->answer->{error}{M}, qr/user request/, 'cancelled');
	$client->say(Q => "SELECT pg_sleep(201)\0");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 $running");
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) $running");
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 0 FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'});
}
is(figures_of('SELECT pg_sleep($1)', 'calls, errors, total_ms > max_ms'), '2|2|t',
	'a cancelled statement and one whose session was ended');

# a text that the server cannot read cannot be read for its figures, either
$node->psql('postgres', q{SET standard_conforming_strings = off; SELECT U&'\0041'});
$node->psql('postgres', q{SELECT 1; SELECT U&'\zz'});
is($node->safe_psql('postgres', q{SELECT concat(value, detail) FROM safeguard.status() WHERE item = 'unjudged'}), '0',
	'which is no failure of counting');

$node->stop;
done_testing();
