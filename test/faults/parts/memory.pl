
# Memory and time run out: shared tables that are full, a process that may have
# no more memory, a stack that ends, statements that are told to stop.

use strict;
use warnings FATAL => 'all';

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = incident_node('memory',
	conf => [
		'safeguard.max_findings = 10', 'safeguard.max_queries = 10', 'safeguard.max_upserts = 10',
		'safeguard.max_watched = 10', 'safeguard.history_size = 10', 'safeguard.sample_interval = 1s',
		'compute_query_id = on', 'safeguard.track_queries = all', 'safeguard.unqualified_dml = record',
		'max_stack_depth = 2MB', 'autovacuum = off', 'jit = off' ]);

sub status
{
	my ($item) = @_;
	return $node->safe_psql('postgres', "SELECT value FROM safeguard.status() WHERE item = '$item'");
}

# ---------------------------------------------------------------- shared tables are full

$node->safe_psql(
	'postgres', q{
	CREATE TABLE many (a int PRIMARY KEY, b int);
	INSERT INTO many SELECT g, g FROM generate_series(1, 200) g;
	SELECT safeguard.watch('many', 'a');
	UPDATE many SET b = 1 WHERE a > 0;
	DO $$BEGIN
	  FOR i IN 1 .. 300 LOOP
		EXECUTE format('CREATE TABLE t_%s (k int PRIMARY KEY)', i);
		EXECUTE format('INSERT INTO t_%s VALUES (1) ON CONFLICT (k) DO NOTHING', i);
		EXECUTE format('DELETE FROM t_%s', i);
	  END LOOP;
	END$$;
} . join('', map { "SELECT $_ AS c_$_, " . join(' + ', (1) x $_) . ";\n" } 1 .. 100));
cmp_ok(status('findings'), '<=', 10, 'findings are bounded');
cmp_ok(status('queries'), '<=', 10, 'queries are bounded');
is($node->safe_psql('postgres', q{SELECT seen FROM safeguard.rules WHERE rule = 'unqualified_dml'}),
	'300', 'those that were evicted are counted');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM safeguard.upsert_stats'), '<=', 10, 'upserts are bounded');
is($node->safe_psql('postgres', q{SELECT sum(updated) FROM safeguard.watched WHERE relation ~ 'many'}),
	'200', 'the sum of changes of a watched table holds');
like($node->safe_psql('postgres', q{SELECT detail FROM safeguard.status() WHERE item = 'findings'}),
	qr/evicted [1-9]/, 'status() tells of evictions');
rejected_with($node, 'postgres', $BAD, 'guarded');
is($node->safe_psql('postgres', q{SELECT count(*) FROM safeguard.findings WHERE rejected > 0}), '1',
	'a rejection finds room among what was recorded');
$node->restart;
cmp_ok(status('findings'), '<=', 10, 'bounded after a restart');

# ---------------------------------------------------------------- depth and width

sub survives
{
	my ($what, $sql, $allowed) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql, on_error_stop => 0, timeout => 120,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	my @wrong = grep { !/$allowed/ } $err =~ /(?:ERROR|FATAL): .*/g;
	is("@wrong", '', "$what: no other error");
	is($node->safe_psql('postgres', 'SELECT 1'), '1', "$what: the server lives");
	return $err;
}
my $source = q{(SELECT pi.id FROM point_info pi WHERE pi.system_id = 2)};
for my $n (100, 10_000)
{
	my %deep = (
		'parentheses and NOT' => 'NOT (' x $n . "id IN $source" . ')' x $n,
		'a chain of OR' => join(' OR ', map { "id = $_" } 1 .. $n) . " OR id IN $source",
		'a chain of AND' => join(' AND ', map { "id <> -$_" } 1 .. $n) . " AND id IN $source",
		'a sum' => 'id + ' . join(' + ', (0) x $n) . " IN $source",
		'nested CASE' => 'CASE WHEN id = 1 THEN ' x $n . "id IN $source" . ' END' x $n,
		'nested COALESCE' => 'coalesce(' x $n . 'id' . ', 1)' x $n . " IN $source",
		'a long list' => 'id IN (' . join(', ', 1 .. $n) . ") AND id IN $source");
	for my $what (sort keys %deep)
	{
		my $err = survives("$what, $n", "BEGIN; UPDATE point_info SET point_name = 'x' WHERE $deep{$what}; ROLLBACK;",
			qr/SG001|54001|54000|42601: memory exhausted/);
		like($err, qr/SG001|54001/, "$what, $n: stopped, or too deep for the server") if $n == 100 && $what ne 'a sum' && $what !~ /CASE|NOT/;
	}
}
survives('nested subqueries', "BEGIN; UPDATE point_info SET point_name = 'x' WHERE id IN "
	  . '(SELECT id FROM point_info WHERE id IN ' x 40 . $source . ')' x 40 . '; ROLLBACK;', qr/SG001|54001/);
