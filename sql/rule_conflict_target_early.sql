-- Found as early as the statement is known: at PREPARE and at CREATE FUNCTION,
-- where the server says nothing.  Only ever a warning, silent where the
-- statement cannot be judged.
CREATE SCHEMA ctarget;
SET search_path = ctarget, public;
CREATE TABLE account (tenant_id int, email text, name text, n int DEFAULT 0);
CREATE TABLE member (id int PRIMARY KEY, email text, deleted bool NOT NULL DEFAULT false);
CREATE UNIQUE INDEX member_email ON member (email) WHERE NOT deleted;

-- E01: PREPARE, and its twin
PREPARE bad(int) AS INSERT INTO account VALUES ($1, 'x')
    ON CONFLICT (email) DO NOTHING;
PREPARE good(int) AS INSERT INTO member VALUES ($1, 'x') ON CONFLICT (id) DO NOTHING;
EXECUTE good(1);

-- E02: the execution points into the text of the PREPARE
EXECUTE bad(1);

-- E03: from here on the first line is enough
\set VERBOSITY terse
PREPARE in_cte AS WITH w AS (INSERT INTO account VALUES (1, 'x') ON CONFLICT (email) DO NOTHING) SELECT 1;
PREPARE two_statements AS INSERT INTO member VALUES (1) ON CONFLICT (id) DO NOTHING; SELECT 1 AS one;
DO $$ BEGIN EXECUTE 'PREPARE dynamic AS INSERT INTO account VALUES (1, ''x'') ON CONFLICT (email) DO NOTHING'; END $$;
PREPARE named AS INSERT INTO member VALUES (1) ON CONFLICT ON CONSTRAINT member_pkey DO NOTHING;
PREPARE no_target AS INSERT INTO account VALUES (1) ON CONFLICT DO NOTHING;

-- E04: a partial index that only a parameter matches may never be missed
PREPARE by_value(bool) AS INSERT INTO member VALUES (2, 'y') ON CONFLICT (email) WHERE deleted = $1 DO NOTHING;
CREATE UNIQUE INDEX member_next ON member ((id + 1));
PREPARE by_value2(int) AS INSERT INTO member VALUES (3, 'z') ON CONFLICT ((id + $1)) DO NOTHING;
EXECUTE by_value2(1);
PREPARE by_value3(int) AS INSERT INTO account (email) VALUES ('z') ON CONFLICT (email) WHERE tenant_id = $1 DO NOTHING;
PREPARE by_constant AS INSERT INTO member VALUES (2, 'y') ON CONFLICT (email) WHERE deleted = false DO NOTHING;
PREPARE not_implied(int) AS INSERT INTO member VALUES (2, 'y') ON CONFLICT (email) WHERE id > 0 DO NOTHING;
PREPARE other_error AS INSERT INTO account VALUES (1 / 0, 'x') ON CONFLICT (email) DO NOTHING;
DEALLOCATE ALL;

-- E05: functions; the position is that in the body
\set VERBOSITY default
\set SHOW_CONTEXT always
CREATE FUNCTION f_sql(t int, mail text) RETURNS void LANGUAGE sql AS $$
    SELECT 1;
    INSERT INTO account (tenant_id, email) VALUES (t, $2)
    ON CONFLICT (tenant_id) DO UPDATE SET n = account.n + 1;
    INSERT INTO member VALUES (t, mail) ON CONFLICT (id) DO NOTHING;
    INSERT INTO account (tenant_id, email) VALUES (t, mail) ON CONFLICT (email) DO NOTHING;
$$;
CREATE FUNCTION f_atomic(t int, mail text) RETURNS void
BEGIN ATOMIC
    INSERT INTO member VALUES (t, mail) ON CONFLICT (id) DO NOTHING;
    INSERT INTO account (tenant_id, email) VALUES (t, mail) ON CONFLICT (email) DO NOTHING;
