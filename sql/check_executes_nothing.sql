-- A review executes nobody's functions: the notice must not appear.
CREATE SCHEMA nothing;
SET search_path = nothing, public;
CREATE FUNCTION says() RETURNS int LANGUAGE plpgsql VOLATILE AS $$BEGIN RAISE NOTICE 'runs as %', current_user; RETURN 1; END$$;
CREATE FUNCTION calm() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN says(); EXCEPTION WHEN OTHERS THEN RETURN 1; END$$;
SET client_min_messages = warning;
CREATE TABLE by_check (a int UNIQUE, b int CHECK (b >= calm()));
CREATE DOMAIN small AS int CHECK (VALUE >= calm());
CREATE TABLE by_domain (a int UNIQUE, b small);
CREATE TABLE by_index (a int UNIQUE, b int);
CREATE UNIQUE INDEX ON by_index (b) WHERE b > calm();
CREATE UNIQUE INDEX ON by_index ((b + calm()));
CREATE TABLE by_type (a int, b int);
CREATE INDEX ON by_type (a) WHERE b > calm();
CREATE FUNCTION f_check() RETURNS void LANGUAGE sql AS 'INSERT INTO by_check VALUES (1, 2) ON CONFLICT (a) DO NOTHING';
CREATE FUNCTION f_plpgsql() RETURNS void LANGUAGE plpgsql AS 'BEGIN INSERT INTO by_index VALUES (1, 2) ON CONFLICT (a) DO NOTHING; END';
CREATE TABLE script AS SELECT $$
INSERT INTO by_check VALUES (1, 2) ON CONFLICT (a) DO NOTHING;
INSERT INTO by_domain VALUES (1, 2) ON CONFLICT (a) DO NOTHING;
INSERT INTO by_domain SELECT 1, '{1}'::small[] ON CONFLICT (a) DO NOTHING;
SELECT '{2}'::small[];
INSERT INTO by_index VALUES (1, 2) ON CONFLICT (b) WHERE b > calm() DO NOTHING;
INSERT INTO by_index VALUES (1, 2) ON CONFLICT ((b + calm())) DO NOTHING;
INSERT INTO by_index VALUES (1, 2) ON CONFLICT (a) DO NOTHING;
SET lock_timeout = '1s';
ALTER TABLE by_type ALTER a TYPE bigint;
ALTER TABLE by_type ALTER b TYPE small;
ALTER TABLE by_type ALTER b TYPE int USING b + calm();
DO 'BEGIN INSERT INTO by_check VALUES (1, 2) ON CONFLICT (a) DO NOTHING; DELETE FROM by_type; END';
DELETE FROM by_type;
$$::text AS sql;
SET client_min_messages = notice;

-- each in a session of its own, without what has been evaluated before
\c -
SET search_path = nothing, public;
SELECT c.statement, c.rule, c.level, c.message FROM script, safeguard.check(sql) c;
\c -
SET search_path = nothing, public;
SELECT statement, rule, level, message FROM safeguard.check_function('f_check()');
SELECT statement, rule, level, message FROM safeguard.check_function('f_plpgsql()');
SELECT function, statement, rule, level, message FROM safeguard.check_functions() WHERE function::text LIKE 'f\_%';

-- nor does the guard, where the server itself would not
\c -
SET search_path = nothing, public;
EXPLAIN (COSTS OFF) INSERT INTO by_check VALUES (1, 2) ON CONFLICT (a) DO NOTHING;

-- after it, and in a preview, functions run again
SELECT calm();
SELECT count(*) >= 0 AS runs FROM safeguard.preview('SELECT calm()');
SET client_min_messages = warning;
DROP SCHEMA nothing CASCADE;
