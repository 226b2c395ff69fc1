
# Policy behind PgBouncer: what a client sets for its transaction, for its
# session or at its start, whom it holds for, and that it never leaks to the
# next client of the same server connection by a way that the pages recommend.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Pooler;
use Skips;
use Test::More;

leave_out('tap-pgbouncer', 'PgBouncer is not installed') unless Pooler->is_installed;

my $node = incident_node('pooled', conf => ['log_statement = none']);
$node->safe_psql(
	'postgres', q{
CREATE ROLE shop LOGIN;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO shop;
GRANT SET ON PARAMETER safeguard.composite_key TO shop;
SELECT safeguard.watch('point_info', 'system_id');
});
my $server_is_one = q{SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE usename = 'shop'};

# What a client is told: the SQLSTATE, or the command tag.
sub told
{
	my ($client, $sql) = @_;
	my $answer = $client->query($sql);
	return $answer->{error} ? $answer->{error}{C} : $answer->{tag};
}

sub with_pooler
{
	my ($settings, $test, @rest) = @_;
	my $pooler = Pooler->start($node, 1, $settings, @rest);
	$test->($pooler);
	$pooler->stop;
	# its server connection has gone, with all that was set in it
	$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = 'shop'})
	  or die 'a server connection stays';
	return;
}

my $off = 'SET LOCAL safeguard.composite_key = off';
my $limited = 'UPDATE systems SET vendor_type = vendor_type';    # two rows

# ---------------------------------------------------------------------------
# Transaction mode: two clients share one server connection
# ---------------------------------------------------------------------------

with_pooler('', sub {
	my ($pooler) = @_;
	my $first = $pooler->client(application => 'first');
	my $next = $pooler->client(application => 'next');

	is(told($next, $BAD), 'SG001', 'transaction mode: a statement is rejected');

	# every way in which a transaction with SET LOCAL may end
	for my $end (
		[ 'COMMIT', 'COMMIT' => 'COMMIT' ],
		[ 'ROLLBACK', 'ROLLBACK' => 'ROLLBACK' ],
		[ 'an error', 'SELECT 1 / 0' => '22012', 'COMMIT' => 'ROLLBACK' ],
		[ 'ROLLBACK TO SAVEPOINT', 'SAVEPOINT a' => 'SAVEPOINT', $off => 'SET', 'ROLLBACK TO a' => 'ROLLBACK', 'COMMIT' => 'COMMIT' ],
		[ 'RELEASE SAVEPOINT', 'SAVEPOINT a' => 'SAVEPOINT', $off => 'SET', 'RELEASE a' => 'RELEASE', 'COMMIT' => 'COMMIT' ],
		[ 'COMMIT AND CHAIN', 'COMMIT AND CHAIN' => 'COMMIT', $BAD => 'SG001', 'COMMIT' => 'ROLLBACK' ])
	{
		my ($name, @steps) = @$end;
		is(told($first, 'BEGIN'), 'BEGIN', "$name: a transaction");
		is(told($first, $off), 'SET', 'which switches the rule off');
		is(told($first, $BAD), 'UPDATE 8', 'has its way');
		is(told($first, shift @steps), shift @steps, 'goes on') while @steps;
		is(told($next, $BAD), 'SG001', 'the next client is judged as ever');
		is(told($first, $BAD), 'SG001', 'and the first one in its next transaction');
	}

	# a savepoint takes back only what was set after it
	told($first, "BEGIN; SAVEPOINT a; $off");
	is(told($first, "ROLLBACK TO a; $BAD"), 'SG001', 'a setting goes with its savepoint');
	told($first, 'ROLLBACK');

	# in one message, as drivers send scripts
	is(told($first, "BEGIN; $off; $BAD; COMMIT"), 'COMMIT', 'all in one message');
	is(told($first, "$off; $BAD"), 'UPDATE 8', 'a message is a transaction, too');
	is(told($next, $BAD), 'SG001', 'and leaves nothing');

	# a client that goes in the middle
	my $gone = $pooler->client;
	told($gone, "BEGIN; $off");
	$gone->disconnect;
	is(told($next, $BAD), 'SG001', 'a client that has left leaves nothing');

	# limits of any user
	told($first, 'BEGIN; SET LOCAL safeguard.max_rows_session = 1');
	is(told($first, $limited), 'SG005', 'a limit of the transaction');
	told($first, 'ROLLBACK');
	is(told($next, $limited), 'UPDATE 2', 'is nobody else\'s');
	is(told($first, "BEGIN; SET LOCAL safeguard.expected_rows = 2; $limited; COMMIT"), 'COMMIT',
		'expected_rows likewise');
	is(told($next, 'UPDATE systems SET vendor_type = vendor_type WHERE id = 1'), 'UPDATE 1', 'the next one has none');

	# set_config with is_local is SET LOCAL
	told($first, q{BEGIN; SELECT set_config('safeguard.composite_key', 'off', true)});
	is(told($first, $BAD), 'UPDATE 8', 'set_config for the transaction');
	told($first, 'COMMIT');
	is(told($next, $BAD), 'SG001', 'ends with it');

	# a plan that is cached in the server connection knows nothing of levels
	told($first, "PREPARE bad AS $BAD");
	is(told($first, "BEGIN; $off; EXECUTE bad; COMMIT"), 'COMMIT', 'SQL PREPARE: executed with the rule off');
	is(told($next, 'EXECUTE bad'), 'SG001', 'the same plan is judged for the next client');
	told($next, 'DEALLOCATE bad');

	# one of the protocol, within a transaction
	told($first, "BEGIN; $off");
	$first->prepare('named', $BAD);
	is($first->execute('named')->{tag}, 'UPDATE 8', 'a prepared statement in a transaction');
	told($first, 'COMMIT');
	is(told($next, $BAD), 'SG001', 'and nothing for the next client');

	# The one way that leaks, which is PgBouncer's: SET for the session.
	is(told($first, 'SET safeguard.composite_key = off'), 'SET', 'plain SET');
	is(told($next, $BAD), 'UPDATE 8', 'is left to whoever gets the connection next');
	told($next, 'RESET safeguard.composite_key');
	told($first, 'SET safeguard.max_rows_session = 1');
	is(told($next, $limited), 'SG005', 'so is a limit');
	told($first, 'DISCARD ALL');
	is(told($next, $limited), 'UPDATE 2', 'until somebody discards it');

	is($node->safe_psql('postgres', $server_is_one), '1', 'all of that was one server connection');
	$_->disconnect for $first, $next;
});

