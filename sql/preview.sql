--
-- safeguard.preview(): what a script would do, and nothing of it remains.
--
CREATE SCHEMA preview;
SET search_path = preview;
\pset null -

-- incident 1: 6 keys selected, 32 points of 6 systems hit
\getenv sources PG_ABS_SRCDIR
\set points :sources '/sql/include/points.sql'
\i :points

SELECT statement, command, relation, relation_name, rows, source_rows, scope,
       jsonb_array_length(sample) AS sample, wal_bytes > 0 AS wal, duration_ms > 0 AS duration, sqlstate, error
  FROM safeguard.preview($$
UPDATE point_info
   SET origin_sub_id = 'import_kwh', point_name = 'Grid import', display_name = 'Grid import'
 WHERE id IN (SELECT pi.id
                FROM point_info pi JOIN systems s ON pi.system_id = s.id
               WHERE s.vendor_type = 'amber' AND pi.subsystem = 'grid')
$$);
-- what was meant
SELECT statement, command, relation, rows, source_rows, scope, sample ->> 0 LIKE '%"system_id": 1}' AS sample, findings
  FROM safeguard.preview($$
UPDATE point_info
   SET origin_sub_id = 'import_kwh', point_name = 'Grid import', display_name = 'Grid import'
 WHERE (system_id, id) IN (SELECT pi.system_id, pi.id
                             FROM point_info pi JOIN systems s ON pi.system_id = s.id
                            WHERE s.vendor_type = 'amber' AND pi.subsystem = 'grid')
$$);
SELECT count(*) AS points, count(*) FILTER (WHERE point_name = 'Grid import') AS changed FROM point_info;

-- rules are reported, not enforced; positions count from the start of the script
SELECT statement, f ->> 'rule' AS rule, f ->> 'level' AS level, f ->> 'message' AS message,
       f ->> 'hint' LIKE 'Compare the whole key%' AS hint,
       substr(s.script, (f ->> 'position')::int, 15) AS "position"
  FROM (VALUES ('-- ä' || E'\n' || 'SELECT 1; UPDATE point_info SET point_name = ''x'' WHERE id IN (SELECT id FROM point_info WHERE subsystem = ''grid'');')) s(script),
       safeguard.preview(s.script), jsonb_array_elements(findings) f;
-- so is row_limit, with the number that it comes to
SET safeguard.max_rows_session = 5;
SELECT rows, f ->> 'rule' AS rule, f ->> 'level' AS level, f ->> 'message' AS message
  FROM safeguard.preview('UPDATE point_info SET point_name = subsystem WHERE system_id = 2'), jsonb_array_elements(findings) f;
-- rows of WITH queries count there, too, and are counted once
SELECT command, relation, rows, f ->> 'message' AS message
  FROM safeguard.preview('WITH p AS (DELETE FROM point_info WHERE system_id = 2 RETURNING *) UPDATE systems SET vendor_type = ''none'' WHERE id = 2')
  LEFT JOIN jsonb_array_elements(findings) f ON true;
RESET safeguard.max_rows_session;
SET safeguard.expected_rows = 3;
SELECT rows, f ->> 'message' AS message
  FROM safeguard.preview('DELETE FROM point_info WHERE system_id = 6; DELETE FROM point_info WHERE system_id = 5')
  LEFT JOIN jsonb_array_elements(findings) f ON true;
RESET safeguard.expected_rows;
-- the same in a function, from which it is called
CREATE FUNCTION called() RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    SET LOCAL safeguard.max_rows_session = 5;
    SELECT * INTO r FROM safeguard.preview('DELETE FROM point_info WHERE system_id = 2');
    RETURN r.rows || ' ' || r.findings;
END $$;
SELECT called();
-- and the rule is what it was
DELETE FROM point_info WHERE id IN (SELECT id FROM point_info WHERE subsystem = 'grid');

-- triggers, cascades, functions and rules apart
CREATE TABLE parent (id int PRIMARY KEY, v text);
CREATE TABLE child (id int PRIMARY KEY, parent_id int REFERENCES parent ON DELETE CASCADE);
CREATE TABLE log (what text);
INSERT INTO parent SELECT g, 'p' || g FROM generate_series(1, 10) g;
INSERT INTO child SELECT g, g % 10 + 1 FROM generate_series(1, 30) g;
CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (tg_op); RETURN NULL; END $$;
CREATE TRIGGER log_it AFTER INSERT OR UPDATE OR DELETE ON parent FOR EACH ROW EXECUTE FUNCTION log_it();
SELECT statement, command, relation, rows, source_rows, scope
  FROM safeguard.preview($$
DELETE FROM parent WHERE id <= 3;
WITH gone AS (DELETE FROM child WHERE id > 25 RETURNING id) INSERT INTO log SELECT id FROM gone;
DO $do$ BEGIN UPDATE child SET id = id + 100 WHERE id > 20; END $do$;
CREATE RULE also AS ON DELETE TO log DO ALSO INSERT INTO parent VALUES (11, 'rule');
DELETE FROM log WHERE what = 'none';
CREATE VIEW low AS SELECT id, v FROM parent WHERE id < 6;
UPDATE low SET v = 'low';
EXPLAIN ANALYZE UPDATE parent SET v = 'x' WHERE id = 7;
$$);

