--
-- safeguard.check_key: are columns unique in the rows of a table?
--
CREATE SCHEMA check_key;
SET search_path = check_key;

-- incident 2: update_id was made the key, patch_id is what identifies a row
CREATE TABLE supported_patches (update_id int, patch_id text, title text);
INSERT INTO supported_patches SELECT i % 10, 'KB' || i, 'patch' FROM generate_series(0, 58599) i;
SELECT * FROM safeguard.check_key('supported_patches', 'update_id') \gx
SELECT * FROM safeguard.check_key('supported_patches', 'patch_id') \gx
SELECT * FROM safeguard.check_key('supported_patches', 'update_id', 'patch_id') \gx

-- the columns are a contract
SELECT proargnames, proallargtypes::regtype[], provariadic::regtype
  FROM pg_proc WHERE oid = 'safeguard.check_key'::regproc;

-- the sample: most rows first, then in the order of the keys; never many
CREATE TABLE visit (site int, day date, "No." numeric);
INSERT INTO visit
    SELECT s, date '2026-01-01' + d, s + d / 10.0
      FROM generate_series(1, 9) s, generate_series(1, 4) d, generate_series(1, s);
SELECT * FROM safeguard.check_key('visit', 'site', 'day') \gx
SELECT s.* FROM safeguard.check_key('visit', 'No.'),
       jsonb_to_recordset(sample) AS s(key jsonb, rows bigint);
-- it finds them in the table again
SELECT count(*) FROM visit,
       (SELECT sample -> 0 -> 'key' AS key FROM safeguard.check_key('visit', 'site', 'day')) k
 WHERE site = (key ->> 'site')::int AND day = (key ->> 'day')::date;

-- NULLs conflict with nothing: such rows belong to no key
CREATE TABLE nulls (a int, b int);
INSERT INTO nulls VALUES (1, NULL), (1, NULL), (NULL, NULL), (1, 1), (2, 1), (NULL, 1), (1, 2), (1, 1);
SELECT * FROM safeguard.check_key('nulls', 'a', 'b');
SELECT * FROM safeguard.check_key('nulls', 'b');
DELETE FROM nulls WHERE a = 1 AND b = 1;
SELECT * FROM safeguard.check_key('nulls', 'a', 'b');
ALTER TABLE nulls ADD UNIQUE (a, b);
TRUNCATE nulls;
INSERT INTO nulls VALUES (NULL, 1), (NULL, 1);
SELECT * FROM safeguard.check_key('nulls', 'a');
TRUNCATE nulls;
SELECT * FROM safeguard.check_key('nulls', 'a');

-- equal as the type says, not by its bits
CREATE TABLE equal (n numeric, f float8, c char(5), big text, r int4range, a int[]);
INSERT INTO equal VALUES
    (1.0, '-0', 'x', repeat('x', 100000), '[1,3)', '{1,2}'),
    (1.00, '0', 'x  ', repeat('x', 100000), '[1,2]', '{1,2}'),
    ('NaN', 'NaN', 'y', repeat('x', 100001), 'empty', '{2}'),
    ('NaN', 'NaN', 'z', 'y', '(,)', NULL);
SELECT x.*, k.distinct_keys, k.surplus_rows, k.null_rows
  FROM (VALUES ('n'), ('f'), ('c'), ('big'), ('r'), ('a')) x(name),
       safeguard.check_key('equal', x.name) k;

