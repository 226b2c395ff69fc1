-- The incident in every syntactic form, each followed by its corrected form,
-- which must pass without a word. Here the whole message is shown.
SET search_path = ck, public;

-- F01a: IN, as in the incident, reject by step 5
UPDATE point_info
   SET origin_sub_id = 'import_kwh', point_name = 'Grid import', display_name = 'Grid import'
 WHERE id IN (SELECT pi.id
                FROM point_info pi JOIN systems s ON pi.system_id = s.id
               WHERE s.vendor_type = 'amber' AND pi.subsystem = 'grid');
-- F01b: corrected, accept by step 1
UPDATE point_info
   SET origin_sub_id = 'import_kwh', point_name = 'Grid import', display_name = 'Grid import'
 WHERE (system_id, id) IN (SELECT pi.system_id, pi.id
                             FROM point_info pi JOIN systems s ON pi.system_id = s.id
                            WHERE s.vendor_type = 'amber' AND pi.subsystem = 'grid');

-- F02a: = ANY, reject by step 5
UPDATE point_info SET v = 0
 WHERE id = ANY (SELECT p.id FROM point_info p WHERE p.system_id = 7);
-- F02b: corrected, accept by step 1
UPDATE point_info SET v = 0
 WHERE (system_id, id) = ANY (SELECT p.system_id, p.id FROM point_info p WHERE p.system_id = 7);

-- F03a: = SOME, reject by step 5
UPDATE point_info SET v = 0
 WHERE id = SOME (SELECT p.id FROM point_info p WHERE p.system_id = 7);
-- F03b: corrected, accept by step 1
UPDATE point_info SET v = 0
 WHERE system_id = 7 AND id = SOME (SELECT p.id FROM point_info p WHERE p.system_id = 7);

-- F04a: = ANY (ARRAY (subquery)), reject by step 5
DELETE FROM point_info
 WHERE id = ANY (ARRAY(SELECT p.id FROM point_info p WHERE p.system_id = 7));
-- F04b: corrected, accept by step 1
DELETE FROM point_info
 WHERE system_id = 7 AND id = ANY (ARRAY(SELECT p.id FROM point_info p WHERE p.system_id = 7));

-- F05a: = ANY of an aggregated array, reject by step 5
DELETE FROM point_info
 WHERE id = ANY ((SELECT array_agg(p.id) FROM point_info p WHERE p.system_id = 7)::int[]);
-- F05b: corrected, accept by step 1
DELETE FROM point_info
 WHERE system_id = 7
   AND id = ANY ((SELECT array_agg(p.id) FROM point_info p WHERE p.system_id = 7)::int[]);

-- F06a: unnest of an aggregated array, reject by step 5
DELETE FROM point_info
 WHERE id IN (SELECT unnest(array_agg(p.id)) FROM point_info p WHERE p.system_id = 7);
-- F06b: corrected, accept by step 1
DELETE FROM point_info
 WHERE system_id = 7
   AND id IN (SELECT unnest(array_agg(p.id)) FROM point_info p WHERE p.system_id = 7);

-- F07a: scalar subquery, reject by step 5
DELETE FROM point_info
 WHERE id = (SELECT p.id FROM point_info p WHERE p.system_id = 7 ORDER BY p.v LIMIT 1);
-- F07b: corrected, accept by step 1
DELETE FROM point_info
 WHERE (system_id, id) = (SELECT p.system_id, p.id FROM point_info p WHERE p.system_id = 7 ORDER BY p.v LIMIT 1);

-- F08a: scalar subquery on the left, reject by step 5
DELETE FROM point_info
 WHERE (SELECT max(p.id) FROM point_info p WHERE p.system_id = 7) = id;
-- F08b: corrected, accept by step 1
DELETE FROM point_info
 WHERE (SELECT max(p.id) FROM point_info p WHERE p.system_id = 7) = id AND 7 = system_id;

-- F09a: EXISTS, reject by step 5
DELETE FROM point_info t
 WHERE EXISTS (SELECT 1 FROM point_info p WHERE p.id = t.id AND p.system_id = 7);
-- F09b: corrected, accept by step 1
DELETE FROM point_info t
 WHERE EXISTS (SELECT 1 FROM point_info p
                WHERE p.id = t.id AND p.system_id = t.system_id AND p.system_id = 7);

-- F10a: correlated count, reject by step 5
DELETE FROM point_info t
 WHERE 0 < (SELECT count(*) FROM point_info p WHERE p.id = t.id AND p.system_id = 7);
