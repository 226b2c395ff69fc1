--
-- safeguard.check of DDL: what is found (R) and its look-alikes that pass (A).
-- That the verdicts are those of enforcing is t/022_check_ddl.pl's to show.
--
CREATE SCHEMA regress_check_ddl;
SET search_path = regress_check_ddl;
SET safeguard.large_table = 0;
SET safeguard.constraint_bypass = error;
SET safeguard.destructive_ddl = error;
SET safeguard.lock_timeout = off;
SET client_min_messages = warning;
CREATE TABLE full_one (a int PRIMARY KEY, b varchar(10), c timestamp, d int);
INSERT INTO full_one SELECT n, 'x' FROM generate_series(1, 3) n;
CREATE TABLE refers (a int CONSTRAINT refers_fk REFERENCES full_one, b text);
INSERT INTO refers VALUES (1, 'x');
CREATE TABLE empty_one (a int, b text);
CREATE VIEW on_full AS SELECT d FROM full_one;
CREATE TYPE regress_mood AS ENUM ('good', 'bad');
CREATE TABLE moody (a int, mood regress_mood);
INSERT INTO moody VALUES (1, 'good');
CREATE TABLE parted (a int, b text) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
INSERT INTO parted VALUES (1, 'x'), (11, 'x');

-- one row: everything that is told, and where it points to
\a\x
SELECT statement, rule, level, relation, columns, message, detail, hint,
       substr('SELECT 1; ALTER TABLE full_one ALTER a TYPE bigint', "position", 8) AS at
  FROM safeguard.check('SELECT 1; ALTER TABLE full_one ALTER a TYPE bigint');
\a\x

CREATE FUNCTION verdicts(script text) RETURNS SETOF text LANGUAGE sql AS
$$
    SELECT format('%s %s: %s', statement, level, message)
      FROM safeguard.check(script) ORDER BY statement, message COLLATE "C"
$$;

-- R1: drops, truncations and what they take along
SELECT verdicts('TRUNCATE refers; ALTER TABLE refers DROP COLUMN b; DROP TABLE refers');
SELECT verdicts('TRUNCATE full_one CASCADE; DROP TYPE regress_mood CASCADE; DROP TABLE full_one CASCADE');
SELECT verdicts('TRUNCATE parted_1; ALTER TABLE parted DROP COLUMN b; DROP TABLE parted');
SELECT verdicts('DROP SCHEMA regress_check_ddl CASCADE');
-- A1: what is empty, what is not there, and what the server refuses
SELECT verdicts('DROP TABLE empty_one; TRUNCATE empty_one; DROP TABLE nobody; DROP TABLE IF EXISTS nobody');
SELECT verdicts('DROP TABLE full_one; TRUNCATE full_one; DROP TYPE regress_mood; DROP SCHEMA regress_check_ddl');
SELECT verdicts('DROP VIEW on_full; DROP SEQUENCE nobody; DROP TABLE on_full; DROP INDEX full_one_pkey');

