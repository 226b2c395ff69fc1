
# safeguard.preview() leaves nothing behind, however it ends.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Skips;
use Test::More;

my $node = incident_node('main', init => { allows_streaming => 1 });

$node->safe_psql(
	'postgres', q{
	CREATE TABLE parent (id int PRIMARY KEY, v text);
	CREATE TABLE child (id serial PRIMARY KEY, parent_id int REFERENCES parent ON DELETE CASCADE);
	CREATE TABLE patches (id int PRIMARY KEY, name text);
	CREATE VIEW low AS SELECT * FROM parent WHERE id < 5;
	CREATE SEQUENCE numbers;
	INSERT INTO parent SELECT g, 'p' || g FROM generate_series(1, 100) g;
	INSERT INTO child (parent_id) SELECT g FROM generate_series(1, 100) g;
	CREATE ROLE clerk;
	GRANT DELETE, SELECT ON parent TO clerk;
});

sub dump_of
{
	my ($stdout) = run_command(
		[ 'pg_dumpall', '--no-sync', '-p', $node->port, '-h', $node->host ]);

	# some releases put a random key into each dump
	$stdout =~ s/^\\(un)?restrict .*$//mg;
	return $stdout;
}

sub preview
{
	my ($sql, $arguments) = @_;
	$sql = '$script$' . $sql . '$script$';
	return $node->safe_psql('postgres',
		'SELECT statement, command, relation, rows, sqlstate FROM safeguard.preview('
		  . $sql . ($arguments ? ", $arguments" : '') . ')');
}

