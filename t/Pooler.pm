
# PgBouncer before a server of the tests, in transaction mode unless told otherwise.

package Pooler;

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use Time::HiRes qw(usleep);

# Debian keeps it where only root looks
sub path { return "$ENV{PATH}:/usr/sbin:/sbin" }

sub is_installed
{
	local $ENV{PATH} = path();
	my ($out, $err) = ('', '');
	return eval { IPC::Run::run([ 'pgbouncer', '--version' ], '>', \$out, '2>', \$err) };
}

# Its version as a number: 1.18 is 118.
sub version
{
	local $ENV{PATH} = path();
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'pgbouncer', '--version' ], '>', \$out, '2>', \$err);
	return $out =~ /(\d+)\.(\d+)/ ? 100 * $1 + $2 : 0;
}

sub write_file
{
	my ($name, $text) = @_;
	open my $fh, '>', $name or die "cannot write $name: $!";
	print $fh $text;
	close $fh;
	return $name;
}

# Starts one for the role shop and the database postgres of a node, on a socket
# of its own: pool_size server connections, further settings as text, and
# options of the database.
# Returns when it listens.  It ends with the object.
sub start
{
	my ($class, $node, $pool_size, $settings, $options) = @_;
	$options //= '';
	my $folder = PostgreSQL::Test::Utils::tempdir_short();
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $self = bless { folder => $folder, port => $port }, $class;
	my $users = write_file("$folder/users", qq{"shop" ""\n});
	my ($host, $server_port) = ($node->host, $node->port);
	my $ini = write_file("$folder/pgbouncer.ini", qq{
[databases]
postgres = host=$host port=$server_port $options
[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $folder
auth_type = trust
auth_file = $users
pool_mode = transaction
default_pool_size = $pool_size
$settings
logfile = $folder/log
pidfile = $folder/pid
});
	local $ENV{PATH} = path();
	$self->{process} = IPC::Run::start([ 'pgbouncer', '-q', $ini ],
		'<', \undef, '>', "$folder/out", '2>', "$folder/err");
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return $self if eval { $self->client->disconnect; 1 };
		usleep(100_000);
	}
	die 'PgBouncer does not listen';
}

# A client of it, with further arguments of Protocol's connect.
sub client
{
	my ($self, @rest) = @_;
	return Protocol->connect(
		host => $self->{folder},
		port => $self->{port},
		user => 'shop',
		dbname => 'postgres',
		@rest);
}

sub stop
{
	my ($self) = @_;
	(delete $self->{process})->kill_kill if $self->{process};
}

sub DESTROY { local ($@, $?); $_[0]->stop }

1;
