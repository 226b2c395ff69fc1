
# Protocol.pm - a client that speaks protocol 3.0 itself
#
# Drivers prepare a statement with Parse and run it with Bind and Execute, and
# go on after an error.  psql (before 18) cannot and pgbench stops at the first
# error, so this says the few messages needed over the unix socket.

package Protocol;

use strict;
use warnings FATAL => 'all';

use BrokenPipe;
use Exporter 'import';
use IO::Socket::UNIX;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);

our @EXPORT_OK = qw(wait_until);

# Waits until a function says that something is so; dies if it never is.
sub wait_until
{
	my ($what, $done) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $done->();
		usleep(100_000);
	}
	die "waited in vain until $what";
}

# a connection on which nothing has been said
sub dial
{
	my ($class, %o) = @_;
	my $socket =
	  IO::Socket::UNIX->new(Peer => "$o{host}/.s.PGSQL.$o{port}")
	  or die "cannot connect to $o{host}: $!";
	return bless { socket => $socket }, $class;
}

# the first message, with further parameters in startup => {}
sub hello
{
	my ($self, %o) = @_;
	my $body = pack 'N (Z*)* x', 196608, user => $o{user},
	  database => $o{dbname},
	  application_name => $o{application} // '',
	  %{ $o{startup} // {} };
	syswrite $self->{socket}, pack('N', 4 + length $body) . $body;
	return $self;
}

# Protocol->connect(host => socket folder, port =>, user =>, dbname =>,
# application =>, startup =>)
sub connect
{
	my ($class, %o) = @_;
	my $self = $class->dial(%o)->hello(%o);
	my $answer = $self->answer;
	die "cannot log in: $answer->{error}{M}" if $answer->{error};
	return $self;
}

# one message: type and body
sub say
{
	my ($self, $type, $body) = @_;
	syswrite $self->{socket}, $type . pack('N', 4 + length $body) . $body;
	return $self;
}

sub _read
{
	my ($self, $length) = @_;
	my $data = '';
	while (length $data < $length)
	{
		sysread($self->{socket}, $data, $length - length $data, length $data)
		  or die "the server closed the connection";
	}
	return $data;
}

# Everything up to ReadyForQuery: { tag =>, error => { field => text },
# notices => [ { field => text } ], rows => [ [ text ] ] }.  After a FATAL there
# is none.
sub answer
{
	my ($self) = @_;
	my %answer = (notices => [], rows => []);

	while (1)
	{
		my ($type, $length) = unpack 'a N', $self->_read(5);
		my $body = $self->_read($length - 4);
		if ($type eq 'E' || $type eq 'N')
		{
			my %fields = map { /^(.)(.*)$/s ? ($1 => $2) : () } split /\0/, $body;
			if ($type eq 'E') { $answer{error} = \%fields }
			else { push @{ $answer{notices} }, \%fields }
			# PgBouncer says it in S alone
			return \%answer if ($fields{V} // $fields{S}) eq 'FATAL';
		}
		elsif ($type eq 'D')
		{
			my ($n, @row) = unpack 'n', $body;
			my $at = 2;
			for (1 .. $n)
			{
				my $size = unpack 'l>', substr $body, $at, 4;
				push @row, $size < 0 ? undef : substr $body, $at + 4, $size;
				$at += 4 + ($size < 0 ? 0 : $size);
			}
			push @{ $answer{rows} }, \@row;
		}
		elsif ($type eq 'C') { ($answer{tag}) = unpack 'Z*', $body }
		elsif ($type eq 'Z') { return \%answer }
	}
}

# simple protocol
sub query
{
	my ($self, $sql) = @_;
	return $self->say(Q => "$sql\0")->answer;
}

# The rows of a query as psql -At prints them.
sub rows
{
	my ($self, $sql) = @_;
	my $answer = $self->query($sql);
	die "$sql: $answer->{error}{M}" if $answer->{error};
	return join "\n", map { join '|', map { $_ // '' } @$_ } @{ $answer->{rows} };
}

# Parse, and Sync
sub prepare
{
	my ($self, $name, $sql) = @_;
	return $self->say(P => "$name\0$sql\0" . pack('n', 0))->say(S => '')->answer;
}

# Bind of text parameters, Execute, Sync
sub execute
{
	my ($self, $name, @values) = @_;
	return $self->say(
		B => "\0$name\0"
		  . pack('n n', 0, scalar @values)
		  . join('', map { pack 'N/a*', $_ } @values)
		  . pack('n', 0))
	  ->say(E => "\0" . pack('N', 0))->say(S => '')->answer;
}

sub disconnect
{
	my ($self) = @_;
	$self->say(X => '');
	close $self->{socket};
	return;
}

1;
