--
-- destructive_ddl: rewrites of, and blocking index builds on, tables larger
-- than safeguard.large_table.  R: rejected, A: passes.
--
CREATE SCHEMA regress_bulk;
SET search_path = regress_bulk;
CREATE TABLE big (a int NOT NULL, b varchar(10), c text);
INSERT INTO big SELECT n, 'x', 'y' FROM generate_series(1, 2000) n;
CREATE TABLE empty_one (a int NOT NULL, b varchar(10), c text);
CREATE TABLE parted (a int NOT NULL, b text) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (1000);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (1000) TO (2000);
INSERT INTO parted SELECT n, 'x' FROM generate_series(1, 1999) n;
SHOW safeguard.large_table;
SET safeguard.large_table = 0;
SET safeguard.destructive_ddl = error;
SET safeguard.lock_timeout = off;

-- R1: a change of type that rewrites; the work has not begun
ALTER TABLE big ALTER a TYPE bigint;
-- A1: one that does not
BEGIN;
ALTER TABLE big ALTER b TYPE varchar(20);
ALTER TABLE big ALTER b TYPE text;
ROLLBACK;
-- A2: of an empty table
ALTER TABLE empty_one ALTER a TYPE bigint;
-- A3: of one that this transaction has made
BEGIN;
CREATE TABLE fresh AS SELECT 1 AS a;
ALTER TABLE fresh ALTER a TYPE bigint;
ALTER TABLE fresh ADD PRIMARY KEY (a);
CREATE INDEX ON fresh (a);
REINDEX TABLE fresh;
ROLLBACK;
-- A4: of a temporary one
CREATE TEMP TABLE temporary AS SELECT 1 AS a;
ALTER TABLE temporary ALTER a TYPE bigint;
CREATE INDEX ON temporary (a);
REINDEX TABLE temporary;
CLUSTER temporary USING temporary_a_idx;
VACUUM FULL temporary;
DROP TABLE temporary;
-- A5: of one that is not larger than the limit
SET safeguard.large_table = '1MB';
BEGIN;
ALTER TABLE big ALTER a TYPE bigint;
CREATE INDEX ON big (a);
ROLLBACK;
VACUUM FULL big;
SET safeguard.large_table = 0;
-- R2: a default that differs from row to row
ALTER TABLE big ADD COLUMN d float8 DEFAULT random();
-- A6: one that does not
ALTER TABLE big ADD COLUMN d int DEFAULT 1, ADD COLUMN e int;
-- R3: a number for each row
ALTER TABLE big ADD COLUMN id serial;
-- R4: a key on that: the table is rewritten, and found once
ALTER TABLE big ADD COLUMN id serial PRIMARY KEY;
-- R5: how it is stored
ALTER TABLE big SET UNLOGGED;
-- A7: what is as it was
ALTER TABLE big SET LOGGED;
-- R6: VACUUM FULL and CLUSTER
VACUUM FULL big;
VACUUM (FULL, ANALYZE) big;
-- A8: VACUUM
VACUUM big;
VACUUM (FULL off) big;

-- R7: an index
CREATE INDEX big_a ON big (a);
CREATE UNIQUE INDEX ON big (a);
-- A9: built beside the writers, and on an empty table
CREATE INDEX CONCURRENTLY big_a ON big (a);
CREATE INDEX ON empty_one (a);
CREATE TABLE fresh (a int PRIMARY KEY, b int UNIQUE, EXCLUDE USING btree (a WITH =));
DROP TABLE fresh;
CLUSTER empty_one USING empty_one_a_idx;
-- R8
CLUSTER big USING big_a;
-- R9: a constraint that builds one
ALTER TABLE big ADD PRIMARY KEY (a);
ALTER TABLE big ADD UNIQUE (a);
ALTER TABLE big ADD EXCLUDE USING btree (a WITH =);
-- A10: a constraint that has one
CREATE UNIQUE INDEX CONCURRENTLY big_key ON big (a);
ALTER TABLE big ADD CONSTRAINT big_key PRIMARY KEY USING INDEX big_key;
-- A11: constraints that need none
ALTER TABLE big ADD CHECK (a > 0), ALTER c SET NOT NULL;
-- R10: REINDEX
REINDEX INDEX big_a;
REINDEX TABLE big;
-- A12: beside the writers, and of an empty table
REINDEX INDEX CONCURRENTLY big_a;
REINDEX TABLE empty_one;
-- A13: an index on a changed column is taken over as it is
CREATE INDEX CONCURRENTLY big_b ON big (b);
ALTER TABLE big ALTER b TYPE varchar(30);
-- R11: or built again, without a rewrite of the table
ALTER TABLE big ALTER b TYPE varchar(30) COLLATE "C";
-- R12: or both
ALTER TABLE big ALTER b TYPE char(30);

