
# Every failure of ours lets the statement run, is counted, and shows in
# status() and health().  The library is built with SAFEGUARD_FAULTS.

use strict;
use warnings FATAL => 'all';

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = incident_node('open',
	conf => [ 'statement_timeout = 60s', 'max_prepared_transactions = 5',
		'safeguard.large_table = 0', 'autovacuum = off',
		# asked before the command, in the middle and after it
		'safeguard.destructive_ddl = record', 'safeguard.lock_timeout = record' ]);

$node->safe_psql(
	'postgres', q{
	CREATE TABLE load (k int PRIMARY KEY, v int);
	CREATE TABLE gone (a int);
	CREATE TABLE kept (a int);
	CREATE TABLE scoped (tenant int, v int);
	CREATE TABLE silent (a int UNIQUE NULLS DISTINCT, b int);
	SELECT safeguard.set_column('scoped', 'tenant', 'scope');
	INSERT INTO scoped VALUES (1, 1);
	INSERT INTO gone VALUES (1);
	INSERT INTO kept VALUES (1);
	-- cannot be read in: it has no access method
	CREATE TABLE broken ();
	SET allow_system_table_mods = on;
	UPDATE pg_class SET relam = 1 WHERE relname = 'broken';
});

sub unjudged
{
	return $node->safe_psql('postgres',
		q{SELECT value FROM safeguard.status() WHERE item = 'unjudged'});
}

# What each place fails at, and what says that the statement has run.
my %place = (
	'detect' => [ $BAD, q{SELECT count(*) = 8 FROM point_info WHERE point_name = 'Grid import'} ],
	'encode' => [ $BAD, q{SELECT count(*) = 8 FROM point_info WHERE point_name = 'Grid import'} ],
	'judge' => [ $BAD, q{SELECT count(*) = 8 FROM point_info WHERE point_name = 'Grid import'} ],
	'detect_upserts' => [
		'INSERT INTO load (k) VALUES (1) ON CONFLICT DO NOTHING',
		'SELECT count(*) = 1 FROM load'
	],
	'upsert' => [
		'INSERT INTO load VALUES (1, 2) ON CONFLICT (k) DO UPDATE SET v = excluded.v',
		'SELECT count(*) = 1 FROM load WHERE v = 2'
	],
	'upsert_finish' => [
		'INSERT INTO load VALUES (1, 2) ON CONFLICT (k) DO UPDATE SET v = excluded.v',
		'SELECT count(*) = 1 FROM load WHERE v = 2'
	],
	'upsert_end' => [
		'INSERT INTO load VALUES (1, 2) ON CONFLICT (k) DO UPDATE SET v = excluded.v',
		'SELECT count(*) = 1 FROM load WHERE v = 2'
	],
	'row_limit_deliver' => [
		'SET LOCAL safeguard.max_rows = 1; UPDATE systems SET vendor_type = vendor_type || id',
		q{SELECT count(*) = 2 FROM systems WHERE vendor_type ~ '\d'}
	],
	'figures' => [ 'CREATE TABLE named (a int)', q{SELECT count(a) = 0 FROM named} ],
	'row_limit' => [
		'SET LOCAL safeguard.max_rows_session = 1; UPDATE systems SET vendor_type = vendor_type || id',
		q{SELECT count(*) = 2 FROM systems WHERE vendor_type ~ '\d'}
	],
	# counted are the rows of one target alone by then
	'row_limit_second' => [
		'SET LOCAL safeguard.expected_rows = 4; WITH s AS (UPDATE systems SET vendor_type = vendor_type || id) '
		  . "UPDATE point_info SET point_name = 'x' WHERE system_id = 1 AND id < 3",
		q{SELECT count(*) = 2 FROM point_info WHERE point_name = 'x'}
	],
	'replica' => [
		'SET LOCAL session_replication_role = replica; INSERT INTO load VALUES (7, 7)',
		'SELECT count(*) = 1 FROM load WHERE k = 7'
	],
	'history' => [ 'INSERT INTO load VALUES (8, 8)', 'SELECT count(*) = 1 FROM load WHERE k = 8' ],
	'merge_keys' => [
		'MERGE INTO load USING (VALUES (1, 2)) s (k, v) ON load.k = s.k WHEN MATCHED THEN UPDATE SET v = s.v '
		  . 'WHEN NOT MATCHED THEN INSERT VALUES (s.k, s.v)',
		'SELECT count(*) = 1 FROM load WHERE v = 2'
	],
	'before' => [ 'TRUNCATE gone', 'SELECT count(*) = 0 FROM gone' ],
	'event' => [ 'DROP TABLE gone', q{SELECT to_regclass('gone') IS NULL} ],
	'done' => [ 'ALTER TABLE gone ADD b int', q{SELECT count(b) = 0 FROM gone} ],
);
my %forced;    # places of which status() has told
my %sqlstate = (error => 'XX000', memory => '53200', depth => '54001', leak => 'XX000', io => '[0-9A-Z]{5}',
	relcache => 'XX000');

