
# Session starts and refusals are counted exactly, each refusal by its reason,
# and the figures survive a restart.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol qw(wait_until);
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('pool');
$node->init(allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safeguard'
max_connections = 20
superuser_reserved_connections = 3
safeguard.sample_interval = 1s
safeguard.history_size = 10
});
unlink $node->data_dir . '/pg_hba.conf';
$node->append_conf(
	'pg_hba.conf', q{
local all,replication +scram scram-sha-256
local all rejected reject
local all other_os peer
local all,replication all trust
});
$node->start;
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION safeguard;
SET password_encryption = 'scram-sha-256';
CREATE ROLE scram;
CREATE ROLE with_password LOGIN PASSWORD 'right' IN ROLE scram;
CREATE ROLE rejected LOGIN;
CREATE ROLE other_os LOGIN;
CREATE ROLE no_login;
CREATE ROLE plain LOGIN;
CREATE ROLE limited LOGIN CONNECTION LIMIT 1;
CREATE DATABASE small CONNECTION LIMIT 1;
CREATE DATABASE closed ALLOW_CONNECTIONS false;
CREATE DATABASE private;
REVOKE CONNECT ON DATABASE private FROM PUBLIC;
});

my %local = (
	host => $node->host,
	port => $node->port,
	user => $node->safe_psql('postgres', 'SELECT current_user'),
	dbname => 'postgres');

sub connection { return Protocol->connect(%local, @_) }

# One session that looks, so that looking starts none.
my $monitor = connection(application => 'monitor');

sub acquisitions
{
	return $monitor->rows('SELECT total_acquisitions FROM safeguard.pool_stats()');
}

sub refused
{
	my ($reason) = @_;
	return $monitor->rows(
		"SELECT count FROM safeguard.pool_failures WHERE reason = '$reason'");
}

sub all_refused
{
	return $monitor->rows('SELECT sum(count) FROM safeguard.pool_failures');
}

# A session's slot is free a moment after it has ended.
sub wait_for_sessions
{
	my ($n) = @_;
	wait_until(
		"$n sessions are left",
		sub {
			$monitor->rows(q{SELECT pool_size - available_connections
				FROM safeguard.pool_stats()}) == $n;
		});
}

# Tries to get a session with psql; returns what psql says.
sub try_psql
{
	my ($connstr, %env) = @_;
	local @ENV{ keys %env } = values %env;
	my ($out, $err) = ('', '');
	IPC::Run::run(
		[
			'psql', '-Xwq', '-d', $node->connstr('postgres') . " $connstr",
			'-c', 'SELECT 1'
		],
		'>', \$out, '2>', \$err);
	return $err;
}

# Every reason has its row before anything has failed.
wait_for_sessions(1);
is($monitor->rows('SELECT count(*), sum(count), count(last_seen) FROM safeguard.pool_failures'),
	'14|0|0', 'every reason is a row, with none counted');

# 50 sessions and 30 refusals on a server with 20 connections.
my $before = acquisitions();
my @held = map { connection() } 1 .. 19;
is(acquisitions() - $before, 19, '19 sessions are 19');
is( $monitor->rows(
		'SELECT available_connections, round(utilization) FROM safeguard.pool_stats()'),
	'0|118',
	'nothing is left of 17 slots, the reserved ones included');
my $said = 0;
for (1 .. 30)
{
	$said++ if !eval { connection(); 1 } && $@ =~ /too many clients/;
}
is($said, 30, '30 clients were refused');
is(refused('server full'), 30, 'and 30 are counted');
is(all_refused(), 30, 'for no other reason');
is( $monitor->rows(
		'SELECT acquisition_failures, exhaustion_events FROM safeguard.pool_stats()'),
	'30|30',
	'in pool_stats, too');
$_->disconnect for @held;
wait_for_sessions(1);
for my $i (1 .. 31)
{
	connection()->disconnect;
	wait_for_sessions(1) if $i % 10 == 0;
}
is(acquisitions() - $before, 50, '50 sessions are counted');
is(all_refused(), 30, 'refusals are still 30');
wait_for_sessions(1);

