-- safeguard.check_function and check_functions: the SQL inside functions, of
-- which none is executed.
CREATE SCHEMA review;
SET search_path = review, public;

CREATE TABLE systems (id int PRIMARY KEY, vendor text);
CREATE TABLE points (system_id int REFERENCES systems, id int, name text, PRIMARY KEY (system_id, id));
CREATE TABLE totals (id int PRIMARY KEY, host text, code int, n int);

-- F01: language sql, a string body: position in the body
CREATE FUNCTION sql_text(scope int) RETURNS void LANGUAGE sql AS $$
    SELECT 1;
    UPDATE points SET name = 'ü' WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = scope);
    UPDATE points SET name = 'ü' WHERE (system_id, id) IN (SELECT p.system_id, p.id FROM points p WHERE p.system_id = scope);
    DELETE FROM totals$$;
SELECT function, statement, rule, level, relation, columns, substr(prosrc, "position", 14)
  FROM safeguard.check_function('sql_text(int)'), pg_proc WHERE oid = function;

-- F02: BEGIN ATOMIC, which has no text
CREATE FUNCTION sql_tree(scope int) RETURNS void LANGUAGE sql BEGIN ATOMIC
    DELETE FROM totals WHERE id = scope;
    UPDATE points SET name = 'x' WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = scope);
END;
SELECT statement, rule, level, message, "position" FROM safeguard.check_function('sql_tree(int)');

-- F03: PL/pgSQL; what EXECUTE runs is not known
CREATE FUNCTION plpgsql_all(scope int) RETURNS SETOF int LANGUAGE plpgsql AS $$
DECLARE
    r record;
    c CURSOR FOR SELECT 1;
BEGIN
    IF scope > 0 THEN
        DELETE FROM totals;
    ELSE
        FOR r IN UPDATE points SET name = 'x' WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = scope) RETURNING id LOOP
            EXECUTE format('DELETE FROM %I', 'totals');
        END LOOP;
    END IF;
    RETURN QUERY EXECUTE 'SELECT 1';
    INSERT INTO totals VALUES (scope, 'h', 2, 3) ON CONFLICT (host, code) DO NOTHING;
    UPDATE points SET nix = 1;
EXCEPTION WHEN division_by_zero THEN
    DELETE FROM totals;
END $$;
SELECT statement, rule, level, relation, message, substr(prosrc, "position", 10)
  FROM safeguard.check_function('plpgsql_all(int)'), pg_proc WHERE oid = function;

-- F04: a temporary table that the function makes is not missing
CREATE FUNCTION makes_table() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE work_list AS SELECT 1 AS id;
    UPDATE work_list SET id = 2;
    UPDATE pg_temp.other_list SET id = 2;
    UPDATE no_such_table SET id = 2;
    DROP TABLE work_list;
END $$;
SELECT statement, rule, message FROM safeguard.check_function('makes_table()');
-- nor is what it drops: by then somebody may have made it, and an error be caught
CREATE FUNCTION drops() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'CREATE TEMP TABLE by_text (a int)';
    DROP TABLE by_text;
    DROP VIEW nobody_knows;
EXCEPTION WHEN undefined_table OR undefined_object THEN
    DROP FUNCTION nobody_knows();
END $$;
SELECT statement, rule, message FROM safeguard.check_function('drops()');

-- F05: a trigger function: its tables are those that have it, or the one named
CREATE TABLE audit (system_id int, id int, name text);
CREATE FUNCTION changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM points WHERE id IN (SELECT a.id FROM audit a WHERE a.system_id = NEW.system_id AND a.name = OLD.vendor);
    UPDATE totals SET host = NEW.name WHERE id = OLD.id;
    RETURN NEW;
END $$;
-- nothing is known of NEW and OLD
SELECT statement, rule, message FROM safeguard.check_function('changed()');
SELECT statement, rule, message FROM safeguard.check_function('changed()', 'points');
SELECT statement, rule, message FROM safeguard.check_function('changed()', 'systems');
CREATE TRIGGER changed AFTER UPDATE ON points FOR EACH ROW EXECUTE FUNCTION changed();
SELECT statement, rule, message FROM safeguard.check_function('changed()');
-- of several tables: what fails for each of them
CREATE TRIGGER changed AFTER UPDATE ON systems FOR EACH ROW EXECUTE FUNCTION changed();
SELECT statement, rule, message FROM safeguard.check_function('changed()');
-- with all its columns the rules look at the statement
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE points SET name = NEW.name WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = OLD.system_id);
    UPDATE points SET name = NEW.name WHERE system_id = OLD.system_id AND id = NEW.id;
    RETURN NEW;
END $$;
SELECT statement, rule, level, message FROM safeguard.check_function('touched()', 'points');

-- F06: the function's own settings hold while it is read
SET search_path = public;
CREATE FUNCTION review.elsewhere() RETURNS void LANGUAGE plpgsql SET search_path = review AS $$
BEGIN
    DELETE FROM totals;
