--
-- lock_timeout: DDL that takes an ACCESS EXCLUSIVE or SHARE lock on an
-- existing table while lock_timeout is 0.  R: rejected, A: passes.
--
CREATE SCHEMA regress_lock;
SET search_path = regress_lock;
CREATE TABLE t (a int NOT NULL, b int);
CREATE TABLE ref (a int PRIMARY KEY);
CREATE UNIQUE INDEX t_a ON t (a);
CREATE VIEW v AS SELECT * FROM t;
CREATE SEQUENCE s;
CREATE TABLE parted (a int NOT NULL) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (10);
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
CREATE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER trig BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION trig();
CREATE RULE r AS ON DELETE TO t DO ALSO NOTHING;
CREATE POLICY p ON t USING (true);
ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID;
INSERT INTO t (a, b) VALUES (1, 1);
INSERT INTO parted VALUES (1);
SHOW lock_timeout;
SET safeguard.lock_timeout = error;
SET safeguard.destructive_ddl = off;
SET safeguard.constraint_bypass = off;

-- R1: the whole message
ALTER TABLE t ADD COLUMN c int;
-- A1: with a limit
SET lock_timeout = '1min';
BEGIN;
ALTER TABLE t ADD COLUMN c int;
DROP TABLE t CASCADE;
ROLLBACK;
RESET lock_timeout;
-- A2: statement_timeout ends the wait, too, but only lock_timeout spares the
-- others the time the work takes
SET statement_timeout = '1min';
-- R2
ALTER TABLE t ADD COLUMN c int;
RESET statement_timeout;

-- R3: each kind of command
\set VERBOSITY terse
ALTER TABLE t DROP COLUMN b;
ALTER TABLE t ALTER a TYPE bigint;
ALTER TABLE t ALTER a SET DEFAULT 1;
ALTER TABLE t ADD PRIMARY KEY (a);
ALTER TABLE t ADD CHECK (a > 0);
ALTER TABLE t DROP CONSTRAINT c;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
ALTER TABLE t OWNER TO CURRENT_USER;
ALTER TABLE t SET SCHEMA public;
ALTER TABLE t RENAME TO t2;
ALTER TABLE t RENAME a TO b2;
ALTER TABLE t RENAME CONSTRAINT c TO c2;
ALTER TRIGGER trig ON t RENAME TO trig2;
ALTER RULE r ON t RENAME TO r2;
ALTER POLICY p ON t RENAME TO p2;
ALTER POLICY p ON t USING (false);
CREATE POLICY p2 ON t USING (true);
CREATE RULE r2 AS ON DELETE TO t DO ALSO NOTHING;
DROP TABLE t;
DROP TABLE ref, regress_lock.t;
DROP INDEX t_a;
DROP TRIGGER trig ON t;
DROP RULE r ON t;
DROP POLICY p ON t;
DROP POLICY p ON regress_lock.t;
TRUNCATE t;
TRUNCATE ref, t;
CREATE INDEX ON t (b);
CREATE UNIQUE INDEX ON regress_lock.t (b);
REINDEX TABLE t;
REINDEX INDEX t_a;
REINDEX SCHEMA regress_lock;
CLUSTER t USING t_a;
CLUSTER;
VACUUM FULL t;
VACUUM (FULL) ref, t;
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
ALTER TABLE parted ATTACH PARTITION t FOR VALUES FROM (10) TO (20);
ALTER TABLE parted DETACH PARTITION parted_1;
DROP SCHEMA regress_lock CASCADE;
\set VERBOSITY default

