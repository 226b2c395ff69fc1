-- PREPARE says nothing, since nothing is planned; each EXECUTE is judged, with a
-- custom plan or a cached one, at the level that holds at that moment.
SET search_path = ck, public;
\set VERBOSITY terse

-- Q01: PREPARE, accept: not judged here
PREPARE bad(int) AS UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = $1);
PREPARE good(int) AS UPDATE point_info SET v = 0 WHERE system_id = $1 AND id IN (SELECT p.id FROM point_info p WHERE p.system_id = $1);
PREPARE doubtful(text) AS DELETE FROM user_roles WHERE user_id IN (SELECT r.user_id FROM user_roles r WHERE r.note = $1);

-- Q02: EXECUTE, reject by step 5
EXECUTE bad(7);

-- Q03: again, reject by step 5
EXECUTE bad(7);

-- Q04: EXECUTE, accept by step 1
EXECUTE good(7);
EXECUTE good(8);

-- Q05: EXECUTE, doubt by step 7
EXECUTE doubtful('x');

-- Q06: five custom plans and then the cached one, accept by step 1
EXECUTE good(1);
EXECUTE good(2);
EXECUTE good(3);
EXECUTE good(4);
EXECUTE good(5);
EXECUTE good(6);
EXECUTE good(7);

-- Q07: five custom plans and then the cached one, doubt by step 7 each time
EXECUTE doubtful('a');
EXECUTE doubtful('b');
EXECUTE doubtful('c');
EXECUTE doubtful('d');
EXECUTE doubtful('e');
EXECUTE doubtful('f');
EXECUTE doubtful('g');

-- Q08: the same for the rejected one, reject by step 5 each time
EXECUTE bad(1);
EXECUTE bad(2);
EXECUTE bad(3);
EXECUTE bad(4);
EXECUTE bad(5);
EXECUTE bad(6);
EXECUTE bad(7);

-- Q09: force_custom_plan, level error, reject
SET plan_cache_mode = force_custom_plan;
PREPARE bad_custom(int) AS UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = $1);
PREPARE doubtful_custom(text) AS DELETE FROM user_roles WHERE user_id IN (SELECT r.user_id FROM user_roles r WHERE r.note = $1);
EXECUTE bad_custom(7);

-- Q10: level record from the very next execution on, silent
SET safeguard.composite_key = 'record';
EXECUTE bad_custom(7);
EXECUTE doubtful_custom('x');

-- Q11: level error again, reject
SET safeguard.composite_key = 'error';
EXECUTE bad_custom(7);

-- Q12: level warning, WARNING
SET safeguard.composite_key = 'warning';
EXECUTE bad_custom(7);
EXECUTE bad_custom(7);

-- Q13: level off, silent
SET safeguard.composite_key = 'off';
EXECUTE bad_custom(7);
EXECUTE doubtful_custom('x');

-- Q14: level error after a plan was cached at level off, reject
SET safeguard.composite_key = 'error';
EXECUTE bad_custom(7);

-- Q15: SET LOCAL off, silent
BEGIN;
SET LOCAL safeguard.composite_key = 'off';
EXECUTE bad_custom(7);
COMMIT;

-- Q16: the level of the session is back, reject
EXECUTE bad_custom(7);

-- Q17: the level comes back with a ROLLBACK TO, reject
BEGIN;
SAVEPOINT s;
SET LOCAL safeguard.composite_key = 'off';
EXECUTE bad_custom(7);
ROLLBACK TO s;
EXECUTE bad_custom(7);
ROLLBACK;

-- Q18: doubt at level off only, silent
SET safeguard.composite_key_doubt = 'off';
EXECUTE doubtful_custom('x');

-- Q19: doubt at level error, ERROR
SET safeguard.composite_key_doubt = 'error';
EXECUTE doubtful_custom('x');

-- Q20: doubt at level error capped by composite_key at warning, WARNING
SET safeguard.composite_key = 'warning';
EXECUTE doubtful_custom('x');
RESET safeguard.composite_key;
RESET safeguard.composite_key_doubt;

-- Q21: force_generic_plan, level error, reject
SET plan_cache_mode = force_generic_plan;
PREPARE bad_generic(int) AS UPDATE point_info SET v = 0 WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = $1);
PREPARE doubtful_generic(text) AS DELETE FROM user_roles WHERE user_id IN (SELECT r.user_id FROM user_roles r WHERE r.note = $1);
EXECUTE bad_generic(7);

