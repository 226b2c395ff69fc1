
# Pages.pm - what the pages for users say, in pieces that can be compared with
# a server

package Pages;

use strict;
use utf8;
use warnings FATAL => 'all';

use Exporter qw(import);
use File::Basename qw(dirname);
use FindBin;

our @EXPORT = qw(pages text_of rows_of names_of anchors_of statements_of);

my $root = dirname($FindBin::RealBin);

# README.md and all pages, by their names from the top of the tree
sub pages
{
	my @found = map { s{^\Q$root\E/}{}r } "$root/README.md", glob("$root/doc/*.md"),
	  glob("$root/doc/rules/*.md"), "$root/monitoring/README.md";
	return @found;
}

sub text_of
{
	my ($page) = @_;
	open my $fh, '<:encoding(UTF-8)', "$root/$page" or die "$page: $!";
	local $/ = undef;
	my $text = <$fh>;
	close $fh;
	return $text;
}

# Rows of the table whose head has this as its first cell, as lists of cells.
# Of several such tables in a page all.
sub rows_of
{
	my ($page, $head) = @_;
	my ($inside, @rows);

	for (split /\n/, text_of($page))
	{
		if (!/^\|/) { $inside = 0; next; }
		my @cells = map { s/^\s+|\s+$//gr } /\|((?:[^|\\]|\\.)*)(?=\|)/g;
		if ($inside) { push @rows, \@cells if !/^\|[-|]+$/; }
		elsif ($cells[0] =~ $head) { $inside = 1; }
	}
	return @rows;
}

# What stands in backticks.
sub names_of
{
	return $_[0] =~ /`([^`]+)`/g;
}

# Anchors of a page's headings, as GitHub and others make them.
sub anchors_of
{
	my $text = text_of(shift) =~ s/^(?: {4}|```).*\n//gmr;
	return map { lc($_) =~ s/[^\w -]//gr =~ s/ /-/gr } $text =~ /^#+ +(.+?)\s*$/mg;
}

my $COMMAND = qr/ALTER|BEGIN|CALL|COMMIT|CREATE|DELETE|DROP|GRANT|INSERT|MERGE|SELECT|SET|TRUNCATE|UPDATE/;

# Indented SQL of a page, in pieces that end at an empty line: a list of [line,
# SQL, what stands below].  What has an ellipsis or is a synopsis cannot be run,
# and is left out.
sub statements_of
{
	my ($page) = @_;
	my ($line, @found) = (1);
	my @pieces = split /(\n{2,})/, text_of($page);

	while (my ($piece, $gap) = splice @pieces, 0, 2)
	{
		my $sql = $piece =~ s/^    //gmr;
		push @found, [ $line, $sql, $pieces[0] // '' ]
		  if $piece !~ /^(?! {4})/m
		  && $sql =~ /^\s*(?:--.*\n\s*)*(?:$COMMAND)\b/
		  && $sql =~ /;\s*(?:--.*)?\z/
		  && $sql !~ /\.\.\.|…|\[,/;
		$line += ($piece . ($gap // '')) =~ tr/\n//;
	}
	return @found;
}

1;
