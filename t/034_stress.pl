
# Many clients at once: nothing fails, every call is counted exactly once, and
# the room that figures take stays the same.
#
# SG_STRESS_SECONDS is how long each load runs; by default a few seconds.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{SG_STRESS_SECONDS} // 5;

my $node = incident_node('stress',
	conf => [
		'max_connections = 150', 'compute_query_id = on',
		'safeguard.track_queries = all', 'safeguard.sample_interval = 1s',
		'safeguard.save_interval = 2s', 'autovacuum = off', 'fsync = off'
	]);

$node->safe_psql(
	'postgres', q{
	CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL);
	INSERT INTO accounts SELECT g, 0 FROM generate_series(1, 10000) g;
	CREATE TABLE history (id int NOT NULL, delta int NOT NULL);
});

my $script = $node->basedir . '/transaction.sql';
append_to_file($script, q{
\set id random(1, 10000)
\set delta random(-5, 5)
BEGIN;
UPDATE accounts SET balance = balance + :delta WHERE id = :id;
SELECT balance FROM accounts WHERE id = :id;
INSERT INTO history VALUES (:id, :delta);
COMMIT;
});
my $short = $node->basedir . '/short.sql';
append_to_file($short, q{
\set id random(1, 10000)
SELECT count(*) FROM accounts WHERE id = :id;
});

# Runs pgbench and returns the number of transactions that it has counted.
sub load_with
{
	my ($what, @options) = @_;
	my ($out, $err);

	my $ok = IPC::Run::run(
		[
			'pgbench', '-n', '-h', $node->host, '-p', $node->port, @options,
			'postgres'
		],
		'>' => \$out, '2>' => \$err);
	ok($ok, "$what: no client fails") or diag $err;
	my ($transactions) = $out =~ /transactions actually processed: (\d+)/;
	ok($transactions, "$what: $transactions transactions") or diag $out;
	my ($failed) = $out =~ /failed transactions: (\d+)/;
	is($failed // 0, 0, "$what: none of them fails");
	return $transactions;
}

# calls and rows of each statement; of all of pgbench's there is one role
sub calls_of
{
	my ($query) = @_;
	return $node->safe_psql('postgres',
		"SELECT calls, errors, rows FROM safeguard.query_stats WHERE query = \$q\$$query\$q\$");
}

sub memory
{
	return $node->safe_psql('postgres',
		q{SELECT value FROM safeguard.status() WHERE item = 'shared memory bytes'});
}

my $memory = memory();
my $offset = -s $node->logfile;

for my $load (
	[ 20, 'prepared' ], [ 100, 'simple' ], [ 100, 'extended' ])
{
	my ($clients, $mode) = @$load;
	$node->safe_psql('postgres', 'SELECT safeguard.stats_reset()');
	my $done = load_with("$clients clients, $mode", '-c', $clients, '-j', 4,
		'-T', $seconds, '-M', $mode, '-f', $script);

	# pgbench numbers the places where its variables stand, the server those
	# of constants
	my $sum = $node->safe_psql('postgres', q{
		SELECT count(*), min(calls) = max(calls), min(calls), sum(errors), count(DISTINCT queryid)
		  FROM safeguard.query_stats
		 WHERE query IN ('BEGIN', 'COMMIT') OR query ~ '^(UPDATE accounts|SELECT balance|INSERT INTO history)'});
	is($sum, "5|t|$done|0|5", "$clients clients, $mode: each statement once per transaction");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM history'), $done,
		"$clients clients, $mode: as many rows as transactions");
	$node->safe_psql('postgres', 'TRUNCATE history');
}

# a storm of sessions, of a statement each
$node->safe_psql('postgres', 'SELECT safeguard.stats_reset()');
my $done = load_with('connect storm', '-C', '-c', 20, '-j', 4, '-T', $seconds,
	'-f', $short);
is(calls_of('SELECT count(*) FROM accounts WHERE id = $1'), "$done|0|$done",
	'what a session has counted outlives it');

# the same while others look at the figures all the time, and forget them
my $look = $node->basedir . '/look.sql';
append_to_file($look, q{
SELECT count(*) FROM safeguard.query_stats;
SELECT count(*) FROM safeguard.slow_queries(10);
SELECT count(*) FROM safeguard.constraint_violations;
});
my $forget = $node->basedir . '/forget.sql';
append_to_file($forget, "SELECT safeguard.stats_reset();\nSELECT pg_sleep(0.05);\n");
load_with('readers beside writers', '-c', 20, '-j', 4, '-T', $seconds,
	'-f', "$script\@10", '-f', "$look\@2", '-f', "$forget\@1");

is(memory(), $memory, 'shared memory is as large as before');
unlike(slurp_file($node->logfile, $offset), qr/(PANIC|FATAL|ERROR):/,
	'nothing in the log');

$node->stop;
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) > 0 FROM safeguard.query_stats'),
	't', 'the figures of a loaded server survive its restart');
$node->stop;

done_testing();
