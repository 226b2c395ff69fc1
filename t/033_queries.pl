
# Figures of statements: what counts as one, what fails in which phase, who
# sees what, and that nothing is counted twice or where it was not asked for.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use Test::More;

my $node = incident_node('queries',
	conf => [ 'compute_query_id = on', 'safeguard.track_queries = all' ]);

# 'calls|errors|rows' of the statement with this normalised text, of all roles
sub figures_of
{
	my ($query, $columns) = @_;
	$columns //= 'sum(calls), sum(errors), sum(rows)';
	return $node->safe_psql('postgres',
		"SELECT $columns FROM safeguard.query_stats WHERE query = \$q\$$query\$q\$");
}

sub reset_figures
{
	$node->safe_psql('postgres', 'SELECT safeguard.stats_reset()');
	return;
}

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

$node->safe_psql(
	'postgres', q{
	CREATE TABLE t (id int PRIMARY KEY, v int CHECK (v < 1000));
	CREATE TABLE c (id int PRIMARY KEY, t int REFERENCES t DEFERRABLE INITIALLY DEFERRED);
	INSERT INTO t SELECT g, g FROM generate_series(1, 100) g;
	CREATE FUNCTION inner_query() RETURNS bigint LANGUAGE plpgsql AS
		$$ BEGIN RETURN (SELECT count(*) FROM t WHERE v > 5); END $$;
	CREATE FUNCTION sql_inner() RETURNS bigint LANGUAGE sql VOLATILE AS
		$$ UPDATE t SET v = v WHERE id = 1; SELECT count(*) FROM t WHERE v > 6 $$;
	CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$
	BEGIN
		UPDATE t SET v = v WHERE id = 2;
		COMMIT;
		UPDATE t SET v = v WHERE id = 3;
		ROLLBACK;
		UPDATE t SET v = v WHERE id = 4;
	END $$;
	CREATE FUNCTION on_change() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN PERFORM count(*) FROM systems; RETURN NULL; END $$;
	CREATE TABLE fires (id int);
	CREATE TRIGGER fired AFTER INSERT ON fires FOR EACH ROW EXECUTE FUNCTION on_change();
	CREATE ROLE regress_sg_one LOGIN;
	CREATE ROLE regress_sg_two LOGIN;
	CREATE ROLE regress_sg_monitor LOGIN IN ROLE pg_monitor;
	GRANT SELECT ON t TO regress_sg_one, regress_sg_two;
});
reset_figures();

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
});
is(figures_of('DECLARE one CURSOR FOR SELECT id FROM t WHERE v < $1 ORDER BY id'),
	'1|0|15', 'a cursor is one call');
is(figures_of('DECLARE two CURSOR FOR SELECT id FROM t WHERE v < $1 ORDER BY v'),
	'1|0|100', 'so is one that is fetched at once');
is(figures_of('DECLARE three SCROLL CURSOR FOR SELECT v FROM t ORDER BY v'),
	'1|0|3', 'and one that COMMIT closes');
is(figures_of('DECLARE four CURSOR WITH HOLD FOR SELECT v FROM t WHERE id < $1'),
	'1|0|11', 'and one that outlives its transaction');
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
my $none = qr/^ERROR|ERROR:/;
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
fails(q{SET statement_timeout = 50; SELECT pg_sleep(100)}, qr/statement timeout/, 'timeout');
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

# ---------------- who sees what ----------------

reset_figures();
$node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE id = 1',
	extra_params => [ '-U', $_ ])
  for qw(regress_sg_one regress_sg_one regress_sg_two);
my $SEEN = q{SELECT role, calls FROM safeguard.query_stats
	WHERE query ~ '^SELECT count' ORDER BY role};
is($node->safe_psql('postgres', $SEEN, extra_params => [ '-U', 'regress_sg_one' ]),
	'regress_sg_one|2', 'an ordinary role sees its own');
is($node->safe_psql('postgres', $SEEN, extra_params => [ '-U', 'regress_sg_monitor' ]),
	"regress_sg_one|2\nregress_sg_two|1", 'pg_monitor sees all');
$node->safe_psql('postgres', q{CREATE DATABASE other});
$node->safe_psql('other', 'SELECT 21 AS elsewhere');
is(figures_of('SELECT $1 AS elsewhere', 'database, calls'), 'other|1', 'by database');
$node->psql('postgres', 'INSERT INTO t VALUES (1, 1)');
$node->psql('postgres', 'INSERT INTO c VALUES (1, 5000)');
my $VIOLATIONS = q{SELECT database, relation, constraint_name, kind, count
	FROM safeguard.constraint_violations ORDER BY relation};
is($node->safe_psql('postgres', $VIOLATIONS, extra_params => [ '-U', 'regress_sg_one' ]),
	'postgres|public.t|t_pkey|unique|1', 'violations of tables that a role may use');
is($node->safe_psql('postgres', $VIOLATIONS, extra_params => [ '-U', 'regress_sg_monitor' ]),
	"postgres|public.c|c_t_fkey|foreign key|1\npostgres|public.t|t_pkey|unique|1",
	'pg_monitor sees all violations');

# ---------------- what is tracked ----------------

my @tracked = (
	# track_queries, identifiers, 'calls|errors' of a fast, a failed, a slow one
	[ 'all', 'on', '1|0', '1|1', '1|0' ],
	[ 'auto', 'on', '1|0', '1|1', '1|0' ],
	[ 'slow', 'on', '', '1|1', '1|0' ],
	[ 'off', 'on', '', '', '' ],
	[ 'all', 'off', '', '1|1', '1|0' ],
	[ 'auto', 'off', '', '1|1', '1|0' ],
	[ 'slow', 'off', '', '1|1', '1|0' ],
	[ 'off', 'off', '', '', '' ]);
