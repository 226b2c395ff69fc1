--
-- Rule row_limit, safeguard.expected_rows: the number of rows that a statement
-- must affect, no more and no less.
--
CREATE SCHEMA row_limit;
SET search_path = row_limit, public;
SET safeguard.unlinked_from = off;
\set VERBOSITY terse

CREATE TABLE t (id int PRIMARY KEY, v int);
CREATE TABLE other (id int PRIMARY KEY, v int);
INSERT INTO t SELECT g, 0 FROM generate_series(1, 100) g;
INSERT INTO other SELECT g, 0 FROM generate_series(1, 100) g;

-- -1: any number
SHOW safeguard.expected_rows;
BEGIN;
UPDATE t SET v = 1;
ROLLBACK;

SET safeguard.expected_rows = 3;
BEGIN;
UPDATE t SET v = 1 WHERE id <= 3;
DELETE FROM t WHERE id <= 3 RETURNING id;
INSERT INTO t VALUES (1, 0), (2, 0), (3, 0);
MERGE INTO t USING generate_series(99, 101) g ON t.id = g WHEN MATCHED AND g = 99 THEN DELETE
 WHEN MATCHED THEN UPDATE SET v = 1 WHEN NOT MATCHED THEN INSERT VALUES (g, 0);
INSERT INTO t SELECT g, 1 FROM generate_series(100, 102) g ON CONFLICT (id) DO UPDATE SET v = 1;
INSERT INTO t SELECT g, 1 FROM generate_series(100, 105) g ON CONFLICT (id) DO NOTHING;
ROLLBACK;
-- fewer
UPDATE t SET v = 1 WHERE id <= 2;
DELETE FROM t WHERE id <= 2;
INSERT INTO t VALUES (101, 0), (102, 0);
MERGE INTO t USING generate_series(99, 100) g ON t.id = g WHEN MATCHED THEN DELETE;
INSERT INTO t SELECT g, 1 FROM generate_series(99, 102) g ON CONFLICT (id) DO NOTHING;
UPDATE t SET v = 1 WHERE id < 0;
UPDATE t SET v = 1 WHERE false;
-- more
UPDATE t SET v = 1 WHERE id <= 4;
DELETE FROM t WHERE id <= 4;
INSERT INTO t SELECT g, 0 FROM generate_series(101, 104) g;
MERGE INTO t USING generate_series(99, 102) g ON t.id = g WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (g, 0);
INSERT INTO t SELECT g, 1 FROM generate_series(99, 102) g ON CONFLICT (id) DO UPDATE SET v = 1;

-- rows really affected
BEGIN;
UPDATE t SET v = 1 FROM generate_series(1, 5) s WHERE t.id <= 3;
INSERT INTO t SELECT g, 1 FROM generate_series(1, 100) g ON CONFLICT (id) DO UPDATE SET v = 1 WHERE t.id <= 3;
ROLLBACK;

-- 0: nothing may change
SET safeguard.expected_rows = 0;
UPDATE t SET v = 1 WHERE id < 0;
UPDATE t SET v = 1 WHERE id = 1;

-- with data-modifying CTEs, read or not: all together
SET safeguard.expected_rows = 5;
BEGIN;
WITH d AS (DELETE FROM other WHERE id <= 2), i AS (INSERT INTO other VALUES (101, 0)) UPDATE t SET v = 1 WHERE id <= 2;
WITH d AS (DELETE FROM other WHERE id > 96 RETURNING id) SELECT count(*) FROM d;
ROLLBACK;
BEGIN;
WITH d AS (DELETE FROM other WHERE id <= 5 RETURNING id) SELECT id FROM d ORDER BY id LIMIT 1;
ROLLBACK;
WITH d AS (DELETE FROM other WHERE id <= 2), i AS (INSERT INTO other VALUES (101, 0)) UPDATE t SET v = 1 WHERE id <= 3;
WITH d AS (DELETE FROM other WHERE id <= 6 RETURNING id) SELECT id FROM d ORDER BY id LIMIT 1;
-- the number that the server tells stays what it is
\unset QUIET
BEGIN;
WITH d AS (DELETE FROM other WHERE id <= 2), i AS (INSERT INTO other VALUES (101, 0)) UPDATE t SET v = 1 WHERE id <= 2;
WITH d AS (DELETE FROM other WHERE id BETWEEN 11 AND 15 RETURNING id) SELECT id FROM d ORDER BY id LIMIT 1;
ROLLBACK;
\set QUIET on

