
# A restore is one transaction: after a crash, in a prepared transaction and when
# its session is killed there is all of it or nothing.  Rows are put back into
# another cluster that a dump was restored to, replicated as any others, and
# while others write.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Kept;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Skips;
use Test::More;

my $node = keeping_node('restore', { allows_streaming => 'logical' },
	'max_prepared_transactions = 5', 'log_statement = none', 'client_min_messages = warning');
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION safeguard;
	CREATE TYPE mood AS ENUM ('sad', 'happy');
	CREATE TABLE groups (id int PRIMARY KEY, name text UNIQUE);
	CREATE TABLE t (id int PRIMARY KEY, grp int REFERENCES groups ON DELETE CASCADE ON UPDATE CASCADE,
		v text, big text, m mood, n numeric, j json);
	ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
	CREATE TABLE p (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
	CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a');
	CREATE TABLE p_b PARTITION OF p DEFAULT;
	CREATE TABLE "No Key" (v float8);
	INSERT INTO groups SELECT g, 'g' || g FROM generate_series(1, 10) g;
	INSERT INTO t SELECT g, 1 + g % 10, 'v' || g, repeat(md5(g::text), 200),
		CASE WHEN g % 2 = 0 THEN 'sad'::mood ELSE 'happy' END, (g || '.00')::numeric, '{ "a":1}'
	  FROM generate_series(1, 2000) g;
	INSERT INTO p SELECT g, CASE WHEN g % 2 = 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 100) g;
	INSERT INTO "No Key" SELECT (ARRAY['NaN', '-0', '0', 'Infinity', '1.5'])[1 + g % 5]::float8 FROM generate_series(1, 50) g;
	CREATE TABLE "before" (state text);
});

# All rows of all tables.
my $STATE = join(
	" || ' ' || ",
	map { "(SELECT md5(string_agg(whole::text, ',' ORDER BY whole::text)) FROM $_ whole)" }
	  ('groups', 't', 'p', 'p_a', '"No Key"'));
my $before = $node->safe_psql('postgres', "SELECT $STATE");

my $MIGRATION = q{
	UPDATE groups SET id = id + 100 WHERE id > 5;
	DELETE FROM groups WHERE id = 1;
	UPDATE groups SET name = 'g' || (5 - id) WHERE id IN (2, 3) AND false;
	UPDATE t SET v = 'x', big = 'x', m = NULL, n = n * 1.0, j = '{}' WHERE id > 1000;
	UPDATE t SET id = id + 10000 WHERE id % 3 = 0;
	UPDATE p SET region = 'c' WHERE id < 50;
	UPDATE "No Key" SET v = -v;
};

sub migrate
{
	my ($at, $label) = @_;
	$at->safe_psql('postgres',
		qq{SELECT safeguard.migrate('$label', \$\$$MIGRATION\$\$, keep_rows => true)});
	return $at->safe_psql('postgres', "SELECT $STATE");
}

my $after = migrate($node, 'first');
isnt($after, $before, 'the migration has changed rows');

# A crash before the end of the transaction, and a session that is killed.
for my $how ('crash', 'kill')
{
	my ($open, $pid) = hold($node, q{BEGIN; SELECT safeguard.restore_rows('first')});
	if ($how eq 'crash')
	{
		$node->safe_psql('postgres', 'CHECKPOINT');
		$node->stop('immediate');
		eval { $open->finish };
		$node->start;
	}
	else
	{
		kill_session($node, $open, $pid);
	}
	is($node->safe_psql('postgres', "SELECT $STATE"), $after, "$how: nothing is restored");
	is($node->safe_psql('postgres', 'SELECT DISTINCT label FROM safeguard.kept'),
		'first', "$how: nor kept");
	is($node->safe_psql('postgres', $STRAY), '0', "$how: and no table is left behind");
}

# A statement that is cancelled leaves the session as it was.  Nothing but it
# may run out of time: what comes after a SET that ends late may be cancelled
# by the server, and BEGIN would be lost.
my ($rc, $stdout, $stderr) = $node->psql(
	'postgres', q{SET LOCAL statement_timeout = 1\;
		SELECT safeguard.restore_rows('first');
		BEGIN; SAVEPOINT s; SELECT safeguard.restore_rows('first'); ROLLBACK TO s; COMMIT;},
	on_error_stop => 0);
