
# A role without rights learns nothing, and nobody loosens a rule without the
# right to.

use strict;
use warnings FATAL => 'all';

use FindBin;
use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = incident_node('rights',
	conf => [ 'compute_query_id = on', 'safeguard.track_queries = all', 'wal_level = minimal', 'max_wal_senders = 0', 'autovacuum = off' ]);

# ---------------------------------------------------------------- what is secret

# Values, texts of statements, names of applications and numbers, all of which
# can be told from anything else by these letters and digits.
$node->safe_psql(
	'postgres', q{
	SET application_name = 'zz_application';
	CREATE SCHEMA hidden;
	CREATE TABLE hidden.parent (a int, b text, PRIMARY KEY (a, b));
	CREATE TABLE hidden.child (a int, b text, note text);
	INSERT INTO hidden.child SELECT 1, 'zz_value', 'zz_note' FROM generate_series(1, 7654);
	ALTER TABLE hidden.child ADD CONSTRAINT child_parent FOREIGN KEY (a, b) REFERENCES hidden.parent NOT VALID;
	CREATE TABLE hidden.counted (a text PRIMARY KEY, n int);
	INSERT INTO hidden.counted SELECT 'zz_' || g % 4321, g FROM generate_series(1, 4321) g ON CONFLICT (a) DO UPDATE SET n = excluded.n;
	SELECT safeguard.watch('hidden.counted', 'a');
	UPDATE hidden.counted SET n = 1 WHERE a = 'zz_1';
	SELECT safeguard.migrate('zz_version', 'CREATE TABLE hidden.made (zz_column int)', 'zz_description');
	CREATE TABLE hidden.alembic_version (version_num varchar(32) PRIMARY KEY);
	INSERT INTO hidden.alembic_version VALUES ('zz_alembic');
	CREATE ROLE regress_sg_nobody LOGIN;
	CREATE ROLE regress_sg_writer LOGIN;
	GRANT USAGE ON SCHEMA hidden TO regress_sg_writer;
	GRANT UPDATE, DELETE, INSERT ON ALL TABLES IN SCHEMA hidden TO regress_sg_writer;
	GRANT CREATE ON SCHEMA public TO regress_sg_nobody, regress_sg_writer;
});
$node->psql('postgres', q{SET application_name = 'zz_application'; SELECT zz_misspelt FROM hidden.child});
$node->psql('postgres', q{SET application_name = 'zz_application'; INSERT INTO hidden.counted SELECT 'zz_1', 1});
$node->psql('postgres', q{SET application_name = 'zz_application'; BEGIN; DELETE FROM hidden.child AS zz_alias; ROLLBACK});
$node->psql('postgres', q{SELECT pg_sleep(1.1) AS zz_slow});

# not in the digits of an identifier or a time
my $SECRET = qr/zz_|(?<![\d.])(?:7654|4321)(?!\.?\d)/;

sub as_role
{
	my ($role, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql,
		extra_params => [ '-U', $role, '-v', 'VERBOSITY=verbose' ], on_error_stop => 0);
	# the error quotes the statement that was sent
	$err =~ s/^(?:LINE \d+: .*|\s+\^)$//mg;
	return ($out, $err);
}

# ---------------------------------------------------------------- all that can be read

# The superuser sees the secrets, so that the test can fail.
my $names = $node->safe_psql('postgres', q{
	SELECT string_agg(c.oid::regclass::text, ' ' ORDER BY c.relname)
	  FROM pg_class c WHERE c.relnamespace = 'safeguard'::regnamespace AND c.relkind IN ('v', 'r')});
my $functions = $node->safe_psql('postgres', q{
	SELECT string_agg(format('%I.%I()', 'safeguard', p.proname), ' ' ORDER BY p.proname)
	  FROM pg_proc p
	 WHERE p.pronamespace = 'safeguard'::regnamespace AND p.pronargs = p.pronargdefaults AND p.prokind = 'f'
	   AND p.prorettype <> 'trigger'::regtype AND p.proname !~ 'reset'});
my $shown = 0;
for my $source (split(/ /, "$names $functions"))
{
	my $sql = "SELECT * FROM $source";
	my ($out, $err) = $node->psql('postgres', $sql) ? ('', '') : ($node->safe_psql('postgres', $sql), '');
	$shown++ if $out =~ $SECRET;
	($out, $err) = as_role('regress_sg_nobody', $sql);
	# which versions of the schema are applied by migrate() is for all to read
	s/zz_(?:version|description)//g for $out, $err;
	ok("$out$err" !~ $SECRET, "$source tells a role without rights nothing") or diag "$out$err";
}
cmp_ok($shown, '>', 8, "a superuser sees the secrets in $shown of them");

