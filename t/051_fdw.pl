
# Tables that lie on another server, reached through postgres_fdw: what the
# coordinator judges, what the other server judges of what it is sent, that
# nothing is rejected there which was right here, and figures of both in one
# view.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Skips;
use Test::More;

my @strict = (
	(map { "safeguard.$_ = error" } qw(composite_key composite_key_doubt conflict_target upsert_overwrite
		  unqualified_dml outer_reference unlinked_from constraint_bypass scope conflict_silent)),
	'compute_query_id = on');
my $shard = incident_node('shard', conf => \@strict);
my $node = incident_node('coordinator', conf => \@strict);

need_extension($node, 'postgres_fdw');

$shard->safe_psql(
	'postgres', q{
CREATE ROLE coordinator LOGIN IN ROLE pg_monitor;
CREATE TABLE orders (tenant_id int, id int, v int, PRIMARY KEY (tenant_id, id));
INSERT INTO orders SELECT t, i, 0 FROM generate_series(1, 3) t, generate_series(1, 5) i;
CREATE TABLE orders_2 (tenant_id int, id int, v int, PRIMARY KEY (tenant_id, id));
INSERT INTO orders_2 SELECT t, i, 0 FROM generate_series(100, 103) t, generate_series(1, 5) i;
SELECT safeguard.set_column('orders', 'tenant_id', 'scope');
GRANT ALL ON ALL TABLES IN SCHEMA public TO coordinator;
-- functions as views, which postgres_fdw can read
CREATE SCHEMA monitoring;
CREATE VIEW monitoring.pool AS SELECT * FROM safeguard.pool_stats();
CREATE VIEW monitoring.health AS SELECT * FROM safeguard.health();
CREATE VIEW monitoring.metrics AS SELECT * FROM safeguard.metrics();
CREATE VIEW monitoring.schema_version AS SELECT safeguard.schema_version();
GRANT USAGE ON SCHEMA monitoring TO coordinator;
GRANT SELECT ON ALL TABLES IN SCHEMA monitoring TO coordinator;
});
my ($host, $port) = ($shard->host, $shard->port);
$node->safe_psql(
	'postgres', qq{
CREATE EXTENSION postgres_fdw;
CREATE SERVER shard FOREIGN DATA WRAPPER postgres_fdw
	OPTIONS (host '$host', port '$port', dbname 'postgres', application_name 'fdw: %a');
CREATE USER MAPPING FOR CURRENT_USER SERVER shard OPTIONS (user 'coordinator', password_required 'false');
CREATE SCHEMA far;
IMPORT FOREIGN SCHEMA public LIMIT TO (systems, point_info, orders) FROM SERVER shard INTO far;
SELECT safeguard.set_column('far.orders', 'tenant_id', 'scope');
CREATE TABLE wanted (tenant_id int, id int, PRIMARY KEY (tenant_id, id));
INSERT INTO wanted VALUES (2, 1), (2, 2);
-- shards: one partition lies here, one there
CREATE TABLE sharded (tenant_id int, id int, v int) PARTITION BY RANGE (tenant_id);
CREATE TABLE sharded_1 PARTITION OF sharded (PRIMARY KEY (tenant_id, id)) FOR VALUES FROM (0) TO (100);
CREATE FOREIGN TABLE sharded_2 PARTITION OF sharded FOR VALUES FROM (100) TO (1000)
	SERVER shard OPTIONS (table_name 'orders_2', batch_size '10');
INSERT INTO sharded SELECT t, i, 0 FROM generate_series(1, 3) t, generate_series(1, 5) i;
SELECT safeguard.set_column('sharded', 'tenant_id', 'scope');
});

