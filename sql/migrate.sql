--
-- safeguard.migrate() and its kin, in one session
--
CREATE SCHEMA migrate;
SET search_path = migrate;
\set VERBOSITY default

SELECT safeguard.schema_version('shop');

-- applied once; a byte order mark and line ends are no change
SELECT safeguard.migrate('1', E'CREATE TABLE t (id int PRIMARY KEY, b text);\nINSERT INTO t SELECT g, ''x'' FROM generate_series(1, 5) g;', 'first', project => 'shop');
SELECT safeguard.migrate('1', E'CREATE TABLE t (id int PRIMARY KEY, b text);\r\nINSERT INTO t SELECT g, ''x'' FROM generate_series(1, 5) g;', project => 'shop');
SELECT safeguard.migrate('1', E'\xef\xbb\xbfCREATE TABLE t (id int PRIMARY KEY, b text);\nINSERT INTO t SELECT g, ''x'' FROM generate_series(1, 5) g;', project => 'shop');
SELECT checksum = encode(sha256(E'CREATE TABLE t (id int PRIMARY KEY, b text);\nINSERT INTO t SELECT g, ''x'' FROM generate_series(1, 5) g;'), 'hex') AS sha256
  FROM safeguard.migrations WHERE project = 'shop';
-- anything else is
SELECT safeguard.migrate('1', 'CREATE TABLE t (id int PRIMARY KEY);', project => 'shop');
SELECT safeguard.migrate('1', E'CREATE TABLE t (id int PRIMARY KEY, b text);\n\nINSERT INTO t SELECT g, ''x'' FROM generate_series(1, 5) g;', project => 'shop');
-- another project has versions of its own
SELECT safeguard.migrate('1', 'CREATE TABLE other (id int)', project => 'stock');
SELECT safeguard.schema_version('shop'), safeguard.schema_version('stock'), safeguard.schema_version('none'), safeguard.schema_version(NULL);

-- rows: those of each statement and of CTEs, not those of functions
SELECT safeguard.migrate('2', 'UPDATE t SET b = id::text WHERE id > 2', expected_rows => 4, project => 'shop');
\echo :SQLSTATE
SELECT safeguard.migrate('2', 'UPDATE t SET b = id::text WHERE id > 2', expected_rows => 2, project => 'shop');
SELECT * FROM t ORDER BY id;
SELECT safeguard.migrate('2', $$
    UPDATE t SET b = id::text WHERE id > 2;
    WITH d AS (DELETE FROM t WHERE id = 1 RETURNING id) INSERT INTO t SELECT 6 FROM d;
    PREPARE p AS INSERT INTO t VALUES (7);
    EXECUTE p;
    DEALLOCATE p;
    CREATE RULE also AS ON INSERT TO other DO ALSO INSERT INTO t VALUES (new.id);
    INSERT INTO other VALUES (8), (9);
    DO 'BEGIN INSERT INTO migrate.t VALUES (10); END';
    MERGE INTO t USING (VALUES (10), (11)) AS v(id) ON t.id = v.id
     WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (v.id);
    SELECT * FROM t$$, expected_rows => 10, project => 'shop');
SELECT safeguard.migrate('3', 'SELECT 1', expected_rows => 0, project => 'shop');
SELECT id IS NOT NULL AS has_id, project, version, description, status, applied_by = current_user AS by_me,
       duration_ms >= 0 AS has_duration, rows_changed, wal_bytes > 0 AS has_wal
  FROM safeguard.migrations WHERE project IN ('shop', 'stock') ORDER BY id;

