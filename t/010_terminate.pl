# A backend that is terminated in the middle of a command drops its temporary
# tables on the way out.  That must not take the server with it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use BrokenPipe;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('terminate');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safeguard'
safeguard.temp_tables = on
restart_after_crash = off
});
$node->start;
$node->safe_psql('postgres',
	'CREATE EXTENSION safeguard; CREATE TABLE kept (a int UNIQUE, b int); INSERT INTO kept VALUES (1, 1)');

my $setup = q{
	CREATE TEMP TABLE gone (a int UNIQUE, b int);
	INSERT INTO gone VALUES (1, 1) ON CONFLICT (a) DO UPDATE SET b = EXCLUDED.b;
	SELECT safeguard.set_column('gone', 'a', 'identity');
};
my %commands = (
	'EXPLAIN ANALYZE' => 'EXPLAIN ANALYZE SELECT pg_sleep(180)',
	'ALTER TABLE' => 'ALTER TABLE kept ADD COLUMN c text DEFAULT pg_sleep(180)::text',
	'CREATE INDEX' =>
	  'CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(180); RETURN 1; END$$; CREATE INDEX ON kept (slow(a))',
	'an upsert' =>
	  'INSERT INTO gone SELECT 2, 1 FROM pg_sleep(180) ON CONFLICT (a) DO UPDATE SET b = EXCLUDED.b',
	'a cursor loop' =>
	  'DO $$BEGIN EXECUTE $x$EXPLAIN ANALYZE SELECT pg_sleep(180)$x$; END$$',
	'COPY as replica' =>
	  'SET session_replication_role = replica; COPY kept FROM PROGRAM \'sleep 180\'');

foreach my $name (sort keys %commands)
{
	my ($in, $out, $err) = ('', '', '');
	my $session = IPC::Run::start(
		[
			'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', $setup,
			'-c', "SET application_name = 'victim'", '-c', $commands{$name}
		],
		'<', \$in, '>', \$out, '2>', \$err,
		IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'victim' AND state = 'active'
		   AND (wait_event = 'PgSleep' OR query LIKE '%PROGRAM%')})
	  or die "$name did not start";
	$node->safe_psql('postgres',
		q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'victim'});
	$session->finish;
	is($node->safe_psql('postgres', 'SELECT count(*) FROM kept'),
		'1', "the server lives on after $name");
	is( $node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relname = 'gone'}),
		'0', 'and the temporary table is gone');
}

$node->stop;
unlike(slurp_file($node->logfile), qr/server process.*terminated by signal|PANIC/, 'nobody crashed');
done_testing();
