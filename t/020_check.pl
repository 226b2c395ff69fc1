
# safeguard.check tells before what enforcing tells: every statement of the SQL
# suites of the rules that judge queries is checked and then executed, in one
# session, and the findings have to be the same.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use BrokenPipe;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Statements;
use Test::More;

my $SQL = "$FindBin::RealBin/../sql";

# What DDL is told is compared by a test of its own; row_limit and
# upsert_overwrite judge what an execution does.
my @FILES = qw(rule_composite_key_reject rule_composite_key_accept
  rule_composite_key rule_conflict_silent rule_conflict_target
  rule_conflict_target_early rule_conflict_target_levels rule_outer_reference
  rule_scope rule_unlinked_from rule_unqualified_dml explain functions
  partitions prepared views privileges exceptions levels incident_1
  incident_2 incident_3);
my $DML_RULE = qr/^(?:composite_key|composite_key_doubt|conflict_target
	|conflict_silent|outer_reference|scope|unlinked_from|unqualified_dml)$/x;
my %STATE = (
	SG001 => 1, SG002 => 1, SG004 => 1, SG006 => 1, SG007 => 1, SG011 => 1, SG012 => 1);

# Differences that have to be, by a pattern of what is said and the statement:
# see "What it cannot tell" in doc/reviewing.md.
my %EXPECTED = (
	'finds its arbiter only by the value of a parameter' =>
	  'a variable has a value only when the block runs',
	'no unique key serves ON CONFLICT \(email\)\s+EXECUTE upsert\(' =>
	  'a generic plan fails, one for the value need not',
	'schema "safeguard" does not exist' =>
	  'the file drops the extension');

my $node = PostgreSQL::Test::Cluster->new('check');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'safeguard'");
$node->start;

# ---------------- running them ----------------

# A script for psql that checks each statement and then runs it.
sub script
{
	my (@pieces) = @_;
	my $script = "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT always\n"
	  . "\\pset format unaligned\n\\pset tuples_only on\n";
	my $n = 0;
	for my $piece (@pieces)
	{
		my ($kind, $text) = @$piece;
		if ($kind eq 'meta')
		{
			$script .= "$text\n"
			  if $text =~ /^\\(?:c|connect|set(?!\s+(?:VERBOSITY|SHOW_CONTEXT|ECHO|QUIET)))\b/;
			next;
		}
		if ($kind eq 'sql' || $kind eq 'variable')
		{
			my ($quoted, $run) =
			  $kind eq 'sql'
			  ? ("\$sg_check\$$text\$sg_check\$", "$text;")
			  : (":'$text'", ":$text");
			$script .=
				"\\echo \@\@check $n\n"
			  . "SELECT '\@\@row ' || pg_catalog.to_json(c) FROM safeguard.check($quoted) AS c;\n"
			  . "\\echo \@\@run $n\n$run\n";
		}
		else
		{
			$script .= "\\echo \@\@raw $n\n$text\n";
		}
		$n++;
	}
	return "$script\\echo \@\@end\n";
}

sub run_file
{
	my ($file) = @_;
	my $database = "regress_$file";
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION safeguard');
	$node->psql($database, slurp_file("$SQL/composite_key_schema.sql"))
	  if $file =~ /composite_key|functions|prepared|views|partitions/;

	my @pieces = pieces(slurp_file("$SQL/$file.sql"));
	my $script = script(@pieces);
	my $out = '';
	local $ENV{PGOPTIONS} =
	  '-c safeguard.unqualified_dml=warning -c safeguard.conflict_silent=warning';
	local $ENV{LC_MESSAGES} = 'C';
	IPC::Run::run([ 'psql', '-X', '-q', '-d', $node->connstr($database) ],
		'<', \$script, '>', \$out, '2>&1');
	return ([ grep { $_->[0] ne 'meta' } @pieces ], $out);
}

# ---------------- comparing ----------------

sub checked
{
	my ($output) = @_;
	return map { decode_json($_) } $output =~ /^\@\@row (.*)$/mg;
}