# Runs it in a transaction that is rolled back.  Returns what psql says in one
# text: tags, errors, where an error comes from.
sub told
{
	my ($sql) = @_;
	my ($out, $err) = ('', '');
	$node->psql('postgres', "\\set QUIET off\nBEGIN;\n$sql;\nROLLBACK",
		stdout => \$out, stderr => \$err, on_error_stop => 0,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	$err =~ s/^psql:<stdin>:\d+: //gm;
	return join "\n", grep { !/^(BEGIN|ROLLBACK|SET)$/ } split /\n/, "$out\n$err";
}

sub sent { return $node->safe_psql('postgres', "EXPLAIN (VERBOSE, COSTS OFF) $_[0]") }
sub there { return $shard->safe_psql('postgres', $_[0]) }

# ---------------------------------------------------------------------------
# What is right here is not rejected there
# ---------------------------------------------------------------------------

my $by_place = qr/WHERE ctid = \$1/;
my $whole = qr/Foreign (?:Update|Delete)/;
for (
	[ 'UPDATE far.orders SET v = 1 WHERE tenant_id = 1 AND id = 2', $whole, 'UPDATE 1' ],
	[ 'UPDATE far.orders SET v = 1 WHERE tenant_id = 1 AND id = 2 AND random() < 2', $by_place, 'UPDATE 1' ],
	[ 'UPDATE far.orders SET v = 5 * random() WHERE tenant_id = 1', $by_place, 'UPDATE 5' ],
	[ 'DELETE FROM far.orders WHERE tenant_id = (SELECT min(tenant_id) FROM wanted)', $whole, 'DELETE 5' ],
	[ 'DELETE FROM far.orders WHERE tenant_id = 3 AND id IN (SELECT id FROM wanted WHERE tenant_id = 2)', $by_place, 'DELETE 2' ],
	[ 'UPDATE far.orders o SET v = 2 FROM wanted w WHERE o.tenant_id = w.tenant_id AND o.id = w.id AND w.tenant_id = 2', $by_place, 'UPDATE 2' ],
	[ 'UPDATE sharded SET v = 3 WHERE id = 1 AND tenant_id IN (1, 2, 100, 101)', $whole, 'UPDATE 4' ],
	[ 'UPDATE sharded SET v = 5 * random() WHERE id = 1 AND tenant_id IN (1, 2, 100, 101)', $by_place, 'UPDATE 4' ],
	[ 'DELETE FROM sharded WHERE tenant_id BETWEEN 3 AND 100', $whole, 'DELETE 10' ],
	[ 'DELETE FROM sharded s USING wanted w WHERE s.tenant_id = w.tenant_id AND s.id = w.id AND w.tenant_id = 2', undef, 'DELETE 2' ])
{
	my ($sql, $how, $tag) = @$_;
	like(sent($sql), $how, "sent so: $sql") if $how;
	is(told($sql), $tag, 'which both accept');
}

# Rows that go there: in batches, by COPY, from another shard, with ON CONFLICT
is(told('INSERT INTO sharded SELECT 102, i, 0 FROM generate_series(30, 60) i'), 'INSERT 0 31', 'rows in batches');
is(told("COPY sharded FROM STDIN;\n100\t20\t0\n101\t20\t0\n2\t20\t0\n\\.\n"), 'COPY 3', 'COPY to both');
is(told('INSERT INTO sharded SELECT t, i, 0 FROM generate_series(2, 102, 100) t, generate_series(1, 8) i ON CONFLICT DO NOTHING'),
	'INSERT 0 6', 'keys that are there');
is(told('UPDATE sharded SET tenant_id = 150 WHERE tenant_id = 2 AND id = 1'), 'UPDATE 1', 'a row moves there');
is(told('MERGE INTO sharded_1 s USING wanted w ON s.tenant_id = w.tenant_id AND s.id = w.id AND w.tenant_id = 2 WHEN MATCHED THEN DELETE'),
	'MERGE 2', 'MERGE of a partition that is here');
is(told('TRUNCATE sharded_2'), 'TRUNCATE TABLE', 'TRUNCATE there');
is(there(q{SELECT sum(rejected) FROM safeguard.rules}), '0', 'the other server has rejected nothing');

# ---------------------------------------------------------------------------
# What the coordinator knows, and what only the other server knows
# ---------------------------------------------------------------------------

my $declared = qr/^ERROR:  SG011: /;
like(told('UPDATE far.orders SET v = 1 WHERE id = 2'), $declared, 'a declared scope is judged here');
like(told('UPDATE sharded SET v = 1 WHERE id = 2'), $declared, 'for shards, too');
like(told('DELETE FROM far.point_info'), qr/^ERROR:  SG004: DELETE from table "point_info" has no WHERE clause/,
	'what needs no catalogs is judged here');
is(there(q{SELECT sum(rejected) FROM safeguard.rules}), '0', 'before anything is sent');
like(told('INSERT INTO far.point_info VALUES (1, 1) ON CONFLICT (system_id, id) DO UPDATE SET point_name = NULL'),
	qr/^ERROR:  42P10: .*^DETAIL:  Foreign table "point_info" can have no unique key/ms, 'an upsert by key');
like(told('INSERT INTO sharded VALUES (1, 1, 1) ON CONFLICT (tenant_id, id) DO UPDATE SET v = 1'),
	qr/^ERROR:  42P10: .*^DETAIL:  .*has partitions that are foreign tables, so that it can have no unique key/ms,
	'also of shards');
unlike(told('INSERT INTO sharded VALUES (1, 1, 1) ON CONFLICT (tenant_id, id) DO NOTHING'), qr/HINT/, 'with no advice to make one');

# A key is known only where the table lies: a join that is sent as a whole is
# judged there.
my $pushed = 'UPDATE far.point_info p SET point_name = NULL FROM far.point_info o WHERE p.id = o.id AND o.system_id = 2';
my $right = 'UPDATE far.point_info p SET point_name = NULL FROM far.point_info o WHERE p.id = o.id AND p.system_id = o.system_id AND o.system_id = 2';
like(sent($_), $whole, 'a join is sent as a whole') for $pushed, $right;
like(told($pushed), qr/^ERROR:  SG001: UPDATE matches table "point_info" by part of its key.*^HINT:  .*^CONTEXT:  remote SQL command: UPDATE public.point_info/ms,
	'rejected by the server that has the key, and the client hears why');
is(told($right), 'UPDATE 4', 'the whole key passes');
is(there(q{SELECT application, role, relation, rejected FROM safeguard.findings WHERE rule = 'composite_key'}),
	'fdw: 051_fdw.pl|coordinator|public.point_info|1', 'found there, by the name of the application here');

# What is not sent as a whole arrives there row by row: nobody sees the key.
# A declared scope is what the coordinator can go by.
my $far = q{UPDATE far.point_info SET point_name = 'Grid import' WHERE id IN
	(SELECT pi.id FROM far.point_info pi JOIN far.systems s ON pi.system_id = s.id WHERE s.vendor_type = 'amber')};
my $far_right = $far =~ s/WHERE id IN/WHERE (system_id, id) IN/r =~ s/SELECT pi.id/SELECT pi.system_id, pi.id/r;
like(sent($far), $by_place, 'the incident between foreign tables');
is(told($far), 'UPDATE 8', 'is not seen by itself');
# nor is it known that a foreign table's column is its key, and a group is chosen by it
my $group = q{DELETE FROM wanted WHERE tenant_id IN (SELECT id FROM far.systems WHERE vendor_type = 'amber')};
like(told($group), qr/^ERROR:  SG001: DELETE matches table "wanted" by part of its key/, 'a group by a parent that lies there is in doubt');
$node->safe_psql('postgres', q{
	SELECT safeguard.set_column('far.point_info', 'system_id', 'scope');
	SELECT safeguard.set_column('far.systems', 'id', 'identity')});
like(told($far), $declared, 'is rejected where the column is declared scope');
is(told($far_right), 'UPDATE 4', 'and as it was meant it passes, with the declared key of the other table');
is(told($group), 'DELETE 2', 'and so does the group');
$node->safe_psql('postgres', q{SELECT safeguard.clear_column('far.point_info', 'system_id', 'scope')});

# ---------------------------------------------------------------------------
# Limits
# ---------------------------------------------------------------------------

for my $value ('3', '5 * random()')
{
	my $sql = "UPDATE sharded SET v = $value WHERE id = 1 AND tenant_id IN (1, 2, 100, 101)";
	like(told("SET LOCAL safeguard.max_rows_session = 3;\n$sql"), qr/^ERROR:  SG005: /, "a limit counts rows of both: $value");
	is(told("SET LOCAL safeguard.max_rows_session = 4;\n$sql"), 'UPDATE 4', 'just as many pass');
	is(told("SET LOCAL safeguard.expected_rows = 4;\n$sql"), 'UPDATE 4', 'rows of both are expected');
}
is($node->safe_psql('postgres', 'SELECT sum(v) FROM sharded'), '0', 'what went there is taken back with the statement');
is(told("SET LOCAL safeguard.expected_rows = 2;\nINSERT INTO sharded VALUES (1, 9, 0), (100, 9, 0)"), 'INSERT 0 2', 'inserted ones, too');

there('ALTER ROLE coordinator SET safeguard.max_rows = 1');
like(told('UPDATE sharded SET v = 3 WHERE tenant_id = 100'), qr/^ERROR:  SG005: .*^CONTEXT:  remote SQL command/ms,
	'a limit there holds for what is sent as a whole');
is(told('UPDATE sharded SET v = 5 * random() WHERE tenant_id = 100'), 'UPDATE 5', 'row by row it is never reached');
there('ALTER ROLE coordinator RESET safeguard.max_rows');

# ---------------------------------------------------------------------------
# To be judged once
# ---------------------------------------------------------------------------

# the planner drops WHERE true, and what is set here is not set there
my $all = 'DELETE FROM far.point_info WHERE true';
like(told($all), qr/^ERROR:  SG004: .*^CONTEXT:  remote SQL command: DELETE FROM public.point_info$/ms, 'WHERE true does not arrive');
like(told("SET LOCAL safeguard.max_level = off;\n$pushed"), qr/^ERROR:  SG001: /, 'nor does SET LOCAL');
there(q{ALTER ROLE coordinator SET safeguard.unqualified_dml = 'record'});
is(told($all), 'DELETE 8', 'a level of the coordinator\'s role there');
like(told($pushed), qr/^ERROR:  SG001: /, 'leaves the other rules as they are');
there(q{ALTER ROLE coordinator RESET safeguard.unqualified_dml; ALTER ROLE coordinator SET safeguard.max_level = 'record'});
is(told($_), $_ eq $all ? 'DELETE 8' : 'UPDATE 8', 'max_level: nothing is rejected there') for $all, $pushed;
is(there(q{SELECT sum(calls) > sum(rejected) FROM safeguard.findings WHERE rule = 'composite_key'}), 't', 'but found');
there('ALTER ROLE coordinator RESET safeguard.max_level');

# ---------------------------------------------------------------------------
# Figures of all nodes
# ---------------------------------------------------------------------------

$node->safe_psql(
	'postgres', q{
CREATE SCHEMA shard;
IMPORT FOREIGN SCHEMA safeguard LIMIT TO (findings, rules, query_stats, migrations) FROM SERVER shard INTO shard;
IMPORT FOREIGN SCHEMA monitoring FROM SERVER shard INTO shard;
CREATE SCHEMA nodes;
CREATE VIEW nodes.findings AS
	SELECT 'coordinator' AS node, * FROM safeguard.findings
	UNION ALL SELECT 'shard', * FROM shard.findings;
CREATE VIEW nodes.query_stats AS
	SELECT 'coordinator' AS node, * FROM safeguard.query_stats
	UNION ALL SELECT 'shard', * FROM shard.query_stats;
CREATE VIEW nodes.pool AS
	SELECT 'coordinator' AS node, * FROM safeguard.pool_stats()
	UNION ALL SELECT 'shard', * FROM shard.pool;
CREATE VIEW nodes.health AS
	SELECT 'coordinator' AS node, * FROM safeguard.health()
	UNION ALL SELECT 'shard', * FROM shard.health;
CREATE VIEW nodes.metrics AS
	SELECT 'coordinator' AS node, * FROM safeguard.metrics()
	UNION ALL SELECT 'shard', * FROM shard.metrics;
CREATE VIEW nodes.schema_version AS
	SELECT 'coordinator' AS node, safeguard.schema_version()
	UNION ALL SELECT 'shard', schema_version FROM shard.schema_version;
});
is($node->safe_psql('postgres', 'SELECT string_agg(node || jsonb_typeof(to_jsonb(warnings)), $$ $$ ORDER BY node) FROM nodes.health'),
	'coordinatorarray shardarray', 'health of both');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT node, ' ') FROM nodes.pool WHERE pool_size > 0}),
	'coordinator shard', 'pools');
