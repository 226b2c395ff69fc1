--
-- destructive_ddl: what must be rejected (R) and its look-alikes that must
-- pass (A).  Tables and columns dropped, tables truncated.
--
CREATE SCHEMA regress_loss;
SET search_path = regress_loss;
CREATE TABLE full_one (a int PRIMARY KEY, b text);
INSERT INTO full_one SELECT n, 'x' FROM generate_series(1, 3) n;
CREATE TABLE full_two (a int REFERENCES full_one, b text);
INSERT INTO full_two VALUES (1, 'x');
CREATE TABLE empty_one (a int PRIMARY KEY, b text);
CREATE TABLE parted (a int, b text) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20)
    PARTITION BY RANGE (a);
CREATE TABLE parted_2_1 PARTITION OF parted_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM (20) TO (30);
INSERT INTO parted VALUES (1, 'x'), (11, 'x');
CREATE TYPE regress_mood AS ENUM ('good', 'bad');
CREATE TABLE moody (a int, mood regress_mood);
INSERT INTO moody VALUES (1, 'good');
CREATE SCHEMA regress_loss_2;
CREATE TABLE regress_loss_2.t1 (a int);
CREATE TABLE regress_loss_2.t2 (a int);
CREATE TABLE regress_loss_2.t3 (a int);
INSERT INTO regress_loss_2.t1 VALUES (1);
INSERT INTO regress_loss_2.t3 VALUES (1);
SET safeguard.destructive_ddl = error;
SET safeguard.constraint_bypass = off;
SET safeguard.lock_timeout = off;
SET client_min_messages = warning;

-- R1: a table that holds data
DROP TABLE full_two;
SELECT count(*) FROM full_two;
-- A1: an empty one
BEGIN;
DROP TABLE empty_one;
ROLLBACK;
-- A2: one that this transaction has made
BEGIN;
CREATE TABLE fresh AS SELECT 1 AS a;
INSERT INTO fresh VALUES (2);
DROP TABLE fresh;
COMMIT;
-- A3: the same in a subtransaction
BEGIN;
SAVEPOINT s;
CREATE TABLE fresh AS SELECT 1 AS a;
RELEASE s;
TRUNCATE fresh;
INSERT INTO fresh VALUES (2);
DROP TABLE fresh;
COMMIT;
-- A4: temporary tables, also those that the server drops by itself
CREATE TEMP TABLE temporary AS SELECT 1 AS a;
TRUNCATE temporary;
INSERT INTO temporary VALUES (1);
ALTER TABLE temporary ADD b int, DROP a;
DROP TABLE temporary;
SET safeguard.temp_tables = on;
CREATE TEMP TABLE temporary AS SELECT 1 AS a;
DROP TABLE temporary;
RESET safeguard.temp_tables;
BEGIN;
CREATE TEMP TABLE gone ON COMMIT DROP AS SELECT 1 AS a;
COMMIT;
CREATE TEMP TABLE gone AS SELECT 1 AS a;
DISCARD TEMP;
-- A5: neither views, nor materialized views, which are made anew
CREATE MATERIALIZED VIEW matview AS SELECT * FROM full_one;
REFRESH MATERIALIZED VIEW matview;
DROP MATERIALIZED VIEW matview;
CREATE VIEW plain_view AS SELECT * FROM full_one;
DROP VIEW plain_view;
-- A6: indexes, sequences, constraints, defaults
CREATE INDEX full_one_b ON full_one (b);
DROP INDEX full_one_b;
ALTER TABLE full_two DROP CONSTRAINT full_two_a_fkey;
ALTER TABLE full_two ADD FOREIGN KEY (a) REFERENCES full_one;

-- R2: several at once: one finding for each
\set VERBOSITY terse
SET safeguard.destructive_ddl = warning;
BEGIN;
DROP TABLE full_one, full_two, empty_one;
ROLLBACK;
SET safeguard.destructive_ddl = error;
\set VERBOSITY default

-- R3: TRUNCATE
TRUNCATE full_two;
SELECT count(*) FROM full_two;
-- A7: of an empty table
TRUNCATE empty_one;
-- R4: a cascade empties another table
SET safeguard.destructive_ddl = warning;
BEGIN;
TRUNCATE full_one CASCADE;
ROLLBACK;
SET safeguard.destructive_ddl = error;
TRUNCATE full_one CASCADE;
-- A8: of the empty leaf of a partitioned table
TRUNCATE parted_3;
-- R5: of the partitioned table: the sum over its leaves
TRUNCATE parted;
-- R6: of a part of it
TRUNCATE parted_2;
-- A9: of the partitioned table alone, which holds nothing itself
TRUNCATE empty_one, parted_3;