-- F10b: corrected, accept by step 1
DELETE FROM point_info t
 WHERE 0 < (SELECT count(*) FROM point_info p WHERE (p.system_id, p.id) = (t.system_id, t.id) AND p.bad);

-- F11a: NOT IN, reject by step 5
DELETE FROM point_info
 WHERE id NOT IN (SELECT p.id FROM point_info p WHERE p.system_id = 7);
-- F11b: corrected, accept by step 1
DELETE FROM point_info
 WHERE (system_id, id) NOT IN (SELECT p.system_id, p.id FROM point_info p WHERE p.system_id = 7);

-- F12a: NOT EXISTS, reject by step 5
DELETE FROM point_info t
 WHERE NOT EXISTS (SELECT FROM point_info p JOIN systems s ON s.id = p.system_id
                    WHERE s.vendor_type = 'amber' AND t.id = p.id);
-- F12b: corrected, accept by step 1
DELETE FROM point_info t
 WHERE NOT EXISTS (SELECT FROM point_info p JOIN systems s ON s.id = p.system_id
                    WHERE s.vendor_type = 'amber' AND t.id = p.id AND t.system_id = s.id);

-- F13a: <> ALL, reject by step 5
DELETE FROM point_info
 WHERE id <> ALL (SELECT p.id FROM point_info p WHERE p.system_id = 7);
-- F13b: corrected, accept by step 1
DELETE FROM point_info
 WHERE system_id = 7 AND id <> ALL (SELECT p.id FROM point_info p WHERE p.system_id = 7);

-- F14a: row comparison that misses the scope, reject by step 5
DELETE FROM point_info
 WHERE (id, name) IN (SELECT p.id, p.name FROM point_info p WHERE p.system_id = 7);
-- F14b: corrected, accept by step 1
DELETE FROM point_info
 WHERE (name, id, system_id) IN (SELECT p.name, p.id, p.system_id FROM point_info p WHERE p.system_id = 7);

-- F15a: row comparison in the wrong order, reject by step 4
DELETE FROM point_info
 WHERE (system_id, id) IN (SELECT p.id, p.system_id FROM point_info p);
-- F15b: corrected, accept by step 1
DELETE FROM point_info
 WHERE (id, system_id) IN (SELECT p.id, p.system_id FROM point_info p);

-- F16a: ROW() = ROW() over a join, reject by step 5
UPDATE point_info t SET v = p.v
  FROM point_info p
 WHERE ROW(t.id, t.name) = ROW(p.id, p.name) AND p.system_id = 7;
-- F16b: corrected, accept by step 1
UPDATE point_info t SET v = p.v
  FROM point_info p
 WHERE ROW(t.id, t.system_id) = ROW(p.id, p.system_id) AND p.system_id = 7;

-- F17a: CTE, reject by step 5
WITH x AS (SELECT p.id FROM point_info p WHERE p.system_id = 7)
UPDATE point_info SET v = 0 WHERE id IN (SELECT id FROM x);
-- F17b: corrected, accept by step 1
WITH x AS (SELECT p.system_id, p.id FROM point_info p WHERE p.system_id = 7)
UPDATE point_info SET v = 0 WHERE (system_id, id) IN (SELECT system_id, id FROM x);

-- F18a: MATERIALIZED CTE, joined, reject by step 5
WITH x (number) AS MATERIALIZED (SELECT p.id FROM point_info p WHERE p.system_id = 7)
UPDATE point_info t SET v = 0 FROM x WHERE t.id = x.number;
-- F18b: corrected, accept by step 1
WITH x (scope, number) AS MATERIALIZED (SELECT p.system_id, p.id FROM point_info p WHERE p.system_id = 7)
UPDATE point_info t SET v = 0 FROM x WHERE t.id = x.number AND t.system_id = x.scope;

-- F19a: CTE of a CTE, reject by step 5
WITH x AS (SELECT * FROM point_info WHERE system_id = 7), y AS (SELECT id AS n FROM x WHERE bad)
DELETE FROM point_info USING y WHERE id = n;
-- F19b: corrected, accept by step 1
WITH x AS (SELECT * FROM point_info WHERE system_id = 7), y AS (SELECT id AS n, system_id AS s FROM x WHERE bad)
DELETE FROM point_info USING y WHERE id = n AND system_id = s;

-- F20a: recursive CTE, reject by step 5
WITH RECURSIVE r AS (
    SELECT p.id FROM point_info p WHERE p.system_id = 7 AND p.id = 1
    UNION ALL
    SELECT c.id FROM point_info c JOIN r ON c.parent_id = r.id)
