
# Findings and counters survive a restart; a crash and a damaged statistics
# file never keep the server from starting.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = incident_node('restart');
my $file = $node->data_dir . '/pg_stat/safeguard.stat';

my $bytes = $node->safe_psql('postgres',
	q{SELECT value FROM safeguard.status() WHERE item = 'shared memory bytes'});
cmp_ok($bytes, '>', 0, 'status() knows how much shared memory there is');
like(slurp_file($node->logfile),
	qr/LOG:  safeguard uses $bytes bytes of shared memory/, 'so does the log');

my $FINDINGS = q{SELECT rule, sqlstate, level, database, relation, calls,
	rejected, first_seen, last_seen, message, hint, query
	FROM safeguard.findings ORDER BY 1, 2, 3};
my $RULES = q{SELECT rule, seen, rejected FROM safeguard.rules ORDER BY 1};

rejected_with($node, 'postgres', $BAD, 'rejected') for 1 .. 3;
$node->safe_psql('postgres',
	"SET safeguard.composite_key = record; BEGIN; $BAD; ROLLBACK");
is(figures($node), '4|3', 'counted');

my $findings = $node->safe_psql('postgres', $FINDINGS);
my $rules = $node->safe_psql('postgres', $RULES);

# A clean restart keeps all of it.
$node->restart;
is($node->safe_psql('postgres', $FINDINGS), $findings, 'findings are kept');
is($node->safe_psql('postgres', $RULES), $rules, 'counters are kept');
rejected_with($node, 'postgres', $BAD, 'still guarded after a restart');
is(figures($node), '5|4', 'counting goes on');

# So does a second one with nothing new.
$node->restart;
is(figures($node), '5|4', 'kept once more');

# After an immediate stop the server starts; figures may be older or gone,
# never wrong.
rejected_with($node, 'postgres', $BAD, 'rejected before the crash');
$node->stop('immediate');
$node->start;
my ($calls, $rejected) = split /\|/, figures($node);
ok($calls <= 6 && $rejected <= $calls, 'figures after a crash are possible ones')
  or diag "$calls calls, $rejected rejected";
rejected_with($node, 'postgres', $BAD, 'guarded after the crash');

# A damaged file is set aside with a LOG line and the server starts with none.
my %damage = (
	'no statistics file' => sub { 'this is no statistics file' x 100 },
	'cut in the middle' => sub { substr $_[0], 0, length($_[0]) / 2 },
	'empty' => sub { '' },
	'one bit turned' => sub {
		my $at = int(length($_[0]) / 2);
		substr($_[0], $at, 1) ^= "\x10";
		$_[0];
	});
for my $name (sort keys %damage)
{
	rejected_with($node, 'postgres', $BAD, "rejected before: $name");
	$node->stop;
	ok(-s $file, 'a clean stop leaves a statistics file');
	my $damaged = $damage{$name}->(slurp_file($file));
	open my $fh, '>:raw', $file or die "cannot write $file: $!";
	print $fh $damaged;
	close $fh;

	my $offset = -s $node->logfile;
	ok($node->start(fail_ok => 1), "the server starts: $name");
	like(slurp_file($node->logfile, $offset),
		qr/LOG: .*safeguard\.stat/, "the log tells: $name");
	is(figures($node), '0|0', "it starts empty: $name");
}

# So is the one of a version to come or gone; a file of another size than
# max_findings allows is cut, not refused.
rejected_with($node, 'postgres', $BAD, 'rejected once more');
my $delete = $BAD =~ s/UPDATE point_info SET \S+ = '[^']*'/DELETE FROM point_info/r;
$node->psql('postgres', $delete);
add_conf($node, 'safeguard.max_findings = 100');
$node->restart;
is(figures($node), '2|2', 'findings are kept under another max_findings');

# Without safeguard the server starts, and the file waits for its return.
add_conf($node, "shared_preload_libraries = ''");
$node->restart;
my ($rc, $out, $err) =
  $node->psql('postgres', 'SELECT count(*) FROM safeguard.findings',
	extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/ERROR:  55000:/, 'no findings without shared memory');
like($err, qr/HINT:  .*shared_preload_libraries/, 'and a hint');

$node->stop;

done_testing();
