
# Processes are killed under load, with all rules on: the server recovers, the
# figures make sense, and nothing is left locked.  SG_CRASH_ROUNDS is how often.

use strict;
use warnings FATAL => 'all';

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use Test::More;
use Time::HiRes qw(usleep);

my $rounds = $ENV{SG_CRASH_ROUNDS} // 2;
my $seed = $ENV{SG_SEED} // time;
srand $seed;
note "SG_SEED=$seed";

my @RULES = qw(composite_key_doubt upsert_overwrite unqualified_dml unlinked_from
  constraint_bypass destructive_ddl lock_timeout conflict_silent);
my $node = incident_node('crash',
	conf => [
		'restart_after_crash = on', 'max_connections = 60', 'max_prepared_transactions = 20',
		'compute_query_id = on', 'safeguard.track_queries = all', 'safeguard.save_interval = 1s',
		'safeguard.sample_interval = 1s', 'safeguard.max_rows = 50', 'safeguard.max_findings = 50',
		'safeguard.max_queries = 200', 'safeguard.max_upserts = 10', 'safeguard.max_watched = 20',
		'log_min_messages = log', map { "safeguard.$_ = error" } @RULES ]);
$node->safe_psql(
	'postgres', q{
	SET safeguard.max_level = off;
	CREATE TABLE load (k int PRIMARY KEY, v int);
	CREATE TABLE busy (tenant int, k int, v int, PRIMARY KEY (tenant, k));
	INSERT INTO busy SELECT t, k, 0 FROM generate_series(1, 5) t, generate_series(1, 40) k;
	SELECT safeguard.set_column('busy', 'tenant', 'scope');
	SELECT safeguard.watch('busy', 'tenant');
	CREATE FUNCTION swallow(sql text) RETURNS text LANGUAGE plpgsql AS
	$$BEGIN EXECUTE sql; RETURN 'passed'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END$$;
});

# ---------------------------------------------------------------- load

my $script = $node->basedir . '/load.sql';
append_to_file($script, qq{
\\set t random(1, 5)
\\set k random(1, 40)
BEGIN;
UPDATE busy SET v = v + 1 WHERE tenant = :t AND k = :k;
INSERT INTO load SELECT g % :k, g FROM generate_series(1, 120) g ON CONFLICT (k) DO NOTHING;
COMMIT;
SELECT swallow('UPDATE busy SET v = 1');
SELECT swallow('UPDATE busy SET v = 1 WHERE k = :k');
SELECT swallow('UPDATE point_info SET point_name = 1 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 2)');
SELECT swallow('TRUNCATE busy');
SELECT swallow('ALTER TABLE load ADD CHECK (k > :k) NOT VALID');
SELECT swallow('INSERT INTO busy VALUES (:t, :k, 1)');
SELECT swallow('CREATE TABLE t_:client_id (a int); DROP TABLE t_:client_id');
SELECT count(*) FROM safeguard.findings;
SELECT count(*) FROM safeguard.query_stats;
SELECT safeguard.migrate('v' || :client_id || '.' || :k, 'SELECT 1');
SELECT count(*) FROM safeguard.check('DELETE FROM busy; UPDATE load SET v = 1');
SELECT count(*) FROM safeguard.preview('DELETE FROM busy WHERE tenant = 1; INSERT INTO load VALUES (-1, 1)');
SELECT count(*) FROM safeguard.check_key('busy', 'k');
});

# pgbench again and again, whatever becomes of the server
sub load_begins
{
	my $command = 'while [ ! -e stop ]; do PGAPPNAME=pgbench pgbench -n -c 6 -j 2 -T 30 -f load.sql -h '
	  . $node->host . ' -p ' . $node->port . ' postgres; sleep 0.3; done';
	unlink $node->basedir . '/stop';
	return IPC::Run::start([ 'sh', '-c', 'cd ' . $node->basedir . " && $command" ],
		'>' => '/dev/null', '2>' => $node->basedir . '/pgbench.err');
}

