-- Partitions and inheritance: one tree is one table, a bound of one value is a
-- pin, and ctid alone is no row.
SET search_path = ck, public;
\set VERBOSITY terse

-- P01r: hash: the parent, reject by step 5
UPDATE point_hash SET v = 0 WHERE id IN (SELECT id FROM point_hash WHERE system_id = 7);

-- P01a: both columns, accept (step 1)
UPDATE point_hash SET v = 0 WHERE (system_id, id) IN (SELECT system_id, id FROM point_hash WHERE system_id = 7);

-- P02r: hash: leaf from parent, reject by step 7
UPDATE point_hash_1 SET v = 0 WHERE id IN (SELECT id FROM point_hash WHERE bad);

-- P02a: both columns, accept (step 1)
UPDATE point_hash_1 SET v = 0 WHERE (system_id, id) IN (SELECT system_id, id FROM point_hash WHERE bad);

-- P03r: hash: parent from leaf, reject by step 5
DELETE FROM point_hash WHERE id IN (SELECT id FROM point_hash_0 WHERE system_id = 7);

-- P03a: pinned on both sides, accept (step 1)
DELETE FROM point_hash WHERE system_id = 7 AND id IN (SELECT id FROM point_hash_0 WHERE system_id = 7);

-- P04r: hash: leaf from leaf, a hash bound is no pin, reject by step 7
DELETE FROM point_hash_0 WHERE id IN (SELECT id FROM point_hash_0 WHERE bad);

-- P04a: list: leaf from leaf, a bound of one value is, accept (step 1)
DELETE FROM point_list_7 WHERE id IN (SELECT id FROM point_list_7 WHERE bad);

-- P05r: list: a bound of two values is no pin, reject by step 5 or 7
DELETE FROM point_list_89 WHERE id IN (SELECT id FROM point_list_89 WHERE bad);

-- P05a: pinned by the statement, accept (step 1)
DELETE FROM point_list_89 WHERE system_id = 8 AND id IN (SELECT id FROM point_list_89 WHERE system_id = 8 AND bad);

-- P06r: list: the default partition has no pin, reject by step 7
DELETE FROM point_list_rest WHERE id IN (SELECT id FROM point_list_rest WHERE bad);

-- P06a: both columns, accept (step 1)
DELETE FROM point_list_rest WHERE (system_id, id) IN (SELECT system_id, id FROM point_list_rest WHERE bad);

-- P07r: list: leaf pinned by its bound, the parent as source free, reject by step 5
DELETE FROM point_list_7 WHERE id IN (SELECT id FROM point_list WHERE bad);

-- P07a: the parent pinned to the same value, accept (step 1)
DELETE FROM point_list_7 WHERE id IN (SELECT id FROM point_list WHERE system_id = 7 AND bad);

-- P08r: list: the parent from a pinned leaf, reject by step 5 or 7
DELETE FROM point_list WHERE id IN (SELECT id FROM point_list_7 WHERE bad);

-- P08a: the parent pinned to the same value, accept (step 1)
DELETE FROM point_list WHERE system_id = 7 AND id IN (SELECT id FROM point_list_7 WHERE bad);

-- P09r: list: leaves of different values, nothing copied, reject by step 5
DELETE FROM point_list_7 WHERE id IN (SELECT id FROM point_list_89 WHERE bad);

-- P09a: copied from the leaf of another value, accept (step 5)
UPDATE point_list_7 t SET v = s.v FROM point_list_89 s WHERE s.system_id = 8 AND s.id = t.id;

-- P10r: range: a range is no pin, reject by step 5 or 7
DELETE FROM point_range_low WHERE id IN (SELECT id FROM point_range_low WHERE bad);

-- P10a: pinned by the statement, accept (step 1)
DELETE FROM point_range_low WHERE system_id = 7 AND id IN (SELECT id FROM point_range_low WHERE system_id = 7 AND bad);

-- P11r: range: a parent, reject by step 7
DELETE FROM point_range WHERE id IN (SELECT id FROM point_range WHERE bad);

-- P11a: a parent through the parent of its scope, accept (step 8)
DELETE FROM point_range WHERE system_id IN (SELECT id FROM systems WHERE vendor_type = 'amber');

-- P12r: a table once a partition has neither bound nor tree, reject by step 7
DELETE FROM point_detached WHERE id IN (SELECT id FROM point_detached WHERE bad);

-- P12a: both columns, accept (step 1)
DELETE FROM point_detached WHERE (system_id, id) IN (SELECT system_id, id FROM point_list WHERE bad);

-- P13r: ctid: target and source partitioned, reject by step 4
DELETE FROM point_list WHERE ctid IN (SELECT ctid FROM point_list WHERE bad LIMIT 5);

-- P13a: tableoid and ctid, accept (step 4)
DELETE FROM point_list WHERE (tableoid, ctid) IN (SELECT tableoid, ctid FROM point_list WHERE bad LIMIT 5);

-- P14r: ctid: the source is partitioned, reject by step 4
DELETE FROM point_list_7 WHERE ctid IN (SELECT ctid FROM point_list WHERE bad LIMIT 5);

-- P14a: a leaf from the same leaf, accept (step 4)
DELETE FROM point_list_7 WHERE ctid IN (SELECT ctid FROM point_list_7 WHERE bad LIMIT 5);

