
# Kept rows live and die with their transaction: when the server crashes, when
# the transaction is prepared, when its session is killed.  pg_dump carries
# them, and a standby shows them.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use BrokenPipe;
use Kept;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = keeping_node('keep', { allows_streaming => 'logical' }, 'max_prepared_transactions = 5', 'log_statement = none');
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION safeguard;
	CREATE TABLE t (id int PRIMARY KEY, v text, big text);
	ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
	INSERT INTO t SELECT g, 'v' || g, repeat(md5(g::text), 200) FROM generate_series(1, 1000) g;
	CREATE TABLE was AS TABLE t;
});

# Labels with the number of changes.
my $LABELS = q{SELECT label, rows FROM safeguard.kept_rows ORDER BY label};

# How many kept rows of a label are as the rows were.
sub intact
{
	my ($at, $label) = @_;
	my $table = $at->safe_psql('postgres',
		"SELECT kept_table FROM safeguard.kept_rows WHERE label = '$label'");
	return $at->safe_psql('postgres',
		"SELECT count(*) FROM $table k JOIN was w ON (k.id, k.v, k.big) = (w.id, w.v, w.big) WHERE sg_image IN ('o', 'd')");
}

# A crash after COMMIT loses nothing, one before keeps nothing.
$node->safe_psql(
	'postgres', q{
	BEGIN;
	SELECT safeguard.keep_rows('committed', 't');
	UPDATE t SET v = 'x', big = NULL WHERE id <= 500;
	DELETE FROM t WHERE id > 900;
	COMMIT;
});
my ($open) = hold($node, q{BEGIN;
	SELECT safeguard.keep_rows('open', 't');
	UPDATE t SET v = 'y' WHERE id <= 500});
$node->safe_psql('postgres', 'CHECKPOINT');
$node->stop('immediate');
eval { $open->finish };
$node->start;
is($node->safe_psql('postgres', $LABELS), 'committed|600',
	'after a crash there is what was committed');
is($node->safe_psql('postgres', $STRAY), '0', 'and no table besides');
is(intact($node, 'committed'), '600', 'with the rows as they were');

# A session that is killed.
kill_session($node, hold($node, q{BEGIN;
	SELECT safeguard.keep_rows('killed', 't');
	UPDATE t SET v = 'z' WHERE id <= 500}));
is($node->safe_psql('postgres', $LABELS), 'committed|600',
	'a session that is killed leaves nothing');
is($node->safe_psql('postgres', $STRAY), '0', 'and no table');

# Prepared transactions: the label is theirs until they end, across a restart.
for my $end ('COMMIT', 'ROLLBACK')
{
	$node->safe_psql(
		'postgres', qq{
		BEGIN;
		SELECT safeguard.keep_rows('prepared $end', 't');
		UPDATE t SET v = 'prepared' WHERE id BETWEEN 600 AND 609;
		PREPARE TRANSACTION 'p';
		UPDATE was SET v = v;
	});
	is( $node->safe_psql('postgres', "SELECT count(*) FROM safeguard.kept WHERE label = 'prepared $end'"),
		'0', "$end: nobody sees what is prepared");
	my ($rc, $stdout, $stderr) = $node->psql(
		'postgres', qq{SET lock_timeout = '100ms';
			BEGIN; SELECT safeguard.keep_rows('prepared $end', 't'); COMMIT;});
	like($stderr, qr/lock timeout/, "$end: its label is taken");
	$node->restart;
	($rc, $stdout, $stderr) = $node->psql(
		'postgres', qq{SET lock_timeout = '100ms';
			BEGIN; SELECT safeguard.keep_rows('prepared $end', 't'); COMMIT;});
	like($stderr, qr/lock timeout/, "$end: also after a restart");
	$node->safe_psql('postgres', "$end PREPARED 'p'");
}
is($node->safe_psql('postgres', $LABELS), "committed|600\nprepared COMMIT|10",
	'what a prepared transaction has kept is committed or not');
is($node->safe_psql('postgres', $STRAY), '0', 'and no table besides');
is(intact($node, 'prepared COMMIT'), '10', 'with the rows as they were');

# A standby shows them, and keeps none.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', $LABELS), "committed|600\nprepared COMMIT|10",
	'a standby shows kept rows');
is(intact($standby, 'committed'), '600', 'as they were');
my ($rc, $stdout, $stderr) = $standby->psql('postgres', q{SELECT safeguard.keep_rows('s', 't')});
like($stderr, qr/cannot execute safeguard.keep_rows\(\) (during recovery|in a read-only transaction)/,
	'and keeps none');
($rc, $stdout, $stderr) = $standby->psql('postgres', q{SELECT safeguard.drop_kept_rows('committed')});
like($stderr, qr/cannot execute safeguard.drop_kept_rows\(\)/, 'nor drops any');
$standby->stop;