END $$;
SELECT statement, rule, relation FROM safeguard.check_function('review.elsewhere()');
SHOW search_path;
SET search_path = review, public;
CREATE FUNCTION quiet() RETURNS void LANGUAGE plpgsql SET safeguard.unqualified_dml = off AS $$
BEGIN
    DELETE FROM totals;
END $$;
SELECT statement, rule FROM safeguard.check_function('quiet()');

-- F07: a body that cannot be read
SET check_function_bodies = off;
CREATE FUNCTION broken_sql() RETURNS void LANGUAGE sql AS 'SELEC 1';
CREATE FUNCTION broken_plpgsql() RETURNS void LANGUAGE plpgsql AS 'BEGIN SELEC 1; IF; END';
RESET check_function_bodies;
SELECT function, statement, rule, message FROM safeguard.check_function('broken_sql()');
SELECT function, statement, rule, message FROM safeguard.check_function('broken_plpgsql()');

-- F08: all functions; those of the server and of extensions are left out
SELECT function, count(*) FROM safeguard.check_functions('review') GROUP BY function ORDER BY function::text;
SELECT count(*) FROM safeguard.check_functions('safeguard');
SELECT count(*) FROM safeguard.check_functions('pg_catalog');
SELECT count(*) = (SELECT count(*) FROM safeguard.check_functions('review')) FROM safeguard.check_functions()
 WHERE function::oid IN (SELECT oid FROM pg_proc WHERE pronamespace = 'review'::regnamespace);

-- F09: who may not execute a function is not told what is in it
CREATE ROLE regress_review;
GRANT USAGE ON SCHEMA review TO regress_review;
REVOKE EXECUTE ON FUNCTION sql_text(int) FROM PUBLIC;
SET ROLE regress_review;
SELECT * FROM safeguard.check_function('sql_text(int)');
SELECT rule, columns, message, detail FROM safeguard.check_function('sql_tree(int)');
SELECT function FROM safeguard.check_functions('review') WHERE function = 'sql_text(int)'::regprocedure;
RESET ROLE;
DROP OWNED BY regress_review;
DROP ROLE regress_review;

-- the SET clauses of SECURITY DEFINER are its owner's: the caller may not make them
CREATE FUNCTION as_owner() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET session_replication_role = replica
AS 'BEGIN UPDATE totals SET n = 1; END';
CREATE FUNCTION as_caller() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica
AS 'BEGIN UPDATE totals SET n = 1; END';
CREATE ROLE regress_review;
GRANT USAGE ON SCHEMA review TO regress_review;
GRANT SELECT ON totals TO regress_review;
SET ROLE regress_review;
SELECT function, rule, message FROM safeguard.check_function('as_owner()');
SELECT function, rule, message FROM safeguard.check_function('as_caller()');
SELECT current_user, current_setting('session_replication_role');
RESET ROLE;
-- a role that is set is the one the function runs as
CREATE ROLE regress_reader;
GRANT USAGE ON SCHEMA review TO regress_reader;
GRANT SELECT, DELETE ON points, audit TO regress_reader;
CREATE FUNCTION as_reader() RETURNS void LANGUAGE plpgsql SET role = regress_reader
AS 'BEGIN DELETE FROM points WHERE id IN (SELECT a.id FROM audit a); END';
ALTER ROLE regress_review NOINHERIT;
GRANT regress_reader TO regress_review;
SET ROLE regress_review;
SELECT function, rule, columns, message FROM safeguard.check_function('as_reader()');
SELECT current_user;
RESET ROLE;
DROP FUNCTION as_reader();
DROP OWNED BY regress_reader;
DROP ROLE regress_reader;
DROP OWNED BY regress_review;
DROP ROLE regress_review;

-- F10: nothing is executed, no lock is left, a read-only transaction will do
BEGIN READ ONLY;
SELECT count(*) > 10 FROM safeguard.check_functions('review');
SELECT pg_current_xact_id_if_assigned();
SELECT relation::regclass, mode FROM pg_locks
 WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation IN ('points'::regclass, 'totals'::regclass, 'audit'::regclass);
COMMIT;

-- F11: bad arguments
SELECT * FROM safeguard.check_function(NULL);
SELECT * FROM safeguard.check_function(4294967295);
SELECT * FROM safeguard.check_function('changed()', 4294967295);
CREATE SEQUENCE no_table;
SELECT * FROM safeguard.check_function('changed()', 'no_table');
SELECT * FROM safeguard.check_function('changed()', 'points_pkey');
SELECT * FROM safeguard.check_function('quiet()', 'points');
SELECT * FROM safeguard.check_functions('no_such_schema');
SELECT * FROM safeguard.check_function('pg_catalog.lower(text)');

SET client_min_messages = warning;
DROP SCHEMA review CASCADE;
