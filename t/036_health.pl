# safeguard.health(): each warning is made to appear for real, and beside it
# what looks like it and must stay healthy.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use BrokenPipe;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $HEALTH = 'SELECT status, array_to_string(warnings, E\'\n\') FROM safeguard.health()';

# 20 connections, 3 of them reserved: a pool of 17
my $node = PostgreSQL::Test::Cluster->new('health');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safeguard'
max_connections = 20
superuser_reserved_connections = 3
autovacuum = off
safeguard.sample_interval = 1s
safeguard.critical_for = 3s
safeguard.acquisition_warning_ms = 10min
});
$node->start;
$node->safe_psql('postgres',
	'CREATE EXTENSION safeguard; CREATE ROLE app LOGIN; CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher');

sub as
{
	my ($role, $sql) = @_;
	my ($rc, $out, $err) =
	  $node->psql('postgres', $sql, extra_params => [ '-U', $role ]);
	return $rc == 0 ? $out : $err;
}

# (status, warnings that are no advice, advice)
sub health
{
	my ($role) = @_;
	my $out = defined $role ? as($role, $HEALTH) : $node->safe_psql('postgres', $HEALTH);
	my ($status, $rest) = split /\|/, $out, 2;
	my @lines = split /\n/, $rest // '';
	return ($status,
		join("\n", grep { !/^advice: / } @lines),
		join("\n", grep { /^advice: / } @lines));
}

sub healthy
{
	my ($what) = @_;
	my ($status, $warnings) = health();
	is("$status $warnings", 'healthy ', $what);
	return;
}

sub wait_for_status
{
	my ($status, $what) = @_;
	ok( $node->poll_query_until(
			'postgres', "SELECT status = '$status' FROM safeguard.health()"),
		$what);
	return health();
}

my $configured = 0;

sub configure
{
	my (@settings) = @_;
	$configured++;
	$node->append_conf('postgresql.conf', "$_\n")
	  for @settings, "test.configured = $configured";
	$node->reload;
	$node->poll_query_until('postgres',
		"SELECT current_setting('test.configured', true) = '$configured'");
	return;
}

# forgets what the test has counted up to now, samples included
sub forget
{
	$node->safe_psql('postgres', 'SELECT safeguard.stats_reset()');
	$node->poll_query_until('postgres',
		'SELECT count(*) > 0 FROM safeguard.pool_history');
	return;
}

# ---- an idle server

my ($status, $warnings, $advice) = health();
is($status, 'healthy', 'an idle server is healthy');
is($warnings, '', 'with nothing but advice');
like($advice, qr/idle_in_transaction_session_timeout is not set for .*ALTER SYSTEM SET/,
	'which says what lets requests hang, and what to set');
unlike($advice, qr/lock_timeout/, 'nobody runs DDL yet');
ok($node->safe_psql('postgres', 'SELECT utilization BETWEEN 1 AND 30 FROM safeguard.health()') eq 't',
	'utilization is that of the sessions there are');

# ---- missing timeouts

$node->safe_psql('postgres',
	'CREATE SCHEMA s AUTHORIZATION app; SET ROLE app; CREATE TABLE s.t (id int)');
(undef, undef, $advice) = health();
like($advice, qr/lock_timeout is not set for roles that may log in and own tables here: 1 \(app\)/,
	'a role that owns a table runs DDL');
($status, undef, $advice) = health('watcher');
is($status, 'healthy', 'pg_monitor sees the same status');
like($advice, qr/\(app\)/, 'and the names');
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN');
($status, undef, $advice) = health('stranger');
is($status, 'healthy', 'so does an ordinary role');
unlike($advice, qr/is not set for roles .*own tables here|: \d\d+/, 'but neither number nor names of others');
like($advice, qr/idle_in_transaction_session_timeout is not set for roles that may log in: 1 \(stranger\)/,
	'only its own');
$node->safe_psql('postgres', q{ALTER ROLE app SET lock_timeout = '5s'});
(undef, undef, $advice) = health();
unlike($advice, qr/lock_timeout/, 'a setting of the role is one');
$node->safe_psql('postgres', q{ALTER ROLE app RESET lock_timeout; ALTER DATABASE postgres SET lock_timeout = '5s'});
(undef, undef, $advice) = health();
unlike($advice, qr/lock_timeout/, 'so is one of the database');
$node->safe_psql('postgres', q{ALTER DATABASE postgres RESET lock_timeout});
configure(q{lock_timeout = '5s'}, q{idle_in_transaction_session_timeout = '10min'});
is(join('|', health()), 'healthy||', 'with all timeouts set there is nothing to say');
is(join('|', health('app')), 'healthy||', 'to an ordinary role neither');

# ---- utilization: degraded at once, critical only when it lasts

# A session is counted a moment longer than its client runs.  Who looks opens
# one, too: there may be one more than $n.
sub settle
{
	my ($n) = @_;
	$node->poll_query_until('postgres',
		"SELECT pool_size - available_connections <= $n FROM safeguard.pool_stats()");
	return;
}

