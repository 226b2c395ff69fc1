
# Findings are counted right when 20 clients make them at the same time, and
# what one session did is seen by another at once.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $CLIENTS = 20;
my $EACH = 25;

my $node = incident_node('clients');

# A rejection in one session is visible in another that is older than it.
my $watcher = $node->background_psql('postgres');
is(scalar $watcher->query('SELECT count(*) FROM safeguard.findings'),
	'0', 'nothing found yet');
rejected_with($node, 'postgres', $BAD, 'one session is rejected');
is( scalar $watcher->query(
		'SELECT rule, relation, calls, rejected FROM safeguard.findings'),
	'composite_key|public.point_info|1|1',
	'another session sees it');

# Rejections: every statement is an error, each client goes on after it.
$node->safe_psql('postgres', 'SELECT safeguard.findings_reset()');
is(scalar $watcher->query('SELECT count(*) FROM safeguard.findings'),
	'0', 'findings_reset() empties it for all');

my $script = "$BAD;\n" x $EACH;
my @clients;
for my $i (1 .. $CLIENTS)
{
	my ($in, $out, $err) = ($script, '', '');
	push @clients,
	  {
		out => \$out,
		err => \$err,
		run => IPC::Run::start(
			[
				$node->installed_command('psql'), '-X',
				'-d', $node->connstr('postgres'),
				'-v', 'ON_ERROR_STOP=0'
			],
			'<', \$in, '>', \$out, '2>', \$err)
	  };
}
$_->{run}->finish for @clients;

my $errors = 0;
$errors += () = ${ $_->{err} } =~ /ERROR:  UPDATE matches table/g
  for @clients;
is($errors, $CLIENTS * $EACH, 'each statement of each client is rejected');
is(join('', map { ${ $_->{out} } } @clients), '', 'none is carried out');
is( figures($node),
	join('|', ($CLIENTS * $EACH) x 2),
	'calls and rejected are exact');
is( scalar $watcher->query(
		q{SELECT seen || '|' || rejected FROM safeguard.rules
		   WHERE rule = 'composite_key'}),
	join('|', ($CLIENTS * $EACH) x 2),
	'and so are the counters of the rule')
  or diag $node->safe_psql('postgres', 'TABLE safeguard.rules');
is( $node->safe_psql(
		'postgres',
		q{SELECT count(*) FROM point_info WHERE point_name = 'Grid import'}),
	'0',
	'the table is as it was');

# The same at level record, with pgbench, which would stop at an error.
$node->safe_psql('postgres', 'SELECT safeguard.findings_reset()');
$node->pgbench(
	"--no-vacuum --client=$CLIENTS --transactions=$EACH",
	0,
	[qr{actually processed: @{[$CLIENTS * $EACH]}/}],
	[qr{^$}],
	'20 clients at level record',
	{
		'001_clients_record' =>
		  "SET safeguard.composite_key = record;\nBEGIN;\n$BAD;\nROLLBACK;\n"
	});
is(figures($node), $CLIENTS * $EACH . '|0', 'all are counted, none rejected');

# Two different statements at once keep figures of their own.
$node->safe_psql('postgres', 'SELECT safeguard.findings_reset()');
my $delete = $BAD =~ s/UPDATE point_info SET \S+ = '[^']*'/DELETE FROM point_info/r;
$node->pgbench(
	"--no-vacuum --client=$CLIENTS --transactions=$EACH",
	0,
	[qr{actually processed}],
	[qr{^$}],
	'20 clients with two statements',
	{
		'001_clients_two' => "SET safeguard.max_level = record;\nBEGIN;\n"
		  . "$BAD;\n$delete;\nROLLBACK;\n"
	});
is( $node->safe_psql(
		'postgres',
		q{SELECT split_part(message, ' ', 1), sum(calls)
			FROM safeguard.findings GROUP BY 1 ORDER BY 1}),
	"DELETE|@{[$CLIENTS * $EACH]}\nUPDATE|@{[$CLIENTS * $EACH]}",
	'each statement has its own line');

$watcher->quit;
$node->stop;

done_testing();
