
# Sessions by who holds them, leaks among them, and who may see what.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol qw(wait_until);
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('clients');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safeguard'
max_connections = 23
superuser_reserved_connections = 3
log_statement = none
});
$node->start;
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION safeguard;
CREATE TABLE items (id int PRIMARY KEY, name text);
INSERT INTO items VALUES (1, 'one');
CREATE ROLE shop LOGIN;
CREATE ROLE other LOGIN;
CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
GRANT SELECT, UPDATE ON items TO shop, other;
});

my %local = (
	host => $node->host,
	port => $node->port,
	user => $node->safe_psql('postgres', 'SELECT current_user'),
	dbname => 'postgres');

sub connection { return Protocol->connect(%local, @_) }

my $monitor = connection(application => 'monitor');

# One row per group, with what a group does at one time.
my $GROUPS = q{SELECT application, total, active, idle, idle_in_transaction, waiting,
		acquisitions, longest_idle_in_transaction IS NOT NULL, longest_transaction IS NOT NULL
	FROM safeguard.pool_clients WHERE application IN ('web', 'batch') ORDER BY 1};
my @web = map { connection(user => 'shop', application => 'web') } 1 .. 4;
my $batch = connection(user => 'other', application => 'batch');

# A session's slot is free a moment after its client has gone.
sub wait_for_available
{
	my ($n) = @_;
	return wait_until("$n slots are free", sub { $monitor->rows(
		q{SELECT available_connections FROM safeguard.pool_stats()}) == $n });
}
wait_for_available(14);
is($monitor->rows($GROUPS), "batch|1|0|1|0|0|1|f|f\nweb|4|0|4|0|0|4|f|f", 'all are idle');
$web[0]->query('BEGIN');
$web[0]->query("UPDATE items SET name = 'secret' WHERE id = 1");
$web[1]->query('BEGIN; SELECT 1/0');
$batch->say(Q => "UPDATE items SET name = 'too' WHERE id = 1\0");
my $BATCH_WAITS = q{SELECT waiting = 1 FROM safeguard.pool_clients WHERE application = 'batch'};
wait_until('one waits for a lock', sub { $monitor->rows($BATCH_WAITS) eq 't' });
is($monitor->rows($GROUPS), "batch|1|1|0|0|1|1|f|t\nweb|4|0|2|2|0|4|t|t", 'they do different things');
is( $monitor->rows(
		q{SELECT active_connections, idle_connections, idle_in_transaction, waiting,
			pool_size, available_connections, utilization FROM safeguard.pool_stats()}),
	'2|2|2|1|20|14|30',
	'pool_stats adds them up');
is( $monitor->rows(
		q{SELECT database, role, client FROM safeguard.pool_clients WHERE application = 'web'}),
	'postgres|shop|[local]',
	'who they are');

# Leaks: idle in transaction over the threshold, what works is none.
my $LEAKS = q{SELECT application, state, held >= interval '%s', transaction_age >= held, last_query
	FROM safeguard.connection_leaks(%s) ORDER BY 1, 2};
is($monitor->rows(sprintf $LEAKS, 0, ''), '', 'none for five minutes');
is($monitor->rows(sprintf $LEAKS, 0, "'1 month'"), '', 'nor for a month');
is( $monitor->rows(sprintf $LEAKS, 0, "'0'"),
	"web|idle in transaction|t|t|UPDATE items SET name = \$1 WHERE id = \$2\n"
	  . 'web|idle in transaction (aborted)|t||BEGIN; SELECT $1/$2',
	'all at once');
is($monitor->query("SELECT * FROM safeguard.connection_leaks('-1 s')")->{error}{C},
	'22023', 'a negative threshold is an error');
usleep(1_100_000);
$web[1]->query('ROLLBACK');
is( $monitor->rows(sprintf $LEAKS, '1 s', "'1 s'"),
	'web|idle in transaction|t|t|UPDATE items SET name = $1 WHERE id = $2',
	'one for a second');
$node->append_conf('postgresql.conf', 'safeguard.leak_after = 1s');
$node->reload;
wait_until('the server reloads', sub { $monitor->rows('SHOW safeguard.leak_after') eq '1s' });
is($monitor->rows(sprintf $LEAKS, '1 s', ''),
	'web|idle in transaction|t|t|UPDATE items SET name = $1 WHERE id = $2',
	'which is the default now');

# An ordinary role sees its own sessions, a monitor all of them.
my $VISIBLE = q{SELECT string_agg(DISTINCT role, ',' ORDER BY role) FROM safeguard.pool_clients};
my $VISIBLE_LEAKS = q{SELECT string_agg(role || ': ' || last_query, ',') FROM safeguard.connection_leaks('0')};
my $watcher = connection(user => 'watcher', application => 'watcher');
is($web[2]->rows($VISIBLE), 'shop', 'shop sees its own groups');
is($web[2]->rows($VISIBLE_LEAKS), 'shop: UPDATE items SET name = $1 WHERE id = $2',
	'and its own leaks');