for my $place (sort keys %place)
{
	my ($sql, $has_run) = @{ $place{$place} };

	for my $action (sort keys %sqlstate)
	{
		my $before = unjudged();
		my $offset = -s $node->logfile;

		# the transaction goes on, to its commit; what it did is taken back
		# by another one
		my ($rc, $out, $err) = $node->psql('postgres', qq{
			BEGIN;
			SET LOCAL safeguard.fault = '$place $action';
			$sql;
			SET LOCAL safeguard.fault = '';
			$has_run;
			SAVEPOINT inner_one;
			SELECT current_user = session_user, current_setting('application_name') <> 'fault',
			       (SELECT count(*) = 0 FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'pg_class'::regclass);
			RELEASE inner_one;
			PREPARE TRANSACTION 'p';
			ROLLBACK PREPARED 'p';
			SELECT count(*) FROM pg_class WHERE relname = 'point_info';
		}, extra_params => [ '-v', 'ON_ERROR_STOP=1' ]);
		is("$rc $out", "0 t\nt|t|t\n1", "$place, $action: the statement runs") or diag $err;
		cmp_ok(unjudged(), '>', $before, "$place, $action: it is counted");
		like(
			$node->safe_psql('postgres',
				q{SELECT detail FROM safeguard.status() WHERE item = 'unjudged'}),
			qr/because of an error $sqlstate{$action}: /, "$place, $action: and status() tells why");
		$forced{$place} = 1;
		unlike(slurp_file($node->logfile, $offset), qr/reference leak|refcount leak|not closed|TRAP:|PANIC:/,
			"$place, $action: no resource is leaked");
	}
}

# The rules one by one, and each step of those that look at commands
my %rule = (
	(map { $_ => [ $GOOD, q{SELECT count(*) = 4 FROM point_info WHERE point_name = 'Grid import'} ] }
		  qw(composite_key outer_reference unlinked_from)),
	'unqualified_dml' => [ 'DELETE FROM kept', 'SELECT count(*) = 0 FROM kept' ],
	'scope' => [ 'UPDATE scoped SET v = 2', 'SELECT bool_and(v = 2) FROM scoped' ],
	'conflict_silent' => [
		'INSERT INTO silent VALUES (NULL, 1) ON CONFLICT (a) DO NOTHING', 'SELECT count(*) = 1 FROM silent' ],
	(map { $_ => [ 'DROP TABLE gone', q{SELECT to_regclass('gone') IS NULL} ] }
		  qw(before_lock_timeout before_destructive_ddl before_bypass
		  event_destructive_ddl event_lock_timeout event_bypass event_key_loss
		  done_advice done_key_loss done_destructive_ddl done_lock_timeout done_bypass)),
	# to count a statement by its text
	'query_text' => [
		'UPDATE load SET v = 5 WHERE k = -5; UPDATE load SET k = 9, v = 3',
		'SELECT count(*) = 0 FROM load' ]);
for my $place (sort keys %rule)
{
	my ($sql, $has_run) = @{ $rule{$place} };
	my $before = unjudged();
	my ($rc, $out, $err) = $node->psql('postgres', qq{
		SET compute_query_id = on; SET safeguard.track_queries = 'all';
		BEGIN; SET LOCAL safeguard.fault = '$place error'; $sql;
		SET LOCAL safeguard.fault = ''; $has_run; ROLLBACK;}, extra_params => [ '-v', 'ON_ERROR_STOP=1' ]);
	is("$rc $out", '0 t', "$place: the statement runs") or diag $err;
	cmp_ok(unjudged(), '>', $before, "$place: it is counted");
	like($node->safe_psql('postgres', q{SELECT detail FROM safeguard.status() WHERE item = 'unjudged'}),
		qr/because of an error XX000: fault at $place/, "$place: and status() tells why") and $forced{$place} = 1;
}
# and of those that have failed: the error stays the statement's
for my $case ([ 'failed_query', 'SELECT 1 / 0', 'division by zero' ],
	[ 'explain', 'INSERT INTO load VALUES (1) ON CONFLICT (v) DO NOTHING', 'there is no unique or exclusion constraint' ])
{
	my ($place, $sql, $message) = @$case;
	my $before = unjudged();
	my ($rc, $out, $err) = $node->psql('postgres', qq{
		SET compute_query_id = on; SET safeguard.track_queries = 'all';
		SET safeguard.fault = '$place error'; $sql; SELECT 'goes on';}, on_error_stop => 0);
	like("$out $err", qr/^goes on psql:\S+ ERROR:  $message/, "$place: the error is that of the server");
	unlike($err, qr/fault at/, "$place: and no other");
	cmp_ok(unjudged(), '>', $before, "$place: it is counted");
	like($node->safe_psql('postgres', q{SELECT detail FROM safeguard.status() WHERE item = 'unjudged'}),
		qr/because of an error XX000: fault at $place/, "$place: and status() tells why") and $forced{$place} = 1;
}

