--
-- safeguard.suggest_keys: the smallest sets of columns that are unique
--
CREATE SCHEMA suggest_keys;
SET search_path = suggest_keys;

-- incident 2: what should have been the key
CREATE TABLE supported_patches (update_id int PRIMARY KEY, patch_id text, title text, severity int);
ALTER TABLE supported_patches DROP CONSTRAINT supported_patches_pkey, ALTER update_id DROP NOT NULL;
INSERT INTO supported_patches SELECT i % 10, 'KB' || i, 'patch ' || i % 700, i % 4 FROM generate_series(0, 58599) i;
SELECT * FROM safeguard.suggest_keys('supported_patches');
ANALYZE supported_patches;
SELECT * FROM safeguard.suggest_keys('supported_patches');

-- the columns are a contract
SELECT proargnames, proallargtypes::regtype[], pg_get_expr(proargdefaults, 0) AS defaults
  FROM pg_proc WHERE oid = 'safeguard.suggest_keys'::regproc;

-- sets of several columns, and none that contains a smaller one
CREATE TABLE point (system_id int, id int, kind text, serial text NOT NULL, half int);
INSERT INTO point SELECT s, i, 'k', format('%s/%s', s, i), (s * 100 + i) / 2 FROM generate_series(1, 40) s, generate_series(1, 40) i;
SELECT * FROM safeguard.suggest_keys('point');
SELECT * FROM safeguard.suggest_keys('point', 1);
ALTER TABLE point DROP COLUMN serial;
SELECT * FROM safeguard.suggest_keys('point');
CREATE TABLE cube AS SELECT a, b, c, 0 AS d FROM generate_series(1, 12) a, generate_series(1, 12) b, generate_series(1, 12) c;
SELECT * FROM safeguard.suggest_keys('cube');
SELECT * FROM safeguard.suggest_keys('cube', 2);

-- one row that spoils it is found, wherever it lies
CREATE TABLE big AS SELECT i AS id, i + 1 AS other, i / 2 AS pair FROM generate_series(1, 90000) i;
SELECT * FROM safeguard.suggest_keys('big');
INSERT INTO big SELECT 45000, -1, -1;
ANALYZE big;
SELECT * FROM safeguard.suggest_keys('big');

-- what is declared comes first, the primary key before all; also where it is
-- larger than it need be, or larger than was asked for
CREATE TABLE declared (a int, b int, c int NOT NULL, d int, e int, UNIQUE (d), PRIMARY KEY (c, b, a, d));
CREATE UNIQUE INDEX ON declared (e) WHERE e > 0;
CREATE UNIQUE INDEX ON declared (abs(e));
CREATE INDEX ON declared (a);
INSERT INTO declared SELECT 1, i % 2, i, i, i FROM generate_series(1, 100) i;
SELECT * FROM safeguard.suggest_keys('declared', 1);
ALTER TABLE declared DROP CONSTRAINT declared_d_key;
ALTER TABLE declared ADD UNIQUE (d) DEFERRABLE;
SELECT * FROM safeguard.suggest_keys('declared', 1);

-- NULLs: no part of a key; said how many, those without them first
CREATE TABLE nulls (part int, whole int, nearly_all int, always int, two int, three int NOT NULL, spare int UNIQUE);
INSERT INTO nulls SELECT nullif(i % 10, 0) * i, i, CASE WHEN i < 3 THEN i END, NULL, i % 2, i / 2, CASE WHEN i > 90 THEN i END FROM generate_series(1, 100) i;
SELECT * FROM safeguard.suggest_keys('nulls');

-- without rows anything is unique: only what is declared
CREATE TABLE empty (a int PRIMARY KEY, b int);
SELECT * FROM safeguard.suggest_keys('empty');
CREATE TABLE no_columns ();
SELECT * FROM safeguard.suggest_keys('no_columns');
-- types that no index can be made of; values that fit none
CREATE TABLE odd AS SELECT i AS id, '{}'::json AS j, point(i, i) AS p, repeat(i::text, 9000) AS t, i::text::money AS m FROM generate_series(1, 20) i;
SELECT * FROM safeguard.suggest_keys('odd');

-- partitions, inheritance, views
CREATE TABLE part (id int, at int, code int) PARTITION BY RANGE (at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (1000);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (1000) TO (2000);
INSERT INTO part SELECT i % 1000, i, i FROM generate_series(1, 1999) i;
SELECT * FROM safeguard.suggest_keys('part');
SELECT * FROM safeguard.suggest_keys('part_1');
ANALYZE part;
SELECT * FROM safeguard.suggest_keys('part');
CREATE TABLE parent (id int);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (1);
SELECT * FROM safeguard.suggest_keys('parent');
CREATE VIEW "My View" AS SELECT code AS "Code", at / 3 AS third FROM part;
SELECT * FROM safeguard.suggest_keys('"My View"');
CREATE MATERIALIZED VIEW mat AS SELECT id, code FROM part;
CREATE UNIQUE INDEX ON mat (code);
SELECT * FROM safeguard.suggest_keys('mat');

-- statistics of other days hide no key
CREATE TABLE stale (a int, b int) WITH (autovacuum_enabled = off);
INSERT INTO stale SELECT i % 5, i % 5 FROM generate_series(1, 50000) i;
ANALYZE stale;
TRUNCATE stale;
INSERT INTO stale SELECT i, i % 5 FROM generate_series(1, 50000) i;
SELECT * FROM safeguard.suggest_keys('stale');

-- the work is bounded: few sets of many are counted, and what is shown is so
CREATE TABLE wide AS
    SELECT i AS c0, i AS c1, i AS c2, i AS c3, i AS c4, i AS c5, i AS c6, i AS c7, i AS c8, i AS c9
      FROM generate_series(1, 30000) i;
UPDATE wide SET c0 = 1, c1 = 1, c2 = 1, c3 = 1, c4 = 1, c5 = 1, c6 = 1, c7 = 1, c8 = 1, c9 = 1 WHERE c0 < 3;
SELECT count(*) FROM safeguard.suggest_keys('wide', 10);

-- what cannot be asked
SELECT * FROM safeguard.suggest_keys(NULL);
SELECT * FROM safeguard.suggest_keys('part', NULL);
SELECT * FROM safeguard.suggest_keys('part', 0);
SELECT * FROM safeguard.suggest_keys('part', 33);
SELECT * FROM safeguard.suggest_keys('declared_pkey');

-- a deferrable key is counted, since rows of this transaction may violate it
CREATE TABLE deferred (a int, b int, PRIMARY KEY (a) DEFERRABLE);
INSERT INTO deferred VALUES (1, 1);
SELECT * FROM safeguard.suggest_keys('deferred');
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO deferred VALUES (1, 2);
SELECT * FROM safeguard.suggest_keys('deferred');
ROLLBACK;

-- it reads with the caller's rights, and all rows
SET client_min_messages = error;
DROP ROLE IF EXISTS regress_sg_reader;
RESET client_min_messages;
CREATE ROLE regress_sg_reader;
GRANT USAGE ON SCHEMA suggest_keys TO regress_sg_reader;
GRANT SELECT (id) ON part TO regress_sg_reader;
GRANT SELECT (id, code) ON mat TO regress_sg_reader;
GRANT SELECT ON point TO regress_sg_reader;
ALTER TABLE point ENABLE ROW LEVEL SECURITY;
SET ROLE regress_sg_reader;
SELECT * FROM safeguard.suggest_keys('part');
SELECT * FROM safeguard.suggest_keys('mat');
SELECT * FROM safeguard.suggest_keys('point');
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA suggest_keys CASCADE;
DROP ROLE regress_sg_reader;