-- R7: DROP of a partitioned table
DROP TABLE parted;
-- R8: of a leaf
DROP TABLE parted_1;
-- A10: of an empty leaf
BEGIN;
DROP TABLE parted_3;
ROLLBACK;
-- A11: DETACH destroys nothing
BEGIN;
ALTER TABLE parted DETACH PARTITION parted_1;
ROLLBACK;

-- R9: a column
ALTER TABLE full_two DROP COLUMN b;
-- A12: of an empty table
BEGIN;
ALTER TABLE empty_one DROP COLUMN b;
ROLLBACK;
-- R9b: that is new, in a table that is not: it may have been filled
BEGIN;
ALTER TABLE full_two ADD COLUMN c int DEFAULT 1;
ALTER TABLE full_two DROP COLUMN c;
ROLLBACK;
-- R10: of a partitioned table: the sum over its leaves
ALTER TABLE parted DROP COLUMN b;
-- R10b: two columns of one table; with a generated one
CREATE TABLE three (a int, b int, c int, d int GENERATED ALWAYS AS (c) STORED);
INSERT INTO three VALUES (1, 2, 3);
ALTER TABLE three DROP COLUMN a, DROP COLUMN b;
ALTER TABLE three DROP COLUMN c CASCADE;
-- R10c: of a partitioned table with one leaf
CREATE TABLE single (a int, b int, c int) PARTITION BY RANGE (a);
CREATE TABLE single_1 PARTITION OF single DEFAULT;
INSERT INTO single VALUES (1, 2, 3);
ALTER TABLE single DROP COLUMN b, DROP COLUMN c;
-- R10d: of a parent: it comes first, however many children there are
CREATE TABLE parent (a int, b int);
CREATE TABLE child_1 () INHERITS (parent);
CREATE TABLE child_2 () INHERITS (parent);
INSERT INTO parent VALUES (1, 1);
INSERT INTO child_1 VALUES (1, 1);
INSERT INTO child_2 VALUES (1, 1);
ALTER TABLE parent DROP COLUMN b;
-- R11: by the type's cascade
DROP TYPE regress_mood CASCADE;
-- A13: nothing is dropped where something stands in the way
DROP TYPE regress_mood;

-- R12: a schema with all that is in it
DROP SCHEMA regress_loss_2 CASCADE;
-- A14: with empty tables only
BEGIN;
CREATE SCHEMA regress_loss_3;
CREATE TABLE regress_loss_3.t (a int);
DROP SCHEMA regress_loss_3 CASCADE;
ROLLBACK;
-- R13: all that a role owns
CREATE ROLE regress_loss_owner;
CREATE TABLE owned (a int);
ALTER TABLE owned OWNER TO regress_loss_owner;
INSERT INTO owned VALUES (1);
DROP OWNED BY regress_loss_owner;

-- R14: in a function, by its own text
DO $$ BEGIN EXECUTE 'DROP TABLE full_two'; END $$;
CREATE FUNCTION drop_it() RETURNS void LANGUAGE plpgsql AS
    $$BEGIN DROP TABLE full_two; EXCEPTION WHEN SQLSTATE 'SG009' THEN RAISE NOTICE 'caught'; END$$;
SET client_min_messages = notice;
SELECT drop_it();
SET client_min_messages = warning;
SELECT count(*) FROM full_two;

-- R15: more tables than anybody reads: ten by name, and the rest in one
SET safeguard.destructive_ddl = warning;
DO $$
BEGIN
    CREATE SCHEMA regress_many;
    FOR n IN 1..25 LOOP
        EXECUTE format('CREATE TABLE regress_many.t%s AS SELECT 1 AS a', n);
    END LOOP;
END
$$;
\set VERBOSITY terse
DROP SCHEMA regress_many CASCADE;
\set VERBOSITY default
SET safeguard.destructive_ddl = error;