DELETE FROM point_info WHERE id IN (TABLE r);
-- F20b: corrected, accept by step 1
WITH RECURSIVE r AS (
    SELECT p.system_id, p.id FROM point_info p WHERE p.system_id = 7 AND p.id = 1
    UNION ALL
    SELECT c.system_id, c.id FROM point_info c JOIN r ON c.parent_id = r.id AND c.system_id = r.system_id)
DELETE FROM point_info WHERE (system_id, id) IN (TABLE r);

-- F21a: data-modifying CTE as source, reject by step 5
WITH d AS (UPDATE point_info SET bad = true WHERE system_id = 7 RETURNING id)
DELETE FROM point_history h USING d WHERE h.point_id = d.id;
-- F21b: corrected, accept by step 1
WITH d AS (UPDATE point_info SET bad = true WHERE system_id = 7 RETURNING id, system_id)
DELETE FROM point_history h USING d WHERE h.point_id = d.id AND h.system_id = d.system_id;

-- F22a: DML inside a CTE, reject by step 5
WITH d AS (
    DELETE FROM point_info WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7) RETURNING id)
INSERT INTO bad_ids SELECT id FROM d;
-- F22b: corrected, accept by step 1
WITH d AS (
    DELETE FROM point_info WHERE system_id = 7 AND id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7) RETURNING id)
INSERT INTO bad_ids SELECT id FROM d;

-- F23a: UNION: one arm suffices, reject by step 5
UPDATE point_info SET v = 0
 WHERE id IN (SELECT b.id FROM bad_ids b UNION SELECT p.id FROM point_info p WHERE p.system_id = 7);
-- F23b: corrected, accept by step 1
UPDATE point_info SET v = 0
 WHERE (system_id, id) IN (SELECT b.system_id, b.id FROM bad_points b
                           UNION SELECT p.system_id, p.id FROM point_info p WHERE p.system_id = 7);

-- F24a: INTERSECT, reject by step 5
UPDATE point_info SET v = 0
 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7 INTERSECT SELECT b.id FROM bad_ids b);
-- F24b: corrected, accept by step 1
UPDATE point_info SET v = 0
 WHERE system_id = 7
   AND id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7 INTERSECT SELECT b.id FROM bad_ids b);

-- F25a: EXCEPT, reject by step 5
UPDATE point_info SET v = 0
 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7 EXCEPT SELECT b.id FROM bad_ids b);
-- F25b: corrected, accept by step 1
UPDATE point_info SET v = 0
 WHERE (system_id, id) IN (SELECT p.system_id, p.id FROM point_info p WHERE p.system_id = 7
                           EXCEPT SELECT b.system_id, b.id FROM bad_points b);

-- F26a: DISTINCT, reject by step 5
DELETE FROM point_info
 WHERE id IN (SELECT DISTINCT p.id FROM point_info p WHERE p.system_id = 7);
-- F26b: corrected, accept by step 1
DELETE FROM point_info
 WHERE (system_id, id) IN (SELECT DISTINCT p.system_id, p.id FROM point_info p WHERE p.system_id = 7);

-- F27a: DISTINCT ON, reject by step 5
DELETE FROM point_info
 WHERE id IN (SELECT DISTINCT ON (p.system_id, p.name) p.id FROM point_info p ORDER BY p.system_id, p.name, p.id);
-- F27b: corrected, accept by step 1
DELETE FROM point_info
 WHERE (system_id, id) IN (SELECT DISTINCT ON (p.system_id, p.name) p.system_id, p.id
                             FROM point_info p ORDER BY p.system_id, p.name, p.id);

-- F28a: window function, PARTITION BY, reject by step 5
DELETE FROM point_info
 WHERE id IN (SELECT q.id FROM (SELECT p.id, row_number() OVER (PARTITION BY p.system_id, p.name ORDER BY p.id) AS rn
                                  FROM point_info p) q
               WHERE q.rn > 1);
-- F28b: corrected, accept by step 1
DELETE FROM point_info
 WHERE (system_id, id) IN (SELECT q.system_id, q.id
                             FROM (SELECT p.system_id, p.id,
                                          row_number() OVER (PARTITION BY p.system_id, p.name ORDER BY p.id) AS rn
                                     FROM point_info p) q
                            WHERE q.rn > 1);