is($node->safe_psql('postgres', q{SELECT DISTINCT node FROM nodes.findings WHERE rule = 'composite_key'}), 'shard', 'findings');
is( $node->safe_psql('postgres', q{SELECT sum(calls) FROM nodes.findings}),
	$node->safe_psql('postgres', q{SELECT sum(calls) FROM safeguard.findings}) + there('SELECT sum(calls) FROM safeguard.findings'),
	'in one sum');
is( $node->safe_psql('postgres', q{SELECT count(DISTINCT node) FROM nodes.query_stats WHERE query ~ '^UPDATE .*(sharded|orders_2)'}),
	'2', 'a statement, and what it was there');
is( $node->safe_psql('postgres', q{SELECT count(*) = 2 AND bool_and(value >= 1) FROM nodes.metrics
		WHERE name = 'safeguard_rule_rejected_total' AND labels ->> 'rule' = 'unqualified_dml'}),
	't', 'metrics with their labels');

# ---------------------------------------------------------------------------
# Migrations
# ---------------------------------------------------------------------------

my $migrate = q{SELECT safeguard.migrate('1', 'UPDATE public.sharded SET v = 4 WHERE id = 1 AND tenant_id IN (2, 100)')};
is($node->safe_psql('postgres', $migrate), 'applied', 'a migration that writes there');
is($node->safe_psql('postgres', $migrate), 'already applied', 'runs once');
is($node->safe_psql('postgres', q{SELECT sum(v) FROM sharded}), '8', 'on both');
is(there('SELECT safeguard.schema_version()'), 'unknown', 'only the coordinator knows of it');
is($node->safe_psql('postgres', q{SELECT string_agg(node || ' ' || schema_version, ', ' ORDER BY node) FROM nodes.schema_version}),
	'coordinator 1, shard unknown', 'which a view tells');