-- R16: a database that holds rows.  A15: one that holds none
CREATE DATABASE regress_loss_db;
DROP DATABASE regress_loss_db;
CREATE DATABASE regress_loss_db;
SELECT current_database() AS here \gset
\c regress_loss_db
CREATE TABLE empty_one (a int PRIMARY KEY, b text);
\c :here
SET search_path = regress_loss;
SET safeguard.destructive_ddl = error;
DROP DATABASE regress_loss_db;
CREATE DATABASE regress_loss_db;
\c regress_loss_db
CREATE TABLE full_one AS SELECT 1 AS a;
\c :here
SET search_path = regress_loss;
SET safeguard.constraint_bypass = off;
SET client_min_messages = warning;
SET safeguard.destructive_ddl = error;
\set VERBOSITY terse
DROP DATABASE regress_loss_db;
\set VERBOSITY default
SET safeguard.destructive_ddl = record;
DROP DATABASE regress_loss_db;
SET safeguard.destructive_ddl = error;

-- exceptions: the table's own row, and that of the partition root
SELECT safeguard.set_level('full_two', 'destructive_ddl', 'off');
SELECT safeguard.set_level('parted', 'destructive_ddl', 'record');
BEGIN;
DROP TABLE full_two;
ROLLBACK;
BEGIN;
TRUNCATE parted_1;
DROP TABLE parted;
ROLLBACK;
SELECT safeguard.set_level('parted_1', 'destructive_ddl', 'error');
DROP TABLE parted;
SELECT safeguard.clear_level('parted_1', 'destructive_ddl');
SELECT safeguard.clear_level('parted', 'destructive_ddl');
SELECT safeguard.clear_level('full_two', 'destructive_ddl');

-- a row of its own is what has to be changed, and the hint says so
SELECT safeguard.set_level('full_two', 'destructive_ddl', 'error');
SET safeguard.destructive_ddl = record;
TRUNCATE full_two;
SELECT safeguard.clear_level('full_two', 'destructive_ddl');
SELECT safeguard.set_level('parted_1', 'destructive_ddl', 'error');
TRUNCATE parted;
SET safeguard.destructive_ddl = error;
SELECT safeguard.clear_level('parted_1', 'destructive_ddl');

-- levels
SET safeguard.destructive_ddl = off;
BEGIN;
DROP TABLE full_two;
ROLLBACK;
SET safeguard.destructive_ddl = error;
SET safeguard.max_level = record;
BEGIN;
DROP TABLE full_two;
ROLLBACK;
RESET safeguard.max_level;

-- a restore is told the same: DROP and TRUNCATE keep their level
SET check_function_bodies = off;
SET row_security = off;
DROP TABLE full_two;
RESET check_function_bodies;
RESET row_security;

-- who may truncate, but not read, learns no more than he has written; who may not truncate is
-- refused by the server
CREATE ROLE regress_loss_user;
GRANT USAGE ON SCHEMA regress_loss TO regress_loss_user;
SET ROLE regress_loss_user;
TRUNCATE full_two;
RESET ROLE;
GRANT TRUNCATE ON full_two TO regress_loss_user;
SET ROLE regress_loss_user;
TRUNCATE full_two;
RESET ROLE;
GRANT TRUNCATE ON parted TO regress_loss_user;
SET ROLE regress_loss_user;
TRUNCATE parted;
RESET ROLE;
-- a table that only the cascade reaches is not named
SELECT safeguard.set_level('full_one', 'destructive_ddl', 'off');
GRANT TRUNCATE ON full_one TO regress_loss_user;
SET ROLE regress_loss_user;
TRUNCATE full_one CASCADE;
RESET ROLE;
SELECT safeguard.clear_level('full_one', 'destructive_ddl');

-- machine-readable fields
\set VERBOSITY sqlstate
DROP TABLE full_two;
\set VERBOSITY default
DO $$
DECLARE
    s text; t text; c text; code text;
BEGIN
    ALTER TABLE regress_loss.full_two DROP COLUMN b;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS s = SCHEMA_NAME, t = TABLE_NAME,
        c = COLUMN_NAME, code = RETURNED_SQLSTATE;
    RAISE WARNING '% %.%.%', code, s, t, c;
END
$$;

SET safeguard.destructive_ddl = off;
RESET search_path;
DROP SCHEMA regress_loss, regress_loss_2 CASCADE;
DROP ROLE regress_loss_owner, regress_loss_user;
