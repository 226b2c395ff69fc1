--
-- constraint_bypass: a command takes away what upserts or declarations need.
-- Needs a preloaded server, since the upserts are those that have been seen.
--
CREATE SCHEMA constraint_bypass;
SET search_path = constraint_bypass;
SET safeguard.lock_timeout = off;
SET client_min_messages = error;
DROP ROLE IF EXISTS regress_sg_owner;
RESET client_min_messages;
CREATE ROLE regress_sg_owner;
\set VERBOSITY terse

CREATE TABLE t (
    a int,
    b int,
    c int CONSTRAINT t_named UNIQUE,
    d int,
    e text,
    CONSTRAINT t_ab UNIQUE (a, b)
);
CREATE UNIQUE INDEX t_d ON t (d);
CREATE UNIQUE INDEX t_lower ON t (lower(e)) WHERE d > 0;
INSERT INTO t VALUES (1, 1, 1, 1, 'secret') ON CONFLICT (b, a) DO NOTHING;
INSERT INTO t VALUES (1, 1, 1, 1) ON CONFLICT ON CONSTRAINT t_named DO NOTHING;
INSERT INTO t VALUES (1, 1, 1, 1) ON CONFLICT (d) DO UPDATE SET e = 'x';
INSERT INTO t VALUES (1, 1, 1, 1, 'x') ON CONFLICT (lower(e)) WHERE d > 0 DO NOTHING;

--
-- found
--
BEGIN;
ALTER TABLE t DROP CONSTRAINT t_ab;
ROLLBACK;
BEGIN;
ALTER TABLE t DROP COLUMN a;
ROLLBACK;
BEGIN;
ALTER TABLE t RENAME COLUMN b TO bb;
ROLLBACK;
BEGIN;
ALTER TABLE t RENAME CONSTRAINT t_named TO t_other;
ROLLBACK;
BEGIN;
ALTER INDEX t_named RENAME TO t_other;
ROLLBACK;
BEGIN;
DROP INDEX t_d;
ROLLBACK;
BEGIN;
DROP INDEX t_lower;
ROLLBACK;
-- by a cascade, in a function, from a list
BEGIN;
CREATE TYPE key_type AS (x int);
ALTER TABLE t ADD f key_type UNIQUE;
INSERT INTO t (f) VALUES (ROW(1)) ON CONFLICT (f) DO NOTHING;
SET LOCAL client_min_messages = warning;
DROP TYPE key_type CASCADE;
ROLLBACK;
BEGIN;
DO $$ BEGIN ALTER TABLE t DROP CONSTRAINT t_named, DROP COLUMN a; END $$;
ROLLBACK;
-- an equal index does not help who has named the constraint
CREATE UNIQUE INDEX t_c ON t (c);
BEGIN;
ALTER TABLE t DROP CONSTRAINT t_named;
ROLLBACK;
-- nor does one that is partial, on more columns, not unique, or not valid
CREATE UNIQUE INDEX t_partial ON t (d) WHERE d > 0;
CREATE UNIQUE INDEX t_more ON t (d, a);
CREATE INDEX t_not_unique ON t (d);
BEGIN;
DROP INDEX t_d;
ROLLBACK;
-- concurrently, which cannot be undone
SET safeguard.constraint_bypass = error;
DROP INDEX CONCURRENTLY t_d;
SELECT 't_d'::regclass;

-- at level error the command is undone; what it says, with the statement
DO $$
DECLARE
    state text;
    detail text;
    hint text;
    tab text;
    con text;
BEGIN
    ALTER TABLE t DROP CONSTRAINT t_ab;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
        tab = TABLE_NAME, con = CONSTRAINT_NAME;
    RAISE NOTICE '% % %', state, tab, con;
    RAISE NOTICE '%', regexp_replace(detail, 'at \d[^:]*:[^:]*:[\d.]+[-+]\d+', 'at <time>');
    RAISE NOTICE '%', hint;
END
$$;
SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass ORDER BY 1;
-- the statement only for who may see it
ALTER TABLE t OWNER TO regress_sg_owner;
GRANT ALL ON SCHEMA constraint_bypass TO regress_sg_owner;
SET ROLE regress_sg_owner;
DO $$
DECLARE
    detail text;
BEGIN
    ALTER TABLE t DROP CONSTRAINT t_ab;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RAISE NOTICE '%', regexp_replace(detail, 'at \d[^:]*:[^:]*:[\d.]+[-+]\d+', 'at <time>');
END
$$;
RESET ROLE;
RESET safeguard.constraint_bypass;
SELECT safeguard.findings_reset();
SET safeguard.constraint_bypass = record;
BEGIN;
ALTER TABLE t DROP CONSTRAINT t_ab;
ROLLBACK;
SELECT rule, sqlstate, level, relation, calls, rejected, query, message FROM safeguard.findings \gx
RESET safeguard.constraint_bypass;

