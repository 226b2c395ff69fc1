
# script/safeguard-review: what it prints, where it says things are, what it
# makes of psql's own commands, its exit status, and that the text of a file
# reaches the server as it is.

use strict;
use warnings FATAL => 'all';

use Cwd qw(abs_path);
use Digest::MD5 qw(md5_hex);
use Encode qw(decode);
use FindBin;
use lib $FindBin::RealBin;

use Incident;
use IPC::Run ();
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $script = abs_path("$FindBin::RealBin/../script/safeguard-review");
my $node = incident_node('review');
my $dir = PostgreSQL::Test::Utils::tempdir;

# temporary files go where they can be seen, in a folder with an awkward name
my $tmp = "$dir/it's \$(tmp) \"dir\"";
mkdir $tmp or die $!;
local $ENV{TMPDIR} = $tmp;
chdir $dir or die $!;

my @shell = ('sh');
my $database = 'postgres';

# Runs it; gives exit status, output and errors.
sub review_from
{
	my ($in, @args) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run(
		[ @shell, $script, '-d', $node->connstr($database), @args ],
		'<', \$in, '>', \$out, '2>', \$err);
	my $rc = $?;
	return ($rc & 127 ? 'signal ' . ($rc & 127) : $rc >> 8, $out, $err);
}

sub review { return review_from('', @_); }

sub file
{
	my ($name, $text) = @_;
	open my $fh, '>:raw', $name or die "$name: $!";
	print $fh $text;
	close $fh or die $!;
	return $name;
}

# file:line:column: level: rule of each line, and what follows with a second
# argument
sub places
{
	my ($out) = @_;
	return join ' ', map { /^(.*?: \w+: \w+): / ? $1 =~ s/: /:/gr : "?$_" } split /\n/, $out;
}

# Where a word is, in lines and characters.
sub at
{
	my ($text, $word) = map { decode('UTF-8', $_) } @_;
	my $before = substr $text, 0, index($text, $word);
	return 'x.sql:' . (1 + $before =~ tr/\n//) . ':' . (length($before) - rindex($before, "\n"));
}

# Tests exit status and places of a file with this text.
sub says
{
	my ($text, $rc, $places, $what) = @_;
	my ($got, $out, $err) = review(file('x.sql', $text));
	is("$got " . places($out), "$rc $places", $what) or diag "$out$err";
	return $out;
}

my $bad = "UPDATE point_info SET point_name = 'x' WHERE id IN (SELECT pi.id FROM point_info pi"
  . " JOIN systems s ON s.id = pi.system_id WHERE s.vendor_type = 'amber')";
my $at = index($bad, 'id IN') + 1;
my $found = 'error:composite_key';

# --- what it prints

my $out = says("-- one\n$bad;\n", 1, "x.sql:2:$at:$found", 'a finding');
is(scalar(() = $out =~ /\n/g), 1, 'is one line');
like($out, qr/^x\.sql:2:$at: error: composite_key: UPDATE matches table "point_info" by part of its key \(system_id, id\) Hint: Compare the whole key/,
	'with message and hint');
my ($rc, $err);
($rc, $out) = review('-v', 'x.sql');
like($out, qr/^x\.sql:2:$at: error: composite_key: UPDATE [^\n]*id\)\n\tDETAIL: The subquery[^\n]*\n\tHINT: Compare[^\n]*\n\z/,
	'-v puts detail and hint on lines of their own');
says("$GOOD;\n", 0, '', 'the corrected statement');
says('', 0, '', 'an empty file');
says("-- nothing\n", 0, '', 'only a comment');
says("SELECT 1;; ;\n$bad", 1, "x.sql:2:$at:$found", 'no line break, no semicolon at the end');
says("SELEC 1;\nSELECT * FROM nonesuch;\n$bad;", 1,
	"x.sql:1:1:error:syntax x.sql:2:15:error:analyze x.sql:3:$at:$found",
	'what does not parse does not hide the rest');

# --- levels

