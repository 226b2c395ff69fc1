
# What reaches the server log.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = incident_node(
	'log',
	conf => [
		"log_line_prefix = '%e '", 'log_statement = none',
		'log_min_messages = warning', 'log_checkpoints = off'
	]);

# Runs the statement and gives what was written to the log meanwhile.
sub log_of
{
	my ($sql) = @_;
	my $offset = -s $node->logfile;
	$node->psql('postgres', $sql);
	return slurp_file($node->logfile, $offset);
}

my $log = log_of($BAD);
like($log, qr/^SG001 ERROR:  UPDATE matches table "point_info"/m,
	'a rejection has its SQLSTATE');
like($log, qr/^SG001 DETAIL:  .*system_id/m, 'its detail');
like($log, qr/^SG001 HINT:  Compare the whole key/m, 'its hint');
like($log, qr/^SG001 STATEMENT:  UPDATE point_info/m, 'and the statement');
is(scalar(() = $log =~ /ERROR: /g), 1, 'it is logged once');

$log = log_of("SET safeguard.composite_key = warning; BEGIN; $BAD; ROLLBACK");
like($log, qr/^SG001 WARNING:  UPDATE matches table "point_info"/m,
	'a warning is logged as a warning');
unlike($log, qr/ERROR: /, 'and not as an error');

is(log_of("SET safeguard.composite_key = record; BEGIN; $BAD; ROLLBACK"),
	'', 'nothing is logged at level record');
is(log_of("SET safeguard.max_level = record; BEGIN; $BAD; ROLLBACK"),
	'', 'nor with max_level = record');
is(log_of("SET safeguard.composite_key = off; BEGIN; $BAD; ROLLBACK"),
	'', 'nor at level off');
is(log_of("BEGIN; $GOOD; ROLLBACK"), '', 'nor for an accepted statement');

# Values of the rows stay out of it: detail and hint speak of names only.
like(log_of("PREPARE p(text) AS " . ($BAD =~ s/'amber'/\$1/r)
		  . "; EXECUTE p('amber')"),
	qr/^SG001 ERROR:  UPDATE matches table/m, 'EXECUTE is logged too');

$node->stop;

done_testing();
