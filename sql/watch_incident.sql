--
-- Incident 1, seen by who watches the table: unexpected new points, metadata
-- changes, and counts per system.  Needs a preloaded server.
--
CREATE SCHEMA watch_incident;
SET search_path = watch_incident;
\getenv sources PG_ABS_SRCDIR
\set points :sources '/sql/include/points.sql'
\i :points
SELECT safeguard.watch('point_info', 'system_id');
CREATE VIEW figures AS
    SELECT scope, inserted, updated, deleted, application FROM safeguard.watched
     WHERE database = current_database() AND relation = 'watch_incident.point_info'
     ORDER BY scope::text COLLATE "C";
SET application_name = 'migration';

-- the statement that ran is rejected: nothing has changed
UPDATE point_info
   SET origin_sub_id = 'import_kwh', point_name = 'Grid import', display_name = 'Grid import'
 WHERE id IN (SELECT pi.id
                FROM point_info pi JOIN systems s ON pi.system_id = s.id
               WHERE s.vendor_type = 'amber' AND pi.subsystem = 'grid');
TABLE figures;

-- in shadow mode it runs: expected 32 changes in 6 systems
SET safeguard.max_level = record;
UPDATE point_info
   SET origin_sub_id = 'import_kwh', point_name = 'Grid import', display_name = 'Grid import'
 WHERE id IN (SELECT pi.id
                FROM point_info pi JOIN systems s ON pi.system_id = s.id
               WHERE s.vendor_type = 'amber' AND pi.subsystem = 'grid');
RESET safeguard.max_level;
SELECT count(*) AS systems, sum(updated) AS updated FROM figures;
TABLE figures;

-- new points that nobody expects
SET application_name = 'collector';
INSERT INTO point_info (system_id, id, subsystem, point_name) VALUES (5, 900, 'grid', 'Grid import');
SELECT * FROM figures WHERE inserted > 0;

-- the statement that was meant: expected 6 changes in one system
SELECT safeguard.stats_reset();
SET application_name = 'recovery';
UPDATE point_info
   SET origin_sub_id = 'import_kwh', point_name = 'Grid import', display_name = 'Grid import'
 WHERE (system_id, id) IN (SELECT pi.system_id, pi.id
                             FROM point_info pi JOIN systems s ON pi.system_id = s.id
                            WHERE s.vendor_type = 'amber' AND pi.subsystem = 'grid');
TABLE figures;

RESET application_name;
SET client_min_messages = warning;
DROP SCHEMA watch_incident CASCADE;
