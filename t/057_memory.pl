
# Memory: what there is of shared memory is what the log and status() tell;
# what a session remembers has an end; what a statement needs is gone with it,
# however it has ended.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = incident_node('memory',
	conf => [ 'autovacuum = off', 'fsync = off', 'jit = off', 'compute_query_id = on',
		'safeguard.track_queries = all', 'max_locks_per_transaction = 256' ]);

# ---------------------------------------------------------------- shared memory

# The segment, and what of it has been given out; of that the server knows the
# names of some only.
my $SEGMENT = 'SELECT sum(allocated_size), sum(allocated_size) FILTER (WHERE name IS NOT NULL) FROM pg_shmem_allocations';

for my $settings (
	'',
	'max_connections = 300',
	'max_findings = 20000, max_upserts = 3000, max_queries = 50000, max_watched = 5000, history_size = 20000',
	'max_findings = 100, max_upserts = 10, max_queries = 100, max_watched = 10, history_size = 10',
	'max_findings = 1000, max_upserts = 1000, max_queries = 1000, max_watched = 1000, history_size = 1000')
{
	my $what = $settings || 'defaults';
	add_conf($node, map { /max_connections/ ? $_ : "safeguard.$_" } split /, /, $settings);
	my $offset = -s $node->logfile;
	$node->restart;
	my $bytes = $node->safe_psql('postgres', q{SELECT value FROM safeguard.status() WHERE item = 'shared memory bytes'});
	like(slurp_file($node->logfile, $offset), qr/LOG:  safeguard uses $bytes bytes of shared memory/,
		"the log and status() tell the same: $what");
	is($node->safe_psql('postgres', q{SELECT value FROM safeguard.metrics() WHERE name = 'safeguard_shared_memory_bytes'}),
		$bytes, "so does metrics(): $what");
	my ($segment, $taken) = split /\|/, $node->safe_psql('postgres', $SEGMENT);
	add_conf($node, "shared_preload_libraries = ''");
	$node->restart;
	my ($bare_segment, $bare_taken) = split /\|/, $node->safe_psql('postgres', $SEGMENT);
	add_conf($node, "shared_preload_libraries = 'safeguard'");
	($segment, $taken) = ($segment - $bare_segment, $taken - $bare_taken);
	# locks, and the end of a page
	cmp_ok(abs($segment - $bytes), '<=', 16384, "the segment is larger by that: said $bytes, is $segment, $what");
	cmp_ok($taken, '<=', $bytes + 16384, "no more is taken: $taken, $what");
	cmp_ok($taken, '>', 0.85 * $bytes, "and most of it: $taken, $what");
}
$node->restart;

# ---------------------------------------------------------------- what a session remembers

# What safeguard's contexts hold, by name.  The last are of this query alone.
my $OWN = q{SELECT coalesce(sum(total_bytes), 0) FROM pg_backend_memory_contexts WHERE name LIKE 'safeguard%'};
my $BY_NAME = q{SELECT string_agg(format('%s %s', name, bytes), ', ' ORDER BY name)
	FROM (SELECT name, sum(total_bytes) AS bytes FROM pg_backend_memory_contexts WHERE name LIKE 'safeguard%' GROUP BY 1) s};
my $tables = 1500;

$node->safe_psql('postgres', qq{
	CREATE TABLE parts (system_id int NOT NULL, id int NOT NULL, v int, PRIMARY KEY (system_id, id)) PARTITION BY LIST (system_id);
	CREATE PROCEDURE make_tables(n int) LANGUAGE plpgsql AS \$\$
	BEGIN
		FOR i IN 1..n LOOP
			EXECUTE format('CREATE TABLE of_many_%s (system_id int NOT NULL, id int NOT NULL, v int, PRIMARY KEY (system_id, id))', i);
			IF i % 5 = 0 THEN
				EXECUTE format('CREATE TABLE parts_%s PARTITION OF parts FOR VALUES IN (%1\$s)', i);
			END IF;
			IF i % 100 = 0 THEN
				COMMIT;
			END IF;
		END LOOP;
	END \$\$;
	CALL make_tables($tables);
});
my $out = $node->safe_psql('postgres', qq{
	DO \$\$
	BEGIN
		FOR i IN 1..$tables LOOP
			EXECUTE format('UPDATE of_many_%1\$s SET v = 1 WHERE (system_id, id) IN (SELECT m.system_id, m.id FROM of_many_%1\$s m)', i);
			EXECUTE format('INSERT INTO of_many_%s VALUES (1, 1, 1) ON CONFLICT (system_id, id) DO UPDATE SET v = excluded.v', i);
			IF i % 5 = 0 THEN
				EXECUTE format('UPDATE parts_%s p SET v = 1 FROM parts WHERE p.system_id = parts.system_id AND p.id = parts.id AND parts.system_id = %1\$s', i);
				EXECUTE format('INSERT INTO parts VALUES (%s, 1, 1) ON CONFLICT (system_id, id) DO UPDATE SET v = excluded.v', i);
			END IF;
		END LOOP;
	END
	\$\$;
	$OWN;
	$BY_NAME});
