
# The library and the SQL of the extension need not be of the same version:
# ALTER EXTENSION safeguard UPDATE, and what is said where one does not fit the
# other.  The other versions are made up here, in a copy of the server's files.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Cwd qw(realpath);
use File::Basename;
use File::Path;
use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Programs are copied, because a server finds its files from where it really
# is; what they read is linked, but for the folder of the extensions.
my %dir = map { chomp(my $path = `pg_config --$_`); ($_ => realpath($path)) }
  qw(bindir pkglibdir sharedir);
my $prefix = $dir{bindir};
$prefix = dirname($prefix) until !grep { index($_, "$prefix/") != 0 } values %dir;
my $copy = PostgreSQL::Test::Utils::tempdir_short() . '/pg';
my %to = map { $_ => $copy . substr($dir{$_}, length $prefix) } keys %dir;
mkpath([ values %to, "$to{sharedir}/extension" ]);
system('cp', '-L', (grep { -f } glob "$dir{bindir}/*"), $to{bindir}) == 0 or die;
for my $from (grep { !m{/(pgxs|bitcode|extension)$} } glob("$dir{pkglibdir}/*"), glob("$dir{sharedir}/*"))
{
	my ($what) = grep { index($from, "$dir{$_}/") == 0 } qw(pkglibdir sharedir);
	symlink $from, "$to{$what}/" . basename($from) or die "$from: $!";
}
system('cp', '-L', glob("$dir{sharedir}/extension/{plpgsql,safeguard}*"), "$to{sharedir}/extension") == 0
  or die;
my $extension = "$to{sharedir}/extension";

my $current = slurp_file("$extension/safeguard--1.0.sql");
my $require = q{
CREATE FUNCTION safeguard.require_library(version text) RETURNS void
LANGUAGE C VOLATILE STRICT AS 'MODULE_PATHNAME', 'sg_require_library';
SELECT safeguard.require_library('%s');
DROP FUNCTION safeguard.require_library(text);
};

sub script
{
	my ($versions, $sql) = @_;
	unlink "$extension/safeguard--$versions.sql";
	append_to_file("$extension/safeguard--$versions.sql", $sql);
	return;
}

# an extension of this version from nothing: 1.0 with changes
sub older
{
	my ($version, $changes) = @_;
	script($version, $current . $changes);
	return;
}

my $node = PostgreSQL::Test::Cluster->new('upgrade', install_path => dirname($to{bindir}));
$node->init;
add_conf($node, "shared_preload_libraries = 'safeguard'", 'max_connections = 30');
$node->start;
create_incident($node, 'postgres');
is($node->safe_psql('postgres', 'SELECT extversion FROM pg_extension WHERE extname = $$safeguard$$'),
	'1.0', 'a server of copied files runs');

sub extension_says
{
	my ($database) = @_;
	return $node->safe_psql($database,
		q{SELECT value, detail FROM safeguard.status() WHERE item = 'extension'});
}

sub fails_with
{
	my ($database, $sql, $like, $what) = @_;
	my ($rc, $out, $err) = $node->psql($database, $sql);
	like($err, $like, $what);
	return;
}

# ---------------------------------------------------------------------------
# To the next version
# ---------------------------------------------------------------------------

script('1.0--1.1', sprintf($require, '1.0') . q{
CREATE FUNCTION safeguard.news() RETURNS text LANGUAGE sql AS $$ SELECT 'of 1.1' $$;
COMMENT ON FUNCTION safeguard.news() IS 'made up';
ALTER TABLE safeguard.table_levels ADD COLUMN ticket text;
});
script('1.1--1.2', sprintf($require, '1.2') . 'CREATE TABLE safeguard.more (a int);');
script('1.1--1.3', q{
CREATE FUNCTION safeguard.more() RETURNS int LANGUAGE C AS 'MODULE_PATHNAME', 'sg_more_1_3';
});