my @sessions;
sub open_sessions
{
	my ($n) = @_;
	push @sessions, $node->background_psql('postgres') for 1 .. $n;
	return;
}
sub close_sessions
{
	$_->quit for splice @sessions;
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend'});
	return;
}

configure(q{safeguard.critical_for = '1h'});
open_sessions(11);
settle(12);
healthy('12 of 17 connections are healthy');
open_sessions(3);
settle(15);
($status, $warnings) = health();
is($status, 'degraded', '15 of 17 connections are not');
like($warnings, qr/^utilization is (?:88\.2|94\.1) %, over 80 %; see safeguard\.pool_clients/,
	'and it says where to look');
open_sessions(2);
$node->poll_query_until('postgres',
	'SELECT count(*) > 5 FROM safeguard.pool_history WHERE utilization > 90');
($status, $warnings) = health();
is($status, 'degraded', 'more than 90 % for less than critical_for are not critical');
configure(q{safeguard.critical_for = '3s'});
($status, $warnings) = wait_for_status('critical', 'they are when they have lasted');
like($warnings, qr/^utilization is 1\d\d\.\d %, over 90 % for \d+ s; close idle sessions/,
	'and it says for how long');
is((health('app'))[0], 'critical', 'to an ordinary role, too');

# a break starts the time anew
pop(@sessions)->quit for 1 .. 8;
configure(q{safeguard.critical_for = '1h'});
$node->poll_query_until('postgres',
	'SELECT utilization < 60 FROM safeguard.pool_history ORDER BY ts DESC LIMIT 1');
configure(q{safeguard.critical_for = '3s'});
open_sessions(8);
my $since = $node->safe_psql('postgres', q{
	SELECT h.status, p.over >= 3
	  FROM (SELECT * FROM safeguard.health()) h,
		   (SELECT extract(epoch FROM now() - max(ts)) AS over FROM safeguard.pool_history WHERE utilization <= 90) p});
ok($since eq 'degraded|f' || $since =~ /\|t$/, 'after a break the time begins anew')
  or diag $since;
wait_for_status('critical', 'until it has passed');

# ---- refused connections

# the seventeenth session takes the last slot that is not reserved
forget();
open_sessions(1);
sub refused
{
	my ($n) = @_;
	as('app', 'SELECT 1') for 1 .. $n;
	return;
}
configure(q{safeguard.critical_for = '1h'});
refused(10);
(undef, $warnings) = health();
unlike($warnings, qr/refused/, '10 refused connections in a minute are no alarm');
like($warnings, qr/^utilization/, 'while the pool is full');
refused(1);
($status, $warnings) = health();
is($status, 'critical', '11 are');
like($warnings, qr/^connections refused in the last minute: 11, more than 10; see safeguard\.pool_failures/m,
	'and it says how many');
close_sessions();
is((health())[0], 'critical', 'although the pool is free again');
forget();
healthy('forgotten with the figures');
$node->psql('no_such_database', 'SELECT 1') for 1 .. 12;
healthy('connections refused for other reasons do not count');

# ---- timeouts

