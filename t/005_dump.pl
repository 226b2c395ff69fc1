
# pg_dump carries exceptions and declarations; rows of dropped tables stay
# behind.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $LEVELS = q{SELECT relation, rule, level, reason
	FROM safeguard.table_levels ORDER BY relation::text, rule};
my $ROLES = q{SELECT relation, column_name, role, reason
	FROM safeguard.column_roles ORDER BY relation::text, column_name};

my $node = incident_node('dump');
my $dir = $node->basedir;

$node->safe_psql(
	'postgres', q{
	CREATE SCHEMA "Other Schema";
	CREATE TABLE "Other Schema"."Points" (LIKE point_info INCLUDING ALL);
	CREATE TABLE reading (system_id int, id int, PRIMARY KEY (system_id, id));
	CREATE TABLE gone (a int, b int, PRIMARY KEY (a, b));
	SELECT safeguard.set_level('point_info', 'composite_key', 'record', 'it''s old');
	SELECT safeguard.set_level('"Other Schema"."Points"', 'composite_key_doubt', 'off');
	SELECT safeguard.set_level('gone', 'composite_key', 'off');
	SELECT safeguard.set_column('reading', 'id', 'identity', 'from one sequence');
	SELECT safeguard.set_column('gone', 'b', 'scope');
	DROP TABLE gone;
});
my $levels = $node->safe_psql('postgres', $LEVELS);
like($levels, qr/^\d+\|composite_key\|off/m, 'the dropped table left a row');

