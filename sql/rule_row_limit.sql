--
-- Rule row_limit, the limit: rows really changed count, and the statement ends
-- at the first one too many. Cases come in pairs: just as many as the limit, and
-- one more. All of them are rolled back.
--
CREATE SCHEMA row_limit;
SET search_path = row_limit, public;
SET safeguard.unlinked_from = off;
\set VERBOSITY terse

CREATE TABLE t (id int PRIMARY KEY, v int);
CREATE TABLE other (id int PRIMARY KEY, v int);
INSERT INTO t SELECT g, 0 FROM generate_series(1, 100) g;
INSERT INTO other SELECT g, 0 FROM generate_series(1, 100) g;

SET safeguard.max_rows = 10;

--
-- It stops at the first row too many: a trigger that counts in a sequence, which
-- no rollback takes back, sees eleven rows of a hundred thousand.
--
CREATE TABLE big (id int);
INSERT INTO big SELECT g FROM generate_series(1, 100000) g;
CREATE SEQUENCE touched;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM nextval('row_limit.touched');
    RETURN OLD;
END $$;
CREATE TRIGGER touch BEFORE DELETE ON big FOR EACH ROW EXECUTE FUNCTION touch();
DELETE FROM big;
SELECT last_value AS touched FROM touched;
-- nothing has changed
SELECT count(*) FROM big;
-- in a CTE, which nobody reads
SELECT setval('touched', 1, false);
WITH d AS (DELETE FROM big) SELECT 1 AS one;
SELECT last_value AS touched FROM touched;
-- and with RETURNING
SELECT setval('touched', 1, false);
WITH d AS (DELETE FROM big RETURNING id) SELECT count(*) FROM d;
SELECT last_value AS touched FROM touched;
SELECT count(*) FROM big;
DROP TABLE big;

--
-- UPDATE and DELETE
--
BEGIN;
UPDATE t SET v = 1 WHERE id <= 10;
ROLLBACK;
UPDATE t SET v = 1 WHERE id <= 11;
BEGIN;
DELETE FROM t WHERE id <= 10;
ROLLBACK;
DELETE FROM t WHERE id <= 11;
BEGIN;
DELETE FROM t WHERE id <= 10 RETURNING id \g /dev/null
ROLLBACK;
DELETE FROM t WHERE id <= 11 RETURNING id \g /dev/null
-- one statement at a time
BEGIN;
DELETE FROM t WHERE id <= 10;
DELETE FROM t WHERE id <= 20;
ROLLBACK;
-- a limit of one
SET safeguard.max_rows = 1;
BEGIN;
DELETE FROM t WHERE id = 1;
ROLLBACK;
DELETE FROM t WHERE id <= 2;
SET safeguard.max_rows = 10;

--
-- Rows that are only looked at do not count: a target row found twice, ...
--
BEGIN;
UPDATE t SET v = 1 FROM generate_series(1, 5) s WHERE t.id <= 10;
ROLLBACK;
UPDATE t SET v = 1 FROM generate_series(1, 5) s WHERE t.id <= 11;
BEGIN;
DELETE FROM t USING generate_series(1, 5) s WHERE t.id <= 10;
ROLLBACK;
DELETE FROM t USING generate_series(1, 5) s WHERE t.id <= 11;
-- ... in a CTE too, ...
BEGIN;
WITH u AS (UPDATE t SET v = 1 FROM generate_series(1, 5) s WHERE t.id <= 10) SELECT 1 AS one;
ROLLBACK;
WITH u AS (UPDATE t SET v = 1 FROM generate_series(1, 5) s WHERE t.id <= 11) SELECT 1 AS one;
-- ... or one that a BEFORE trigger turns down
CREATE FUNCTION keep_odd() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE WHEN OLD.id % 2 = 1 THEN NULL WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER keep_odd BEFORE UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep_odd();
BEGIN;
DELETE FROM t WHERE id <= 21;
ROLLBACK;
DELETE FROM t WHERE id <= 22;
BEGIN;
UPDATE t SET v = 1 WHERE id <= 21;
ROLLBACK;
UPDATE t SET v = 1 WHERE id <= 22;
BEGIN;
WITH d AS (DELETE FROM t WHERE id <= 21) SELECT 1 AS one;
ROLLBACK;
WITH d AS (DELETE FROM t WHERE id <= 22) SELECT 1 AS one;
BEGIN;
INSERT INTO t SELECT g, 1 FROM generate_series(1, 21) g ON CONFLICT (id) DO UPDATE SET v = 1;
ROLLBACK;
INSERT INTO t SELECT g, 1 FROM generate_series(1, 22) g ON CONFLICT (id) DO UPDATE SET v = 1;
BEGIN;
MERGE INTO t USING generate_series(1, 21) g ON t.id = g WHEN MATCHED THEN UPDATE SET v = 1;
ROLLBACK;
MERGE INTO t USING generate_series(1, 22) g ON t.id = g WHEN MATCHED THEN UPDATE SET v = 1;
DROP TRIGGER keep_odd ON t;

