
# Upserts: the loads of incident 2 in their own numbers, exact figures under
# 20 clients, and figures that survive a restart.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $ROWS = 58_600;
my $PAGE = 25;
my $CLIENTS = 20;

my $node = incident_node('upsert');

my $FIGURES = q{SELECT relation, columns, statements, proposed, inserted,
	replaced, skipped, distinct_keys FROM safeguard.upsert_stats
	ORDER BY relation::text, columns};

sub figures_of
{
	my ($relation) = @_;
	return $node->safe_psql('postgres',
		"SELECT statements, proposed, inserted, replaced, skipped, distinct_keys
		   FROM safeguard.upsert_stats WHERE relation = '$relation'::regclass");
}

sub make_patches
{
	my ($table) = @_;
	$node->safe_psql('postgres',
		"CREATE TABLE $table (update_id int PRIMARY KEY,
			patch_id int NOT NULL, name text NOT NULL)");
	return;
}

# what the log has of the load on a table since $offset
sub rows_at_warning
{
	my ($table, $offset) = @_;
	my $log = slurp_file($node->logfile, $offset);
	my @rows;
	push @rows, $1
	  while $log =~ /WARNING:  INSERT \.\.\. ON CONFLICT \(update_id\) keeps replacing rows of table "$table"[^\n]*\n[^\n]*DETAIL:  Of (\d+) rows proposed/g;
	return "@rows";
}

my $SET = 'ON CONFLICT (update_id) DO UPDATE'
  . ' SET patch_id = EXCLUDED.patch_id, name = EXCLUDED.name';

# 2,344 transactions of 25 rows, a statement each
make_patches('pages');
my $offset = -s $node->logfile;
my $script = '';
for my $i (1 .. $ROWS)
{
	$script .= "BEGIN;\n" if $i % $PAGE == 1;
	$script .= sprintf "INSERT INTO pages VALUES (%d, %d, 'p') %s;\n",
	  $i % 10, $i, $SET;
	$script .= "COMMIT;\n" if $i % $PAGE == 0;
}
my ($rc, $out, $err) = $node->psql('postgres', $script);
is($rc, 0, '2,344 transactions of 25 rows');
like(
	$err,
	qr/HINT:  Column "patch_id" differs in almost every row/,
	'the client is told which column is the key');
is(rows_at_warning('pages', $offset),
	'100 1000 10000', 'at the 100th row, and again at each tenfold');
is(figures_of('pages'),
	"$ROWS|$ROWS|10|@{[$ROWS - 10]}|0|10", 'figures of the load');

# single rows, each its own transaction, prepared
make_patches('singles');
$offset = -s $node->logfile;
$node->pgbench(
	"--no-vacuum --client=1 --transactions=$ROWS --protocol=prepared -D n=0",
	0,
	[qr{actually processed: $ROWS/$ROWS}],
	[qr{WARNING:  INSERT \.\.\. ON CONFLICT \(update_id\)}],
	'single rows in autocommit',
	{
		'008_singles' =>
		  "\\set n :n + 1\nINSERT INTO singles VALUES (:n % 10, :n, 'p') $SET;\n"
	});
is(rows_at_warning('singles', $offset),
	'100 1000 10000', 'told as early in autocommit');
is(figures_of('singles'),
	"$ROWS|$ROWS|10|@{[$ROWS - 10]}|0|10", 'figures of single rows');

# pipelined
make_patches('pipelined');
$offset = -s $node->logfile;
$node->pgbench(
	'--no-vacuum --client=1 --transactions=40 --protocol=extended -D n=0',
	0,
	[qr{actually processed: 40/40}],
	[qr{WARNING:  INSERT \.\.\. ON CONFLICT \(update_id\)}],
	'pipelined',
	{
		'008_pipelined' => "\\startpipeline\n"
		  . "\\set n :n + 1\nINSERT INTO pipelined VALUES (:n % 10, :n, 'p') $SET;\n"
		  x 5 . "\\endpipeline\n"
	});
is(rows_at_warning('pipelined', $offset), '100', 'told in a pipeline');

# The same data by the right key, and a load that begins anew in each session.
$node->safe_psql('postgres',
	'CREATE TABLE right_key (update_id int, patch_id int PRIMARY KEY)');
make_patches('reconnects');
$offset = -s $node->logfile;
$node->pgbench(
	'--no-vacuum --client=1 --transactions=5000 --protocol=prepared -D n=0',
	0,
	[qr{actually processed}],
	[qr{^$}],
	'the right key is silent',
	{
		'008_right' =>
		  "\\set n :n + 1\nINSERT INTO right_key VALUES (:n % 10, :n) ON CONFLICT (patch_id) DO UPDATE SET update_id = EXCLUDED.update_id;\n"
	});
$node->pgbench(
	'--no-vacuum --client=1 --transactions=60 --connect -D n=0',
	0,
	[qr{actually processed}],
	[qr{^$}],
	'a session for each page is silent',
	{
		'008_reconnects' =>
		  "\\set n :n + 1\nINSERT INTO reconnects VALUES (:n % 10, :n, 'p') $SET;\n"
		  x 5
	});
is(figures_of('reconnects'), '300|300|10|290|0|10',
	'but its figures tell');

# Exact figures under 20 clients: rows that collide, are skipped, are new.
my $EACH = 100;
$node->safe_psql('postgres',
	'CREATE TABLE crowd (k int PRIMARY KEY, n int NOT NULL);
	 CREATE TABLE crowd_2 (k int PRIMARY KEY, v int) PARTITION BY HASH (k);
	 CREATE TABLE crowd_2_1 PARTITION OF crowd_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	 CREATE TABLE crowd_2_2 PARTITION OF crowd_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1)');
$node->pgbench(
	"--no-vacuum --client=$CLIENTS --jobs=2 --transactions=$EACH",
	0,
	[qr{actually processed: @{[$CLIENTS * $EACH]}/}],
	[qr{^$}],
	'20 clients',
	{
		'008_crowd' => q{
\set k random(1, 300)
INSERT INTO crowd AS c SELECT g, 1 FROM generate_series(:k, :k + 4) g ON CONFLICT (k) DO UPDATE SET n = c.n + 1;
INSERT INTO crowd_2 VALUES (:k, 1) ON CONFLICT (k) DO NOTHING;
}
	});
my $statements = $CLIENTS * $EACH;
my $proposed = $statements * 5;
my ($rows, $sum) = split /\|/,
  $node->safe_psql('postgres', 'SELECT count(*), sum(n) FROM crowd');
is($sum, $proposed, 'all rows have arrived');
my $distinct = $node->safe_psql('postgres',
	"SELECT distinct_keys FROM safeguard.upsert_stats WHERE relation = 'crowd'::regclass");
is( figures_of('crowd'),
	"$statements|$proposed|$rows|@{[$proposed - $rows]}|0|$distinct",
	'exact figures of 20 clients');
ok(abs($distinct - $rows) <= $rows * 0.05, 'keys within five per cent')
  or diag "$distinct of $rows";
$rows = $node->safe_psql('postgres', 'SELECT count(*) FROM crowd_2');
like(
	figures_of('crowd_2'),
	qr/^$statements\|$statements\|$rows\|0\|@{[$statements - $rows]}\|/,
	'and of a partitioned table');

# A clean restart keeps all of it.
my $figures = $node->safe_psql('postgres', $FIGURES);
$node->restart;
is($node->safe_psql('postgres', $FIGURES), $figures, 'figures are kept');
$node->safe_psql('postgres',
	'INSERT INTO crowd SELECT g, 1 FROM generate_series(1, 300) g ON CONFLICT (k) DO NOTHING;
	 INSERT INTO crowd SELECT g, 1 FROM generate_series(100001, 100300) g ON CONFLICT (k) DO NOTHING');
like(
	figures_of('crowd'),
	qr/^@{[$statements + 2]}\|@{[$proposed + 600]}\|/,
	'counting goes on');
is( $node->safe_psql(
		'postgres',
		"SELECT distinct_keys - $distinct BETWEEN 270 AND 330
		   FROM safeguard.upsert_stats WHERE relation = 'crowd'::regclass"),
	't',
	'and the sketch knows the keys from before');

# A smaller table keeps what fits, a damaged file costs the figures.
add_conf($node, 'safeguard.max_upserts = 10');
$node->restart;
is( $node->safe_psql(
		'postgres', 'SELECT count(*) > 0 FROM safeguard.upsert_stats'),
	't',
	'figures under another max_upserts');
$node->stop;
my $file = $node->data_dir . '/pg_stat/safeguard.stat';
my $damaged = slurp_file($file);
substr($damaged, length($damaged) - 100, 1) ^= "\x10";
open my $fh, '>:raw', $file or die "cannot write $file: $!";
print $fh $damaged;
close $fh;
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM safeguard.upsert_stats'),
	'0', 'a damaged file is ignored');

# Without shared memory the rule acts, and the view says what it needs.
add_conf($node, "shared_preload_libraries = ''",
	"session_preload_libraries = 'safeguard'");
$node->restart;
($rc, $out, $err) = $node->psql(
	'postgres',
	'SELECT count(*) FROM safeguard.upsert_stats',
	extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/ERROR:  55000:/, 'no figures without shared memory');
like($err, qr/HINT:  .*shared_preload_libraries/, 'and a hint');
$node->safe_psql('postgres', 'TRUNCATE pages');
($rc, $out, $err) = $node->psql('postgres',
	join '',
	map { sprintf "INSERT INTO pages VALUES (%d, %d, 'p') %s;\n", $_ % 10, $_, $SET }
	  1 .. 100);
like($err, qr/WARNING:  INSERT \.\.\. ON CONFLICT/, 'the rule acts without it');

$node->stop;

done_testing();