$node->safe_psql(
	'postgres', q{
	SELECT safeguard.set_level('point_info', 'composite_key', 'off', 'kept');
	SELECT safeguard.set_column('point_info', 'system_id', 'scope');
	SELECT safeguard.migrate('1', 'CREATE TABLE one (a int)')});
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query("BEGIN; $BAD; ROLLBACK");
is($session->{stderr} =~ /scope/ ? 'judged' : $session->{stderr}, 'judged',
	'a session has cached what is declared');
$session->{stderr} = '';

$node->safe_psql('postgres', q{ALTER EXTENSION safeguard UPDATE TO '1.1'});
is($node->safe_psql('postgres', 'SELECT safeguard.news()'), 'of 1.1', 'updated to 1.1');
is(extension_says('postgres'),
	'1.1|The library is older.  Install that of this version, and restart the server if it was loaded at its start.',
	'status() says that the SQL is newer');
is($node->safe_psql('postgres', 'SELECT relation, rule, level, reason, ticket FROM safeguard.table_levels'),
	'point_info|composite_key|off|kept|', 'an exception is kept');
is($node->safe_psql('postgres', q{SELECT version FROM safeguard.migrations WHERE status = 'applied'}),
	'1', 'and a migration');
for my $who ('a new session', 'the session from before')
{
	my $said;
	if ($who eq 'a new session')
	{
		(undef, undef, $said) = $node->psql('postgres', $BAD);
	}
	else
	{
		$session->query("BEGIN; $BAD; ROLLBACK");
		$said = $session->{stderr};
	}
	like($said, qr/ERROR: .*"system_id"/, "a declared column holds in $who");
	unlike($said, qr/by part of its key/, "and an exception in $who");
}
$session->quit;
is( $node->safe_psql('postgres',
		q{SELECT safeguard.migrate('1', 'CREATE TABLE one (a int)'), safeguard.migrate('2', 'CREATE TABLE two (a int)')}),
	'already applied|applied', 'migrations go on');