# That was all of them, as the sources tell
my @there;
for my $file (split /\n/, `find src safeguard.c -name '*.c'`)
{
	my $text = slurp_file($file);

	next if $file =~ m{/failopen\.c$};
	push @there, $1 =~ /"(\w+)"/g while $text =~ /sg_fault\(([^;]*)\);/g;
	push @there, $text =~ /^\t\{PART_\w+, \w+, "(\w+)"\}/mg, $text =~ /walk_steps\([^;]*"(\w+)"\);/g;
	next unless $file =~ m{/registry\.c$};
	push @there, $1 while $text =~ /\.name = "(\w+)",(?:(?!\.name)[\s\S])*?\.detect_(?:dml|upsert) = sg_/g;
}
is_deeply([ sort keys %forced ], [ sort @there ], 'each place that can be made to fail has been');

like($node->safe_psql('postgres', q{SELECT status || warnings[1] FROM safeguard.health()}),
	qr/^degradedjudging a statement failed \d s ago, and it went through/,
	'health() tells');
rejected_with($node, 'postgres', $BAD, 'without a fault it is rejected');

# Nothing of a failure stays in memory, and no context of ours but its caches
my $LOOK = q{SELECT 'looked', sum(total_bytes),
	coalesce(string_agg(DISTINCT name, ', ') FILTER (WHERE name LIKE 'safeguard%' AND name !~ '^safeguard (relations|columns|arbiters|declar|upsert targets|load|violation)'), '')
	FROM pg_backend_memory_contexts;};
for my $place (sort keys %place)
{
	for my $action (qw(error memory leak))
	{
		my $once = "BEGIN; SET LOCAL safeguard.fault = '$place $action'; $place{$place}[0]; ROLLBACK;\n";
		my ($rc, $out, $err) = $node->psql('postgres',
			"SET client_min_messages = fatal;\n" . $once x 30 . $LOOK . $once x 100 . $LOOK, on_error_stop => 0);
		my @looked = map { [ split /\|/, $_, -1 ] } grep { /^looked\|/ } split /\n/, $out;
		is(scalar @looked, 2, "$place, $action: the session goes on") or next;
		cmp_ok($looked[1][1] - $looked[0][1], '<=', 32 * 1024, "$place, $action: memory does not grow");
		is($looked[1][2], '', "$place, $action: no context is left");
	}
}

# The failure of one does not cost the next its judgement, in one session
my ($rc, $out, $err) = $node->psql('postgres', qq{
	SET safeguard.fault = 'detect leak'; BEGIN; $BAD; ROLLBACK;
	RESET safeguard.fault; $BAD;}, on_error_stop => 0);
like($err, qr/ERROR:  UPDATE matches table "point_info"/, 'the same session goes on judging');

# The failure of one rule is not that of the others: in the statement, before a
# command, in the middle and after it
for my $rule (qw(outer_reference unlinked_from))
{
	($rc, $out, $err) = $node->psql('postgres', "SET safeguard.fault = '$rule error'; $BAD");
	like($err, qr/ERROR:  UPDATE matches table "point_info"/, "$rule fails, composite_key does not");
}
($rc, $out, $err) = $node->psql('postgres', qq{
	SET safeguard.fault = 'composite_key error';
	UPDATE point_info SET point_name = '' WHERE id IN (SELECT point_info.id FROM systems);});
