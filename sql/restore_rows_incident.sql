--
-- Incident 1 (point metadata corruption), and its recovery: it took hours, from
-- a snapshot, and is one call.  The numbers are those of the post-mortem: 32
-- points, 42,018 readings and 11,244 aggregates.
--
CREATE SCHEMA restore_incident;
SET search_path = restore_incident;
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
    measured_at timestamptz NOT NULL,
    value float8,
    PRIMARY KEY (system_id, point_id, measured_at),
    FOREIGN KEY (system_id, point_id) REFERENCES point_info
);
CREATE TABLE point_readings_agg_5m (
    system_id int NOT NULL,
    point_id int NOT NULL,
    interval_end timestamptz NOT NULL,
    avg_value float8,
    PRIMARY KEY (system_id, point_id, interval_end),
    FOREIGN KEY (system_id, point_id) REFERENCES point_info ON UPDATE CASCADE
);
INSERT INTO systems VALUES
    (1, 'enphase'), (2, 'fronius'), (3, 'selectronic'), (4, 'amber'), (5, 'enphase'), (6, 'mondo');
INSERT INTO point_info (system_id, id, subsystem, point_name, display_name)
SELECT s.id, p, CASE s.vendor_type WHEN 'amber' THEN 'grid' ELSE 'solar' END,
       'Point ' || p, initcap(s.vendor_type) || ' point ' || p
  FROM systems s, generate_series(1, 6) p
 WHERE p <= CASE WHEN s.id IN (3, 6) THEN 4 ELSE 6 END;
INSERT INTO point_readings
SELECT p.system_id, p.id, timestamptz '2025-11-01 00:00+00' + (n / 32) * interval '5 s', n % 5000
  FROM (SELECT system_id, id, row_number() OVER (ORDER BY system_id, id) - 1 AS nr FROM point_info) p
  JOIN generate_series(0, 42018 - 1) n ON n % 32 = p.nr;
INSERT INTO point_readings_agg_5m
SELECT p.system_id, p.id, timestamptz '2025-11-01 00:05+00' + (n / 32) * interval '5 min', n % 5000
  FROM (SELECT system_id, id, row_number() OVER (ORDER BY system_id, id) - 1 AS nr FROM point_info) p
  JOIN generate_series(0, 11244 - 1) n ON n % 32 = p.nr;

CREATE VIEW state AS
    SELECT (SELECT md5(string_agg(p::text, ' ' ORDER BY p::text)) FROM point_info p) AS points,
           (SELECT md5(string_agg(r::text, ' ' ORDER BY r::text)) FROM point_readings r) AS readings,
           (SELECT md5(string_agg(a::text, ' ' ORDER BY a::text)) FROM point_readings_agg_5m a) AS aggregates;
CREATE TABLE before AS SELECT * FROM state;

-- the migration: the UPDATE that matched points of all systems, then what was
-- written to the points that were now alike, which were taken for duplicates
SET safeguard.composite_key = off;
SELECT safeguard.migrate('2025-11-grid-import', $$
UPDATE point_info
   SET origin_sub_id = 'import_kwh', point_name = 'Grid import', display_name = 'Grid import'
 WHERE id IN (SELECT pi.id
                FROM point_info pi JOIN systems s ON pi.system_id = s.id
               WHERE s.vendor_type = 'amber' AND pi.subsystem = 'grid');
UPDATE point_readings
   SET point_id = 1, measured_at = measured_at + point_id * interval '1 us';
UPDATE point_readings_agg_5m
   SET point_id = 1, interval_end = interval_end + point_id * interval '1 us';
DELETE FROM point_info WHERE id > 1;
$$, keep_rows => true);
RESET safeguard.composite_key;
SELECT (SELECT count(*) FROM point_info WHERE point_name = 'Grid import') AS points_left,
       (SELECT count(*) FROM point_readings WHERE point_id = 1) AS readings_moved,
       (SELECT count(*) FROM point_readings_agg_5m WHERE point_id = 1) AS aggregates_moved;
SELECT b.points = s.points AS points, b.readings = s.readings AS readings, b.aggregates = s.aggregates AS aggregates
  FROM before b, state s;

-- readings go on coming in meanwhile
INSERT INTO point_readings VALUES (4, 1, '2025-11-02', 7);

-- the recovery
SELECT relation, rows FROM safeguard.kept_rows WHERE label = '2025-11-grid-import' ORDER BY relation;
SELECT safeguard.restore_rows('2025-11-grid-import');
SELECT * FROM point_readings WHERE measured_at = '2025-11-02';
DELETE FROM point_readings WHERE measured_at = '2025-11-02';
SELECT b.points = s.points AS points, b.readings = s.readings AS readings, b.aggregates = s.aggregates AS aggregates
  FROM before b, state s;
SELECT count(*) FROM point_info;

SELECT safeguard.drop_kept_rows('2025-11-grid-import');
SELECT safeguard.drop_kept_rows('2025-11-grid-import@restored-1');
DELETE FROM safeguard.migrations WHERE version = '2025-11-grid-import';
\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA restore_incident CASCADE;
