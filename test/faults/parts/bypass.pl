
# Ways around each rule: stopped, or the rule's page says that it is not seen.
# doc/bypass.md tells the outcome of each; where it does not, this fails and
# prints the page as it has to be (into the file SG_BYPASS_PAGE, if that is set).

use strict;
use warnings FATAL => 'all';

use FindBin;
use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Ways;

my $ROOT = "$FindBin::RealBin/../../..";
my @CONF = (
	'max_prepared_transactions = 5', 'autovacuum = off', "wal_level = logical",
	(map { "safeguard.$_ = error" } grep { $_ ne 'lock_timeout' } @RULES));
my $node = incident_node('bypass', conf => \@CONF, init => { allows_streaming => 'logical' });
$node->safe_psql('postgres', $SETUP);

# the same tables, as another server's: this one, whose sessions are others
$node->safe_psql(
	'postgres', sprintf(
		q{CREATE EXTENSION postgres_fdw;
		CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '%s', port '%s', dbname 'postgres');
		CREATE USER MAPPING FOR PUBLIC SERVER here OPTIONS (user '%s', password_required 'false');
		IMPORT FOREIGN SCHEMA public LIMIT TO (point_info, setting, scoped, keyless, keyed, patches, other) FROM SERVER here INTO far},
		$node->host, $node->port, $node->safe_psql('postgres', 'SELECT current_user')));

# ---------------------------------------------------------------- ways of one rule

