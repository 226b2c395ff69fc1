--
-- constraint_bypass: enforcement switched off by session_replication_role,
-- DISABLE TRIGGER and NOT VALID.  R: found, A: passes.
--
CREATE SCHEMA regress_bypass;
SET search_path = regress_bypass;
CREATE TABLE parent (a int PRIMARY KEY, b text);
CREATE TABLE child (a int CONSTRAINT child_fk REFERENCES parent, b int);
CREATE TABLE plain (a int, b int);
INSERT INTO parent VALUES (1), (2);
INSERT INTO child VALUES (1);
INSERT INTO plain VALUES (2, 2);
CREATE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER one BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION trig();
CREATE TRIGGER two BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION trig();
CREATE TRIGGER one BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION trig();
SHOW safeguard.constraint_bypass;

-- R1: the SET, however it is written
SET session_replication_role = replica;
-- A0: it is already
SET session_replication_role = 'replica';
SET SESSION "Session_Replication_Role" TO REPLICA;
RESET session_replication_role;
SET SESSION "Session_Replication_Role" TO REPLICA;
RESET session_replication_role;
BEGIN;
SET LOCAL session_replication_role = replica;
COMMIT;
-- A1: to something else, or back
SET session_replication_role = origin;
SET session_replication_role = local;
RESET session_replication_role;
SET session_replication_role = DEFAULT;
SET work_mem = '4MB';
RESET ALL;
SET search_path = regress_bypass;
-- R2: rejected, it does not happen
SET safeguard.constraint_bypass = error;
SET session_replication_role = replica;
SHOW session_replication_role;
RESET safeguard.constraint_bypass;

-- R3: the first write of a transaction, however it was set
\set VERBOSITY terse
SELECT set_config('session_replication_role', 'replica', false);
INSERT INTO child VALUES (99);
UPDATE child SET b = 1 WHERE a = 99;
DELETE FROM child WHERE a = 99;
MERGE INTO child c USING (SELECT 1 AS a) s ON c.a = s.a WHEN MATCHED THEN UPDATE SET b = 3;
COPY child FROM stdin;
98	1
\.
WITH w AS (DELETE FROM child WHERE a = 98 RETURNING a) SELECT * FROM w;
WITH w AS (DELETE FROM child WHERE a = 98 RETURNING a) UPDATE plain SET b = w.a FROM w WHERE plain.a = w.a;
-- once a transaction
BEGIN;
INSERT INTO child VALUES (99);
INSERT INTO child VALUES (99);
SAVEPOINT s;
DELETE FROM child WHERE a = 99;
COMMIT;
-- A2: what only reads
SELECT count(*) FROM child;
SELECT * FROM plain FOR UPDATE;
EXPLAIN (COSTS OFF) DELETE FROM child;
COPY child TO stdout;
SELECT count(*) FROM (SELECT 1) AS one;
CREATE TEMP TABLE temporary (a int);
INSERT INTO temporary VALUES (1);
DROP TABLE temporary;
-- R4: rejected, again and again in one transaction
SET safeguard.constraint_bypass = error;
INSERT INTO child VALUES (99);
COPY child FROM '/dev/null';
BEGIN;
SAVEPOINT s;
INSERT INTO child VALUES (99);
ROLLBACK TO s;
INSERT INTO child VALUES (99);
ROLLBACK;
SELECT count(*) FROM child;
-- R5: a warning for one table does not open the way to another
RESET session_replication_role;
SELECT safeguard.set_level('plain', 'constraint_bypass', 'warning');
BEGIN;
SELECT set_config('session_replication_role', 'replica', true);
INSERT INTO plain VALUES (1);
INSERT INTO plain VALUES (1);
INSERT INTO child VALUES (99);
ROLLBACK;
SELECT safeguard.clear_level('plain', 'constraint_bypass');
INSERT INTO child VALUES (1);
RESET safeguard.constraint_bypass;
-- R6: set for a function
CREATE FUNCTION load() RETURNS void LANGUAGE sql
    SET session_replication_role = replica
    BEGIN ATOMIC INSERT INTO child VALUES (99); END;
