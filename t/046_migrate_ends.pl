
# How a migration ends where it is not by COMMIT or by an error of its text: in
# a prepared transaction, at a deferred constraint, with its session; and what
# a client of another encoding may do to it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Protocol qw(wait_until);
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('migrate_ends');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'safeguard'
max_prepared_transactions = 5
log_statement = none
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safeguard; CREATE TABLE done (what text)');

sub session
{
	my ($user) = @_;
	return Protocol->connect(
		host => $node->host,
		port => $node->port,
		user => $user // $node->safe_psql('postgres', 'SELECT current_user'),
		dbname => 'postgres');
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
	my ($version) = @_;
	return "SELECT safeguard.migrate('$version', \$m\$INSERT INTO done VALUES ('$version')\$m\$)";
}

my ($one, @three);
my $monitor;

sub connect_all
{
	$monitor = session();
	$one = session();
	@three = map { session() } 1 .. 3;
	return;
}

# Three start it, and wait; then this is done; how often which answer.
sub three_wait_for
{
	my ($version, $finish) = @_;
	my %count;

	$_->say(Q => migrate($version) . "\0") for @three;
	wait_until('three wait', sub { $monitor->rows('SELECT count(*) FROM pg_locks WHERE NOT granted') == 3 });
	is($one->query($finish)->{error}, undef, $finish);
	$count{ outcome($_->answer) }++ for @three;
	return join ', ', map { "$count{$_} $_" } sort keys %count;
}

sub done
{
	my ($version) = @_;
	return $monitor->rows("SELECT count(*) FROM done WHERE what = '$version'");
}

connect_all();

# ---------------- prepared transactions ----------------

for my $crash (0, 1)
{
	for my $version ("committed $crash", "rolled back $crash")
	{
		$one->query('BEGIN');
		is(outcome($one->query(migrate($version))), 'applied', "$version: in a transaction");
		is($one->query("PREPARE TRANSACTION '$version'")->{error}, undef, 'which is prepared');
		if ($crash)
		{
			$node->stop('immediate');
			$node->start;
			connect_all();
		}
		is($one->rows("SELECT safeguard.schema_version('default') = '$version'"), 'f', 'it is not applied yet');
		is(outcome($one->query("SELECT safeguard.migration_begin('$version')")), 'running', 'nor to be claimed');
		my $error = $one->query("CALL safeguard.migration_wait('$version', '0')")->{error};
		is("$error->{C} $error->{D}", '55P03 A transaction is at it.', 'a wait has its timeout');
		is(outcome($one->query("SET lock_timeout = '10ms'; " . migrate($version))), '55P03', 'and lock_timeout its effect');
		$one->query('SET lock_timeout = 0');
		if ($version =~ /^committed/)
		{
			is(three_wait_for($version, "COMMIT PREPARED '$version'"), '3 already applied', 'who waits sees it as applied');
		}
		else
		{
			is(three_wait_for($version, "ROLLBACK PREPARED '$version'"), '2 already applied, 1 applied',
				'who waits has his turn');
		}
		is(done($version), 1, 'once');
	}
}
is($monitor->rows(q{SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND database <> 0}), 0, 'no lock is left');
is($monitor->rows('SELECT count(*) FROM safeguard.migrations_running'), 0, 'nothing runs');

# A claim, and its end.
my ($two) = @three;
is(outcome($one->query("BEGIN; SELECT safeguard.migration_begin('claim')")), 'claimed', 'a claim');
$one->query("PREPARE TRANSACTION 'claim'");
is(outcome($two->query("SELECT safeguard.migration_begin('claim')")), 'running', 'nobody else claims it');
is(three_wait_for('claim', "COMMIT PREPARED 'claim'"), '3 55006', 'migrate() does not wait for a claim');
my $error = $two->query(migrate('claim'))->{error};
like($error->{D}, qr/^Process \d+ has claimed it with safeguard\.migration_begin\(\)/, 'says why');
is($error->{H}, "Wait for it: CALL safeguard.migration_wait('claim', project => 'default'). Then try again.", 'and what to do');
$error = $one->query(migrate('claim'))->{error};
is("$error->{C} $error->{D}", '55006 This session has claimed it with safeguard.migration_begin().', 'its own session, too');
$one->query("BEGIN; SELECT safeguard.migration_end('claim'); PREPARE TRANSACTION 'end'");
is($monitor->rows('SELECT version, abandoned FROM safeguard.migrations_running'), 'claim|f', 'it is not ended yet');
$one->query("ROLLBACK PREPARED 'end'");
is($monitor->rows('SELECT version, abandoned FROM safeguard.migrations_running'), 'claim|f', 'nor then');
$one->query("BEGIN; SELECT safeguard.migration_end('claim'); PREPARE TRANSACTION 'end'");
$two->say(Q => "CALL safeguard.migration_wait('claim')\0");
$one->query("COMMIT PREPARED 'end'");
is($two->answer->{error}, undef, 'now it is');
is(outcome($one->query("BEGIN; SELECT safeguard.migration_begin('claim 2')")), 'claimed', 'a claim');
$one->query($_) for "PREPARE TRANSACTION 'claim'", "ROLLBACK PREPARED 'claim'";
is(outcome($one->query("SELECT safeguard.migration_begin('claim 2')")), 'claimed', 'that is rolled back is none');

