
# safeguard.check and check_function where nothing may be written, beside locks
# of others, and when they are interrupted.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = incident_node('primary', init => { allows_streaming => 1 });
$primary->safe_psql(
	'postgres', qq{
	CREATE TABLE upserted (a int PRIMARY KEY, b int);
	CREATE FUNCTION repair() RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		$BAD;
	END \$\$;});
my $check = "SELECT rule, level FROM safeguard.check(\$\$ $BAD; $GOOD;
	INSERT INTO upserted VALUES (1, 2) ON CONFLICT (b) DO NOTHING;
	DO 'BEGIN DELETE FROM upserted; END'; DELETE FROM nix \$\$)";
my $check_function = q{SELECT rule, level FROM safeguard.check_function('repair()')};
my $verdict = "composite_key|error\nconflict_target|warning\nunqualified_dml|record\nanalyze|error";

is($primary->safe_psql('postgres', $check), $verdict, 'on the primary');
is($primary->safe_psql('postgres', $check_function),
	'composite_key|error', 'a function on the primary');
is( $primary->safe_psql('postgres', 'SELECT count(*) FROM safeguard.findings'),
	'0', 'nothing is counted');

# ---------------- a standby ----------------

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'),
	't', 'a standby runs');
is($standby->safe_psql('postgres', $check), $verdict, 'on a standby');
is($standby->safe_psql('postgres', $check_function),
	'composite_key|error', 'a function on a standby');
is( $standby->safe_psql(
		'postgres', "BEGIN; $check; SELECT count(*) FROM point_info; COMMIT"),
	"$verdict\n8", 'the transaction goes on behind it');
$standby->stop;

# ---------------- locks ----------------

my $holder = $primary->background_psql('postgres');
$holder->query_safe('BEGIN');
$holder->query_safe('LOCK TABLE upserted');

my ($rc, $out, $err) = $primary->psql('postgres', "SET lock_timeout = '10ms'; $check");
isnt($rc, 0, 'a lock that does not come is no verdict');
like($err, qr/ERROR:  canceling statement due to lock timeout/, 'lock_timeout is obeyed');

($rc, $out, $err) = $primary->psql('postgres', "SET statement_timeout = '50ms'; $check");
like($err, qr/ERROR:  canceling statement due to statement timeout/,
	'so is statement_timeout');

# Others are not kept waiting by what has been checked.
my $checker = $primary->background_psql('postgres');
$holder->query_safe('ROLLBACK');
$checker->query_safe('BEGIN');
$checker->query_safe($check);
is( $primary->safe_psql('postgres',
		q{SET lock_timeout = '10s'; BEGIN; LOCK TABLE upserted, point_info; COMMIT; SELECT 'locked'}),
	'locked', 'no lock is kept until the end of the transaction');
$checker->quit;
$holder->quit;

# ---------------- interrupts ----------------

($rc, $out, $err) = $primary->psql(
	'postgres', q{
	SET statement_timeout = '200ms';
	SELECT count(*) FROM safeguard.check(repeat('DELETE FROM upserted;', 2000000));});
like($err, qr/ERROR:  canceling statement due to statement timeout/,
	'a long script can be cancelled');

# ---------------- memory ----------------

# What a statement needs is given back before the next one.
my $script = q{repeat('UPDATE upserted SET b = 1 WHERE a IN (' || repeat('1,', 20000) || '1);', %d)};
my $small = sprintf "SELECT count(*) FROM safeguard.check($script)", 3;
my $large = sprintf "SELECT count(*) FROM safeguard.check($script)", 150;
my $peak = q{SELECT (regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\s+(\d+)'))[1]};
if (-r '/proc/self/status')
{
	my ($before) = $primary->safe_psql('postgres', "$small; $peak") =~ /(\d+)\z/;
	my ($after) = $primary->safe_psql('postgres', "$large; $peak") =~ /(\d+)\z/;
	cmp_ok($after - $before, '<', 100 * 1024,
		"memory does not grow with the script: $before kB, $after kB");
}

$primary->stop;
done_testing();
