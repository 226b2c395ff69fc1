--
-- unqualified_dml: UPDATE and DELETE without WHERE, MERGE ON a constant.
-- Cases R must be found, cases A are their look-alikes and must not.
--
CREATE SCHEMA uq;
SET search_path = uq;
CREATE TABLE t (a int, b int, v int, PRIMARY KEY (a, b));
CREATE TABLE s (id int PRIMARY KEY, x int);
CREATE TABLE log (t_a int, note text);
INSERT INTO t SELECT i, 1, 0 FROM generate_series(1, 5) i;

-- by default it is recorded and the client sees nothing
SHOW safeguard.unqualified_dml;
SHOW safeguard.true_is_unqualified;
UPDATE t SET v = 1;

-- the whole text
SET safeguard.unqualified_dml = error;
UPDATE t SET v = 2;
DELETE FROM t;
MERGE INTO t USING s ON 1 = 1 WHEN MATCHED THEN DELETE;
SELECT count(*), max(v) FROM t;
\set VERBOSITY terse
SET safeguard.unlinked_from = off;

-- R01: UPDATE, with an alias, with ONLY, of columns by a subquery
UPDATE t AS x SET v = 2;
UPDATE ONLY t SET v = 2;
UPDATE t SET v = (SELECT max(x) FROM s);
-- A01
UPDATE t AS x SET v = 2 WHERE a = 1;
UPDATE ONLY t SET v = 2 WHERE a = 1;
UPDATE t SET v = (SELECT max(x) FROM s) WHERE a IS NOT NULL;

-- R02: DELETE, with RETURNING
DELETE FROM t RETURNING a;
-- A02
DELETE FROM t WHERE false RETURNING a;

-- R03: a join among the sources is no WHERE
UPDATE t SET v = 1 FROM s x JOIN s y ON x.id = y.id;
DELETE FROM t USING s;
-- A03
UPDATE t SET v = 1 FROM s x JOIN s y ON x.id = y.id WHERE t.a = x.id;
DELETE FROM t USING s WHERE t.a = s.id;

-- R04: in a data-modifying CTE, under SELECT and under a harmless statement
WITH d AS (DELETE FROM t RETURNING *) SELECT count(*) FROM d;
WITH d AS (UPDATE t SET v = 3 RETURNING a) INSERT INTO log SELECT a FROM d;
WITH d AS (DELETE FROM log RETURNING t_a) UPDATE t SET v = 1 WHERE a = 1;
-- A04
WITH d AS (DELETE FROM t WHERE a > 100 RETURNING *) SELECT count(*) FROM d;

-- R05: MERGE ON a constant, each action that acts on all rows
MERGE INTO t USING s ON true WHEN MATCHED THEN UPDATE SET v = 1;
MERGE INTO t USING s ON 2 > 1 WHEN MATCHED AND true THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (9, 9, 9);
-- A05: compared; chosen by WHEN; nothing is updated or deleted; never matched
MERGE INTO t USING s ON t.a = s.id WHEN MATCHED THEN UPDATE SET v = 1;
MERGE INTO t USING s ON true WHEN MATCHED AND t.a = s.id THEN DELETE;
MERGE INTO t USING s ON true WHEN NOT MATCHED THEN INSERT VALUES (9, 9, 9);
MERGE INTO t USING s ON false WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (9, 9, 9);

-- R06: WHERE true, only while true_is_unqualified
SET safeguard.true_is_unqualified = on;
DELETE FROM t WHERE true;
UPDATE t SET v = 1 WHERE 1 = 1;
DELETE FROM t WHERE a = 3 OR 'x' = 'x';
DELETE FROM t WHERE NOT false AND 2 > 1;
DELETE FROM t WHERE NOT (a = 3 AND 1 > 2) OR now() IS NULL;
UPDATE t SET v = 1;
-- A06: conditions that a row, a parameter or the moment decides
DELETE FROM t WHERE a > 100 AND true;
DELETE FROM t WHERE false;
DELETE FROM t WHERE NULL;
DELETE FROM t WHERE NOT NULL::bool OR a > 100;
DELETE FROM t WHERE now() < '2000-01-01';
DELETE FROM t WHERE random() > 2;
DELETE FROM t WHERE EXISTS (SELECT 1 FROM s);
PREPARE by_flag(bool) AS DELETE FROM t WHERE $1;
EXECUTE by_flag(false);
-- A07: columns are not looked at, even where nothing else is possible
BEGIN;
UPDATE t SET v = 1 WHERE a = a;
UPDATE t SET v = 1 WHERE a IS NOT NULL;
ROLLBACK;
RESET safeguard.true_is_unqualified;
-- A08: the same statements as R06 are accepted without it
BEGIN;
UPDATE t SET v = 1 WHERE 1 = 1;
DELETE FROM t WHERE a = 3 OR 'x' = 'x';
DELETE FROM t WHERE true;
ROLLBACK;