# One line per difference between the two about a statement.
sub differences
{
	my ($sql, $rows, $said) = @_;
	my @differences;
	my ($server_error) =
	  grep { $_->{kind} eq 'ERROR' && !$STATE{ $_->{state} } } @$said;
	my $rejected = grep { $_->{kind} eq 'ERROR' } @$said;
	my @rows = grep { $_->{rule} =~ $DML_RULE && $_->{level} ne 'record' } @$rows;
	my %row = map { ("$_->{level}: $_->{message}" => $_) } @rows;

	for my $said (grep { $STATE{ $_->{state} } } @$said)
	{
		my $level = $said->{kind} eq 'ERROR' ? 'error' : 'warning';
		my $row = delete $row{"$level: $said->{message}"};
		if ($row)
		{
			# a statement of which the server says the rest in its own error
			next if $said->{message} =~ /no unique key serves/ && !$said->{hint};
			push @differences,
			  map { "other $_: " . ($row->{$_} // '') . "\n" . ($said->{$_} // '') }
			  grep { ($row->{$_} // '') ne ($said->{$_} // '') } qw(detail hint);
			next;
		}
		# what a function that is called does is none of the statement
		next if $said->{inside} && $sql !~ /^\s*do\b/i;
		next if $said->{inside} =~ /function (?!inline_code_block)/;
		next if $said->{inside} && $sql =~ /\bexecute\b/i;
		push @differences, "check is silent: $level: $said->{message}";
	}
	for my $key (sort keys %row)
	{
		my ($level) = $key =~ /^(\w+): /;
		# PREPARE and CREATE FUNCTION run nothing, and the server's own error
		# may come first; of several rejections the first is seen
		next if $sql =~ /^\s*(?:prepare|create\s+(?:or\s+replace\s+)?(?:function|procedure))\b/i;
		next if $server_error;
		next if $level eq 'error' && $rejected;
		next if $sql =~ /^\s*do\b/i && $rejected;
		push @differences, "only check says: $key";
	}
	for my $row (grep { $_->{rule} =~ /^(?:analyze|syntax)$/ } @$rows)
	{
		push @differences, "false alarm: $row->{message}"
		  unless $server_error && $server_error->{message} eq $row->{message};
	}
	push @differences, "no row for the error: $server_error->{message}"
	  if $server_error
	  && $server_error->{state} =~ /^42(?!501|P10|P07|710)/
	  && $sql =~ /^\s*(?:insert|update|delete|merge|with|select)\b/i
	  && !$server_error->{inside}
	  && !grep { $_->{rule} eq 'analyze' || $_->{rule} eq 'syntax' } @$rows;
	return @differences;
}

my ($total, $found) = (0, 0);
for my $file (@FILES)
{
	my ($pieces, $out) = run_file($file);
	my @differences;
	my $compared = 0;

	for my $n (0 .. $#$pieces)
	{
		my $sql = $pieces->[$n][1];
		next unless $out =~ /^\@\@check $n\n(.*?)^\@\@run $n\n(.*?)(?=^\@\@)/ms;
		my ($before, $after) = ($1, $2);
		next if $before =~ /^ERROR:  25P02/m;
		my @rows = checked($before);
		push @differences, "check failed: $before" if $before =~ /^ERROR:/m;
		push @differences,
		  map { "$_\n$sql" } differences($sql, \@rows, [ said($after) ]);
		$compared++;
		$found += grep { $_->{rule} =~ $DML_RULE } @rows;
	}
	@differences = grep {
		my $difference = $_;
		!grep { $difference =~ /$_/ } keys %EXPECTED
	} @differences;
	like($out, qr/^\@\@end$/m, "$file came to its end");
	is(join("\n", @differences), '', "$file: $compared statements, the same verdicts");
	$total += $compared;
}
cmp_ok($found, '>', 300, "$total statements had $found findings");

$node->stop;
done_testing();