-- F29a: min, GROUP BY the scope, reject by step 5
DELETE FROM point_info
 WHERE id IN (SELECT min(p.id) FROM point_info p GROUP BY p.system_id);
-- F29b: corrected, accept by step 1
DELETE FROM point_info
 WHERE (system_id, id) IN (SELECT p.system_id, min(p.id) FROM point_info p GROUP BY p.system_id);

-- F30a: max, FILTER, reject by step 5
DELETE FROM point_info
 WHERE id = (SELECT max(p.id) FILTER (WHERE p.bad) FROM point_info p WHERE p.system_id = 7);
-- F30b: corrected, accept by step 1
DELETE FROM point_info t
 WHERE id = (SELECT max(p.id) FILTER (WHERE p.bad) FROM point_info p WHERE p.system_id = t.system_id);

-- F31a: first_value, reject by step 5
DELETE FROM point_info
 WHERE id IN (SELECT first_value(p.id) OVER (PARTITION BY p.system_id ORDER BY p.v) FROM point_info p);
-- F31b: corrected, accept by step 1
DELETE FROM point_info
 WHERE (system_id, id) IN (SELECT p.system_id, first_value(p.id) OVER (PARTITION BY p.system_id ORDER BY p.v)
                             FROM point_info p);

-- F32a: LATERAL, reject by step 5
UPDATE point_info t SET v = 0
  FROM systems s, LATERAL (SELECT p.id FROM point_info p WHERE p.system_id = s.id LIMIT 10) x
 WHERE t.id = x.id;
-- F32b: corrected, accept by step 1
UPDATE point_info t SET v = 0
  FROM systems s, LATERAL (SELECT p.id FROM point_info p WHERE p.system_id = s.id LIMIT 10) x
 WHERE t.id = x.id AND t.system_id = s.id;

-- F33a: UPDATE FROM, self-join, reject by step 5
UPDATE point_info t SET v = p.v
  FROM point_info p JOIN systems s ON s.id = p.system_id
 WHERE t.id = p.id AND s.vendor_type = 'amber';
-- F33b: corrected, accept by step 1
UPDATE point_info t SET v = p.v
  FROM point_info p JOIN systems s ON s.id = p.system_id
 WHERE t.id = p.id AND t.system_id = p.system_id AND s.vendor_type = 'amber';

-- F34a: DELETE USING, self-join, reject by step 5
DELETE FROM point_info t USING point_info p
 WHERE p.id = t.id AND p.system_id = 7;
-- F34b: corrected, accept by step 1
DELETE FROM point_info t USING point_info p
 WHERE p.id = t.id AND p.system_id = 7 AND t.system_id = 7;

-- F35a: DELETE USING a subquery, reject by step 5
DELETE FROM point_info t USING (SELECT id FROM point_info WHERE system_id = 7 LIMIT 5) q
 WHERE t.id = q.id;
-- F35b: corrected, accept by step 1
DELETE FROM point_info t USING (SELECT id, system_id FROM point_info WHERE system_id = 7 LIMIT 5) q
 WHERE t.id = q.id AND t.system_id = q.system_id;

-- F36a: JOIN USING ties the others only, reject by step 5
DELETE FROM point_info t USING point_info p JOIN sys_cfg c USING (system_id)
 WHERE t.id = p.id;
-- F36b: corrected, accept by step 1
DELETE FROM point_info t USING point_info p JOIN sys_cfg c USING (system_id)
 WHERE t.id = p.id AND t.system_id = c.system_id;

-- F37a: NATURAL JOIN ties the others only, reject by step 5
DELETE FROM point_info t USING point_info p NATURAL JOIN sys_cfg c
 WHERE t.id = p.id;
-- F37b: corrected, accept by step 1
DELETE FROM point_info t USING point_info p NATURAL JOIN sys_cfg c
 WHERE t.id = p.id AND t.system_id = p.system_id;

-- F38a: MERGE, update, reject by step 5
MERGE INTO point_info t
USING (SELECT id, v FROM point_info WHERE system_id = 7) s ON t.id = s.id
 WHEN MATCHED THEN UPDATE SET v = s.v;
-- F38b: corrected, accept by step 1
MERGE INTO point_info t
USING (SELECT system_id, id, v FROM point_info WHERE system_id = 7) s ON t.id = s.id AND t.system_id = s.system_id
 WHEN MATCHED THEN UPDATE SET v = s.v;

-- F39a: MERGE, delete, reject by step 5
MERGE INTO point_info t USING point_info s ON t.id = s.id AND s.system_id = 7
 WHEN MATCHED THEN DELETE;
