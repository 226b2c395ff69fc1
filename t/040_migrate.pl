
# Many sessions run the same migration at once: exactly one applies it, the
# others wait and see it as applied, none fails; whatever happens to the one.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol qw(wait_until);
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('migrate');
$node->init(allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safeguard'
max_connections = 40
log_statement = none
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safeguard; CREATE TABLE done (what text)');

sub session
{
	my ($dbname) = @_;
	return Protocol->connect(
		host => $node->host,
		port => $node->port,
		user => $node->safe_psql('postgres', 'SELECT current_user'),
		dbname => $dbname // 'postgres');
}

my $monitor = session();

sub wait_for_waiters
{
	my ($n) = @_;
	return wait_until("$n wait", sub {
		$monitor->rows(q{SELECT count(*) FROM pg_locks WHERE NOT granted}) == $n });
}

# What a session is answered: its value, or the SQLSTATE.
sub outcome
{
	my ($answer) = @_;
	return $answer->{error}{C} if $answer->{error};
	return $answer->{rows}[0][0] // '';
}

sub migrate
{
	my ($version, $sql) = @_;
	return "SELECT safeguard.migrate('$version', \$m\$$sql\$m\$)";
}

# All of them at once; how often which answer.
sub at_once
{
	my ($sql, @sessions) = @_;
	my %count;

	$_->say(Q => "$sql\0") for @sessions;
	$count{ outcome($_->answer) }++ for @sessions;
	return join ', ', map { "$count{$_} $_" } sort keys %count;
}

sub done
{
	my ($what) = @_;
	return $monitor->rows("SELECT count(*) FROM done WHERE what = '$what'");
}

my @twelve = map { session() } 1 .. 12;

# ---------------- twelve at once, at every isolation level ----------------

for my $level ('read committed', 'repeatable read', 'serializable')
{
	my $sql = migrate($level, "SELECT pg_sleep(0.3); CREATE TABLE \"made $level\" (id int);
		INSERT INTO done VALUES ('$level')");
	$_->query("SET default_transaction_isolation = '$level'") for @twelve;
	is(at_once($sql, @twelve), '11 already applied, 1 applied', "$level: one of twelve applies it");
	is(done($level), 1, "$level: once");
	is(at_once($sql, @twelve), '12 already applied', "$level: twelve come later");
	is($monitor->rows("SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND database <> 0"), 0,
		"$level: no lock is left");
}

# Different ones have nothing to do with each other, not even for SERIALIZABLE.
for my $n (0 .. 11)
{
	$twelve[$n]->say(Q => "SELECT safeguard.migrate('$n', 'SELECT pg_sleep(0.3)', project => 'apart')\0");
}
is(join(',', map { outcome($_->answer) } @twelve), join(',', ('applied') x 12), 'twelve different ones at once');
$_->query('RESET default_transaction_isolation') for @twelve;
is($monitor->rows('SELECT string_agg(version, \',\' ORDER BY id) FROM safeguard.migrations WHERE project = \'default\''),
	'read committed,repeatable read,serializable', 'the order is that of application');
my $log = slurp_file($node->logfile);
is(() = ($log =~ /LOG:  migration "serializable" of project "default" was applied: statements: 3, rows: 1,/g),
	1, 'the log has one line');

# A transaction that does not see what the migration before has done must not
# build on it.
my ($first, $second, $third) = @twelve;
$first->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$second->query(migrate('newer', 'INSERT INTO done VALUES (1)'));
is(outcome($first->query(migrate('newer', 'INSERT INTO done VALUES (1)'))), 'already applied',
	'an old transaction is told what is');
is(outcome($first->query(migrate('on top', 'UPDATE done SET what = 2 WHERE what = \'1\''))), '40001',
	'but cannot build on it');
$first->query('ROLLBACK');
is(outcome($first->query(migrate('on top', 'UPDATE done SET what = 2 WHERE what = \'1\''))), 'applied',
	'a new one can');

# What is applied needs no right to write.
is(outcome($first->query("BEGIN READ ONLY; " . migrate('newer', 'INSERT INTO done VALUES (1)') . '; COMMIT')),
	'already applied', 'read-only transaction, applied');
is(outcome($first->query("BEGIN READ ONLY; " . migrate('newest', 'SELECT 1'))), '25006',
	'read-only transaction, not applied');
$first->query('ROLLBACK');

# ---------------- what may happen to the one ----------------

# It is killed.
$first->query('BEGIN');
my $pid = $first->rows('SELECT pg_backend_pid()');
my $killed = migrate('killed', "INSERT INTO done VALUES ('killed')");
is(outcome($first->query($killed)), 'applied', 'in a transaction block');
my @waiters = @twelve[1 .. 5];
$_->say(Q => "$killed\0") for @waiters;
wait_for_waiters(5);
is($monitor->rows("SELECT count(*) FROM safeguard.migrations WHERE version = 'killed'"),
	0, 'nobody sees a claim that is not committed');
$monitor->query("SELECT pg_terminate_backend($pid)");
my %count;
$count{ outcome($_->answer) }++ for @waiters;
is_deeply(\%count, { applied => 1, 'already applied' => 4 }, 'another one applies it');
is(done('killed'), 1, 'once');
$twelve[0] = $first = session();

# It fails; so do those who wait, each by itself; a right text succeeds.
is(at_once(migrate('fails', "INSERT INTO done VALUES ('fails'); SELECT pg_sleep(0.1); SELECT 1 / 0"),
		@twelve[0 .. 3]), '4 22012', 'a text that fails');
is(done('fails'), 0, 'leaves nothing');
is($monitor->rows("SELECT count(*) FROM safeguard.migrations WHERE version = 'fails'"), 0, 'no row');
is(outcome($first->query(migrate('fails', "INSERT INTO done VALUES ('fails')"))), 'applied', 'and can be retried');

# It commits, or rolls back, much later; who waits can be cancelled.
$first->query('BEGIN; ' . migrate('slow', "INSERT INTO done VALUES ('slow')"));
my $slow = migrate('slow', "INSERT INTO done VALUES ('slow')");
is(outcome($second->query("SET lock_timeout = '50ms'; $slow")), '55P03', 'lock_timeout ends the wait');
$second->query('SET lock_timeout = 0');
$second->say(Q => "$slow\0");
wait_for_waiters(1);
$monitor->query('SELECT pg_cancel_backend(pid) FROM pg_locks WHERE NOT granted');
is(outcome($second->answer), '57014', 'so does a cancel request');
is(outcome($second->query("SELECT safeguard.migration_begin('slow')")), 'running',
	'migration_begin does not wait');
$second->say(Q => "$slow\0");
wait_for_waiters(1);
$first->query('ROLLBACK');
is(outcome($second->answer), 'applied', 'the next one has its turn after ROLLBACK');

# A transaction holds no lock for what it has found applied.
$first->query('BEGIN');
$second->query('BEGIN');
$first->query(migrate('held', 'SELECT 1'));
$second->say(Q => migrate('held', 'SELECT 1') . "\0");
$third->say(Q => migrate('held', 'SELECT 1') . "\0");
wait_for_waiters(2);
$first->query('COMMIT');
is(outcome($second->answer), 'already applied', 'a transaction goes on');
is(outcome($third->answer), 'already applied', 'and the next need not wait for its end');
$second->query('COMMIT');

# Two versions crossing: the server ends one of them, the other goes on.
$first->query('BEGIN; ' . migrate('cross 1', "INSERT INTO done VALUES ('cross 1')"));
$second->query('BEGIN; ' . migrate('cross 2', "INSERT INTO done VALUES ('cross 2')"));
$first->say(Q => migrate('cross 2', "INSERT INTO done VALUES ('cross 2')") . "\0");
wait_for_waiters(1);
$second->say(Q => migrate('cross 1', "INSERT INTO done VALUES ('cross 1')") . "\0");
my @outcomes;
# the victim's ROLLBACK lets the other one go on, so ask the victim first
wait_until('one is a victim', sub {
	$monitor->rows(q{SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction (aborted)'}) == 1 });
push @outcomes, sort map { outcome($_->answer) } $first, $second;
is("@outcomes", '40P01 applied', 'of two that cross, one is told of a deadlock');
$_->query('COMMIT') for $first, $second;
for my $version ('cross 1', 'cross 2')
{
	is(at_once(migrate($version, "INSERT INTO done VALUES ('$version')"), $first, $second),
		'2 already applied', "$version is applied");
	is(done($version), 1, "$version: once");
}

# ---------------- an index, concurrently ----------------

$monitor->query('CREATE TABLE big (a int); INSERT INTO big SELECT g FROM generate_series(1, 1000) g');
is(outcome($first->query("SELECT safeguard.migration_begin('index')")), 'claimed', 'one claims it');
my @eleven = @twelve[1 .. 11];
is(at_once("SELECT safeguard.migration_begin('index')", @eleven), '11 running', 'eleven do not');
$eleven[1]->query("SET default_transaction_isolation = 'repeatable read'");
$eleven[2]->query("SET default_transaction_isolation = 'serializable'");
$_->say(Q => "CALL safeguard.migration_wait('index')\0") for @eleven;
wait_until('eleven wait', sub {
	$monitor->rows(q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL%' AND wait_event = 'Extension'}) == 11 });
is($first->query('CREATE INDEX CONCURRENTLY big_a ON big (a)')->{error}, undef, 'the index is built meanwhile');
is($first->query("SELECT safeguard.migration_end('index')")->{error}, undef, 'and the migration ended');
is(scalar(grep { $_->answer->{error} } @eleven), 0, 'all eleven go on');
is(at_once("SELECT safeguard.migration_begin('index')", @eleven), '11 already applied', 'and see it as applied');

# An index that is left invalid.
$second = $twelve[1];
$first->query("SELECT safeguard.migration_begin('unique')");
$monitor->query('INSERT INTO big VALUES (1)');
is(outcome($first->query('CREATE UNIQUE INDEX CONCURRENTLY big_u ON big (a)')), '23505', 'a build that fails');
my $error = $first->query("SELECT safeguard.migration_end('unique')")->{error};
is($error->{C}, '55000', 'is not taken for done');
like($error->{D}, qr/public\.big_u/, 'and named');
is($monitor->rows("SELECT status, id FROM safeguard.migrations WHERE version = 'unique'"), 'running|', 'the claim stays');

# Indexes that somebody else is at are not meant.
$monitor->query('CREATE TABLE rebuilt (a int PRIMARY KEY, b int UNIQUE); CREATE INDEX rebuilt_b ON rebuilt (b)');
my ($claimer, $writer, $builder) = @twelve[3 .. 5];
for my $command ('REINDEX TABLE CONCURRENTLY rebuilt', 'DROP INDEX CONCURRENTLY rebuilt_b', 'CREATE INDEX CONCURRENTLY rebuilt_c ON rebuilt (b)')
{
	$claimer->query("SELECT safeguard.migration_begin('$command')");
	$writer->query('BEGIN; LOCK TABLE rebuilt IN ROW EXCLUSIVE MODE');
	$builder->say(Q => "$command\0");
	wait_for_waiters(1);
	isnt($monitor->rows('SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indexrelid <> \'big_u\'::regclass'), 0, "$command waits");
	is($claimer->query("SELECT safeguard.migration_end('$command')")->{error}, undef, 'and is not to blame');
	$writer->query('COMMIT');
	is($builder->answer->{error}, undef, 'it goes on');
}

# Its owner dies.
is(outcome($second->query("SELECT safeguard.migration_mark('unique', 'released', 'x')")), '55006', 'a live claim is not released');
is(outcome($second->query(migrate('unique', 'SELECT 1'))), '55006', 'nor does migrate() wait for it');
$first->disconnect;
wait_until('it is gone', sub {
	outcome($second->query("CALL safeguard.migration_wait('unique', '0')")) eq '55000' });
my $answer = $second->query("SELECT safeguard.migration_begin('unique')");
is(outcome($answer), 'running', 'nobody takes over');
like($answer->{notices}[0]{M}, qr/has been abandoned/, 'but everybody is told');
is(outcome($second->query(migrate('unique', 'SELECT 1'))), '55006', 'migrate() too');
$second->query("SELECT safeguard.migration_mark('unique', 'released', 'looked at it')");
is(outcome($second->query("SELECT safeguard.migration_begin('unique')")), 'claimed', 'released, it can be claimed');
is($second->query("SELECT safeguard.migration_end('unique')")->{error}, undef,
	'what was invalid before is not its doing');
$monitor->query('DROP INDEX big_u');

# Wait for what nobody has begun.
is(outcome($second->query("CALL safeguard.migration_wait('never', '100ms')")), '55P03', 'a wait has its timeout');
$second->say(Q => "CALL safeguard.migration_wait('later')\0");
is(outcome($third->query(migrate('later', 'SELECT 1'))), 'applied', 'somebody begins it');
is($second->answer->{error}, undef, 'and the wait is over');

# ---------------- a standby ----------------

$node->backup('one');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'one', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my $reader = Protocol->connect(
	host => $standby->host,
	port => $standby->port,
	user => $node->safe_psql('postgres', 'SELECT current_user'),
	dbname => 'postgres');
is($reader->rows('SELECT safeguard.schema_version()'), 'later', 'a standby knows the version');
is(outcome($reader->query(migrate('later', 'SELECT 1'))), 'already applied', 'and what is applied');
is(outcome($reader->query(migrate('on standby', 'SELECT 1'))), '25006', 'but applies nothing');
is(outcome($reader->query("SELECT safeguard.migration_begin('on standby')")), '25006', 'and claims nothing');
$reader->say(Q => "CALL safeguard.migration_wait('on primary')\0");
is(outcome($second->query(migrate('on primary', 'SELECT 1'))), 'applied', 'it waits');
is($reader->answer->{error}, undef, 'for the primary');
$monitor->query("SELECT safeguard.migration_begin('claimed in the dump')");
$node->wait_for_catchup($standby);
is($reader->rows('SELECT version, abandoned FROM safeguard.migrations_running'), 'claimed in the dump|f',
	'a claim is not taken for abandoned there');
$reader->disconnect;
$standby->stop;

# ---------------- dump and restore ----------------

my $versions = q{SELECT id, project, version, checksum, status, applied_at, applied_by, duration_ms, rows_changed, wal_bytes
	FROM safeguard.migrations WHERE status <> 'running' ORDER BY id};
my $before = $monitor->rows($versions);
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', $node->basedir . '/restored',
	'-f', $dump, $node->connstr('copy') ], 'restore');
my @copy = map { session('copy') } 1 .. 12;
is($copy[0]->rows($versions), $before, 'the history is the same');
is($copy[0]->rows('SELECT safeguard.schema_version()'), 'on primary', 'so is the version');
is($copy[0]->rows('SELECT count(*) FROM safeguard.migrations WHERE status = \'running\''), 0, 'claims stay behind');
is(at_once(migrate('killed', "INSERT INTO done VALUES ('killed')"), @copy), '12 already applied',
	'twelve start again: nothing runs');
is(outcome($copy[0]->query(migrate('after', 'SELECT 1'))), 'applied', 'and the next one does');
is($copy[0]->rows('SELECT safeguard.schema_version()'), 'after', 'with a number behind all others');

$_->disconnect for @copy, @twelve[1 .. 11], $monitor;
$node->stop;
done_testing();