# a dump of it is restored by a server that has the newer SQL as its own
my $control = slurp_file("$extension/safeguard.control");
unlink "$extension/safeguard.control";
append_to_file("$extension/safeguard.control", $control =~ s/'1\.0'/'1.1'/r);
my $dump = "$copy/dump.sql";
$node->command_ok([ "$to{bindir}/pg_dump", '-f', $dump, '-d', $node->connstr('postgres') ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok(
	[ "$to{bindir}/psql", '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ],
	'restored');
is( $node->safe_psql('restored', 'SELECT safeguard.news(), relation, rule, level FROM safeguard.table_levels'),
	'of 1.1|point_info|composite_key|off', 'with its exception');

# ---------------------------------------------------------------------------
# SQL that is too new for the library
# ---------------------------------------------------------------------------

my ($rc, $out, $err) = $node->psql('postgres', q{ALTER EXTENSION safeguard UPDATE TO '1.2'});
like($err, qr/ERROR:  extension "safeguard" version 1\.2 needs the library of that version/,
	'a script says which library it needs');
like($err, qr/DETAIL:  This session has loaded the library of version 1\.0\./, 'which there is');
like($err, qr/HINT:  Install the library of version 1\.2\.  If it is installed, restart the server/, 'and what to do');
fails_with('postgres', q{ALTER EXTENSION safeguard UPDATE TO '1.3'},
	qr/ERROR:  could not find function "sg_more_1_3" in file/, 'a function that the library has not is an error');
is($node->safe_psql('postgres', q{SELECT extversion, to_regclass('safeguard.more') FROM pg_extension WHERE extname = 'safeguard'}),
	'1.1|', 'neither has left anything');

# ... or came to be too new when the library was replaced by an older one
$node->safe_psql('postgres', q{UPDATE pg_proc SET prosrc = 'sg_findings_1_3' WHERE oid = 'safeguard.findings()'::regprocedure});
fails_with('postgres', 'SELECT * FROM safeguard.findings', qr/ERROR:  could not find function "sg_findings_1_3"/,
	'a view without its function is an error');
rejected_with($node, 'restored', "SET safeguard.scope = off; DELETE FROM safeguard.table_levels; $BAD",
	'statements are judged');

# ---------------------------------------------------------------------------
# SQL that is older than the library
# ---------------------------------------------------------------------------

older('0.1', q{
DROP TABLE safeguard.table_levels, safeguard.column_roles, safeguard.migrations, safeguard.migration_claims CASCADE;
});
older('0.2', q{
DROP FUNCTION safeguard.export_settings();
ALTER TABLE safeguard.table_levels DROP COLUMN level;
ALTER TABLE safeguard.column_roles ALTER COLUMN column_name TYPE text;
ALTER TABLE safeguard.migrations ALTER COLUMN status DROP NOT NULL;
DROP VIEW safeguard.migrations_running CASCADE;
ALTER TABLE safeguard.migration_claims ALTER COLUMN pid TYPE bigint;
INSERT INTO safeguard.column_roles VALUES ('pg_class', 'oid', 'scope', NULL, 'x');
INSERT INTO safeguard.table_levels VALUES ('pg_class', 'composite_key', NULL, 'x');
});
for my $version ('0.1', '0.2')
{
	my $database = 'old_' . $version =~ tr/./_/r;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, "CREATE EXTENSION safeguard VERSION '$version'");
	(my $tables = slurp_file(__FILE__ =~ s{[^/]+$}{Incident.pm}r)) =~ s/.*?(CREATE TABLE systems.*?)\t\}\);.*/$1/s;
	$node->safe_psql($database, $tables);
	$node->safe_psql($database,
		q{INSERT INTO safeguard.table_levels VALUES ('point_info', 'composite_key', NULL, 'x')})
	  if $version eq '0.2';

	rejected_with($node, $database, $BAD, "$version: rejected");
	$node->safe_psql($database, $GOOD);
	my $unread = $version eq '0.1' ? '' : join '  ', '',
	  map { "Table safeguard.$_ has other columns than the library knows and is not read." }
	  qw(table_levels column_roles migrations migration_claims);
	is(extension_says($database),
		"$version|The library is newer.  Run ALTER EXTENSION safeguard UPDATE.$unread",
		"$version: status() says that the SQL is older");
	fails_with(
		$database,
		q{SELECT safeguard.set_level('point_info', 'composite_key', 'off')},
		qr/ERROR: .*(table "safeguard.table_levels" of the extension does not exist|column "level" of relation "table_levels" does not exist)/,
		"$version: set_level() is an error");
	fails_with(
		$database,
		q{SELECT safeguard.migrate('1', 'SELECT 1')},
		qr/ERROR: .*table "safeguard.migrations" (of the extension does not exist|has not the columns that the library of version 1\.0 knows)/,
		"$version: migrate() is an error");

	# every function that can be called without an argument
	my $calls = $node->safe_psql(
		$database, q{
		SELECT format('SELECT * FROM %s()', p.oid::regproc)
		  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
		 WHERE pronamespace = 'safeguard'::regnamespace AND prokind = 'f'
		   AND pronargs = pronargdefaults AND prorettype <> 'trigger'::regtype});
	cmp_ok(scalar(my @calls = split /\n/, $calls), '>', 15, "$version: there are functions to call");
	$node->psql($database, "$_;") for @calls;
	is($node->safe_psql($database, 'SELECT 1'), '1', "$version: none of them takes the server down");
}

# A newer library reads no table of an older one that it does not know, but
# goes on with those it knows
$node->safe_psql('old_0_2', q{ALTER TABLE safeguard.column_roles ALTER COLUMN column_name TYPE name;
	DELETE FROM safeguard.column_roles;
	SELECT safeguard.set_column('point_info', 'system_id', 'scope')});
fails_with('old_0_2', $GOOD =~ s/SET/SET  /r, qr/^$/, 'a statement that says which system passes');
fails_with('old_0_2', 'DELETE FROM point_info WHERE id = 1', qr/ERROR: .*"system_id"/,
	'one that does not is rejected by the column declared');

unlike(slurp_file($node->logfile), qr/PANIC:|TRAP:|terminated by signal/, 'no process died');
$node->stop;

done_testing();