-- R09: decided at each execution, although the plan is cached
SET plan_cache_mode = force_generic_plan;
PREPARE all_true AS UPDATE t SET v = 4 WHERE true;
EXECUTE all_true;
SET safeguard.true_is_unqualified = on;
EXECUTE all_true;
RESET safeguard.true_is_unqualified;
EXECUTE all_true;
SET safeguard.unqualified_dml = off;
PREPARE every AS UPDATE t SET v = 5;
EXECUTE every;
SET safeguard.unqualified_dml = error;
EXECUTE every;
RESET plan_cache_mode;

-- R10: a view, whatever its own condition is
CREATE VIEW active AS SELECT * FROM t WHERE v > 0;
CREATE VIEW of_one AS SELECT * FROM active WHERE a = 1;
UPDATE active SET v = 1;
DELETE FROM of_one;
-- A10
UPDATE active SET v = 1 WHERE a = 100;
DELETE FROM of_one WHERE b = 100;
DELETE FROM s WHERE id IN (SELECT a FROM active);

-- R11: rules, DO ALSO and DO INSTEAD, whose action has no WHERE
CREATE TABLE ruled (id int, v int);
CREATE RULE clear AS ON UPDATE TO ruled DO ALSO DELETE FROM log;
UPDATE ruled SET v = 1 WHERE id = 1;
CREATE RULE wipe AS ON DELETE TO ruled DO INSTEAD UPDATE ruled SET v = -1;
DROP RULE clear ON ruled;
DELETE FROM ruled WHERE id = 1;
DROP RULE wipe ON ruled;
-- A11
CREATE RULE clear AS ON UPDATE TO ruled DO ALSO DELETE FROM log WHERE t_a = OLD.id;
UPDATE ruled SET v = 1 WHERE id = 1;
CREATE RULE keep AS ON DELETE TO ruled DO INSTEAD UPDATE ruled SET v = -1 WHERE id = OLD.id;
DELETE FROM ruled WHERE id = 1;

-- and a rule that writes to a view with INSTEAD OF triggers
CREATE VIEW inner_view AS SELECT id, v FROM ruled LIMIT 10;
CREATE VIEW outer_view AS SELECT id, v FROM inner_view WHERE v > 0;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER nothing INSTEAD OF DELETE ON inner_view FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE RULE pass AS ON DELETE TO outer_view DO INSTEAD DELETE FROM inner_view WHERE id = OLD.id;
DELETE FROM outer_view WHERE id = 1;
DELETE FROM inner_view WHERE id = 1;
-- R11b
DELETE FROM inner_view;

-- R11c: a view whose rules do the work: its own WHERE counts, not the action's
CREATE TABLE plain (id int, v int);
CREATE VIEW by_rule AS SELECT id, v FROM plain;
CREATE RULE change AS ON UPDATE TO by_rule DO INSTEAD UPDATE plain SET v = NEW.v WHERE id = OLD.id;
CREATE RULE remove AS ON DELETE TO by_rule DO INSTEAD DELETE FROM plain WHERE id = OLD.id;
CREATE RULE upsert AS ON INSERT TO by_rule DO INSTEAD UPDATE plain SET v = NEW.v WHERE id = NEW.id;
UPDATE by_rule SET v = 0;
DELETE FROM by_rule;
DELETE FROM outer_view;
SET safeguard.true_is_unqualified = on;
DELETE FROM by_rule WHERE true;
RESET safeguard.true_is_unqualified;
-- A11c
BEGIN;
UPDATE by_rule SET v = 0 WHERE id = 1;
UPDATE by_rule SET v = 0 FROM s WHERE s.id = by_rule.id;
INSERT INTO by_rule VALUES (1, 2);
INSERT INTO by_rule SELECT id, v FROM by_rule;
DELETE FROM by_rule WHERE true;
ROLLBACK;

-- R11d: a condition on nothing but a source of one row
UPDATE t SET v = 1 FROM (VALUES (1)) x(i) WHERE x.i = 1;
DELETE FROM t USING (SELECT max(id) AS m FROM s) x WHERE x.m > 0 OR x.m IS NULL;
MERGE INTO t USING (VALUES (1)) x(i) ON x.i = 1 WHEN MATCHED THEN DELETE;
MERGE INTO t USING (VALUES (1)) x(i) ON true WHEN MATCHED AND x.i = 1 THEN DELETE;
-- A11d: or on the target too, on chance, or of no column
BEGIN;
UPDATE t SET v = 1 FROM (VALUES (1)) x(i) WHERE x.i = 1 AND t.a = 1;
UPDATE t SET v = 1 FROM (VALUES (1)) x(i) WHERE EXISTS (SELECT 1 FROM s WHERE s.id = t.a AND s.x = x.i);
UPDATE t SET v = 1 FROM (VALUES (0.0)) x(share) WHERE random() < x.share;
UPDATE t SET v = 1 WHERE (SELECT max(id) FROM s) > 1000;
MERGE INTO t USING (VALUES (1)) x(i) ON x.i = 1 WHEN MATCHED AND t.a = 1 THEN DELETE;
MERGE INTO t USING (VALUES (2)) x(i) ON x.i = 1 WHEN NOT MATCHED THEN DO NOTHING;
ROLLBACK;