my $kept_levels = qq{"Other Schema"."Points"|composite_key_doubt|off|
point_info|composite_key|record|it's old};
my $kept_roles = 'reading|id|identity|from one sequence';

# Another cluster, whose OIDs are different.
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
add_conf($other, "shared_preload_libraries = 'safeguard'");
$other->start;
$other->safe_psql('postgres', 'CREATE TABLE takes_an_oid ()') for 1;

sub check_restored
{
	my ($how, $database) = @_;
	is($other->safe_psql($database, $LEVELS), $kept_levels, "$how: levels");
	is($other->safe_psql($database, $ROLES), $kept_roles, "$how: roles");
	is( $other->safe_psql($database, "BEGIN; $BAD; ROLLBACK; SELECT 'passed'"),
		'passed', "$how: the exception is in force");
	is(figures($other, $database) =~ s/\|.*//r > 0, 1, "$how: and recorded");
	return;
}

# plain text
$node->command_ok(
	[
		'pg_dump', '--no-sync', '-d', $node->connstr('postgres'),
		'-f', "$dir/plain.sql"
	],
	'pg_dump writes a script');
unlike(slurp_file("$dir/plain.sql"), qr/^\d+\tcomposite_key/m,
	'without the row of the dropped table');
$other->safe_psql('postgres', 'CREATE DATABASE plain');
$other->command_ok(
	[
		'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1',
		'-d', $other->connstr('plain'),
		'-f', "$dir/plain.sql"
	],
	'the script runs without an error');
check_restored('script', 'plain');

# custom format, in parallel
$node->command_ok(
	[
		'pg_dump', '--no-sync', '-Fc', '-d', $node->connstr('postgres'),
		'-f', "$dir/custom.dump"
	],
	'pg_dump writes an archive');
$other->safe_psql('postgres', 'CREATE DATABASE custom');
$other->command_ok(
	[
		'pg_restore', '--exit-on-error', '-j', '2',
		'-d', $other->connstr('custom'), "$dir/custom.dump"
	],
	'pg_restore restores it');
check_restored('archive', 'custom');

# A dump of what was restored is the same again.
$other->command_ok(
	[
		'pg_dump', '--no-sync', '-d', $other->connstr('custom'),
		'-f', "$dir/again.sql"
	],
	'pg_dump of the restored database');
$other->safe_psql('postgres', 'CREATE DATABASE again');
$other->command_ok(
	[
		'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1',
		'-d', $other->connstr('again'),
		'-f', "$dir/again.sql"
	],
	'restores again');
check_restored('second generation', 'again');

# export_settings() is the way where the schema comes from somewhere else.
my $script = $node->safe_psql('postgres', 'SELECT safeguard.export_settings()');
$other->safe_psql('postgres', 'CREATE DATABASE settings');
create_incident($other, 'settings');
$other->safe_psql(
	'settings', q{
	CREATE SCHEMA "Other Schema";
	CREATE TABLE "Other Schema"."Points" (LIKE point_info INCLUDING ALL);
	CREATE TABLE reading (system_id int, id int, PRIMARY KEY (system_id, id));
});
$other->safe_psql('settings', $script);
check_restored('export_settings', 'settings');

# Who owns a database dumps it, also where the extension is somebody else's.
$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN');
$node->safe_psql('postgres', 'CREATE DATABASE owned OWNER owner');
$node->safe_psql('owned', q{CREATE EXTENSION safeguard; SELECT safeguard.migrate('1', 'SELECT 1')});
$node->command_ok(
	[
		'pg_dump', '--no-sync', '-U', 'owner', '-d', $node->connstr('owned'),
		'-f', "$dir/owned.sql"
	],
	'pg_dump by an ordinary role');
like(slurp_file("$dir/owned.sql"), qr/setval\('safeguard\.migrations_id_seq', 1, true\)/,
	'with the sequence of migrations');

# The same on a server where every rule is at error: a restore does much that
# they would reject elsewhere, and loses nothing.
$node->safe_psql('postgres', q{
	CREATE TABLE half (system_id int, id int);
	INSERT INTO half VALUES (9, 9);
	ALTER TABLE half ADD FOREIGN KEY (system_id, id) REFERENCES point_info NOT VALID;
	ALTER TABLE half DISABLE TRIGGER ALL});
$node->command_ok(
	[ 'pg_dump', '--no-sync', '-Fd', '-j', '2', '-d', $node->connstr('postgres'), '-f', "$dir/folder" ],
	'pg_dump writes a folder');
$other->safe_psql('postgres', "ALTER SYSTEM SET safeguard.$_ = error")
  for split /\n/, $other->safe_psql('custom', 'SELECT rule FROM safeguard.rules');
$other->safe_psql('postgres', 'ALTER SYSTEM SET safeguard.large_table = 0');
$other->restart;
for my $way ([ 'jobs', '-j', '3' ], [ 'one', '--single-transaction' ], [ 'replaced', '-j', '2', '--clean', '--if-exists' ])
{
	my ($database, @options) = @$way;
	my $replaced = $database eq 'replaced';
	$other->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE " . ($replaced ? 'jobs' : 'template0'));
	# what drops tables that hold data has to say so
	$other->command_fails_like(
		[ 'pg_restore', '--exit-on-error', @options, '-d', $other->connstr($database), "$dir/folder" ],
		qr/ERROR:  DROP TABLE destroys table/, 'pg_restore --clean is what destructive_ddl is for')
	  if $replaced;
	local $ENV{PGOPTIONS} = $replaced ? '-c safeguard.destructive_ddl=record' : '';
	$other->command_ok(
		[ 'pg_restore', '--exit-on-error', @options, '-d', $other->connstr($database), "$dir/folder" ],
		"every rule at error: pg_restore @options");
	check_restored("every rule at error, @options", $database);
	is( $other->safe_psql($database, q{SELECT (SELECT count(*) FROM half), (SELECT convalidated FROM pg_constraint WHERE conrelid = 'half'::regclass)}),
		'1|f', 'with a key that does not hold');
}
is($other->safe_psql('jobs', q{SELECT count(*) FROM safeguard.findings WHERE rejected > 0 AND application ~ '^pg_' AND rule <> 'destructive_ddl'}),
	'0', 'nothing else was rejected');

$node->stop;
$other->stop;

done_testing();