--
-- INSERT is no matter of the limit, nor is COPY FROM
--
BEGIN;
INSERT INTO t SELECT g, 0 FROM generate_series(101, 200) g;
INSERT INTO t SELECT g, 0 FROM generate_series(1, 200) g ON CONFLICT DO NOTHING;
WITH i AS (INSERT INTO t SELECT g, 0 FROM generate_series(201, 300) g) SELECT 1 AS one;
COPY other FROM stdin;
1001	0
1002	0
1003	0
1004	0
1005	0
1006	0
1007	0
1008	0
1009	0
1010	0
1011	0
\.
ROLLBACK;
-- ON CONFLICT DO UPDATE: the rows that were there
BEGIN;
INSERT INTO t SELECT g, 1 FROM generate_series(91, 150) g ON CONFLICT (id) DO UPDATE SET v = 1;
ROLLBACK;
INSERT INTO t SELECT g, 1 FROM generate_series(90, 150) g ON CONFLICT (id) DO UPDATE SET v = 1;
-- those that its WHERE leaves alone do not count
BEGIN;
INSERT INTO t SELECT g, 1 FROM generate_series(1, 150) g ON CONFLICT (id) DO UPDATE SET v = 1 WHERE t.id > 90;
ROLLBACK;
INSERT INTO t SELECT g, 1 FROM generate_series(1, 150) g ON CONFLICT (id) DO UPDATE SET v = 1 WHERE t.id > 89;
BEGIN;
WITH i AS (INSERT INTO t SELECT g, 1 FROM generate_series(91, 150) g ON CONFLICT (id) DO UPDATE SET v = 1) SELECT 1 AS one;
ROLLBACK;
WITH i AS (INSERT INTO t SELECT g, 1 FROM generate_series(90, 150) g ON CONFLICT (id) DO UPDATE SET v = 1 RETURNING id) SELECT count(*) FROM i;
BEGIN;
INSERT INTO t SELECT g, 1 FROM generate_series(91, 110) g ON CONFLICT (id) DO UPDATE SET v = 1 RETURNING id \g /dev/null
ROLLBACK;
INSERT INTO t SELECT g, 1 FROM generate_series(90, 110) g ON CONFLICT (id) DO UPDATE SET v = 1 RETURNING id \g /dev/null

--
-- MERGE: updated and deleted, not inserted, not left alone
--
BEGIN;
MERGE INTO t USING generate_series(1, 200) g ON t.id = g
 WHEN MATCHED AND g <= 5 THEN DELETE
 WHEN MATCHED AND g <= 10 THEN UPDATE SET v = 1
 WHEN MATCHED THEN DO NOTHING
 WHEN NOT MATCHED THEN INSERT VALUES (g, 0);
ROLLBACK;
MERGE INTO t USING generate_series(1, 200) g ON t.id = g
 WHEN MATCHED AND g <= 5 THEN DELETE
 WHEN MATCHED AND g <= 11 THEN UPDATE SET v = 1
 WHEN MATCHED THEN DO NOTHING
 WHEN NOT MATCHED THEN INSERT VALUES (g, 0);

--
-- Data-modifying CTEs: the sum over the statement
--
BEGIN;
WITH d AS (DELETE FROM other WHERE id <= 6) UPDATE t SET v = 1 WHERE id <= 4;
ROLLBACK;
WITH d AS (DELETE FROM other WHERE id <= 6) UPDATE t SET v = 1 WHERE id <= 5;
BEGIN;
WITH d AS (DELETE FROM other WHERE id <= 6 RETURNING id), u AS (UPDATE t SET v = 1 FROM d WHERE t.id = d.id AND d.id <= 4 RETURNING t.id)
SELECT count(*) FROM u;
ROLLBACK;
WITH d AS (DELETE FROM other WHERE id <= 6 RETURNING id), u AS (UPDATE t SET v = 1 FROM d WHERE t.id = d.id AND d.id <= 5 RETURNING t.id)
SELECT count(*) FROM u;
-- rows of one table, by two parts of the statement
BEGIN;
WITH d AS (DELETE FROM t WHERE id <= 6) UPDATE t SET v = 1 WHERE id BETWEEN 11 AND 14;
ROLLBACK;
WITH d AS (DELETE FROM t WHERE id <= 6) UPDATE t SET v = 1 WHERE id BETWEEN 11 AND 15;
-- the command tag is the server's own
BEGIN;
WITH d AS (DELETE FROM other WHERE id <= 6 RETURNING id) INSERT INTO t SELECT id + 1000 FROM d;
WITH d AS (DELETE FROM t WHERE id <= 3 RETURNING id) SELECT count(*) FROM d;
WITH d AS (DELETE FROM t WHERE id <= 6 RETURNING id) UPDATE t SET v = 1 FROM d WHERE t.id = d.id + 10 AND d.id < 6;
ROLLBACK;