-- A3: weaker locks
BEGIN;
ALTER TABLE t VALIDATE CONSTRAINT c;
ALTER TABLE t ALTER a SET STATISTICS 10;
ALTER TABLE t SET (fillfactor = 90);
ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES ref NOT VALID;
ALTER TABLE t DISABLE TRIGGER trig;
ALTER INDEX t_a RENAME TO t_a2;
CREATE TRIGGER trig2 BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION trig();
CREATE STATISTICS st ON a, b FROM t;
COMMENT ON TABLE t IS 'x';
GRANT SELECT ON t TO PUBLIC;
ANALYZE t;
ROLLBACK;
CREATE INDEX CONCURRENTLY ti ON t (b);
REINDEX INDEX CONCURRENTLY ti;
DROP INDEX CONCURRENTLY ti;
VACUUM t;
-- A4: LOCK is no DDL, and what the transaction has locked need not be waited
-- for
BEGIN;
LOCK TABLE t;
ALTER TABLE t ADD COLUMN c int;
CREATE INDEX ON t (c);
ROLLBACK;
BEGIN;
LOCK TABLE t IN SHARE MODE;
CREATE INDEX ON t (b);
-- R4: but a weaker lock is not enough
ALTER TABLE t ADD COLUMN c int;
ROLLBACK;
-- A5: a table that this transaction has made, and what comes with it
BEGIN;
CREATE TABLE fresh (a int PRIMARY KEY, b int UNIQUE, c serial);
ALTER TABLE fresh ADD COLUMN d int;
CREATE INDEX ON fresh (d);
TRUNCATE fresh;
DROP TABLE fresh;
CREATE TABLE fresh_parted (a int) PARTITION BY RANGE (a);
CREATE TABLE fresh_1 PARTITION OF fresh_parted DEFAULT;
CREATE SCHEMA regress_lock_2 CREATE TABLE x (a int);
DROP SCHEMA regress_lock_2 CASCADE;
COMMIT;
CREATE TABLE fresh AS SELECT 1 AS a;
-- an index on an empty table, or on a partitioned one
CREATE TABLE empty_one (a int);
CREATE INDEX ON empty_one (a);
CREATE INDEX ON parted (a);
-- A6: temporary tables
CREATE TEMP TABLE temporary (a int);
ALTER TABLE temporary ADD b int;
CREATE INDEX ON temporary (a);
TRUNCATE temporary;
ALTER TABLE pg_temp.temporary DROP b;
DROP TABLE temporary;
-- A7: what is no table
ALTER VIEW v RENAME TO v2;
ALTER VIEW v2 ALTER a SET DEFAULT 1;
DROP VIEW v2;
ALTER SEQUENCE s RENAME TO s2;
DROP SEQUENCE s2;
CREATE MATERIALIZED VIEW mv AS SELECT * FROM t;
REFRESH MATERIALIZED VIEW mv;
DROP MATERIALIZED VIEW mv;
-- A8: what is not there
ALTER TABLE IF EXISTS nobody ADD b int;
DROP TABLE IF EXISTS nobody, regress_nowhere.nobody, postgres_not.x.y;
ALTER TABLE nobody ADD b int;
DROP TRIGGER IF EXISTS nobody ON t;
DROP RULE IF EXISTS nobody ON t;
DROP POLICY IF EXISTS nobody ON t;
DROP POLICY IF EXISTS nobody ON regress_lock.t;
CREATE TABLE IF NOT EXISTS parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (10);
-- R8: what is there
DROP POLICY IF EXISTS p ON t;
-- A9: DETACH CONCURRENTLY waits without a lock that stops others
ALTER TABLE parted DETACH PARTITION parted_rest;
SET safeguard.lock_timeout = off;
ALTER TABLE parted DETACH PARTITION parted_rest;
SET safeguard.lock_timeout = error;
ALTER TABLE parted DETACH PARTITION parted_1 CONCURRENTLY;