# What logical replication applies is not kept: neither under the label of another
# session, nor under one that a trigger has begun in the worker itself, which
# keeps what the trigger changes.
my $subscriber = keeping_node('subscriber', {});
$subscriber->safe_psql(
	'postgres', q{
	CREATE EXTENSION safeguard;
	CREATE TABLE t (id int PRIMARY KEY, v text, big text);
	CREATE TABLE log (id int PRIMARY KEY, v text);
	INSERT INTO log VALUES (1, 'nothing');
	CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM safeguard.keep_rows('in the worker', 'public.t', 'public.log');
		UPDATE public.log SET v = new.v;
		RETURN new;
	END $$;
	CREATE TRIGGER keep BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION keep();
	ALTER TABLE t ENABLE REPLICA TRIGGER keep;
});
$node->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE t');
subscribe($node, $subscriber, 'p');
my $beside = $subscriber->background_psql('postgres');
$beside->query_safe(q{BEGIN; SELECT safeguard.keep_rows('beside', 't')});
$node->safe_psql(
	'postgres', q{
	BEGIN;
	SELECT safeguard.keep_rows('published', 't');
	UPDATE t SET v = 'published' WHERE id = 700;
	COMMIT;
});
$subscriber->poll_query_until('postgres', "SELECT v = 'published' FROM t WHERE id = 700");
$beside->query_safe(q{UPDATE t SET v = 'by itself' WHERE id = 701; COMMIT});
$beside->quit;
is( $subscriber->safe_psql('postgres', 'SELECT label, relation, rows FROM safeguard.kept_rows ORDER BY label, relation'),
	"beside|public.t|1\nin the worker|public.log|1",
	'a subscriber keeps what statements change, but not what is applied');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION p');

# A subscriber to all tables does not have those of kept rows.  What it keeps
# itself has nothing to do with them.
for my $side ($node, $subscriber)
{
	$side->safe_psql('postgres', 'CREATE DATABASE everything');
	$side->safe_psql('everything', 'CREATE EXTENSION safeguard; CREATE TABLE t (id int PRIMARY KEY, v text)');
}
$node->safe_psql('everything', q{CREATE PUBLICATION everything FOR ALL TABLES;
	INSERT INTO t SELECT i, 'old' FROM generate_series(1, 9) i});
subscribe($node, $subscriber, 'everything', 'everything');
for my $side ($subscriber, $node)
{
	$side->safe_psql(
		'everything', q{
		BEGIN;
		SELECT safeguard.keep_rows('here', 't');
		UPDATE t SET v = repeat(md5(id::text), 1000) WHERE id < 4;
		DELETE FROM t WHERE id = 9;
		COMMIT;
		SELECT safeguard.restore_rows('here')});
}
$node->safe_psql('everything', q{UPDATE t SET v = 'new' WHERE id = 5});
$node->wait_for_catchup('everything');
is( $subscriber->safe_psql('everything', q{SELECT string_agg(id || v, ' ' ORDER BY id) FROM t}),
	'1old 2old 3old 4old 5new 6old 7old 8old 9old', 'kept rows are not published, restored ones are');
is( $subscriber->safe_psql('everything', q{SELECT string_agg(label || ' ' || rows, ', ' ORDER BY label) FROM safeguard.kept_rows}),
	'here 4, here@restored-1 4', 'and a subscriber has its own');
$subscriber->safe_psql('everything', 'DROP SUBSCRIPTION everything');

# pg_dump carries them into another cluster, whose OIDs are different.
$node->safe_psql(
	'postgres', q{
	CREATE ROLE keeper;
	CREATE TABLE "Of Keeper" (id int PRIMARY KEY, "V" text);
	INSERT INTO "Of Keeper" VALUES (1, 'one');
	ALTER TABLE "Of Keeper" OWNER TO keeper;
	BEGIN;
	SELECT safeguard.keep_rows('keeper', '"Of Keeper"');
	UPDATE "Of Keeper" SET "V" = 'two';
	COMMIT;
	CREATE TABLE gone AS SELECT 1 AS id;
	BEGIN;
	SELECT safeguard.keep_rows('gone', 'gone');
	DELETE FROM gone;
	COMMIT;
	DROP TABLE gone;
});
my $file = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dumpall', '-d', $node->connstr('postgres'), '-f', $file ], 'dumped');
my $other = keeping_node('other', {});
$other->safe_psql('postgres', 'CREATE TABLE takes_an_oid ()');
$other->command_ok([ 'psql', '-X', '-q', '-d', $other->connstr('postgres'), '-f', $file ], 'restored');
is( $other->safe_psql('postgres', 'SELECT label, relation, rows FROM safeguard.kept_rows ORDER BY label'),
	"committed|public.t|600\nkeeper|public.\"Of Keeper\"|1\nprepared COMMIT|public.t|10\npublished|public.t|1",
	'they are there, less those of a table that is gone');
is(intact($other, 'committed'), '600', 'as they were');
is( $other->safe_psql('postgres', q{SELECT relowner::regrole FROM pg_class
		WHERE oid = (SELECT kept_table::regclass FROM safeguard.kept_rows WHERE label = 'keeper')}),
	'keeper', 'and the owner is the same');
is( $other->safe_psql('postgres', q{SELECT relation = '"Of Keeper"'::regclass FROM safeguard.kept WHERE label = 'keeper'}),
	't', 'the relation was found by its name');
$other->safe_psql(
	'postgres', q{
	BEGIN;
	SELECT safeguard.keep_rows('new', 't');
	DELETE FROM t WHERE id = 1;
	COMMIT;
});
is($other->safe_psql('postgres', "SELECT rows FROM safeguard.kept_rows WHERE label = 'new'"),
	'1', 'new ones have names of their own');
($rc, $stdout, $stderr) = $other->psql('postgres',
	q{BEGIN; SELECT safeguard.keep_rows('committed', 't'); COMMIT});
like($stderr, qr/have been kept under the label "committed" already/,
	'and the labels are taken');
$other->stop;

done_testing();
