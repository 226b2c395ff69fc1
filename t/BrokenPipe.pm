
# BrokenPipe.pm - a client that ends before it has read what it is given
#
# A psql that cannot connect ends at once.  On a busy machine that may be
# before IPC::Run has written the statement, and the IPC::Run of Debian 12 and
# 13 then dies of EPIPE, the test file with it.  What the client printed and its
# exit code tell enough; newer releases of IPC::Run see it so, too.

package BrokenPipe;

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use POSIX qw(EPIPE);

my $message = do { local $! = EPIPE; "$!" };
my $write = \&IPC::Run::_write;

no warnings 'redefine';
*IPC::Run::_write = sub {
	# what a child that cannot start has to say is handed over in $@ itself
	my ($fd, $text) = @_;
	my $written = eval { $write->($fd, $text) };
	return $written unless $@;
	die $@ unless $@ =~ /^\Q$message\E/;
	return length $text;
};

1;