my $warning = 'UPDATE point_info SET point_name = s.vendor_type FROM systems s WHERE s.id = 1;';
my $record = 'DELETE FROM point_info;';
file('w.sql', $warning);
file('r.sql', $record);
file('g.sql', $GOOD);
file('b.sql', "$bad;");
for my $case (
	[ 1, 'b.sql' ], [ 1, 'w.sql' ], [ 0, 'r.sql' ], [ 0, 'g.sql' ],
	[ 0, '--fail-level=error', 'w.sql' ], [ 1, '--fail-level', 'error', 'b.sql' ],
	[ 1, 'r.sql', '--fail-level=record' ], [ 1, '--fail-level=note', 'r.sql' ],
	[ 0, '--fail-level=none', 'b.sql' ], [ 1, 'r.sql', 'w.sql' ],
	[ 0, '--fail-level=record', 'g.sql' ])
{
	my ($expected, @args) = @$case;
	($rc) = review(@args);
	is($rc, $expected, "exit status of @args");
}
($rc, $out) = review('r.sql', 'w.sql');
like($out, qr/^r\.sql:1:1: note: unqualified_dml: .*\nw\.sql:1:\d+: warning: unlinked_from: /,
	'files in the order given, level record shows as note');

# --- positions

my $u = "\xc3\xbc";    # one character in two bytes, and of four
my $g = "\xf0\x9f\x98\x80";
my $text = "SELECT '$u$u$g'; $bad;";
says($text, 1, at($text, 'id IN') . ":$found", 'columns count characters');
says("\xef\xbb\xbf$bad;", 1, "x.sql:1:$at:$found", 'a byte order mark is no column');
says("SELECT 1;\r\n-- $u\r\n\r\n\t$bad;\r\n", 1, 'x.sql:4:' . ($at + 1) . ":$found", 'CRLF');
says("SELECT '$u\n$u\n'; $bad;", 1, 'x.sql:3:' . ($at + 3) . ":$found", 'a string over lines');
$text = "SELECT \$a\$ ; ' \$\$ \n\$a\$, E'\\' ; ', \"\"\"\" FROM t; -- '\n/* /* ' */ ; */ $bad;";
says($text, 1, at($text, 't;') . ':error:analyze ' . at($text, 'id IN') . ":$found", 'quotes and comments');
$text = 'CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; ' . $bad;
says($text, 1, at($text, 'id IN') . ":$found", 'a body with semicolons');

# --- psql

says("\\set x '$bad'\n\\echo $bad;\n\\timing on\n\\pset null x \\\\ $bad;", 1,
	'x.sql:4:' . ($at + 16) . ":$found", 'commands are skipped up to \\\\');
says("SELECT 'DROP TABLE ' || oid FROM pg_class \\gexec\n$bad\\g\n$bad \\gset p_\nSELEC",
	1, "x.sql:1:43:note:psql x.sql:2:$at:$found x.sql:3:$at:$found x.sql:4:1:error:syntax",
	'\g and the like end a statement');
says("\\copy point_info from stdin\n1\t5\tit's\n\\.\n\\copy point_info to 'f'\n$bad;", 1,
	"x.sql:1:1:note:psql x.sql:4:1:note:psql x.sql:5:$at:$found", '\copy and its data');
says("COPY point_info (system_id, id) FROM stdin; SELEC 1;\n1\t';\n\\x\n\\.\n$bad;\nCOPY systems FROM STDIN;\n1\t\$\$",
	1, "x.sql:1:45:error:syntax x.sql:5:$at:$found", 'data of COPY');
says("\\c other\n\\connect - joe\n\\if :x\n$bad;\n\\else\nSELEC;\n\\endif\n\\! ls; $bad\n\\q\n$bad;", 1,
	"x.sql:1:1:note:psql x.sql:2:1:note:psql x.sql:3:1:note:psql x.sql:4:$at:$found x.sql:6:1:error:syntax"
	  . " x.sql:8:1:note:psql x.sql:9:1:note:psql x.sql:10:$at:$found",
	'what is not done is told');
$text = "UPDATE :t SET a = 1; SELEC :'v';\nDELETE\nFROM :\"t\" WHERE '$u' = $u; $bad;";
says($text, 1,
	join(' ', (map { at($text, $_) . ':note:psql' } ':t', ":'v'", ':"t"'), at($text, 'id IN') . ":$found"),
	'statements with variables are not judged');
