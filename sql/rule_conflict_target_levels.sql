-- Levels, exceptions, privileges, and errors in places where they are caught.
CREATE SCHEMA ctarget;
SET search_path = ctarget, public;
CREATE TABLE account (tenant_id int, email text, secret text, n int DEFAULT 0);
CREATE UNIQUE INDEX account_key ON account (tenant_id, email);
CREATE UNIQUE INDEX account_secret ON account (tenant_id, secret);
CREATE TABLE good (id int PRIMARY KEY, n int);

-- L01: the level of the rule: only a warning touches the error
SET safeguard.conflict_target = off;
INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
SET safeguard.conflict_target = record;
INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
SET safeguard.conflict_target = warning;
INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
SET safeguard.conflict_target = error;
INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
RESET safeguard.conflict_target;

-- L02: what else sets the level
\set VERBOSITY terse
SET safeguard.enabled = off;
INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
RESET safeguard.enabled;
SET safeguard.max_level = record;
INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
RESET safeguard.max_level;
SELECT safeguard.set_level('account', 'conflict_target', 'record') AS set \g /dev/null
INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
SET safeguard.conflict_target = off;
SELECT safeguard.set_level('account', 'conflict_target', 'error') AS set \g /dev/null
INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
SELECT safeguard.clear_level('account', 'conflict_target') AS clear \g /dev/null
RESET safeguard.conflict_target;
CREATE TEMP TABLE scratch (a int);
INSERT INTO scratch VALUES (1) ON CONFLICT (a) DO NOTHING;
SET safeguard.temp_tables = on;
INSERT INTO scratch VALUES (1) ON CONFLICT (a) DO NOTHING;
RESET safeguard.temp_tables;
DROP TABLE scratch;

-- L03: an exception of the root holds for its partitions
CREATE TABLE root (a int, b int) PARTITION BY LIST (a);
CREATE TABLE leaf PARTITION OF root DEFAULT;
INSERT INTO leaf VALUES (1, 1) ON CONFLICT (b) DO NOTHING;
SELECT safeguard.set_level('root', 'conflict_target', 'off') AS set \g /dev/null
INSERT INTO leaf VALUES (1, 1) ON CONFLICT (b) DO NOTHING;
INSERT INTO root VALUES (1, 1) ON CONFLICT (b) DO NOTHING;
SELECT safeguard.clear_level('root', 'conflict_target') AS clear \g /dev/null

-- L04: EXPLAIN, which only plans
EXPLAIN INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
EXPLAIN (ANALYZE) INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
EXPLAIN (COSTS OFF) INSERT INTO good VALUES (1) ON CONFLICT (id) DO NOTHING;

-- L05: caught in a block of PL/pgSQL
DO $$
DECLARE
    state text;
    detail text;
    hint text;
    relname text;
BEGIN
    INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
EXCEPTION WHEN invalid_column_reference THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
                            relname = TABLE_NAME;
    RAISE NOTICE '% | % | % | % | %', state, sqlerrm, detail, hint, relname;
    INSERT INTO account VALUES (1, 'x') ON CONFLICT (tenant_id, email) DO NOTHING;
END $$;
SELECT * FROM account;

-- L06: planning that runs a statement which fails in the same way
CREATE FUNCTION caught(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    EXECUTE 'INSERT INTO account VALUES (1, ''y'') ON CONFLICT (secret) DO NOTHING';
    RETURN i;
EXCEPTION WHEN invalid_column_reference THEN
    RETURN i;
END $$;
CREATE FUNCTION uncaught(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    EXECUTE 'INSERT INTO account VALUES (1, ''y'') ON CONFLICT (secret) DO NOTHING';
    RETURN i;
END $$;
INSERT INTO account VALUES (caught(1), 'x') ON CONFLICT (email) DO NOTHING;
INSERT INTO account VALUES (uncaught(1), 'x') ON CONFLICT (email) DO NOTHING;
INSERT INTO good VALUES (caught(1), 2) ON CONFLICT (id) DO NOTHING;
INSERT INTO good VALUES (uncaught(1), 2) ON CONFLICT (id) DO NOTHING;
-- the advice executes none of these functions
PREPARE p AS INSERT INTO account VALUES (uncaught(1), 'x') ON CONFLICT (email) DO NOTHING;
DEALLOCATE p;

-- L07: a cancellation comes through; the advice does not call the function
CREATE FUNCTION cancels(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    PERFORM pg_cancel_backend(pg_backend_pid());
    PERFORM pg_sleep(600);
    RETURN i;
END $$;
INSERT INTO account VALUES (cancels(1), 'x') ON CONFLICT (email) DO NOTHING;
PREPARE p AS INSERT INTO account VALUES (cancels(1), 'x') ON CONFLICT (email) DO NOTHING;
CREATE FUNCTION f_cancels() RETURNS void LANGUAGE sql AS 'INSERT INTO account VALUES (cancels(1), ''x'') ON CONFLICT (email) DO NOTHING';
DEALLOCATE p;

-- L08: who may not execute the statement gets the server's error alone
\set VERBOSITY default
CREATE ROLE regress_ct_user;
GRANT USAGE ON SCHEMA ctarget TO regress_ct_user;
SET ROLE regress_ct_user;
INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
INSERT INTO account VALUES (1, 'x') ON CONFLICT (tenant_id, email) DO NOTHING;
RESET ROLE;
GRANT INSERT ON account TO regress_ct_user;
SET ROLE regress_ct_user;
INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
EXPLAIN INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
RESET ROLE;

-- L09: a key that has columns he may not read is not named to him
GRANT SELECT (email) ON account TO regress_ct_user;
SET ROLE regress_ct_user;
INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
RESET ROLE;
GRANT SELECT (tenant_id) ON account TO regress_ct_user;
SET ROLE regress_ct_user;
INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
RESET ROLE;

-- L10: through a view, whose owner reads the table
CREATE VIEW v AS SELECT tenant_id, n FROM account;
GRANT INSERT, SELECT ON v TO regress_ct_user;
REVOKE ALL ON account FROM regress_ct_user;
REVOKE SELECT (tenant_id, email) ON account FROM regress_ct_user;
SET ROLE regress_ct_user;
INSERT INTO v VALUES (1) ON CONFLICT (tenant_id) DO NOTHING;
RESET ROLE;

-- L11: a source that he may not read
GRANT INSERT, SELECT ON account TO regress_ct_user;
SET ROLE regress_ct_user;
INSERT INTO account SELECT id FROM good ON CONFLICT (email) DO NOTHING;
INSERT INTO account SELECT id FROM (SELECT * FROM good OFFSET 0) g ON CONFLICT (email) DO NOTHING;
RESET ROLE;

SET client_min_messages = error;
DROP SCHEMA ctarget CASCADE;
DROP ROLE regress_ct_user;