-- a moved row counts once, a view's rows are those of its table
CREATE TABLE part (id int, v int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (50);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (50) TO (1000);
SET safeguard.expected_rows = -1;
INSERT INTO part SELECT g, 0 FROM generate_series(1, 100) g;
SET safeguard.expected_rows = 5;
BEGIN;
UPDATE part SET id = id + 100 WHERE id <= 5;
ROLLBACK;
UPDATE part SET id = id + 100 WHERE id <= 6;
CREATE VIEW simple AS SELECT * FROM t WHERE id > 50;
BEGIN;
DELETE FROM simple WHERE id <= 55;
ROLLBACK;
DELETE FROM simple WHERE id <= 56;

-- referential actions and triggers do not count
CREATE TABLE child (id int REFERENCES t ON DELETE CASCADE);
SET safeguard.expected_rows = 20;
INSERT INTO child SELECT g % 10 + 1 FROM generate_series(1, 20) g;
SET safeguard.expected_rows = 5;
BEGIN;
DELETE FROM t WHERE id <= 5;
ROLLBACK;
DELETE FROM t WHERE id <= 6;
DROP TABLE child;

-- it comes before AFTER triggers
CREATE FUNCTION after() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'after % of % rows', TG_OP, (SELECT count(*) FROM changed);
    RETURN NULL;
END $$;
CREATE TRIGGER after AFTER DELETE ON t REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION after();
BEGIN;
DELETE FROM t WHERE id <= 5;
ROLLBACK;
DELETE FROM t WHERE id <= 6;
WITH d AS (DELETE FROM t WHERE id <= 6) SELECT 1 AS one;
DROP TRIGGER after ON t;

-- a rule adds nothing: it has no part in the command tag
CREATE TABLE log (id int, v int);
CREATE RULE also AS ON DELETE TO t DO ALSO INSERT INTO log SELECT OLD.id, g FROM generate_series(1, 2) g;
BEGIN;
DELETE FROM t WHERE id <= 5;
ROLLBACK;
DELETE FROM t WHERE id <= 6;
DROP RULE also ON t;

-- SELECT, COPY FROM, utility commands are not judged
BEGIN;
SELECT count(*) FROM t;
COPY other FROM stdin;
1001	0
\.
CREATE TABLE copied AS SELECT * FROM t;
SELECT * INTO copied_too FROM t;
TRUNCATE other;
ROLLBACK;

-- beside a limit: each by itself
SET safeguard.max_rows = 10;
BEGIN;
DELETE FROM t WHERE id <= 5;
ROLLBACK;
DELETE FROM t WHERE id <= 6;
DELETE FROM t WHERE id <= 11;

-- what is told in full
\set VERBOSITY default
DELETE FROM t WHERE id <= 6;
SET safeguard.expected_rows = 0;
WITH d AS (DELETE FROM other WHERE id <= 6), u AS (UPDATE t SET v = 1 WHERE id = 1) SELECT 1 AS one;
\set VERBOSITY sqlstate
DELETE FROM t WHERE id <= 6;
\set VERBOSITY default
-- both at level warning
SET safeguard.row_limit = warning;
BEGIN;
DELETE FROM t WHERE id <= 11;
ROLLBACK;
RESET safeguard.row_limit;

SELECT count(*), sum(v) FROM t;
SELECT count(*), sum(v) FROM other;
SET client_min_messages = warning;
DROP SCHEMA row_limit CASCADE;