$text = "SELECT ('{1,2}'::int[])[1:id], ':x', \$\$:x\$\$, \":x\" -- :x\nFROM (SELECT 1 AS id, 2 AS \":x\") s; $bad;";
says($text, 1, at($text, 'id IN') . ":$found", 'casts, slices and quoted colons are no variables');
$text = "SELECT a[1:n]; DROP TABLE \${schema}.t; SELECT '\${x}'\\; SELEC;";
says($text, 1, at($text, 'a[') . ':error:analyze ' . at($text, '${schema}') . ':note:psql ' . at($text, 'SELEC;') . ':error:syntax',
	'placeholders; \; is a semicolon');
says("\\set n 1\nSELECT a[1:n];", 0, 'x.sql:2:11:note:psql', 'a slice with a variable that was set');

# --- includes

mkdir 'sub dir' or die $!;
file('sub dir/one.sql', "$bad;\n\\ir 'it''s two.sql'\n\\i w.sql");
file("sub dir/it's two.sql", "SELECT 1;\n\\ir ../main.sql\nSELECT '");
file('main.sql', "\\set d 'x'\n\\i 'sub dir/one.sql'\n\\ir nonesuch.sql\n\\i :d\n\\i w.sql\n$bad;\n\\i /dev/zero\n\\i .\n");
($rc, $out, $err) = review('main.sql');
is("$rc " . places($out), "2 main.sql:3:1:error:include main.sql:4:1:note:psql main.sql:6:$at:$found"
	  . " main.sql:7:1:error:include main.sql:8:1:error:include"
	  . " sub dir/one.sql:1:$at:$found w.sql:1:71:warning:unlinked_from"
	  . " sub dir/it's two.sql:2:1:error:include sub dir/it's two.sql:3:8:error:syntax",
	'included files are judged once, relative to this folder or the file')
  or diag "$out$err";