# What passes is told in the rule's page, by these words.
my @ways = (
	[ 'composite_key', 'a view', "UPDATE point_info_view SET point_name = 'x' WHERE id IN $AMBER", 'SG001' ],
	[ 'composite_key', 'a view with check option', "UPDATE point_info_checked SET point_name = 'x' WHERE id IN $AMBER", 'SG001' ],
	[ 'composite_key', 'DELETE', "DELETE FROM point_info WHERE id IN $AMBER", 'SG001' ],
	[ 'composite_key', 'DELETE USING', "DELETE FROM point_info p USING point_info pi JOIN systems s ON pi.system_id = s.id WHERE p.id = pi.id AND s.vendor_type = 'amber'", 'SG001' ],
	[ 'composite_key', 'MERGE', "MERGE INTO point_info p USING $AMBER AS q(id) ON p.id = q.id WHEN MATCHED THEN DELETE", 'SG001' ],
	[ 'composite_key', 'EXISTS', "UPDATE point_info SET point_name = 'x' WHERE EXISTS (SELECT FROM point_info pi JOIN systems s ON pi.system_id = s.id WHERE s.vendor_type = 'amber' AND pi.id = point_info.id)", 'SG001' ],
	[ 'composite_key', '= ANY (ARRAY(...))', "UPDATE point_info SET point_name = 'x' WHERE id = ANY (ARRAY$AMBER)", 'SG001' ],
	[ 'composite_key', 'a cast', "UPDATE point_info SET point_name = 'x' WHERE id::bigint IN $AMBER", 'SG001' ],
	[ 'composite_key', 'a MATERIALIZED CTE', "WITH q AS MATERIALIZED $AMBER UPDATE point_info SET point_name = 'x' WHERE id IN (SELECT id FROM q)", 'SG001' ],
	[ 'composite_key', 'UNION', "UPDATE point_info SET point_name = 'x' WHERE id IN (SELECT id FROM point_info WHERE system_id = 2 UNION SELECT id FROM point_info WHERE system_id = 2)", 'SG001' ],
	[ 'composite_key', 'LATERAL', "UPDATE point_info p SET point_name = 'x' FROM systems s, LATERAL (SELECT pi.id FROM point_info pi WHERE pi.system_id = s.id) q WHERE q.id = p.id AND s.vendor_type = 'amber'", 'SG001' ],
	[ 'composite_key', 'a partitioned table', "UPDATE point_info_parted SET point_name = 'x' WHERE system_id > 0 AND id IN (SELECT id FROM point_info_parted WHERE system_id = 2)", 'SG001' ],
	[ 'composite_key', 'ctid of all that match', "UPDATE point_info SET point_name = 'x' WHERE ctid IN (SELECT ctid FROM point_info WHERE id IN $AMBER)", 'passed', 'ctid IN (SELECT ctid' ],
	[ 'composite_key', 'WHERE CURRENT OF', "DECLARE c CURSOR FOR SELECT * FROM point_info WHERE id IN $AMBER FOR UPDATE; FETCH c; UPDATE point_info SET point_name = 'x' WHERE CURRENT OF c", 'passed', 'WHERE CURRENT OF' ],
	[ 'composite_key', 'values in a list', "UPDATE point_info SET point_name = 'x' WHERE id IN (1, 2)", 'passed', 'literals or parameters' ],
	[ 'composite_key', 'a loop over values', "DO \$d\$DECLARE r int; BEGIN FOR r IN SELECT id FROM point_info WHERE system_id = 2 LOOP UPDATE point_info SET point_name = 'x' WHERE id = r; END LOOP; END\$d\$", 'passed', 'literals or parameters' ],
	[ 'composite_key', 'a function as source', "CREATE FUNCTION f() RETURNS SETOF int LANGUAGE plpgsql AS \$f\$BEGIN RETURN QUERY $AMBER; END\$f\$; UPDATE point_info SET point_name = 'x' WHERE id IN (SELECT f())", 'passed', 'What a function reads' ],
	[ 'composite_key', 'a function as condition', "CREATE FUNCTION f(i int) RETURNS bool LANGUAGE plpgsql AS \$f\$BEGIN RETURN i IN $AMBER; END\$f\$; UPDATE point_info SET point_name = 'x' WHERE f(id)", 'passed', 'What a function reads' ],
	[ 'composite_key', 'an expression over the column', "UPDATE point_info SET point_name = 'x' WHERE id + 0 IN $AMBER", 'SG001' ],
	[ 'composite_key', 'a range', "UPDATE point_info SET point_name = 'x' WHERE id BETWEEN (SELECT min(id) FROM point_info WHERE system_id = 2) AND (SELECT max(id) FROM point_info WHERE system_id = 2)", 'passed', 'A range' ],
	[ 'composite_key', 'a copy of the table', "CREATE TEMP TABLE ids AS SELECT id FROM point_info WHERE system_id = 2; UPDATE point_info SET point_name = 'x' WHERE id IN (SELECT id FROM ids)", 'passed', 'copied' ],
	[ 'unqualified_dml', 'a view', "DELETE FROM point_info_view", 'SG004' ],
	[ 'unqualified_dml', 'MERGE ON true', "MERGE INTO point_info USING other ON true WHEN MATCHED THEN DELETE", 'SG004' ],
	[ 'unqualified_dml', 'WHERE true', "DELETE FROM point_info WHERE true", 'passed', 'WHERE true' ],
	[ 'unqualified_dml', 'WHERE 1 = 1, taken for none', "SET LOCAL safeguard.true_is_unqualified = on; DELETE FROM point_info WHERE 1 = 1 OR false", 'SG004' ],
	[ 'unqualified_dml', 'a condition that is always true', "DELETE FROM point_info WHERE id > 0", 'passed', 'true for every row' ],
	[ 'unqualified_dml', 'a function of a user', "CREATE FUNCTION f() RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true'; SET LOCAL safeguard.true_is_unqualified = on; DELETE FROM point_info WHERE f()", 'passed', "not PostgreSQL's own" ],
	[ 'unqualified_dml', 'TRUNCATE', "SET LOCAL safeguard.destructive_ddl = off; TRUNCATE point_info", 'passed', 'TRUNCATE' ],
	[ 'unqualified_dml', 'ON CONFLICT DO UPDATE', "INSERT INTO point_info SELECT * FROM point_info ON CONFLICT (system_id, id) DO UPDATE SET point_name = 'x'", 'passed', 'ON CONFLICT DO UPDATE' ],
	[ 'scope', 'a partition by name', "UPDATE scoped_2 SET point_name = 'x' WHERE id = 1", 'SG011' ],
	[ 'scope', 'a partition of one value', "UPDATE scoped_1 SET point_name = 'x' WHERE id = 1", 'passed', 'a partition that holds one value' ],
	[ 'scope', 'an OR', "UPDATE scoped_parted SET point_name = 'x' WHERE system_id = 1 OR id = 1", 'SG011' ],
	[ 'scope', 'NOT', "UPDATE scoped_parted SET point_name = 'x' WHERE NOT (system_id <> 1 AND id <> 2)", 'SG011' ],
	[ 'scope', 'the column itself', "UPDATE scoped_parted SET point_name = 'x' WHERE system_id = system_id", 'SG011' ],
	[ 'scope', 'MERGE', "MERGE INTO scoped_parted p USING other o ON p.id = o.id WHEN MATCHED THEN UPDATE SET point_name = 'x'", 'SG011' ],
	[ 'scope', 'another value', "UPDATE scoped_parted SET point_name = 'x' WHERE system_id = 1", 'passed', 'Whether the value is the right one' ],
	[ 'scope', 'an upsert', "INSERT INTO scoped_parted SELECT * FROM scoped_parted ON CONFLICT (system_id, id) DO UPDATE SET point_name = 'x'", 'passed', 'ON CONFLICT DO UPDATE' ],
	[ 'row_limit', 'one too many', "SET LOCAL safeguard.max_rows_session = 3; UPDATE point_info SET point_name = 'x' WHERE id < 3", 'SG005' ],
	[ 'row_limit', 'in a CTE', "SET LOCAL safeguard.max_rows_session = 3; WITH w AS (UPDATE point_info SET point_name = 'x' WHERE id < 3) SELECT 1", 'SG005' ],
	[ 'row_limit', 'prepared before', "PREPARE p AS UPDATE point_info SET point_name = 'x' WHERE id < 3; SET LOCAL safeguard.max_rows_session = 3; EXECUTE p", 'SG005' ],
	[ 'row_limit', 'MERGE', "SET LOCAL safeguard.max_rows_session = 3; MERGE INTO point_info p USING other o ON p.id = o.id AND p.system_id > 0 WHEN MATCHED THEN DELETE", 'SG005' ],
	[ 'row_limit', 'a higher limit of the session', "SET LOCAL safeguard.max_rows = 3; SET LOCAL safeguard.max_rows_session = 100; UPDATE point_info SET point_name = 'x' WHERE id < 3", 'SG005' ],
	[ 'row_limit', 'in a function', "SET LOCAL safeguard.max_rows_session = 3; DO \$d\$BEGIN UPDATE point_info SET point_name = 'x' WHERE id < 3; END\$d\$", 'passed', 'function' ],
	[ 'row_limit', 'many statements', "SET LOCAL safeguard.max_rows_session = 3; UPDATE point_info SET point_name = 'x' WHERE id = 1; UPDATE point_info SET point_name = 'x' WHERE id = 2", 'passed', 'Many small statements' ],
	[ 'row_limit', 'a cursor', "SET LOCAL safeguard.max_rows_session = 1; DECLARE c CURSOR FOR SELECT * FROM point_info FOR UPDATE; FETCH c; UPDATE point_info SET point_name = 'x' WHERE CURRENT OF c; FETCH c; UPDATE point_info SET point_name = 'x' WHERE CURRENT OF c", 'passed', 'Many small statements' ],
	[ 'destructive_ddl', 'DROP TABLE', 'DROP TABLE point_info CASCADE', 'SG009' ],
	[ 'destructive_ddl', 'DROP SCHEMA CASCADE', 'DROP SCHEMA public CASCADE', 'SG009' ],
	[ 'destructive_ddl', 'DROP OWNED', 'DROP OWNED BY regress_sg_writer CASCADE', 'SG009' ],
	[ 'destructive_ddl', 'in dynamic SQL', "DO \$d\$BEGIN EXECUTE 'TRUN' || 'CATE point_info'; END\$d\$", 'SG009' ],
	[ 'destructive_ddl', 'TRUNCATE CASCADE', 'TRUNCATE systems CASCADE', 'SG009' ],
	[ 'destructive_ddl', 'DROP COLUMN', 'ALTER TABLE point_info DROP COLUMN point_name CASCADE', 'SG009' ],
	[ 'destructive_ddl', 'DETACH and DROP', 'ALTER TABLE point_info_parted DETACH PARTITION point_info_1; DROP TABLE point_info_1', 'SG009' ],
	[ 'destructive_ddl', 'DELETE', 'DELETE FROM point_info WHERE true', 'passed', 'DELETE' ],
	[ 'destructive_ddl', 'renamed away', "SET LOCAL safeguard.constraint_bypass = off; ALTER TABLE other RENAME TO old; ALTER TABLE old RENAME TO other", 'passed', 'replaced by renaming' ],
	[ 'constraint_bypass', 'SET', 'SET LOCAL session_replication_role = replica', 'SG008' ],
	[ 'constraint_bypass', 'set_config', "SELECT set_config('session_replication_role', 'replica', true); UPDATE other SET tag = 'x' WHERE id = 1", 'SG008' ],
	[ 'constraint_bypass', 'a function with SET', "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica AS \$f\$BEGIN UPDATE other SET tag = 'x' WHERE id = 1; END\$f\$; SELECT f()", 'SG008' ],
	[ 'constraint_bypass', 'DISABLE TRIGGER ALL', 'ALTER TABLE point_info DISABLE TRIGGER ALL', 'SG008' ],
	[ 'constraint_bypass', 'NOT VALID', 'ALTER TABLE point_info ADD CHECK (id > 0) NOT VALID', 'SG008' ],
	[ 'constraint_bypass', 'the catalogs', "UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'point_info'::regclass", 'passed', 'catalogs by hand' ],
	[ 'lock_timeout', 'ALTER TABLE', 'ALTER TABLE other ADD c int', 'SG010' ],
	[ 'lock_timeout', 'in a function', "DO \$d\$BEGIN ALTER TABLE other ADD c int; END\$d\$", 'SG010' ],
	[ 'lock_timeout', 'LOCK TABLE', 'LOCK TABLE other', 'passed', 'LOCK TABLE' ],
	[ 'outer_reference', 'EXISTS', "UPDATE point_info SET point_name = 'x' WHERE EXISTS (SELECT FROM other WHERE point_info.id = point_info.system_id)", 'SG006' ],
	[ 'outer_reference', '= ANY', "UPDATE point_info SET point_name = 'x' WHERE id = ANY (SELECT point_info.id FROM other)", 'SG006' ],
	[ 'outer_reference', '= ANY (ARRAY(...))', "UPDATE point_info SET point_name = 'x' WHERE id = ANY (ARRAY(SELECT point_info.id FROM other))", 'SG006' ],
	[ 'outer_reference', '= (SELECT ... LIMIT 1)', "UPDATE point_info SET point_name = 'x' WHERE id = (SELECT point_info.id FROM other LIMIT 1)", 'SG006' ],
	[ 'outer_reference', 'an expression', "UPDATE point_info SET point_name = 'x' WHERE id IN (SELECT coalesce(point_info.id, 0) FROM other)", 'SG006' ],
	[ 'outer_reference', 'an arm of UNION', "UPDATE point_info SET point_name = 'x' WHERE id IN (SELECT point_info.id FROM other UNION SELECT id FROM other)", 'SG006' ],
	[ 'outer_reference', 'two columns', "UPDATE point_info SET point_name = 'x' WHERE (system_id, id) IN (SELECT point_info.system_id, point_info.id FROM other)", 'SG006' ],
	[ 'outer_reference', 'CASE', "UPDATE point_info SET point_name = 'x' WHERE CASE WHEN id IN (SELECT point_info.id FROM other) THEN true END", 'SG006' ],
	[ 'outer_reference', 'OR', "UPDATE point_info SET point_name = 'x' WHERE id = 1 OR id IN (SELECT point_info.id FROM other WHERE tag = 'o')", 'SG006' ],
	[ 'outer_reference', 'two negations', 'DELETE FROM point_info WHERE NOT id NOT IN (SELECT point_info.id FROM other)', 'SG006' ],
	[ 'outer_reference', 'a SELECT in FROM', "UPDATE scoped SET point_name = 'x' WHERE system_id = 1 AND system_id IN (SELECT system_id FROM (SELECT system_id FROM other) q)", 'SG006' ],
	[ 'outer_reference', 'a CTE', "UPDATE scoped SET point_name = 'x' WHERE system_id = 1 AND system_id IN (WITH q AS (SELECT system_id FROM other) SELECT system_id FROM q)", 'SG006' ],
	[ 'outer_reference', 'a SELECT in FROM, of several columns', "UPDATE scoped SET point_name = 'x' WHERE system_id = 1 AND system_id IN (SELECT system_id FROM (SELECT system_id, tag FROM other) q)", 'passed', 'unless it is the only one' ],
	[ 'outer_reference', 'INTERSECT', "UPDATE point_info SET point_name = 'x' WHERE id IN (SELECT point_info.id FROM other INTERSECT SELECT point_info.id FROM other)", 'passed', 'INTERSECT' ],
	[ 'outer_reference', 'a count', "UPDATE point_info SET point_name = 'x' WHERE 0 < (SELECT count(*) FROM other WHERE point_info.id > 0)", 'passed', 'count(*)' ],
	[ 'unlinked_from', 'a join of sources', "UPDATE point_info p SET point_name = 'x' FROM other o JOIN systems s ON s.id = o.id WHERE o.tag = 'o'", 'SG007' ],
	[ 'unlinked_from', 'an outer join with the target itself', "UPDATE point_info p SET point_name = 'x' FROM other o LEFT JOIN point_info q ON q.id = o.id WHERE o.tag = 'o'", 'SG007' ],
	[ 'unlinked_from', 'a subquery', "UPDATE point_info p SET point_name = 'x' FROM (SELECT id FROM other) o WHERE o.id > 0", 'SG007' ],
	[ 'unlinked_from', 'a MATERIALIZED CTE', 'WITH o AS MATERIALIZED (SELECT id FROM other) DELETE FROM point_info p USING o WHERE o.id > 0 AND p.id > 0', 'SG007' ],
	[ 'unlinked_from', 'LATERAL', "UPDATE point_info p SET point_name = 'x' FROM other o, LATERAL (SELECT o.id) q WHERE q.id > 0", 'SG007' ],
	[ 'unlinked_from', 'a function as source', "UPDATE point_info p SET point_name = 'x' FROM generate_series(1, 3) g WHERE g > 1", 'SG007' ],
	[ 'unlinked_from', '<>', "UPDATE point_info p SET point_name = 'x' FROM other o WHERE p.id <> o.id", 'SG007' ],
	[ 'unlinked_from', 'an OR', "UPDATE point_info p SET point_name = 'x' FROM other o WHERE p.id = o.id OR o.tag = 'o'", 'SG007' ],
	[ 'unlinked_from', 'the target with itself', "UPDATE point_info p SET point_name = 'x' FROM other o WHERE o.tag = 'o' AND p.id = p.id", 'SG007' ],
	[ 'unlinked_from', 'a comparison that always holds', "UPDATE point_info p SET point_name = 'x' FROM other o WHERE p.id + 100 >= o.id", 'passed', 'A comparison that holds nearly always' ],
	[ 'unlinked_from', 'a comparison, whatever it says', "UPDATE point_info p SET point_name = 'x' FROM other o WHERE coalesce(p.id = o.id, true)", 'passed', 'coalesce' ],
	[ 'unlinked_from', 'a second source', "UPDATE point_info p SET point_name = 'x' FROM other o, systems s WHERE p.id = o.id", 'passed', 'A second source' ],
	[ 'unlinked_from', 'the wrong column', "UPDATE point_info p SET point_name = 'x' FROM other o WHERE p.point_name <= o.tag", 'passed', 'A tie by the wrong columns' ],
	[ 'scope', 'IS NOT NULL', "UPDATE scoped SET point_name = 'x' WHERE system_id IS NOT NULL", 'SG011' ],
	[ 'scope', 'a range', "UPDATE scoped SET point_name = 'x' WHERE system_id > 0", 'SG011' ],
	[ 'scope', 'a list with the column itself', "UPDATE scoped SET point_name = 'x' WHERE system_id IN (1, system_id)", 'SG011' ],
	[ 'scope', 'a subquery of all values', "UPDATE scoped SET point_name = 'x' WHERE system_id = ANY (SELECT id FROM systems)", 'SG011' ],
	[ 'scope', 'a join', "UPDATE scoped s SET point_name = 'x' FROM systems y WHERE y.id = s.system_id", 'SG011' ],
	[ 'scope', 'a correlated subquery', "UPDATE scoped SET point_name = 'x' WHERE system_id = (SELECT system_id)", 'SG011' ],
	[ 'scope', 'a row', 'DELETE FROM scoped WHERE ROW(system_id, id) = ROW(system_id, 1)', 'SG011' ],
	[ 'composite_key_doubt', 'DELETE USING', 'DELETE FROM setting USING setting s WHERE s.name = setting.name AND s.obsolete', 'SG001' ],
	[ 'composite_key_doubt', 'EXISTS', 'DELETE FROM setting WHERE EXISTS (SELECT FROM setting s WHERE s.obsolete AND s.name = setting.name)', 'SG001' ],
	[ 'composite_key_doubt', 'values in a list', "DELETE FROM setting WHERE name IN ('n1', 'n2')", 'passed', 'literals or parameters' ],
	[ 'conflict_target', 'DO NOTHING', 'INSERT INTO keyed VALUES (1, 1) ON CONFLICT (b) DO NOTHING', 'SG002' ],
	[ 'conflict_target', 'an expression', 'INSERT INTO keyed VALUES (1, 1) ON CONFLICT ((a + 1)) DO NOTHING', 'SG002' ],
	[ 'conflict_target', 'a column too many', 'INSERT INTO keyed VALUES (1, 1) ON CONFLICT (a, b) DO NOTHING', 'SG002' ],
	[ 'conflict_target', 'dynamic SQL, when it is executed', q{DO $d$BEGIN EXECUTE 'INSERT INTO keyed VALUES (1, 1) ON CONFLICT (b) DO NOTHING'; END$d$}, 'SG002' ],
	[ 'upsert_overwrite', 'pages of several rows', 'DO $d$BEGIN FOR p IN 1 .. 15 LOOP INSERT INTO patches SELECT i, p * 10 + i FROM generate_series(0, 9) i ON CONFLICT (update_id) DO UPDATE SET patch_id = excluded.patch_id; END LOOP; END$d$', 'SG003' ],
	[ 'upsert_overwrite', 'MERGE', 'DO $d$BEGIN FOR p IN 1 .. 150 LOOP MERGE INTO patches USING (SELECT p % 10 AS u, p AS i) s ON update_id = s.u WHEN MATCHED THEN UPDATE SET patch_id = s.i WHEN NOT MATCHED THEN INSERT VALUES (s.u, s.i); END LOOP; END$d$', 'SG003' ],
	[ 'upsert_overwrite', 'ON CONSTRAINT', 'DO $d$BEGIN FOR p IN 1 .. 150 LOOP INSERT INTO patches VALUES (p % 10, p) ON CONFLICT ON CONSTRAINT patches_pkey DO UPDATE SET patch_id = excluded.patch_id; END LOOP; END$d$', 'SG003' ],
	[ 'upsert_overwrite', 'only what differs', 'DO $d$BEGIN FOR p IN 1 .. 150 LOOP INSERT INTO patches VALUES (p % 10, p) ON CONFLICT (update_id) DO UPDATE SET patch_id = excluded.patch_id WHERE patches.patch_id <> excluded.patch_id; END LOOP; END$d$', 'SG003' ],
	[ 'upsert_overwrite', 'a value that SET computes', 'DO $d$BEGIN FOR p IN 1 .. 150 LOOP INSERT INTO patches VALUES (p % 10, p) ON CONFLICT (update_id) DO UPDATE SET patch_id = excluded.patch_id + 0; END LOOP; END$d$', 'passed', 'SET computes' ],
	[ 'upsert_overwrite', 'DELETE and INSERT', 'DO $d$BEGIN FOR p IN 1 .. 150 LOOP DELETE FROM patches WHERE update_id = p % 10; INSERT INTO patches VALUES (p % 10, p); END LOOP; END$d$', 'passed', 'DELETE and INSERT' ],
	[ 'row_limit', 'ON CONFLICT DO UPDATE', "SET LOCAL safeguard.max_rows_session = 3; INSERT INTO point_info SELECT * FROM point_info ON CONFLICT (system_id, id) DO UPDATE SET point_name = 'x'", 'SG005' ],
	[ 'row_limit', 'rows that change their partition', "SET LOCAL safeguard.max_rows_session = 3; UPDATE scoped_parted SET system_id = 3 - system_id, id = id + 10 * system_id WHERE system_id IN (1, 2)", 'SG005' ],
	[ 'row_limit', 'referential actions', "INSERT INTO systems VALUES (9, 'z'); INSERT INTO point_info SELECT 9, g FROM generate_series(1, 9) g; ALTER TABLE point_info DROP CONSTRAINT point_info_system_id_fkey, ADD FOREIGN KEY (system_id) REFERENCES systems ON DELETE CASCADE; SET LOCAL safeguard.max_rows_session = 3; DELETE FROM systems WHERE id = 9", 'passed', 'referential actions' ],
	[ 'row_limit', 'TRUNCATE', 'SET LOCAL safeguard.destructive_ddl = off; SET LOCAL safeguard.max_rows_session = 3; TRUNCATE point_info', 'passed', 'TRUNCATE' ],
	[ 'destructive_ddl', 'DROP EXTENSION', 'SET LOCAL client_min_messages = error; SET LOCAL safeguard.constraint_bypass = off; DROP EXTENSION postgres_fdw CASCADE; CREATE TYPE kind AS ENUM (); ALTER TABLE point_info ADD k kind; DROP TYPE kind CASCADE', 'SG009' ],
	[ 'destructive_ddl', 'a rewrite of a large table', 'SET LOCAL safeguard.large_table = 0; ALTER TABLE point_info SET UNLOGGED', 'SG009' ],
	[ 'destructive_ddl', 'CREATE INDEX on a large table', 'SET LOCAL safeguard.large_table = 0; CREATE INDEX ON point_info (id)', 'SG009' ],
	[ 'destructive_ddl', 'CLUSTER', 'SET LOCAL safeguard.large_table = 0; CLUSTER point_info USING point_info_pkey', 'SG009' ],
	[ 'constraint_bypass', 'ENABLE REPLICA TRIGGER', 'CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $f$BEGIN RETURN NULL; END$f$; CREATE TRIGGER t AFTER INSERT ON fired EXECUTE FUNCTION f(); ALTER TABLE fired ENABLE REPLICA TRIGGER t', 'SG008' ],
	[ 'constraint_bypass', 'a declared column gets another name', 'ALTER TABLE scoped RENAME system_id TO s', 'SG008' ],
	[ 'constraint_bypass', 'a declared column goes', 'SET LOCAL safeguard.destructive_ddl = off; ALTER TABLE scoped DROP system_id CASCADE', 'SG008' ],
	[ 'constraint_bypass', 'a domain', 'CREATE DOMAIN d AS int; ALTER DOMAIN d ADD CHECK (value > 0) NOT VALID', 'SG008' ],
	[ 'constraint_bypass', 'a constraint is dropped', 'ALTER TABLE point_info DROP CONSTRAINT point_info_system_id_fkey', 'passed', 'DROP CONSTRAINT of a foreign key' ],
	[ 'lock_timeout', 'TRUNCATE', 'SET LOCAL safeguard.destructive_ddl = off; TRUNCATE other', 'SG010' ],
	[ 'lock_timeout', 'CREATE INDEX', 'CREATE INDEX ON other (tag)', 'SG010' ],
	[ 'lock_timeout', 'a limit of the transaction that is taken away', q{SET LOCAL lock_timeout = '1s'; SET LOCAL lock_timeout = 0; ALTER TABLE other ADD c int}, 'SG010' ],
	[ 'lock_timeout', 'statement_timeout alone', q{SET LOCAL statement_timeout = '1min'; ALTER TABLE other ADD c int}, 'SG010' ],
	[ 'conflict_silent', 'columns that may be NULL', 'CREATE TABLE made (a int, b int, UNIQUE (a)); INSERT INTO made VALUES (1, 1) ON CONFLICT (a) DO UPDATE SET b = excluded.b', 'SG012' ],
	[ 'conflict_silent', 'a column gets its own value', 'INSERT INTO patches VALUES (1, 1) ON CONFLICT (update_id) DO UPDATE SET patch_id = patches.patch_id', 'SG012' ],
	[ 'conflict_silent', 'a deferrable key', 'CREATE TABLE made (a int NOT NULL UNIQUE DEFERRABLE); INSERT INTO made VALUES (1) ON CONFLICT DO NOTHING', 'SG012' ],
	[ 'conflict_silent', 'an expression that may be NULL', q{CREATE TABLE made (a text); CREATE UNIQUE INDEX ON made (coalesce(a, '')); INSERT INTO made VALUES ('') ON CONFLICT DO NOTHING}, 'passed', 'coalesce' ],
	[ 'conflict_silent', 'a sequence', 'CREATE TABLE made (a serial PRIMARY KEY, b int); INSERT INTO made (b) VALUES (1) ON CONFLICT DO NOTHING', 'passed', 'sequence' ],
	[ 'conflict_silent', 'WHERE false', 'INSERT INTO patches VALUES (1, 1) ON CONFLICT (update_id) DO UPDATE SET patch_id = excluded.patch_id WHERE false', 'passed', 'WHERE false' ],
	[ 'conflict_silent', 'no key at all', 'INSERT INTO keyless VALUES (1, 1) ON CONFLICT DO NOTHING', 'SG012' ],
	[ 'conflict_silent', 'in a CTE', 'WITH w AS (INSERT INTO keyless VALUES (1, 1) ON CONFLICT DO NOTHING) SELECT 1', 'SG012' ]);


