
# Beside plpgsql_check: its passive run plans the statements of a function that
# is called, so that what the planner finds is told of branches that are not
# taken; the rules that judge executions see what is executed, and
# check_function sees all of it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Skips;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('plpgsql_check');
need_extension($node, 'plpgsql_check');
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'safeguard, plpgsql_check'");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION safeguard;
	CREATE TABLE systems (id int PRIMARY KEY, name text);
	CREATE TABLE points (system_id int REFERENCES systems, id int, name text, PRIMARY KEY (system_id, id));
	INSERT INTO systems VALUES (1, 'a');
	CREATE FUNCTION rename(really bool) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		IF really THEN
			UPDATE points SET name = 'x' WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = 1);
		END IF;
	END $$;
	CREATE FUNCTION load(really bool) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		IF really THEN
			INSERT INTO systems VALUES (1, 'b') ON CONFLICT (name) DO NOTHING;
		END IF;
	END $$;});

sub call
{
	my ($mode, $call) = @_;
	my ($rc, $out, $err) = $node->psql('postgres',
		"SET plpgsql_check.mode = '$mode'; SELECT $call");
	return $err;
}

my $no_key = qr/WARNING:  INSERT into table "systems": no unique key serves ON CONFLICT \(name\)/;
my $part = qr/ERROR:  UPDATE matches table "points" by part of its key/;

is(call('disabled', 'load(false)'), '', 'a branch that is not taken is silent by itself');
like(call('every_start', 'load(false)'), $no_key,
	'the passive run tells what the planner finds in it');
unlike(call('every_start', 'rename(false)'), $part,
	'what is judged when it is executed is not told there');
like(call('every_start', 'rename(true)'), $part, 'but when the branch is taken');
like(call('disabled', 'rename(true)'), $part, 'with the passive run or without');

is( $node->safe_psql(
		'postgres', q{
	SELECT f.function, f.rule FROM safeguard.check_functions('public') AS f ORDER BY 1, 2}),
	"rename(boolean)|composite_key\nload(boolean)|conflict_target",
	'check_functions tells both');

$node->stop;
done_testing();
