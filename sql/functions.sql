-- The statement is judged wherever it is executed from. Creating a function,
-- trigger or rule says nothing: nothing is planned there.
SET search_path = ck, public;
\set VERBOSITY terse

-- N01r: DO, reject by step 5
DO $$
BEGIN
    UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
END $$;

-- N01a: DO, accept by step 1
DO $$
BEGIN
    UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
END $$;

-- N02r: PL/pgSQL, static, reject by step 5
CREATE FUNCTION f_static_r() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
END $$;
DO 'BEGIN PERFORM ck.f_static_r(); END';

-- N02a: PL/pgSQL, static, accept by step 1
CREATE FUNCTION f_static_a() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
END $$;
DO 'BEGIN PERFORM ck.f_static_a(); END';

-- N03r: PL/pgSQL, static with variables, reject by step 5
CREATE FUNCTION f_var_r(scope int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = scope);
END $$;
DO 'BEGIN PERFORM ck.f_var_r(7); END';

-- N03a: PL/pgSQL, static with variables, accept by step 1
CREATE FUNCTION f_var_a(scope int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ck.point_info SET v = 0 WHERE system_id = scope AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = scope);
END $$;
DO 'BEGIN PERFORM ck.f_var_a(7); END';

-- N04r: PL/pgSQL, EXECUTE, reject by step 5
CREATE FUNCTION f_execute_r() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7)';
END $$;
DO 'BEGIN PERFORM ck.f_execute_r(); END';

-- N04a: PL/pgSQL, EXECUTE, accept by step 1
CREATE FUNCTION f_execute_a() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7)';
END $$;
DO 'BEGIN PERFORM ck.f_execute_a(); END';

-- N05r: PL/pgSQL, EXECUTE USING, reject by step 5
CREATE FUNCTION f_using_r(scope int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = $1)' USING scope;
END $$;
DO 'BEGIN PERFORM ck.f_using_r(7); END';

-- N05a: PL/pgSQL, EXECUTE USING, accept by step 1
CREATE FUNCTION f_using_a(scope int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'UPDATE ck.point_info SET v = 0 WHERE system_id = $1 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = $1)' USING scope;
END $$;
DO 'BEGIN PERFORM ck.f_using_a(7); END';

-- N06r: PL/pgSQL, FOR loop over RETURNING, reject by step 5
CREATE FUNCTION f_loop_r() RETURNS void LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    FOR r IN UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7) RETURNING id LOOP
        NULL;
    END LOOP;
END $$;
DO 'BEGIN PERFORM ck.f_loop_r(); END';

-- N06a: PL/pgSQL, FOR loop over RETURNING, accept by step 1
CREATE FUNCTION f_loop_a() RETURNS void LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    FOR r IN UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7) RETURNING id LOOP
        NULL;
    END LOOP;
END $$;
DO 'BEGIN PERFORM ck.f_loop_a(); END';

-- N07r: PL/pgSQL, FOR loop over EXECUTE, reject by step 5
CREATE FUNCTION f_loop_execute_r() RETURNS void LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    FOR r IN EXECUTE 'UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7) RETURNING id' LOOP
        NULL;
    END LOOP;
END $$;
DO 'BEGIN PERFORM ck.f_loop_execute_r(); END';

-- N07a: PL/pgSQL, FOR loop over EXECUTE, accept by step 1
CREATE FUNCTION f_loop_execute_a() RETURNS void LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    FOR r IN EXECUTE 'UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7) RETURNING id' LOOP
        NULL;
    END LOOP;
END $$;
DO 'BEGIN PERFORM ck.f_loop_execute_a(); END';

-- N08r: PL/pgSQL, RETURN QUERY, reject by step 5
CREATE FUNCTION f_return_r() RETURNS SETOF int LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7) RETURNING id;
END $$;
DO 'BEGIN PERFORM ck.f_return_r(); END';

-- N08a: PL/pgSQL, RETURN QUERY, accept by step 1
CREATE FUNCTION f_return_a() RETURNS SETOF int LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7) RETURNING id;
END $$;
DO 'BEGIN PERFORM ck.f_return_a(); END';

-- N09r: SQL function, string body, reject by step 5
CREATE FUNCTION f_sql_r() RETURNS void LANGUAGE sql AS 'UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7)';
DO 'BEGIN PERFORM ck.f_sql_r(); END';

-- N09a: SQL function, string body, accept by step 1
CREATE FUNCTION f_sql_a() RETURNS void LANGUAGE sql AS 'UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7)';
DO 'BEGIN PERFORM ck.f_sql_a(); END';

-- N10r: SQL function, string body, parameter and RETURNING, reject by step 5
CREATE FUNCTION f_sql_param_r(scope int) RETURNS SETOF int LANGUAGE sql AS
    'UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = scope) RETURNING id';
DO 'BEGIN PERFORM ck.f_sql_param_r(7); END';