survives('unions', "BEGIN; UPDATE point_info SET point_name = 'x' WHERE id IN ("
	  . join(' UNION ALL ', ("SELECT id FROM point_info WHERE system_id = 2") x 500) . '); ROLLBACK;', qr/SG001|54001/);
survives('OR of subqueries', "BEGIN; UPDATE point_info SET point_name = 'x' WHERE "
	  . join(' OR ', ("id IN $source") x 300) . '; ROLLBACK;', qr/SG001/);
survives('check() of a deep script', "SELECT count(*) FROM safeguard.check('DELETE FROM point_info WHERE "
	  . 'NOT (' x 5000 . "id IN $source" . ')' x 5000 . "')", qr/54001/);
survives('check() of 3,000 statements', "SELECT count(*) FROM safeguard.check(repeat('DELETE FROM point_info; ', 3000))", qr/none/);

# 1,600 columns, all of them compared
my $columns = join ', ', map { "c$_ int" } 1 .. 1600;
$node->safe_psql('postgres', "CREATE TABLE wide ($columns, PRIMARY KEY (c1, c2)); CREATE TABLE wide_source ($columns, PRIMARY KEY (c1, c2));");
my $all = join ' AND ', map { "w.c$_ = s.c$_" } 2 .. 1600;
# the server's own planning of merge joins is cubic
like(survives('1,600 columns', "SET enable_mergejoin = off; SET statement_timeout = '60s'; UPDATE wide w SET c3 = 1 FROM wide_source s WHERE s.c1 = 7 AND $all", qr/SG001/),
	qr/SG001/, '1,600 columns: stopped');
# and as many as a row may have
my ($left, $right) = map { my $of = $_; join ', ', map { "$of.c" . (2 + $_ % 1599) } 1 .. 1664 } qw(w s);
my %rows = (
	'ROW = ROW' => "FROM wide_source s WHERE s.c1 = 7 AND ROW($left) = ROW($right)",
	'IN' => "WHERE ROW($left) IN (SELECT $right FROM wide_source s WHERE s.c1 = 7)");
for my $what (sort keys %rows)
{
	like(survives("1,664 columns, $what", "SET enable_mergejoin = off; SET statement_timeout = '60s'; UPDATE wide w SET c3 = 1 $rows{$what}", qr/SG001/),
		qr/SG001/, "1,664 columns, $what: stopped");
}
my $ten_thousand = join ' AND ', map { 'w.c' . (2 + $_ % 1599) . ' = s.c' . (2 + ($_ * 7) % 1599) } 1 .. 10_000;
survives('10,000 comparisons', "SET enable_mergejoin = off; SET statement_timeout = '20s'; UPDATE wide w SET c3 = 1 FROM wide_source s WHERE s.c1 = 7 AND $ten_thousand",
	qr/SG001|57014|54001/);
survives('10,000 columns', 'UPDATE wide w SET c3 = 1 FROM wide_source s WHERE ROW(' . join(', ', ('w.c2') x 10_000) . ') = ROW(' . join(', ', ('s.c2') x 10_000) . ')', qr/54011/);
my $set = join ', ', map { "c$_ = excluded.c$_" } 3 .. 1600;
survives('an upsert of 1,600 columns', "INSERT INTO wide (c1, c2) VALUES (1, 1) ON CONFLICT (c1, c2) DO UPDATE SET $set", qr/none/);
survives('suggest_keys of 1,600 columns', "SET statement_timeout = '60s'; SELECT count(*) FROM safeguard.suggest_keys('wide')", qr/57014/);
my $who = join ' AND ', map { "c$_ IN (SELECT s.c$_ FROM wide_source s)" } 1 .. 400;
survives('400 subqueries', "SET statement_timeout = '60s'; DELETE FROM wide WHERE $who", qr/SG001|57014/);

# ---------------------------------------------------------------- told to stop