-- what cannot be in a migration
SELECT safeguard.migrate('4', 'BEGIN; CREATE TABLE u (); COMMIT', project => 'shop');
\echo :SQLSTATE
SELECT safeguard.migrate('4', 'CREATE TABLE u (); COMMIT', project => 'shop');
SELECT safeguard.migrate('4', 'SAVEPOINT s', project => 'shop');
SELECT safeguard.migrate('4', 'CREATE TABLE u (); DO ''BEGIN COMMIT; END''', project => 'shop');
\echo :SQLSTATE
SELECT safeguard.migrate('4', 'CREATE INDEX CONCURRENTLY i ON t (b)', project => 'shop');
\echo :SQLSTATE
SELECT safeguard.migrate('4', 'CREATE TABLE u (); VACUUM t', project => 'shop');
SELECT safeguard.migrate('4', 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', project => 'shop');
SELECT safeguard.migrate('4', 'COPY t FROM STDIN', project => 'shop');
SELECT safeguard.migrate('4', 'SELECT 1', keep_rows => NULL, project => 'shop');
-- mistakes: nothing runs if one cannot be parsed
SELECT safeguard.migrate('4', 'CREATE TABLE u (); CREATE TABEL v ()', project => 'shop');
SELECT safeguard.migrate('4', 'CREATE TABLE u (); INSERT INTO u VALUES (nope)', project => 'shop');
SELECT to_regclass('u') AS u, safeguard.schema_version('shop');
-- and arguments
SELECT safeguard.migrate(NULL, 'SELECT 1');
SELECT safeguard.migrate('', 'SELECT 1');
SELECT safeguard.migrate('4', NULL);
SELECT safeguard.migrate('4', 'SELECT 1', project => '');
SELECT safeguard.migrate('4', 'SELECT 1', expected_rows => -1);
SELECT safeguard.migrate(repeat('4', 256), 'SELECT 1');
-- an empty text is one
SELECT safeguard.migrate('4', '-- nothing', project => 'shop');

-- rules guard the text as if a client had sent it
SET safeguard.max_rows_session = 2;
SELECT safeguard.migrate('5', 'UPDATE t SET b = NULL WHERE id < 100', project => 'shop');
SELECT safeguard.migrate('5', 'SET LOCAL safeguard.max_rows_session = 0; UPDATE t SET b = NULL WHERE id < 100', project => 'shop');
SHOW safeguard.max_rows_session;
RESET safeguard.max_rows_session;

-- what is set in it does not leak out
CREATE ROLE regress_sg_migrator;
SELECT safeguard.migrate('6', 'SET search_path = nowhere; SET work_mem = ''77MB''; SET LOCAL lock_timeout = ''7s''; SET ROLE regress_sg_migrator', project => 'shop');
SELECT current_user = session_user AS same_role, current_setting('search_path') AS search_path,
       current_setting('work_mem') <> '77MB' AS same_memory, current_setting('lock_timeout') AS lock_timeout;
BEGIN;
SET LOCAL work_mem = '5MB';
SELECT safeguard.migrate('7', 'SET work_mem = ''77MB''', project => 'shop');
SHOW work_mem;
COMMIT;
-- nor who somebody was, nor that the transaction was read-only, nor by a text that fails
CREATE VIEW migrate.session AS
    SELECT session_user <> 'regress_sg_migrator' AS same_user, current_user = session_user AS same_role,
           current_setting('search_path') AS search_path, current_setting('transaction_read_only') AS read_only,
           current_setting('work_mem') <> '77MB' AS same_memory, current_setting('sg.new', true) AS new;
SELECT safeguard.migrate('session', $$
    SET SESSION AUTHORIZATION regress_sg_migrator;
    SET search_path = nowhere; SET LOCAL work_mem = '77MB'; SELECT set_config('sg.new', 'x', false);
    RESET ALL; SET work_mem = '77MB'; SET TRANSACTION READ ONLY$$, project => 'session');
SELECT * FROM migrate.session;
BEGIN;
SAVEPOINT s;
SELECT safeguard.migrate('fails', $$
    SET SESSION AUTHORIZATION regress_sg_migrator; SET LOCAL ROLE regress_sg_migrator;
    SET search_path = nowhere; SET work_mem = '77MB'; SET TRANSACTION READ ONLY; SELECT 1 / 0$$, project => 'session');
ROLLBACK TO s;
SELECT * FROM migrate.session;
COMMIT;
-- what is made in it stays: what the transaction keeps, and what the session does
BEGIN;
SELECT safeguard.migrate('made', $$
    CREATE TEMP TABLE kept (a) AS SELECT 1;
    PREPARE kept AS SELECT 2 AS a;
    SELECT pg_advisory_lock(3);
    DECLARE kept CURSOR FOR SELECT 4 AS a$$, project => 'session');
FETCH ALL FROM kept;
COMMIT;
TABLE pg_temp.kept;
EXECUTE kept;
SELECT pg_advisory_unlock(3);
DEALLOCATE kept;
DROP TABLE pg_temp.kept;
-- our own rows are no writes of the session's, and do not hide its first one
SET client_min_messages = error;
SET session_replication_role = replica;
RESET client_min_messages;
SELECT safeguard.migrate('replica 1', 'CREATE TABLE migrate.replica (a int)', project => 'session');
SELECT safeguard.migrate('replica 2', 'INSERT INTO migrate.replica VALUES (1)', project => 'session');
RESET session_replication_role;
-- who takes the extension away takes the row with it
SELECT safeguard.migrate('extension', 'DROP EXTENSION safeguard', project => 'session');
SELECT safeguard.schema_version('session');

-- in a transaction all depends on its end, in a savepoint on that
BEGIN;
SELECT safeguard.migrate('8', 'CREATE TABLE eight ()', project => 'shop');
SELECT safeguard.migrate('8', 'CREATE TABLE eight ()', project => 'shop');
SELECT safeguard.schema_version('shop');
SAVEPOINT s;
SELECT safeguard.migrate('9', 'CREATE TABLE nine ()', project => 'shop');
ROLLBACK TO s;
SELECT safeguard.schema_version('shop');
SELECT safeguard.migrate('nested', 'SELECT safeguard.migrate(''nested'', '''', project => ''shop'')', project => 'shop');
ROLLBACK TO s;
SELECT safeguard.migrate('9', 'SELECT safeguard.migrate(''inner'', ''CREATE TABLE nine ()'', project => ''shop'')', project => 'shop');
COMMIT;
SELECT safeguard.schema_version('shop'), to_regclass('eight') AS eight, to_regclass('nine') AS nine;
DO $$
BEGIN
    PERFORM safeguard.migrate('10', 'CREATE TABLE ten (); SELECT 1 / 0', project => 'shop');
EXCEPTION WHEN division_by_zero THEN
    RAISE NOTICE 'caught';
END
$$;
SELECT safeguard.schema_version('shop'), to_regclass('ten') AS ten;
-- a constraint that is checked at the end
SELECT safeguard.migrate('10', 'CREATE TABLE ten (id int REFERENCES t DEFERRABLE INITIALLY DEFERRED); INSERT INTO ten VALUES (-1)', project => 'shop');
SELECT safeguard.schema_version('shop'), to_regclass('ten') AS ten;
-- a rehearsal is none
SELECT statement, command, error FROM safeguard.preview('SELECT safeguard.migrate(''10'', ''CREATE TABLE ten ()'', project => ''shop'')');
SELECT safeguard.schema_version('shop'), to_regclass('ten') AS ten;

-- marks
SELECT safeguard.migration_mark('1', 'applied', 'there before', project => 'old');
SELECT safeguard.migrate('1', 'SELECT 1 / 0', project => 'old');
SELECT safeguard.migration_mark('1', 'applied', 'again', project => 'old');
SELECT safeguard.migration_mark('1', 'repaired', 'it is this text', 'abc', 'old');
SELECT safeguard.migration_begin('1', 'abc', 'old');
SELECT safeguard.migration_begin('1', 'abd', 'old');
SELECT safeguard.migration_mark('2', 'applied', 'there before', project => 'old');
SELECT safeguard.schema_version('old');
SELECT safeguard.migration_mark('2', 'reverted', 'taken back', project => 'old');
SELECT safeguard.migration_mark('2', 'reverted', 'taken back', project => 'old');
SELECT safeguard.schema_version('old');
SELECT safeguard.migrate('2', 'SELECT 2', project => 'old');
SELECT safeguard.migration_mark('2', 'released', 'x', project => 'old');
SELECT safeguard.migration_mark('3', 'released', 'x', project => 'old');
SELECT safeguard.migration_mark('3', 'repaired', 'x', project => 'old');
SELECT safeguard.migration_mark('3', 'reverted', 'x', project => 'old');
SELECT safeguard.migration_mark('3', 'done', 'x', project => 'old');
SELECT safeguard.migration_mark('3', 'applied', '', project => 'old');
SELECT safeguard.migration_mark('3', 'applied', NULL, project => 'old');
SELECT version, status, description, checksum FROM safeguard.migrations WHERE project = 'old' ORDER BY id;

-- a migration that the caller runs
SELECT safeguard.migration_begin('11', 'abc', 'shop');
SELECT safeguard.migration_begin('11', 'abc', 'shop');
SELECT safeguard.schema_version('shop');
CREATE INDEX CONCURRENTLY i ON t (b);
SELECT safeguard.migration_end('11', 'shop');
SELECT safeguard.migration_end('11', 'shop');
SELECT safeguard.migration_end('12', 'shop');
SELECT safeguard.migration_begin('11', 'abc', 'shop');
SELECT safeguard.migration_begin('11', 'abd', 'shop');
CALL safeguard.migration_wait('11', project => 'shop');
CALL safeguard.migration_wait('12', '1ms', 'shop');
\echo :SQLSTATE
CALL safeguard.migration_wait('12', '-1s', 'shop');
BEGIN;
CALL safeguard.migration_wait('11', project => 'shop');
ROLLBACK;
SELECT status, checksum, duration_ms > 0 AS has_duration, rows_changed, wal_bytes
  FROM safeguard.migrations WHERE project = 'shop' AND version = '11';
SELECT count(*) AS claims FROM safeguard.migration_claims;
-- its own session is told so
SELECT safeguard.migration_begin('own', 'abc', 'session');
SELECT safeguard.migrate('own', 'SELECT 1', project => 'session');
\echo :SQLSTATE
SELECT safeguard.migration_begin('own', '', 'session');
SELECT safeguard.migration_mark('own', 'repaired', 'x', '', 'session');
-- somebody has put the row right by hand, and left the claim
DELETE FROM safeguard.migrations WHERE project = 'session' AND version = 'own';
SELECT safeguard.migration_begin('own', 'abd', 'session');
UPDATE safeguard.migrations SET status = 'released' WHERE project = 'session' AND version = 'own';
SELECT safeguard.migrate('own', 'SELECT safeguard.migrate(''own'', '''', project => ''session'')', project => 'session');
SELECT safeguard.migrate('own', 'SELECT 1', project => 'session');
SELECT count(*) AS claims FROM safeguard.migration_claims;
-- its duration is known, whatever the session shows of numbers
SET extra_float_digits = -15;
SELECT safeguard.migration_begin('digits', project => 'session');
SELECT pg_sleep(0.11);
SELECT safeguard.migration_end('digits', 'session');
RESET extra_float_digits;
SELECT duration_ms >= 110 AS in_full FROM safeguard.migrations WHERE project = 'session' AND version = 'digits';

-- rights: nobody's at first; then the text runs as the caller
GRANT ALL ON SCHEMA migrate TO regress_sg_migrator;
SET ROLE regress_sg_migrator;
SELECT safeguard.migrate('12', 'CREATE TABLE twelve ()', project => 'shop');
SELECT safeguard.migration_begin('12', project => 'shop');
SELECT safeguard.migration_end('12', 'shop');
SELECT safeguard.migration_mark('12', 'applied', 'x', project => 'shop');
CALL safeguard.migration_wait('12', '0', 'shop');
SELECT safeguard.schema_version('shop');
RESET ROLE;
GRANT EXECUTE ON FUNCTION safeguard.migrate TO regress_sg_migrator;
SET ROLE regress_sg_migrator;
SELECT safeguard.migrate('12', 'UPDATE safeguard.migrations SET version = ''x'' WHERE version = ''11''', project => 'shop');
SELECT safeguard.migrate('12', 'DROP TABLE t', project => 'shop');
SELECT safeguard.migrate('12', 'CREATE TABLE twelve ()', project => 'shop');
SELECT applied_by, tableowner FROM safeguard.migrations, pg_tables
 WHERE project = 'shop' AND version = '12' AND tablename = 'twelve';
INSERT INTO safeguard.migrations (project, version, status, applied_by) VALUES ('shop', '13', 'applied', 'me');
DELETE FROM safeguard.migrations WHERE version = '12';
SELECT * FROM safeguard.migration_claims;
-- names of the caller have no say
CREATE FUNCTION migrate.nextval(text) RETURNS bigint LANGUAGE sql AS 'SELECT -1::bigint';
SET search_path = migrate, pg_catalog;
SELECT safeguard.migrate('13', 'SELECT 13', project => 'shop');
RESET ROLE;
SELECT id > 0 AS in_order FROM safeguard.migrations WHERE project = 'shop' AND version = '13';

SET client_min_messages = error;
DROP SCHEMA migrate CASCADE;
DROP OWNED BY regress_sg_migrator;
DROP ROLE regress_sg_migrator;
