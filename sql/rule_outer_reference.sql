--
-- outer_reference: a subquery that uses columns from outside only.
-- Cases R must be found, cases A are their look-alikes and must not.
--
CREATE SCHEMA oref;
SET search_path = oref;
CREATE TABLE systems (id int PRIMARY KEY, vendor text, flag bool);
CREATE TABLE pi (system_id int, id int, v int, PRIMARY KEY (system_id, id));
CREATE TABLE t (a int PRIMARY KEY, b int, v int, kind text, tags text[]);
CREATE TABLE s (id int PRIMARY KEY, x int, t_a int);
CREATE TABLE config (on_off bool);
INSERT INTO t VALUES (1, 1, 1, 'k', '{x}'), (2, 2, 2, 'k', '{}');
INSERT INTO s VALUES (1, 1, 1);
SHOW safeguard.outer_reference;

-- the whole text, with and without a column that may have been meant
DELETE FROM pi WHERE system_id IN (SELECT system_id FROM systems WHERE vendor = 'a');
UPDATE t SET v = 0 WHERE b IN (SELECT b FROM s);
DELETE FROM t WHERE EXISTS (SELECT 1 FROM s WHERE b = t.b);
DELETE FROM pi WHERE EXISTS (SELECT 1 FROM pi WHERE pi.id = pi.id AND system_id = 7);
DELETE FROM t WHERE b IN (SELECT t.b FROM s WHERE s.x = 1);
SELECT count(*) FROM t;
\set VERBOSITY terse
SET safeguard.unlinked_from = off;
SET safeguard.composite_key_doubt = off;
SET safeguard.composite_key = off;

-- R01: IN, = ANY, another operator, a condition on the inner relation alone
DELETE FROM t WHERE b IN (SELECT b FROM s WHERE s.x = 1);
DELETE FROM t WHERE b = ANY (SELECT b FROM s);
DELETE FROM t WHERE b <= ANY (SELECT b FROM s);
DELETE FROM t WHERE b = ANY (ARRAY(SELECT b FROM s));
-- A01
DELETE FROM t WHERE b IN (SELECT x FROM s WHERE s.x = 100);
DELETE FROM t WHERE b = ANY (SELECT x + 100 FROM s);
DELETE FROM t WHERE b = ANY (ARRAY(SELECT x + 100 FROM s));

-- R02: NOT IN is never true then
DELETE FROM t WHERE b NOT IN (SELECT b FROM s);
DELETE FROM t WHERE b <> ALL (SELECT b FROM s);
-- A02
DELETE FROM t WHERE b NOT IN (SELECT a FROM t);

-- R03: expressions over outside columns, through casts, DISTINCT, GROUP BY
DELETE FROM t WHERE b IN (SELECT DISTINCT b::bigint FROM s);
DELETE FROM t WHERE b IN (SELECT b + 0 FROM s GROUP BY b);
DELETE FROM t WHERE (a, b) IN (SELECT a, b FROM s);
-- A03: one output is of its own
DELETE FROM t WHERE (a, b) IN (SELECT a, x + 100 FROM s);
DELETE FROM t WHERE b IN (SELECT b + x + 100 FROM s);

-- R04: joins inside, none of which compares with what is outside
DELETE FROM t WHERE b IN (SELECT b FROM s JOIN systems y ON y.id = s.x WHERE y.flag);
-- A04: correlated, in WHERE or in ON, by any operator
DELETE FROM t WHERE b IN (SELECT t.b FROM s WHERE s.t_a = t.a AND s.x = 100);
DELETE FROM t WHERE b IN (SELECT b FROM s JOIN systems y ON y.id = t.a);
DELETE FROM t WHERE b IN (SELECT b FROM s WHERE s.x > t.v + 100);
DELETE FROM t WHERE b IN (SELECT t.b FROM s WHERE EXISTS (SELECT 1 FROM systems y WHERE y.id = t.a AND y.id = s.x));

