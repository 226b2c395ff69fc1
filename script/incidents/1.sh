# Incident 1, read by script/demo: composite key.

use energy
ask -o /dev/null <<'SQL'
CREATE TABLE systems (
	id			int PRIMARY KEY,
	vendor_type	text NOT NULL
);

-- id is numbered from 1 again in every system
CREATE TABLE point_info (
	system_id	int NOT NULL REFERENCES systems,
	id			int NOT NULL,
	subsystem	text NOT NULL,
	origin_sub_id text,
	point_name	text,
	display_name text,
	PRIMARY KEY (system_id, id)
);

CREATE TABLE point_readings (
	system_id	int NOT NULL,
	point_id	int NOT NULL,
	measured_at	timestamptz NOT NULL,
	value		float8,
	PRIMARY KEY (system_id, point_id, measured_at),
	FOREIGN KEY (system_id, point_id) REFERENCES point_info
);

CREATE TABLE point_readings_agg_5m (
	system_id	int NOT NULL,
	point_id	int NOT NULL,
	interval_end timestamptz NOT NULL,
	avg_value	float8,
	PRIMARY KEY (system_id, point_id, interval_end),
	FOREIGN KEY (system_id, point_id) REFERENCES point_info
);

INSERT INTO systems VALUES
	(1, 'enphase'), (2, 'fronius'), (3, 'selectronic'),
	(4, 'amber'), (5, 'enphase'), (6, 'mondo');

-- six points each, but four in systems 3 and 6: 32 in all
INSERT INTO point_info (system_id, id, subsystem, point_name, display_name)
SELECT s.id, p,
	   CASE s.vendor_type WHEN 'amber' THEN 'grid' ELSE 'solar' END,
	   'Point ' || p, initcap(s.vendor_type) || ' point ' || p
  FROM systems s, generate_series(1, 6) p
 WHERE p <= CASE WHEN s.id IN (3, 6) THEN 4 ELSE 6 END;

INSERT INTO point_readings
SELECT p.system_id, p.id,
	   timestamptz '2025-11-01 00:00+00' + (n / 32) * interval '5 s', n % 5000
  FROM (SELECT system_id, id, row_number() OVER (ORDER BY system_id, id) - 1 AS nr
		  FROM point_info) p
  JOIN generate_series(0, 42018 - 1) n ON n % 32 = p.nr;

INSERT INTO point_readings_agg_5m
SELECT p.system_id, p.id,
	   timestamptz '2025-11-01 00:05+00' + (n / 32) * interval '5 min', n % 5000
  FROM (SELECT system_id, id, row_number() OVER (ORDER BY system_id, id) - 1 AS nr
		  FROM point_info) p
  JOIN generate_series(0, 11244 - 1) n ON n % 32 = p.nr;

ANALYZE;
SQL

buggy="UPDATE point_info
   SET origin_sub_id = 'import_kwh', point_name = 'Grid import', display_name = 'Grid import'
 WHERE id IN (SELECT pi.id
                FROM point_info pi JOIN systems s ON pi.system_id = s.id
               WHERE s.vendor_type = 'amber' AND pi.subsystem = 'grid')"
correct="UPDATE point_info
   SET origin_sub_id = 'import_kwh', point_name = 'Grid import', display_name = 'Grid import'
 WHERE (system_id, id) IN (SELECT pi.system_id, pi.id
                             FROM point_info pi JOIN systems s ON pi.system_id = s.id
                            WHERE s.vendor_type = 'amber' AND pi.subsystem = 'grid')"
changed="SELECT count(*) AS changed_points, count(DISTINCT system_id) AS systems
  FROM point_info
 WHERE point_name = 'Grid import'"

heading "1. The tables"
echo "Measuring points of six energy systems.  Each system numbers its points from 1,"
echo "so the key of point_info is (system_id, id), and readings refer to both."
show "SELECT system_id, vendor_type, count(*) AS points, min(p.id) || '-' || max(p.id) AS ids
  FROM point_info p JOIN systems s ON s.id = system_id
 GROUP BY 1, 2 ORDER BY 1"
expect "six systems" "(6 rows)"
show "SELECT (SELECT count(*) FROM point_info) AS points,
       (SELECT count(*) FROM point_readings) AS readings,
       (SELECT count(*) FROM point_readings_agg_5m) AS aggregates"
expect "32 points" "32 |"
expect "readings" "42018"
expect "aggregates" "11244"

heading "1. The incident: one column of a two-column key"
echo "A migration is to rename the six grid points of the vendor amber.  Its subquery"
echo "returns id alone, and every system has points with these ids."
show "$buggy"
expect "the UPDATE is rejected" "ERROR:  UPDATE matches table \"point_info\" by part of its key (system_id, id)"
expect "the error points at the expression" "LINE 3:"
expect "there is a caret" "^"
expect "the detail names the dropped column" "system_id"
expect "there is a detail" "DETAIL:"
expect "the hint corrects the predicate" "HINT:  Compare the whole key: WHERE (system_id, id) IN (SELECT pi.system_id, pi.id"

