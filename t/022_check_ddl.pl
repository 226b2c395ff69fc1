
# safeguard.check tells of DDL what enforcing tells: every statement of the SQL
# suites of the rules about DDL is checked and then executed, in one session.
# First in a transaction that is rolled back and where nothing is rejected, so
# that all findings show; then as the suite has it.  Message, detail and hint
# have to be the same.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use BrokenPipe;
use DdlCases;
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
for my $version (sort keys %NEWER)
{
	$MORE .= $NEWER{$version} if $node->pg_version >= $version;
}

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
