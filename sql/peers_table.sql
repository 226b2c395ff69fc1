--
-- Statements that other guards are known to let through or to refuse wrongly,
-- each with the verdict of safeguard.  One line of the table is one block; a
-- refusal leaves the table as it was, which the counts show.
--
CREATE SCHEMA peers;
SET search_path = peers;
CREATE TABLE t (a int, b int, v int, PRIMARY KEY (a, b));
CREATE TABLE s (id int PRIMARY KEY, x int);
CREATE TABLE pt (a int, v int) PARTITION BY RANGE (a);
CREATE TABLE pt_1 PARTITION OF pt FOR VALUES FROM (0) TO (1000);
CREATE TABLE log (note text);
CREATE TABLE child (s_id int REFERENCES s ON DELETE CASCADE);
INSERT INTO t SELECT i % 10, i, 0 FROM generate_series(1, 1000) i;
INSERT INTO s SELECT i, i FROM generate_series(1, 5) i;
INSERT INTO pt SELECT i, 0 FROM generate_series(1, 10) i;
INSERT INTO log SELECT 'kept' FROM generate_series(1, 3);
INSERT INTO child VALUES (1), (2);
SELECT rule, default_level FROM safeguard.rules
 WHERE rule IN ('composite_key', 'unqualified_dml', 'outer_reference', 'unlinked_from');
-- what is only recorded or warned of by default is refused here
SET safeguard.unqualified_dml = error;
SET safeguard.unlinked_from = error;
\set VERBOSITY terse

-- UPDATE and DELETE without WHERE: rejected
UPDATE t SET v = 1;
DELETE FROM t;

-- WHERE true: the accepted idiom, and rejected on demand
BEGIN;
UPDATE t SET v = 1 WHERE true;
DELETE FROM t WHERE true;
ROLLBACK;
SET safeguard.true_is_unqualified = on;
UPDATE t SET v = 1 WHERE true;
DELETE FROM t WHERE true;
RESET safeguard.true_is_unqualified;

-- a data-modifying CTE without WHERE: rejected
WITH d AS (DELETE FROM t RETURNING 1) SELECT count(*) FROM d;

-- MERGE ON true WHEN MATCHED DELETE: rejected
MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE;

-- one column of a composite key by IN: rejected
UPDATE t SET v = 1 WHERE a IN (SELECT a FROM t WHERE b = 17);
-- the same from a table that has one number only: t.a need not come from s, which knows nothing of b: accepted
BEGIN;
UPDATE t SET v = 1 WHERE a IN (SELECT id FROM s WHERE x = 1);
ROLLBACK;

-- a column that only the outer table has: rejected
UPDATE t SET v = 1 WHERE b IN (SELECT b FROM s);

-- FROM without a link to the target: rejected
UPDATE t SET v = 1 FROM s WHERE s.id = 1;

-- FROM with a join but without WHERE: rejected, since it changes every row
UPDATE t SET v = 1 FROM s x JOIN s y ON x.id = y.id;
-- with a link: accepted
BEGIN;
UPDATE t SET v = 1 FROM s x JOIN s y ON x.id = y.id WHERE t.a = x.id AND t.b = y.x;
ROLLBACK;

-- a rule DO ALSO whose action is a DELETE without WHERE: accepted at CREATE RULE, rejected when it runs
CREATE TABLE ruled (id int);
CREATE RULE also AS ON UPDATE TO ruled DO ALSO DELETE FROM log;
UPDATE ruled SET id = 2 WHERE id = 1;
SELECT count(*) FROM log;

-- a function with a BEGIN ATOMIC body: accepted at CREATE, rejected when it runs
CREATE FUNCTION atomic() RETURNS void BEGIN ATOMIC UPDATE t SET v = 1; END;
SELECT atomic();

-- a function with a text as body, PL/pgSQL, a trigger, DO: rejected
CREATE FUNCTION of_text() RETURNS void LANGUAGE sql AS 'UPDATE peers.t SET v = 1';
SELECT of_text();
CREATE FUNCTION procedural() RETURNS void LANGUAGE plpgsql AS 'BEGIN DELETE FROM peers.t; END';
SELECT procedural();
CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM peers.log; RETURN NULL; END';
CREATE TRIGGER fired AFTER UPDATE ON s FOR EACH STATEMENT EXECUTE FUNCTION fired();
UPDATE s SET x = 0 WHERE id = 1;
DROP TRIGGER fired ON s;
DO 'BEGIN DELETE FROM peers.t; END';

-- COPY (DELETE ... RETURNING): rejected
COPY (DELETE FROM t RETURNING a) TO STDOUT;

-- an auto-updatable view without WHERE: rejected
CREATE VIEW shown AS SELECT * FROM t WHERE v = 0;
UPDATE shown SET v = 1;
DELETE FROM shown;

-- prepared while the rule was off, executed after: rejected
SET safeguard.unqualified_dml = off;
SET plan_cache_mode = force_generic_plan;
PREPARE early AS UPDATE t SET v = 0;
EXECUTE early;
SET safeguard.unqualified_dml = error;
EXECUTE early;
RESET plan_cache_mode;

-- plain EXPLAIN: a warning, never refused
EXPLAIN (COSTS OFF) UPDATE t SET v = 1;

-- DELETE from a temporary table: accepted
CREATE TEMP TABLE scratch AS SELECT 1 AS a;
DELETE FROM scratch;

-- under session_replication_role = replica: still rejected
SET session_replication_role = replica;
DELETE FROM t;
RESET session_replication_role;
-- [constraint_bypass: the SET above, and the first write under it]

-- REFRESH MATERIALIZED VIEW, CONCURRENTLY too, and ON DELETE CASCADE: accepted
CREATE MATERIALIZED VIEW mv AS SELECT * FROM t;
CREATE UNIQUE INDEX ON mv (a, b);
REFRESH MATERIALIZED VIEW mv;
UPDATE t SET v = 2 WHERE a = 1 AND b = 11;
REFRESH MATERIALIZED VIEW CONCURRENTLY mv;
DELETE FROM s WHERE id = 1;
SELECT count(*) FROM child;

-- an ordinary user switches it off: refused
SET client_min_messages = error;
DROP ROLE IF EXISTS regress_sg_peers;
RESET client_min_messages;
CREATE ROLE regress_sg_peers;
SET ROLE regress_sg_peers;
SET safeguard.unqualified_dml = off;
SET safeguard.enabled = off;
SET safeguard.max_level = record;
SET safeguard.true_is_unqualified = off;
-- who may not read a table is not told of its size or shape
DELETE FROM peers.t;
RESET ROLE;

-- [row_limit: CTEs, MERGE, tables that were never analysed, bloated ones, and plain EXPLAIN]

-- [destructive_ddl: CREATE TABLE ... PRIMARY KEY; CREATE INDEX on a temporary, an empty and a partitioned table;
--  TRUNCATE of a partitioned table; DROP SCHEMA ... CASCADE; ALTER TABLE ADD UNIQUE; a restore of a dump]

-- [lock_timeout: DDL on an existing table]

-- nothing was changed by what was refused
SELECT count(*), count(*) FILTER (WHERE v <> 0) AS changed FROM t;

\set VERBOSITY default
SET client_min_messages = error;
DROP SCHEMA peers CASCADE;
DROP ROLE regress_sg_peers;