-- by the server's word for it, unless the script may have made it
SELECT verdicts('DROP FUNCTION nobody(int); DROP TYPE nobody; DROP SCHEMA nobody; DROP TABLE nobody.here; DROP TRIGGER nobody ON full_one;
                 DROP TRIGGER nobody ON nobody; DROP POLICY nobody ON full_one; DROP RULE nobody ON full_one; DROP MATERIALIZED VIEW nobody');
SELECT verdicts('CREATE TABLE made (a int); DROP TABLE made; SELECT 1 AS a INTO selected; DROP TABLE selected; CREATE SCHEMA s; DROP TABLE s.t;
                 ALTER TABLE full_one RENAME TO renamed; DROP VIEW other; DROP TABLE renamed');
SELECT verdicts('DO ''BEGIN END''; DROP TABLE nobody');
CREATE FUNCTION makes() RETURNS int LANGUAGE plpgsql AS 'BEGIN CREATE TABLE nobody (a int); RETURN 1; END';
SELECT verdicts('SELECT makes(); DROP TABLE nobody');
SELECT verdicts('SELECT abs(1), now(); DROP TABLE nobody');
SELECT verdicts('CREATE FUNCTION will_make() RETURNS int LANGUAGE plpgsql AS ''BEGIN END''; SELECT will_make(); DROP TABLE nobody');
SELECT verdicts('CREATE TABLE liked (LIKE full_one INCLUDING INDEXES); DROP INDEX liked_b_idx; DROP TABLE nobody');
SELECT verdicts('ALTER TABLE full_one ADD x serial; DROP SEQUENCE full_one_x_seq CASCADE; DROP VIEW nobody');
SELECT verdicts('CREATE SCHEMA s CREATE TABLE inner_one (a int); SET search_path = s; DROP TABLE inner_one');

-- R2: rewrites
SELECT verdicts('ALTER TABLE full_one ALTER b TYPE varchar(5); ALTER TABLE full_one ALTER a TYPE bigint USING a;
    ALTER TABLE full_one ADD x float8 DEFAULT random(); ALTER TABLE full_one ADD x serial;
    ALTER TABLE refers SET UNLOGGED; VACUUM FULL refers; ALTER TABLE full_one ADD x int GENERATED ALWAYS AS IDENTITY');
-- A2: what is none
SELECT verdicts('ALTER TABLE full_one ALTER b TYPE varchar(20); ALTER TABLE full_one ALTER b TYPE text;
    ALTER TABLE full_one ADD x timestamptz DEFAULT now(); ALTER TABLE full_one ADD x int DEFAULT 1;
    ALTER TABLE full_one ALTER a TYPE int USING a; ALTER TABLE refers SET LOGGED; VACUUM refers');
-- A3: nor is a type that is not there yet
SELECT verdicts('CREATE TYPE nothing AS ENUM (''a''); ALTER TABLE full_one ALTER b TYPE nothing;
    ALTER TABLE full_one ADD x nothing DEFAULT ''a''');
-- nor what a view holds on to, which the server refuses
SELECT verdicts('ALTER TABLE full_one ALTER d TYPE bigint');
-- of timestamps the time zone decides
SET TIME ZONE 'UTC';
SELECT verdicts('ALTER TABLE full_one ALTER c TYPE timestamptz');
SET TIME ZONE 'Europe/Berlin';
SELECT verdicts('ALTER TABLE full_one ALTER c TYPE timestamptz');
RESET TIME ZONE;

-- R3: indexes
SELECT verdicts('CREATE INDEX ON full_one (b); ALTER TABLE full_one ADD UNIQUE (b); REINDEX TABLE full_one;
    CREATE INDEX ON parted (a); ALTER TABLE full_one ALTER a TYPE oid;
    ALTER TABLE full_one ALTER a TYPE int4');
-- A4: built beside the writers, or refused
SELECT verdicts('CREATE INDEX CONCURRENTLY ON full_one (b); CREATE INDEX ON empty_one (a);
    CREATE INDEX ON full_one (nobody); CREATE INDEX IF NOT EXISTS full_one_pkey ON full_one (a);
    ALTER TABLE full_one ADD CONSTRAINT refers UNIQUE (b)');

-- R4: enforcement switched off
SELECT verdicts('ALTER TABLE refers DISABLE TRIGGER ALL; ALTER TABLE refers ADD CHECK (a > 0) NOT VALID;
    SET session_replication_role = replica; INSERT INTO refers VALUES (1)');
-- A5
SELECT verdicts('ALTER TABLE refers DISABLE TRIGGER USER; ALTER TABLE refers DISABLE TRIGGER ALL, ENABLE TRIGGER ALL;
    ALTER TABLE refers ADD CONSTRAINT x CHECK (a > 0) NOT VALID, VALIDATE CONSTRAINT x;
    ALTER TABLE empty_one ADD CHECK (a > 0) NOT VALID; SET session_replication_role = origin');
-- R5: a declared column
SELECT safeguard.set_column('full_one', 'b', 'identity');
SELECT verdicts('ALTER TABLE full_one RENAME b TO bb; ALTER TABLE full_one DROP c');
SELECT safeguard.clear_column('full_one', 'b', 'identity');

-- what the script has done before: settings, for as long as they hold
SET safeguard.lock_timeout = warning;
SET safeguard.destructive_ddl = off;
SELECT verdicts('ALTER TABLE refers ADD x int');
SELECT verdicts('SET lock_timeout = ''1s''; ALTER TABLE refers ADD x int; RESET lock_timeout; ALTER TABLE refers ADD x int');
SELECT verdicts('BEGIN; SET LOCAL lock_timeout = ''1s''; ALTER TABLE refers ADD x int; COMMIT; ALTER TABLE refers ADD x int');
SELECT verdicts('BEGIN; SET lock_timeout = ''1s''; ROLLBACK; ALTER TABLE refers ADD x int');
SELECT verdicts('BEGIN; SET lock_timeout = ''1s''; COMMIT; ALTER TABLE refers ADD x int');
SELECT verdicts('SELECT set_config(''lock_timeout'', ''1s'', false); ALTER TABLE refers ADD x int');
SELECT verdicts('SET safeguard.lock_timeout = record; ALTER TABLE refers ADD x int; SET safeguard.lock_timeout = nonsense');
SHOW lock_timeout;
SHOW safeguard.lock_timeout;
-- locks that its transaction has
SELECT verdicts('BEGIN; ALTER TABLE refers ADD x int; ALTER TABLE refers ADD y int; COMMIT; ALTER TABLE refers ADD z int');
SELECT verdicts('BEGIN; LOCK TABLE refers; ALTER TABLE refers ADD x int');
-- tables that it makes itself
SET safeguard.destructive_ddl = warning;
SELECT verdicts('CREATE TABLE fresh (a int); CREATE INDEX ON fresh (a); ALTER TABLE fresh ADD b serial; DROP TABLE fresh');
SELECT verdicts('DROP TABLE refers; CREATE TABLE refers (a int); CREATE INDEX ON refers (a); DROP TABLE refers');
SELECT verdicts('BEGIN; DROP TABLE refers; ROLLBACK; TRUNCATE refers');
SELECT verdicts('ALTER TABLE refers RENAME TO old; CREATE TABLE refers (a int); ALTER TABLE refers ADD b serial');
-- one that the transaction around it has made
BEGIN;
CREATE TABLE fresh AS SELECT 1 AS a;
SELECT verdicts('CREATE INDEX ON fresh (a); DROP TABLE fresh');
ROLLBACK;

-- nothing is done, counted or called, and no lock is left
CREATE FUNCTION noisy(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
    $$BEGIN RAISE WARNING 'called'; RETURN $1; END$$;
SELECT verdicts('ALTER TABLE refers ALTER a TYPE int USING noisy(1); ALTER TABLE refers ADD x int DEFAULT noisy(1)');
BEGIN READ ONLY;
SELECT verdicts('ALTER TABLE refers ALTER a TYPE bigint; DROP SCHEMA regress_check_ddl CASCADE');
SELECT relation::regclass, mode FROM pg_locks
 WHERE pid = pg_backend_pid() AND relation IN ('refers'::regclass, 'full_one'::regclass);
SELECT txid_current_if_assigned();
COMMIT;
SELECT count(*) FROM refers;

-- an error comes with what is known without what it hides
SELECT verdicts('ALTER TABLE refers ADD x int DEFAULT nobody()');

-- who may not run a command is told nothing of it, and who may not read a table nothing of its size
CREATE ROLE regress_check_ddl_user;
GRANT USAGE ON SCHEMA regress_check_ddl TO regress_check_ddl_user;
SET ROLE regress_check_ddl_user;
SELECT verdicts('DROP TABLE refers; TRUNCATE refers; ALTER TABLE refers ALTER a TYPE bigint; CREATE INDEX ON refers (a);
    VACUUM FULL refers; DROP TYPE regress_mood CASCADE; DROP SCHEMA regress_check_ddl CASCADE; DROP OWNED BY CURRENT_USER;
    ALTER TABLE refers DISABLE TRIGGER ALL; SET session_replication_role = replica; INSERT INTO refers VALUES (1)');
RESET ROLE;
GRANT TRUNCATE ON full_one, refers TO regress_check_ddl_user;
SET ROLE regress_check_ddl_user;
SELECT message, detail FROM safeguard.check('TRUNCATE full_one CASCADE') ORDER BY 1;
RESET ROLE;
-- of a schema that he may not use he is told nothing
CREATE SCHEMA regress_check_ddl_closed CREATE TABLE inside (a int);
SET ROLE regress_check_ddl_user;
SELECT verdicts('DROP TABLE regress_check_ddl_closed.inside; DROP VIEW regress_check_ddl_closed.nobody');
RESET ROLE;

-- levels: of the table, of the rule; switched off
SELECT safeguard.set_level('refers', 'destructive_ddl', 'error');
SELECT verdicts('DROP TABLE refers');
SELECT safeguard.clear_level('refers', 'destructive_ddl');
SET safeguard.max_level = record;
SELECT verdicts('DROP TABLE refers');
SET safeguard.enabled = off;
SELECT verdicts('DROP TABLE refers');
RESET safeguard.enabled;
RESET safeguard.max_level;

SET safeguard.destructive_ddl = off;
SET safeguard.lock_timeout = off;
SET safeguard.constraint_bypass = off;
RESET search_path;
DROP SCHEMA regress_check_ddl, regress_check_ddl_closed CASCADE;
DROP ROLE regress_check_ddl_user;