--
-- Partitions: the row that an UPDATE moves to another partition counts once
--
CREATE TABLE part (id int, v int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (50);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (50) TO (1000);
INSERT INTO part SELECT g, 0 FROM generate_series(1, 100) g;
BEGIN;
UPDATE part SET id = id + 100 WHERE id <= 10;
ROLLBACK;
UPDATE part SET id = id + 100 WHERE id <= 11;
BEGIN;
DELETE FROM part WHERE id BETWEEN 45 AND 54;
ROLLBACK;
DELETE FROM part WHERE id BETWEEN 45 AND 55;
BEGIN;
WITH u AS (UPDATE part SET id = id + 100 WHERE id <= 10) SELECT 1 AS one;
ROLLBACK;
WITH u AS (UPDATE part SET id = id + 100 WHERE id <= 11) SELECT 1 AS one;
BEGIN;
MERGE INTO part USING generate_series(1, 10) g ON part.id = g WHEN MATCHED THEN UPDATE SET id = part.id + 100;
ROLLBACK;
MERGE INTO part USING generate_series(1, 11) g ON part.id = g WHEN MATCHED THEN UPDATE SET id = part.id + 100;
-- a moved row that a BEFORE trigger keeps where it is has not been changed
CREATE FUNCTION keep_all() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep_all BEFORE DELETE ON part_1 FOR EACH ROW EXECUTE FUNCTION keep_all();
MERGE INTO part USING generate_series(1, 11) g ON part.id = g WHEN MATCHED THEN UPDATE SET id = part.id + 100;
DROP TABLE part;

--
-- Views: rows of the table under them, or rows that an INSTEAD OF trigger has
-- taken for changed
--
CREATE VIEW simple AS SELECT * FROM t WHERE id > 50;
BEGIN;
DELETE FROM simple WHERE id <= 60;
ROLLBACK;
DELETE FROM simple WHERE id <= 61;
CREATE VIEW joined AS SELECT t.id, other.v FROM t JOIN other USING (id);
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.id % 2 = 1 THEN
        RETURN NULL;
    END IF;
    DELETE FROM row_limit.t WHERE id = OLD.id;
    RETURN OLD;
END $$;
CREATE TRIGGER instead INSTEAD OF DELETE ON joined FOR EACH ROW EXECUTE FUNCTION instead();
BEGIN;
DELETE FROM joined WHERE id <= 21;
ROLLBACK;
DELETE FROM joined WHERE id <= 22;
DROP VIEW joined;

--
-- Referential actions do not count, nor what triggers do
--
CREATE TABLE child (id int REFERENCES t ON DELETE CASCADE);
INSERT INTO child SELECT g % 10 + 1 FROM generate_series(1, 100) g;
BEGIN;
DELETE FROM t WHERE id <= 10;
SELECT count(*) FROM child;
ROLLBACK;
DELETE FROM t WHERE id <= 11;
DROP TABLE child;

--
-- Rules: what one statement has been made into counts as one
--
CREATE TABLE log (id int, v int);
INSERT INTO log SELECT g, 0 FROM generate_series(1, 100) g;
CREATE RULE also AS ON DELETE TO t DO ALSO DELETE FROM log WHERE log.id = OLD.id;
BEGIN;
DELETE FROM t WHERE id <= 5;
DELETE FROM t WHERE id BETWEEN 6 AND 10;
ROLLBACK;
DELETE FROM t WHERE id <= 6;
PREPARE ruled(int) AS DELETE FROM t WHERE id <= $1;
BEGIN;
EXECUTE ruled(5);
EXECUTE ruled(5);
ROLLBACK;
EXECUTE ruled(6);
DEALLOCATE ruled;
DROP RULE also ON t;
CREATE RULE instead AS ON DELETE TO t DO INSTEAD UPDATE t SET v = -1 WHERE id = OLD.id;
BEGIN;
DELETE FROM t WHERE id <= 10;
ROLLBACK;
DELETE FROM t WHERE id <= 11;
DROP RULE instead ON t;

-- what is told in full
\set VERBOSITY default
UPDATE t SET v = 1;
WITH d AS (DELETE FROM t WHERE id <= 6) UPDATE t SET v = 1 WHERE id > 90;
WITH d AS (DELETE FROM other WHERE id <= 6), u AS (UPDATE t SET v = 1 WHERE id > 90) SELECT 1 AS one;
SET safeguard.max_rows_session = 5;
MERGE INTO t USING other ON t.id = other.id WHEN MATCHED THEN DELETE;
RESET safeguard.max_rows_session;
\set VERBOSITY sqlstate
UPDATE t SET v = 1;

-- nothing of all this has changed anything
SELECT count(*), sum(v) FROM t;
SELECT count(*), sum(v) FROM other;
SELECT count(*), sum(v) FROM log;
SET client_min_messages = warning;
DROP SCHEMA row_limit CASCADE;
