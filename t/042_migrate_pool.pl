
# Behind PgBouncer in transaction mode a migration still runs once: its lock
# belongs to the transaction, and waiters keep their server connection only
# while they wait.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Pooler;
use Protocol;
use Skips;
use Test::More;

leave_out('tap-pgbouncer', 'PgBouncer is not installed') unless Pooler->is_installed;

my $node = PostgreSQL::Test::Cluster->new('pooled');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'safeguard'");
$node->start;
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION safeguard;
CREATE ROLE shop LOGIN;
GRANT CREATE ON SCHEMA public TO shop;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA safeguard TO shop;
GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA safeguard TO shop;
CREATE TABLE big (a int);
ALTER TABLE big OWNER TO shop;
});

# PgBouncer with three server connections.
my $pooler = Pooler->start($node, 3, 'server_round_robin = 1');

my @twelve = map { $pooler->client } 1 .. 12;

# How often which answer, if all of them send this at once.
sub at_once
{
	my ($sql, @clients) = @_;
	my %count;

	$_->say(Q => "$sql\0") for @clients;
	for my $client (@clients)
	{
		my $answer = $client->answer;
		$count{ $answer->{error} ? $answer->{error}{C} : $answer->{rows}[0][0] // '' }++;
	}
	return join ', ', map { "$count{$_} $_" } sort keys %count;
}

my $migrate = q{SELECT safeguard.migrate('1', 'SELECT pg_sleep(0.3); CREATE TABLE made (id int)')};
is(at_once($migrate, @twelve), '11 already applied, 1 applied', 'one of twelve applies it');
is(at_once($migrate, @twelve), '12 already applied', 'twelve come later');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE locktype IN ('object', 'advisory') AND database <> 0}),
	0, 'no lock is left to the next client');
is($node->safe_psql('postgres', q{SELECT count(DISTINCT applied_by) || min(applied_by) FROM safeguard.migrations}),
	'1shop', 'the pooled role has applied it');

# Statements of one migration go through several server connections.
is(at_once(q{SELECT safeguard.migration_begin('2')}, @twelve), '1 claimed, 11 running', 'one of twelve claims it');
my ($owner, @others) = @twelve;
$_->say(Q => "CALL safeguard.migration_wait('2')\0") for @others[0, 1];
is($owner->query('CREATE INDEX CONCURRENTLY big_a ON big (a)')->{error}, undef,
	'an index is built while others wait');
is($owner->query(q{SELECT safeguard.migration_end('2')})->{error}, undef, 'any connection may end it');
is($_->answer->{error}, undef, 'a wait is over') for @others[0, 1];
is(at_once(q{SELECT safeguard.migration_begin('2')}, @twelve), '12 already applied', 'all see it as applied');

$_->disconnect for @twelve;
$pooler->stop;
$node->stop;
done_testing();