# A storm: 30 clients at once, and what they were told adds up to what is
# counted.
$before = acquisitions();
my $failed_before = all_refused();
my @storm;
for my $child (1 .. 30)
{
	pipe my $read, my $write or die "no pipe: $!";
	my $pid = fork // die "no fork: $!";
	if ($pid == 0)
	{
		my ($in, $out) = (0, 0);
		for (1 .. 10)
		{
			my $client = eval { connection() };
			$client ? $in++ : $out++;
			usleep(50_000);
			$client->disconnect if $client;
		}
		syswrite $write, "$in $out\n";
		require POSIX;
		POSIX::_exit(0);
	}
	close $write;
	push @storm, [ $pid, $read ];
}
my ($let_in, $turned_away) = (0, 0);
for my $child (@storm)
{
	my ($pid, $read) = @$child;
	my ($in, $out) = split ' ', <$read>;
	$let_in += $in;
	$turned_away += $out;
	waitpid $pid, 0;
}
is($let_in + $turned_away, 300, '300 clients have tried');
is(acquisitions() - $before, $let_in, 'those that got in are counted');
is(all_refused() - $failed_before, $turned_away, 'and those that did not');
note "$let_in sessions, $turned_away refused";
wait_for_sessions(1);

# What is no client's session.
my $refusals = all_refused();
$before = acquisitions();
$node->safe_psql('postgres', 'IDENTIFY_SYSTEM', replication => 'database');
my $cancel = Protocol->dial(%local);
syswrite $cancel->{socket}, pack 'N4', 16, 80877102, 1, 1;
sysread $cancel->{socket}, my $nothing, 1;
is(acquisitions(), $before, 'replication and cancel requests are no sessions');
is(all_refused(), $refusals, 'nor refusals');

# Each reason for real.
sub is_refused
{
	my ($reason, $message, $try) = @_;
	my $all = all_refused();
	my $one = refused($reason);
	my $started = acquisitions();

	like($try->(), $message, "$reason: the client is told");

	# who leaves by himself is gone before the server knows
	wait_until("$reason is counted", sub { refused($reason) > $one })
	  if $reason eq 'client gave up';
	is(refused($reason) - $one, 1, "$reason: counted once");
	is(all_refused() - $all, 1, "$reason: and nowhere else");
	is(acquisitions(), $started, "$reason: no session has started");
	return;
}

is_refused('bad password', qr/password authentication failed/,
	sub { try_psql('user=with_password', PGPASSWORD => 'wrong') });
is_refused('client gave up', qr/no password supplied/,
	sub { try_psql('user=with_password') });
is_refused('rejected by pg_hba', qr/pg_hba.conf rejects connection/,
	sub { try_psql('user=rejected') });
is_refused('authentication failed', qr/Peer authentication failed/,
	sub { try_psql('user=other_os') });
is_refused('no such role', qr/role "nobody" does not exist/,
	sub { try_psql('user=nobody') });
is_refused('no such database', qr/database "nowhere" does not exist/,
	sub { try_psql('dbname=nowhere') });
is_refused('no permission', qr/is not permitted to log in/,
	sub { try_psql('user=no_login') });
is_refused('no permission', qr/permission denied for database/,
	sub { try_psql('user=plain dbname=private') });
is_refused('no permission', qr/not currently accepting connections/,
	sub { try_psql('dbname=closed') });
is_refused('other', qr/invalid value for parameter/,
	sub { try_psql('', PGOPTIONS => '-c work_mem=no') });

my $one = connection(user => 'limited');
is_refused('role limit', qr/too many connections for role/,
	sub { try_psql('user=limited') });
$one->disconnect;
$one = connection(user => 'plain', dbname => 'small');
is_refused('database limit', qr/too many connections for database/,
	sub { try_psql('user=plain dbname=small') });
$one->disconnect;
wait_for_sessions(1);

@held = map { connection() } 1 .. 16;
is_refused('reserved slots', qr/connection slots are reserved/,
	sub { try_psql('user=plain') });
push @held, connection();
ok($held[-1]->rows('SELECT 1'), 'a superuser gets a reserved slot');
$_->disconnect for @held;
wait_for_sessions(1);

# A client that stops in the middle of authentication, and one that never says
# a word: that one has no slot yet, and the server drops it in silence.
sub set_authentication_timeout
{
	my ($value) = @_;
	$node->append_conf('postgresql.conf', "authentication_timeout = $value");
	$node->reload;
	wait_until('the server reloads',
		sub { $monitor->rows('SHOW authentication_timeout') eq $value });
	return;
}

# long enough for a slow machine to ask for the password
set_authentication_timeout('5s');
my $mute = Protocol->dial(%local);
is_refused(
	'start-up timeout',
	qr/timeout/,
	sub {
		my $half = Protocol->dial(%local)->hello(%local, user => 'with_password');
		my ($length) = unpack 'x N', $half->_read(5);    # asks for the password
		$half->_read($length - 4);
		return 'timeout' if !defined eval { $half->_read(1) };
	});