SELECT load();
-- A3: referential actions run in a session that enforces
DELETE FROM child;
-- who may not write is refused by the server, and who may not read learns no
-- more than he has written
CREATE ROLE regress_bypass_user;
GRANT USAGE ON SCHEMA regress_bypass TO regress_bypass_user;
SELECT set_config('session_replication_role', 'replica', false);
SET ROLE regress_bypass_user;
INSERT INTO child VALUES (99);
\set VERBOSITY sqlstate
COPY child FROM '/dev/null';
\set VERBOSITY terse
RESET ROLE;
GRANT INSERT ON child TO regress_bypass_user;
SET ROLE regress_bypass_user;
INSERT INTO child VALUES (99);
RESET ROLE;
RESET session_replication_role;
DELETE FROM child;
\set VERBOSITY default
-- the whole message
BEGIN;
SELECT set_config('session_replication_role', 'replica', true);
INSERT INTO child VALUES (99);
ROLLBACK;

-- R7: triggers and the foreign keys behind them
ALTER TABLE plain DISABLE TRIGGER one;
-- A4: which is off already, and on again
ALTER TABLE plain DISABLE TRIGGER one;
ALTER TABLE plain ENABLE TRIGGER one;
-- A5: off and on in one command
ALTER TABLE plain DISABLE TRIGGER one, ENABLE TRIGGER one;
-- R8
ALTER TABLE plain DISABLE TRIGGER ALL;
ALTER TABLE plain ENABLE ALWAYS TRIGGER one;
ALTER TABLE plain ENABLE TRIGGER USER;
ALTER TABLE child DISABLE TRIGGER USER;
ALTER TABLE child DISABLE TRIGGER ALL;
ALTER TABLE child ENABLE TRIGGER ALL;
ALTER TABLE child DISABLE TRIGGER ALL;
ALTER TABLE child ENABLE TRIGGER ALL;
ALTER TABLE parent DISABLE TRIGGER ALL;
ALTER TABLE parent ENABLE TRIGGER ALL;
-- R9: for replication only
ALTER TABLE plain ENABLE REPLICA TRIGGER two;
ALTER TABLE plain ENABLE TRIGGER two;
-- A6: a table without triggers
CREATE TABLE bare (a int);
ALTER TABLE bare DISABLE TRIGGER ALL;
-- R10: of a partitioned table, with its partitions
CREATE TABLE parted (a int) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted DEFAULT;
CREATE TRIGGER three AFTER INSERT ON parted FOR EACH ROW EXECUTE FUNCTION trig();
ALTER TABLE parted DISABLE TRIGGER three;
-- R11: rejected
SET safeguard.constraint_bypass = error;
ALTER TABLE plain DISABLE TRIGGER two;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'plain'::regclass ORDER BY 1;
RESET safeguard.constraint_bypass;

-- R12: constraints that leave the rows that are there unchecked
ALTER TABLE plain ADD CONSTRAINT plain_check CHECK (a > 0) NOT VALID;
ALTER TABLE plain ADD CONSTRAINT plain_fk FOREIGN KEY (a) REFERENCES parent NOT VALID;
-- A7: which are checked
ALTER TABLE plain VALIDATE CONSTRAINT plain_check;
ALTER TABLE plain ADD CONSTRAINT plain_check_2 CHECK (a > 0);
ALTER TABLE plain ADD CONSTRAINT plain_fk_2 FOREIGN KEY (a) REFERENCES parent;
-- A8: added and checked by one command
ALTER TABLE plain ADD CONSTRAINT plain_check_3 CHECK (b > 0) NOT VALID,
    VALIDATE CONSTRAINT plain_check_3;
