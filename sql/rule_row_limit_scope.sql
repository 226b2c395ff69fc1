--
-- Rule row_limit: whose statements are judged, at which level, and who may set
-- the limits.
--
CREATE SCHEMA row_limit;
SET search_path = row_limit, public;
\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE TABLE t (id int PRIMARY KEY, v int);
CREATE TABLE other (id int PRIMARY KEY, v int);
INSERT INTO t SELECT g, 0 FROM generate_series(1, 100) g;
INSERT INTO other SELECT g, 0 FROM generate_series(1, 100) g;

--
-- The limits: the smaller one that is not 0
--
SHOW safeguard.max_rows;
SHOW safeguard.max_rows_session;
BEGIN;
DELETE FROM t;
ROLLBACK;
SET safeguard.max_rows_session = 5;
BEGIN;
DELETE FROM t WHERE id <= 5;
ROLLBACK;
DELETE FROM t WHERE id <= 6;
SET safeguard.max_rows = 10;
DELETE FROM t WHERE id <= 6;
SET safeguard.max_rows_session = 20;
BEGIN;
DELETE FROM t WHERE id <= 10;
ROLLBACK;
DELETE FROM t WHERE id <= 11;
SET safeguard.max_rows_session = 0;
DELETE FROM t WHERE id <= 11;
SET safeguard.max_rows_session = -1;
SET safeguard.max_rows = -1;
SET safeguard.expected_rows = -2;

-- who may set them
CREATE ROLE regress_sg_limited;
GRANT USAGE ON SCHEMA row_limit TO regress_sg_limited;
GRANT SELECT, UPDATE, DELETE ON ALL TABLES IN SCHEMA row_limit TO regress_sg_limited;
SET ROLE regress_sg_limited;
SET safeguard.max_rows = 0;
SET safeguard.max_rows = 20;
SET safeguard.row_limit = off;
SET safeguard.max_rows_session = 20;
DELETE FROM t WHERE id <= 11;
SET safeguard.max_rows_session = 5;
DELETE FROM t WHERE id <= 6;
SET safeguard.expected_rows = 2;
DELETE FROM t WHERE id <= 3;
RESET safeguard.expected_rows;
RESET safeguard.max_rows_session;
RESET ROLE;
GRANT SET ON PARAMETER safeguard.max_rows TO regress_sg_limited;
SET ROLE regress_sg_limited;
BEGIN;
SET LOCAL safeguard.max_rows = 20;
DELETE FROM t WHERE id <= 11;
ROLLBACK;
DELETE FROM t WHERE id <= 11;
RESET ROLE;
REVOKE SET ON PARAMETER safeguard.max_rows FROM regress_sg_limited;
-- a role that may not write there learns nothing
REVOKE DELETE ON t FROM regress_sg_limited;
SET ROLE regress_sg_limited;
DELETE FROM t WHERE id <= 11;
RESET ROLE;