like($stderr, qr/canceling statement due to statement timeout/, 'cancelled');
is(() = $stderr =~ /ERROR: /g, 1, 'cancelled: the session can restore');
is($node->safe_psql('postgres', "SELECT $STATE"), $after, 'cancelled: nothing is restored');

# Prepared transactions.
$node->safe_psql('postgres', q{BEGIN; SELECT safeguard.restore_rows('first'); PREPARE TRANSACTION 'r'});
is($node->safe_psql('postgres', "SELECT $STATE"), $after, 'prepared: not yet restored');
$node->restart;
($rc, $stdout, $stderr) = $node->psql('postgres',
	q{SET lock_timeout = '100ms'; SELECT safeguard.restore_rows('first')});
like($stderr, qr/lock timeout/, 'prepared: nobody else restores the label');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'r'");
is($node->safe_psql('postgres', "SELECT $STATE"), $after, 'prepared and rolled back: nothing is restored');
$node->safe_psql('postgres', q{BEGIN; SELECT safeguard.restore_rows('first'); PREPARE TRANSACTION 'r'});
$node->safe_psql('postgres', "COMMIT PREPARED 'r'");
is($node->safe_psql('postgres', "SELECT $STATE"), $before, 'prepared and committed: all is as before');

# A crash after the end.
$node->safe_psql('postgres', q{SELECT safeguard.restore_rows('first@restored-1')});
is($node->safe_psql('postgres', "SELECT $STATE"), $after, 'the restore is undone');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', "SELECT $STATE"), $after, 'also after a crash');
$node->safe_psql('postgres', q{SELECT safeguard.restore_rows('first@restored-2')});
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', "SELECT $STATE"), $before, 'and restored again');
$node->safe_psql('postgres',
	'SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT 1 / count(*) FROM t WHERE id = 1500');
is( $node->safe_psql('postgres', q{
		SET enable_seqscan = off;
		SELECT count(*) FROM generate_series(1, 2000) g JOIN t ON t.id = g}),
	'2000', 'the index finds all rows');

# Into another cluster, by name: also of a table that was renamed.
migrate($node, 'dumped');
$node->safe_psql('postgres', 'ALTER TABLE "No Key" RENAME TO renamed');
my $file = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $file ], 'dumped');
my $other = keeping_node('other', {}, 'client_min_messages = warning');
$other->safe_psql('postgres', 'CREATE TABLE takes_an_oid ()');
$other->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $other->connstr('postgres'), '-f', $file ],
	'restored into another cluster');
$other->safe_psql('postgres', q{SELECT safeguard.restore_rows('dumped')});
$other->safe_psql('postgres', 'ALTER TABLE renamed RENAME TO "No Key"');
is($other->safe_psql('postgres', "SELECT $STATE"), $before, 'there the rows are put back');
$other->safe_psql('postgres', q{SELECT safeguard.restore_rows('dumped@restored-1')});
is($other->safe_psql('postgres', "SELECT $STATE"), $after, 'and the other way');
$other->stop;
$node->safe_psql('postgres', 'ALTER TABLE renamed RENAME TO "No Key"');
$node->safe_psql('postgres', q{SELECT safeguard.restore_rows('dumped')});

# What is put back is published.
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;
$node->command_ok(
	[ 'pg_dump', '-s', (map { ('-t', $_) } qw(t groups p p_a p_b)), '-f', "$file.schema", '-d', $node->connstr('postgres') ],
	'schema dumped');
$subscriber->safe_psql('postgres', "CREATE TYPE mood AS ENUM ('sad', 'happy')");
$subscriber->command_ok([ 'psql', '-X', '-q', '-d', $subscriber->connstr('postgres'), '-f', "$file.schema" ], 'and loaded');
$node->safe_psql('postgres', 'CREATE PUBLICATION pub FOR TABLE groups, t, p');
subscribe($node, $subscriber, 'pub');
migrate($node, 'published');
$node->safe_psql('postgres', q{SELECT safeguard.restore_rows('published')});
$node->wait_for_catchup('pub');
(my $published = $STATE) =~ s/ \|\| ' ' \|\| \(SELECT[^)]*\)\)[^)]*"No Key" whole\)//;
is( $subscriber->safe_psql('postgres', "SELECT $published"),
	$node->safe_psql('postgres', "SELECT $published"), 'a subscriber has the rows back, too');
