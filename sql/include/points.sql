-- The tables of incident 1 without the readings: 36 points of six systems, 32
-- of them numbered from 1 to 6.
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
INSERT INTO systems VALUES (1, 'amber'), (2, 'selectronic'), (3, 'enphase'),
                           (4, 'fronius'), (5, 'mondo'), (6, 'fusher');
INSERT INTO point_info
SELECT s.id, p, CASE WHEN s.id = 1 THEN 'grid' ELSE 'solar' END, 'sub' || p, 'Point ' || p, 'Point ' || p
  FROM systems s, generate_series(1, 8) p
 WHERE p <= CASE s.id WHEN 1 THEN 6 WHEN 2 THEN 8 WHEN 3 THEN 8 WHEN 4 THEN 6 WHEN 5 THEN 5 ELSE 3 END;