--
-- Levels
--
SET safeguard.row_limit = warning;
BEGIN;
DELETE FROM t WHERE id <= 10;
DELETE FROM t WHERE id BETWEEN 11 AND 50;
SELECT count(*) FROM t;
ROLLBACK;
BEGIN;
WITH d AS (DELETE FROM other WHERE id <= 30) UPDATE t SET v = 1 WHERE id <= 30;
ROLLBACK;
SET safeguard.row_limit = record;
BEGIN;
DELETE FROM t;
ROLLBACK;
SET safeguard.row_limit = off;
BEGIN;
DELETE FROM t;
ROLLBACK;
RESET safeguard.row_limit;
SET safeguard.max_level = record;
BEGIN;
DELETE FROM t;
ROLLBACK;
RESET safeguard.max_level;
SET safeguard.enabled = off;
BEGIN;
DELETE FROM t;
ROLLBACK;
RESET safeguard.enabled;
-- a table of its own level: its rows do not count for what is stricter
SELECT safeguard.set_level('t', 'row_limit', 'off');
BEGIN;
DELETE FROM t;
ROLLBACK;
DELETE FROM other;
BEGIN;
WITH d AS (DELETE FROM t) UPDATE other SET v = 1 WHERE id <= 10;
ROLLBACK;
WITH d AS (DELETE FROM t) UPDATE other SET v = 1 WHERE id <= 11;
SELECT safeguard.set_level('t', 'row_limit', 'warning');
BEGIN;
WITH d AS (DELETE FROM t) UPDATE other SET v = 1 WHERE id <= 10;
ROLLBACK;
BEGIN;
WITH d AS (DELETE FROM t WHERE id = 1) UPDATE other SET v = 1 WHERE id <= 10;
ROLLBACK;
WITH d AS (DELETE FROM t) UPDATE other SET v = 1 WHERE id <= 11;
WITH d AS (DELETE FROM t RETURNING id) UPDATE other SET v = 1 FROM d WHERE other.id = d.id;
SELECT safeguard.clear_level('t', 'row_limit');
DELETE FROM t;
-- expected_rows too
SET safeguard.expected_rows = 1;
SELECT safeguard.set_level('t', 'row_limit', 'warning');
BEGIN;
DELETE FROM t WHERE id <= 3;
ROLLBACK;
SELECT safeguard.clear_level('t', 'row_limit');
DELETE FROM t WHERE id <= 3;
RESET safeguard.expected_rows;

-- temporary tables
CREATE TEMP TABLE tmp AS SELECT g AS id FROM generate_series(1, 100) g;
BEGIN;
DELETE FROM tmp;
WITH d AS (DELETE FROM t WHERE id <= 10 RETURNING id), m AS (DELETE FROM tmp) SELECT count(*) FROM d;
ROLLBACK;
SET safeguard.temp_tables = on;
DELETE FROM tmp;
RESET safeguard.temp_tables;
DROP TABLE tmp;

--
-- EXPLAIN is none, EXPLAIN ANALYZE an execution
--
EXPLAIN (COSTS OFF) DELETE FROM t \g /dev/null
EXPLAIN (COSTS OFF, ANALYZE) DELETE FROM t \g /dev/null
BEGIN;
EXPLAIN (COSTS OFF, ANALYZE) DELETE FROM t WHERE id <= 10 \g /dev/null
ROLLBACK;
-- it shows the rows of each part as ever
\pset format unaligned
\t on
BEGIN;
EXPLAIN (COSTS OFF, ANALYZE)
WITH i AS (INSERT INTO t SELECT g, 1 FROM generate_series(96, 103) g ON CONFLICT (id) DO UPDATE SET v = 1) DELETE FROM other WHERE id <= 5
\g | grep -E -o '(Tuples Inserted|Conflicting Tuples): .*'
EXPLAIN (COSTS OFF, ANALYZE)
WITH i AS (INSERT INTO t SELECT g, 1 FROM generate_series(96, 103) g ON CONFLICT (id) DO UPDATE SET v = 1) DELETE FROM other WHERE id <= 8
\g | grep -E -o '(Tuples Inserted|Conflicting Tuples): .*'
ROLLBACK;
\t off
\pset format aligned

--
-- What a client sends is judged: EXECUTE, with any plan, COPY (...) TO
--
PREPARE del(int) AS DELETE FROM t WHERE id <= $1;
SET plan_cache_mode = force_generic_plan;
BEGIN;
EXECUTE del(10);
ROLLBACK;
EXECUTE del(11);
SET safeguard.max_rows = 0;
BEGIN;
EXECUTE del(11);
ROLLBACK;
SET safeguard.max_rows = 10;
EXECUTE del(11);
RESET plan_cache_mode;
EXPLAIN (COSTS OFF, ANALYZE) EXECUTE del(11) \g /dev/null
BEGIN;
COPY (DELETE FROM t WHERE id <= 2 RETURNING id) TO stdout;
ROLLBACK;
\o /dev/null
COPY (DELETE FROM t WHERE id <= 11 RETURNING id) TO stdout;
\o