END;
CREATE FUNCTION f_plpgsql(t int, mail text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    r record;
    m member;
    result int;
BEGIN
    SELECT id AS a INTO r FROM member;
    INSERT INTO account (tenant_id, email) VALUES (t + r.a, m.email || mail)
    ON CONFLICT (tenant_id) DO UPDATE SET n = account.n + 1 RETURNING n
    INTO result;
    RETURN result;
END $$;
CREATE PROCEDURE p_plpgsql(t int) LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO account (tenant_id) VALUES (t) ON CONFLICT (tenant_id) DO NOTHING;
END $$;
CREATE PROCEDURE p_sql(t int) LANGUAGE sql AS 'INSERT INTO account (name) VALUES (''it''''s'') ON CONFLICT (email) DO NOTHING';

-- E06: what execution says
\set SHOW_CONTEXT never
SELECT f_sql(1, 'x');
SELECT f_atomic(1, 'x');
CALL p_plpgsql(1);
CALL p_sql(1);
\set SHOW_CONTEXT errors
\set VERBOSITY terse

-- E07: each kind of statement that has statements in it
CREATE FUNCTION f_all(t int) RETURNS SETOF account LANGUAGE plpgsql AS $$
<<outermost>>
DECLARE
    c CURSOR (x int) FOR SELECT * FROM account WHERE tenant_id = x;
    d refcursor;
    i int;
    row account;
BEGIN
    IF t = 1 THEN
        INSERT INTO account VALUES (1) ON CONFLICT (tenant_id, n) DO NOTHING;
    ELSIF t = 2 THEN
        INSERT INTO account VALUES (2) ON CONFLICT (tenant_id, email) DO NOTHING;
    ELSE
        INSERT INTO account VALUES (3) ON CONFLICT (tenant_id, name) DO NOTHING;
    END IF;
    CASE t
        WHEN 4 THEN INSERT INTO account VALUES (4) ON CONFLICT (tenant_id, (n + 4)) DO NOTHING;
        ELSE INSERT INTO account VALUES (5) ON CONFLICT (tenant_id, (n + 5)) DO NOTHING;
    END CASE;
    LOOP
        INSERT INTO account VALUES (6) ON CONFLICT (tenant_id, (n + 6)) DO NOTHING;
    END LOOP;
    WHILE true LOOP
        INSERT INTO account VALUES (7) ON CONFLICT (tenant_id, (n + 7)) DO NOTHING;
    END LOOP;
    FOR j IN 1..2 LOOP
        INSERT INTO account VALUES (f_all.t + outermost.i) ON CONFLICT (tenant_id, (n + 8)) DO NOTHING;
        INSERT INTO account VALUES (j) ON CONFLICT (tenant_id, (n + 9)) DO NOTHING;
    END LOOP;
    FOR row IN INSERT INTO account VALUES (10) ON CONFLICT (tenant_id, (n + 10)) DO NOTHING RETURNING * LOOP
        INSERT INTO account VALUES (row.tenant_id) ON CONFLICT (tenant_id, (n + 11)) DO NOTHING;
    END LOOP;
    FOR q IN c (1) LOOP
        -- what a row of unknown type expands to nobody knows
        INSERT INTO account SELECT q.* ON CONFLICT (tenant_id, (n + 12)) DO NOTHING;
        INSERT INTO account VALUES (q.n) ON CONFLICT (tenant_id, (n + 13)) DO NOTHING;
    END LOOP;
    FOR row IN EXECUTE 'SELECT 1' LOOP
        INSERT INTO account VALUES (row.n, row.email) ON CONFLICT (tenant_id, (n + 14)) DO NOTHING;
    END LOOP;
    FOREACH i IN ARRAY '{1,2}'::int[] LOOP
        INSERT INTO account VALUES (i) ON CONFLICT (tenant_id, (n + 15)) DO NOTHING;
    END LOOP;
    RETURN QUERY INSERT INTO account VALUES (16) ON CONFLICT (tenant_id, (n + 16)) DO NOTHING RETURNING *;
    BEGIN
        INSERT INTO account VALUES (17) ON CONFLICT (tenant_id, (n + 17)) DO NOTHING;
    EXCEPTION WHEN OTHERS THEN
        INSERT INTO account (email) VALUES (sqlerrm) ON CONFLICT (tenant_id, (n + 18)) DO NOTHING;
    END;
    INSERT INTO member VALUES (19) ON CONFLICT (id) DO NOTHING;
    EXECUTE 'INSERT INTO account VALUES (20) ON CONFLICT (tenant_id, (n + 20)) DO NOTHING';
    WITH w AS (INSERT INTO account VALUES (21) ON CONFLICT (tenant_id, (n + 21)) DO NOTHING RETURNING *)
    SELECT count(*) INTO i FROM w;
EXCEPTION WHEN division_by_zero THEN
    INSERT INTO account VALUES (22) ON CONFLICT (tenant_id, (n + 22)) DO NOTHING;
END $$;

-- E08: a statement that fails otherwise hides no other
CREATE FUNCTION f_partly(t int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    email text;
BEGIN
    CREATE TABLE fresh (a int);
    INSERT INTO fresh VALUES (1) ON CONFLICT (a) DO NOTHING;
    INSERT INTO account (email) VALUES (email) ON CONFLICT (email) DO NOTHING;
    INSERT INTO account (nonsense) VALUES (1) ON CONFLICT (email) DO NOTHING;
    INSERT INTO account (tenant_id) VALUES (t / 0) ON CONFLICT (tenant_id) DO NOTHING;
END $$;
CREATE FUNCTION f_prefers() RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    email text;
BEGIN
    INSERT INTO account (email) VALUES (email) ON CONFLICT (email) DO NOTHING;
    INSERT INTO account (email) SELECT email FROM member ON CONFLICT (email) DO NOTHING;
END $$;
CREATE FUNCTION f_prefers2() RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    mail text;
BEGIN
    INSERT INTO account (email) VALUES (mail) ON CONFLICT (email) DO NOTHING;
END $$;

-- E09: polymorphic arguments, OUT arguments, RETURNS TABLE
CREATE FUNCTION f_any(a anyelement, OUT b int, OUT c text) LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO account (tenant_id) VALUES (b) ON CONFLICT (tenant_id) DO NOTHING;
END $$;
CREATE FUNCTION f_table() RETURNS TABLE (x int) LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO account (tenant_id) VALUES (x) ON CONFLICT (tenant_id) DO NOTHING;
END $$;
CREATE FUNCTION f_any_sql(a anyelement) RETURNS void LANGUAGE sql AS $$
    INSERT INTO account (tenant_id) VALUES (1) ON CONFLICT (tenant_id) DO NOTHING;
$$;

-- E10: what needs NEW or OLD is left to execution, what does not is not
CREATE FUNCTION f_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO account (tenant_id) VALUES (NEW.id) ON CONFLICT (tenant_id) DO NOTHING;
    INSERT INTO account SELECT OLD.* ON CONFLICT (tenant_id) DO NOTHING;
    INSERT INTO account (email) VALUES (TG_TABLE_NAME) ON CONFLICT (email) DO NOTHING;
    RETURN NEW;
END $$;
CREATE TRIGGER t BEFORE INSERT ON member FOR EACH ROW EXECUTE FUNCTION f_trigger();
INSERT INTO member VALUES (5);
DROP TRIGGER t ON member;
CREATE FUNCTION f_event() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO account (email) VALUES (tg_tag) ON CONFLICT (email) DO NOTHING;
END $$;

-- E11: under the function's own settings
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.account (tenant_id int PRIMARY KEY);
CREATE FUNCTION f_path() RETURNS void LANGUAGE sql SET search_path = elsewhere
    AS 'INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING';
CREATE FUNCTION f_path2() RETURNS void LANGUAGE plpgsql SET search_path = elsewhere
    AS 'BEGIN INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING; END';
CREATE FUNCTION f_path3() RETURNS void LANGUAGE plpgsql SET search_path = ctarget
    AS 'BEGIN INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING; END';
SHOW search_path;
CREATE FUNCTION f_off() RETURNS void LANGUAGE plpgsql SET safeguard.conflict_target = off
    AS 'BEGIN INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING; END';
SELECT f_off();
SHOW safeguard.conflict_target;
-- safeguard.conflict_target is off in the session, and on in the function
SET safeguard.conflict_target = off;
CREATE FUNCTION f_on() RETURNS void LANGUAGE plpgsql SET safeguard.conflict_target = warning
    AS 'BEGIN INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING; END';
RESET safeguard.conflict_target;

-- E12: replacing, and twice the same
CREATE OR REPLACE FUNCTION f_on() RETURNS void LANGUAGE plpgsql
    AS 'BEGIN INSERT INTO member VALUES (1) ON CONFLICT (id) DO NOTHING; END';
CREATE OR REPLACE FUNCTION f_on() RETURNS void LANGUAGE plpgsql
    AS 'BEGIN INSERT INTO member VALUES (1) ON CONFLICT (deleted) DO NOTHING; END';

-- E13: inside other things
DO $$ BEGIN
    EXECUTE 'CREATE FUNCTION f_inner() RETURNS void LANGUAGE sql AS ''INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING''';
END $$;
BEGIN;
SAVEPOINT a;
CREATE FUNCTION f_tx() RETURNS void LANGUAGE sql AS 'INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING';
ROLLBACK TO a;
CREATE FUNCTION f_tx() RETURNS void LANGUAGE sql AS 'INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING';
COMMIT;
-- no transaction id is taken
BEGIN;
PREPARE bad AS INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING;
SELECT pg_current_xact_id_if_assigned() IS NULL AS none;
SELECT count(*) FROM pg_locks WHERE relation = 'account'::regclass AND pid = pg_backend_pid() AND mode <> 'RowExclusiveLock';
COMMIT;
BEGIN TRANSACTION READ ONLY;
PREPARE bad2 AS INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING;
COMMIT;
DEALLOCATE ALL;

-- E14: an event trigger that takes the function away again
CREATE FUNCTION drop_it() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    IF tg_tag = 'CREATE FUNCTION' THEN DROP FUNCTION IF EXISTS f_gone(); END IF;
END $$;
CREATE EVENT TRIGGER regress_drop_it ON ddl_command_end EXECUTE FUNCTION drop_it();
CREATE FUNCTION f_gone() RETURNS void LANGUAGE plpgsql AS 'BEGIN INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING; END';
DROP EVENT TRIGGER regress_drop_it;

-- E15: bodies that are not checked, a restore, levels
SET check_function_bodies = off;
CREATE FUNCTION f_unchecked() RETURNS void LANGUAGE sql AS 'INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING';
RESET check_function_bodies;
SET safeguard.enabled = off;
CREATE FUNCTION f_disabled() RETURNS void LANGUAGE sql AS 'INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING';
RESET safeguard.enabled;
SET safeguard.conflict_target = record;
CREATE FUNCTION f_record() RETURNS void LANGUAGE sql AS 'INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING';
SET safeguard.conflict_target = error;
CREATE FUNCTION f_error() RETURNS void LANGUAGE sql AS 'INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING';
PREPARE bad AS INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING;
RESET safeguard.conflict_target;
SELECT safeguard.set_level('account', 'conflict_target', 'off');
CREATE FUNCTION f_excepted() RETURNS void LANGUAGE sql AS 'INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING';
PREPARE excepted AS INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING;
SELECT safeguard.clear_level('account', 'conflict_target');

-- E16: temporary tables are judged only if asked
CREATE TEMP TABLE scratch (a int);
PREPARE temp AS INSERT INTO scratch VALUES (1) ON CONFLICT (a) DO NOTHING;
SET safeguard.temp_tables = on;
PREPARE temp2 AS INSERT INTO scratch VALUES (1) ON CONFLICT (a) DO NOTHING;
RESET safeguard.temp_tables;
DROP TABLE scratch;
DEALLOCATE ALL;

-- E17: who may not execute it is told nothing
CREATE ROLE regress_ct_user;
GRANT USAGE, CREATE ON SCHEMA ctarget TO regress_ct_user;
SET ROLE regress_ct_user;
PREPARE bad AS INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING;
CREATE FUNCTION f_user() RETURNS void LANGUAGE sql AS 'INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING';
RESET ROLE;
GRANT INSERT, SELECT ON account TO regress_ct_user;
SET ROLE regress_ct_user;
PREPARE bad2 AS INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING;
CREATE OR REPLACE FUNCTION f_user() RETURNS void LANGUAGE sql AS 'INSERT INTO account VALUES (1) ON CONFLICT (tenant_id) DO NOTHING';
RESET ROLE;

SET client_min_messages = error;
DROP SCHEMA ctarget, elsewhere CASCADE;
DROP ROLE regress_ct_user;