-- F39b: corrected, accept by step 1
MERGE INTO point_info t USING point_info s ON t.id = s.id AND s.system_id = 7 AND t.system_id = 7
 WHEN MATCHED THEN DELETE;

-- F40a: MERGE, one of two actions, reject by step 5
MERGE INTO point_info t USING point_info s ON t.id = s.id
 WHEN MATCHED AND s.system_id = 7 AND s.bad AND t.system_id = s.system_id THEN DELETE
 WHEN MATCHED AND s.system_id = 7 THEN UPDATE SET v = s.v;
-- F40b: corrected, accept by step 1
MERGE INTO point_info t USING point_info s ON t.id = s.id
 WHEN MATCHED AND s.system_id = 7 AND s.bad AND t.system_id = s.system_id THEN DELETE
 WHEN MATCHED AND s.system_id = 7 AND t.system_id = s.system_id THEN UPDATE SET v = s.v;

-- F41a: OR arm, reject by step 5
UPDATE point_info SET v = 0
 WHERE (system_id = 7 AND id = 1) OR id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7);
-- F41b: corrected, accept by step 1
UPDATE point_info SET v = 0
 WHERE system_id = 7 AND (id = 1 OR id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7));

-- F42a: transitive equality, reject by step 5
DELETE FROM point_info t USING point_info p, systems s
 WHERE p.system_id = s.id AND s.vendor_type = 'amber' AND p.id = p.parent_id AND p.parent_id = t.id;
-- F42b: corrected, accept by step 1
DELETE FROM point_info t USING point_info p, systems s
 WHERE p.system_id = s.id AND s.vendor_type = 'amber' AND p.id = p.parent_id AND p.parent_id = t.id AND s.id = t.system_id;

-- F43a: cast, reject by step 5
DELETE FROM point_info
 WHERE id::text IN (SELECT p.id::text FROM point_info p WHERE p.system_id = 7);
-- F43b: corrected, accept by step 1
DELETE FROM point_info
 WHERE (system_id::text, id::text) IN (SELECT p.system_id::text, p.id::text FROM point_info p WHERE p.system_id = 7);

-- F44a: trivial arithmetic, reject by step 5
DELETE FROM point_info
 WHERE id + 0 IN (SELECT p.id + 0 FROM point_info p WHERE p.system_id = 7);
-- F44b: corrected, accept by step 1
DELETE FROM point_info
 WHERE system_id = 7 AND id + 0 IN (SELECT p.id + 0 FROM point_info p WHERE p.system_id = 7);

-- F45a: CASE, reject by step 5
DELETE FROM point_info
 WHERE id IN (SELECT CASE WHEN s.vendor_type = 'amber' THEN p.id END
                FROM point_info p JOIN systems s ON s.id = p.system_id);
-- F45b: corrected, accept by step 1
DELETE FROM point_info
 WHERE (system_id, id) IN (SELECT p.system_id, CASE WHEN s.vendor_type = 'amber' THEN p.id END
                             FROM point_info p JOIN systems s ON s.id = p.system_id);

-- F46a: quoted and renamed output, reject by step 5
DELETE FROM "point_info" AS "The Target"
 WHERE "The Target".id IN (SELECT "Q"."The Id" FROM (SELECT p.id AS "The Id" FROM point_info p WHERE p.system_id = 7) "Q");
-- F46b: corrected, accept by step 1
DELETE FROM "point_info" AS "The Target"
 WHERE ("The Target".system_id, "The Target".id) IN
       (SELECT "Q"."The Scope", "Q"."The Id" FROM (SELECT p.system_id AS "The Scope", p.id AS "The Id" FROM point_info p WHERE p.system_id = 7) "Q");

-- F47a: group of a join table, doubted, doubt by step 7
DELETE FROM user_roles
 WHERE user_id IN (SELECT user_id FROM user_roles WHERE note = 'x');
-- F47b: corrected, accept by step 1
DELETE FROM user_roles
 WHERE (user_id, role_id) IN (SELECT user_id, role_id FROM user_roles WHERE note = 'x');

-- F48a: half of a composite foreign key, reject by step 6
DELETE FROM point_readings
 WHERE point_id IN (SELECT p.id FROM point_info p WHERE p.name = 'Grid');
-- F48b: corrected, accept by step 8
DELETE FROM point_readings
 WHERE (system_id, point_id) IN (SELECT p.system_id, p.id FROM point_info p WHERE p.name = 'Grid');