# ---------------------------------------------------------------- all that can be asked

for my $role (qw(regress_sg_nobody regress_sg_writer))
{
	for my $sql (
		q{SELECT * FROM safeguard.check_key('hidden.child', 'b')},
		q{SELECT * FROM safeguard.suggest_keys('hidden.child')},
		q{SELECT * FROM safeguard.orphans('hidden.child', 'child_parent')},
		q{SELECT * FROM safeguard.schema_report('hidden', deep => true)},
		q{SELECT * FROM safeguard.preview('DELETE FROM hidden.child')},
		q{SELECT * FROM safeguard.preview('DELETE FROM hidden.child WHERE true; UPDATE hidden.counted SET n = 2 WHERE n > 0')},
		q{SELECT * FROM safeguard.check('UPDATE hidden.child SET b = 1 WHERE a IN (SELECT a FROM hidden.parent)')},
		q{SELECT * FROM safeguard.check('DROP TABLE hidden.child')},
		q{EXPLAIN DELETE FROM hidden.child},
		q{UPDATE hidden.parent SET b = 'x' WHERE a IN (SELECT a FROM hidden.child)},
		q{MERGE INTO hidden.parent p USING hidden.child c ON p.a = c.a WHEN MATCHED THEN DELETE},
		q{INSERT INTO hidden.child (a) VALUES (1) ON CONFLICT (a, note) DO NOTHING},
		q{INSERT INTO hidden.counted VALUES ('x', 1) ON CONFLICT (n) DO UPDATE SET n = 2},
		q{PREPARE p AS INSERT INTO hidden.counted VALUES ('x', 1) ON CONFLICT (n) DO NOTHING},
		q{SET safeguard.max_rows_session = 1; UPDATE hidden.counted SET n = 2},
		q{DROP TABLE hidden.child},
		q{TRUNCATE hidden.child},
		q{ALTER TABLE hidden.child ADD x int},
		q{SELECT safeguard.watch('hidden.child', 'b')},
		q{SELECT safeguard.unwatch('hidden.counted')},
		q{SELECT safeguard.keep_rows('mine', 'hidden.child')},
		q{SELECT safeguard.restore_rows('mine', 'hidden.child')},
		q{SELECT safeguard.migrate('mine', 'SELECT 1')},
		q{SELECT safeguard.migration_mark('zz_version', 'reverted', 'because')},
		q{SELECT * FROM safeguard.sequence_position('hidden.child')},
		q{SELECT * FROM safeguard.assert_schema()},
		q{SELECT * FROM safeguard.connection_leaks('0s')},
		q{SELECT * FROM safeguard.slow_queries(1000)},
		q{SELECT safeguard.stats_reset()},
		q{SELECT safeguard.findings_reset()})
	{
		my ($out, $err) = as_role($role, $sql);
		my $label = ($role =~ s/regress_sg_//r) . ": " . substr($sql, 0, 70);
		# what one has written oneself is no secret
		s/zz_version//g for $out, $err;
		# the writer is told how many rows he changes
		$out =~ s/\b(?:7654|4321)\b//g, $err =~ s/\b4321\b//g
		  if $role eq 'regress_sg_writer' && $sql =~ /preview|max_rows|UPDATE hidden.counted/;
		ok("$out$err" !~ $SECRET, $label) or diag "$out$err";
	}
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM hidden.child'), '7654', 'nothing has been changed');
is($node->safe_psql('postgres', q{SELECT count(*) FROM safeguard.watches()}), '1', 'nor is another table watched');

# ---------------------------------------------------------------- nobody loosens

$node->safe_psql('postgres', 'GRANT SELECT, UPDATE ON point_info, systems TO PUBLIC');
$node->safe_psql('postgres', 'CREATE DATABASE owned OWNER regress_sg_nobody');
my $parameters = $node->safe_psql('postgres', q{
	SELECT string_agg(name, ' ') FROM pg_settings WHERE name LIKE 'safeguard.%' AND context <> 'user'});
for my $parameter (split(/ /, $parameters))
{
	my @ways = (
		"SET $parameter = 1",
		"SET LOCAL $parameter = 1",
		"RESET $parameter",
		"SELECT set_config('$parameter', '1', false)",
		"UPDATE pg_settings SET setting = '1' WHERE name = '$parameter'",
		"ALTER ROLE regress_sg_nobody SET $parameter = 1",
		"ALTER ROLE regress_sg_nobody IN DATABASE postgres SET $parameter = 1",
		"ALTER DATABASE owned SET $parameter = 1",
		"ALTER SYSTEM SET $parameter = 1",
		"CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql SET $parameter = 1 AS 'SELECT 1'");
	my ($out, $err) = as_role('regress_sg_nobody', join(";\n", @ways) . ';');
	is(scalar(() = $err =~ /ERROR:  (?:42501|55P02)/g), scalar(@ways), "$parameter cannot be set in any of " . @ways . ' ways')
	  or diag $err;
}

# before the library is loaded the names are unknown to the session: on a
# server without preload, the value of one who may not set it is given up
my $late = PostgreSQL::Test::Cluster->new('late');
$late->init;
$late->start;
create_incident($late, 'postgres');
$late->safe_psql('postgres', 'CREATE ROLE regress_sg_nobody LOGIN; GRANT SELECT, UPDATE ON point_info, systems TO PUBLIC');
for my $early ('SET safeguard.composite_key = off', 'SET safeguard.enabled = off', 'SET safeguard.max_level = record',
	q{SELECT set_config('safeguard.composite_key', 'off', false)}, 'SET safeguard.anything = 1')
{
	my ($rc, $out, $err) = $late->psql('postgres', "$early; SELECT count(*) FROM safeguard.rules; $BAD",
		extra_params => [ '-U', 'regress_sg_nobody', '-v', 'VERBOSITY=verbose' ], on_error_stop => 0);
	like($err, qr/ERROR:  SG001/, "$early, before the library is loaded");
}
$late->safe_psql('postgres', 'CREATE DATABASE owned OWNER regress_sg_nobody');
for my $sql ('ALTER DATABASE owned SET safeguard.composite_key = off',
	q{ALTER DATABASE owned SET session_preload_libraries = ''},
	'ALTER ROLE regress_sg_nobody IN DATABASE owned SET safeguard.max_level = record',
	q{CREATE FUNCTION f() RETURNS int LANGUAGE sql SET safeguard.enabled = off AS 'SELECT 1'},
	q{CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION g() SET safeguard.enabled = off})
{
	my ($rc, $out, $err) = $late->psql('owned', $sql,
		extra_params => [ '-U', 'regress_sg_nobody', '-v', 'VERBOSITY=verbose' ], on_error_stop => 0);
	like($err, qr/ERROR:  42501/, "$sql, as the owner of the database");
}
{
	# what a client sends with its start
	local $ENV{PGOPTIONS} = '-c safeguard.composite_key=off -c safeguard.enabled=off';
	my ($rc, $out, $err) = $late->psql('postgres', "SELECT count(*) FROM safeguard.rules; $BAD",
		extra_params => [ '-U', 'regress_sg_nobody', '-v', 'VERBOSITY=verbose' ], on_error_stop => 0);
	like($err, qr/ERROR:  SG001/, 'options of the connection, before the library is loaded');
	($rc, $out, $err) = $node->psql('postgres', $BAD, extra_params => [ '-U', 'regress_sg_nobody' ]);
	like($err, qr/permission denied to set parameter "safeguard/, 'and with it');

	# tables in a schema of this name that are not the extension's
	local $ENV{PGOPTIONS} = '';
	($rc, $out, $err) = $node->psql(
		'owned', qq{
		CREATE SCHEMA safeguard;
		CREATE TABLE safeguard.table_levels (relation regclass, rule text, level text, reason text, set_by name, set_at timestamptz);
		CREATE TABLE safeguard.column_roles (relation regclass, column_name name, role text, reason text, set_by name, set_at timestamptz);
		CREATE TABLE point_info (system_id int, id int, point_name text, PRIMARY KEY (system_id, id));
		CREATE TABLE systems (id int, vendor_type text);
		INSERT INTO safeguard.table_levels VALUES ('point_info', 'composite_key', 'off', NULL, 'x');
		INSERT INTO safeguard.column_roles VALUES ('point_info', 'id', 'identity', NULL, 'x');
		$BAD}, extra_params => [ '-U', 'regress_sg_nobody', '-v', 'VERBOSITY=verbose' ], on_error_stop => 0);
	like($err, qr/ERROR:  SG001/, 'exceptions that the extension has not made');
	($rc, $out, $err) = $node->psql('owned', 'CREATE EXTENSION safeguard');
	like($err, qr/schema "safeguard" already exists/, 'nor is it created into a schema that is there');
}
{
	my ($rc, $out, $err) = $late->psql('postgres',
		'ALTER ROLE regress_sg_nobody SET safeguard.enabled = off',
		extra_params => [ '-U', 'regress_sg_nobody' ]);
	like($err, qr/permission denied/, 'nor for a role, while the library is not loaded');
	($rc, $out, $err) = $late->psql('postgres', q{LOAD 'safeguard'}, extra_params => [ '-U', 'regress_sg_nobody' ]);
	like($err, qr/access to library "safeguard" is not allowed/, 'LOAD is not for everybody');
	($rc, $out, $err) = $late->psql('postgres', "LOAD 'safeguard'; LOAD 'safeguard'; DISCARD ALL; LOAD 'safeguard'; $BAD",
		on_error_stop => 0);
	like($err, qr/ERROR:  UPDATE matches table/, 'LOAD in the middle of a session, and again');
	($rc, $out, $err) = $late->psql('postgres',
		"PREPARE p AS $BAD; BEGIN; EXECUTE p; EXECUTE p; EXECUTE p; EXECUTE p; EXECUTE p; EXECUTE p; ROLLBACK; LOAD 'safeguard'; EXECUTE p", on_error_stop => 0);
	like($err, qr/ERROR:  UPDATE matches table/, 'a plan that was cached before is made anew');
}
$late->stop;

# ---------------------------------------------------------------- our own tables

for my $table (split(/ /, $node->safe_psql('postgres', q{
	SELECT string_agg(oid::regclass::text, ' ') FROM pg_class WHERE relnamespace = 'safeguard'::regnamespace AND relkind = 'r'})))
{
	my @ways = ("INSERT INTO $table DEFAULT VALUES", "DELETE FROM $table", "TRUNCATE $table", "DROP TABLE $table",
		"ALTER TABLE $table DISABLE TRIGGER ALL", "BEGIN; LOCK TABLE $table IN SHARE MODE; ROLLBACK", "CREATE INDEX ON $table ((1))",
		"CREATE RULE r AS ON INSERT TO $table DO INSTEAD NOTHING", "ALTER TABLE $table OWNER TO regress_sg_nobody");
	my ($out, $err) = as_role('regress_sg_nobody', join(";\n", @ways) . ';');
	is(scalar(() = $err =~ /ERROR:  42501/g), scalar(@ways), "$table is not for others to change") or diag $err;
}
my ($out, $err) = as_role('regress_sg_nobody', 'CREATE TABLE safeguard.mine (a int)');
like($err, qr/ERROR:  42501/, 'nobody makes anything in the schema');

# Default privileges of whoever creates the extension are not for its objects.
$node->safe_psql('postgres', 'CREATE DATABASE given');
create_incident($node, 'given');
$node->safe_psql(
	'given', q{
	DROP EXTENSION safeguard;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_sg_nobody;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO regress_sg_nobody;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO regress_sg_nobody;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO regress_sg_nobody;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
	CREATE EXTENSION safeguard;
	GRANT SELECT, UPDATE ON point_info, systems TO PUBLIC});
for my $sql (
	q{INSERT INTO safeguard.table_levels VALUES ('point_info', 'composite_key', 'off', NULL, 'x')},
	q{INSERT INTO safeguard.column_roles VALUES ('point_info', 'id', 'identity', NULL, 'x')},
	q{UPDATE safeguard.migrations SET status = 'applied'},
	q{SELECT nextval('safeguard.migrations_id_seq')},
	q{SELECT safeguard.migrate('x', 'SELECT 1')},
	q{SELECT safeguard.findings_reset()},
	q{CREATE FUNCTION safeguard.schema_id(text) RETURNS oid LANGUAGE sql AS 'SELECT 1::oid'},
	q{CREATE TABLE safeguard_rows.mine (a int)})
{
	my ($rc, $o, $e) = $node->psql('given', $sql,
		extra_params => [ '-U', 'regress_sg_nobody', '-v', 'VERBOSITY=verbose' ], on_error_stop => 0);
	like($e, qr/ERROR:  42501/, "with all default privileges: $sql");
}
is($node->safe_psql('given', 'SELECT count(*) > 10 FROM safeguard.rules',
		extra_params => [ '-U', 'regress_sg_nobody' ]), 't', 'what is for everybody still is');

# Queries of monitoring mean the server's functions, whoever owns a schema.
$node->safe_psql(
	'given', q{
	GRANT CREATE ON SCHEMA public TO regress_sg_nobody;
	CREATE ROLE regress_sg_monitoring LOGIN;
	GRANT pg_monitor TO regress_sg_monitoring;
	SET ROLE regress_sg_nobody;
	CREATE TABLE "a""b\c
safeguard_fake{x=""y""} 1" ("d""e
f" int PRIMARY KEY);
	SELECT safeguard.watch('"a""b\c
safeguard_fake{x=""y""} 1"', E'd"e\nf');
	INSERT INTO "a""b\c
safeguard_fake{x=""y""} 1" VALUES (1);
	CREATE FUNCTION public.format(text, text, text, text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trap as %', current_user; END$$;
	CREATE FUNCTION public.array_position(text[], text) RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'trap as %', current_user; END$$});
{
	my @as = (extra_params => [ '-U', 'regress_sg_monitoring' ], on_error_stop => 0);
	my $monitoring = "$FindBin::RealBin/../../../monitoring";
	my ($rc, $o, $e) = $node->psql('given', q{SELECT format('%s', 'a'::text, 'b'::text, 'c'::text)}, @as);
	like($e, qr/trap as regress_sg_monitoring/, 'the trap is set');
	($rc, $o, $e) = $node->psql('given', slurp_file("$monitoring/textfile.sql"), @as);
	is($e, '', 'textfile.sql does not step into it');
	like($o, qr/^safeguard_health_status /m, 'and prints the metrics');
	is(join("\n", grep { !/^(?:#.*|safeguard_\w+(?:\{(?:\w+="(?:[^"\\]|\\[\\n"])*",?)*\})? \S+)$/ } split(/\n/, $o)),
		'', 'in which no name makes a line of its own');
	like(slurp_file("$monitoring/README.md"), qr/^ *(ALTER ROLE monitoring SET search_path = .*;)$/m, 'exporters have the role for that');
	$node->safe_psql('given', slurp_file("$monitoring/README.md") =~ /^ *(ALTER ROLE monitoring SET search_path = .*;)$/m ? $1 =~ s/monitoring/regress_sg_monitoring/r : '');
	($rc, $o, $e) = $node->psql('given', q{SELECT array_position(ARRAY['a', 'b'], 'b'::text)}, @as);
	is("$o$e", '2', 'whose queries do not either');
}

# A superuser may spoil them.  That costs exceptions, not the server.
for my $spoil (
	q{ALTER TABLE safeguard.table_levels DROP CONSTRAINT table_levels_level_check; INSERT INTO safeguard.table_levels VALUES ('point_info', 'composite_key', 'nonsense', NULL, 'x')},
	q{INSERT INTO safeguard.table_levels VALUES ('point_info', 'no_such_rule', 'off', NULL, 'x'), (1, 'composite_key', 'off', NULL, 'x')},
	q{ALTER TABLE safeguard.table_levels DROP CONSTRAINT table_levels_pkey; INSERT INTO safeguard.table_levels SELECT 'systems', 'composite_key', 'off', NULL, 'x' FROM generate_series(1, 1000)},
	q{ALTER TABLE safeguard.table_levels DROP CONSTRAINT table_levels_pkey; ALTER TABLE safeguard.table_levels ALTER rule DROP NOT NULL, ALTER level DROP NOT NULL; INSERT INTO safeguard.table_levels VALUES ('point_info', NULL, NULL, NULL, 'x')},
	q{ALTER TABLE safeguard.column_roles DROP CONSTRAINT column_roles_pkey; ALTER TABLE safeguard.column_roles ALTER column_name DROP NOT NULL; INSERT INTO safeguard.column_roles VALUES ('point_info', NULL, 'scope', NULL, 'x')},
	q{ALTER TABLE safeguard.column_roles RENAME column_name TO something; ALTER TABLE safeguard.column_roles RENAME role TO column_name},
	q{ALTER TABLE safeguard.table_levels RENAME TO something},
	q{ALTER EXTENSION safeguard DROP TABLE safeguard.table_levels; DROP TABLE safeguard.table_levels CASCADE},
	q{ALTER SCHEMA safeguard RENAME TO other},
	q{DROP EXTENSION safeguard CASCADE; CREATE SCHEMA safeguard; CREATE VIEW safeguard.table_levels AS SELECT 1/0 AS relation},
	q{DROP EXTENSION safeguard CASCADE; CREATE SCHEMA safeguard; CREATE TABLE safeguard.table_levels (relation int, rule int); INSERT INTO safeguard.table_levels VALUES (1, 2)},
	q{UPDATE pg_class SET relnatts = 2 WHERE oid = 'safeguard.table_levels'::regclass})
{
	my ($rc, $o, $e) = $node->psql('postgres',
		"SET client_min_messages = warning; SET allow_system_table_mods = on; BEGIN; $spoil; SAVEPOINT s; $BAD; ROLLBACK TO s; SELECT 'alive'; ROLLBACK;",
		on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like($e, qr/ERROR:  SG001/, 'still guarded: ' . substr($spoil, 0, 60)) or diag $e;
	like($o, qr/alive/, 'and alive');
}
rejected_with($node, 'postgres', $BAD, 'guarded in the end');
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nobody crashed');
done_testing();
