
# row_limit: the extended protocol, what is counted, how early a statement ends,
# and foreign tables.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use Skips;
use Test::More;

my $node = incident_node('row_limit');
my $user = $node->safe_psql('postgres', 'SELECT current_user');

sub count_of
{
	my ($table) = @_;
	return $node->safe_psql('postgres', "SELECT count(*) FROM $table");
}

$node->safe_psql(
	'postgres', q{
	CREATE TABLE t (id int PRIMARY KEY, v int);
	CREATE TABLE other (id int PRIMARY KEY, v int);
	INSERT INTO t SELECT g, 0 FROM generate_series(1, 100) g;
	INSERT INTO other SELECT g, 0 FROM generate_series(1, 100) g;
	CREATE FUNCTION purge() RETURNS int LANGUAGE sql AS $$ DELETE FROM other; SELECT 1 $$;
});

# Statements that come by the extended protocol come from a client too.
my $client = Protocol->connect(
	host => $node->host,
	port => $node->port,
	user => $user,
	dbname => 'postgres');
$client->query('SET safeguard.max_rows = 10');
$client->prepare(del => 'DELETE FROM t WHERE id <= $1::int');
$client->prepare(cte =>
	  'WITH d AS (DELETE FROM t WHERE id <= $1::int RETURNING id) SELECT id FROM d');
$client->prepare(inner => 'SELECT purge() + $1::int');
my $rejected = 0;
for my $i (1 .. 10)
{
	for my $statement (qw(del cte))
	{
		$rejected++
		  if ($client->execute($statement => 11)->{error}{C} // '') eq 'SG005';
	}
}
is($rejected, 20, 'Execute is judged, with custom plans and with generic ones');
my %error = %{ $client->execute(del => 11)->{error} };
is($error{M}, 'DELETE changes more than 10 rows of table "t"', 'message');
like($error{D}, qr/^The limit is safeguard\.max_rows = 10\./, 'detail');
like($error{H}, qr/SET LOCAL safeguard\.max_rows = 0/, 'hint');
is("$error{s}.$error{t}", 'public.t', 'schema and table');

$client->query('BEGIN');
is($client->execute(del => 10)->{tag}, 'DELETE 10', 'ten rows pass');
is($client->execute(cte => 20)->{tag}, 'SELECT 10', 'and ten of a CTE');
is($client->execute(inner => 1)->{tag},
	'SELECT 1', 'a function that deletes a hundred is not judged');
$client->query('ROLLBACK');

# a portal that is fetched from in pieces has done its work at once
$client->query('BEGIN');
my $answer = $client->say(B => "p\0cte\0" . pack('n n N/a* n', 0, 1, '11', 0))
  ->say(E => "p\0" . pack('N', 1))->say(S => '')->answer;
is($answer->{error}{C} // 'none', 'SG005', 'one row fetched of eleven');
$client->query('ROLLBACK');
$client->query('BEGIN');
$answer = $client->say(B => "p\0cte\0" . pack('n n N/a* n', 0, 1, '10', 0))
  ->say(E => "p\0" . pack('N', 1))->say(S => '')->answer;
is($answer->{error}{C} // 'none', 'none', 'one row fetched of ten');
$client->query('ROLLBACK');

# The limits of a session end with its transaction if SET LOCAL: that is how to
# use them with a pooler.
$client->query('SET safeguard.max_rows = 0');
$client->query('BEGIN');
$client->query('SET LOCAL safeguard.expected_rows = 3');
is($client->execute(del => 4)->{error}{C} // 'none', 'SG005', 'four instead of three');
$client->query('ROLLBACK');
$client->query('BEGIN');
is($client->execute(del => 4)->{tag}, 'DELETE 4', 'the next transaction expects nothing');
$client->query('ROLLBACK');
$client->disconnect;

# What is counted: an execution is one finding, rejected or not, and one that
# an AFTER trigger fails is none.
$node->safe_psql('postgres', 'SELECT safeguard.findings_reset()');
$node->psql('postgres', 'SET safeguard.max_rows = 10; DELETE FROM t');
$node->psql(
	'postgres', q{
	SET safeguard.max_rows = 10;
	SET safeguard.row_limit = record;
	BEGIN;
	DELETE FROM t;
	WITH a AS (DELETE FROM t), b AS (DELETE FROM other) SELECT 1;
	EXPLAIN ANALYZE DELETE FROM other;
	EXPLAIN DELETE FROM other;
	ROLLBACK;
	BEGIN;
	DELETE FROM t WHERE id <= 10;
	ROLLBACK;
});
is( $node->safe_psql(
		'postgres', q{
		SELECT level, sum(calls), sum(rejected) FROM safeguard.findings
		 WHERE rule = 'row_limit' GROUP BY level ORDER BY level
	}),
	"error|1|1\nrecord|2|0",
	'findings');
is( $node->safe_psql(
		'postgres', q{
		SELECT level, message FROM safeguard.findings
		 WHERE rule = 'row_limit' ORDER BY level, message COLLATE "C"
	}),
	qq{error|DELETE changes more than 10 rows of table "t"\n}
	  . qq{record|DELETE changes 100 rows of table "other", more than the limit of 10\n}
	  . qq{record|DELETE changes 100 rows of table "t", more than the limit of 10},
	'and what they say');
$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$;
	CREATE TRIGGER fail AFTER DELETE ON other FOR EACH STATEMENT EXECUTE FUNCTION fail();
	SELECT safeguard.findings_reset();
});
$node->psql('postgres',
	'SET safeguard.max_rows = 10; SET safeguard.row_limit = warning; DELETE FROM other');
is( $node->safe_psql('postgres',
		q{SELECT count(*) FROM safeguard.findings WHERE rule = 'row_limit'}),
	'0',
	'a statement that fails otherwise is no finding');
$node->safe_psql('postgres', 'DROP TRIGGER fail ON other');

# A million rows: the statement ends after the first too many, which is seen
# from the pages that it has not read.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE million AS SELECT g AS id FROM generate_series(1, 1000000) g;
	VACUUM million;
});
$node->safe_psql('postgres', q{SELECT pg_stat_reset_single_table_counters('million'::regclass)});
$node->psql('postgres',
	'SET safeguard.max_rows = 100; DELETE FROM million');