-- R05: EXISTS whose whole condition is about the outside
DELETE FROM t WHERE EXISTS (SELECT 1 FROM s WHERE t.v = 1);
DELETE FROM t WHERE EXISTS (SELECT * FROM s WHERE a = b AND kind = 'k');
DELETE FROM t WHERE NOT EXISTS (SELECT 1 FROM s WHERE b = t.b);
-- A05: uncorrelated, correlated, or partly about the inner relation
DELETE FROM t WHERE EXISTS (SELECT 1 FROM config WHERE on_off);
DELETE FROM t WHERE EXISTS (SELECT 1 FROM config);
DELETE FROM t WHERE EXISTS (SELECT 1 FROM s WHERE s.t_a = t.a AND s.x = 100);
DELETE FROM t WHERE EXISTS (SELECT 1 FROM config WHERE on_off AND t.kind = 'x');
DELETE FROM t WHERE EXISTS (SELECT 1 FROM s WHERE s.t_a = t.a OR s.x = 100) AND v = 100;

-- R06: a name that an inner relation hides; a column compared with itself
DELETE FROM t WHERE EXISTS (SELECT 1 FROM t WHERE t.a = t.a AND v = 1);
DELETE FROM t WHERE EXISTS (SELECT 1 FROM s WHERE b = t.b AND s.x = 1);
-- A06: the inner one has an alias; the relation outside is another one
DELETE FROM t WHERE EXISTS (SELECT 1 FROM t i WHERE i.a = t.a AND i.v = 100);
DELETE FROM t WHERE v = 100 AND EXISTS (SELECT 1 FROM s WHERE s.id = s.id);

-- R07: a scalar subquery that returns what it is compared with
DELETE FROM t WHERE b = (SELECT b FROM s WHERE s.id = 1);
DELETE FROM t WHERE (SELECT b FROM s LIMIT 1) = b;
-- A07
DELETE FROM t WHERE b = (SELECT x + 100 FROM s WHERE s.id = 1);
DELETE FROM t WHERE b = (SELECT t.v + 100);

-- R08: nested, in OR, under NOT
DELETE FROM t WHERE a IN (SELECT t_a FROM s WHERE x IN (SELECT x FROM systems));
DELETE FROM t WHERE v = 100 OR b IN (SELECT b FROM s);
DELETE FROM t WHERE NOT (v = 100 AND b IN (SELECT b FROM s));
DELETE FROM t WHERE CASE WHEN b IN (SELECT b FROM s) THEN true END;
-- A08
DELETE FROM t WHERE a IN (SELECT t_a FROM s WHERE x IN (SELECT id FROM systems));

-- R09: an arm of a UNION
DELETE FROM t WHERE b IN (SELECT x + 100 FROM s UNION ALL SELECT b FROM systems);
-- A09: no relation at all, or functions of the outside
DELETE FROM t WHERE 100 IN (SELECT a UNION ALL SELECT b);
DELETE FROM t WHERE 'y' IN (SELECT unnest(tags));
DELETE FROM t WHERE EXISTS (SELECT 1 FROM unnest(tags) u WHERE u = 'y');
DELETE FROM t WHERE 'y' = ANY (SELECT t.kind FROM unnest(t.tags));
DELETE FROM t WHERE EXISTS (SELECT 1 FROM s, LATERAL (SELECT s.x + t.v + 100 AS z) l WHERE t.b = 100);
DELETE FROM t WHERE EXISTS (SELECT 1 WHERE t.v = 100);

-- R10: FROM, USING, MERGE, a CTE and a subquery that is read
UPDATE t SET v = 0 FROM s WHERE s.t_a = t.a AND b IN (SELECT b FROM systems);
MERGE INTO t USING s ON t.a = s.t_a AND b IN (SELECT b FROM systems) WHEN MATCHED THEN DELETE;
MERGE INTO t USING s ON t.a = s.t_a WHEN MATCHED AND b IN (SELECT b FROM systems) THEN DELETE;
UPDATE t SET v = 0 FROM (SELECT t_a FROM s WHERE x IN (SELECT x FROM systems)) q WHERE q.t_a = t.a;
WITH q AS (SELECT t_a FROM s WHERE x IN (SELECT x FROM systems)) DELETE FROM t WHERE a IN (SELECT t_a FROM q);
WITH d AS (DELETE FROM t WHERE b IN (SELECT b FROM s) RETURNING a) SELECT count(*) FROM d;
-- A10: what is no condition of a write, and no write
UPDATE t SET v = 1 WHERE a = 100 AND v = (SELECT max(x) FROM s);
SELECT count(*) FROM t WHERE b IN (SELECT b FROM s);
BEGIN;
INSERT INTO s SELECT 100 + a, 1, 1 FROM t WHERE b IN (SELECT b FROM systems);
ROLLBACK;