my $stranger = connection(user => 'other', application => 'stranger');
is($stranger->rows($VISIBLE), 'other', 'another role sees its own groups');
is($stranger->rows($VISIBLE_LEAKS), '', 'and no leaks of others');
like($watcher->rows($VISIBLE), qr/other,.*shop,watcher$/, 'a monitor sees all groups');
is($watcher->rows($VISIBLE_LEAKS), 'shop: UPDATE items SET name = $1 WHERE id = $2',
	'and all leaks');
is( $stranger->rows(
		q{SELECT pool_size, idle_in_transaction, waiting, count, h.count > 0
		  FROM safeguard.pool_stats(), safeguard.pool_failures f, safeguard.acquisition_histogram h
		 WHERE f.reason = 'server full' AND le_ms = 'Infinity'} =~ s/waiting, count/waiting, f.count/r),
	'20|1|1|0|t',
	'sums are for everybody');
is( $stranger->query('SELECT safeguard.stats_reset()')->{error}{C},
	'42501', 'forgetting is not');
$web[0]->query('COMMIT');
$batch->answer;
$_->disconnect for $stranger, $batch;

# Plain idle sessions are none while there is room; then those are of which
# the whole group does nothing.
my $IDLE = q{SELECT application, count(*) FROM safeguard.connection_leaks('1 s')
	GROUP BY 1 ORDER BY 1};
wait_for_available(14);
usleep(1_200_000);
is($monitor->rows($IDLE), '', 'idle sessions are no leak while there is room');
my @sleepers = map { connection(user => 'other', application => 'asleep') } 1 .. 6;
my @busy = map { connection(user => 'other', application => 'busy') } 1 .. 6;
is($monitor->rows('SELECT utilization FROM safeguard.pool_stats()'), '90', 'now it is crowded');
is($monitor->rows(q{SELECT string_agg(application, ',') FROM safeguard.connection_leaks('1 h')}),
	'', 'nobody has been idle for an hour');
wait_until(
	'idle groups are found',
	sub {
		$busy[0]->rows('SELECT 1');
		$monitor->rows($IDLE) eq "asleep|6\nwatcher|1\nweb|4";
	});
pass('sessions of groups that do nothing are leaks, those of a busy one not');
wait_until(
	'one that works is enough for its group',
	sub {
		$sleepers[0]->rows('SELECT 1');
		$monitor->rows($IDLE) !~ /asleep/;
	});
pass('one that works is enough for its group');
$_->disconnect for @sleepers, @busy, @web, $watcher;

# Without shared memory there is no memory of session starts, but there are
# sessions.
$node->safe_psql('postgres', 'CREATE DATABASE "Grüße"');
my $foreign = connection(dbname => 'Grüße', application => 'foreign');
is($monitor->rows(q{SELECT database FROM safeguard.pool_clients WHERE application = 'foreign'}),
	'Grüße', 'a name that is not ASCII');
$foreign->disconnect;
$node->safe_psql('postgres',
	q{CREATE DATABASE latin1 ENCODING 'latin1' LOCALE 'C' TEMPLATE template0});
is( $node->safe_psql('latin1',
		q{CREATE EXTENSION safeguard; SELECT count(*) FROM safeguard.pool_clients WHERE database LIKE 'Gr%'}),
	1,
	'also from a database of another encoding');

# However many names clients come with, memory is bounded and the sum exact.
my $before = $monitor->rows('SELECT total_acquisitions FROM safeguard.pool_stats()');
for my $i (1 .. 1100)
{
	connection(application => "worker $i")->disconnect;
	wait_until('slots are free', sub { $monitor->rows(
		q{SELECT utilization < 50 FROM safeguard.pool_stats()}) eq 't' }) if $i % 8 == 0;
}
wait_for_available(19);
is( $monitor->rows(
		q{SELECT count(*) <= 1002, sum(acquisitions) = (SELECT total_acquisitions FROM safeguard.pool_stats()),
			sum(acquisitions) - } . $before . q{ FROM safeguard.pool_clients}),
	't|t|1100',
	'groups are bounded, their sum is exact');
is( $monitor->rows(
		q{SELECT acquisitions > 90, total, database IS NULL, role IS NULL FROM safeguard.pool_clients
		   WHERE application = 'other' AND role IS NULL}),
	't|0|t|t',
	'the rest are others');
my $SUM = q{SELECT sum(acquisitions) FROM safeguard.pool_clients};
my $sum = $monitor->rows($SUM);
$monitor->disconnect;

$node->restart;
$monitor = connection(application => 'monitor');
is($monitor->rows($SUM), $sum + 1, 'all of it survives');

# What needs shared memory says so, the rest works without.
$monitor->disconnect;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
$monitor = connection(application => 'monitor');
for my $what ('pool_stats()', 'pool_history', 'pool_failures', 'acquisition_histogram')
{
	is($monitor->query("SELECT * FROM safeguard.$what")->{error}{C},
		'55000', "$what needs shared memory");
}
is($monitor->rows('SELECT application, total, acquisitions FROM safeguard.pool_clients'),
	'monitor|1|', 'pool_clients does not');
my $leak = connection(application => 'leak');
$leak->query('BEGIN');
is($monitor->rows(q{SELECT application FROM safeguard.connection_leaks('0')}),
	'leak', 'nor does connection_leaks');
$leak->disconnect;
$monitor->disconnect;

$node->stop;
done_testing();