-- Q22: level record from the very next execution on, silent
SET safeguard.composite_key = 'record';
EXECUTE bad_generic(7);
EXECUTE doubtful_generic('x');

-- Q23: level error again, reject
SET safeguard.composite_key = 'error';
EXECUTE bad_generic(7);

-- Q24: level warning, WARNING
SET safeguard.composite_key = 'warning';
EXECUTE bad_generic(7);
EXECUTE bad_generic(7);

-- Q25: level off, silent
SET safeguard.composite_key = 'off';
EXECUTE bad_generic(7);
EXECUTE doubtful_generic('x');

-- Q26: level error after a plan was cached at level off, reject
SET safeguard.composite_key = 'error';
EXECUTE bad_generic(7);

-- Q27: SET LOCAL off, silent
BEGIN;
SET LOCAL safeguard.composite_key = 'off';
EXECUTE bad_generic(7);
COMMIT;

-- Q28: the level of the session is back, reject
EXECUTE bad_generic(7);

-- Q29: the level comes back with a ROLLBACK TO, reject
BEGIN;
SAVEPOINT s;
SET LOCAL safeguard.composite_key = 'off';
EXECUTE bad_generic(7);
ROLLBACK TO s;
EXECUTE bad_generic(7);
ROLLBACK;

-- Q30: doubt at level off only, silent
SET safeguard.composite_key_doubt = 'off';
EXECUTE doubtful_generic('x');

-- Q31: doubt at level error, ERROR
SET safeguard.composite_key_doubt = 'error';
EXECUTE doubtful_generic('x');

-- Q32: doubt at level error capped by composite_key at warning, WARNING
SET safeguard.composite_key = 'warning';
EXECUTE doubtful_generic('x');
RESET safeguard.composite_key;
RESET safeguard.composite_key_doubt;

RESET plan_cache_mode;

-- Q33: safeguard.enabled off and on again: silent, then reject
SET safeguard.enabled = off;
EXECUTE bad_generic(7);
RESET safeguard.enabled;
EXECUTE bad_generic(7);

-- Q34: max_level record: silent, then reject
SET safeguard.max_level = 'record';
EXECUTE bad_generic(7);
RESET safeguard.max_level;
EXECUTE bad_generic(7);

-- Q35: the verdict follows the catalog: a unique index on the number, accept by step 2; without it, reject
CREATE TABLE follow (tenant_id int REFERENCES tenants, id int, bad boolean, PRIMARY KEY (tenant_id, id));
PREPARE follow AS DELETE FROM follow WHERE id IN (SELECT f.id FROM follow f WHERE f.bad);
EXECUTE follow;
CREATE UNIQUE INDEX follow_id ON follow (id);
EXECUTE follow;
DROP INDEX follow_id;
EXECUTE follow;
DEALLOCATE follow;
DROP TABLE follow;

-- Q36: a statement in a PL/pgSQL function, planned at level off, then at level error: silent, then reject
CREATE FUNCTION f_prepared(scope int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = scope);
END $$;
SET safeguard.composite_key = 'off';
DO 'BEGIN FOR i IN 1..7 LOOP PERFORM ck.f_prepared(i); END LOOP; END';
RESET safeguard.composite_key;
DO 'BEGIN PERFORM ck.f_prepared(7); END';

DEALLOCATE ALL;

-- Q37: foreign keys of parents, which the statement does not name, decide too:
-- a cached plan is judged anew when they change
SET plan_cache_mode = force_generic_plan;
CREATE TABLE g (id int PRIMARY KEY);
CREATE TABLE p1 (id int PRIMARY KEY);
CREATE TABLE p2 (id int PRIMARY KEY);
CREATE TABLE t1 (pa int REFERENCES p1, k int, v int, PRIMARY KEY (pa, k));
CREATE TABLE t2 (pb int REFERENCES p2, k int, v int, PRIMARY KEY (pb, k));
PREPARE kin AS UPDATE t1 SET v = 1 FROM t2 WHERE t2.k = t1.k AND t2.pb = 3;
EXECUTE kin;
-- Q38: pa and pb have one parent now, reject by step 5
ALTER TABLE p1 ADD FOREIGN KEY (id) REFERENCES g;
ALTER TABLE p2 ADD FOREIGN KEY (id) REFERENCES g;
EXECUTE kin;
-- Q39: and no longer, accept by step 10
ALTER TABLE p1 DROP CONSTRAINT p1_id_fkey;
EXECUTE kin;
RESET plan_cache_mode;
DROP TABLE t1, t2, p1, p2, g;