-- N10a: SQL function, string body, parameter and RETURNING, accept by step 1
CREATE FUNCTION f_sql_param_a(scope int) RETURNS SETOF int LANGUAGE sql AS
    'UPDATE ck.point_info SET v = 0 WHERE system_id = scope AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = scope) RETURNING id';
DO 'BEGIN PERFORM ck.f_sql_param_a(7); END';

-- N11r: SQL function, BEGIN ATOMIC, reject by step 5
CREATE FUNCTION f_atomic_r() RETURNS void LANGUAGE sql
BEGIN ATOMIC
    UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
END;
DO 'BEGIN PERFORM ck.f_atomic_r(); END';

-- N11a: SQL function, BEGIN ATOMIC, accept by step 1
CREATE FUNCTION f_atomic_a() RETURNS void LANGUAGE sql
BEGIN ATOMIC
    UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
END;
DO 'BEGIN PERFORM ck.f_atomic_a(); END';

-- N12r: procedure, reject by step 5
CREATE PROCEDURE p_plpgsql_r() LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
    COMMIT;
END $$;
CALL p_plpgsql_r();

-- N12a: procedure, accept by step 1
CREATE PROCEDURE p_plpgsql_a() LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
    COMMIT;
END $$;
CALL p_plpgsql_a();

-- N13r: SQL procedure, reject by step 5
CREATE PROCEDURE p_sql_r() LANGUAGE sql AS 'UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7)';
CALL p_sql_r();

-- N13a: SQL procedure, accept by step 1
CREATE PROCEDURE p_sql_a() LANGUAGE sql AS 'UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7)';
CALL p_sql_a();

-- N14r: function with the rights of its owner, reject by step 5
CREATE FUNCTION f_definer_r() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
END $$;
SET ROLE regress_sg_ck;
DO 'BEGIN PERFORM ck.f_definer_r(); END';
RESET ROLE;

-- N14a: function with the rights of its owner, accept by step 1
CREATE FUNCTION f_definer_a() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
END $$;
SET ROLE regress_sg_ck;
DO 'BEGIN PERFORM ck.f_definer_a(); END';
RESET ROLE;

-- N15r: function called by a write that is itself fine, reject by step 5
INSERT INTO keyless VALUES (NULL, 1, 1);
UPDATE keyless SET v = 2 WHERE id = 1 AND ck.f_static_r() IS NULL;
DELETE FROM keyless WHERE id = 1;

-- N15a: function called by a write that is itself fine, accept by step 1
INSERT INTO keyless VALUES (NULL, 1, 1);
UPDATE keyless SET v = 2 WHERE id = 1 AND ck.f_static_a() IS NULL;
DELETE FROM keyless WHERE id = 1;

-- N16r: trigger, reject by step 5
CREATE TABLE trigger_r (n int);
CREATE FUNCTION f_trigger_r() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
    RETURN NEW;
END $$;
CREATE TRIGGER t BEFORE INSERT ON trigger_r FOR EACH ROW EXECUTE FUNCTION f_trigger_r();
INSERT INTO trigger_r VALUES (1);

-- N16a: trigger, accept by step 1
CREATE TABLE trigger_a (n int);
CREATE FUNCTION f_trigger_a() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
    RETURN NEW;
END $$;
CREATE TRIGGER t BEFORE INSERT ON trigger_a FOR EACH ROW EXECUTE FUNCTION f_trigger_a();
INSERT INTO trigger_a VALUES (1);

-- N17r: deferred trigger, at COMMIT, reject by step 5
CREATE TABLE deferred_r (n int);
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON deferred_r DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION f_trigger_r();
BEGIN;
INSERT INTO deferred_r VALUES (1);
COMMIT;

-- N17a: deferred trigger, at COMMIT, accept by step 1
CREATE TABLE deferred_a (n int);
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON deferred_a DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION f_trigger_a();
BEGIN;
INSERT INTO deferred_a VALUES (1);
COMMIT;

-- N18r: rule, DO ALSO, reject by step 5
CREATE TABLE rule_r (n int);
CREATE RULE also AS ON INSERT TO rule_r DO ALSO UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
INSERT INTO rule_r VALUES (1);

-- N18a: rule, DO ALSO, accept by step 1
CREATE TABLE rule_a (n int);
CREATE RULE also AS ON INSERT TO rule_a DO ALSO UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
INSERT INTO rule_a VALUES (1);

-- N19r: rule, DO INSTEAD, reject by step 5
CREATE TABLE instead_r (n int);
CREATE RULE instead AS ON DELETE TO instead_r DO INSTEAD UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
DELETE FROM instead_r WHERE n > 0;

-- N19a: rule, DO INSTEAD, accept by step 1
CREATE TABLE instead_a (n int);
CREATE RULE instead AS ON DELETE TO instead_a DO INSTEAD UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
DELETE FROM instead_a WHERE n > 0;

-- N20r: COPY (query) TO, reject by step 5
COPY (UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7) RETURNING id) TO STDOUT;

