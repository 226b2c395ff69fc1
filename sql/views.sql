-- Views over target and source, and row security: what they add can pin,
-- but it is never what the writer is blamed for.
SET search_path = ck, public;
\set VERBOSITY terse

-- V01r: a view as target, reject by step 5
UPDATE v_points SET v = 0 WHERE id IN (SELECT id FROM point_info WHERE system_id = 7);

-- V01a: both columns, accept (step 1)
UPDATE v_points SET v = 0 WHERE (system_id, id) IN (SELECT system_id, id FROM point_info WHERE system_id = 7);

-- V02r: a view as target and source, reject by step 7
UPDATE v_points SET v = 0 WHERE id IN (SELECT id FROM v_points WHERE bad);

-- V02a: both columns, accept (step 1)
UPDATE v_points SET v = 0 WHERE (system_id, id) IN (SELECT system_id, id FROM v_points WHERE bad);

-- V03r: a view on a view, columns renamed, reject by step 5
DELETE FROM v_points_2 WHERE number IN (SELECT number FROM v_points_2 WHERE sys = 7);

-- V03a: pinned on both sides, accept (step 1)
DELETE FROM v_points_2 WHERE sys = 7 AND number IN (SELECT number FROM v_points_2 WHERE sys = 7);

-- V04r: a view as source that uses the scope and drops it, reject by step 5
UPDATE point_info SET v = 0 WHERE id IN (SELECT id FROM v_points_amber);

-- V04a: a view that passes it on, accept (step 1)
UPDATE point_info SET v = 0 WHERE (system_id, id) IN (SELECT system_id, id FROM v_pairs_amber);

-- V05r: a view as source, joined, reject by step 5
UPDATE point_info t SET v = 0 FROM v_points_amber a WHERE a.id = t.id;

-- V05a: joined by both columns, accept (step 1)
UPDATE point_info t SET v = 0 FROM v_pairs_amber a WHERE a.id = t.id AND a.system_id = t.system_id;

-- V06r: a view as source that pins the scope, the target is free, reject by step 5
UPDATE point_info SET v = 0 WHERE id IN (SELECT id FROM v_sys7 WHERE bad);

-- V06a: the view pins both, accept (step 1)
UPDATE v_sys7 SET v = 0 WHERE id IN (SELECT id FROM v_sys7 WHERE bad);

-- V07r: the view pins the target only, reject by step 5
UPDATE v_sys7 SET v = 0 WHERE id IN (SELECT id FROM point_info WHERE bad);

-- V07a: the statement pins the source as well, accept (step 1)
UPDATE v_sys7 SET v = 0 WHERE id IN (SELECT id FROM point_info WHERE system_id = 7 AND bad);

-- V08r: two views pin to different values, reject by step 5
UPDATE v_sys7 SET v = 0 WHERE id IN (SELECT id FROM v_sys8 WHERE bad);

-- V08a: copied from one to the other, accept (step 5)
UPDATE v_sys7 t SET v = s.v FROM v_sys8 s WHERE s.id = t.id;

-- V09r: a view that hides the scope, reject by step 7
UPDATE v_no_scope SET v = 0 WHERE id IN (SELECT id FROM v_no_scope WHERE bad);

-- V09a: a view of one system hides it without harm, accept (step 1)
UPDATE v_sys7 SET v = 0 WHERE id IN (SELECT id FROM v_sys7 WHERE name = 'x');

-- V10r: a security barrier, reject by step 5
DELETE FROM v_barrier WHERE id IN (SELECT id FROM v_barrier WHERE system_id = 7);

-- V10a: pinned on both sides, accept (step 1)
DELETE FROM v_barrier WHERE system_id = 7 AND id IN (SELECT id FROM v_barrier WHERE system_id = 7);

-- V11r: the writer adds the shape to a view that has it, reject by step 5
UPDATE v_with_in SET v = 0 WHERE id IN (SELECT id FROM point_info WHERE system_id = 7);