-- what a source selects
SELECT statement, command, rows, source_rows
  FROM safeguard.preview($$
DELETE FROM child USING parent p WHERE p.id = child.parent_id AND p.id < 3;
UPDATE parent SET v = '' WHERE EXISTS (SELECT FROM child c WHERE c.parent_id = parent.id AND c.id > 28);
WITH k AS (SELECT id FROM parent WHERE id > 8) DELETE FROM parent WHERE id IN (SELECT id FROM k);
MERGE INTO parent USING (SELECT * FROM child WHERE id > 20) c ON c.parent_id = parent.id AND parent.v = '' WHEN MATCHED THEN UPDATE SET v = 'm';
INSERT INTO log SELECT v FROM parent WHERE id < 5;
INSERT INTO log VALUES ('one'), ('two');
UPDATE parent SET v = 'x' WHERE id = 1;
$$);
-- none for what could do harm: volatile functions, parts that only the target ties
SELECT statement, command, source_rows
  FROM safeguard.preview($$
DELETE FROM parent WHERE id IN (SELECT (random() * 0)::int);
DELETE FROM parent USING child a, child b WHERE a.parent_id = parent.id AND b.parent_id = parent.id;
DELETE FROM parent WHERE id NOT IN (SELECT parent_id FROM child);
$$);

-- later statements see what earlier ones have made; nothing of it has an OID afterwards
SELECT statement, command, relation, relation_name, rows, scope, locks
  FROM safeguard.preview($$
CREATE TABLE made (a int PRIMARY KEY);
INSERT INTO made SELECT generate_series(1, 5);
ALTER TABLE made ADD b int;
UPDATE made SET b = a WHERE a > 1;
CREATE TABLE copied AS SELECT * FROM made;
SELECT * INTO selected FROM made;
DROP TABLE made;
$$);
SELECT to_regclass('made'), to_regclass('copied');

-- locks, and whom they block
SELECT statement, command, relation, locks
  FROM safeguard.preview($$
UPDATE child SET id = id WHERE id = 1;
LOCK TABLE log IN SHARE MODE;
LOCK TABLE log IN EXCLUSIVE MODE;
ALTER TABLE child ADD CONSTRAINT positive CHECK (id > 0);
SELECT pg_advisory_lock(42), pg_advisory_xact_lock(1, 2);
$$);
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
-- the name is the one that others know
SELECT statement, command, relation, relation_name, locks
  FROM safeguard.preview('ALTER TABLE log RENAME TO diary; INSERT INTO diary VALUES (1); DROP TABLE diary');

-- a failure is a row, the last one
SELECT statement, command, relation, relation_name, rows, sqlstate, error
  FROM safeguard.preview($$
UPDATE parent SET v = 'x' WHERE id = 1;
INSERT INTO parent VALUES (1, 'again');
UPDATE parent SET v = 'y' WHERE id = 1;
$$);
SELECT statement, command, relation_name, sqlstate, error FROM safeguard.preview('SELECT 1; UPDATE nowhere SET a = 1');
SELECT statement, command, sqlstate, error FROM safeguard.preview('SELECT 1; SELEC 2; SELECT 3');
SELECT statement, command, sqlstate, error FROM safeguard.preview('DO $$ BEGIN COMMIT; END $$');
SELECT count(*) FROM safeguard.preview('-- nothing');
SELECT sqlstate, error FROM safeguard.preview('SELECT * FROM safeguard.preview(''SELECT 1'')');

