
# Figures live through crashes, whatever becomes of the statistics file, and
# are never taken over from another server.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = incident_node(
	'survival',
	init => { allows_streaming => 1 },
	conf => [ 'safeguard.save_interval = 1s', 'restart_after_crash = on' ]);
my $NAME = 'pg_stat/safeguard.stat';
my $file = $node->data_dir . "/$NAME";

# ---------------------------------------------------------------- helpers

# All figures that the statistics file keeps and a test can foresee.
sub all_figures
{
	my ($server) = @_;
	return figures($server) . ' ' . $server->safe_psql(
		'postgres', q{
		SELECT (SELECT string_agg(rule || seen, ',' ORDER BY rule) FROM safeguard.rules WHERE seen > 0),
			(SELECT string_agg(concat(inserted, '/', replaced, '/', distinct_keys), ',') FROM safeguard.upsert_stats),
			(SELECT string_agg(concat(scope, inserted, '/', updated, '/', deleted), ',' ORDER BY scope::text)
			   FROM safeguard.watched)});
}

sub written_after
{
	my ($server, $time) = @_;
	$server->poll_query_until(
		'postgres', qq{
		SELECT coalesce((SELECT substring(detail FROM 'written at ([^.]*\\.\\d*[^.,]*)')::timestamptz > '$time'
		  FROM safeguard.status() WHERE item = 'collector'), false)})
	  or die 'the statistics file is not written';
	return $server->safe_psql('postgres', 'SELECT clock_timestamp()');
}

# The second file from now on has been begun after now.
sub wait_until_saved
{
	my ($server) = @_;
	my $now = $server->safe_psql('postgres', 'SELECT clock_timestamp()');
	written_after($server, written_after($server, $now));
	return;
}

sub collector
{
	my ($server) = @_;
	return $server->safe_psql('postgres',
		q{SELECT value FROM safeguard.status() WHERE item = 'collector'});
}

sub collector_pid
{
	my ($server) = @_;
	return $server->safe_psql('postgres',
		q{SELECT substring(detail FROM '^Process (\d+)\.') FROM safeguard.status() WHERE item = 'collector'});
}

# A collector that is not the one with this process id.
sub wait_for_collector
{
	my ($server, $old) = @_;
	return $server->poll_query_until(
		'postgres', qq{
		SELECT EXISTS (SELECT FROM safeguard.status() WHERE item = 'collector'
			AND value = 'running' AND detail !~ '^Process $old\\.')});
}

sub spew
{
	my ($path, $bytes) = @_;
	open my $fh, '>:raw', $path or die "cannot write $path: $!";
	print $fh $bytes;
	close $fh;
	return;
}

sub slurp_raw
{
	my ($path) = @_;
	open my $fh, '<:raw', $path or die "cannot read $path: $!";
	local $/ = undef;
	my $bytes = <$fh>;
	close $fh;
	return $bytes;
}

# the file's checksum, so that a file can be wrong in one respect only
my @crc_table = map {
	my $c = $_;
	$c = $c & 1 ? ($c >> 1) ^ 0x82F63B78 : $c >> 1 for 1 .. 8;
	$c
} 0 .. 255;

sub sealed
{
	my ($bytes) = @_;
	my $body = substr $bytes, 0, -4;
	my $crc = 0xFFFFFFFF;
	$crc = ($crc >> 8) ^ $crc_table[($crc ^ $_) & 0xFF] for unpack 'C*', $body;
	return $body . pack('L', $crc ^ 0xFFFFFFFF);
}

# ---------------------------------------------------------------- figures

rejected_with($node, 'postgres', $BAD, 'rejected') for 1 .. 3;
$node->safe_psql(
	'postgres', q{
	SELECT safeguard.watch('point_info', 'system_id');
	UPDATE point_info SET point_name = 'x' WHERE system_id = 1;
	DELETE FROM point_info WHERE (system_id, id) = (2, 4);
	CREATE TABLE load (k int PRIMARY KEY, v int);
	INSERT INTO load SELECT g % 50, g FROM generate_series(1, 50) g ON CONFLICT (k) DO UPDATE SET v = excluded.v;
});
my $before = all_figures($node);
is( $before,
	'3|3 composite_key3|50/0/50|{"system_id": 1}0/4/0,{"system_id": 2}0/0/1',
	'figures of each kind');

# ---------------------------------------------------------------- crashes

wait_until_saved($node);
my $session = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $session->query_safe('SELECT pg_backend_pid()');
kill 'KILL', $pid;
$node->poll_query_until('postgres',
	'SELECT clock_timestamp() > pg_postmaster_start_time()');
$node->wait_for_log(qr/all server processes terminated; reinitializing/);
$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
is(all_figures($node), $before, 'figures live through the crash of a backend');
eval { $session->quit };