# What a script does to data, catalogs, roles and large objects is gone.
my $everything = q{
	UPDATE parent SET v = 'changed';
	DELETE FROM parent WHERE id > 50;
	TRUNCATE child RESTART IDENTITY;
	ALTER TABLE parent ADD extra int DEFAULT 5, ALTER v SET NOT NULL;
	DROP VIEW low;
	CREATE TABLE made AS SELECT * FROM parent;
	CREATE INDEX ON made (id);
	CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
	CREATE ROLE made_role;
	ALTER ROLE clerk SET work_mem = '7MB';
	ALTER DATABASE postgres SET work_mem = '7MB';
	GRANT ALL ON parent TO clerk;
	COMMENT ON TABLE parent IS 'commented';
	ALTER SEQUENCE numbers RESTART 100 INCREMENT 5;
	SELECT lo_from_bytea(0, 'abc');
	SELECT safeguard.set_level('parent', 'unqualified_dml', 'off');
	CREATE SCHEMA other;
	ALTER TABLE child SET SCHEMA other;
	DROP TABLE other.child, patches;
};
my $before = dump_of();
my $result = preview($everything);
is($result =~ s/^\d+\|.*\n?//mgr, '', 'each row has a statement');
unlike($result, qr/\|[0-9A-Z]{5}$/m, 'no statement has failed');
like($result, qr/^2\|DELETE\|parent\|50\|$/m, 'rows are counted');
is(dump_of(), $before, 'the dump is the same after a rehearsal');

$result = preview("$everything; SELECT 1/0; UPDATE parent SET v = 'x'");
like($result, qr/\|SELECT\|\|\|22012\z/, 'it ends with the statement that fails');
is(dump_of(), $before, 'the dump is the same after a failure');

like(
	preview(q{
		INSERT INTO parent VALUES (1000, 'n') ON CONFLICT DO NOTHING;
		CREATE TABLE IF NOT EXISTS made (a int);
		INSERT INTO made VALUES (1)}, 'twice => true'),
	qr/INSERT \(second run\)\|parent\|0\|\n.*\n3\|INSERT \(second run\)\|\|1\|\z/,
	'a second run shows what is idempotent');
is(dump_of(), $before, 'the dump is the same after a second run');

# Sequences advance, and are named.
is( $node->safe_psql(
		'postgres', q{
		SELECT unnest(locks) FROM safeguard.preview('INSERT INTO child (parent_id) VALUES (1)')
		 WHERE array_to_string(locks, ' ') ~ 'sequence'}) =~ s/.*(public.child_id_seq: \N*).*/$1/sr,
	'public.child_id_seq: RowExclusiveLock (the sequence advances, and stays so)',
	'a sequence that advances is named');
isnt(dump_of(), $before, 'it is what remains');
$before = dump_of();

# Nothing is counted: no finding, no upsert.
preview($BAD);
preview(q{INSERT INTO patches SELECT g % 5, 'x' FROM generate_series(1, 5) g ON CONFLICT (id) DO UPDATE SET name = excluded.name});
is(figures($node), '0|0', 'a rehearsal counts no findings');
is($node->safe_psql('postgres', 'SELECT count(*) FROM safeguard.upsert_stats'),
	'0', 'nor upserts');
rejected_with($node, 'postgres', $BAD, 'the statement itself is rejected');

# Somebody else's lock
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE parent');
is( preview('SELECT 1; UPDATE parent SET v = 1; SELECT 2', q{lock_timeout => '10ms'}),
	"1|SELECT|||\n2|UPDATE|parent||55P03",
	'a lock that is not to be had is the failure of the statement');
$holder->query_safe('COMMIT');

# Its own are given back at its end, although the transaction goes on.
$holder->query_safe(
	q{BEGIN; SELECT count(*) FROM safeguard.preview('LOCK TABLE parent; SELECT pg_advisory_lock(7)')});
is( $node->safe_psql('postgres',
		q{UPDATE parent SET v = v WHERE id = 1; SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
	'0',
	'locks are gone after the rehearsal');
$holder->query_safe('ROLLBACK');
$holder->quit;

# A cancel, and the end of the session, in the middle
my $session = $node->background_psql('postgres', on_error_stop => 0);
my $sleeping = q{SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'};
sub start_rehearsal
{
	$session->query_until(
		qr/started/, q{\echo started
		SELECT count(*) FROM safeguard.preview('UPDATE parent SET v = 0; PREPARE mine AS SELECT 1; SELECT pg_advisory_lock(8); SET work_mem = ''7MB''; SELECT pg_sleep(300)', '1s', '300s');
	});
	$node->poll_query_until('postgres', "SELECT EXISTS ($sleeping)")
	  or die 'the rehearsal does not run';
	return;
}
$before = dump_of();
start_rehearsal();
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM ($sleeping) s");
like(
	$session->query(
		q{SELECT 'work_mem=' || current_setting('work_mem'), 'prepared=' || (SELECT count(*) FROM pg_prepared_statements),
		'locks=' || (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')}),
	qr/work_mem=4MB\|prepared=0\|locks=0/,
	'a session that was cancelled is what it was');
$session->{stderr} = '';
$session->query($BAD);
like($session->{stderr}, qr/UPDATE matches table "point_info"/,
	'its rules are enforced again');
is(dump_of(), $before, 'the dump is the same after a cancel');
start_rehearsal();
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM ($sleeping) s");
$node->poll_query_until('postgres', "SELECT NOT EXISTS ($sleeping)")
  or die 'the session does not end';
is(dump_of(), $before, 'the dump is the same after the end of the session');
eval { $session->quit };

# An ordinary user
my ($rc, $out, $err) = $node->psql('postgres',
	q{SET ROLE clerk; SELECT command, relation, rows FROM safeguard.preview('DELETE FROM parent WHERE id = 1')});
is("$rc $out", "0 DELETE|parent|1\nDELETE (cascade)|child|",
	'an ordinary user rehearses what he may do, and sees what he may read');
is( $node->safe_psql('postgres',
		q{SET ROLE clerk; SELECT sqlstate FROM safeguard.preview('UPDATE parent SET v = 1')}),
	'42501',
	'and no more than that');

# A lock that does not come says nothing about a function, and costs no other one
$node->safe_psql('postgres', q{
	CREATE SCHEMA waits;
	CREATE TABLE waits.locked (a int);
	CREATE TABLE waits.free (a int);
	CREATE FUNCTION waits.f1() RETURNS void LANGUAGE plpgsql AS 'BEGIN DELETE FROM waits.locked; DELETE FROM waits.free; END';
	CREATE FUNCTION waits.f2() RETURNS void LANGUAGE sql AS 'DELETE FROM waits.free';
});
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE waits.locked');
is( $node->safe_psql('postgres',
		q{SET lock_timeout = '10ms'; SELECT function, statement, rule, level, message FROM safeguard.check_functions('waits')}),
	"waits.f1()|1|analyze|record|statement was not judged: canceling statement due to lock timeout\n"
	  . "waits.f1()|2|unqualified_dml|record|DELETE from table \"free\" has no WHERE clause\n"
	  . 'waits.f2()|1|unqualified_dml|record|DELETE from table "free" has no WHERE clause',
	'a lock timeout is a row of check_functions');
$locker->quit;

# What reaches out is known by what it is in C, not by its name
SKIP:
{
	skip_lacking($node, 5, 'dblink', 'file_fdw');
	my $touched = $node->basedir . '/touched';
	$node->safe_psql('postgres', qq{
		CREATE SCHEMA other;
		CREATE EXTENSION dblink SCHEMA other;
		ALTER FUNCTION other.dblink_exec(text, text) RENAME TO run_there;
		CREATE FUNCTION runs() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN other.run_there(''dbname=postgres'', ''SELECT 1''); END';
		CREATE EXTENSION file_fdw;
		CREATE FOREIGN DATA WRAPPER mine HANDLER file_fdw_handler;
		CREATE SERVER files FOREIGN DATA WRAPPER mine;
		CREATE FOREIGN TABLE program (a text) SERVER files OPTIONS (program 'touch $touched');
		CREATE FUNCTION reads() RETURNS text LANGUAGE sql AS 'SELECT a FROM program';
	});
	for my $script ("SELECT other.run_there('x', 'y')", 'SELECT count(*) FROM program')
	{
		my ($status, $rows, $stderr) = $node->psql('postgres', "SELECT * FROM safeguard.preview(\$s\$$script\$s\$)");
		like($stderr, qr/cannot rehearse .*(?:run_there|program)/, "refused: $script");
	}
	is( $node->safe_psql('postgres', q{SELECT command, sqlstate FROM safeguard.preview('ANALYZE program')}),
		'ANALYZE|', 'ANALYZE does not run the program');
	is( $node->safe_psql('postgres',
			q{SELECT statement, sqlstate FROM unnest(ARRAY['SELECT runs()', 'SELECT reads()']) s, safeguard.preview(s)}),
		"1|0A000\n1|0A000", 'and so are functions that do it');
	ok(!-e $touched, 'the program has not been run');
}

# A standby
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
($rc, $out, $err) = $standby->psql(
	'postgres',
	q{SELECT * FROM safeguard.preview('SELECT 1')},
	extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/ERROR:  25006: cannot execute safeguard.preview\(\) during recovery/,
	'a standby says that it cannot');
$standby->stop;

# Without shared memory it does the same
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\nsession_preload_libraries = 'safeguard'");
$node->restart;
is( $node->safe_psql('postgres',
		'SELECT rows, jsonb_array_length(findings) FROM safeguard.preview($s$' . $BAD . '$s$)'),
	'8|1',
	'it works in a session that has loaded the library');
$node->stop;

done_testing();
