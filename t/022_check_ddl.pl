
# safeguard.check tells of DDL what enforcing tells: every statement of the SQL
# suites of the rules about DDL is checked and then executed, in one session.
# First in a transaction that is rolled back and where nothing is rejected, so
# that all findings show; then as the suite has it.  Message, detail and hint
# have to be the same.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Statements;
use Test::More;

my $SQL = "$FindBin::RealBin/../sql";
my @FILES = qw(rule_destructive_ddl rule_destructive_ddl_large
  rule_lock_timeout rule_constraint_bypass rule_constraint_bypass_switch more);
my %RULE = (
	constraint_bypass => 'SG008',
	destructive_ddl => 'SG009',
	lock_timeout => 'SG010');
my %STATE = map { $_ => 1 } values %RULE;

# Differences that have to be, by a pattern of what is said and the statement:
# see "DDL" in doc/reviewing.md.
my %EXPECTED = (
	'^only check says: .*the server: (?:could not create unique index|.* is violated by some row)' =>
	  'whether rows stand in the way is known when they are read',
	'^only check says: \w+: (?:INSERT|UPDATE|DELETE|MERGE) writes ' =>
	  'of the writes of a transaction only the first is reported',
);

my $node = PostgreSQL::Test::Cluster->new('check_ddl');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'safeguard'
safeguard.destructive_ddl = warning
safeguard.lock_timeout = warning
});
$node->start;