-- partitions: an upsert by the root or by a leaf, told of the root, once
CREATE TABLE part (k int, v int, PRIMARY KEY (k)) PARTITION BY RANGE (k);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 (v int, k int NOT NULL, UNIQUE (v));
ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM (10) TO (20);
INSERT INTO part_1 VALUES (1, 1) ON CONFLICT (k) DO NOTHING;
INSERT INTO part_2 (k, v) VALUES (11, 1) ON CONFLICT (v) DO NOTHING;
BEGIN;
ALTER TABLE part DROP CONSTRAINT part_pkey;
ROLLBACK;
BEGIN;
ALTER TABLE part RENAME COLUMN k TO kk;
ROLLBACK;
BEGIN;
ALTER TABLE part_2 DROP CONSTRAINT part_2_v_key;
ROLLBACK;

-- declared columns
SELECT safeguard.set_column('t', 'e', 'identity');
SELECT safeguard.set_column('t', 'e', 'scope');
BEGIN;
ALTER TABLE t RENAME COLUMN e TO ee;
ROLLBACK;
BEGIN;
ALTER TABLE t DROP COLUMN e;
ROLLBACK;
SELECT safeguard.clear_column('t', 'e', 'identity');
SELECT safeguard.clear_column('t', 'e', 'scope');

--
-- not found
--
-- rebuilt, replaced in the same command, one of two equal ones, after its replacement
ALTER TABLE t ALTER COLUMN a TYPE bigint, ALTER COLUMN c TYPE bigint;
ALTER TABLE t DROP CONSTRAINT t_ab, ADD CONSTRAINT t_ab UNIQUE (a, b);
-- an index that the server makes again with another text for its expression
CREATE TABLE words (word varchar(10));
CREATE UNIQUE INDEX words_lower ON words (lower(word));
INSERT INTO words VALUES ('x') ON CONFLICT (lower(word)) DO NOTHING;
ALTER TABLE words ALTER word TYPE text;
INSERT INTO words VALUES ('x') ON CONFLICT (lower(word)) DO NOTHING;
REINDEX TABLE t;
CREATE UNIQUE INDEX t_d2 ON t (d);
DROP INDEX t_d;
CREATE UNIQUE INDEX t_ba ON t (b, a);
ALTER TABLE t DROP CONSTRAINT t_ab;
CREATE UNIQUE INDEX t_d3 ON t (d);
DROP INDEX CONCURRENTLY t_d2;
-- what nobody has used, and what is no unique key
CREATE UNIQUE INDEX t_unused ON t (e);
DROP INDEX t_unused, t_partial, t_more, t_not_unique, t_c;
ALTER TABLE t RENAME COLUMN e TO f;
ALTER TABLE t RENAME COLUMN f TO e;
ALTER INDEX t_d3 RENAME TO t_d;
ALTER TABLE t ALTER COLUMN d SET DEFAULT 0, ALTER COLUMN d SET STATISTICS 10;
ALTER TABLE t RENAME TO tt;
ALTER TABLE tt RENAME TO t;
-- a MERGE needs no unique key
CREATE TABLE m (id int PRIMARY KEY, v int);
MERGE INTO m USING t ON t.a = m.id WHEN MATCHED THEN UPDATE SET v = t.b WHEN NOT MATCHED THEN INSERT VALUES (t.a, t.b);
ALTER TABLE m DROP CONSTRAINT m_pkey;
-- temporary tables; tables, schemas and partitions that go altogether
CREATE TEMP TABLE scratch (id int UNIQUE);
INSERT INTO scratch VALUES (1) ON CONFLICT (id) DO NOTHING;
ALTER TABLE scratch DROP CONSTRAINT scratch_id_key;
CREATE TABLE gone (id int PRIMARY KEY);
INSERT INTO gone VALUES (1) ON CONFLICT (id) DO NOTHING;
DROP TABLE gone;
CREATE SCHEMA constraint_bypass_2;
CREATE TABLE constraint_bypass_2.gone (id int PRIMARY KEY);
INSERT INTO constraint_bypass_2.gone VALUES (1) ON CONFLICT (id) DO NOTHING;
SET client_min_messages = warning;
DROP SCHEMA constraint_bypass_2 CASCADE;
RESET client_min_messages;
DROP TABLE part_1;
ALTER TABLE part DETACH PARTITION part_2;
-- another key has the columns, but statements name the constraint
CREATE TABLE by_name (a int CONSTRAINT by_name_key UNIQUE, b int);
INSERT INTO by_name VALUES (1, 1) ON CONFLICT ON CONSTRAINT by_name_key DO NOTHING;
CREATE UNIQUE INDEX by_name_too ON by_name (a);
SELECT safeguard.findings_reset();
ALTER TABLE by_name DROP CONSTRAINT by_name_key;
SELECT message, hint FROM safeguard.findings;
-- a restore keeps the level here: only NOT VALID and DISABLE TRIGGER are excused
SELECT safeguard.findings_reset();
SET check_function_bodies = off;
SET row_security = off;
BEGIN;
DROP INDEX t_ba;
ROLLBACK;
RESET check_function_bodies;
RESET row_security;
SELECT rule, level, calls FROM safeguard.findings;
-- the ways to allow it
SELECT safeguard.set_level('t', 'constraint_bypass', 'record');
DROP INDEX t_ba;
SELECT safeguard.clear_level('t', 'constraint_bypass');
SET safeguard.constraint_bypass = off;
DROP INDEX t_d;
RESET safeguard.constraint_bypass;

SELECT safeguard.findings_reset();
SET client_min_messages = warning;
DROP SCHEMA constraint_bypass CASCADE;
DROP ROLE regress_sg_owner;
