
# Behind PgBouncer in transaction mode the server sees the pooler's sessions.
# Their work is known by the application name of the client that has one at
# the moment; so are leaks.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Pooler;
use Protocol;
use Skips;
use Test::More;

leave_out('tap-pgbouncer', 'PgBouncer is not installed') unless Pooler->is_installed;

my $node = PostgreSQL::Test::Cluster->new('pooled');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safeguard'
max_connections = 20
log_statement = none
});
$node->start;
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION safeguard;
CREATE TABLE items (id int PRIMARY KEY, name text);
INSERT INTO items VALUES (1, 'one');
CREATE ROLE shop LOGIN;
GRANT SELECT, UPDATE ON items TO shop;
});

# PgBouncer with two server connections.
my $pooler = Pooler->start($node, 2, 'server_round_robin = 0');

my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
my $monitor = Protocol->connect(
	host => $node->host,
	port => $node->port,
	user => $superuser,
	dbname => 'postgres',
	application => 'monitor');

# Six clients share what the server sees as one or two sessions.
my $ACQUIRED = 'SELECT total_acquisitions FROM safeguard.pool_stats()';
my @clients = map { $pooler->client(application => "shop $_") } 1 .. 6;
for my $round (1 .. 3)
{
	$_->query('SELECT name FROM items') for @clients;
}
my $sessions = $monitor->rows(
	q{SELECT sum(total) FROM safeguard.pool_clients WHERE role = 'shop'});
cmp_ok($sessions, '>=', 1, 'the server sees sessions of the pooler');
cmp_ok($sessions, '<=', 2, 'not of its clients');
is($monitor->rows(q{SELECT sum(acquisitions) FROM safeguard.pool_clients WHERE role = 'shop'}),
	$sessions, 'and as many session starts');
is($monitor->rows(q{SELECT sum(idle) FROM safeguard.pool_clients WHERE role = 'shop'}),
	$sessions, 'which are idle between transactions');

# A client that holds a transaction is known by its name, even if its server
# connection has been another client's.
$clients[3]->query('BEGIN');
$clients[3]->query("UPDATE items SET name = 'x'");
is( $monitor->rows(
		q{SELECT application, role, state, last_query FROM safeguard.connection_leaks('0')}),
	'shop 4|shop|idle in transaction|UPDATE items SET name = $1',
	'a leak is the right client\'s');
is( $monitor->rows(
		q{SELECT idle_in_transaction FROM safeguard.pool_clients WHERE application = 'shop 4'}),
	1,
	'also among the groups');

# The other connection goes to a second client, and a third one waits, which
# only PgBouncer knows.
$clients[4]->query('BEGIN; SELECT 1');
$clients[5]->say(Q => "SELECT 1\0");
is( $monitor->rows(
		q{SELECT string_agg(application, ',' ORDER BY 1) FROM safeguard.connection_leaks('0')}
	),
	'shop 4,shop 5',
	'two clients hold what there is');
is( $monitor->rows(
		q{SELECT waiting, idle_in_transaction, (SELECT count(*) FROM safeguard.pool_clients
			WHERE application = 'shop 6' AND total > 0) FROM safeguard.pool_stats()}),
	'0|2|0',
	'a client that waits in PgBouncer cannot be seen');
$clients[3]->query('COMMIT');
is($clients[5]->answer->{error}, undef, 'it gets its turn');
$clients[4]->query('COMMIT');
is($monitor->rows(q{SELECT count(*) FROM safeguard.connection_leaks('0')}),
	0, 'and no leak is left');
is($monitor->rows(q{SELECT sum(acquisitions) FROM safeguard.pool_clients WHERE role = 'shop'}),
	2, 'all of that took two session starts');

# A rejected statement reaches the client through the pooler.
my $error = $clients[0]->query(q{SET safeguard.expected_rows = 5; UPDATE items SET name = 'y'})->{error};
is($error->{C}, 'SG005', 'a rejection comes through');

$_->disconnect for @clients, $monitor;
$pooler->stop;
$node->stop;
done_testing();