ok(!eval { $mute->_read(1) }, 'a client that says nothing is dropped');
is(refused('start-up timeout'), 1, 'which nobody can count');
set_authentication_timeout('2min');
is( $monitor->rows(
		q{SELECT acquisition_failures - exhaustion_events, exhaustion_events - f.count
		  FROM safeguard.pool_stats(), safeguard.pool_failures f WHERE reason = 'server full'}),
	'1|3',
	'limits and time-outs are failures of the pool, passwords are not');

# The same codes inside of a session are no refusals.
$refusals = all_refused();
for my $code (qw(53300 28P01 28000 57014 3D000 42501 57P03))
{
	my $error = $monitor->query(
		"DO \$\$BEGIN RAISE 'too many connections for role' USING ERRCODE = '$code'; END\$\$")
	  ->{error};
	is($error->{C}, $code, "an error $code in a session");
}
is(all_refused(), $refusals, 'is no refusal');

# Times: the histogram is cumulative, and its last bucket is the number of
# sessions.
is( $monitor->rows(
		q{SELECT count(*), bool_and(count >= before), max(le_ms),
			max(count) = (SELECT total_acquisitions FROM safeguard.pool_stats())
		  FROM (SELECT le_ms, count, lag(count, 1, 0::bigint) OVER (ORDER BY le_ms) AS before
				  FROM safeguard.acquisition_histogram) h}),
	'16|t|Infinity|t',
	'the histogram sums up');
is( $monitor->rows(
		q{SELECT avg_acquisition_ms > 0, max_acquisition_ms >= avg_acquisition_ms,
			EXISTS (SELECT FROM safeguard.acquisition_histogram h
					 WHERE h.count = s.total_acquisitions AND h.le_ms >= s.max_acquisition_ms)
		  FROM safeguard.pool_stats() s}),
	't|t|t',
	'average and maximum are possible ones');

