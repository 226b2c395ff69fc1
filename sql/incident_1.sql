--
-- Incident 1 (point metadata corruption): one column of a two-column key.
-- The tables, the numbers and the statement are those of the post-mortem:
-- points 1-6 of six systems, of which the statement means one system's.
--
CREATE SCHEMA incident_1;
SET search_path = incident_1;
CREATE TABLE systems (
    id int PRIMARY KEY,
    vendor_type text NOT NULL
);
CREATE TABLE point_info (
    system_id int NOT NULL REFERENCES systems,
    id int NOT NULL,
    subsystem text NOT NULL,
    origin_sub_id text,
    point_name text,
    display_name text,
    PRIMARY KEY (system_id, id)
);
CREATE TABLE point_readings (
    system_id int NOT NULL,
    point_id int NOT NULL,
    ts timestamptz NOT NULL,
    value float8,
    PRIMARY KEY (system_id, point_id, ts),
    FOREIGN KEY (system_id, point_id) REFERENCES point_info
);
INSERT INTO systems VALUES (1, 'amber'), (2, 'selectronic'), (3, 'enphase'),
                           (4, 'fronius'), (5, 'mondo'), (6, 'fusher');
-- numbered from 1 again in every system; 32 of them have a number from 1 to 6
INSERT INTO point_info
SELECT s.id, p, CASE WHEN s.id = 1 THEN 'grid' ELSE 'solar' END, 'sub' || p, 'Point ' || p, 'Point ' || p
  FROM systems s, generate_series(1, 8) p
 WHERE p <= CASE s.id WHEN 1 THEN 6 WHEN 2 THEN 8 WHEN 3 THEN 8 WHEN 4 THEN 6 WHEN 5 THEN 5 ELSE 3 END;
SELECT count(*) AS points, count(*) FILTER (WHERE id <= 6) AS numbered_1_to_6,
       count(DISTINCT system_id) AS systems
  FROM point_info;

-- the statement that ran
UPDATE point_info
   SET origin_sub_id = 'import_kwh', point_name = 'Grid import', display_name = 'Grid import'
 WHERE id IN (SELECT pi.id
                FROM point_info pi JOIN systems s ON pi.system_id = s.id
               WHERE s.vendor_type = 'amber' AND pi.subsystem = 'grid');
-- nothing was changed
SELECT count(*) FROM point_info WHERE point_name = 'Grid import';

-- what it would have done: 6 keys selected, 32 points of 6 systems hit
BEGIN;
SET LOCAL safeguard.composite_key = off;
WITH hit AS (
    UPDATE point_info
       SET origin_sub_id = 'import_kwh', point_name = 'Grid import', display_name = 'Grid import'
     WHERE id IN (SELECT pi.id
                    FROM point_info pi JOIN systems s ON pi.system_id = s.id
                   WHERE s.vendor_type = 'amber' AND pi.subsystem = 'grid')
    RETURNING system_id)
SELECT count(*) AS points, count(DISTINCT system_id) AS systems FROM hit;
ROLLBACK;

-- the statement that was meant
WITH hit AS (
    UPDATE point_info
       SET origin_sub_id = 'import_kwh', point_name = 'Grid import', display_name = 'Grid import'
     WHERE (system_id, id) IN (SELECT pi.system_id, pi.id
                                 FROM point_info pi JOIN systems s ON pi.system_id = s.id
                                WHERE s.vendor_type = 'amber' AND pi.subsystem = 'grid')
    RETURNING system_id)
SELECT count(*) AS points, count(DISTINCT system_id) AS systems FROM hit;

-- the same mistake on the readings: part of their foreign key
DELETE FROM point_readings
 WHERE point_id IN (SELECT id FROM point_info WHERE subsystem = 'grid');
-- and the whole of it
DELETE FROM point_readings
 WHERE (system_id, point_id) IN (SELECT system_id, id FROM point_info WHERE subsystem = 'grid');

\set VERBOSITY terse
DROP SCHEMA incident_1 CASCADE;
