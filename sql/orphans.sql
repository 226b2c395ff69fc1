--
-- safeguard.orphans: rows of a foreign key whose parent is missing
--
CREATE SCHEMA orphans;
SET search_path = orphans;
-- what makes orphans is another rule's matter
SET safeguard.constraint_bypass = off;
-- a column with a name that has to be quoted, rows from before the constraint
CREATE TABLE "Parent ""t""" (a int, "b c" text, PRIMARY KEY (a, "b c"), x int UNIQUE);
CREATE TABLE child (id int PRIMARY KEY, "it's" int, "B" text, x int);
INSERT INTO "Parent ""t""" VALUES (1, 'one', 1), (2, 'two', 2);
INSERT INTO child VALUES (1, 1, 'one', 1), (2, 1, 'two', 2), (3, 1, 'two', 9), (4, NULL, 'no', NULL),
                         (5, 3, NULL, 9), (6, 3, 'x', 9), (7, NULL, NULL, NULL);
ALTER TABLE child
    ADD CONSTRAINT simple FOREIGN KEY ("it's", "B") REFERENCES "Parent ""t""" NOT VALID,
    ADD CONSTRAINT full_match FOREIGN KEY ("it's", "B") REFERENCES "Parent ""t""" MATCH FULL NOT VALID,
    ADD CONSTRAINT "X k" FOREIGN KEY (x) REFERENCES "Parent ""t""" (x) NOT VALID;
SELECT * FROM safeguard.orphans('child', 'simple');
SELECT * FROM safeguard.orphans('child', 'full_match');
SELECT * FROM safeguard.orphans('child', 'X k');
SELECT * FROM safeguard.orphans('child', 'simple', 1);
SELECT * FROM safeguard.orphans('child', 'simple', 0);
-- none, once they are gone; the server agrees
BEGIN;
DELETE FROM child WHERE id IN (2, 3, 5, 6);
SELECT * FROM safeguard.orphans('child', 'simple');
ALTER TABLE child VALIDATE CONSTRAINT simple;
SELECT * FROM safeguard.orphans('child', 'simple');
ROLLBACK;

-- a valid key, but its triggers did not run
CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree);
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2);
SELECT * FROM safeguard.orphans('tree', 'tree_up_fkey');
ALTER TABLE tree DISABLE TRIGGER ALL;
DELETE FROM tree WHERE id = 1;
ALTER TABLE tree ENABLE TRIGGER ALL;
SELECT * FROM safeguard.orphans('tree', 'tree_up_fkey');

-- other types, domains and collations than the parent's: as the key compares
CREATE COLLATION same_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN number AS int;
CREATE TABLE wide (n numeric UNIQUE, i bigint UNIQUE, t text COLLATE "C" UNIQUE, u text COLLATE same_case UNIQUE);
INSERT INTO wide VALUES (1.00, 1, 'a', 'A');
CREATE TABLE narrow (n int, i number, t varchar COLLATE "POSIX", u text COLLATE same_case);
INSERT INTO narrow VALUES (1, 1, 'a', 'a'), (2, 2, 'A', 'b');
ALTER TABLE narrow ADD CONSTRAINT n FOREIGN KEY (n) REFERENCES wide (n) NOT VALID,
    ADD CONSTRAINT i FOREIGN KEY (i) REFERENCES wide (i) NOT VALID,
    ADD CONSTRAINT t FOREIGN KEY (t) REFERENCES wide (t) NOT VALID,
    ADD CONSTRAINT u FOREIGN KEY (u) REFERENCES wide (u) NOT VALID;
SELECT c.conname, o.*
  FROM pg_constraint c, safeguard.orphans(c.conrelid, c.conname) o
 WHERE c.conrelid = 'narrow'::regclass
 ORDER BY c.conname COLLATE "C";

-- a value of several fields is one value
CREATE TYPE pair AS (a int, b int);
CREATE TABLE pairs (p pair PRIMARY KEY);
CREATE TABLE of_pairs (p pair);
INSERT INTO pairs VALUES ((1, NULL));
INSERT INTO of_pairs VALUES ((1, NULL)), ((2, NULL)), ((NULL, NULL)), (NULL);
ALTER TABLE of_pairs ADD CONSTRAINT p FOREIGN KEY (p) REFERENCES pairs NOT VALID;
SELECT * FROM safeguard.orphans('of_pairs', 'p');

-- partitions on both sides; columns in another order
CREATE TABLE root (k int, region int, PRIMARY KEY (region, k)) PARTITION BY LIST (region);
CREATE TABLE root_1 PARTITION OF root FOR VALUES IN (1);
CREATE TABLE root_2 (region int NOT NULL, gone int, k int NOT NULL);
ALTER TABLE root_2 DROP COLUMN gone;
ALTER TABLE root ATTACH PARTITION root_2 FOR VALUES IN (2);
CREATE TABLE item (id int, region int, k int,
                   CONSTRAINT item_root FOREIGN KEY (region, k) REFERENCES root) PARTITION BY LIST (region);
