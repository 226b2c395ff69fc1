# t/BrokenPipe.pm: a client that ends before it has read what it is given is
# told by its exit code, one that cannot be started is still an error.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use BrokenPipe;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

# more than a pipe holds, so that it is always broken
my $input = 'x' x 1_000_000;
my ($out, $err) = ('', '');
ok( eval {
		IPC::Run::run([ 'sh', '-c', 'exec <&-; echo out; echo err >&2; exit 2' ],
			'<', \$input, '>', \$out, '2>', \$err);
		1;
	},
	'a client that does not read is no error')
  or diag $@;
is($? >> 8, 2, 'its exit code is known');
is("$out$err", "out\nerr\n", 'and what it has printed');

$input = 'y' x 1_000_000;
$out = '';
IPC::Run::run([ 'wc', '-c' ], '<', \$input, '>', \$out);
like($out, qr/^\s*1000000$/, 'one that reads gets all of it');

$input = 'z';
ok(!eval { IPC::Run::run([ "$FindBin::RealBin/no_such_program" ], '<', \$input); 1 },
	'a program that is not there is one');
my $program = PostgreSQL::Test::Utils::tempdir() . '/program';
append_to_file($program, "#!/no/such/interpreter\n");
chmod 0755, $program or die "$program: $!";
ok(!eval { IPC::Run::run([ $program ], '<', \$input); 1 }, 'so is one that cannot be started');

done_testing();