echo
echo "Not a row was touched:"
show "$changed"
expect "nothing has changed" " 0 |"

heading "1. Before it runs: judge it, rehearse it"
echo "check() gives the same verdict without executing anything, for a script or in CI"
echo "(script/safeguard-review).  preview() runs a script and takes it back: six keys are"
echo "selected, 32 rows in 6 systems would be hit."
show -x "SELECT rule, level, relation, columns, message FROM safeguard.check(\$\$
$buggy\$\$)"
expect "check gives the verdict" "composite_key"
expect "at its level" "error"
show "SELECT command, relation, source_rows, rows, scope FROM safeguard.preview(\$\$
$buggy\$\$)"
expect "the keys that the subquery selects" "UPDATE  | point_info |           6 |   32"
expect "the systems that would be hit" '"system_id": 6'
show "SELECT command, relation, source_rows, rows, scope FROM safeguard.preview(\$\$
$correct\$\$)"
expect "the corrected one hits what it selects" "UPDATE  | point_info |           6 |    6"
expect "in one system" '"system_id": 1'

heading "1. What happened without safeguard"
echo "Points of all six systems were overwritten, and 26 hours went by until they were back."
echo "Here it is rolled back:"
show "BEGIN" "SET LOCAL safeguard.composite_key = off" "$buggy" "$changed" "ROLLBACK"
expect "32 points would have been hit" "UPDATE 32"
expect "in six systems" "             32 |       6"

heading "1. The recovery: one call"
echo "In a migration that keeps its rows, the mistake goes on: what now looks like the same point"
echo "is merged, readings and aggregates are written to the first point of their system, and the"
echo "others are deleted."
digest="SELECT md5(string_agg(r, ' ' ORDER BY r)) AS all_rows
  FROM (SELECT p::text FROM point_info p UNION ALL SELECT r::text FROM point_readings r
        UNION ALL SELECT a::text FROM point_readings_agg_5m a) x (r)"
before=$(ask -c "$digest") || true
show "SET safeguard.composite_key = off" "SELECT safeguard.migrate('2025-11-grid-import', \$\$
$buggy;
UPDATE point_readings SET point_id = 1, measured_at = measured_at + point_id * interval '1 us';
UPDATE point_readings_agg_5m SET point_id = 1, interval_end = interval_end + point_id * interval '1 us';
DELETE FROM point_info WHERE id > 1\$\$, keep_rows => true)"
expect "it is applied" "applied"
show "SELECT (SELECT count(*) FROM point_info) AS points,
       (SELECT count(*) FROM point_readings WHERE point_id = 1) AS readings_of_point_1,
       (SELECT count(*) FROM point_readings_agg_5m WHERE point_id = 1) AS aggregates_of_point_1"
expect "six points are left" "      6 |"
expect "with all readings" "42018 |"
expect "and aggregates" "11244"
show "SELECT relation, rows, pg_size_pretty(bytes) AS size FROM safeguard.kept_rows ORDER BY relation"
expect "the readings are kept" "public.point_readings        | 42018"
show "SELECT safeguard.restore_rows('2025-11-grid-import')"
expect "all rows are back" "53294"
show "SELECT count(*) AS points, count(*) FILTER (WHERE point_name = 'Grid import') AS grid_import
  FROM point_info"
expect "32 points, none of them overwritten" "     32 |           0"
answer=$(ask -c "$digest") || true
expect "every row of the three tables is what it was" "$before"
echo "Every row of the three tables is what it was, to the byte."

heading "1. The corrected statement"
show "BEGIN" "$correct" "$changed" "COMMIT"
expect "six points are updated" "UPDATE 6"
expect "of one system" "              6 |       1"

heading "1. Shadow mode: reject nothing, count everything"
echo "As a line in postgresql.conf, safeguard.max_level = 'record' does it for the whole cluster."
show "SET safeguard.max_level = record" "BEGIN" "$buggy" "ROLLBACK"
expect "the statement passes" "UPDATE 32"
silent "level record"

heading "1. What was found so far"
show -x "SELECT rule, sqlstate, level, relation, calls, rejected, message, query
  FROM safeguard.findings ORDER BY rejected DESC"
expect "the finding is there" "composite_key"
answer=$(ask -c "SELECT sum(calls) || ' calls, ' || sum(rejected) || ' rejected'
				   FROM safeguard.findings WHERE relation LIKE '%point_info'") || true
expect "both executions are counted" "2 calls, 1 rejected"