# What to do instead: levels of a role, of a database, of a table
with_pooler('', sub {
	my ($pooler) = @_;
	my ($first, $next) = map { $pooler->client } 1, 2;

	is(told($first, $BAD), 'SG001', 'before');
	$node->safe_psql('postgres', q{SELECT safeguard.set_level('point_info', 'composite_key', 'record', 'a test')});
	is(told($_, $BAD), 'UPDATE 8', 'set_level: at once, through the same connection') for $first, $next;
	$node->safe_psql('postgres', q{SELECT safeguard.clear_level('point_info', 'composite_key')});
	is(told($_, $BAD), 'SG001', 'clear_level, too') for $first, $next;
	$node->safe_psql('postgres', q{ALTER ROLE shop SET safeguard.max_rows = 1});
	is(told($first, $limited), 'UPDATE 2', 'ALTER ROLE is not for connections that are there');
	$_->disconnect for $first, $next;
});
with_pooler('', sub {
	my ($pooler) = @_;
	my ($first, $next) = map { $pooler->client } 1, 2;

	is(told($_, $limited), 'SG005', 'but for new ones, whoever has them') for $first, $next;
	told($first, 'DISCARD ALL');
	is(told($next, $limited), 'SG005', 'and nobody discards it');
	is(told($next, 'SET LOCAL safeguard.max_rows = 0'), '42501', 'nor lifts it without the right to');
	$_->disconnect for $first, $next;
});
$node->safe_psql('postgres', 'ALTER ROLE shop RESET safeguard.max_rows');

# ---------------------------------------------------------------------------
# Session mode: a client has the connection until it leaves
# ---------------------------------------------------------------------------

with_pooler("pool_mode = session\nserver_reset_query = DISCARD ALL", sub {
	my ($pooler) = @_;
	for my $what ('safeguard.composite_key = off', 'safeguard.max_level = record')
	{
		my $may = $what =~ /composite_key/ ? 'SET' : '42501';
		my $first = $pooler->client(application => 'first');
		is(told($first, "SET $what"), $may, "session mode: SET $what");
		is(told($first, $BAD), $may eq 'SET' ? 'UPDATE 8' : 'SG001', 'holds for the session');
		told($first, 'BEGIN');    # and is left in the middle
		$first->disconnect;
		my $next = $pooler->client(application => 'next');
		is(told($next, $BAD), 'SG001', 'the next session is judged as ever');
		$next->disconnect;
	}
	my $first = $pooler->client;
	told($first, "SET safeguard.max_rows_session = 1; PREPARE bad AS $BAD");
	$first->disconnect;
	my $next = $pooler->client;
	is(told($next, $limited), 'UPDATE 2', 'DISCARD ALL takes back a limit');
	is(told($next, 'EXECUTE bad'), '26000', 'and prepared statements');
	$next->disconnect;
});

# connect_query runs once per server connection, and the reset forgets it
with_pooler("pool_mode = session\nserver_reset_query = DISCARD ALL", sub {
	my ($pooler) = @_;
	my @told;
	for (1 .. 2)
	{
		my $client = $pooler->client;
		push @told, told($client, 'UPDATE systems SET vendor_type = vendor_type WHERE id = 1');
		$client->disconnect;
	}
	# Pooler->start has had the connection and returned it, too
	is($told[1], 'UPDATE 1', 'connect_query is not for policy in session mode');
}, q{connect_query='SET safeguard.expected_rows = 2'});
with_pooler('', sub {
	my ($pooler) = @_;
	my ($first, $next) = map { $pooler->client } 1, 2;
	is(told($_, $limited), 'SG005', 'in transaction mode it holds for all clients') for $first, $next;
	$_->disconnect for $first, $next;
}, q{connect_query='SET safeguard.max_rows_session = 1'});