rejected_with($node, 'postgres', $BAD, 'guarded after the crash');
like(all_figures($node), qr/^4\|4 composite_key4/, 'and counted');
wait_until_saved($node);
$node->stop('immediate');
$node->start;
like(all_figures($node), qr/^4\|4 composite_key4/,
	'figures live through an immediate shutdown');

# What has not been saved is lost, and nothing else: an immediate shutdown
# leaves shared memory as it happens to be, which is not written.
add_conf($node, 'safeguard.save_interval = 1d');
$node->restart;
like($node->safe_psql('postgres', q{SELECT detail FROM safeguard.status() WHERE item = 'collector'}),
	qr/The statistics file was written at \d/, 'a file that was read counts as written');
my $saved = slurp_raw($file);
rejected_with($node, 'postgres', $BAD, 'not saved');
$node->safe_psql('postgres', q{SELECT safeguard.unwatch('point_info')});
$node->stop('immediate');
ok(slurp_raw($file) eq $saved, 'an immediate shutdown writes no file');
$node->start;
like(all_figures($node), qr/^4\|4 /, 'the last file is what there is');
unlike(all_figures($node), qr/system_id/,
	'but a table that is watched no more does not come back');

# ---------------------------------------------------------------- reset

my ($rc, $out, $err) = $node->psql('postgres',
	q{CREATE ROLE somebody; SET ROLE somebody; SELECT safeguard.stats_reset()});
like($err, qr/permission denied for function stats_reset/,
	'stats_reset() is not for everybody');
$node->safe_psql('postgres', 'SELECT safeguard.stats_reset()');
is(all_figures($node), '0|0 ||', 'stats_reset() forgets all figures');
$node->stop('immediate');
$node->start;
is(all_figures($node), '0|0 ||', 'and a crash does not bring them back');
rejected_with($node, 'postgres', $BAD, 'counted again');
$node->safe_psql('postgres', 'SELECT safeguard.findings_reset()');
$node->stop('immediate');
$node->start;
is(figures($node), '0|0', 'nor those that findings_reset() has forgotten');

# ---------------------------------------------------------------- collector

add_conf($node, 'safeguard.save_interval = 1s');
$node->reload;
rejected_with($node, 'postgres', $BAD, 'counted once more');
wait_until_saved($node);
is(collector($node), 'running', 'the collector is running');

$pid = collector_pid($node);
kill 'TERM', $pid;
ok(wait_for_collector($node, $pid), 'one that is terminated is started again');
is(figures($node), '1|1', 'without a crash');

my $offset = -s $node->logfile;
$pid = collector_pid($node);
kill 'KILL', $pid;
$node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
ok(wait_for_collector($node, $pid), 'one that is killed, with all the server');
is(figures($node), '1|1', 'which costs no figures');

# ---------------------------------------------------------------- disk

# no space: what is written there never arrives
$offset = -s $node->logfile;
for (1 .. 1000)
{
	last if symlink '/dev/full', "$file.tmp";
	usleep(10_000);    # it is being written
}
$node->wait_for_log(
	qr/LOG: .*could not write file "\Q$NAME\E": No space left on device/, $offset);
$node->wait_for_log(qr/LOG: .*file "\Q$NAME\E" can be written again/, $offset);
pass('a full disk is told, and that it is over');

SKIP:
{
	my $dir = $node->data_dir . '/pg_stat';
	chmod 0500, $dir or die "chmod: $!";
	if (-w $dir)
	{
		chmod 0700, $dir;
		skip 'permissions do not bind this user', 5;
	}
	$offset = -s $node->logfile;
	$node->wait_for_log(
		qr/LOG: .*could not write file "\Q$NAME\E": Permission denied/, $offset);
	rejected_with($node, 'postgres', $BAD, 'the server lives without its file');
	like(
		$node->safe_psql(
			'postgres',
			q{SELECT detail FROM safeguard.status() WHERE item = 'collector'}),
		qr/could not be written since/,
		'status() tells');
	like(
		$node->safe_psql('postgres', 'SELECT warnings FROM safeguard.health()'),
		qr/advice: the statistics file cannot be written/,
		'so does health()');
	$node->stop;
	my $told = () = slurp_file($node->logfile, $offset) =~ /could not write file "\Q$NAME\E"/g;
	is($told, 1, 'the log tells once');
	chmod 0700, $dir;
	$node->start;
	is(figures($node), '1|1', 'the last file is still there');
}

# ---------------------------------------------------------------- the file

sub starts_with
{
	my ($what, $bytes, $log, $expected, $aside) = @_;
	$node->stop;
	unlink "$file.damaged", "$file.foreign";
	spew($file, $bytes->(slurp_raw($file)));
	my $size = -s $node->logfile;
	ok($node->start(fail_ok => 1), "the server starts: $what");
	like(slurp_file($node->logfile, $size), $log, "the log tells: $what");
	is(all_figures($node), $expected, "figures: $what");
	ok(!$aside || -e "$file.$aside", "it is set aside: $what");
	return;
}