CREATE TABLE item_1 PARTITION OF item FOR VALUES IN (1);
CREATE TABLE item_2 (k int, id int, region int);
ALTER TABLE item ATTACH PARTITION item_2 FOR VALUES IN (2);
INSERT INTO root VALUES (7, 1), (8, 2), (9, 2);
INSERT INTO item VALUES (1, 1, 7), (2, 2, 8), (3, 2, 9);
SELECT DISTINCT c.conrelid::regclass::text COLLATE "C" AS relation, o.*
  FROM pg_constraint c LEFT JOIN safeguard.orphans(c.conrelid, c.conname) o ON true
 WHERE c.connamespace = 'orphans'::regnamespace AND c.conrelid::regclass::text ~ '^item' AND c.contype = 'f'
 ORDER BY relation;
ALTER TABLE root_2 DISABLE TRIGGER ALL;
DELETE FROM root_2 WHERE k = 9;
ALTER TABLE root_2 ENABLE TRIGGER ALL;
SELECT DISTINCT c.conrelid::regclass::text COLLATE "C" AS relation, o.*
  FROM pg_constraint c, safeguard.orphans(c.conrelid, c.conname) o
 WHERE c.connamespace = 'orphans'::regnamespace AND c.conrelid::regclass::text ~ '^item' AND c.contype = 'f'
 ORDER BY relation;

-- rows of inheritance children belong to no key
CREATE TABLE heir () INHERITS (child);
CREATE TABLE heir_of_parent () INHERITS ("Parent ""t""");
INSERT INTO heir VALUES (8, 8, 'eight', 8);
INSERT INTO heir_of_parent VALUES (3, 'x', 9);
SELECT * FROM safeguard.orphans('child', 'simple');

-- many rows
CREATE TABLE big AS SELECT i AS id FROM generate_series(1, 20000) i;
ALTER TABLE big ADD PRIMARY KEY (id);
CREATE TABLE of_big AS SELECT i % 20010 AS big_id FROM generate_series(1, 60000) i;
ALTER TABLE of_big ADD CONSTRAINT of_big_id FOREIGN KEY (big_id) REFERENCES big NOT VALID;
ANALYZE big, of_big;
SELECT count(*), sum(rows), min(key ->> 'big_id'), max(key ->> 'big_id')
  FROM safeguard.orphans('of_big', 'of_big_id');
-- EXPLAIN runs nothing
EXPLAIN (COSTS OFF) SELECT * FROM safeguard.orphans('of_big', 'of_big_id') WHERE rows > 2;

-- names in the caller's search path are not taken for the server's
CREATE FUNCTION count() RETURNS bigint LANGUAGE sql AS 'SELECT 1/0';
CREATE FUNCTION less(int, int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''called''; END';
CREATE OPERATOR = (LEFTARG = int, RIGHTARG = int, FUNCTION = less);
SET search_path = orphans, pg_catalog;
SELECT * FROM safeguard.orphans('tree', 'tree_up_fkey');
SET search_path = orphans;

-- what cannot be asked
SELECT * FROM safeguard.orphans(NULL, 'simple');
SELECT * FROM safeguard.orphans(0, 'simple');
SELECT * FROM safeguard.orphans('child', NULL);
SELECT * FROM safeguard.orphans('child', 'simple', NULL);
SELECT * FROM safeguard.orphans('child', 'simple', -1);
SELECT * FROM safeguard.orphans('child', 'nowhere');
SELECT * FROM safeguard.orphans('child', 'child_pkey');
SELECT * FROM safeguard.orphans('pairs', 'pairs_pkey');
SELECT * FROM safeguard.orphans('pairs', 'nowhere');
CREATE VIEW seen AS SELECT * FROM tree;
SELECT * FROM safeguard.orphans('seen', 'tree_up_fkey');
SELECT * FROM safeguard.orphans('pairs_pkey', 'pairs_pkey');

-- it reads with the caller's rights, on both sides
SET client_min_messages = error;
DROP ROLE IF EXISTS regress_sg_reader;
RESET client_min_messages;
CREATE ROLE regress_sg_reader;
GRANT USAGE ON SCHEMA orphans TO regress_sg_reader;
GRANT SELECT (x) ON child TO regress_sg_reader;
SET ROLE regress_sg_reader;
SELECT * FROM safeguard.orphans('child', 'X k');
SELECT * FROM safeguard.orphans('child', 'simple');
SELECT * FROM safeguard.orphans('tree', 'nowhere');
RESET ROLE;
GRANT SELECT (x) ON "Parent ""t""" TO regress_sg_reader;
SET ROLE regress_sg_reader;
SELECT * FROM safeguard.orphans('child', 'X k');
RESET ROLE;
-- an answer about some rows only would be wrong
ALTER TABLE "Parent ""t""" ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON "Parent ""t""" USING (x < 2);
SET ROLE regress_sg_reader;
SELECT * FROM safeguard.orphans('child', 'X k');
SHOW row_security;
RESET ROLE;
SELECT * FROM safeguard.orphans('child', 'X k');

SET client_min_messages = warning;
DROP SCHEMA orphans CASCADE;
DROP ROLE regress_sg_reader;
