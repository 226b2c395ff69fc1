--
-- safeguard.status(), on a preloaded server
--
CREATE SCHEMA status;
SET search_path = status;
SELECT safeguard.findings_reset();

SELECT item, CASE WHEN item = 'shared memory bytes' THEN (value::bigint > 0)::text ELSE value END AS value, detail
  FROM safeguard.status() WHERE item NOT IN ('unjudged', 'collector', 'track_queries', 'queries', 'violations');
SELECT value, detail ~ '^Process \d+\.  The statistics file was written at \d' AS written
  FROM safeguard.status() WHERE item = 'collector';

SET safeguard.enabled = off;
SET safeguard.max_level = record;
SELECT item, value, detail FROM safeguard.status() WHERE item IN ('enabled', 'max_level', 'rules active');
RESET safeguard.enabled;
RESET safeguard.max_level;

-- what sizes shared memory is set at server start
SET safeguard.max_findings = 500;

-- who creates the extension on a preloaded server needs no advice
BEGIN;
DROP EXTENSION safeguard;
CREATE EXTENSION safeguard;
ROLLBACK;

-- Trouble while a statement is looked at is not that statement's: a default
-- in the catalog that nobody can read makes the detection fail.
CREATE TABLE point_info (
    system_id int NOT NULL,
    id int NOT NULL DEFAULT 1,
    name text,
    PRIMARY KEY (system_id, id)
);
CREATE ROLE regress_sg_nobody;
INSERT INTO point_info VALUES (1, 1, 'a');
SELECT value AS before FROM safeguard.status() WHERE item = 'unjudged' \gset
SET allow_system_table_mods = on;
BEGIN;
SAVEPOINT sound;
CREATE CAST (text AS pg_node_tree) WITHOUT FUNCTION;
UPDATE pg_attrdef SET adbin = 'garbage'::text::pg_node_tree WHERE adrelid = 'point_info'::regclass;
ALTER TABLE point_info SET (fillfactor = 90);   -- so that the cache reads it again
UPDATE point_info SET name = 'x' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 1);
SELECT name FROM point_info;
SELECT value::int - :before AS more, detail FROM safeguard.status() WHERE item = 'unjudged';
-- what it was about is for those who read all
SET LOCAL ROLE regress_sg_nobody;
SELECT value::int - :before AS more, detail FROM safeguard.status() WHERE item = 'unjudged';
RESET ROLE;
ROLLBACK TO sound;
\set VERBOSITY sqlstate
UPDATE point_info SET name = 'x' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 1);
ROLLBACK;

SET client_min_messages = warning;
DROP SCHEMA status CASCADE;
DROP ROLE regress_sg_nobody;