-- V11a: the definition of the view is not blamed on the writer, accept (no source)
UPDATE v_with_in SET v = 0 WHERE name = 'x';

-- V12r: the same, deleted through the view, reject by step 5
DELETE FROM v_with_in WHERE id IN (SELECT id FROM v_with_in WHERE bad);

-- V12a: the whole key pinned through the view, accept (no source)
DELETE FROM v_with_in WHERE system_id = 7 AND id = 1;

-- V13r: a view of two arms as source, reject by step 5
DELETE FROM point_info WHERE id IN (SELECT id FROM v_union WHERE system_id = 7);

-- V13a: both columns, accept (step 1)
DELETE FROM point_info WHERE (system_id, id) IN (SELECT system_id, id FROM v_union);

-- V14r: a grouped view as source, reject by step 5
DELETE FROM point_info WHERE id IN (SELECT id FROM v_grouped);

-- V14a: both columns, accept (step 1)
DELETE FROM point_info WHERE (system_id, id) IN (SELECT system_id, id FROM v_grouped);

-- V15r: a view over a join as source, reject by step 5
DELETE FROM point_info WHERE id IN (SELECT id FROM v_join WHERE system_name = 'x');

-- V15a: a view over the parent, accept (step 8)
DELETE FROM order_lines WHERE order_id IN (SELECT id FROM v_orders_old);

-- V16a: an INSTEAD OF trigger: the view has no key, the trigger writes by the whole key, accept (no K)
UPDATE v_join SET v = 0 WHERE id IN (SELECT id FROM point_info WHERE system_id = 7);

-- V17r: MERGE through its base table from a view, reject by step 5
MERGE INTO point_info t USING v_sys7 s ON s.id = t.id WHEN MATCHED THEN UPDATE SET v = s.v;

-- V17a: the view names the scope, accept (step 1)
MERGE INTO point_info t USING v_pairs_amber s ON s.id = t.id AND s.system_id = t.system_id WHEN MATCHED THEN UPDATE SET v = 0;

-- V18r: row security is absent for the owner, reject by step 7
DELETE FROM rls_pin WHERE no IN (SELECT no FROM rls_pin WHERE bad);

-- V18a: the policy pins target and source, accept (step 1)
SET app.tenant = '7';
SET ROLE regress_sg_ck;
DELETE FROM rls_pin WHERE no IN (SELECT no FROM rls_pin WHERE bad);
RESET ROLE;

-- V19r: the policy pins the target, the source is free, reject by step 5
SET ROLE regress_sg_ck;
DELETE FROM rls_pin WHERE no IN (SELECT no FROM t_orders WHERE old);
RESET ROLE;

-- V19a: the source is restricted to the same tenant, accept (step 1)
SET ROLE regress_sg_ck;
DELETE FROM rls_pin WHERE no IN (SELECT no FROM t_orders WHERE old AND tenant_id = current_setting('app.tenant')::int);
RESET ROLE;

-- V20r: a membership policy does not tie the rows, reject by step 5
SET ROLE regress_sg_ck;
DELETE FROM rls_member WHERE no IN (SELECT no FROM rls_member WHERE bad);
RESET ROLE;

-- V20a: a membership policy is not blamed on the writer, accept (no source)
SET ROLE regress_sg_ck;
UPDATE rls_member SET v = 0 WHERE no = 1;
RESET ROLE;

-- V21r: a policy of the shape, and a writer of the shape, reject by step 5
SET ROLE regress_sg_ck;
DELETE FROM rls_half WHERE no IN (SELECT no FROM t_orders WHERE tenant_id = 7);
RESET ROLE;

-- V21a: a policy of the shape is not blamed on the writer, accept (step 1)
SET ROLE regress_sg_ck;
DELETE FROM rls_half WHERE v = 0;
UPDATE rls_half SET v = 0 WHERE (tenant_id, no) IN (SELECT tenant_id, no FROM t_orders WHERE old);
RESET ROLE;
