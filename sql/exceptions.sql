--
-- Levels of single tables and declarations of columns
--
CREATE SCHEMA exceptions;
SET search_path = exceptions;
\set VERBOSITY sqlstate

CREATE TABLE point_info (
    system_id int NOT NULL,
    id int NOT NULL,
    name text,
    PRIMARY KEY (system_id, id)
);
PREPARE bad AS UPDATE point_info SET name = 'x' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 1);
EXECUTE bad;

-- a level holds at once, for plans that are cached too
SELECT safeguard.set_level('point_info', 'composite_key', 'record', 'loads are checked elsewhere');
EXECUTE bad;
SELECT relation, rule, level, reason, set_by = current_user AS by_me, now() - set_at < '1 day' AS fresh FROM safeguard.table_levels;
SELECT safeguard.set_level('point_info', 'composite_key', 'warning');
EXECUTE bad;
SELECT relation, rule, level, reason FROM safeguard.table_levels;

-- it comes and goes with its transaction
BEGIN;
SELECT safeguard.set_level('point_info', 'composite_key', 'off');
EXECUTE bad;
SAVEPOINT a;
SELECT safeguard.set_level('point_info', 'composite_key', 'error');
EXECUTE bad;
ROLLBACK TO a;
EXECUTE bad;
ROLLBACK;
EXECUTE bad;

SELECT safeguard.clear_level('point_info', 'composite_key');
EXECUTE bad;

-- nothing to clear is no error
\set VERBOSITY default
SELECT safeguard.clear_level('point_info', 'composite_key');
SELECT safeguard.clear_column('point_info', 'id', 'identity');
\set VERBOSITY sqlstate

-- a column that alone identifies the rows
SELECT safeguard.set_column('point_info', 'id', 'identity', 'comes from a global sequence');
EXECUTE bad;
SELECT relation, column_name, role, reason, set_by = current_user AS by_me FROM safeguard.column_roles;
SELECT safeguard.clear_column('point_info', 'id', 'identity');
EXECUTE bad;

-- it is about a name: a column that gets another one has lost it
SELECT safeguard.set_column('point_info', 'id', 'identity');
BEGIN;
ALTER TABLE point_info RENAME id TO number;
SELECT item, value, detail FROM safeguard.status() WHERE item = 'dead exceptions';
UPDATE point_info SET name = 'x' WHERE number IN (SELECT pi.number FROM point_info pi WHERE pi.system_id = 1);
ROLLBACK;
EXECUTE bad;
SELECT safeguard.clear_column('point_info', 'id', 'identity');

-- a partition follows its root, unless it has a row of its own
CREATE TABLE part (
    system_id int NOT NULL,
    id int NOT NULL,
    name text,
    PRIMARY KEY (system_id, id)
) PARTITION BY LIST (system_id);
CREATE TABLE part_1 (name text, id int NOT NULL, system_id int NOT NULL);
ALTER TABLE part ATTACH PARTITION part_1 FOR VALUES IN (1);
CREATE TABLE part_rest PARTITION OF part DEFAULT PARTITION BY LIST (id);
CREATE TABLE part_rest_all PARTITION OF part_rest DEFAULT;
PREPARE bad_leaf AS UPDATE part_rest_all SET name = 'x' WHERE id IN (SELECT p.id FROM part_rest_all p WHERE p.system_id = 2);
EXECUTE bad_leaf;
SELECT safeguard.set_level('part', 'composite_key', 'off');
EXECUTE bad_leaf;
-- a row of a parent between counts for that one only
SELECT safeguard.set_level('part_rest', 'composite_key', 'error');
EXECUTE bad_leaf;
SELECT safeguard.set_level('part_rest_all', 'composite_key', 'warning');
EXECUTE bad_leaf;
SELECT safeguard.clear_level('part', 'composite_key');
SELECT safeguard.clear_level('part_rest', 'composite_key');
SELECT safeguard.clear_level('part_rest_all', 'composite_key');
EXECUTE bad_leaf;
-- columns are found by name, though they have other numbers in the partition
SELECT safeguard.set_column('part', 'id', 'identity');
EXECUTE bad_leaf;
SELECT safeguard.clear_column('part', 'id', 'identity');
EXECUTE bad_leaf;

-- a script that makes them again
CREATE TABLE "Odd ""name'" (id int);
SELECT safeguard.set_level('"Odd ""name''"', 'composite_key', 'off', E'back\\slash ''quote''');
SELECT safeguard.set_level('point_info', 'composite_key', 'warning');
SELECT safeguard.set_level('point_info', 'composite_key_doubt', 'off');
SELECT safeguard.set_column('point_info', 'id', 'identity');
CREATE TEMP TABLE gone_soon (id int);
SELECT safeguard.set_level('gone_soon', 'composite_key', 'off');
\pset format unaligned
\pset tuples_only on
SELECT safeguard.export_settings();
SELECT safeguard.export_settings() AS script \gset
\pset format aligned
\pset tuples_only off
TRUNCATE safeguard.table_levels, safeguard.column_roles;
SELECT safeguard.export_settings();
EXECUTE bad;
:script
SELECT safeguard.export_settings() = :'script' AS same;
EXECUTE bad;

-- what is restored by COPY is in force at once
TRUNCATE safeguard.table_levels, safeguard.column_roles;
EXECUTE bad;
COPY safeguard.table_levels FROM stdin;
exceptions.point_info	composite_key	warning	\N	somebody	2026-01-01 00:00:00+00
\.
EXECUTE bad;
SET session_replication_role = replica;
DELETE FROM safeguard.table_levels;
RESET session_replication_role;
EXECUTE bad;

-- rows of what is gone are named, left out of a script, and removed by the next call
SELECT safeguard.set_level('gone_soon', 'composite_key', 'off');
SELECT safeguard.set_column('gone_soon', 'id', 'scope');
DROP TABLE gone_soon;
SELECT value, regexp_replace(detail, '\d+', 'OID', 'g') AS detail FROM safeguard.status() WHERE item = 'dead exceptions';
SELECT safeguard.export_settings();
SELECT safeguard.set_level('point_info', 'composite_key', 'error');
SELECT relation, rule FROM safeguard.table_levels;
SELECT value FROM safeguard.status() WHERE item = 'dead exceptions';
SELECT safeguard.clear_level('point_info', 'composite_key');

-- only tables of the extension count, not any that look like them
BEGIN;
DROP EXTENSION safeguard;
CREATE SCHEMA safeguard;
CREATE TABLE safeguard.table_levels (relation regclass, rule text, level text, PRIMARY KEY (relation, rule));
INSERT INTO safeguard.table_levels VALUES ('point_info', 'composite_key', 'off');
EXECUTE bad;
ROLLBACK;

-- what pg_dump takes along
SELECT pg_get_userbyid(extowner) = current_user AS mine, extconfig::regclass[], extcondition
  FROM pg_extension WHERE extname = 'safeguard';

SET client_min_messages = warning;
DROP SCHEMA exceptions CASCADE;