# ---------------- the error that ends it ----------------

$monitor->query('SELECT safeguard.stats_reset(); CREATE TABLE parent (id int PRIMARY KEY)');
is( outcome($one->query(q{SELECT safeguard.migrate('deferred',
	'CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED); INSERT INTO child VALUES (1)')})),
	'23503', 'a constraint that is checked at the end');
$one->query('BEGIN; ' . migrate('block') . '; SAVEPOINT s');
$one->query(migrate('savepoint') . '; SELECT 1 / 0');
$one->query('ROLLBACK');
$one->query(q{SELECT safeguard.migrate('ended', 'SELECT pg_terminate_backend(pg_backend_pid())')});
wait_until('it is gone', sub {
	$monitor->rows(q{SELECT count(*) FROM safeguard.migration_log WHERE version = 'ended'}) == 1 });
is( $monitor->rows('SELECT version, succeeded, error FROM safeguard.migration_log ORDER BY version'),
	join("\n",
		'block|f|the transaction around the migration was rolled back',
		'deferred|f|insert or update on table "child" violates foreign key constraint "child_id_fkey"',
		'ended|f|terminating connection due to administrator command',
		'savepoint|f|division by zero'),
	'is kept');

# ---------------- a client that cannot be told ----------------

# The line for the log comes after the commit, and an error there would be the
# end of the server.
$one = session();
$one->query(q{SET client_encoding = latin1; SET client_min_messages = log});
is(outcome($one->query(q{SELECT safeguard.migrate(chr(26481), 'SELECT 1')})), 'applied',
	'a version whose name the client cannot be told');
is($one->query(q{SELECT safeguard.migration_mark(chr(26481), 'reverted', 'x')})->{error}, undef, 'and its mark');
is($monitor->rows('SELECT 1'), 1, 'the server is alive');
my $log = slurp_file($node->logfile);
like($log, qr/LOG:  migration "\xe6\x9d\xb1" of project "default" was applied: statements: 1/, 'and has its line');
like($log, qr/LOG:  migration "\xe6\x9d\xb1" of project "default" was marked "reverted"/, 'or two');

# ---------------- an old transaction ----------------

# What it does not see it cannot write, and must not say that it has.
$two->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$one->query(migrate('newer'));
is(outcome($two->query("SELECT safeguard.migration_mark('newer', 'reverted', 'x')")), '40001', 'a mark in an old transaction');
$two->query('ROLLBACK; BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1');
$one->query("SELECT safeguard.migration_begin('newest')");
is(outcome($two->query("SELECT safeguard.migration_end('newest')")), '40001', 'and an end');
$two->query('ROLLBACK');
is(outcome($two->query("SELECT safeguard.migration_mark('newer', 'reverted', 'x')")), '', 'again');
is($two->query("SELECT safeguard.migration_end('newest')")->{error}, undef, 'and again');
is($monitor->rows(q{SELECT version, status FROM safeguard.migrations WHERE version LIKE 'new%' ORDER BY version}),
	"newer|reverted\nnewest|applied", 'are done');

# ---------------- whose claim ----------------

# Who has the role of a claim, but not that of its session, is not shown when
# the session has started; the claim is alive all the same.
$node->safe_psql(
	'postgres', q{
CREATE ROLE deploy LOGIN;
CREATE ROLE alice LOGIN IN ROLE deploy;
GRANT EXECUTE ON FUNCTION safeguard.migration_begin TO deploy;
});
my $alice = session('alice');
my $deploy = session('deploy');
is(outcome($alice->query("SET ROLE deploy; SELECT safeguard.migration_begin('group')")), 'claimed', 'a claim of a group');
my $abandoned = q{SELECT role, abandoned FROM safeguard.migrations_running WHERE version = 'group'};
is($_->rows($abandoned), 'deploy|f', 'is alive for everybody who sees it') for $monitor, $alice, $deploy;
$alice->disconnect;
wait_until('it is abandoned', sub { $monitor->rows($abandoned) eq 'deploy|t' });
is($deploy->rows($abandoned), 'deploy|t', 'until it is abandoned');

$_->disconnect for $deploy, $one, @three, $monitor;
$node->stop;
done_testing();