-- R13: a partitioned table is as large as all its leaves
SET safeguard.large_table = '60kB';
SELECT pg_relation_size('parted_1') <= 60 * 1024 AS small;
ALTER TABLE parted ALTER b TYPE char(3);
CREATE INDEX ON parted (b);
ALTER TABLE parted ALTER b TYPE char(3);
-- A14: one leaf is smaller
ALTER TABLE parted_1 ADD CHECK (a > 0);
VACUUM FULL parted_1;
-- A15: an index on a partitioned table is recorded at most: the server has no
-- other way in one command
CREATE INDEX parted_a ON parted (a);
ALTER TABLE parted ADD PRIMARY KEY (a);
SET safeguard.large_table = 0;
CREATE INDEX parted_b ON parted (b);
-- A16: nor is CREATE TABLE ... PARTITION OF one, which has the same indexes
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM (2000) TO (3000);
-- R14: a table that gets an index because it is attached
CREATE TABLE parted_4 AS SELECT n AS a, 'x'::text AS b FROM generate_series(3000, 3100) n;
ALTER TABLE parted_4 ALTER a SET NOT NULL;
ALTER TABLE parted ATTACH PARTITION parted_4 FOR VALUES FROM (3000) TO (4000);
-- A17: unless it has it already
CREATE UNIQUE INDEX CONCURRENTLY parted_4_key ON parted_4 (a);
ALTER TABLE parted_4 ADD PRIMARY KEY USING INDEX parted_4_key;
CREATE INDEX CONCURRENTLY ON parted_4 (a);
CREATE INDEX CONCURRENTLY ON parted_4 (b);
ALTER TABLE parted ATTACH PARTITION parted_4 FOR VALUES FROM (3000) TO (4000);

-- R16: a constraint of the parent asks for one of the partition
CREATE TABLE keyed (a int, b int, PRIMARY KEY (a, b)) PARTITION BY RANGE (a);
CREATE TABLE keyed_1 (a int NOT NULL, b int NOT NULL);
INSERT INTO keyed_1 SELECT 1, n FROM generate_series(1, 5) n;
CREATE UNIQUE INDEX CONCURRENTLY keyed_1_key ON keyed_1 (a, b);
ALTER TABLE keyed ATTACH PARTITION keyed_1 FOR VALUES FROM (1) TO (2);
ALTER TABLE keyed_1 ADD PRIMARY KEY USING INDEX keyed_1_key;
ALTER TABLE keyed ATTACH PARTITION keyed_1 FOR VALUES FROM (1) TO (2);
CREATE TABLE uniqued (a int, b int, UNIQUE (a, b)) PARTITION BY RANGE (a);
CREATE TABLE uniqued_1 AS SELECT 1 AS a, n AS b FROM generate_series(1, 5) n;
CREATE UNIQUE INDEX CONCURRENTLY uniqued_1_key ON uniqued_1 (a, b);
ALTER TABLE uniqued ATTACH PARTITION uniqued_1 FOR VALUES FROM (1) TO (2);
ALTER TABLE uniqued_1 ADD UNIQUE USING INDEX uniqued_1_key;
ALTER TABLE uniqued ATTACH PARTITION uniqued_1 FOR VALUES FROM (1) TO (2);

-- A18: SET TABLESPACE to where it is.  R15: to somewhere else
ALTER TABLE big SET TABLESPACE pg_default;
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE regress_bulk_space LOCATION '';
ALTER TABLE big SET TABLESPACE regress_bulk_space;
ALTER TABLE empty_one SET TABLESPACE regress_bulk_space;
ALTER TABLE empty_one SET TABLESPACE pg_default;
DROP TABLESPACE regress_bulk_space;

-- A19: a materialized view is made anew whenever it is refreshed
CREATE MATERIALIZED VIEW matview AS SELECT a FROM big;
CREATE UNIQUE INDEX ON matview (a);
REFRESH MATERIALIZED VIEW matview;
REFRESH MATERIALIZED VIEW CONCURRENTLY matview;

DROP MATERIALIZED VIEW matview;

-- A20: a restore is recorded, never stopped
SET check_function_bodies = off;
SET row_security = off;
BEGIN;
CREATE INDEX ON big (a);
ALTER TABLE big ALTER a TYPE bigint;
ROLLBACK;
RESET check_function_bodies;
RESET row_security;

-- exceptions, and the level warning
SELECT safeguard.set_level('big', 'destructive_ddl', 'off');
BEGIN;
CREATE INDEX ON big (a);
ROLLBACK;
SELECT safeguard.set_level('big', 'destructive_ddl', 'warning');
BEGIN;
CREATE INDEX ON big (a);
ROLLBACK;
SELECT safeguard.clear_level('big', 'destructive_ddl');

-- an ordinary user cannot move the limit
CREATE ROLE regress_bulk_user;
GRANT USAGE ON SCHEMA regress_bulk TO regress_bulk_user;
SET ROLE regress_bulk_user;
SET safeguard.large_table = '1TB';
-- and is refused by the server before anything is told
CREATE INDEX ON big (a);
ALTER TABLE big SET TABLESPACE pg_default;
RESET ROLE;
REVOKE USAGE ON SCHEMA regress_bulk FROM regress_bulk_user;
DROP ROLE regress_bulk_user;

SET safeguard.destructive_ddl = off;
SET client_min_messages = warning;
RESET search_path;
DROP SCHEMA regress_bulk CASCADE;