my $kept = all_figures($node);
is($kept, '1|1 composite_key1||', 'figures before the damage');

# of one section the version of its items, which follows its name
starts_with(
	'a section of another version',
	sub {
		my $at = index $_[0], "findings\0";
		die 'no section' if $at < 0;
		substr($_[0], $at + 64, 4) = pack 'L', 99;
		sealed($_[0]);
	},
	qr/LOG: .*ignoring section "findings" of file/,
	'0|0 composite_key1||');
starts_with(
	'a section that nobody knows',
	sub {
		my $at = index $_[0], "findings\0";
		substr($_[0], $at, 8) = 'fandings';
		sealed($_[0]);
	},
	qr/LOG: .*ignoring section "fandings" of file/,
	'0|0 composite_key1||');
starts_with(
	'another version',
	sub { substr($_[0], 4, 4) = pack 'L', 99; sealed($_[0]) },
	qr/LOG: .*ignoring file .*written by another version/,
	'0|0 ||', 'damaged');
rejected_with($node, 'postgres', $BAD, 'something to damage');
starts_with(
	'another cluster',
	sub { substr($_[0], 8, 8) = pack 'Q', 42; sealed($_[0]) },
	qr/LOG: .*ignoring file .*another database cluster/,
	'0|0 ||', 'foreign');
rejected_with($node, 'postgres', $BAD, 'something to damage');
starts_with(
	'an impossible number of items',
	sub {
		my $at = index $_[0], "findings\0";
		substr($_[0], $at + 80, 8) = pack 'Q', 2**62;
		sealed($_[0]);
	},
	qr/LOG: .*ignoring file .*size of a section is impossible/,
	'0|0 ||', 'damaged');
rejected_with($node, 'postgres', $BAD, 'something to damage');
starts_with(
	'a cut file',
	sub { sealed(substr $_[0], 0, length($_[0]) - 1000) },
	qr/LOG: .*ignoring file .*too short/,
	'0|0 ||', 'damaged');
rejected_with($node, 'postgres', $BAD, 'something to damage');
starts_with(
	'a wrong checksum',
	sub { substr($_[0], -1, 1) ^= "\x01"; $_[0] },
	qr/LOG: .*ignoring file .*checksum does not match/,
	'0|0 ||', 'damaged');
rejected_with($node, 'postgres', $BAD, 'counted after all that');
starts_with('the same again', sub { sealed($_[0]) },
	qr/ready to accept connections/, '1|1 composite_key1||');

# ---------------------------------------------------------------- copies

wait_until_saved($node);
$node->backup('base');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'base');
$copy->start;
like(
	slurp_file($copy->logfile),
	qr/LOG: .*ignoring file "\Q$NAME\E": it came with a backup/,
	'a copy by pg_basebackup does not take the figures');
is(figures($copy), '0|0', 'it starts with none');
rejected_with($copy, 'postgres', $BAD, 'and counts its own');
$copy->restart;
is(figures($copy), '1|1', 'which it keeps');
$copy->stop;

# ---------------------------------------------------------------- standby

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
my $SEEN = q{SELECT seen FROM safeguard.rules WHERE rule = 'constraint_bypass'};
$standby->safe_psql('postgres', 'SET session_replication_role = replica');
is($standby->safe_psql('postgres', $SEEN), '1', 'a standby counts its own');
is($node->safe_psql('postgres', $SEEN), '0', 'and the primary its own');
wait_until_saved($standby);
is(collector($standby), 'running', 'a standby has a collector');
$standby->restart;
is($standby->safe_psql('postgres', $SEEN), '1', 'it keeps them');
$standby->stop('immediate');
$standby->start;
is($standby->safe_psql('postgres', $SEEN), '1', 'through a crash, too');
$standby->promote;
rejected_with($standby, 'postgres', $BAD, 'rejected after promotion');
$standby->restart;
is($standby->safe_psql('postgres', $SEEN) . ' ' . figures($standby),
	'1 1|1', 'and after promotion');
$standby->stop;

# ---------------------------------------------------------------- single user

$node->stop;
my $statement = $BAD =~ s/\s+/ /gr;
my ($stdout, $stderr);
my $single = IPC::Run::run(
	[ 'postgres', '--single', '-D', $node->data_dir, 'postgres' ],
	'<', \"$statement\n",
	'>', \$stdout, '2>', \$stderr);
like($stderr, qr/ERROR: .*UPDATE matches table "point_info"/,
	'single-user mode is guarded');
$node->start;
is(figures($node), '2|2', 'and its figures are kept with the others');

# ---------------------------------------------------------------- no worker

add_conf($node, 'max_worker_processes = 0');
$node->restart;
is(collector($node), 'not running', 'no room for the collector');
is(figures($node), '2|2', 'the figures are there');
rejected_with($node, 'postgres', $BAD, 'counted without it');
$node->restart;
is(figures($node), '3|3', 'and saved at shutdown');
$node->stop;

done_testing();