sub time_out
{
	my ($n) = @_;
	$node->psql('postgres', q{SET statement_timeout = '1ms'; SELECT pg_sleep(10)}) for 1 .. $n;
	return;
}
time_out(5);
healthy('5 timeouts in a minute are healthy');
time_out(1);
($status, $warnings) = health();
is($status, 'critical', '6 are not');
like($warnings, qr/^timeouts in the last minute: 6, more than 5; see the server log/, 'and it says so');
forget();
my $cancelled = $node->background_psql('postgres', on_error_stop => 0);
for (1 .. 6)
{
	$cancelled->query_until(qr/sleeps/, "\\echo sleeps\nSELECT pg_sleep(180);\n");
	$node->poll_query_until('postgres',
		q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(180)%' AND state = 'active'});
}
$cancelled->quit;
healthy('statements that a user cancels are no timeouts');

# ---- slow statements

# on a slow machine any statement may be a slow one: those that look are left out
sub slow
{
	local $ENV{PGOPTIONS} = '-c safeguard.track_queries=auto';
	$node->safe_psql('postgres', 'SELECT pg_sleep(0.02)');
	return;
}
{
	local $ENV{PGOPTIONS} = '-c safeguard.track_queries=off';
	configure(q{safeguard.slow_query_ms = 5}, q{safeguard.slow_queries_per_hour = 2});
	forget();
	slow() for 1 .. 2;
	healthy('2 slow statements are healthy where 2 are allowed');
	slow();
	($status, $warnings) = health();
	is($status, 'degraded', '3 are not');
	like($warnings, qr/^statements slower than 5ms in the last hour: 3, more than 2; see safeguard\.slow_queries\(\)/,
		'and it says so');
}
configure(q{safeguard.slow_query_ms = 1000}, q{safeguard.slow_queries_per_hour = 50});

# ---- time to connect

forget();
configure(q{safeguard.acquisition_warning_ms = 0});
$node->safe_psql('postgres', 'SELECT 1') for 1 .. 6;
($status, $warnings) = health();
is($status, 'degraded', 'sessions that take longer to start than they may');
like($warnings, qr/^setting up a session took [0-9.]+ ms on average in the last 5 minutes, over 0 ms; reuse connections/,
	'are told of');
configure(q{safeguard.acquisition_warning_ms = '10min'});
healthy('sessions that start in time are healthy');

# ---- leaks

configure(q{safeguard.leak_after = '1s'}, q{idle_in_transaction_session_timeout = 0});
my $leak = $node->background_psql('postgres', extra_params => [ '-U', 'app' ]);
$leak->query_safe('SELECT 1');
my $busy = $node->background_psql('postgres');
$busy->query_until(qr/works/, "\\echo works\nBEGIN; SELECT pg_sleep(180);\n");
$node->poll_query_until('postgres',
	q{SELECT min(now() - state_change) > '2s' FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()});
healthy('idle sessions and long statements are no leaks');
$leak->query_safe('BEGIN');
($status, $warnings) = wait_for_status('degraded', 'a session idle in its transaction is');
like($warnings, qr/^sessions that hold a connection without work for more than 1 s: 1; see safeguard\.connection_leaks\(\)/,
	'and it says so');
is(join('|', (health('stranger'))[0, 1]), "degraded|$warnings", 'to an ordinary role, too');
$leak->query_safe('COMMIT');
healthy('until its transaction ends');
configure(q{safeguard.leak_after = '1h'}, q{idle_in_transaction_session_timeout = '10min'});

# ---- sessions behind one that holds a lock

$leak->query_safe(q{SET application_name = 'batch'; BEGIN; LOCK TABLE s.t});
healthy('a lock that nobody waits for is healthy');
my @waiters = map { $node->background_psql('postgres') } 1 .. 3;
$_->query_until(qr/waits/, "\\echo waits\nSET lock_timeout = 0; BEGIN; LOCK TABLE s.t;\n") for @waiters;
$node->poll_query_until('postgres', 'SELECT waiting = 3 FROM safeguard.pool_stats()');
my $pid = $node->safe_psql('postgres',
	q{SELECT pid FROM pg_stat_activity WHERE application_name = 'batch'});
($status, $warnings, $advice) = health('watcher');
is("$status $warnings", 'healthy ', 'a short wait is healthy');
like($advice, qr/^advice: sessions that wait for locks behind process $pid \(role app, application "batch", idle in transaction\): 3, the longest for \d+ s; let it end/,
	'the blocker is named');
(undef, undef, $advice) = health('stranger');
like($advice, qr/behind process $pid: 3,/, 'to an ordinary role by its number only');
configure(q{safeguard.leak_after = '1s'});
ok( $node->poll_query_until(
		'postgres',
		qq{SELECT h.status = 'degraded' AND count(*) = 1
			 FROM safeguard.health() h, unnest(h.warnings) w
			WHERE w LIKE 'sessions that wait for locks behind process $pid %' GROUP BY h.status}),
	'sessions that wait for longer than leak_after are not');
$leak->query_safe('COMMIT');
$node->safe_psql('postgres',
	q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()});
$_->{run}->finish for $leak, $busy, @waiters;
healthy('when they are gone it is healthy again');

# ---- no figures

# a collector that stands still leaves a hole
configure(q{safeguard.leak_after = '1h'}, q{safeguard.critical_for = '3s'});
open_sessions(16);
wait_for_status('critical', 'utilization is critical');
my $collector = $node->safe_psql('postgres',
	q{SELECT substring(detail FROM 'Process ([0-9]+)') FROM safeguard.status() WHERE item = 'collector'});
kill 'STOP', $collector;
$node->poll_query_until('postgres',
	q{SELECT count(*) > 0 FROM safeguard.health() h, unnest(h.warnings) w WHERE w LIKE 'advice: no sample of the pool for %; see item "collector"%'});
is((health())[0], 'degraded', 'in a hole of the history nobody knows whether it lasts');
kill 'CONT', $collector;
wait_for_status('critical', 'until it has lasted again');
close_sessions();

configure(q{safeguard.track_pool = off});
($status, $warnings, $advice) = health();
is("$status $warnings", 'healthy ', 'a pool that is not tracked is not judged');
like($advice, qr/safeguard\.track_pool is off/, 'and this is said');
configure(q{safeguard.track_pool = on});
healthy('tracked again');

# ---- a server whose history is shorter than the windows

forget();
$node->restart;
healthy('healthy right after a start');

$node->stop;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = ''
session_preload_libraries = 'safeguard'
});
$node->start;
foreach my $function ('health', 'metrics')
{
	my (undef, undef, $err) =
	  $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT * FROM safeguard.$function()");
	like($err, qr/ERROR:  55000: safeguard must be loaded via "shared_preload_libraries".*HINT:  /s,
		"$function() says what it needs");
}
$node->append_conf('postgresql.conf', q{session_preload_libraries = ''});
$node->restart;
foreach my $function ('health', 'metrics')
{
	my (undef, undef, $err) =
	  $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT * FROM safeguard.$function()");
	like($err, qr/ERROR:  55000: /, "$function() does, where the library was not loaded yet");
}
$node->stop;

done_testing();