# a pooler that resets nothing leaks in session mode, too
with_pooler("pool_mode = session\nserver_reset_query =", sub {
	my ($pooler) = @_;
	my $first = $pooler->client;
	told($first, 'SET safeguard.composite_key = off');
	$first->disconnect;
	my $next = $pooler->client;
	is(told($next, $BAD), 'UPDATE 8', 'without server_reset_query a session\'s SET is left');
	$next->disconnect;
});

# ---------------------------------------------------------------------------
# Startup parameters
# ---------------------------------------------------------------------------

for my $startup (
	[ 'safeguard.max_rows_session' => '1' ],
	[ options => '-c safeguard.max_rows_session=1' ])
{
	my ($name, $value) = @$startup;
	with_pooler('', sub {
		my ($pooler) = @_;
		ok(!eval { $pooler->client(startup => {@$startup}); 1 }, "a client with $name at its start is refused");
		like($@, qr/unsupported startup parameter/, 'by the pooler');
	});
	with_pooler("ignore_startup_parameters = $name", sub {
		my ($pooler) = @_;
		my $client = $pooler->client(startup => {@$startup});
		is(told($client, $limited), 'UPDATE 2', "ignore_startup_parameters: it comes in, and $name does not hold");
		$client->disconnect;
	});
}

# ---------------------------------------------------------------------------
# Who it was
# ---------------------------------------------------------------------------

sub reset_all { $node->safe_psql('postgres', 'SELECT safeguard.stats_reset(), safeguard.findings_reset()') }

reset_all();
my $finding = q{SELECT application, role, calls FROM safeguard.findings WHERE rule = 'composite_key'};
my $watched = q{SELECT DISTINCT application, role FROM safeguard.watched WHERE last_changed_at = (SELECT max(last_changed_at) FROM safeguard.watched)};
my $rename = q{UPDATE point_info SET point_name = 'x' WHERE system_id = 1 AND id = 1};
with_pooler('', sub {
	my ($pooler) = @_;
	my %client = map { $_ => $pooler->client(application => $_) } 'orders', 'billing', '';

	for my $name ('orders', 'billing', 'orders')
	{
		told($client{$name}, $BAD);
		is($node->safe_psql('postgres', $finding) =~ s/\d+$//r, "$name|shop|", "a finding names $name");
		told($client{$name}, $rename);
		is($node->safe_psql('postgres', $watched), "$name|shop", 'so does a change of a watched table');
		told($client{$name}, 'BEGIN');
		is($node->safe_psql('postgres', q{SELECT application FROM safeguard.pool_clients WHERE role = 'shop' AND idle_in_transaction = 1}),
			$name, 'and a session of the pool');
		told($client{$name}, 'COMMIT');
	}

	# a client may change its name, also for a transaction
	told($client{orders}, q{SET application_name = 'orders 2'});
	told($client{orders}, $BAD);
	is($node->safe_psql('postgres', $finding) =~ s/\d+$//r, 'orders 2|shop|', 'by the name that it has now');
	told($client{billing}, $BAD);
	is($node->safe_psql('postgres', $finding) =~ s/\d+$//r, 'billing|shop|', 'which is not the next one\'s');
	$_->disconnect for values %client;
});
with_pooler('application_name_add_host = 1', sub {
	my ($pooler) = @_;
	my $client = $pooler->client(application => 'orders');
	told($client, $BAD);
	like($node->safe_psql('postgres', $finding), qr/^orders - unix.*\|shop\|/, 'application_name_add_host: with its address');
	told($client, $rename);
	like($node->safe_psql('postgres', $watched), qr/^orders - unix.*\|shop$/, 'in watched, too');
	like($node->safe_psql('postgres', q{SELECT string_agg(application, ',') FROM safeguard.pool_clients WHERE role = 'shop' AND total = 1}),
		qr/^orders - unix/, 'and in pool_clients');
	$client->disconnect;
});

# ---------------------------------------------------------------------------
# Prepared statements of the protocol in transaction mode, from 1.21 on
# ---------------------------------------------------------------------------

SKIP:
{
	skip 'this PgBouncer follows no prepared statements', 5 if Pooler->version < 121;
	with_pooler('max_prepared_statements = 10', sub {
		my ($pooler) = @_;
		my ($first, $next) = map { $pooler->client } 1, 2;
		is($_->prepare('bad', $BAD)->{error}, undef, 'both prepare it under the same name') for $first, $next;
		told($first, "BEGIN; $off");
		is($first->execute('bad')->{tag}, 'UPDATE 8', 'executed with the rule off');
		told($first, 'COMMIT');
		is($next->execute('bad')->{error}{C}, 'SG001', 'judged for the next client');
		is($first->execute('bad')->{error}{C}, 'SG001', 'and for the first one again');
		$_->disconnect for $first, $next;
	});
}

is($node->safe_psql('postgres', q{SELECT value FROM safeguard.status() WHERE item = 'unjudged'}), '0',
	'nothing went unjudged');
$node->stop;
done_testing();