-- R11: functions and rules
CREATE FUNCTION atomic() RETURNS void BEGIN ATOMIC DELETE FROM t WHERE b IN (SELECT b FROM s); END;
SELECT atomic();
DO 'BEGIN DELETE FROM oref.t WHERE b IN (SELECT b FROM oref.s); END';
-- A11: what stands in a view or a policy was not written here
CREATE VIEW bad_view AS SELECT * FROM t WHERE b IN (SELECT b FROM s WHERE x = 100);
CREATE VIEW bad_source AS SELECT t_a FROM s WHERE x IN (SELECT x FROM systems);
DELETE FROM bad_view WHERE a = 100;
DELETE FROM t WHERE a IN (SELECT t_a FROM bad_source);
UPDATE t SET v = 1 FROM bad_source q WHERE q.t_a = t.a;
-- R12: but what is written against a view is
DELETE FROM bad_view WHERE b IN (SELECT b FROM s);

-- R13: a SELECT in FROM, or a CTE of the subquery, whose column it passes on
DELETE FROM t WHERE b IN (SELECT b FROM (SELECT b FROM s) q);
DELETE FROM t WHERE b IN (SELECT b FROM (SELECT b FROM (SELECT b FROM s WHERE x = 1) p) q LIMIT 5);
DELETE FROM t WHERE b IN (WITH q AS (SELECT b FROM s) SELECT b FROM q);
DELETE FROM t WHERE b IN (SELECT x + 100 FROM s UNION SELECT b FROM (SELECT b FROM s) q);
DELETE FROM t WHERE b = (SELECT b FROM (SELECT b FROM s) q LIMIT 1);
-- A13: its own column, no relation, a comparison at either level, more than one column
DELETE FROM t WHERE a IN (SELECT k FROM (SELECT t_a AS k FROM s WHERE x = 100) q);
DELETE FROM t WHERE a IN (WITH q AS (SELECT t_a FROM s WHERE x = 100) SELECT t_a FROM q);
DELETE FROM t WHERE b IN (SELECT z FROM (SELECT t.b + s.x AS z FROM s) q);
DELETE FROM t WHERE 100 IN (SELECT z FROM (SELECT t.b AS z) q);
DELETE FROM t WHERE b IN (SELECT k FROM (SELECT t.b AS k FROM s WHERE s.t_a = t.a AND s.x = 100) q);
DELETE FROM t WHERE b IN (SELECT k FROM (SELECT t.b + 100 AS k, s.x FROM s) q WHERE q.x = t.v);
DELETE FROM t WHERE b IN (WITH RECURSIVE q(n) AS (SELECT t.b + 100 UNION ALL SELECT n + 1 FROM q WHERE n < 105) SELECT n FROM q);

-- A14: levels, EXPLAIN, temporary tables
DO $$ BEGIN EXECUTE 'EXPLAIN DELETE FROM t WHERE b IN (SELECT b FROM config)'; END $$;
CREATE TEMP TABLE scratch AS SELECT 1 AS b;
DELETE FROM scratch WHERE b IN (SELECT b FROM s);
SELECT safeguard.set_level('t', 'outer_reference', 'warning', 'a test');
BEGIN;
DELETE FROM t WHERE b IN (SELECT b FROM s);
ROLLBACK;
SELECT safeguard.set_level('t', 'outer_reference', 'off');
BEGIN;
DELETE FROM t WHERE b IN (SELECT b FROM s);
ROLLBACK;
SELECT safeguard.clear_level('t', 'outer_reference');

-- who may not read the column that may have been meant is not told
SET client_min_messages = error;
DROP ROLE IF EXISTS regress_sg_oref;
RESET client_min_messages;
CREATE ROLE regress_sg_oref;
GRANT USAGE ON SCHEMA oref TO regress_sg_oref;
GRANT SELECT, DELETE ON pi TO regress_sg_oref;
GRANT SELECT (vendor) ON systems TO regress_sg_oref;
SET ROLE regress_sg_oref;
\set VERBOSITY default
DELETE FROM pi WHERE system_id IN (SELECT system_id FROM systems WHERE vendor = 'a');
RESET ROLE;

SET client_min_messages = error;
DROP SCHEMA oref CASCADE;
DROP OWNED BY regress_sg_oref;
DROP ROLE regress_sg_oref;