-- all partitions; the table itself without its children
CREATE TABLE part (id int, at int) PARTITION BY RANGE (at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
INSERT INTO part VALUES (1, 1), (1, 11);
SELECT * FROM safeguard.check_key('part', 'id');
SELECT * FROM safeguard.check_key('part_1', 'id');
CREATE TABLE parent (id int);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (1);
SELECT * FROM safeguard.check_key('parent', 'id');

-- views, odd names
CREATE VIEW "My View" AS SELECT id AS "Id ""x""", count(*) AS n FROM part GROUP BY id;
CREATE MATERIALIZED VIEW mat AS SELECT * FROM part;
SELECT * FROM safeguard.check_key('"My View"', 'Id "x"');
SELECT * FROM safeguard.check_key('mat', 'id');
CREATE TEMP TABLE temporary (id int);
INSERT INTO temporary VALUES (1), (1);
SELECT * FROM safeguard.check_key('temporary', 'id');

-- in the statement's snapshot, with what the transaction has done
BEGIN;
INSERT INTO part VALUES (2, 2);
SELECT rows FROM safeguard.check_key('part', 'id');
ROLLBACK;
SELECT rows FROM safeguard.check_key('part', 'id');
-- for many tables at once
SELECT c.relname, k.rows, k.is_unique
  FROM pg_class c, safeguard.check_key(c.oid, 'id') k
 WHERE c.relnamespace = 'check_key'::regnamespace AND c.relname ~ '^part'
 ORDER BY c.relname COLLATE "C";
-- EXPLAIN runs nothing
EXPLAIN (COSTS OFF) SELECT is_unique FROM safeguard.check_key('part', 'id') WHERE is_unique;

-- names in the caller's search path are not taken for the server's
CREATE FUNCTION count() RETURNS bigint LANGUAGE sql AS 'SELECT 1/0';
CREATE FUNCTION less(int, int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''called''; END';
CREATE OPERATOR < (LEFTARG = int, RIGHTARG = int, FUNCTION = less);
CREATE OPERATOR = (LEFTARG = int, RIGHTARG = int, FUNCTION = less);
SET search_path = check_key, pg_catalog;
SELECT * FROM safeguard.check_key('part', 'id');
SET search_path = check_key;

-- few keys, as the statistics have it, are counted by groups: the same answer
CREATE TABLE few AS SELECT CASE WHEN i % 7 > 0 THEN i % 7 END AS a, 'Text ' || i % 3 AS t, (i % 2)::numeric AS n
  FROM generate_series(1, 2000) i;
CREATE VIEW few_keys AS
    SELECT 1 AS key, k.* FROM safeguard.check_key('few', 'a') k
    UNION ALL SELECT 2, k.* FROM safeguard.check_key('few', 't', 'a') k
    UNION ALL SELECT 3, k.* FROM safeguard.check_key('few', 'n') k;
CREATE TABLE sorted AS SELECT * FROM few_keys;
ANALYZE few;
CREATE TABLE grouped AS SELECT * FROM few_keys;
SELECT * FROM sorted EXCEPT ALL SELECT * FROM grouped;
SELECT key, rows, distinct_keys, duplicate_keys, surplus_rows, null_rows, is_unique, jsonb_array_length(sample) FROM grouped ORDER BY key;
SELECT count(*), count(DISTINCT (t, a)) FILTER (WHERE a IS NOT NULL), count(*) FILTER (WHERE a IS NULL) FROM few;
-- statistics that are wrong by now change the answer no more
DELETE FROM few WHERE true;
INSERT INTO few SELECT i, i, i FROM generate_series(1, 2000) i;
SELECT * FROM few_keys;

-- what cannot be asked
SELECT * FROM safeguard.check_key(NULL, 'id');
SELECT * FROM safeguard.check_key(0, 'id');
SELECT * FROM safeguard.check_key('nulls_a_b_key', 'a');
SELECT * FROM safeguard.check_key('part', VARIADIC NULL);
SELECT * FROM safeguard.check_key('part', VARIADIC '{}');
SELECT * FROM safeguard.check_key('part', VARIADIC '{{id,at}}');
SELECT * FROM safeguard.check_key('part', 'id', NULL);
SELECT * FROM safeguard.check_key('part', 'id', 'ID');
SELECT * FROM safeguard.check_key('part', 'ctid');
SELECT * FROM safeguard.check_key('part', 'id', 'at', 'id');
SELECT * FROM safeguard.check_key('part', VARIADIC array_fill('id'::name, '{33}'));
CREATE TABLE odd (j json, p point, x xid);
SELECT * FROM safeguard.check_key('odd', 'j');
SELECT * FROM safeguard.check_key('odd', 'p');
SELECT * FROM safeguard.check_key('odd', 'x');
SELECT * FROM safeguard.check_key('part');

-- it reads with the caller's rights
SET client_min_messages = error;
DROP ROLE IF EXISTS regress_sg_reader;
RESET client_min_messages;
CREATE ROLE regress_sg_reader;
GRANT USAGE ON SCHEMA check_key TO regress_sg_reader;
GRANT SELECT (id) ON part TO regress_sg_reader;
GRANT INSERT ON visit TO regress_sg_reader;
SET ROLE regress_sg_reader;
SELECT * FROM safeguard.check_key('part', 'id');
SELECT * FROM safeguard.check_key('part', 'id', 'at');
SELECT * FROM safeguard.check_key('visit', 'site');
SELECT * FROM safeguard.check_key('visit', 'nowhere');
SELECT * FROM safeguard.check_key('odd', 'j');
RESET ROLE;

-- an answer about some rows only would be wrong
ALTER TABLE visit ENABLE ROW LEVEL SECURITY;
CREATE POLICY few_sites ON visit USING (site < 3);
CREATE VIEW seen WITH (security_invoker) AS SELECT * FROM visit;
GRANT SELECT ON visit, seen TO regress_sg_reader;
SET ROLE regress_sg_reader;
SELECT count(*) FROM visit;
SELECT * FROM safeguard.check_key('visit', 'site');
SELECT * FROM safeguard.check_key('seen', 'site');
SHOW row_security;
RESET ROLE;
SELECT rows, is_unique FROM safeguard.check_key('visit', 'site');
SHOW row_security;

SET client_min_messages = warning;
DROP SCHEMA check_key CASCADE;
DROP ROLE regress_sg_reader;
