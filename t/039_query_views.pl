
# Figures of statements: who sees them, which are kept, and that they agree with
# those of pg_stat_statements.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Figures;
use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Skips;
use Test::More;

my $node = figures_node('query_views');

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

# Who gets a name does not come by the figures of the table that had it before.
$node->safe_psql(
	'postgres', q{
	SELECT safeguard.stats_reset();
	CREATE SCHEMA past;
	CREATE SCHEMA future;
	GRANT ALL ON SCHEMA past, future TO regress_sg_one;
	GRANT CREATE ON DATABASE postgres TO regress_sg_one;
	CREATE TABLE past.dropped (secret_1 int CONSTRAINT told_1 CHECK (secret_1 > 0));
	CREATE TABLE past.renamed (secret_2 int CONSTRAINT told_2 CHECK (secret_2 > 0));
	CREATE TABLE past.moved (secret_3 int CONSTRAINT told_3 CHECK (secret_3 > 0));
	CREATE TABLE past.kept (v int CONSTRAINT told_4 CHECK (v > 0));
	CREATE TABLE future.swapped (secret_5 int CONSTRAINT told_5 CHECK (secret_5 > 0));
	GRANT SELECT ON past.kept TO regress_sg_one});
$node->psql('postgres', "INSERT INTO $_ VALUES (0)")
  for 'past.dropped', 'past.renamed', 'past.moved', 'past.kept', 'future.swapped';
my $TOLD = q{SELECT relation, constraint_name, count FROM safeguard.constraint_violations
	ORDER BY relation, constraint_name};
$node->safe_psql(
	'postgres', q{
	DROP TABLE past.dropped;
	ALTER TABLE past.renamed RENAME TO other_name;
	ALTER TABLE past.moved SET SCHEMA future;
	ALTER SCHEMA future RENAME TO later;
	ALTER TABLE past.kept SET (fillfactor = 50);
	BEGIN;
	ALTER TABLE past.kept RENAME TO away;
	ALTER TABLE past.away RENAME TO kept;
	COMMIT;
	ALTER TABLE past.kept ADD COLUMN w int});
is($node->safe_psql('postgres', $TOLD),
	join("\n", map { "past.$_|1" } 'dropped|told_1', 'kept|told_4', 'moved|told_3', 'renamed|told_2')
	  =~ s/^/future.swapped|told_5|1\n/r,
	'what becomes of a table changes none of its figures');
$node->safe_psql(
	'postgres', q{
	CREATE TABLE past.dropped (a int);
	CREATE TABLE past.other (a int);
	ALTER TABLE past.other RENAME TO renamed;
	BEGIN;
	CREATE SCHEMA soon;
	CREATE TABLE soon.moved (a int);
	ALTER TABLE soon.moved SET SCHEMA past;
	CREATE TABLE soon.swapped (a int);
	ALTER SCHEMA soon RENAME TO future;
	COMMIT}, extra_params => [ '-U', 'regress_sg_one' ]);
is($node->safe_psql('postgres', $TOLD, extra_params => [ '-U', 'regress_sg_one' ]),
	'past.kept|told_4|1', 'but another one of its name has none');
$node->safe_psql(
	'postgres', q{
	DO $$ BEGIN
		CREATE TABLE past.fresh (a int CONSTRAINT mine CHECK (a > 0));
		BEGIN
			INSERT INTO past.fresh VALUES (0);
		EXCEPTION WHEN check_violation THEN NULL;
		END;
	END $$}, extra_params => [ '-U', 'regress_sg_one' ]);
is($node->safe_psql('postgres', $TOLD, extra_params => [ '-U', 'regress_sg_one' ]),
	"past.fresh|mine|1\npast.kept|told_4|1", 'but those of its own');

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
	SELECT pg_sleep(2);
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
	skip_lacking($node, 2, 'pg_stat_statements');
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
