
# Skips.pm - tests that cannot be run here
#
# Each is a failure, unless test/allowed-skips has its name.

package Skips;

use strict;
use warnings FATAL => 'all';

use BrokenPipe;
use Exporter qw(import);
use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(may_skip leave_out lacking skip_lacking need_extension);

sub may_skip
{
	my ($name) = @_;
	return slurp_file("$FindBin::RealBin/../test/allowed-skips") =~ /^\Q$name\E /m;
}

# Ends a test file of which nothing has been tested yet.
sub leave_out
{
	my ($name, $reason) = @_;
	plan skip_all => "$reason, which is allowed for $name" if may_skip($name);
	fail("$reason: see script/setup, or allow $name in test/allowed-skips");
	done_testing();
	exit 1;
}

# What the tests are called for which an extension is missing beside the server
# of a node; nothing if it is there.
sub lacking
{
	my ($node, $extension) = @_;
	return if -e $node->config_data('--sharedir') . "/extension/$extension.control";
	my ($major) = $node->pg_version =~ /^(\d+)/;
	my $assert = $node->config_data('--configure') =~ /--enable-cassert/;
	return "tap-$extension-$major" . ($assert ? '-assert' : '');
}

# Leaves the tests of a SKIP block out if one of these extensions is missing.
sub skip_lacking
{
	my ($node, $count, @extensions) = @_;
	for my $extension (@extensions)
	{
		my $name = lacking($node, $extension) or next;
		ok(may_skip($name), "$extension is not installed, which is allowed for $name");
		skip("$extension is not installed", $count);
	}
	return;
}

# Ends the test file if it is missing.
sub need_extension
{
	my ($node, $extension) = @_;
	my $name = lacking($node, $extension);
	leave_out($name, "$extension is not installed") if $name;
	return;
}

1;