for my $case (@tracked)
{
	my ($track, $ids, @expected) = @$case;
	reset_figures();
	$node->psql(
		'postgres', qq{
		SET compute_query_id = $ids;
		SET safeguard.track_queries = '$track';
		SET safeguard.slow_query_ms = 100000;
		SELECT count(*) FROM t WHERE v = 1;
		SELECT 1 / (v - v) FROM t;
		SET safeguard.slow_query_ms = 0;
		SELECT count(*) FROM systems;
	}, on_error_stop => 0);
	is_deeply(
		[
			map { figures_of($_, 'calls, errors') } 'SELECT count(*) FROM t WHERE v = $1',
			'SELECT $1 / (v - v) FROM t', 'SELECT count(*) FROM systems'
		],
		\@expected, "track_queries = $track, compute_query_id = $ids");
}
is($node->safe_psql('postgres', q{SET safeguard.track_queries = 'all'; SET compute_query_id = off;
		SELECT detail LIKE 'Query identifiers are missing%' FROM safeguard.status()
		 WHERE item = 'track_queries'}),
	't', 'status tells that identifiers are missing');
reset_figures();
$node->psql(
	'postgres', q{
	SET compute_query_id = off;
	SET safeguard.slow_query_ms = 0;
	SELECT pg_sleep(0.05);
	SELECT count(*) FROM systems WHERE id > 1;
	SELECT count(*) FROM systems WHERE id > 2;
	BEGIN; SELECT 1; COMMIT});
is(figures_of('SELECT count(*) FROM systems WHERE id > $1', 'calls, slow_calls, queryid'),
	'2|2|', 'without identifiers, a hash of the normalised text tells statements apart');
is($node->safe_psql('postgres', 'SELECT query FROM safeguard.slow_queries(1)'),
	'SELECT pg_sleep($1)', 'slow_queries shows the worst first');
is($node->safe_psql('postgres', 'SELECT count(*) FROM safeguard.slow_queries(3)'),
	'3', 'and no more than asked for');

# ---------------- restart, room ----------------

reset_figures();
$node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE v = 1') for 1 .. 3;
$node->psql('postgres', 'INSERT INTO t VALUES (1, 1)');
$node->restart;
is(figures_of('SELECT count(*) FROM t WHERE v = $1'), '3|0|3', 'figures survive a restart');
is(figures_of('INSERT INTO t VALUES ($1, $2)'), '1|1|0', 'errors do');
is($node->safe_psql('postgres', $VIOLATIONS), 'postgres|public.t|t_pkey|unique|1',
	'violations do');

add_conf($node, 'safeguard.max_queries = 100');
$node->restart;
my $busy = 'SELECT count(*) FROM t WHERE v = 1;' x 20;
$node->safe_psql('postgres', $busy);
$node->psql('postgres', join('', map { "SELECT nothing_$_;" } 1 .. 1000), on_error_stop => 0);
is($node->safe_psql('postgres',
		q{SELECT (SELECT value::int BETWEEN 50 AND 100 FROM safeguard.status() WHERE item = 'queries'),
		         (SELECT count(*) BETWEEN 50 AND 100 FROM safeguard.query_stats)}),
	't|t', 'a flood of failing texts needs no more room');
like($node->safe_psql('postgres', q{SELECT detail FROM safeguard.status() WHERE item = 'queries'}),
	qr/^At most 100, evicted \d{3,}\.$/, 'what was evicted is counted');
like(figures_of('SELECT count(*) FROM t WHERE v = $1'), qr/^23\|0\|/,
	'and drives out no statement that is used');

$node->stop;

# ---------------- without shared memory ----------------

add_conf($node, "shared_preload_libraries = ''");
$node->start;
for my $from ('query_stats', 'constraint_violations', 'slow_queries()')
{
	my ($rc, $out, $err) = $node->psql('postgres', "SELECT count(*) FROM safeguard.$from",
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like($err, qr/ERROR:  55000:.*HINT:  Add safeguard to "shared_preload_libraries"/s,
		"not preloaded: $from");
}
$node->stop;

# ---------------- beside pg_stat_statements ----------------

SKIP:
{
	skip 'pg_stat_statements is not installed', 2
	  if !-e $node->config_data('--pkglibdir') . '/pg_stat_statements.so';
	for my $libraries ('safeguard, pg_stat_statements', 'pg_stat_statements, safeguard')
	{
		add_conf($node, "shared_preload_libraries = '$libraries'",
			'compute_query_id = auto', 'safeguard.track_queries = auto');
		$node->start;
		$node->safe_psql('postgres', 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
		reset_figures();
		$node->safe_psql('postgres', 'SELECT pg_stat_statements_reset()');
		$node->safe_psql(
			'postgres', q{
			SELECT count(*) FROM t WHERE v = 1;
			UPDATE t SET v = v WHERE id < 10;
			CREATE TABLE gone (a int);
			DROP TABLE gone;
			PREPARE p AS SELECT id FROM t WHERE v = $1;
			EXECUTE p(1);
			EXECUTE p(2);
			DO $$ BEGIN PERFORM 1; END $$;
			SELECT inner_query()});
		is($node->safe_psql('postgres',
				q{SELECT count(*) > 6, count(*) FILTER (WHERE s.calls IS DISTINCT FROM q.calls OR s.rows <> q.rows)
				    FROM pg_stat_statements s LEFT JOIN safeguard.query_stats q USING (queryid)
				   WHERE s.query !~ 'reset'}),
			't|0', "the same statements and calls: $libraries");
		$node->stop;
	}
}

done_testing();