my ($bytes, $names) = split /\n/, $out;
note $names;
cmp_ok($bytes, '>', 200 * 1024, "$tables tables: something is remembered");
cmp_ok($bytes, '<', 3 * 1024 * 1024, "$tables tables: $bytes bytes, not all of them");

# ---------------------------------------------------------------- what a statement needs

sub sleeps
{
	my ($seconds) = @_;
	return "UPDATE point_info SET point_name = pg_sleep($seconds)::text WHERE (system_id, id) IN (SELECT p.system_id, p.id FROM point_info p)";
}

# Each is done until caches are warm, looked at, and done some 300 times more.
my %cases = (
	'rejected statements' => $BAD,
	'accepted ones' => "BEGIN; $GOOD; ROLLBACK",
	'rejected and caught' => qq{DO \$\$BEGIN FOR i IN 1..10 LOOP BEGIN $BAD; RAISE 'not rejected'; EXCEPTION WHEN SQLSTATE 'SG001' THEN NULL; END; END LOOP; END\$\$},
	'savepoints' => "BEGIN; SAVEPOINT a; $GOOD; SAVEPOINT b; $BAD; ROLLBACK TO b; ROLLBACK TO a; $GOOD; SAVEPOINT c; RELEASE c; ROLLBACK",
	'errors of the server' => "UPDATE point_info SET point_name = (1 / (id - id))::text WHERE (system_id, id) IN (SELECT p.system_id, p.id FROM point_info p)",
	'violated constraints' => "INSERT INTO point_info VALUES (1, 1, ''); INSERT INTO point_info VALUES (99, 1, '')",
	# SET LOCAL, and in the same message: the server may cancel what comes after
	# a RESET when the time is over just as that ends, and a SET would be lost.
	# The first one goes on to its end, since the others get so far as they get.
	'cancelled statements' => qq{BEGIN; ${\sleeps(0)}; ROLLBACK; SET LOCAL statement_timeout = '2ms'\\; ${\sleeps(1)}},
	'plans that are kept' => "PREPARE p(int) AS UPDATE point_info SET point_name = 'x' WHERE (system_id, id) IN (SELECT p.system_id, p.id FROM point_info p WHERE p.id = \$1); EXECUTE p(-1); EXECUTE p(-1); DEALLOCATE p",
	'plans with findings' => "PREPARE p AS $BAD; EXECUTE p; EXECUTE p; DEALLOCATE p",
	'cursors' => "BEGIN; DECLARE c CURSOR FOR SELECT * FROM point_info; FETCH c; DECLARE d CURSOR WITH HOLD FOR SELECT * FROM point_info; FETCH d; COMMIT; CLOSE d",
	'cursors of failed transactions' => "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT * FROM point_info; FETCH c; $BAD; ROLLBACK",
	'upserts' => "INSERT INTO point_info VALUES (1, 1, 'a') ON CONFLICT (system_id, id) DO UPDATE SET point_name = excluded.point_name",
	'failed upserts' => "INSERT INTO point_info VALUES (1, 1, 'a'), (1, 1, 'b') ON CONFLICT (system_id, id) DO UPDATE SET point_name = excluded.point_name",
	'a limit of rows' => "SET safeguard.max_rows_session = 1; UPDATE point_info SET point_name = 'x' WHERE system_id = 1; RESET safeguard.max_rows_session",
	'watched changes' => "UPDATE watched SET v = v + 1 WHERE a < 10; BEGIN; SAVEPOINT s; UPDATE watched SET v = v + 1; ROLLBACK TO s; DELETE FROM watched; ROLLBACK",
	'DDL' => "BEGIN; CREATE TABLE made (a int PRIMARY KEY); ALTER TABLE made ADD b int; DROP TABLE made; ROLLBACK",
	'functions' => "SELECT count(*) FROM safeguard.check('DELETE FROM point_info'); SELECT count(*) FROM safeguard.check_key('point_info', 'id'); "
	  . "SELECT count(*) FROM safeguard.check_key('point_info', 'nowhere'); SELECT count(*) FROM safeguard.preview('UPDATE point_info SET id = 1')",
	'views' => "SELECT count(*) FROM safeguard.findings; SELECT count(*) FROM safeguard.query_stats; SELECT count(*) FROM safeguard.upsert_stats; SELECT count(*) FROM safeguard.health()",
	'a syntax error' => 'UPDATE point_info SET',
	'distinct ones' => undef);

