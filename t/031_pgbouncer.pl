
# Behind PgBouncer in transaction mode the server sees the pooler's sessions.
# Their work is known by the application name of the client that has one at
# the moment; so are leaks.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use Test::More;
use Time::HiRes qw(usleep);

local $ENV{PATH} = "$ENV{PATH}:/usr/sbin:/sbin";
my ($out, $err) = ('', '');
if (!eval { IPC::Run::run([ 'pgbouncer', '--version' ], '>', \$out, '2>', \$err) })
{
	plan skip_all => 'PgBouncer is not installed';
}

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

# PgBouncer with two server connections, on a socket of its own.
my $folder = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();

sub write_file
{
	my ($name, $text) = @_;
	open my $fh, '>', "$folder/$name" or die "cannot write $name: $!";
	print $fh $text;
	close $fh;
	return "$folder/$name";
}

my $users = write_file('users', qq{"shop" ""\n});
my $host = $node->host;
my $server_port = $node->port;
my $ini = write_file('pgbouncer.ini', qq{
[databases]
postgres = host=$host port=$server_port
[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $folder
auth_type = trust
auth_file = $users
pool_mode = transaction
default_pool_size = 2
server_round_robin = 0
logfile = $folder/log
pidfile = $folder/pid
});
my $pgbouncer = IPC::Run::start([ 'pgbouncer', '-q', $ini ],
	'<', \undef, '>', "$folder/out", '2>', "$folder/err");
END { $pgbouncer->kill_kill if defined $pgbouncer }

my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
my $monitor = Protocol->connect(
	host => $host,
	port => $server_port,
	user => $superuser,
	dbname => 'postgres',
	application => 'monitor');

sub wait_until
{
	my ($what, $done) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $done->();
		usleep(100_000);
	}
	die "waited in vain until $what";
}

sub client
{
	return Protocol->connect(
		host => $folder,
		port => $port,
		user => 'shop',
		dbname => 'postgres',
		application => $_[0]);
}

wait_until('PgBouncer listens', sub { eval { client('first')->disconnect; 1 } });

# Six clients share what the server sees as one or two sessions.
my $ACQUIRED = 'SELECT total_acquisitions FROM safeguard.pool_stats()';
my @clients = map { client("shop $_") } 1 .. 6;
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
$pgbouncer->signal('INT');
$pgbouncer->finish;
undef $pgbouncer;
$node->stop;
done_testing();