-- N20a: COPY (query) TO, accept by step 1
COPY (UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7) RETURNING id) TO STDOUT;

-- N21r: cursor over a function, reject by step 5
BEGIN;
DECLARE c CURSOR FOR SELECT ck.f_static_r();
MOVE ALL FROM c;
COMMIT;

-- N21a: cursor over a function, accept by step 1
BEGIN;
DECLARE c CURSOR FOR SELECT ck.f_static_a();
MOVE ALL FROM c;
COMMIT;

-- N22r: data-modifying CTE of a SELECT, reject by step 5
WITH d AS (UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7) RETURNING id) SELECT id FROM d WHERE id < 0 \g (format=unaligned tuples_only=on)

-- N22a: data-modifying CTE of a SELECT, accept by step 1
WITH d AS (UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7) RETURNING id) SELECT id FROM d WHERE id < 0 \g (format=unaligned tuples_only=on)

-- N23r: prepared, reject by step 5
PREPARE n_r AS UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
EXECUTE n_r;
DEALLOCATE n_r;

-- N23a: prepared, accept by step 1
PREPARE n_a AS UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);
EXECUTE n_a;
DEALLOCATE n_a;

-- N24r: several statements in one message, reject by step 5
UPDATE point_info SET v = 1 WHERE false \; UPDATE ck.point_info SET v = 0 WHERE id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);

-- N24a: several statements in one message, accept by step 1
UPDATE point_info SET v = 1 WHERE false \; UPDATE ck.point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT p.id FROM ck.point_info p WHERE p.system_id = 7);

-- N25r: the seventh call judges as the first, reject by step 5
DO $$
BEGIN
    FOR i IN 1..7 LOOP
        BEGIN
            PERFORM ck.f_var_r(i);
        EXCEPTION WHEN SQLSTATE 'SG001' THEN
            RAISE WARNING 'call % rejected', i;
        END;
    END LOOP;
END $$;

-- N25a: the seventh call judges as the first, accept by step 1
DO $$
BEGIN
    FOR i IN 1..7 LOOP
        BEGIN
            PERFORM ck.f_var_a(i);
        EXCEPTION WHEN SQLSTATE 'SG001' THEN
            RAISE WARNING 'call % rejected', i;
        END;
    END LOOP;
END $$;

-- N26r: transition table of a trigger, its tenant left aside, reject by step 10 as 7
CREATE TABLE transition_r (tenant_id int REFERENCES tenants, no int, PRIMARY KEY (tenant_id, no));
CREATE FUNCTION f_transition_r() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM ck.t_lines WHERE no IN (SELECT o.no FROM old_rows o);
    RETURN NULL;
END $$;
CREATE TRIGGER t AFTER DELETE ON transition_r REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION f_transition_r();
DELETE FROM transition_r WHERE no > 0;

-- N26a: transition table, both columns, accept by step 8
CREATE TABLE transition_a (tenant_id int REFERENCES tenants, no int, PRIMARY KEY (tenant_id, no));
CREATE FUNCTION f_transition_a() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM ck.t_lines WHERE (tenant_id, no) IN (SELECT o.tenant_id, o.no FROM old_rows o);
    RETURN NULL;
END $$;
CREATE TRIGGER t AFTER DELETE ON transition_a REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION f_transition_a();
DELETE FROM transition_a WHERE no > 0;

-- N27a: a row variable of a trigger is a value, accept (no source)
CREATE TABLE row_a (tenant_id int, no int);
INSERT INTO row_a VALUES (7, 1);
CREATE FUNCTION f_row_a() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM ck.t_lines WHERE no = OLD.no;
    RETURN OLD;
END $$;
CREATE TRIGGER t BEFORE DELETE ON row_a FOR EACH ROW EXECUTE FUNCTION f_row_a();
DELETE FROM row_a WHERE no = 1;

-- N28a: queries of referential integrity are not judged, accept
CREATE TABLE ri_parent (a int, b int, PRIMARY KEY (a, b));
CREATE TABLE ri_child (a int, b int, c int, PRIMARY KEY (a, b, c),
    FOREIGN KEY (a, b) REFERENCES ri_parent ON DELETE CASCADE ON UPDATE CASCADE);
INSERT INTO ri_parent VALUES (1, 1);
INSERT INTO ri_child VALUES (1, 1, 1);
UPDATE ri_parent SET b = 2 WHERE (a, b) IN (SELECT a, b FROM ri_parent);
DELETE FROM ri_parent WHERE (a, b) IN (SELECT a, b FROM ri_parent);

-- N29a: the DELETE that refreshes a view is the server's own, accept
CREATE MATERIALIZED VIEW mat_points AS SELECT system_id, id FROM point_info;
CREATE UNIQUE INDEX ON mat_points (system_id, id);
REFRESH MATERIALIZED VIEW CONCURRENTLY mat_points;