$node->safe_psql('postgres', q{
	CREATE TABLE watched (a int PRIMARY KEY, v int NOT NULL DEFAULT 0);
	INSERT INTO watched SELECT generate_series(1, 100);
	SELECT safeguard.watch('watched', 'a');
});
my $LOOK = q{SELECT 'looked', sum(bytes), sum(contexts), }
  . q{coalesce(string_agg(DISTINCT name, ', ') FILTER (WHERE name LIKE 'safeguard%' AND name !~ '^safeguard (relations|columns|arbiters|declar|upsert targets|load|violation)'), ''), }
  . q{jsonb_object_agg(name, bytes) }
  . q{FROM (SELECT name, sum(total_bytes) AS bytes, count(*) AS contexts FROM pg_backend_memory_contexts GROUP BY name) c;};

# Neither names nor constants make another query, columns do.
sub distinct
{
	my ($n) = @_;
	return 'SELECT concat(' . join(', ', map { $n & 1 << $_ ? 'id' : 'system_id' } 0 .. 9) . ') FROM point_info WHERE id = 1';
}

# What ends with an error does so each time, once or twice, or it would be
# another case; the others never do.
my %fails = (
	'rejected statements' => [ qr/UPDATE matches table/, 1 ],
	'errors of the server' => [ qr/division by zero/, 1 ],
	'cancelled statements' => [ qr/canceling statement due to statement timeout/, 1 ],
	'cursors of failed transactions' => [ qr/UPDATE matches table/, 1 ],
	'savepoints' => [ qr/UPDATE matches table/, 1 ],
	'plans with findings' => [ qr/UPDATE matches table/, 2 ],
	'violated constraints' => [ qr/violates/, 2 ],
	'failed upserts' => [ qr/cannot affect row a second time/, 1 ],
	'a limit of rows' => [ qr/UPDATE changes more than 1 row/, 1 ],
	'functions' => [ qr/nowhere/, 1 ],
	'a syntax error' => [ qr/syntax error/, 1 ]);

# What has grown, by name
sub grown
{
	my ($before, $after) = map { { /"([^"]+)": (\d+)/g } } @_;
	my %more = map { $_ => $after->{$_} - ($before->{$_} // 0) } keys %$after;
	return join ', ', map { "$_ $more{$_}" } grep { $more{$_} > 0 } sort keys %more;
}

for my $case (sort keys %cases)
{
	my $sql = $cases{$case};
	my $n = 0;
	my ($warm, $more) = $case =~ /functions|views|savepoints/ ? (15, 40) : (120, 300);
	my $times = sub {
		return join '', map { ($sql // distinct($n++)) . ";\n" } 1 .. $_[0];
	};
	my ($rc, $stdout, $stderr) = $node->psql('postgres',
		$times->($warm) . $LOOK . $LOOK . $times->($more) . $LOOK, on_error_stop => 0);
	# the first look makes what it needs itself
	my @looked = map { [ split /\|/, $_, -1 ] } grep { /^looked\|/ } split /\n/, $stdout;
	is(scalar @looked, 3, "$case: the session goes on") or next;
	my (undef, $before, $after) = @looked;
	cmp_ok($after->[1] - $before->[1], '<=', 32 * 1024, "$case: nothing grows")
	  or diag "$before->[1] bytes in $before->[2] contexts, then $after->[1] in $after->[2]: " . grown($before->[4], $after->[4]);
	is($after->[3], '', "$case: no context is left");
	my ($meant, $each) = @{ $fails{$case} // [ qr/(?!)/, 0 ] };
	my @errors = grep { /ERROR: / } split /\n/, $stderr;
	is(scalar @errors, $each * ($warm + $more), "$case: as many errors as there should be");
	is(join("\n", grep { !/$meant/ } @errors), '', "$case: none but the one that is meant");
}

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC:|TRAP:|terminated by signal|leak/, 'nothing crashed or leaked');

done_testing();