-- P15r: ctid: the target is partitioned, reject by step 4
DELETE FROM point_list WHERE ctid = ANY (ARRAY(SELECT ctid FROM point_list_7 WHERE bad LIMIT 5));

-- P15a: a plain table, accept (step 4)
DELETE FROM point_info WHERE ctid = ANY (ARRAY(SELECT ctid FROM point_info WHERE bad LIMIT 5));

-- P16r: ctid: joined, reject by step 4
UPDATE point_list t SET v = 0 FROM (SELECT ctid FROM point_list WHERE bad LIMIT 5) q WHERE t.ctid = q.ctid;

-- P16a: joined with tableoid, accept (step 4)
UPDATE point_list t SET v = 0 FROM (SELECT tableoid, ctid FROM point_list WHERE bad LIMIT 5) q WHERE t.ctid = q.ctid AND t.tableoid = q.tableoid;

-- P17r: ctid: the batch is pinned inside, reject by step 4
DELETE FROM point_list WHERE ctid IN (SELECT ctid FROM point_list WHERE system_id = 7 LIMIT 5);

-- P17a: the key decides, ctid is one more condition, accept (step 1)
DELETE FROM point_list WHERE (system_id, id, ctid) IN (SELECT system_id, id, ctid FROM point_list WHERE system_id = 7);

-- P18a: ctid: a partitioned table without any key, accept (no K)
DELETE FROM part_keyless WHERE ctid IN (SELECT ctid FROM part_keyless LIMIT 5);

-- P19r: inheritance: ctid of the parent, reject by step 4
DELETE FROM point_base WHERE ctid IN (SELECT ctid FROM point_base WHERE bad);

-- P19a: ONLY the parent, accept (step 4)
DELETE FROM ONLY point_base WHERE ctid IN (SELECT ctid FROM ONLY point_base WHERE bad);

-- P20r: inheritance: ONLY the target, reject by step 4
DELETE FROM ONLY point_base WHERE ctid IN (SELECT ctid FROM point_base WHERE bad);

-- P20a: a child without children, accept (step 4)
DELETE FROM point_child WHERE ctid IN (SELECT ctid FROM point_child WHERE bad);

-- P21r: inheritance: parent and child are one table, reject by step 7
DELETE FROM point_base WHERE id IN (SELECT id FROM point_child WHERE bad);

-- P21a: both columns, accept (step 1)
DELETE FROM point_base WHERE (system_id, id) IN (SELECT system_id, id FROM point_child WHERE bad);

-- P22r: inheritance: child from parent, reject by step 5
DELETE FROM point_child WHERE id IN (SELECT id FROM point_base WHERE system_id = 7);

-- P22a: pinned on both sides, accept (step 1)
DELETE FROM point_child WHERE system_id = 7 AND id IN (SELECT id FROM point_base WHERE system_id = 7);

-- P23r: inheritance: UNIQUE (id) of the parent does not reach the child, reject by step 7
DELETE FROM assets WHERE id IN (SELECT id FROM assets WHERE bad);

-- P23a: ONLY the parent, accept (step 2)
DELETE FROM ONLY assets WHERE id IN (SELECT id FROM assets WHERE bad);

-- P24a: inheritance: the child has no key, accept (no K)
DELETE FROM asset_cars WHERE id IN (SELECT id FROM asset_cars WHERE bad);

-- P25r: unique in one leaf only: the parent, reject by step 7
DELETE FROM leaf_uniq WHERE id IN (SELECT id FROM leaf_uniq WHERE bad);

-- P25a: the leaf that has it, accept (step 2)
DELETE FROM leaf_uniq_a WHERE id IN (SELECT id FROM leaf_uniq_a WHERE bad);

-- P26r: unique in one leaf only: the other leaf, reject by step 5 or 7
DELETE FROM leaf_uniq_b WHERE id IN (SELECT id FROM leaf_uniq_b WHERE bad);

-- P26a: the leaf that has it, from the parent, accept (step 2)
DELETE FROM leaf_uniq_a WHERE id IN (SELECT id FROM leaf_uniq WHERE bad);

-- P27r: time-typed partition key used inside, reject by step 5
DELETE FROM metrics WHERE device_id IN (SELECT device_id FROM metrics WHERE ts < '2026-02-01');

-- P27a: and outside, accept (step 5)
DELETE FROM metrics WHERE ts < '2026-02-01' AND device_id IN (SELECT device_id FROM metrics WHERE ts < '2026-02-01');

-- P28r: time-typed partition key, local number, used inside, doubt by step 5
DELETE FROM sensor_log WHERE sensor_no IN (SELECT sensor_no FROM sensor_log WHERE ts < '2026-02-01' AND v > 9);

-- P28a: not used, accept (step 7)
DELETE FROM sensor_log WHERE sensor_no IN (SELECT sensor_no FROM sensor_log WHERE v > 9);

-- P29r: a sequence for each leaf, reject by step 7
UPDATE leaf_seq SET bad = true WHERE id IN (SELECT id FROM leaf_seq WHERE bad);

-- P29a: one sequence for all, accept (step 3)
UPDATE shared_seq SET bad = true WHERE id IN (SELECT id FROM shared_seq WHERE bad);

-- P30a: identity, leaf from parent, accept (step 3)
UPDATE events_2026 SET v = 0 WHERE id IN (SELECT id FROM events WHERE created_at < '2026-02-01');