my (undef, undef, $err) = $node->psql('postgres',
	q{SELECT safeguard.migrate('2', 'UPDATE public.sharded SET v = 5 WHERE id = 1 AND tenant_id IN (2, 100); SELECT 1 / 0')});
like($err, qr/division by zero/, 'one that fails');
is($node->safe_psql('postgres', q{SELECT sum(v) FROM sharded}), '8', 'is taken back on both');
(undef, undef, $err) = $node->psql('postgres',
	qq{SELECT safeguard.migrate('3', '$pushed')});
like($err, qr/ERROR:  UPDATE matches table "point_info"/, 'one that is rejected there');
is($node->safe_psql('postgres', q{SELECT safeguard.schema_version()}), '1', 'is not applied here');
(undef, undef, $err) = $node->psql('postgres', q{SELECT * FROM safeguard.preview('UPDATE sharded SET v = 5 WHERE tenant_id = 1')});
like($err, qr/cannot rehearse a write to table "sharded", which has foreign partitions or children/, 'no rehearsal of what lies elsewhere');
is($node->safe_psql('postgres', q{SELECT string_agg(rule, ' ') FROM safeguard.check('UPDATE sharded SET v = 5 WHERE id = 1')}),
	'scope', 'but a review');

# ---------------------------------------------------------------------------
# Watched shards
# ---------------------------------------------------------------------------

(undef, undef, $err) = $node->psql('postgres', q{SELECT safeguard.watch('far.orders', 'tenant_id')});
like($err, qr/foreign table "orders" cannot be watched/, 'a foreign table cannot be watched');
$node->safe_psql('postgres', q{SELECT safeguard.watch('sharded', 'tenant_id')});
$node->safe_psql('postgres', q{UPDATE sharded SET v = 6 WHERE id = 1 AND tenant_id IN (2, 100); DELETE FROM sharded WHERE tenant_id = 103});
is( $node->safe_psql('postgres', q{SELECT string_agg(format('%s %s %s', scope ->> 'tenant_id', updated, deleted), ', ' ORDER BY scope) FROM safeguard.watched}),
	'2 1 0, 100 1 0, 103 0 5', 'the root of its partitions counts them all');

for ($node, $shard)
{
	is($_->safe_psql('postgres', q{SELECT value FROM safeguard.status() WHERE item = 'unjudged'}), '0',
		$_->name . ': nothing went unjudged');
	$_->stop;
}
done_testing();
