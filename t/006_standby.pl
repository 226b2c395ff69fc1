
# On a hot standby safeguard loads, reads and writes no table.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = incident_node('primary', init => { allows_streaming => 1 });
rejected_with($primary, 'postgres', $BAD, 'rejected on the primary');
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'),
	't', 'a standby runs');
like($standby->safe_psql('postgres', 'SELECT count(*) FROM safeguard.status()'),
	qr/^[1-9]\d*$/, 'status() works');
like($standby->safe_psql('postgres', 'SELECT count(*) FROM safeguard.findings'),
	qr/^\d+$/, 'findings can be read');
is( $standby->safe_psql(
		'postgres',
		q{SELECT rule, level FROM safeguard.rules WHERE rule = 'composite_key'}),
	'composite_key|error',
	'rules can be read');

# Plain EXPLAIN is what can be done with an UPDATE there.
my ($rc, $out, $err) = $standby->psql('postgres', "EXPLAIN $BAD");
is($rc, 0, 'EXPLAIN works');
like($err, qr/WARNING:  UPDATE matches table "point_info"/, 'and warns');
# The server refuses to write before the rule has to.
($rc, $out, $err) = $standby->psql('postgres', $BAD);
like($err, qr/ERROR:  cannot execute UPDATE in a read-only transaction/,
	'the UPDATE itself is an error of the server');

# An exception made on the primary is in force once it is replayed; the
# session that has cached its absence learns of it.
my $session = $standby->background_psql('postgres', on_error_stop => 0);
$session->query("EXPLAIN $BAD");
$primary->safe_psql('postgres',
	q{SELECT safeguard.set_level('point_info', 'composite_key', 'off')});
$primary->wait_for_catchup($standby);
$session->{stderr} = '';
$session->query("EXPLAIN $BAD");
unlike($session->{stderr}, qr/UPDATE matches table/,
	'an exception replayed holds in a session that was there before');
$session->quit;

# After promotion it guards as the primary did.
$primary->safe_psql('postgres',
	q{SELECT safeguard.clear_level('point_info', 'composite_key')});
$primary->wait_for_catchup($standby);
$primary->stop;
$standby->promote;
rejected_with($standby, 'postgres', $BAD, 'rejected after promotion');
$standby->stop;

done_testing();
