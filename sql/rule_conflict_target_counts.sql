-- What of conflict_target is counted; needs a preloaded server.
CREATE SCHEMA ctarget;
SET search_path = ctarget, public;
SET compute_query_id = off;
SET client_min_messages = error;
\set VERBOSITY sqlstate
CREATE TABLE account (tenant_id int, email text);
CREATE VIEW seen AS SELECT level, relation, calls, rejected, query FROM safeguard.findings
    WHERE rule = 'conflict_target' ORDER BY query COLLATE "C", level;
SELECT safeguard.findings_reset();

-- executions, at each level; nothing of it is a rejection of ours
INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
INSERT INTO account VALUES (2, 'y') ON CONFLICT (email) DO NOTHING;
SET safeguard.conflict_target = record;
INSERT INTO account VALUES (3, 'z') ON CONFLICT (email) DO NOTHING;
SET safeguard.conflict_target = off;
INSERT INTO account VALUES (3, 'z') ON CONFLICT (email) DO NOTHING;
SET safeguard.conflict_target = error;
INSERT INTO account VALUES (3, 'z') ON CONFLICT (email) DO NOTHING;
RESET safeguard.conflict_target;
SELECT * FROM seen;
SELECT rule, seen, rejected FROM safeguard.rules WHERE rule = 'conflict_target';

-- EXPLAIN counts nothing, EXPLAIN ANALYZE does
SELECT safeguard.findings_reset();
EXPLAIN INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
EXPLAIN (ANALYZE off) INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
SELECT * FROM seen;
EXPLAIN ANALYZE INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
SELECT * FROM seen;

-- PREPARE and CREATE FUNCTION, with the statement that it is about
SELECT safeguard.findings_reset();
PREPARE p(int) AS INSERT INTO account VALUES ($1, 'x') ON CONFLICT (email) DO NOTHING;
EXECUTE p(1);
EXPLAIN EXECUTE p(1);
CREATE FUNCTION f_sql() RETURNS void LANGUAGE sql AS $$
    SELECT 'secret';
    INSERT INTO account VALUES (1, 'x') ON CONFLICT (tenant_id) DO NOTHING;
    SELECT 'secret' $$;
CREATE FUNCTION f_plpgsql() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO account VALUES (1, 'x') ON CONFLICT (tenant_id) DO UPDATE SET email = 'x';
END $$;
CREATE FUNCTION f_atomic() RETURNS void BEGIN ATOMIC
    INSERT INTO account VALUES (1, 'x') ON CONFLICT (tenant_id) DO NOTHING;
END;
SELECT * FROM seen;

-- who may not execute it is not counted
SELECT safeguard.findings_reset();
CREATE ROLE regress_ct_user;
GRANT USAGE ON SCHEMA ctarget TO regress_ct_user;
SET ROLE regress_ct_user;
INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
PREPARE q AS INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
RESET ROLE;
SELECT * FROM seen;

-- neither is what the server finds an index for, or no error of this kind
INSERT INTO account VALUES (1 / 0, 'x') ON CONFLICT (email) DO NOTHING;
INSERT INTO account VALUES (1, 'x') ON CONFLICT (nonsense) DO NOTHING;
CREATE UNIQUE INDEX ON account (email);
INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
SELECT * FROM seen;
SELECT safeguard.findings_reset();

-- trouble of our own leaves the server's error as it is, and is counted
SELECT value AS before FROM safeguard.status() WHERE item = 'unjudged' \gset
SET allow_system_table_mods = on;
\set VERBOSITY default
RESET client_min_messages;
BEGIN;
CREATE COLLATION broken FROM "C";
PREPARE broken AS INSERT INTO account VALUES (1, 'x') ON CONFLICT (email COLLATE broken) DO NOTHING;
DELETE FROM pg_collation WHERE collname = 'broken';
EXECUTE broken;
ROLLBACK;
SELECT value::int - :before AS unjudged, regexp_replace(detail, '\d+\.$', 'N') AS detail FROM safeguard.status() WHERE item = 'unjudged';
DEALLOCATE ALL;

SET client_min_messages = error;
DROP SCHEMA ctarget CASCADE;
DROP ROLE regress_ct_user;