-- deferred constraints are checked at the end of the script
CREATE TABLE later (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
SELECT statement, command, relation, rows, sqlstate, error
  FROM safeguard.preview('INSERT INTO later VALUES (99); SELECT 1');
SELECT statement, command, rows, sqlstate
  FROM safeguard.preview('INSERT INTO later VALUES (99); INSERT INTO parent VALUES (99, '''')');

-- twice
SELECT statement, command, rows, sqlstate
  FROM safeguard.preview('INSERT INTO systems VALUES (7, ''new'') ON CONFLICT DO NOTHING; CREATE TABLE IF NOT EXISTS made (a int)', twice => true);
SELECT statement, command, rows, sqlstate
  FROM safeguard.preview('INSERT INTO systems VALUES (7, ''new''); CREATE TABLE made (a int)', twice => true);

-- partitions are counted under the table that the statement names
CREATE TABLE parted (a int, b int, PRIMARY KEY (a, b)) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 (b int NOT NULL, a int NOT NULL);
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (10) TO (20);
INSERT INTO parted SELECT g, g % 3 FROM generate_series(0, 19) g;
SELECT statement, command, relation, rows, scope
  FROM safeguard.preview('UPDATE parted SET b = b + 10 WHERE a > 4; DELETE FROM parted WHERE b = 1; UPDATE parted SET a = a + 10, b = 50 WHERE a < 2');

-- a declared scope is counted beside the key
SELECT safeguard.set_column('child', 'parent_id', 'scope');
SELECT rows, scope FROM safeguard.preview('DELETE FROM child WHERE id < 5');
SELECT safeguard.clear_column('child', 'parent_id', 'scope');
-- many values: exact up to 131072
CREATE TABLE many (id int PRIMARY KEY);
SELECT command, rows, scope FROM safeguard.preview('INSERT INTO many SELECT generate_series(1, 120000)');
SELECT command, rows, abs((scope ->> 'id')::int - 200000) < 20000 AS about FROM safeguard.preview('INSERT INTO many SELECT generate_series(1, 200000)');
-- a key that needs quotes, and values of other types
CREATE TABLE "Odd" ("a""b" text, d date, PRIMARY KEY ("a""b", d));
SELECT relation_name, rows, scope, sample, locks
  FROM safeguard.preview($$INSERT INTO "Odd" VALUES ('x"y', '2026-01-01'), (E'\\', '2026-01-01')$$);

-- lock_timeout is the script's own where the rule asks for it
SELECT statement, f ->> 'rule' AS rule
  FROM safeguard.preview('ALTER TABLE log ADD a int; SET lock_timeout = ''1s''; ALTER TABLE log ADD b int'), jsonb_array_elements(findings) f;

-- the session is what it was
SELECT statement, command, sqlstate
  FROM safeguard.preview($$
SET search_path = pg_catalog;
SET work_mem = '7MB';
SET ROLE pg_monitor;
SET lock_timeout = 0;
CREATE TEMP TABLE t (a int);
DECLARE c CURSOR WITH HOLD FOR SELECT 1;
FETCH c;
CLOSE c;
DECLARE c CURSOR WITH HOLD FOR SELECT 1;
PREPARE p AS SELECT 1;
EXECUTE p;
DEALLOCATE p;
PREPARE p AS SELECT 1;
$$);
SELECT current_setting('search_path') AS search_path, current_setting('work_mem') = '7MB' AS work_mem,
       current_user = session_user AS role, current_setting('lock_timeout') AS lock_timeout,
       to_regclass('pg_temp.t') AS temp,
       (SELECT count(*) FROM pg_cursors WHERE name = 'c') AS cursors,
       (SELECT count(*) FROM pg_prepared_statements WHERE name = 'p') AS prepared;

-- time
SELECT statement, sqlstate, error FROM safeguard.preview('SELECT 1; SELECT pg_sleep(600)', timeout => '2s');
SELECT statement, sqlstate, error
  FROM safeguard.preview('DO $$ BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END $$; SELECT 1', timeout => '2s');
SET statement_timeout = '1s';
SELECT statement, sqlstate, error FROM safeguard.preview('SELECT pg_sleep(600)');
RESET statement_timeout;
SELECT sqlstate FROM safeguard.preview('SELECT 1', NULL, '10s');
SELECT sqlstate FROM safeguard.preview('SELECT 1', '1s', NULL);

-- bad input
SELECT * FROM safeguard.preview(NULL);
SELECT * FROM safeguard.preview('SELECT 1', NULL, NULL);
SELECT * FROM safeguard.preview('SELECT 1', '0', '0');
SELECT * FROM safeguard.preview('SELECT 1', '-1s');
SELECT * FROM safeguard.preview('SELECT 1', twice => NULL);
BEGIN READ ONLY;
SELECT * FROM safeguard.preview('SELECT 1');
ROLLBACK;

-- an ordinary user needs what the statements need, and sees what he may read
CREATE ROLE regress_preview;
GRANT USAGE ON SCHEMA preview TO regress_preview;
GRANT UPDATE (v), DELETE, SELECT (id) ON parent TO regress_preview;
GRANT INSERT ON log, systems TO regress_preview;
SET ROLE regress_preview;
SELECT command, relation, rows, scope, sample FROM safeguard.preview('DELETE FROM parent WHERE id = 1');
SELECT command, rows, scope, sample FROM safeguard.preview('INSERT INTO systems VALUES (8, '''')');
SELECT command, sqlstate, error FROM safeguard.preview('UPDATE child SET id = 1');
RESET ROLE;
-- rows that a policy hides are not shown
ALTER TABLE parent ENABLE ROW LEVEL SECURITY;
CREATE POLICY low_ones ON parent USING (id < 5);
SET ROLE regress_preview;
SELECT command, relation, rows, scope, sample FROM safeguard.preview('DELETE FROM parent');
RESET ROLE;

SELECT (SELECT count(*) FROM parent) AS parent, (SELECT count(*) FROM child) AS child, (SELECT count(*) FROM log) AS log;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP OWNED BY regress_preview;
DROP ROLE regress_preview;
DROP SCHEMA preview CASCADE;