-- R12: in functions of every kind, in DO, in a trigger
CREATE FUNCTION atomic() RETURNS void BEGIN ATOMIC UPDATE t SET v = 6; END;
CREATE FUNCTION of_text() RETURNS void LANGUAGE sql AS 'UPDATE uq.t SET v = 6';
CREATE FUNCTION procedural() RETURNS void LANGUAGE plpgsql AS 'BEGIN UPDATE uq.t SET v = 6; END';
CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM uq.log; RETURN NULL; END';
CREATE TRIGGER fired AFTER UPDATE ON s FOR EACH STATEMENT EXECUTE FUNCTION fired();
SELECT atomic();
SELECT of_text();
SELECT procedural();
DO 'BEGIN DELETE FROM uq.t; END';
UPDATE s SET x = 1 WHERE id = 1;
DROP TRIGGER fired ON s;

-- A13: plain EXPLAIN is never refused, and warns only where it would be
DO $$ BEGIN EXECUTE 'EXPLAIN DELETE FROM t WHERE a = 1 AND b = 1'; END $$;
DO $$ BEGIN EXECUTE 'EXPLAIN DELETE FROM t'; END $$;
-- R13: EXPLAIN ANALYZE executes
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) DELETE FROM t;

-- A14: temporary tables
CREATE TEMP TABLE scratch (a int);
DELETE FROM scratch;
-- R14: unless asked for
SET safeguard.temp_tables = on;
DELETE FROM scratch;
RESET safeguard.temp_tables;

-- A15: referential actions, and what is no UPDATE or DELETE
CREATE TABLE child (s_id int REFERENCES s ON DELETE CASCADE ON UPDATE SET NULL);
INSERT INTO s VALUES (1, 1), (2, 2);
INSERT INTO child VALUES (1), (2);
UPDATE s SET id = 3 WHERE id = 1;
DELETE FROM s WHERE id = 2;
INSERT INTO log SELECT a FROM t;
INSERT INTO s VALUES (3, 3) ON CONFLICT (id) DO UPDATE SET x = 4;
SELECT * FROM t ORDER BY a LIMIT 1 FOR UPDATE;
TRUNCATE log;

-- A16: the row of a cursor
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM t WHERE a = 2 FOR UPDATE;
FETCH c;
UPDATE t SET v = 7 WHERE CURRENT OF c;
ROLLBACK;

-- partitions
CREATE TABLE part (id int, v int) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
-- R17
DELETE FROM part;
DELETE FROM part_1;
-- A17
DELETE FROM part WHERE id = 1;

-- levels: of one table, of a partition's root, of a role
SELECT safeguard.set_level('t', 'unqualified_dml', 'off', 'a test');
UPDATE t SET v = 8;
SELECT safeguard.set_level('part', 'unqualified_dml', 'warning');
DELETE FROM part_1;
SELECT safeguard.clear_level('part', 'unqualified_dml');
SELECT safeguard.clear_level('t', 'unqualified_dml');
UPDATE t SET v = 9;
SET client_min_messages = error;
DROP ROLE IF EXISTS regress_sg_uq;
RESET client_min_messages;
CREATE ROLE regress_sg_uq;
GRANT USAGE ON SCHEMA uq TO regress_sg_uq;
GRANT SELECT, DELETE ON log, active, by_rule TO regress_sg_uq;
ALTER TABLE log ENABLE ROW LEVEL SECURITY;
CREATE POLICY shown ON log USING (t_a > 0);
SET ROLE regress_sg_uq;
-- R18: under a policy
DELETE FROM log;
-- an ordinary user changes neither setting
SET safeguard.true_is_unqualified = on;
SET safeguard.unqualified_dml = off;
-- what stands behind a view is not told to whom may not read it
DELETE FROM active;
DELETE FROM by_rule;
RESET ROLE;
-- a function's own level
ALTER FUNCTION of_text() SET safeguard.unqualified_dml = warning;
SELECT of_text();

RESET safeguard.unqualified_dml;
\set VERBOSITY default
SET client_min_messages = error;
DROP SCHEMA uq CASCADE;
DROP OWNED BY regress_sg_uq;
DROP ROLE regress_sg_uq;