sub load_ends
{
	my ($load) = @_;
	append_to_file($node->basedir . '/stop', '');
	$node->safe_psql('postgres',
		q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbench'});
	$load->finish;
	return;
}

sub alive
{
	return $node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
}

sub busy
{
	return $node->poll_query_until('postgres',
		q{SELECT count(*) >= 3 FROM pg_stat_activity WHERE application_name = 'pgbench' AND backend_type = 'client backend'});
}

sub start_time
{
	return $node->safe_psql('postgres', q{SELECT min(backend_start) FROM pg_stat_activity WHERE backend_type = 'checkpointer'});
}

# Figures that cannot be
my $IMPOSSIBLE = q{
	SELECT string_agg(what, ', ') FROM (
		SELECT 'rule ' || rule FROM safeguard.rules WHERE seen < rejected OR seen < 0
		UNION ALL SELECT 'finding' FROM safeguard.findings WHERE calls < rejected OR calls < 1 OR first_seen > last_seen OR last_seen > clock_timestamp()
		UNION ALL SELECT 'upsert ' || relation FROM safeguard.upsert_stats WHERE proposed <> inserted + replaced + skipped OR statements < 1
		UNION ALL SELECT 'query ' || query FROM safeguard.query_stats WHERE calls < 0 OR errors < 0 OR slow_calls > calls + errors OR max_ms > total_ms * 1.001 + 1 OR rows < 0
		UNION ALL SELECT 'watched' FROM safeguard.watched WHERE updated < 0 OR inserted < 0
		UNION ALL SELECT 'pool' FROM safeguard.pool_stats() WHERE utilization NOT BETWEEN 0 AND 100 OR active_connections < 1 OR total_acquisitions < 1
		UNION ALL SELECT 'health' FROM safeguard.health() WHERE status IS NULL
		UNION ALL SELECT 'running' FROM safeguard.migrations_running WHERE abandoned IS NULL
		UNION ALL SELECT 'status' FROM safeguard.status() WHERE item = 'unjudged' AND value <> '0'
	) AS x(what)};

# With statement_timeout: a lock of ours that is left would show as a hang
sub sane
{
	my ($what) = @_;
	is($node->safe_psql('postgres', "SET statement_timeout = '30s'; $IMPOSSIBLE"), '', "$what: figures are possible");
	# a process that has just begun may be in one view only; one that is gone
	# would stay
	ok($node->poll_query_until('postgres',
			'SELECT count(*) = 0 FROM pg_locks l WHERE NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.pid)'),
		"$what: no lock is left");
	rejected_with($node, 'postgres', $BAD, "$what: guarded");
	is($node->safe_psql('postgres', "SELECT count(*) FROM busy"), '200', "$what: no row is lost");
	return;
}

my %victim = (
	'a backend' => sub {
		return $node->safe_psql('postgres',
			q{SELECT pid FROM pg_stat_activity WHERE application_name = 'pgbench' AND backend_type = 'client backend' ORDER BY random() LIMIT 1});
	},
	'the collector' => sub {
		return $node->safe_psql('postgres',
			q{SELECT substring(detail FROM '^Process (\d+)\.') FROM safeguard.status() WHERE item = 'collector'});
	});

my $load = load_begins();
busy();
for my $round (1 .. $rounds)
{
	for my $who (sort keys %victim)
	{
		usleep(int(rand 1_500_000));
		my $pid = $victim{$who}->();
		ok($pid, "round $round: $who is there") or next;
		my $offset = -s $node->logfile;
		kill 'KILL', $pid;
		$node->wait_for_log(qr/all server processes terminated; reinitializing.*ready to accept connections/s, $offset);
		alive();
		sane("round $round, $who killed");
		$node->poll_query_until('postgres',
			q{SELECT value = 'running' FROM safeguard.status() WHERE item = 'collector'});
		pass("round $round, $who killed: the collector is back");
		busy();
	}

	# the postmaster: its children notice, and leave
	usleep(int(rand 1_500_000));
	my @children = split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity');
	kill 'KILL', $node->{_pid};
	for my $pid (@children)
	{
		for (1 .. 600) { last unless kill 0, $pid; usleep(100_000); }
		ok(!kill(0, $pid), "round $round, the postmaster killed: process $pid has gone");
	}
	$node->{_pid} = undef;
	$node->start;
	alive();
	sane("round $round, the postmaster killed");
	busy();
}
load_ends($load);
sane('in the end');
$node->restart;
sane('after a clean restart');
is($node->safe_psql('postgres', 'SELECT count(*) FROM safeguard.migrations_running WHERE NOT abandoned'),
	'0', 'no migration counts as running');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM safeguard.findings}), '<=', 50, 'findings are bounded');