# Each is ended after a while, by all ways, and leaves nothing.
$node->safe_psql('postgres', q{
	CREATE TABLE large AS SELECT g AS a, g % 1000 AS b, md5(g::text) AS c FROM generate_series(1, 200000) g;
	CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END';
	CREATE TABLE slow (a int PRIMARY KEY);
	CREATE TRIGGER nap BEFORE INSERT ON slow FOR EACH ROW EXECUTE FUNCTION nap();
});
my %work = (
	'check_key' => q{SELECT safeguard.check_key('large', 'a', 'c') FROM generate_series(1, 1000)},
	'suggest_keys' => q{SELECT count(*) FROM generate_series(1, 1000) g, LATERAL (SELECT * FROM safeguard.suggest_keys('large', 3 + g * 0)) x},
	'preview' => q{SELECT * FROM safeguard.preview('INSERT INTO slow SELECT generate_series(1, 100000)')},
	'migrate' => q{SELECT safeguard.migrate('slow', 'CREATE TABLE not_there (); INSERT INTO slow SELECT generate_series(1, 100000)')},
	'check' => q{SELECT count(*) FROM generate_series(1, 100000) g, LATERAL (SELECT * FROM safeguard.check('DELETE FROM large; UPDATE slow SET a = 1' || g)) x},
	'schema_report' => q{SELECT count(*) FROM generate_series(1, 10000) g, LATERAL (SELECT * FROM safeguard.schema_report('public', g > 0)) x},
	'an upsert' => q{INSERT INTO slow SELECT generate_series(1, 100000) ON CONFLICT (a) DO UPDATE SET a = excluded.a},
	'a limited write' => q{SET safeguard.max_rows_session = 1000000; INSERT INTO slow SELECT generate_series(1, 100000)},
	'detection' => q{SET safeguard.fault = 'detect sleep'; UPDATE slow SET a = 1 WHERE a IN (SELECT a FROM large)});
for my $what (sort keys %work)
{
	my ($rc, $out, $err) = $node->psql('postgres', "SET statement_timeout = '700ms'; $work{$what}; SELECT 1; RESET safeguard.fault; $BAD", on_error_stop => 0);
	like($err, qr/statement timeout/, "$what: statement_timeout") or diag "$out $err";
	like($err, qr/UPDATE matches table/, "$what: the session goes on and is guarded");
	for my $function (qw(pg_cancel_backend pg_terminate_backend))
	{
		my ($o, $e) = ('', '');
		my $client = IPC::Run::start(
			[ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', "SET application_name = 'victim'", '-c', $work{$what} ],
			'<', \'', '>', \$o, '2>', \$e);
		$node->poll_query_until('postgres',
			q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'victim' AND state = 'active' AND query_start < clock_timestamp() - interval '0.3s'});
		$node->safe_psql('postgres', "SELECT $function(pid) FROM pg_stat_activity WHERE application_name = 'victim'");
		$client->finish;
		like($e, qr/canceling statement due to user request|terminating connection due to administrator/, "$what: $function");
	}
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM slow, (SELECT to_regclass('not_there')) x(r) WHERE r IS NOT NULL}), '0', 'nothing was committed');
is($node->safe_psql('postgres', q{SELECT safeguard.migrate('slow', 'CREATE TABLE now_there ()')}), 'applied', 'the migration can be run again');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid() AND locktype = 'relation'}), '0', 'no lock is left');
is(status('unjudged') =~ /^\d+$/ && $node->safe_psql('postgres', q{SELECT coalesce(detail, '') FROM safeguard.status() WHERE item = 'unjudged'}) =~ /57/ ? 1 : 0,
	0, 'an interrupt is no failure of judging');

# ---------------------------------------------------------------- no more memory

# Processes that may have little address space: what fails says so, and the
# server lives.  Where our part is short of it the statement runs.
$node->stop;
my $limit = 420_000;    # kB; what the server needs, and not much more
SKIP:
{
	my $data = $node->data_dir;
	my $log = $node->logfile;
	my $started = 0;
	for (1 .. 8)
	{
		system('sh', '-c', "ulimit -v $limit; pg_ctl -w -D '$data' -l '$log' -o '--cluster-name=memory' start >/dev/null 2>&1");
		$started = $? == 0;
		last if $started;
		$limit += 40_000;
	}
	skip 'the server does not start with so little memory', 4 unless $started;
	$node->_update_pid(1);
	my $offset = -s $log;
	for my $sql (
		"UPDATE point_info SET point_name = 'x' WHERE " . join(' OR ', ("id IN $source") x 2000),
		"SELECT count(*) FROM safeguard.check(repeat('DELETE FROM point_info; ', 20000))",
		"SELECT length(string_agg(message, '')) FROM safeguard.check('DELETE FROM point_info WHERE id IN (' || repeat('1, ', 30000) || '1)')",
		"SET work_mem = '2GB'; SELECT safeguard.check_key('large', 'a', 'b', 'c')",
		"SELECT safeguard.migrate('heavy', repeat('SELECT 1; ', 100000))",
		"SELECT repeat('x', 500000000), repeat('y', 500000000)")
	{
		survives('little memory: ' . substr($sql, 0, 50), $sql, qr/53200|53100|SG001|54000|54001|22001|XX000|08P01|42601/);
	}
	rejected_with($node, 'postgres', $BAD, 'guarded after all that');
	unlike(slurp_file($log, $offset), qr/PANIC:|TRAP:|terminated by signal/, 'nothing crashed');
	$node->stop;
	$node->start;
}
rejected_with($node, 'postgres', $BAD, 'guarded in the end');
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC:|TRAP:|terminated by signal|reference leak|not closed/, 'nothing crashed or leaked');
done_testing();