# The words for what is not stopped, undef if it must be.
sub words
{
	my ($rule, $name) = @_;
	my ($found) = grep { $_->[0] eq $name } @{ $TOLD{$rule} };
	return $found && $found->[1];
}

# ---------------------------------------------------------------- trying them

# STMT and TARGET by what they are for this rule; undef if there is nothing.
sub dress
{
	my ($name, $way) = @_;
	my $rule = $RULE{$name};
	my (undef, $text, $for, %o) = @$way;
	my $target = ($o{on} // '%s') =~ s/%s/$rule->{target}/r;

	return if !defined $text || ($o{not} // '') eq $name;
	return if $rule->{ddl} ? $for ne 'all' : $for eq 'rows' ? !$rule->{from} : $for eq 'merge' ? !$rule->{merge} : 0;
	$text =~ s/MERGE_STMT/$rule->{merge}/g if $for eq 'merge';
	$text =~ s/FROM_ROWS/$rule->{from}/g, $text =~ s/SETS/$rule->{set}/g if $for eq 'rows';
	$text =~ s/STMT/$rule->{stmt}/g;
	$text =~ s/KEPT/$rule->{target}/g;
	$text =~ s/TARGET/$target/g;
	return ($text, ($rule->{before} // '') =~ s/TARGET/$target/gr);
}

# What psql has said of a way: the code of the rule, of another error, or
# 'passed'.
sub outcome
{
	my ($said) = @_;

	# the server's own error is what the rule explains, or does not
	return $said =~ /WARNING:  SG002:/ ? 'SG002' : 'passed' if $said =~ /42P10/;
	return $1 if $said =~ /ERROR:  (\w{5}):/ || $said =~ /swallowed (\w{5})/;
	return 'passed';
}

# Runs texts, each with what goes before it, in transactions that are rolled back,
# in one session.  Returns what is said of each.
sub attempt
{
	my ($on, @texts) = @_;
	my ($script, @said) = ("\\warn BEGIN -1\n");

	for my $i (0 .. $#texts)
	{
		my ($text, $before) = @{ $texts[$i] };
		$script .= "DISCARD ALL;\n$before;\nBEGIN;\n\\warn BEGIN $i\n$text;\n\\warn BEGIN -1\nROLLBACK;\nROLLBACK PREPARED 'p';\n";
	}
	my ($rc, $out, $err) = $on->psql('postgres', $script, on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	for my $part (split /^BEGIN /m, $err)
	{
		$said[$1] = $part if $part =~ /^(\d+)\n/;
	}
	diag "the server is gone: $err" if @said < @texts;
	return @said;
}

# ---------------------------------------------------------------- the pages

my %page;
sub not_seen
{
	my ($rule) = @_;
	$page{$rule} //= do {
		my ($text) = slurp_file("$ROOT/doc/rules/$rule.md") =~ /^## What it does not see(.*?)(?=^## |\z)/ms;
		$text =~ s/\s+/ /gr;
	};
	$page{$rule} .= not_seen('composite_key') if $rule eq 'composite_key_doubt' && $page{$rule} !~ /Values that arrive/;
	return $page{$rule};
}


my (%cell, @single);

# What became of one way: as its words say it is told, or stopped.
sub judge
{
	my ($rule, $name, $said, $words) = @_;
	my $state = outcome($said);

	is($state, defined $words ? 'passed' : $RULE{$rule}{code}, "$rule, $name: " . (defined $words ? 'not seen' : 'stopped')) or diag $said;
	ok(index(not_seen($rule), $words) >= 0, "$rule, $name: its page says so") or diag $words if defined $words;
	return defined $words ? 'no' : 'yes';
}

# Tries all ways of the rules, and those of one rule alone.
my $PICTURE = q{SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM (SELECT * FROM point_info UNION ALL SELECT * FROM scoped UNION ALL SELECT tenant, 1, name FROM setting) t};
my $picture = $node->safe_psql('postgres', $PICTURE);
for my $rule (@RULES)
{
	my @tried = grep { defined((dress($rule, $_))[0]) } @CLOTHES;
	my @mine = grep { $_->[0] eq $rule } @ways;
	my @said = attempt($node, (map { [ dress($rule, $_) ] } @tried), map { [ $_->[2], $rule =~ /^(?:lock_timeout|unlinked_from)$/ ? $RULE{$rule}{before} : '' ] } @mine);

	$cell{ $_->[0] }{$rule} = judge($rule, $_->[0], shift @said, words($rule, $_->[0])) for @tried;
	for my $way (@mine)
	{
		my (undef, $name, undef, $expected, $words) = @$way;
		push @single, [ $rule, $name, judge($rule, $name, shift @said, $words) ];
	}
}
is($node->safe_psql('postgres', $PICTURE), $picture, 'nothing has changed');

# ---------------------------------------------------------------- logical apply

# an apply worker, whose trigger tries them all
$node->safe_psql('postgres', q{CREATE DATABASE sub; CREATE TABLE sent (rule text PRIMARY KEY, sql text); CREATE PUBLICATION p FOR TABLE sent;
	SELECT pg_create_logical_replication_slot('s', 'pgoutput')});
create_incident($node, 'sub');
$node->safe_psql('sub', $SETUP =~ s/CREATE ROLE \w+;//r . sprintf(q{
	CREATE TABLE sent (rule text PRIMARY KEY, sql text);
	CREATE TABLE tried (rule text, state text);
	CREATE FUNCTION try() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
	DECLARE s text;
	BEGIN
		FOREACH s IN ARRAY string_to_array(NEW.sql, '<<>>') LOOP
			BEGIN
				EXECUTE s;
				RAISE SQLSTATE 'P0099';
			EXCEPTION WHEN OTHERS THEN INSERT INTO tried VALUES (NEW.rule, CASE sqlstate WHEN 'P0099' THEN 'passed' ELSE sqlstate END);
			END;
		END LOOP;
		RETURN NULL;
	END$$;
	CREATE TRIGGER try AFTER INSERT ON sent FOR EACH ROW EXECUTE FUNCTION try();
	ALTER TABLE sent ENABLE ALWAYS TRIGGER try;
	CREATE SUBSCRIPTION s CONNECTION '%s dbname=postgres' PUBLICATION p WITH (create_slot = false, copy_data = false)}, $node->connstr));
for my $rule (@RULES)
{
	my ($text, $before) = map { s/TARGET/$RULE{$rule}{target}/gr } $RULE{$rule}{stmt}, $RULE{$rule}{before} // '';
	$text = "$before; $text" if $before;
	$text =~ s/'/''/g;
	$node->safe_psql('postgres', "INSERT INTO sent VALUES ('$rule', '$text')");
}
$node->wait_for_catchup('s');
my %applied = map { split /\|/ } split /\n/, $node->safe_psql('sub', 'SELECT * FROM tried');
for my $rule (@RULES)
{
	# there is no key for it there either, and nothing more is said
	is($applied{$rule}, $rule eq 'conflict_target' ? '42P10' : 'passed', "$rule, logical apply: not seen");
	ok(index(not_seen($rule), words($rule, 'logical apply')) >= 0, "$rule, logical apply: its page says so");
	$cell{'logical apply'}{$rule} = 'no';
}
$node->safe_psql('sub', 'DROP SUBSCRIPTION s');
$node->stop;

# ---------------------------------------------------------------- prepared before the library was loaded

my $late = PostgreSQL::Test::Cluster->new('bypass_late');
$late->init;
$late->start;
create_incident($late, 'postgres');
$late->safe_psql('postgres', $SETUP);
for my $rule (grep { !$RULE{$_}{ddl} } @RULES)
{
	my ($text, $before) = map { s/TARGET/$RULE{$rule}{target}/gr } $RULE{$rule}{stmt}, $RULE{$rule}{before} // '';
	my ($rc, $out, $err) = $late->psql('postgres', join(";\n", "SET plan_cache_mode = force_generic_plan; PREPARE p AS $text; BEGIN; EXECUTE p; ROLLBACK",
			"LOAD 'safeguard'", (map { "SET safeguard.$_ = error" } @RULES), $before, "\\warn BEGIN\nBEGIN; EXECUTE p; ROLLBACK"),
		on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	$cell{'prepared before the library was loaded'}{$rule} = judge($rule, 'prepared before the library was loaded', $err =~ s/.*^BEGIN$//msr);
}
$late->stop;

# ---------------------------------------------------------------- the page

my $text = slurp_file("$ROOT/doc/bypass.md") =~ s/^\|.*//msr;
$text .= '| | ' . join(' | ', map { "[$_](rules/$_.md)" } @RULES) . " |\n" . '|---' x (@RULES + 1) . "|\n";
$text .= "| $_ | " . join(' | ', map { $_ // '' } @{ $cell{$_} }{@RULES}) . " |\n" for map { $_->[0] } @CLOTHES;
$text .= "\n## Ways of one rule\n\n| rule | way | stopped |\n|---|---|---|\n";
$text .= "| $_->[0] | $_->[1] | $_->[2] |\n" for @single;
PostgreSQL::Test::Utils::append_to_file($ENV{SG_BYPASS_PAGE}, $text) if $ENV{SG_BYPASS_PAGE};
ok($text eq slurp_file("$ROOT/doc/bypass.md"), 'doc/bypass.md tells what has been seen') or diag "It should be:\n$text";
done_testing();