-- A9: not valid before either: renamed, and put back for another type
ALTER TABLE plain RENAME CONSTRAINT plain_fk TO plain_fk_1;
ALTER TABLE plain ALTER a TYPE bigint;
SELECT conname, convalidated FROM pg_constraint
 WHERE conrelid = 'plain'::regclass ORDER BY conname COLLATE "C";
-- A10: NOT VALID in CREATE TABLE means nothing
CREATE TABLE fresh (a int, CONSTRAINT fresh_check CHECK (a > 0) NOT VALID);
-- R13: of a parent: once, not for each child
CREATE TABLE heir () INHERITS (plain);
ALTER TABLE plain ADD CONSTRAINT plain_check_4 CHECK (a > 1) NOT VALID;
-- R14: of a domain
CREATE DOMAIN regress_bypass.positive AS int;
ALTER DOMAIN positive ADD CONSTRAINT positive_check CHECK (VALUE > 0) NOT VALID;
ALTER DOMAIN positive VALIDATE CONSTRAINT positive_check;
ALTER DOMAIN positive ADD CONSTRAINT positive_check_2 CHECK (VALUE > 1);
-- A12: nothing is there to be left unchecked
CREATE TABLE nothing (a int);
ALTER TABLE nothing ADD CONSTRAINT nothing_check CHECK (a > 0) NOT VALID;
BEGIN;
CREATE TABLE made AS SELECT 1 AS a;
ALTER TABLE made ADD CONSTRAINT made_check CHECK (a > 0) NOT VALID;
COMMIT;
CREATE TABLE many (a int) PARTITION BY RANGE (a);
CREATE TABLE many_1 PARTITION OF many DEFAULT;
ALTER TABLE many ADD CONSTRAINT many_check CHECK (a > 0) NOT VALID;
-- R17: in a partition, or a child
INSERT INTO many VALUES (1);
ALTER TABLE many ADD CONSTRAINT many_check_2 CHECK (a > 0) NOT VALID;
CREATE TABLE nothing_1 () INHERITS (nothing);
INSERT INTO nothing_1 VALUES (1);
ALTER TABLE nothing ADD CONSTRAINT nothing_check_2 CHECK (a > 0) NOT VALID;
-- R15: rejected
INSERT INTO child VALUES (1);
SET safeguard.constraint_bypass = error;
ALTER TABLE child ADD CONSTRAINT child_check CHECK (a > 0) NOT VALID;
DO $$
DECLARE
    s text; t text; c text; code text;
BEGIN
    ALTER TABLE regress_bypass.child ADD CONSTRAINT child_check CHECK (a > 0) NOT VALID;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS s = SCHEMA_NAME, t = TABLE_NAME,
        c = CONSTRAINT_NAME, code = RETURNED_SQLSTATE;
    RAISE NOTICE '% %.%.%', code, s, t, c;
END
$$;
SELECT count(*) FROM pg_constraint WHERE conname = 'child_check';

-- A11: a restore is recorded, never stopped, in these two
SET check_function_bodies = off;
SET row_security = off;
BEGIN;
ALTER TABLE child ADD CONSTRAINT child_check CHECK (a > 0) NOT VALID;
ALTER TABLE child DISABLE TRIGGER ALL;
ROLLBACK;
-- R16: but not in this one
SET session_replication_role = replica;
RESET check_function_bodies;
RESET row_security;

-- exceptions by table
SELECT safeguard.set_level('child', 'constraint_bypass', 'off');
BEGIN;
ALTER TABLE child ADD CONSTRAINT child_check CHECK (a > 0) NOT VALID;
ALTER TABLE child DISABLE TRIGGER ALL;
ROLLBACK;
SELECT safeguard.clear_level('child', 'constraint_bypass');

SET safeguard.constraint_bypass = off;
SET session_replication_role = replica;
RESET session_replication_role;
ALTER TABLE child DISABLE TRIGGER ALL;
SET client_min_messages = warning;
RESET search_path;
DROP SCHEMA regress_bypass CASCADE;
DROP ROLE regress_bypass_user;