# Timeouts, and their look-alikes.
sub timeouts { return $monitor->rows('SELECT timeouts FROM safeguard.pool_stats()') }
my $timeouts = timeouts();
my $session = connection();
$session->query('SELECT 1/0');
$session->query('CREATE TABLE taken (a int)');
$session->query('BEGIN; LOCK TABLE taken');
my $waiter = connection();
my $error = $waiter->query('BEGIN; LOCK TABLE taken NOWAIT')->{error};
$waiter->query('ROLLBACK');
is($error->{C}, '55P03', 'NOWAIT fails');
my $sleeper = connection();
my $pid = $sleeper->rows('SELECT pg_backend_pid()');
$sleeper->say(Q => "SELECT pg_sleep(600)\0");
wait_until('it sleeps', sub { $monitor->rows("SELECT pg_cancel_backend($pid)
	FROM pg_stat_activity WHERE pid = $pid AND wait_event = 'PgSleep'") });
is($sleeper->answer->{error}{C}, '57014', 'a statement is cancelled');
is(timeouts(), $timeouts, 'these are no timeouts');
$error = $waiter->query("BEGIN; SET LOCAL lock_timeout = '10ms'; LOCK TABLE taken")->{error};
$waiter->query('ROLLBACK');
is($error->{C}, '55P03', 'a lock_timeout');
is(timeouts(), $timeouts + 1, 'is one');
$error = $waiter->query("SET statement_timeout = '10ms'; SELECT pg_sleep(600)")->{error};
is($error->{C}, '57014', 'a statement_timeout');
is(timeouts(), $timeouts + 2, 'is one');
$waiter->query("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = '10ms'; BEGIN");
is($waiter->answer->{error}{C}, '25P03', 'an idle_in_transaction_session_timeout');
is(timeouts(), $timeouts + 3, 'is one');
$sleeper->query("SET idle_session_timeout = '10ms'");
is($sleeper->answer->{error}{C}, '57P05', 'an idle_session_timeout');
is(timeouts(), $timeouts + 4, 'is one');
is($monitor->rows('SELECT error_rate > 0 AND error_rate <= 100 FROM safeguard.pool_stats()'),
	't', 'errors have a rate');
my $rate = 'SELECT error_rate FROM safeguard.pool_stats()';
$session->query('ROLLBACK; SET safeguard.track_queries = off');
my $known = $monitor->rows($rate);
$session->query('SELECT 1/0') for 1 .. 100;
cmp_ok($monitor->rows($rate), '<=', $known,
	'errors are left out where statements are');
$session->disconnect;
wait_for_sessions(1);

# The switch.
$before = acquisitions();
$refusals = all_refused();
$node->append_conf('postgresql.conf', 'safeguard.track_pool = off');
$node->reload;
wait_until('the server reloads',
	sub { $monitor->rows('SHOW safeguard.track_pool') eq 'off' });
connection()->disconnect;
try_psql('user=nobody');
is(acquisitions(), $before, 'no session is counted with track_pool = off');
is(all_refused(), $refusals, 'no refusal either');
is($monitor->rows('SELECT active_connections FROM safeguard.pool_stats()'), '1',
	'what happens now is still shown');
$node->append_conf('postgresql.conf', 'safeguard.track_pool = on');
$node->reload;
wait_until('the server reloads',
	sub { $monitor->rows('SHOW safeguard.track_pool') eq 'on' });

# The ring of samples.
wait_until('the ring is full',
	sub { $monitor->rows('SELECT count(*) FROM safeguard.pool_history') == 10 });
my $first = $monitor->rows('SELECT min(ts) FROM safeguard.pool_history');
wait_until('it turns',
	sub { $monitor->rows('SELECT min(ts) FROM safeguard.pool_history') ne $first });
is($monitor->rows('SELECT count(*) FROM safeguard.pool_history'),
	10, 'the ring keeps its size');
is( $monitor->rows(
		q{SELECT bool_and(ts > before), bool_and(total_acquisitions <= now),
			bool_and(pool_size = 17 AND available_connections BETWEEN 0 AND 17)
		  FROM (SELECT *, lag(ts, 1, '-infinity') OVER () AS before,
					(SELECT total_acquisitions FROM safeguard.pool_stats()) AS now
				  FROM safeguard.pool_history) h}),
	't|t|t',
	'samples are in order and possible ones');
# a sample may come in between
is( $monitor->rows(
		q{SELECT count(*) FILTER (WHERE h.ts = last.ts), count(*) FILTER (WHERE h.ts < last.ts)
		  FROM (SELECT max(ts) AS ts FROM safeguard.pool_history) last, safeguard.pool_history(last.ts) h}),
	'1|0',
	'the last sample, and nothing before');

# However long the restart below takes, the ring does not turn meanwhile.
$node->append_conf('postgresql.conf', 'safeguard.sample_interval = 1h');
$node->reload;
wait_until('the server reloads',
	sub { $monitor->rows('SHOW safeguard.sample_interval') eq '1h' });

# While the server waits for its last session to end, nobody gets in.
$node->command_ok([ 'pg_ctl', '-D', $node->data_dir, '-m', 'smart', '-W', 'stop' ],
	'smart stop');
wait_until('the server refuses',
	sub { !eval { connection()->disconnect; 1 } });
cmp_ok(refused('not accepting'), '>=', 1, 'not accepting: counted');

# All of it survives.
my $KEPT = q{SELECT count, last_seen FROM safeguard.pool_failures ORDER BY reason};
my $CLIENTS = q{SELECT role, application, acquisitions FROM safeguard.pool_clients
	WHERE application <> 'monitor' ORDER BY 1, 2, 3};
my $OLDEST = q{SELECT max(ts) FROM safeguard.pool_history WHERE ts < '%s'};
my $kept = $monitor->rows($KEPT);
my $clients = $monitor->rows($CLIENTS);
$before = acquisitions();
my $newest = $monitor->rows('SELECT max(ts) FROM safeguard.pool_history');
$timeouts = timeouts();
$monitor->disconnect;
wait_until('the server is down', sub { !-e $node->data_dir . '/postmaster.pid' });
$node->_update_pid(0);
$node->start;
$monitor = connection(application => 'monitor');
is($monitor->rows($KEPT), $kept, 'refusals are kept');
is($monitor->rows($CLIENTS), $clients, 'groups of clients are kept');
is(acquisitions(), $before + 1, 'session starts are kept');
is(timeouts(), $timeouts, 'timeouts are kept');
is($monitor->rows("SELECT count(*) FROM safeguard.pool_history WHERE ts = '$newest'"),
	1, 'so are the samples');
is( $monitor->rows(
		'SELECT max(count) = (SELECT total_acquisitions FROM safeguard.pool_stats()) FROM safeguard.acquisition_histogram'),
	't',
	'and the histogram');

# Forgotten on request.
$monitor->rows('SELECT safeguard.stats_reset()');
is( $monitor->rows(
		q{SELECT total_acquisitions, acquisition_failures, timeouts, exhaustion_events,
			error_rate, max_acquisition_ms FROM safeguard.pool_stats()}),
	'0|0|0|0|0|0',
	'all is forgotten');
is(all_refused(), 0, 'refusals, too');
connection()->disconnect;
is(acquisitions(), 1, 'and counting goes on');

$monitor->disconnect;
$node->stop;
done_testing();