like($out, qr/it's two\.sql:2:1: error: include: main\.sql includes itself$/m, 'cycles are told');
like($out, qr/^main\.sql:3:1: error: include: nonesuch\.sql: no such file$/m, 'so are missing files');

# --- names and arguments

for my $name ('a b.sql', "it's.sql", '$(touch hit).sql', '-d.sql', 'FS=x', '"q".sql', "t\tb.sql", "u$u.sql", 'back\\n.sql')
{
	file($name, "$bad;");
	($rc, $out) = review('--', $name);
	is("$rc " . places($out), "1 $name:1:$at:$found", "file $name");
}
ok(!-e 'hit', 'no name is run');
($rc, $out) = review_from("$bad;", '-');
is("$rc " . places($out), "1 <stdin>:1:$at:$found", 'standard input');
IPC::Run::run([ 'sh', '-c', 'mkfifo pipe; cat b.sql >pipe & sh "$0" -d "$1" pipe b.sql', $script, $node->connstr('postgres') ],
	'>', \$out);
like($out, qr/^pipe:1:$at: error: .*\nb\.sql:1:/, 'a pipe');
($rc, $out) = review_from("$bad;", 'b.sql', '-', 'b.sql');
is("$rc " . places($out), "1 b.sql:1:$at:$found <stdin>:1:$at:$found", 'beside a file that is named twice');

for my $case (
	[ qr/no file given/ ], [ qr/unknown option --nix/, '--nix', 'b.sql' ], [ qr/unknown format xml/, '--format=xml', 'b.sql' ],
	[ qr/unknown level x/, '--fail-level', 'x', 'b.sql' ], [ qr/needs a value/, 'b.sql', '--format' ],
	[ qr/takes no value/, '--preview=1', 'b.sql' ], [ qr/nonesuch\.sql: no such file/, 'nonesuch.sql' ],
	[ qr/sub dir: is a folder/, 'sub dir' ],
	[ qr/nul\.sql: has bytes 0/, file('nul.sql', "SELECT 1;\0\n") ],
	[ qr/latin\.sql: line 2 is not UTF-8/, file('latin.sql', "SELECT 1;\n-- \xfc\n") ],
	[ qr/could not translate host name|failed|not found/, '-d', 'host=/nonesuch', 'b.sql' ])
{
	my ($re, @args) = @$case;
	($rc, $out, $err) = review(@args);
	is($rc, 2, "exit status 2: @args");
	like($err, $re, '... with its reason');
}
file('secret.sql', 'SELECT 1');
chmod 0, 'secret.sql';
SKIP:
{
	skip 'root reads everything', 1 if $> == 0;
	($rc, $out, $err) = review('secret.sql', 'b.sql');
	is("$rc " . places($out), "2 b.sql:1:$at:$found", 'what can be read is judged beside what cannot');
}
($rc, $out) = review('--help');
like("$rc $out", qr/^0 usage: safeguard-review /, '--help');
is(join('|', (review('-h'))[0, 1]), "$rc|$out", '-h');
is(join('|', (review('--version'))[0, 1]), "0|safeguard-review: extension 1.0, library 1.0\n", '--version');

# --- formats

my $json = JSON::PP->new->utf8;
($rc, $out) = review('--format', 'json', 'b.sql', 'r.sql', "it's.sql");
my $report = $json->decode($out);
is($rc, 1, 'JSON: exit status');
is(scalar @{ $report->{findings} }, 3, 'JSON: findings');
my %first = %{ $report->{findings}[0] };
is_deeply([ @first{qw(file line column statement level rule relation)} ],
	[ 'b.sql', 1, $at, 1, 'error', 'composite_key', 'point_info' ], 'JSON: one of them');
like("$first{message}|$first{detail}|$first{hint}", qr/^UPDATE matches.*\|The subquery.*\|Compare/, 'JSON: its texts');
is($report->{findings}[1]{level}, 'record', 'JSON: levels have their own names');

($rc, $out) = review('--format=sarif', './sub dir/.././/b.sql', 'r.sql', 'w.sql', 'sub dir/one.sql', "$dir/u$u.sql");
$report = $json->decode($out);
is($report->{version}, '2.1.0', 'SARIF: version');
like($report->{'$schema'}, qr/sarif-2\.1\.0/, 'SARIF: schema');
my $run = $report->{runs}[0];
my $driver = $run->{tool}{driver};
is($driver->{name}, 'safeguard', 'SARIF: tool');
is($run->{columnKind}, 'unicodeCodePoints', 'SARIF: columns are characters');
my @wrong;
for my $result (@{ $run->{results} })
{
	my $physical = $result->{locations}[0]{physicalLocation};
	push @wrong, $result
	  unless $driver->{rules}[ $result->{ruleIndex} ]{id} eq $result->{ruleId}
	  && $result->{level} =~ /^(error|warning|note)$/
	  && length $result->{message}{text}
	  && $physical->{artifactLocation}{uri} =~ m{^[A-Za-z0-9._~/:%-]+$}
	  && $physical->{region}{startLine} >= 1
	  && $physical->{region}{startColumn} >= 1;
}
is_deeply(\@wrong, [], 'SARIF: results have what they must have');
my %uri = map { $_->{locations}[0]{physicalLocation}{artifactLocation}{uri} => 1 } @{ $run->{results} };
ok($uri{'sub%20dir/one.sql'} && $uri{'b.sql'} && grep({ m{^file:///.*u%C3%BC\.sql$} } keys %uri), 'SARIF: addresses')
  or diag join ' ', keys %uri;
ok(!(grep { !$_->{id} || !($_->{shortDescription}{text} || $_->{id} eq 'include') } @{ $driver->{rules} }),
	'SARIF: rules are described');
ok($run->{invocations}[0]{executionSuccessful} ? 0 : 1, 'SARIF: an include that fails shows');



# --- rehearsal

my $insert = q{INSERT INTO point_info SELECT s, 9, 'new' FROM generate_series(1, 2) s};
file('1.sql', "BEGIN;\nALTER TABLE point_info ADD note text;\n  $insert;\nCOMMIT;\n\\i 'sub dir/2.sql'\n");
file('sub dir/2.sql', "-- $u\nUPDATE point_info SET note = '$u' WHERE system_id = 1\n");
file('3.sql', "$BAD;\nINSERT INTO point_info (system_id, id) VALUES (1, 9);\nSELECT 1;");
my $count = q{SELECT count(*), count(*) FILTER (WHERE point_name = 'Grid import') FROM point_info};
my $before = $node->safe_psql('postgres', $count);
($rc, $out, $err) = review('--preview', '1.sql');
is($rc, 0, 'a rehearsal that succeeds');
my %line = map { /^(.*?:\d+):/ ? ($1 => $_) : () } grep { !/ lock_timeout: / } split /\n/, $out;
like($line{'1.sql:1'}, qr/note: psql: BEGIN is left out/, 'BEGIN is left out');
like($line{'1.sql:2'}, qr/:1: info: preview: ALTER TABLE point_info/, 'DDL');
like($line{'1.sql:3'}, qr/:3: info: preview: INSERT point_info, rows 2, source_rows 2, scope \{.*"system_id": 2/, 'rows, source rows and scope');
like($line{'sub dir/2.sql:2'}, qr/:1: info: preview: UPDATE point_info, rows 5,/, 'a file included, after the DDL before it');
($rc, $out) = review('--preview', '1.sql', '3.sql');
is($rc, 1, 'a rehearsal that fails');
like($out, qr/^3\.sql:1:1: info: preview: UPDATE point_info, rows \d+, source_rows \d+, scope.*\n3\.sql:2:\d+: error: composite_key: .*\n3\.sql:4:1: error: preview: INSERT fails: .*point_info_pkey.*\(23505\)$/m,
	'findings and failures have their places');
unlike($out, qr/^3\.sql:5/m, 'the rest is not run');
($rc, $out) = review('--preview', '1.sql', file('refused.sql', "SELECT 1;\nVACUUM;\n"));
is($rc, 1, 'what cannot be rehearsed');
like($out, qr/^refused\.sql:2:1: error: preview: .*cannot rehearse VACUUM/m, '... is told with its place');
($rc, $out) = review('--preview', '--timeout=20s', '--lock-timeout', '1s', '1.sql');
is($rc, 0, 'with time limits');
for my $option (qw(--lock-timeout --timeout))
{
	($rc, $out, my $said) = review('--preview', $option, 'abc', '1.sql');
	is("$rc $said", "2 safeguard-review: $option abc is no duration (such as " . ($option eq '--timeout' ? '30s, 5min' : '500ms, 2s') . ")\n",
		"a wrong $option is told by its name");
}
is((review("--preview", "--timeout='); DROP TABLE point_info; --", '1.sql'))[0], 2, 'a wrong time limit');
($rc, $out) = review('--twice', file('again.sql', 'CREATE TABLE again ()'));
is($rc, 1, 'a script that cannot run twice');
like($out, qr/^again\.sql:1:1: error: preview: CREATE TABLE.* fails: .*already exists/m, '... says so');
($rc, $out) = review('--twice', file('all.sql', 'DELETE FROM systems WHERE false; DELETE FROM point_info'));
is(scalar(() = $out =~ /unqualified_dml/g), 1, 'what both runs have is told once');
($rc, $out, $err) = review('--preview', file('open.sql', "SELECT 1;\nSELECT '"), '1.sql');
is("$rc " . places($out =~ s/^1\.sql.*\n//mgr), '1 open.sql:2:1:error:syntax', 'a file without an end swallows nothing');
like($err, qr/nothing was rehearsed/, '... and nothing is run');
($rc, $out) = review('--preview', '--format=json', '1.sql');
$report = $json->decode($out);
is(join(' ', map { "$_->{file}:$_->{line}:$_->{command}" } @{ $report->{preview} }),
	'1.sql:2:ALTER TABLE 1.sql:3:INSERT sub dir/2.sql:2:UPDATE', 'JSON: the steps');
is($report->{preview}[1]{rows}, 2, 'JSON: rows');
is(ref $report->{preview}[1]{scope}, 'HASH', 'JSON: scope');
is(ref $json->decode((review('--preview', '--format=sarif', '1.sql'))[1])->{runs}[0]{properties}{preview}, 'ARRAY', 'SARIF: the steps');
is($node->safe_psql('postgres', $count), $before, 'nothing is left of rehearsals');

# --- the text that the server gets: this database only tells its sum

my $stub = q{
	CREATE SCHEMA safeguard;
	CREATE FUNCTION safeguard.status(OUT item text, OUT value text) LANGUAGE sql AS $$ SELECT 'version', '0' $$;
	CREATE VIEW safeguard.rules AS SELECT 'r' AS rule, 'off' AS default_level, 'd' AS description;
	CREATE FUNCTION safeguard.check(sql text, OUT statement int, OUT rule text, OUT level text, OUT relation regclass,
		OUT columns name[], OUT message text, OUT detail text, OUT hint text, OUT "position" int) LANGUAGE sql
	AS $$ SELECT 1, 'r', 'record', NULL::regclass, NULL::name[], md5(convert_to(sql, 'UTF8')), E'a\\\\\t\x0b\x01"\n', NULL, nullif(strpos(sql, 'HERE'), 0) $$;
};
for my $encoding ('UTF8', 'LATIN1', 'SQL_ASCII')
{
	$database = lc "d_$encoding";
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
	$node->safe_psql($database, $stub);
	$node->safe_psql($database, "ALTER DATABASE $database SET standard_conforming_strings = off")
	  if $encoding eq 'LATIN1';
	my $raw = "\\echo\n\$q\$'$u' \$\$ :x \$a\$ \\x \$\$ '' \\\\ E'\\\\' \$1 \"\\\" -- \$_\$ ' \\g :x `ls` \t\r\n"
	  . join('', map { chr } 1 .. 9, 11 .. 31, 127) . " '%s' %n \\\\ \\n'\n$u${u}HERE\n\n \$q\$ ";
	says($raw, 0, 'x.sql:4:3:note:r', "$encoding: place");
	($rc, $out) = review('--format=json', 'x.sql');
	$report = eval { $json->decode($out) };
	is($report->{findings}[0]{detail}, "a\\\t\x0b\x01\"\n", "$encoding: control characters in JSON");
	(my $sent = $raw) =~ s/^\\echo/     /;
	is($report->{findings}[0]{message}, md5_hex($sent), "$encoding: each byte reaches the server") or diag $out;
}
$database = 'd_utf8';
my $row = "INSERT INTO t VALUES (1, '$u\\\\', \$\$ ' \$\$);";
my $long = "$row\n" x (10 * 2**20 / length $row) . 'HERE';
file('long.sql', $long);
($rc, $out, $err) = review('long.sql');
is($out, 'long.sql:' . (1 + $long =~ tr/\n//) . ':1: note: r: ' . md5_hex($long) . "\n", '10 MB') or diag $err;
$long =~ tr/\n/ /;
file('long.sql', $long);
($rc, $out, $err) = review('long.sql');
is($out, 'long.sql:1:' . (length(decode('UTF-8', $long)) - 3) . ': note: r: ' . md5_hex($long) . "\n", '10 MB in one line') or diag $err;
$database = 'd_latin1';
($rc, $out, $err) = review('--fail-level=record', 'b.sql', file('euro.sql', "SELECT '\xe2\x82\xac'"));
is($rc, 2, 'a character that the database does not have');
like($err, qr/22P05.*\n\.\.\. in euro\.sql$/m, '... is told with the file');
(undef, $out) = review('--format=json', file("\xfc.sql", 'HERE'));
is($json->decode($out)->{findings}[0]{file}, '?.sql', 'a file name that is not UTF-8, in JSON');
$database = 'template1';
($rc, $out, $err) = review('b.sql');
is($rc, 2, 'a database without the extension');
like($err, qr/CREATE EXTENSION safeguard/, '... is told what it needs');
$database = 'postgres';

# --- other shells, and what is installed

my @all = map { [ review(@$_) ] } [ 'main.sql', 'r.sql' ], [ '--preview', '1.sql' ], [ '--format=sarif', 'main.sql' ], ['--nix'];
for my $other ([ 'dash' ], [ 'bash', '--posix' ], [ 'busybox', 'sh' ])
{
	next unless grep { -x "$_/$other->[0]" } split /:/, $ENV{PATH};
	@shell = @$other;
	my @same = map { [ review(@$_) ] } [ 'main.sql', 'r.sql' ], [ '--preview', '1.sql' ], [ '--format=sarif', 'main.sql' ], ['--nix'];
	is_deeply(\@same, \@all, "the same with @$other");
}
symlink $script, 'link' or die $!;
is(system("./link b.sql >/dev/null 2>&1") >> 8, 2, 'without its parts it says so');
@shell = ();
$script = $node->installed_command('safeguard-review');
is_deeply([ (review('main.sql', 'r.sql')) ], $all[0], 'the same as installed, one file');

opendir my $left, $tmp or die $!;
is_deeply([ grep { !/^\./ } readdir $left ], [], 'no temporary file is left');

$node->stop;
done_testing();