--
-- What runs inside of something else is not: functions of any language, DO,
-- procedures, triggers, deferred ones at commit too
--
BEGIN;
DO $$ BEGIN DELETE FROM row_limit.t; END $$;
ROLLBACK;
BEGIN;
DO $$ BEGIN EXECUTE 'DELETE FROM row_limit.t'; END $$;
ROLLBACK;
BEGIN;
DO $$ DECLARE r record; BEGIN FOR r IN DELETE FROM row_limit.t RETURNING id LOOP NULL; END LOOP; END $$;
ROLLBACK;
CREATE PROCEDURE purge_plpgsql() LANGUAGE plpgsql AS $$ BEGIN DELETE FROM row_limit.t; ROLLBACK; END $$;
CALL purge_plpgsql();
CREATE PROCEDURE purge_sql() LANGUAGE sql AS $$ DELETE FROM row_limit.t $$;
CREATE PROCEDURE purge_atomic() LANGUAGE sql BEGIN ATOMIC DELETE FROM row_limit.t; END;
CREATE FUNCTION purge() RETURNS int LANGUAGE sql AS $$ DELETE FROM row_limit.t; SELECT 1 $$;
BEGIN;
CALL purge_sql();
ROLLBACK;
BEGIN;
CALL purge_atomic();
ROLLBACK;
BEGIN;
SELECT purge();
ROLLBACK;
BEGIN;
UPDATE other SET v = purge() WHERE id = 1;
ROLLBACK;
BEGIN;
COPY (SELECT purge()) TO stdout;
ROLLBACK;
BEGIN;
CREATE TABLE made AS SELECT purge();
ROLLBACK;
-- with a limit that the function sets for itself, too
CREATE FUNCTION purge_limited() RETURNS int LANGUAGE sql SET safeguard.max_rows_session = 1 AS $$ DELETE FROM row_limit.t; SELECT 1 $$;
BEGIN;
SELECT purge_limited();
ROLLBACK;
-- a prepared statement that a function executes
BEGIN;
DO $$ BEGIN EXECUTE 'EXECUTE del(50)'; END $$;
ROLLBACK;
-- a cursor that calls a function
BEGIN;
DECLARE c CURSOR FOR SELECT purge();
FETCH c;
-- and a statement while it is open: judged
DELETE FROM other WHERE id <= 11;
ROLLBACK;
CREATE FUNCTION purge_other() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM row_limit.other;
    RAISE NOTICE 'other has been emptied';
    RETURN NULL;
END $$;
CREATE TRIGGER purge_other AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION purge_other();
BEGIN;
DELETE FROM t WHERE id = 1;
ROLLBACK;
DROP TRIGGER purge_other ON t;
CREATE CONSTRAINT TRIGGER purge_other AFTER DELETE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION purge_other();
BEGIN;
DELETE FROM t WHERE id = 1;
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK;
BEGIN;
DELETE FROM t WHERE id = 1;
COMMIT;
SELECT count(*) FROM other;
DROP TRIGGER purge_other ON t;
INSERT INTO t VALUES (1, 0);
INSERT INTO other SELECT g, 0 FROM generate_series(1, 100) g;

--
-- An error in a subtransaction leaves nothing behind
--
BEGIN;
SAVEPOINT s;
DELETE FROM t;
ROLLBACK TO s;
DELETE FROM t WHERE id <= 10;
SAVEPOINT s;
WITH d AS (DELETE FROM t RETURNING id) SELECT 1 / (id - 15) FROM d;
ROLLBACK TO s;
DELETE FROM t WHERE id <= 20;
WITH d AS (DELETE FROM t RETURNING id) SELECT count(*) FROM d;
ROLLBACK;
DELETE FROM t WHERE id <= 11;

SELECT count(*), sum(v) FROM t;
SET client_min_messages = warning;
DEALLOCATE ALL;
DROP SCHEMA row_limit CASCADE;
DROP ROLE regress_sg_limited;
