
# Takes the SQL files of the suites apart into statements, and reads what psql
# says of each.

package Statements;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
our @EXPORT = qw(pieces said);

# The next token of SQL at pos(): what a semicolon may hide in is one.
my $TOKEN = qr/
	--[^\n]* | \/\*.*?\*\/
	| (?<![\w\$])[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
	| (?<![\w\$])(?<quote>\$(?:[A-Za-z_]\w*)?\$).*?\g{quote}
	| [A-Za-z_][\w\$]* | ; | \\[^\n]* | \s+ | .
/xs;

# Returns pieces: [ sql => text ], [ variable => name of one of psql that holds
# a statement ], [ raw => what is run, but not checked ], [ meta => line ].
sub pieces
{
	my ($text) = @_;
	my @pieces;
	my ($sql, $parens, $before, $atomic) = ('', 0, '', 0);
	pos($text) = 0;
	while ($text =~ /\G($TOKEN)/gc)
	{
		my $token = $1;
		if ($token eq ':' && $sql !~ /\S/ && $text =~ /\G(\w+)[ \t]*(?=\n)/gc)
		{
			push @pieces, [ variable => $1 ];
			next;
		}
		if ($token =~ /^\\/)
		{
			# a command of psql; behind a statement it sends that
			if ($sql =~ /\S/)
			{
				push @pieces, [ raw => "$sql $token" ];
				$sql = '';
			}
			else
			{
				push @pieces, [ meta => $token ];
			}
			next;
		}
		next if $token =~ /^(?:--|\/\*)/ && $sql !~ /\S/;
		$parens++ if $token eq '(';
		$parens-- if $token eq ')';
		$atomic = 1 if lc $token eq 'atomic' && lc $before eq 'begin';
		$atomic = 0 if lc $token eq 'end' && ($before eq ';');
		$before = $token unless $token =~ /^(?:\s|--|\/\*)/;
		if ($token ne ';' || $parens > 0 || $atomic)
		{
			$sql .= $token;
			next;
		}
		if ($sql =~ /^\s*copy\b.*\bfrom\s+stdin\b/is)
		{
			$text =~ /\G(.*?\n\\\.\n)/gcs;
			push @pieces, [ raw => "$sql;$1" ];
		}
		else
		{
			my $kind = $sql =~ /(?<![:\w]):['"]?[a-z]/i ? 'raw' : 'sql';
			push @pieces, [ $kind => $kind eq 'raw' ? "$sql;" : $sql ]
			  if $sql =~ /\S/ && $sql !~ /^\s*SET client_min_messages/i;
		}
		$sql = '';
	}
	return @pieces;
}

# What the server has said: by kind (WARNING, ERROR), with SQLSTATE and message.
sub said
{
	my ($output) = @_;
	my @said;
	my $field;
	for my $line (split /\n/, $output)
	{
		if ($line =~ /^(WARNING|ERROR|NOTICE|INFO):  (\w{5}): (.*)/)
		{
			push @said,
			  { kind => $1, state => $2, message => $3, inside => '' };
			$field = 'message';
		}
		elsif ($line =~ /^(DETAIL|HINT|CONTEXT):  (.*)/ && @said)
		{
			$field = $1 eq 'CONTEXT' ? 'inside' : lc $1;
			$said[-1]{$field} = $2;
		}
		elsif ($line =~ /^(?:LINE \d+|QUERY|LOCATION|[A-Z]+ NAME): /)
		{
			$field = undef;
		}
		elsif (defined $field)
		{
			$said[-1]{$field} .= "\n$line";
		}
	}
	return grep { $_->{kind} =~ /WARNING|ERROR/ } @said;
}

1;
