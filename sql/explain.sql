-- EXPLAIN changes nothing: it warns, and neither rejects nor counts. EXPLAIN
-- ANALYZE executes and is judged like any execution.
SET search_path = ck, public;
\set VERBOSITY terse

-- Plans differ between versions; that there is one is all that matters here.
CREATE FUNCTION explain_lines(options text, statement text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
    lines int := 0;
BEGIN
    FOR line IN EXECUTE format('EXPLAIN (%s) %s', options, statement) LOOP
        lines := lines + 1;
    END LOOP;
    RETURN lines > 0;
END $$;

-- X01: EXPLAIN of the bad statement: WARNING and a plan, step 5
SELECT explain_lines('COSTS OFF', $$
    UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7)$$);

-- X02: EXPLAIN of the good one: a plan, accept by step 1
SELECT explain_lines('COSTS OFF', $$
    UPDATE point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7)$$);

-- X03: EXPLAIN of the doubtful one: WARNING and a plan, step 7
SELECT explain_lines('COSTS OFF', $$
    DELETE FROM user_roles WHERE user_id IN (SELECT r.user_id FROM user_roles r WHERE r.note = 'x')$$);

-- X04: EXPLAIN as the client sends it: WARNING, step 5
EXPLAIN (COSTS OFF) UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7) \g /dev/null

-- X05: VERBOSE, every format: WARNING
SELECT explain_lines('VERBOSE, FORMAT json', $$
    UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7)$$);

-- X06: EXPLAIN ANALYZE of the bad statement, reject by step 5
SELECT explain_lines('ANALYZE, COSTS OFF', $$
    UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7)$$);

-- X07: EXPLAIN ANALYZE of the good one, accept by step 1
SELECT explain_lines('ANALYZE, COSTS OFF', $$
    UPDATE point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7)$$);

-- X08: EXPLAIN ANALYZE of the doubtful one: WARNING, step 7
SELECT explain_lines('ANALYZE, COSTS OFF', $$
    DELETE FROM user_roles WHERE user_id IN (SELECT r.user_id FROM user_roles r WHERE r.note = 'x')$$);

-- X09: EXPLAIN EXECUTE first: WARNING; the EXECUTE after it, reject by step 5
PREPARE bad AS UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7);
SELECT explain_lines('COSTS OFF', $$
    EXECUTE bad$$);
EXECUTE bad;

-- X10: the same with a cached plan: WARNING, then reject by step 5
SET plan_cache_mode = force_generic_plan;
PREPARE bad_generic(int) AS UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = $1);
SELECT explain_lines('COSTS OFF', $$
    EXECUTE bad_generic(7)$$);
EXECUTE bad_generic(7);
SELECT explain_lines('COSTS OFF', $$
    EXECUTE bad_generic(7)$$);
RESET plan_cache_mode;

-- X11: EXPLAIN ANALYZE EXECUTE, reject by step 5
SELECT explain_lines('ANALYZE, COSTS OFF', $$
    EXECUTE bad$$);

-- X12: EXPLAIN EXECUTE first, then EXECUTE of the good one: accept by step 1
PREPARE good AS UPDATE point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7);
SELECT explain_lines('COSTS OFF', $$
    EXECUTE good$$);
EXECUTE good;

-- X13: level warning: WARNING from EXPLAIN and from EXPLAIN ANALYZE
SET safeguard.composite_key = 'warning';
SELECT explain_lines('COSTS OFF', $$
    UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7)$$);
SELECT explain_lines('ANALYZE, COSTS OFF', $$
    UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7)$$);

-- X14: level record: nothing is said
SET safeguard.composite_key = 'record';
SELECT explain_lines('COSTS OFF', $$
    UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7)$$);
SELECT explain_lines('ANALYZE, COSTS OFF', $$
    UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7)$$);

-- X15: level off: nothing is said
SET safeguard.composite_key = 'off';
SELECT explain_lines('COSTS OFF', $$
    UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7)$$);
SELECT explain_lines('ANALYZE, COSTS OFF', $$
    UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7)$$);
RESET safeguard.composite_key;

-- X16: MERGE: WARNING, step 5
SELECT explain_lines('COSTS OFF', $$
    MERGE INTO point_info t USING point_info s ON t.id = s.id AND s.system_id = 7 WHEN MATCHED THEN DELETE$$);

-- X17: a data-modifying CTE: WARNING, step 5
SELECT explain_lines('COSTS OFF', $$
    WITH d AS (UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7) RETURNING id) SELECT id FROM d$$);

-- X18: a function that executes the bad statement is not executed by EXPLAIN: accept
CREATE FUNCTION f_explained() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
END $$;
SELECT explain_lines('COSTS OFF', $$
    SELECT ck.f_explained()$$);

-- X19: by EXPLAIN ANALYZE it is, reject by step 5
SELECT explain_lines('ANALYZE, COSTS OFF', $$
    SELECT ck.f_explained()$$);

DEALLOCATE ALL;