-- R5: in a function
DO $$ BEGIN ALTER TABLE t ADD COLUMN c int; END $$;
-- R6: the table a cascade comes to
CREATE TYPE mood AS ENUM ('good');
CREATE TABLE moody (a int, m mood);
SET safeguard.lock_timeout = warning;
BEGIN;
SET LOCAL client_min_messages = warning;
DROP TYPE mood CASCADE;
DROP SCHEMA regress_lock CASCADE;
ROLLBACK;
SET safeguard.lock_timeout = error;
-- R7: the table whose trigger, check, index, policy or default goes with it
SET safeguard.lock_timeout = off;
CREATE FUNCTION positive(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
CREATE TABLE checked (a int CHECK (positive(a)));
CREATE TABLE indexed (a int);
CREATE INDEX ON indexed (positive(a));
CREATE TABLE guarded (a int);
CREATE POLICY by_function ON guarded USING (positive(a));
CREATE SEQUENCE numbers;
CREATE TABLE numbered (a int DEFAULT nextval('numbers'));
CREATE ROLE regress_lock_owner;
CREATE POLICY by_role ON guarded TO regress_lock_owner USING (true);
CREATE POLICY by_roles ON ref TO regress_lock_owner, CURRENT_USER USING (true);
CREATE TABLE owned (a int);
ALTER TABLE owned OWNER TO regress_lock_owner;
SET safeguard.lock_timeout = error;
SET client_min_messages = warning;
\set VERBOSITY terse
DROP FUNCTION trig() CASCADE;
DROP FUNCTION positive(int) CASCADE;
DROP SEQUENCE numbers CASCADE;
REASSIGN OWNED BY regress_lock_owner TO CURRENT_USER;
SET safeguard.lock_timeout = warning;
BEGIN;
REASSIGN OWNED BY regress_lock_owner TO CURRENT_USER;
DROP OWNED BY regress_lock_owner;
ROLLBACK;
-- A12: locked by this transaction already
BEGIN;
LOCK TABLE numbered;
DROP SEQUENCE numbers CASCADE;
ROLLBACK;
SET safeguard.lock_timeout = off;
DROP OWNED BY regress_lock_owner;
SET safeguard.lock_timeout = error;
\set VERBOSITY default
RESET client_min_messages;
-- A10: a schema of views and functions
CREATE SCHEMA regress_lock_2
    CREATE VIEW x AS SELECT 1 AS a;
DROP SCHEMA regress_lock_2 CASCADE;

-- A11: a restore is recorded, never stopped
SET check_function_bodies = off;
SET row_security = off;
BEGIN;
ALTER TABLE t ADD COLUMN c int;
ROLLBACK;
RESET check_function_bodies;
RESET row_security;

-- who may not run the command is refused by the server
CREATE ROLE regress_lock_user;
GRANT USAGE ON SCHEMA regress_lock TO regress_lock_user;
SET ROLE regress_lock_user;
ALTER TABLE t ADD COLUMN c int;
TRUNCATE t;
DROP TABLE t;
RESET ROLE;
GRANT TRUNCATE ON t TO regress_lock_user;
SET ROLE regress_lock_user;
TRUNCATE t;
RESET ROLE;

-- of a table that the command does not name the name is not told
BEGIN;
SET LOCAL client_min_messages = warning;
ALTER FUNCTION positive(int) OWNER TO regress_lock_user;
SET LOCAL ROLE regress_lock_user;
DROP FUNCTION positive(int) CASCADE;
ROLLBACK;

-- exceptions: of a table, of its partition root; the worst table counts
SELECT safeguard.set_level('t', 'lock_timeout', 'record');
BEGIN;
ALTER TABLE t ADD COLUMN c int;
ROLLBACK;
TRUNCATE t, ref;
SELECT safeguard.set_level('t', 'lock_timeout', 'warning');
ALTER TABLE t ADD COLUMN c int;
SELECT safeguard.clear_level('t', 'lock_timeout');

-- machine-readable
\set VERBOSITY sqlstate
ALTER TABLE t ADD COLUMN d int;

SET safeguard.lock_timeout = off;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA regress_lock CASCADE;
DROP ROLE regress_lock_user, regress_lock_owner;
