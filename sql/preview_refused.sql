--
-- safeguard.preview() refuses by name what cannot be rolled back or does not
-- run in a transaction, before anything runs.
--
CREATE SCHEMA preview_refused;
SET search_path = preview_refused;
CREATE TABLE t (id int PRIMARY KEY);
CREATE SEQUENCE untouched;
PREPARE mine AS SELECT 1;
SELECT pg_advisory_lock(5);
BEGIN;
DECLARE mine CURSOR FOR SELECT 1;

CREATE FUNCTION refused(script text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
    detail text;
BEGIN
    PERFORM FROM safeguard.preview('SELECT nextval(''untouched''); ' || script);
    RETURN 'not refused';
EXCEPTION WHEN feature_not_supported THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    RETURN replace(message, 'safeguard.preview() cannot rehearse ', '') || ': ' || detail;
END $$;

SELECT script, refused(script)
  FROM unnest(ARRAY[
    'BEGIN', 'COMMIT', 'ROLLBACK', 'SAVEPOINT a', 'RELEASE a', 'ROLLBACK TO a', 'PREPARE TRANSACTION ''a''', 'COMMIT PREPARED ''a''',
    'VACUUM', 'VACUUM t', 'CREATE DATABASE d', 'DROP DATABASE d', 'ALTER DATABASE d SET TABLESPACE s',
    'CREATE TABLESPACE s LOCATION ''/nowhere''', 'DROP TABLESPACE s', 'ALTER SYSTEM SET work_mem = ''1MB''',
    'CREATE INDEX CONCURRENTLY ON t (id)', 'DROP INDEX CONCURRENTLY t_pkey', 'REINDEX TABLE CONCURRENTLY t',
    'ALTER TABLE t DETACH PARTITION p CONCURRENTLY', 'REINDEX DATABASE d', 'REINDEX SYSTEM d', 'REINDEX SCHEMA preview_refused', 'CLUSTER',
    'CREATE SUBSCRIPTION s CONNECTION '''' PUBLICATION p', 'DROP SUBSCRIPTION s', 'ALTER SUBSCRIPTION s REFRESH PUBLICATION',
    'ALTER SUBSCRIPTION s SET PUBLICATION p',
    'LOAD ''safeguard''', 'CHECKPOINT', 'DISCARD ALL', 'DISCARD SEQUENCES', 'NOTIFY n', 'LISTEN n', 'UNLISTEN n',
    'COPY t FROM STDIN', 'COPY t TO STDOUT', 'COPY t TO ''/nowhere''', 'COPY t FROM PROGRAM ''true''', 'COPY t TO PROGRAM ''true''',
    'COPY (SELECT 1) TO ''/nowhere''',
    'DEALLOCATE mine', 'DEALLOCATE ALL', 'CLOSE mine', 'CLOSE ALL', 'FETCH mine', 'MOVE mine',
    'SELECT dblink_exec(''x'')', 'SELECT a FROM t, LATERAL public.dblink(''x'') AS d(a int)', 'INSERT INTO t SELECT pg_catalog.pg_terminate_backend(0)::int',
    'SELECT pg_reload_conf()', 'WITH x AS (SELECT lo_export(1, ''/nowhere'')) SELECT FROM x', 'EXPLAIN ANALYZE SELECT pg_switch_wal()',
    'CREATE TABLE made AS SELECT pg_advisory_unlock_all()', 'DECLARE c CURSOR FOR SELECT pg_rotate_logfile()',
    'SELECT safeguard.stats_reset()'
  ]) WITH ORDINALITY AS s(script, n)
 ORDER BY n;

-- foreign tables, named, as a partition, in a WITH query
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE far (id int) SERVER nowhere;
CREATE TABLE parted (id int) PARTITION BY LIST (id);
CREATE FOREIGN TABLE far_part PARTITION OF parted FOR VALUES IN (1) SERVER nowhere;
SELECT script, refused(script)
  FROM unnest(ARRAY[
    'INSERT INTO far VALUES (1)', 'UPDATE far SET id = 2', 'DELETE FROM preview_refused.far', 'TRUNCATE t, far', 'COPY far FROM ''/nowhere''',
    'INSERT INTO parted VALUES (2)', 'WITH d AS (DELETE FROM far RETURNING id) INSERT INTO t SELECT id FROM d'
  ]) WITH ORDINALITY AS s(script, n)
 ORDER BY n;

-- nothing has been run
SELECT is_called FROM untouched;
FETCH mine;
COMMIT;
EXECUTE mine;

-- what looks like it and can be rehearsed
SELECT statement, command, sqlstate
  FROM safeguard.preview($$
CREATE INDEX i ON t (id);
REINDEX TABLE t;
REINDEX INDEX i;
CLUSTER t USING t_pkey;
ANALYZE t;
DISCARD PLANS;
SET LOCAL work_mem = '1MB';
SET CONSTRAINTS ALL DEFERRED;
ALTER SEQUENCE untouched RESTART;
CREATE MATERIALIZED VIEW m AS SELECT id FROM t;
CREATE UNIQUE INDEX ON m (id);
REFRESH MATERIALIZED VIEW CONCURRENTLY m;
CREATE FUNCTION dblink_like() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE ROLE regress_preview_made;
SELECT 'VACUUM; COMMIT' AS vacuum;
$$);
-- a function of somebody else's, by the same name
CREATE FUNCTION pg_reload_conf() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT command, sqlstate FROM safeguard.preview('SELECT preview_refused.pg_reload_conf()');

-- inside functions it is the failure of the statement
CREATE FUNCTION run_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE tg_argv[0]; RETURN NEW; END $$;
CREATE TRIGGER run_it BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION run_it('CHECKPOINT');
SELECT statement, command, sqlstate, error
  FROM safeguard.preview('INSERT INTO t VALUES (1); SELECT 1');
-- but a notification is rolled back
CREATE OR REPLACE TRIGGER run_it BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION run_it('NOTIFY n');
LISTEN n;
SELECT statement, command, sqlstate, error
  FROM safeguard.preview('INSERT INTO t VALUES (1); SELECT 1; SELECT pg_notify(''n'', '''')');
UNLISTEN n;
DROP TRIGGER run_it ON t;
SELECT command, sqlstate, error FROM safeguard.preview('DO $$ BEGIN PERFORM pg_rotate_logfile(); END $$');
SELECT command, sqlstate, error FROM safeguard.preview('DO $$ BEGIN INSERT INTO parted VALUES (2); END $$');
SELECT command, sqlstate, error FROM safeguard.preview('DO $$ BEGIN EXECUTE ''DEALLOCATE mine''; END $$');
-- an advisory lock of the script's own may be given back
SELECT command, sqlstate, error FROM safeguard.preview('DO $$ BEGIN PERFORM pg_advisory_unlock(5); END $$');
SELECT pg_advisory_unlock(5);
SELECT command, sqlstate, error FROM safeguard.preview('SELECT pg_advisory_lock(5); SELECT pg_advisory_unlock(5)');
CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;
CREATE PROCEDURE stays() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (7); END $$;
SELECT command, sqlstate, error FROM safeguard.preview('CALL commits()');
SELECT command, relation, rows, sqlstate FROM safeguard.preview('CALL stays()');

-- the message
\set VERBOSITY default
SELECT * FROM safeguard.preview(E'INSERT INTO t VALUES (1);\nVACUUM t;');
SELECT * FROM safeguard.preview('SELECT 1; SELECT 2, pg_switch_wal();');
SELECT * FROM safeguard.preview('BEGIN; INSERT INTO t VALUES (1); COMMIT');

SELECT count(*) FROM t;
DEALLOCATE mine;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA preview_refused CASCADE;
DROP FOREIGN DATA WRAPPER nothing CASCADE;
