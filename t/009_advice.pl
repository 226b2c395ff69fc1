# What is told about a function when it is made is not worth waiting for: the
# table of its upsert may be locked by somebody else.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use BrokenPipe;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('advice');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'safeguard'");
$node->start;

$node->safe_psql('postgres', 'CREATE TABLE locked (a int UNIQUE, b int)');
my $make = q{
	SET statement_timeout = '60s';
	CREATE OR REPLACE FUNCTION upsert() RETURNS void LANGUAGE plpgsql AS
	$$ BEGIN INSERT INTO locked VALUES (1, 2) ON CONFLICT (b) DO NOTHING; END $$;
};

my ($out, $err);
$node->psql('postgres', $make, stderr => \$err);
like($err, qr/WARNING:  INSERT into table "locked": no unique key serves/,
	'it is told when nobody is in the way');

my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN');
$holder->query_safe('LOCK TABLE locked');
my $rc = $node->psql('postgres', $make, stderr => \$err);
is($rc, 0, 'the function is made while its table is locked');
unlike($err, qr/ERROR|WARNING/, 'and nothing is told');

# both wait for each other only if we wait for the table
my $other = $node->background_psql('postgres');
$node->safe_psql('postgres', 'CREATE TABLE second (a int)');
$other->query_safe('BEGIN');
$other->query_safe('LOCK TABLE second');
$other->query_safe($make);
$other->query_safe('COMMIT');
$holder->query_safe('LOCK TABLE second');
$holder->query_safe('COMMIT');
pass('no deadlock');

$holder->quit;
$other->quit;
$node->stop;
done_testing();
