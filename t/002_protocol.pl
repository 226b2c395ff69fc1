
# Statements that come by the extended protocol are judged each time they are
# executed, with a custom plan and with a generic one.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol;
use Test::More;

my $node = incident_node('protocol');

sub connection
{
	return Protocol->connect(
		host => $node->host,
		port => $node->port,
		user => $node->safe_psql('postgres', 'SELECT current_user'),
		dbname => 'postgres');
}

my $bad = $BAD =~ s/'amber'/\$1/r;
my $good = $GOOD =~ s/'amber'/\$1/r;
my $client = connection();

# Parse says nothing; each execution is rejected, the generic plan included
# (PostgreSQL may choose it from the sixth execution on).
my $answer = $client->prepare(bad => $bad);
ok(!$answer->{error} && !@{ $answer->{notices} }, 'Parse says nothing');
my $rejected = 0;
for my $i (1 .. 10)
{
	$answer = $client->execute(bad => 'amber');
	$rejected++ if ($answer->{error}{C} // '') eq 'SG001';
}
is($rejected, 10, 'ten executions are rejected ten times');
is(figures($node), '10|10', 'and counted');

# The fields that a driver hands to its program.
my %error = %{ $answer->{error} };
is($error{V}, 'ERROR', 'severity');
like($error{M}, qr/^UPDATE matches table "point_info" by part of its key/,
	'message');
like($error{D}, qr/system_id/, 'detail names the dropped column');
like($error{H}, qr/\(system_id, id\) IN \(SELECT pi\.system_id, pi\.id/,
	'hint has the whole key');
is( substr($bad, $error{P} - 1, 5),
	'id IN',
	'position is that of the offending expression')
  or diag "P = $error{P}";
is($error{s}, 'public', 'schema');
is($error{t}, 'point_info', 'table');
is($error{c}, 'system_id', 'column: the one that was dropped');
is($error{n}, 'point_info_pkey', 'constraint: the key');

# The same forced either way.
for my $mode (qw(force_custom_plan force_generic_plan))
{
	$client->query("SET plan_cache_mode = $mode");
	$client->prepare("bad_$mode" => $bad);
	my @codes =
	  map { $client->execute("bad_$mode" => 'amber')->{error}{C} // 'none' }
	  1 .. 3;
	is("@codes", 'SG001 SG001 SG001', "rejected with $mode");
	$client->prepare("good_$mode" => $good);
	is($client->execute("good_$mode" => 'amber')->{tag},
		'UPDATE 4', "the corrected statement runs with $mode");
}
$client->query('RESET plan_cache_mode');

# A level changed in between holds for the very next execution of the plan.
is($client->query('SET safeguard.composite_key = warning')->{error},
	undef, 'level changed');
$answer = $client->execute(bad_force_generic_plan => 'amber');
is($answer->{tag}, 'UPDATE 8', 'the cached plan runs at level warning');
is($answer->{notices}[0]{C} // 'none', 'SG001', 'with a WARNING');
$client->query('SET safeguard.composite_key = error');
is($client->execute(bad_force_generic_plan => 'amber')->{error}{C} // 'none',
	'SG001', 'and is rejected at level error again');

# A statement in the unnamed prepared statement is rejected as well.
$client->prepare('' => $BAD);
is($client->execute('')->{error}{C} // 'none', 'SG001', 'unnamed statement');
$client->disconnect;

# pgbench is libpq's way; it stops at the first error.
for my $mode (qw(simple extended prepared))
{
	$node->pgbench(
		"--no-vacuum --transactions=10 --protocol=$mode --define=v=amber",
		2,
		[qr{actually processed: 0/10|number of transactions}],
		[qr{UPDATE matches table "point_info" by part of its key}],
		"pgbench -M $mode is rejected",
		{ "002_bad_$mode" => ($BAD =~ s/'amber'/:v/r) . ";\n" }) unless $mode eq 'simple';
	$node->pgbench(
		"--no-vacuum --transactions=10 --protocol=$mode --define=v=amber",
		0,
		[qr{actually processed: 10/10}],
		[qr{^$}],
		"pgbench -M $mode runs the corrected statement",
		{
			"002_good_$mode" =>
			  ($GOOD =~ s/'amber'/$mode eq 'simple' ? "'amber'" : ':v'/er) . ";\n"
		});

	# Eight executions at level record, the ninth at error: by then the plan
	# of a prepared statement has been planned for good.
	$node->safe_psql('postgres', 'SELECT safeguard.findings_reset()');
	$node->pgbench(
		"--no-vacuum --transactions=20 --protocol=$mode --define=n=0",
		2,
		[qr{actually processed: 8/20}],
		[qr{UPDATE matches table "point_info" by part of its key}],
		"pgbench -M $mode is rejected at the ninth execution",
		{
			"002_level_$mode" => "\\set n :n + 1\n"
			  . "\\if :n = 1\nSET safeguard.composite_key = record;\n"
			  . "\\elif :n = 9\nSET safeguard.composite_key = error;\n\\endif\n"
			  . "$BAD;\n"
		});
	is(figures($node), '9|1', "all nine are counted with -M $mode");
}

$node->stop;

done_testing();