# ...unless it could not be told which rows
$node->safe_psql('postgres', 'ALTER PUBLICATION pub ADD TABLE "No Key"');
($rc, $stdout, $stderr) = $node->psql('postgres', q{SELECT safeguard.restore_rows('published@restored-1', '"No Key"')});
like($stderr, qr/cannot update table "No Key" because it does not have a replica identity/,
	'a table without replica identity is not written to');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION pub');
$subscriber->stop;

# Beside writers: each of them takes from one account and gives to another, so
# that nobody ever sees another sum, and a restore takes nothing of it back.
$node->safe_psql(
	'postgres', q{
	DROP PUBLICATION pub;
	CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL, code text UNIQUE, note text);
	CREATE TABLE moves (id serial PRIMARY KEY, account int REFERENCES accounts, amount int);
	INSERT INTO accounts SELECT g, 1000, 'c' || g, 'as before' FROM generate_series(1, 200) g;
	BEGIN;
	SELECT safeguard.keep_rows('accounts', 'accounts');
	UPDATE accounts SET code = 'x' || id, note = 'migrated' WHERE id <= 100;
	UPDATE accounts SET code = 'c' || (101 - id) WHERE id <= 100;
	COMMIT;
});
my $script = $node->basedir . '/writers.sql';
append_to_file($script, q{
\set a random(101, 200)
\set b random(101, 200)
\set c random(1, 100)
BEGIN;
INSERT INTO moves (account, amount) VALUES (:c, 1);
UPDATE accounts SET balance = balance - 1 WHERE id = least(:a, :b);
UPDATE accounts SET balance = balance + 1 WHERE id = greatest(:a, :b);
COMMIT;
});
my $restores = $node->basedir . '/restores.sql';
append_to_file($restores, q{SELECT safeguard.restore_rows(label) FROM safeguard.kept
	WHERE relation = 'accounts'::regclass ORDER BY id DESC LIMIT 1;});
# pgbench passes over deadlocks, but counts them
($stdout) = run_command(
	[ 'pgbench', '-n', '-c', '4', '-t', '40', '-f', "$script\@9", '-f', "$restores\@1", $node->connstr('postgres') ]);
like($stdout, qr/^number of failed transactions: 0 /m, 'restores beside writers');
isnt($node->safe_psql('postgres', q{SELECT count(*) FROM safeguard.kept WHERE label LIKE 'accounts@restored-%'}),
	'0', 'which have restored');
is($node->safe_psql('postgres', 'SELECT sum(balance), count(*), count(DISTINCT code) FROM accounts'),
	'200000|200|200', 'nothing is lost');
is( $node->safe_psql('postgres', q{SELECT count(DISTINCT note) FROM accounts WHERE id <= 100}),
	'1', 'and each was all or nothing');

# A row may be larger than a record, in memory, could be.
SKIP:
{
	my ($available) = -r '/proc/meminfo' ? slurp_file('/proc/meminfo') =~ /^MemAvailable:\s+(\d+) kB/m : ();
	if (defined $available && $available < 4 << 20)
	{
		ok(may_skip('tap-large-rows'), 'there are less than 4 GB of memory, which is allowed for tap-large-rows');
		skip 'too little memory', 1;
	}
	$node->safe_psql(
		'postgres', q{
			CREATE TABLE large (id int PRIMARY KEY, a text, b text);
			CREATE TABLE large_no_key (id int, a text, b text);
			INSERT INTO large VALUES (1, repeat('x', 550000000));
			UPDATE large SET b = a;
			INSERT INTO large_no_key TABLE large;
			BEGIN;
			SELECT safeguard.keep_rows('large', 'large', 'large_no_key');
			UPDATE large SET a = 'small';
			DELETE FROM large_no_key;
			COMMIT;
			SELECT safeguard.restore_rows('large');
	});
	is( $node->safe_psql('postgres', q{SELECT pg_column_size(a) = pg_column_size(b), pg_column_size(b) > 1000000
			FROM (TABLE large UNION ALL TABLE large_no_key) rows}),
		"t|t\nt|t", 'large rows are back');
}

$node->stop;
done_testing();