# What no suite has: above all, what only the code of check tells apart.
my $MORE = <<'EOSQL';
SET safeguard.large_table = 0;
CREATE SCHEMA more;
SET search_path = more;
CREATE DOMAIN plain_domain AS int;
CREATE DOMAIN checked_domain AS int CHECK (VALUE > 0);
CREATE DOMAIN filled_domain AS float8 DEFAULT random();
CREATE FUNCTION own_stable() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION own_volatile() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION own_cast(int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
CREATE TABLE t (a int NOT NULL, v varchar(10), x text, n numeric(6,2), at timestamp, tz timestamptz, arr int[], c "char", i int4, p plain_domain, d date);
INSERT INTO t (a, v) SELECT n, 'x' FROM generate_series(1, 10) n;
CREATE INDEX t_v ON t (v);
CREATE INDEX t_v_pattern ON t (v varchar_pattern_ops);
CREATE INDEX t_v_c ON t (v COLLATE "C");
CREATE INDEX t_lower ON t (lower(v));
CREATE INDEX t_partial ON t (a) WHERE v > 'a';
CREATE INDEX t_include ON t (a) INCLUDE (v);
CREATE UNIQUE INDEX t_i ON t (i);
CREATE INDEX t_tz ON t (tz);
-- types
ALTER TABLE t ALTER v TYPE varchar(20);
ALTER TABLE t ALTER v TYPE varchar(5);
ALTER TABLE t ALTER v TYPE text;
ALTER TABLE t ALTER v TYPE text COLLATE "C";
ALTER TABLE t ALTER v TYPE varchar;
ALTER TABLE t ALTER x TYPE varchar;
ALTER TABLE t ALTER x TYPE varchar(10);
ALTER TABLE t ALTER n TYPE numeric(8,2);
ALTER TABLE t ALTER n TYPE numeric(8,3);
ALTER TABLE t ALTER n TYPE numeric;
ALTER TABLE t ALTER n TYPE int;
ALTER TABLE t ALTER at TYPE timestamptz;
ALTER TABLE t ALTER tz TYPE timestamp;
ALTER TABLE t ALTER tz TYPE timestamptz(3);
ALTER TABLE t ALTER a TYPE int;
ALTER TABLE t ALTER a TYPE bigint USING a;
ALTER TABLE t ALTER a TYPE bigint USING own_cast(a);
ALTER TABLE t ALTER a TYPE int USING a + 1;
ALTER TABLE t ALTER a TYPE int USING i;
ALTER TABLE t ALTER a TYPE int USING a;
ALTER TABLE t ALTER i TYPE oid;
ALTER TABLE t ALTER i TYPE plain_domain;
ALTER TABLE t ALTER i TYPE checked_domain;
ALTER TABLE t ALTER p TYPE int;
ALTER TABLE t ALTER arr TYPE bigint[];
ALTER TABLE t ALTER arr TYPE oid[];
ALTER TABLE t ALTER x TYPE int;
ALTER TABLE t ALTER nowhere TYPE int;
ALTER TABLE t ALTER x TYPE nothing;
ALTER TABLE t ALTER v TYPE text, ALTER a TYPE bigint;
SET TIME ZONE 'Europe/Berlin';
ALTER TABLE t ALTER at TYPE timestamptz;
ALTER TABLE t ALTER tz TYPE timestamp;
RESET TIME ZONE;
-- new columns
ALTER TABLE t ADD y int;
ALTER TABLE t ADD y int NOT NULL DEFAULT 7;
ALTER TABLE t ADD y int DEFAULT own_stable();
ALTER TABLE t ADD y int DEFAULT own_volatile();
ALTER TABLE t ADD y timestamptz DEFAULT now();
ALTER TABLE t ADD y timestamptz DEFAULT clock_timestamp();
ALTER TABLE t ADD y uuid DEFAULT gen_random_uuid();
ALTER TABLE t ADD y plain_domain DEFAULT 3;
ALTER TABLE t ADD y checked_domain DEFAULT 3;
ALTER TABLE t ADD y checked_domain;
ALTER TABLE t ADD y filled_domain;
ALTER TABLE t ADD y filled_domain DEFAULT 1;
ALTER TABLE t ADD y int GENERATED ALWAYS AS IDENTITY;
ALTER TABLE t ADD y int GENERATED ALWAYS AS (a + 1) STORED;
ALTER TABLE t ADD y bigserial;
ALTER TABLE t ADD y int UNIQUE;
ALTER TABLE t ADD y int DEFAULT 1 PRIMARY KEY;
ALTER TABLE t ADD y int REFERENCES nowhere;
ALTER TABLE t ADD y int CHECK (y > 0);
ALTER TABLE t ADD y int, ADD CONSTRAINT ty UNIQUE (y, a);
ALTER TABLE t ADD a int DEFAULT random();
ALTER TABLE t ADD COLUMN IF NOT EXISTS a int DEFAULT random();
ALTER TABLE t ADD y int DEFAULT nobody();
-- keys and names that the server chooses
ALTER TABLE t ADD UNIQUE (a, i);
ALTER TABLE t ADD CONSTRAINT t_v UNIQUE (a);
ALTER TABLE t ADD UNIQUE (nobody);
ALTER TABLE t ADD EXCLUDE USING btree (a WITH =, (i + 1) WITH =);
ALTER TABLE t ADD UNIQUE USING INDEX t_i;
ALTER TABLE t ADD PRIMARY KEY (a), ADD UNIQUE (i);
ALTER TABLE t ADD CHECK (a > 0) NOT VALID;
ALTER TABLE t ADD CHECK (a > 0 AND i > 0) NOT VALID;
ALTER TABLE t ADD CHECK (t.a > 0 OR a < -1) NOT VALID;
ALTER TABLE t ADD CHECK (now() > at) NOT VALID, ADD CHECK (a > 1);
ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES nobody NOT VALID;
CREATE INDEX ON t (a, lower(v));
CREATE INDEX ON t ((a + 1), (a + 2));
CREATE INDEX ON t (a, a);
CREATE INDEX t_v ON t (a);
CREATE INDEX IF NOT EXISTS t_v ON t (a);
CREATE INDEX ON t (nobody);
CREATE INDEX a_name_that_is_quite_long_and_yet_not_as_long_as_it_could_be_if ON t (a);
-- storage
ALTER TABLE t SET ACCESS METHOD heap;
ALTER TABLE t SET ACCESS METHOD nothing;
ALTER TABLE t SET UNLOGGED;
ALTER TABLE t SET (fillfactor = 50);
ALTER TABLE t CLUSTER ON t_v;
CLUSTER t;
VACUUM FULL t;
-- children
CREATE TABLE child (z int) INHERITS (t);
INSERT INTO child (a, z) VALUES (1, 1);
CREATE TABLE child_2 (a bigint, y int);
ALTER TABLE t ALTER a TYPE bigint;
ALTER TABLE ONLY t ALTER a TYPE bigint;
ALTER TABLE child ALTER a TYPE bigint;
ALTER TABLE t ADD y int DEFAULT random();
ALTER TABLE ONLY t ADD y int DEFAULT random();
ALTER TABLE child ADD y int;
ALTER TABLE t ADD y int;
ALTER TABLE t DROP x;
ALTER TABLE ONLY t DROP x;
ALTER TABLE child DROP x;
ALTER TABLE child NO INHERIT t;
TRUNCATE t;
TRUNCATE ONLY t;
DROP TABLE t;
DROP TABLE t CASCADE;
DROP TABLE t, child;
DROP TABLE child, t;
-- partitions
CREATE TABLE p (a int, b text, PRIMARY KEY (a)) PARTITION BY RANGE (a);
CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (1) TO (10);
CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM (10) TO (20);
CREATE INDEX p_b ON p (b);
CREATE FOREIGN DATA WRAPPER more_fdw;
CREATE SERVER more_server FOREIGN DATA WRAPPER more_fdw;
CREATE FOREIGN TABLE foreign_one (a int NOT NULL, b text) SERVER more_server;
INSERT INTO p VALUES (1, 'x'), (11, 'x');
CREATE TABLE refers (a int REFERENCES p, b int);
INSERT INTO refers VALUES (1, 1);
ALTER TABLE p DROP b;
ALTER TABLE p DROP a;
ALTER TABLE p DROP CONSTRAINT p_pkey;
ALTER TABLE p DROP CONSTRAINT p_pkey CASCADE;
ALTER TABLE p_1 DROP CONSTRAINT p_1_pkey;
ALTER TABLE p_1 DROP b;
DROP INDEX p_b;
DROP INDEX p_1_b_idx;
DROP TABLE p;
DROP TABLE p CASCADE;
DROP TABLE p, refers;
DROP TABLE p_1;
TRUNCATE p;
TRUNCATE p, refers;
TRUNCATE p CASCADE;
TRUNCATE ONLY p;
TRUNCATE p_1;
ALTER TABLE p ALTER b TYPE varchar(3);
ALTER TABLE p ADD y float8 DEFAULT random();
ALTER TABLE p ADD UNIQUE (a);
ALTER TABLE p ADD UNIQUE (b);
CREATE INDEX ON p (b);
CREATE INDEX ON ONLY p (b);
VACUUM FULL p_1;
ALTER TABLE p DETACH PARTITION p_1;
ALTER TABLE p ATTACH PARTITION child_2 FOR VALUES FROM (30) TO (40);
ALTER TABLE p ATTACH PARTITION foreign_one FOR VALUES FROM (30) TO (40);
ALTER TABLE p_1 RENAME TO p_one;
ALTER TABLE foreign_one ADD y int DEFAULT random();
DROP FOREIGN TABLE foreign_one;
DROP SERVER more_server;
DROP SERVER more_server CASCADE;
DROP FOREIGN DATA WRAPPER more_fdw CASCADE;
-- cascades
CREATE TYPE composite AS (a int, b int);
CREATE TABLE typed OF composite;
INSERT INTO typed VALUES (1, 1);
CREATE TABLE holds (k int, c composite, cs composite[]);
INSERT INTO holds VALUES (1);
CREATE VIEW on_holds AS SELECT k FROM holds;
CREATE VIEW on_view AS SELECT k FROM on_holds;
CREATE SEQUENCE owned_by OWNED BY holds.k;
CREATE FUNCTION on_row(holds) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE uses_function (a int DEFAULT own_volatile(), g int GENERATED ALWAYS AS (own_cast(1)) STORED);
INSERT INTO uses_function DEFAULT VALUES;
CREATE TABLE on_row_type (h holds);
INSERT INTO on_row_type VALUES (NULL);
DROP TYPE composite;
DROP TYPE composite CASCADE;
DROP DOMAIN plain_domain;
DROP DOMAIN plain_domain CASCADE;
DROP DOMAIN IF EXISTS nobody, plain_domain CASCADE;
DROP TABLE holds;
DROP TABLE holds CASCADE;
DROP TABLE holds, on_holds;
DROP VIEW on_holds;
DROP VIEW on_holds CASCADE;
ALTER TABLE holds DROP k;
ALTER TABLE holds DROP k CASCADE;
ALTER TABLE holds DROP c;
ALTER TABLE holds DROP c, DROP cs;
DROP FUNCTION own_volatile();
DROP FUNCTION own_volatile() CASCADE;
DROP FUNCTION own_volatile;
DROP FUNCTION own_cast(int) CASCADE;
DROP FUNCTION nobody();
DROP FUNCTION IF EXISTS nobody();
DROP FUNCTION own_cast(text);
DROP SEQUENCE owned_by;
DROP SCHEMA more;
DROP SCHEMA more CASCADE;
DROP SCHEMA IF EXISTS nobody, more CASCADE;
DROP SCHEMA more, pg_catalog CASCADE;
DROP SCHEMA pg_catalog CASCADE;
DROP TABLE pg_class;
DROP EXTENSION safeguard;
DROP TYPE safeguard.slow CASCADE;
DROP TABLE safeguard.table_levels;
DROP TABLE IF EXISTS nobody, holds CASCADE;
DROP VIEW holds;
DROP TABLE on_holds;
DROP TABLE nobody.nobody;
DROP COLLATION nobody;
DROP OWNED BY CURRENT_USER;
DROP OWNED BY nobody;
DROP DATABASE nobody;
DROP DATABASE template1;
ALTER TYPE composite ADD ATTRIBUTE c int;
ALTER TYPE composite ALTER ATTRIBUTE a TYPE bigint CASCADE;
ALTER TABLE typed ADD UNIQUE (a);
-- keys that upserts need
CREATE TABLE up (k int, v varchar(10), w int, CONSTRAINT up_key UNIQUE (k));
CREATE UNIQUE INDEX up_lower ON up (lower(v));
INSERT INTO up VALUES (1, 'x') ON CONFLICT (k) DO UPDATE SET w = 1;
INSERT INTO up VALUES (1, 'x') ON CONFLICT (lower(v)) DO NOTHING;
ALTER TABLE up DROP CONSTRAINT up_key;
ALTER TABLE up DROP CONSTRAINT up_key, ADD UNIQUE (k);
ALTER TABLE up DROP CONSTRAINT up_key, ADD PRIMARY KEY (k);
ALTER TABLE up DROP CONSTRAINT up_key, ADD UNIQUE (k, w);
ALTER TABLE up DROP CONSTRAINT up_key, DROP k;
ALTER TABLE up DROP k, ADD k int UNIQUE;
ALTER TABLE up ALTER k TYPE bigint;
ALTER TABLE up ALTER v TYPE text;
DROP INDEX up_key;
DROP INDEX up_lower;
DROP INDEX up_lower, nobody;
ALTER TABLE up RENAME k TO kk;
ALTER TABLE up RENAME k TO v;
ALTER TABLE up RENAME nobody TO kk;
ALTER INDEX up_key RENAME TO up_other;
ALTER TABLE up RENAME TO upp;
REINDEX INDEX up_key;
REINDEX TABLE up;
REINDEX (CONCURRENTLY) TABLE up;
REINDEX TABLE CONCURRENTLY up;
DROP TABLE up;
TRUNCATE up;
-- triggers
CREATE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER one BEFORE INSERT ON up FOR EACH ROW EXECUTE FUNCTION trig();
CREATE TRIGGER row_one BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION trig();
ALTER TABLE up DISABLE TRIGGER one;
ALTER TABLE up DISABLE TRIGGER nobody;
ALTER TABLE up DISABLE TRIGGER USER, ENABLE ALWAYS TRIGGER one;
ALTER TABLE refers DISABLE TRIGGER ALL;
ALTER TABLE refers DISABLE TRIGGER USER;
ALTER TABLE p DISABLE TRIGGER ALL;
ALTER TABLE p_1 DISABLE TRIGGER row_one;
DROP FUNCTION trig() CASCADE;
-- of somebody else
CREATE ROLE regress_more;
GRANT USAGE ON SCHEMA more TO regress_more;
GRANT SET ON PARAMETER safeguard.max_level TO regress_more;
CREATE TABLE mine (a int PRIMARY KEY, b int);
INSERT INTO mine VALUES (1, 1);
ALTER TABLE mine OWNER TO regress_more;
SET ROLE regress_more;
DROP TABLE up;
DROP SCHEMA more CASCADE;
DROP TYPE composite CASCADE;
DROP FUNCTION own_volatile() CASCADE;
DROP OWNED BY regress_more;
DROP OWNED BY CURRENT_USER CASCADE;
REASSIGN OWNED BY regress_more TO CURRENT_USER;
ALTER TABLE up ADD y float8 DEFAULT random();
ALTER TABLE up DISABLE TRIGGER one;
ALTER TABLE up RENAME k TO kk;
CREATE INDEX ON up (k);
TRUNCATE up;
VACUUM FULL up;
CLUSTER up;
REINDEX TABLE up;
ALTER TABLE mine ALTER a TYPE bigint;
ALTER TABLE mine DISABLE TRIGGER ALL;
ALTER TABLE mine ADD CHECK (a > 0) NOT VALID;
DROP TABLE mine;
TRUNCATE mine, up;
SET session_replication_role = replica;
ALTER DOMAIN checked_domain ADD CHECK (VALUE > 1) NOT VALID;
RESET ROLE;
SET session_replication_role = replica;
SET session_replication_role TO DEFAULT;
EOSQL

# Of these, what is done for good; the others are only tried.
my $FOR_GOOD = qr/^\s*(?:CREATE|GRANT|INSERT|RESET|SET)\b|OWNER TO/;

# ---------------- running ----------------

my $CHECK = "SELECT '\@\@row ' || pg_catalog.to_json(c) FROM safeguard.check";

# A script for psql that checks each statement and runs it, twice.
sub script
{
	my ($trials_only, @pieces) = @_;
	my $script = "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT always\n"
	  . "\\pset format unaligned\n\\pset tuples_only on\n";
	my $in_block = 0;
	for my $n (0 .. $#pieces)
	{
		my ($kind, $text) = @{ $pieces[$n] };
		if ($kind eq 'meta')
		{
			$script .= "$text\n" if $text =~ /^\\(?:c|connect|set(?!\s+VERBOSITY))\b/;
			next;
		}
		if ($kind ne 'sql')
		{
			$script .= "\\echo \@\@raw $n\n$text\n";
			next;
		}
		my $check = "$CHECK(\$sg_check\$$text\$sg_check\$) AS c;\n";
		my $control =
		  $text =~ /^\s*(?:begin|commit|rollback|savepoint|release)\b/i;
		if (!$control)
		{
			$script .=
				($in_block ? "SAVEPOINT sg_trial;\n" : "BEGIN;\n")
			  . "SET LOCAL safeguard.max_level = warning;\n"
			  . "\\echo \@\@check ${n}a\n$check"
			  . "\\echo \@\@run ${n}a\n$text;\n\\echo \@\@end\n"
			  . ($in_block ? "ROLLBACK TO sg_trial;\nRELEASE sg_trial;\n" : "ROLLBACK;\n");
		}
		next if $trials_only && $text !~ $FOR_GOOD;
		$script .= "\\echo \@\@check ${n}b\n$check\\echo \@\@run ${n}b\n$text;\n";
		$in_block = 1 if $text =~ /^\s*begin\b/i;
		$in_block = 0 if $text =~ /^\s*(?:commit|rollback)\s*$/i;
	}
	return "$script\\echo \@\@end\n";
}

sub run_file
{
	my ($file) = @_;
	my $database = "regress_$file";
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION safeguard');
	my @pieces =
	  pieces($file eq 'more' ? $MORE : slurp_file("$SQL/$file.sql"));
	my $script = script($file eq 'more', @pieces);
	my $out = '';
	local $ENV{LC_MESSAGES} = 'C';
	IPC::Run::run([ 'psql', '-X', '-q', '-d', $node->connstr($database) ],
		'<', \$script, '>', \$out, '2>&1');
	return (\@pieces, $out);
}

# ---------------- comparing ----------------

sub text_of
{
	my ($level, $message, $detail, $hint) = @_;
	return join("\n  ", "$level: $message", map { $_ // '-' } $detail, $hint);
}

# One line per difference between the two about a statement.
sub differences
{
	my ($sql, $rows, $said, $trial) = @_;
	my @differences;
	my ($server_error) =
	  grep { $_->{kind} eq 'ERROR' && !$STATE{ $_->{state} } } @$said;
	my $rejected = grep { $_->{kind} eq 'ERROR' } @$said;
	my %row = map { (text_of(@$_{qw(level message detail hint)}) => 1) }
	  grep { $RULE{ $_->{rule} } && $_->{level} ne 'record' } @$rows;

	for my $said (grep { $STATE{ $_->{state} } } @$said)
	{
		# a function's or a block's commands are none of the statement's
		next if $said->{inside} =~ /function (?!inline_code_block)/;
		my $text = text_of(
			$said->{kind} eq 'ERROR' ? 'error' : 'warning',
			@$said{qw(message detail hint)});
		push @differences, "check is silent: $text" unless delete $row{$text};
	}
	for my $text (sort keys %row)
	{
		# the block catches the error; what it rolls back is not seen
		next if $sql =~ /\bexception when\b/i;
		# of several that reject, the first is seen
		next if $text =~ /^error/ && $rejected && !$trial;
		next if $server_error && $server_error->{message} =~ /cannot (?:run|be executed)/;
		push @differences, "only check says: $text"
		  . ($server_error ? "\n  the server: $server_error->{message}" : '');
	}
	for my $row (grep { $_->{rule} =~ /^(?:analyze|syntax)$/ } @$rows)
	{
		push @differences, "false alarm: $row->{message}"
		  unless $server_error && $server_error->{message} eq $row->{message};
	}
	return @differences;
}

my ($total, $found) = (0, 0);
for my $file (@FILES)
{
	my ($pieces, $out) = run_file($file);
	my @differences;
	my $compared = 0;

	for my $n (map { ("${_}a", "${_}b") } 0 .. $#$pieces)
	{
		my $sql = $pieces->[ $n =~ s/\D//r ][1];
		next unless $out =~ /^\@\@check $n\n(.*?)^\@\@run $n\n(.*?)(?=^\@\@)/ms;
		my ($before, $after) = ($1, $2);
		next if $before =~ /^ERROR:  25P02/m;
		my @rows = map { decode_json($_) } $before =~ /^\@\@row (.*)$/mg;
		# a body that is not read, or not all of it, has a row that says so
		next if $sql =~ /^\s*do\b/i
		  && grep { $_->{rule} =~ /^(?:dynamic|analyze)$/ } @rows;
		# the suite goes to a database that has no extension
		next if $before =~ /schema "safeguard" does not exist/;
		push @differences, "check failed: $before" if $before =~ /^ERROR:/m;
		push @differences, map { "$_\n$sql" }
		  differences($sql, \@rows, [ said($after) ], $n =~ /a/);
		$compared++;
		$found += grep { $RULE{ $_->{rule} } } @rows;
	}
	@differences = grep {
		my $difference = $_;
		!grep { $difference =~ /$_/s } keys %EXPECTED
	} @differences;
	like($out, qr/^\@\@end$/m, "$file came to its end");
	is(join("\n", @differences), '', "$file: $compared comparisons, the same verdicts");
	$total += $compared;
}
cmp_ok($found, '>', 300, "$total comparisons had $found findings");

# ---------------- a standby ----------------

# nothing is written or locked in earnest, so a standby tells the same
$node->safe_psql('postgres', q{
	CREATE EXTENSION safeguard;
	CREATE TYPE mood AS ENUM ('good');
	CREATE TABLE full_one (a int PRIMARY KEY, b varchar(10), m mood);
	INSERT INTO full_one VALUES (1, 'x', 'good');
	CREATE TABLE refers (a int REFERENCES full_one);
	INSERT INTO refers VALUES (1);
	CREATE TABLE parted (a int, b text, PRIMARY KEY (a)) PARTITION BY RANGE (a);
	CREATE TABLE parted_1 PARTITION OF parted DEFAULT;
	CREATE TABLE attached (a int NOT NULL, b text);
	INSERT INTO attached VALUES (1);
	CREATE ROLE regress_owner;
	ALTER TABLE refers OWNER TO regress_owner;});
my $ddl = q{SET safeguard.large_table = 0;
	SELECT statement, rule, level, relation, message, detail, hint FROM safeguard.check($$
	TRUNCATE full_one CASCADE; ALTER TABLE full_one ALTER a TYPE bigint;
	ALTER TABLE full_one ADD x float8 DEFAULT random(); ALTER TABLE full_one ADD UNIQUE (b);
	ALTER TABLE parted ATTACH PARTITION attached FOR VALUES FROM (1) TO (2);
	CREATE INDEX ON full_one (b); REINDEX TABLE full_one; VACUUM FULL full_one;
	ALTER TABLE refers DISABLE TRIGGER ALL; ALTER TABLE refers ADD CHECK (a > 0) NOT VALID;
	REASSIGN OWNED BY regress_owner TO CURRENT_USER; DROP OWNED BY regress_owner;
	DROP TYPE mood CASCADE; DROP SCHEMA public CASCADE$$)};
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my $on_primary = $node->safe_psql('postgres', $ddl);
cmp_ok(scalar(split /\n/, $on_primary), '>', 14, 'DDL on the primary');
is($standby->safe_psql('postgres', $ddl), $on_primary, 'DDL on a standby');
$standby->stop;

$node->stop;
done_testing();
