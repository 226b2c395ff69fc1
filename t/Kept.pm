
# Kept.pm - what the tests of kept rows share

package Kept;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw($STRAY keeping_node hold kill_session subscribe);

# tables of kept rows that belong to no label
our $STRAY = q{SELECT count(*) FROM pg_class WHERE relnamespace = 'safeguard_rows'::regnamespace
	AND relkind = 'r' AND NOT EXISTS (SELECT FROM safeguard.kept WHERE kept_table = relname)};

# A running node with safeguard preloaded: its name, what init() gets, and
# further lines of postgresql.conf.
sub keeping_node
{
	my ($name, $init, @lines) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(%$init);
	$node->append_conf('postgresql.conf', join("\n", "shared_preload_libraries = 'safeguard'", @lines) . "\n");
	$node->start;
	return $node;
}

# A session of its own that has run some SQL and stays open, and its pid.
sub hold
{
	my ($node, $sql) = @_;
	my ($in, $out, $err) = ("$sql;\nSELECT 'pid', pg_backend_pid();\n", '', '');
	my $session = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr('postgres') ],
		'<', \$in, '>', \$out, '2>', \$err,
		IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
	$session->pump until $out =~ /pid\|(\d+)/;
	return ($session, $out =~ /pid\|(\d+)/);
}

sub kill_session
{
	my ($node, $session, $pid) = @_;
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 60000)");
	eval { $session->finish };
	return;
}

# Subscribes to a publication, under the same name, and waits until the tables
# have been copied.
sub subscribe
{
	my ($publisher, $subscriber, $name, $database) = @_;
	my $connstr = $publisher->connstr($database //= 'postgres');
	$subscriber->safe_psql($database, "CREATE SUBSCRIPTION $name CONNECTION \$\$$connstr\$\$ PUBLICATION $name");
	$subscriber->poll_query_until($database,
		q{SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')});
	return;
}

1;