like($err, qr/ERROR:  .*subquery/, 'composite_key fails, outer_reference does not');
for my $place (qw(before_lock_timeout event_lock_timeout event_key_loss done_advice done_key_loss))
{
	($rc, $out, $err) = $node->psql('postgres',
		"SET safeguard.destructive_ddl = error; SET safeguard.fault = '$place error'; DROP TABLE kept;");
	like($err, qr/ERROR:  DROP TABLE /, "$place fails, destructive_ddl does not");
}
for my $place (qw(before_lock_timeout before_bypass))
{
	my $before = unjudged();

	($rc, $out, $err) = $node->psql('postgres', qq{
		SET client_min_messages = error;
		SET session_replication_role = replica;
		SET client_min_messages = notice;
		SET safeguard.fault = '$place error';
		SET session_replication_role = replica;});
	is("$rc $err", '0 ', "$place: and nothing is told that is not so");
	cmp_ok(unjudged(), '>', $before, "$place: it is counted");
}

# A plan that was made when detection failed is made anew when time has gone on:
# a transaction has
for my $place (qw(detect composite_key encode))
{
	($rc, $out, $err) = $node->psql('postgres', qq{
		SET safeguard.fault = '$place error'; SET plan_cache_mode = force_generic_plan;
		PREPARE bad AS $BAD; BEGIN; EXECUTE bad; ROLLBACK;
		RESET safeguard.fault; EXECUTE bad;}, on_error_stop => 0);
	like($err, qr/^psql:\S+ ERROR:  UPDATE matches table "point_info"/, "$place: a plan made anew is judged");
}
# the same of an upsert
($rc, $out, $err) = $node->psql('postgres', q{
	SET client_min_messages = warning;
	SET safeguard.conflict_silent = error; SET plan_cache_mode = force_generic_plan;
	SET safeguard.fault = 'conflict_silent error';
	PREPARE silent AS INSERT INTO silent VALUES (NULL, 1) ON CONFLICT (a) DO NOTHING;
	EXECUTE silent;
	RESET safeguard.fault; EXECUTE silent;}, on_error_stop => 0);
like($err, qr/^psql:\S+ ERROR:  INSERT/, 'detect_upserts: a plan made anew is judged');

# ---------------------------------------------------------------- interrupts

# What the user or the administrator has said is no failure: it ends the
# statement in the middle of judging it.
for my $place (sort keys %place)
{
	my ($sql, $has_run) = @{ $place{$place} };
	my $before = unjudged();

	($rc, $out, $err) = $node->psql('postgres',
		qq{SET statement_timeout = '200ms'; SET safeguard.fault = '$place sleep'; BEGIN; $sql});
	like($err, qr/ERROR:  canceling statement due to statement timeout/,
		"$place: statement_timeout ends it");
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->{stdin} .= "SET safeguard.fault = '$place sleep';\nBEGIN;\n$sql;\n";
	$session->{run}->pump_nb;
	$node->poll_query_until('postgres',
		"SELECT state = 'active' AND query !~ '^(SET|BEGIN)' FROM pg_stat_activity WHERE pid = $pid");
	is($node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 60000)"),
		't', "$place: pg_terminate_backend ends it");
	eval { $session->quit };
	is(unjudged(), $before, "$place: neither is a failure");
}

# So do a conflict with recovery or with a serializable transaction, and
# lock_timeout; a deadlock has ended with our part in it.
for my $sqlstate (qw(40001 40003 55P03 57P05 XX001))
{
	my $before = unjudged();

	($rc, $out, $err) = $node->psql('postgres',
		qq{\\set VERBOSITY sqlstate\nSET safeguard.fault = 'judge sqlstate $sqlstate'; $BAD});
	like($err, qr/ERROR:  $sqlstate$/, "$sqlstate ends the statement");
	is(unjudged(), $before, "$sqlstate is no failure");
}
($rc, $out, $err) = $node->psql('postgres', qq{
	BEGIN; SET LOCAL safeguard.fault = 'judge sqlstate 40P01'; $BAD;
	ROLLBACK;}, on_error_stop => 1);
is("$rc $err", '0 ', 'the statement outlives a deadlock of ours');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND pid <> pg_backend_pid()}),
	'0', 'no lock is left');

# ---------------------------------------------------------------- a crash of ours

add_conf($node, 'restart_after_crash = on');
$node->reload;
my $offset = -s $node->logfile;
$node->psql('postgres', "SET safeguard.fault = 'detect crash'; $BAD");
$node->wait_for_log(qr/all server processes terminated; reinitializing.*ready to accept connections/s, $offset);
rejected_with($node, 'postgres', $BAD, 'guarded after a crash of our own');
$node->stop;
done_testing();