is( $node->safe_psql(
		'postgres', q{
		SELECT n_tup_del, heap_blks_read + heap_blks_hit < 500
		  FROM pg_stat_user_tables JOIN pg_statio_user_tables USING (relid)
		 WHERE pg_stat_user_tables.relname = 'million'
	}),
	'101|t',
	'a DELETE of a million rows ends after 101');
is(count_of('million'), '1000000', 'and none is missing');

# How a statement ends that is undone: the error, or what else is printed.
sub attempt
{
	my ($statement, $setting) = @_;
	my ($rc, $out, $err) = $node->psql('postgres',
			"\\set VERBOSITY terse\n"
		  . 'SET safeguard.' . ($setting // 'max_rows = 10') . ";\n"
		  . "BEGIN;\n$statement;\nROLLBACK;");
	return $err =~ /ERROR:  (.*)/ ? $1 : $out;
}

# What MERGE can do since 17: rows that the source lacks, RETURNING, CTEs.
SKIP:
{
	skip 'MERGE can do less before 17', 1 if $node->pg_version < 17;

	my $message = 'MERGE changes more than 10 rows of table "t"';
	my $merge = 'MERGE INTO t USING generate_series(%s, 200) g ON t.id = g'
	  . ' WHEN NOT MATCHED BY SOURCE AND t.id > 5 THEN DELETE'
	  . ' WHEN NOT MATCHED BY SOURCE THEN UPDATE SET v = 1'
	  . ' WHEN NOT MATCHED BY TARGET THEN INSERT VALUES (g, 0)';
	is(attempt(sprintf $merge, 11), '', 'ten that the source lacks');
	is(attempt(sprintf $merge, 12), $message, 'eleven that the source lacks');
	$merge .= ' RETURNING t.id';
	is(attempt("WITH m AS ($merge) SELECT count(*) FROM m" =~ s/%s/11/r),
		'110', 'ten in a CTE, read');
	is(attempt("WITH m AS ($merge) SELECT count(*) FROM m" =~ s/%s/12/r),
		$message, 'eleven in a CTE, read');
	is(attempt("WITH m AS ($merge) SELECT" =~ s/%s/12/r),
		$message, 'eleven in a CTE, not read');
	is(attempt("WITH m AS ($merge) SELECT count(*) FROM m" =~ s/%s/11/r, 'expected_rows = 110'),
		'110', 'all of them expected');
	is(attempt("WITH m AS ($merge) SELECT count(*) FROM m" =~ s/%s/11/r, 'expected_rows = 109'),
		'MERGE affects 110 rows of table "t" instead of 109', 'one less expected');
}

# Foreign tables: what the other server changes by itself is known afterwards.
SKIP:
{
	skip_lacking($node, 1, 'postgres_fdw');

	$node->safe_psql(
		'postgres', q{
		CREATE EXTENSION postgres_fdw;
		SELECT format('CREATE SERVER me FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)',
			split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database()) \gexec
		CREATE USER MAPPING FOR CURRENT_USER SERVER me;
		CREATE TABLE remote (id int, v int);
		INSERT INTO remote SELECT g, 0 FROM generate_series(1, 100) g;
		CREATE TABLE archive (id int, v int);
		CREATE FOREIGN TABLE f (id int, v int) SERVER me OPTIONS (table_name 'remote');
		CREATE FOREIGN TABLE f_archive (id int, v int) SERVER me OPTIONS (table_name 'archive', batch_size '7');
		CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN OLD; END$$;
		CREATE TRIGGER keep BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep();
	});
	like($node->safe_psql('postgres', 'EXPLAIN DELETE FROM f WHERE id <= 10'),
		qr/Foreign Delete/, 'the foreign server deletes by itself');
	for my $case (
		[ 'DELETE FROM f WHERE id <= %s', 'DELETE changes 11 rows of table "f", more than the limit of 10' ],
		[ 'DELETE FROM f WHERE id <= %s RETURNING id \g /dev/null', 'DELETE changes more than 10 rows of table "f"' ],
		[ 'WITH d AS (DELETE FROM f WHERE id <= %s) SELECT \g /dev/null', 'DELETE changes 11 rows of table "f", more than the limit of 10' ],
		[ 'WITH d AS (DELETE FROM f WHERE id <= %s RETURNING id) SELECT count(*) FROM d \g /dev/null', 'DELETE changes more than 10 rows of table "f"' ],
		[ 'UPDATE f SET v = t.v FROM t WHERE t.id = f.id AND t.id <= %s AND random() < 2', 'UPDATE changes more than 10 rows of table "f"' ],
		[ 'WITH d AS (DELETE FROM t WHERE id <= %s RETURNING *) INSERT INTO f_archive SELECT * FROM d', 'DELETE changes more than 10 rows of table "t"' ])
	{
		my ($statement, $message) = @$case;
		is(attempt(sprintf $statement, 10), '', "ten pass: $statement");
		is(attempt(sprintf $statement, 11), $message, "eleven do not: $statement");
	}
	is(count_of('remote'), '100', 'nothing has changed there');

	# rows that are sent in batches, from a CTE whose triggers send them
	my $archive = 'WITH d AS (DELETE FROM t WHERE id <= %s RETURNING *) INSERT INTO f_archive SELECT * FROM d';
	is(attempt(sprintf($archive, 10), 'expected_rows = 20'), '', 'twenty are expected of both');
	is( attempt(sprintf($archive, 11), 'expected_rows = 20'),
		'statement affects 22 rows of table "f_archive" and others instead of 20',
		'twenty-two are too many');
	is( $node->safe_psql(
			'postgres',
			"SET safeguard.max_rows = 100;\n\\unset QUIET\n" . sprintf($archive, 20)),
		'INSERT 0 20',
		'the command tag has its number');
	is(count_of('archive') . '|' . count_of('t'), '20|80', 'and the rows have moved');
}

$node->stop;

done_testing();