# ---------------------------------------------------------------- the file, bit by bit

my $file = $node->data_dir . '/pg_stat/safeguard.stat';
my $wrong = 0;

sub slurp_raw
{
	my ($path) = @_;
	local $/ = undef;
	open my $in, '<:raw', $path or die "cannot read $path: $!";
	return scalar <$in>;
}

for my $round (1 .. 8)
{
	$node->stop;
	my $bytes = slurp_raw($file);
	my $whole = $bytes;
	# bits, zeros, a cut: at random places
	my $how = $round % 3;
	if ($how == 0) { substr($bytes, int(rand length $bytes), 1) ^= chr(1 << int rand 8) }
	elsif ($how == 1) { $bytes = substr $bytes, 0, int(rand length $bytes) }
	else { my $at = int(rand length $bytes); substr($bytes, $at) = "\0" x (length($bytes) - $at) }
	$bytes .= "\1" if $bytes eq $whole;
	open my $out, '>:raw', $file or die "cannot write $file: $!";
	print $out $bytes;
	close $out;
	my $offset = -s $node->logfile;
	$node->start(fail_ok => 1) or $wrong++;
	$wrong++ unless slurp_file($node->logfile, $offset) =~ /safeguard\.stat/;
	$wrong++ if $node->safe_psql('postgres', $IMPOSSIBLE) ne '';
}
is($wrong, 0, 'the server starts with any damage, says so, and has no impossible figures');

# a folder, a link to nowhere, a pipe and a file of others in its place
for my $odd ('mkdir', 'ln -s /nowhere/at/all', 'ln -s /dev/zero', 'mkfifo', 'install -m 000 /dev/null')
{
	$node->stop;
	system_log("rm -rf '$file' '$file.tmp' '$file.damaged'");
	my $command = $odd eq 'mkdir' || $odd eq 'mkfifo' ? "$odd '$file'" : $odd . " '$file'";
	system_or_bail('sh', '-c', $command);
	ok($node->start(fail_ok => 1), "the server starts with '$odd' in the place of its file");
	is($node->safe_psql('postgres', $IMPOSSIBLE), '', "and has no impossible figures: $odd");
	$node->stop;
	system_log("rm -rf '$file'");
	$node->start;
}

# ---------------------------------------------------------------- no space

SKIP:
{
	my $disk = $ENV{SG_SMALL_DISK} // '';
	skip 'no small file system', 4 unless -d $disk && -w $disk;
	$node->stop;
	my $folder = $node->data_dir . '/pg_stat';
	system_or_bail('sh', '-c', "rm -rf '$disk'/* && cp -r '$folder/.' '$disk/' && rm -rf '$folder' && ln -s '$disk' '$folder'");
	$node->start;
	rejected_with($node, 'postgres', $BAD, 'on a small disk');
	my $offset = -s $node->logfile;
	system_log("head -c 2000000 /dev/zero > '$disk/filler' 2>/dev/null || true");
	$node->wait_for_log(qr/could not write file .*safeguard\.stat.*No space left on device/, $offset);
	rejected_with($node, 'postgres', $BAD, 'with a full disk');
	like($node->safe_psql('postgres', q{SELECT array_to_string(warnings, ' ') FROM safeguard.health()}),
		qr/the statistics file cannot be written/, 'health() tells');
	unlink "$disk/filler";
	$node->wait_for_log(qr/can be written again/, $offset);
	unlike($node->safe_psql('postgres', q{SELECT array_to_string(warnings, ' ') FROM safeguard.health()}),
		qr/the statistics file cannot be written/, 'and that it is over');
	$node->stop;
	system_or_bail('sh', '-c', "rm '$folder' && mkdir -m 700 '$folder' && cp -r '$disk/.' '$folder/'");
	$node->start;
}

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC:|TRAP:|terminated by signal (?:6|7|11)/, 'nobody crashed but by our hand');
done_testing();
