-- safeguard.check: what the rules say of a script of which nothing is executed.
CREATE SCHEMA review;
SET search_path = review, public;

CREATE TABLE systems (id int PRIMARY KEY, vendor text);
CREATE TABLE points (system_id int REFERENCES systems, id int, name text, PRIMARY KEY (system_id, id));
CREATE TABLE totals (id int PRIMARY KEY, host text, code int, n int);
INSERT INTO systems VALUES (1, 'a'), (2, 'b');
INSERT INTO points SELECT s, i, 'p' FROM generate_series(1, 2) s, generate_series(1, 3) i;

-- C01: statements, levels, columns, words and positions
\x on
SELECT * FROM safeguard.check($$
UPDATE points SET name = 'x' WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = 1);
UPDATE points SET name = 'x' WHERE (system_id, id) IN (SELECT p.system_id, p.id FROM points p WHERE p.system_id = 1);
DELETE FROM totals;
INSERT INTO totals VALUES (1, 'h', 2, 3) ON CONFLICT (host, code) DO UPDATE SET n = EXCLUDED.n;
INSERT INTO totals VALUES (1, 'h', 2, 3) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n;
UPDATE points SET name = s.vendor FROM systems s WHERE points.id = 1;
DELETE FROM points WHERE system_id IN (SELECT system_id FROM systems);
$$);
\x off

-- C02: nothing was done, and no lock is left
SELECT count(*) FROM points WHERE name = 'x';
BEGIN;
SELECT statement, rule FROM safeguard.check('DELETE FROM points; TRUNCATE points; SELECT 1 FROM systems');
SELECT relation::regclass, mode FROM pg_locks
 WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation IN ('points'::regclass, 'totals'::regclass, 'systems'::regclass);
ROLLBACK;

-- C03: comments, quotes, carriage returns and empty statements do not count
SELECT statement, rule, "position" FROM safeguard.check(
    E'-- one; two\r\n/* ; /* ; */ ; */ SELECT '';'', "a;b" FROM (SELECT 1 AS "a;b") x;\r\n;;\r\n'
    || 'SELECT $a$ ; $b$ ; $a$;' || E'\r\nDELETE FROM totals');

-- C04: positions are characters, also in front of the statement
SELECT statement, rule, "position", substr(s, "position", 9)
  FROM (VALUES ('SELECT ''äöü€'';  DELETE FROM totals; SELEC 1; SELECT nix')) v(s), safeguard.check(s);

-- C05: semicolons inside of a statement
SELECT statement, rule, message FROM safeguard.check($$
SET lock_timeout = '1s';
CREATE RULE r AS ON INSERT TO totals DO ALSO (SELECT 1; SELECT 2);
CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;
CREATE PROCEDURE g() BEGIN ATOMIC END;
DELETE FROM totals$$);

-- C06: a mistake costs its own statement only
SELECT statement, rule, level, message, "position" FROM safeguard.check($$
SET lock_timeout = '1s';
SELECT (1;
DELETE FROM totals;
CREATE RULE r AS ON INSERT TO totals DO ALSO (SELECT 1;
DELETE FROM totals;
CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1;
DELETE FROM totals;
SELECT U&'\zzzz' AS "x;";
DELETE FROM totals;
SELECT ';
DELETE FROM totals;
$$);

-- C07: what does not analyse, and a script that needs its own DDL
SELECT statement, rule, message, hint, "position" FROM safeguard.check($$
UPDATE totals SET m = 1 WHERE id = 1;
ALTER TABLE totals ADD m int;
UPDATE totals SET m = 1 WHERE id = 1;
CREATE TABLE later (a int);
DELETE FROM later WHERE a = 1;
CREATE VIEW v AS SELECT nix FROM totals;
$$) WHERE rule = 'analyze';

-- C08: the script's own search_path is followed, and gone afterwards
SET search_path = public;
SELECT statement, rule, message FROM safeguard.check($$
DELETE FROM totals;
SET search_path = review;
DELETE FROM totals;
RESET search_path;
DELETE FROM totals;
SET LOCAL search_path TO review, public;
DELETE FROM totals$$);
SHOW search_path;
SET search_path = review, public;

-- C09: commands that contain a query
SELECT statement, rule, level FROM safeguard.check($$
EXPLAIN UPDATE points SET name = 'x' WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = 1);
EXPLAIN (ANALYZE) UPDATE points SET name = 'x' WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = 1);
PREPARE bad(int) AS UPDATE points SET name = 'x' WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = $1);
EXECUTE bad(1);
COPY (UPDATE points SET name = 'x' WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = 1) RETURNING id) TO STDOUT;
WITH w AS (UPDATE points SET name = 'x' WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = 1) RETURNING id) SELECT * FROM w;
DECLARE c CURSOR FOR SELECT 1;
CREATE TABLE copied AS SELECT * FROM points;
EXECUTE none(1);
DO $x$ BEGIN UPDATE points SET name = 'x' WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = 1); EXECUTE 'x'; END $x$;
$$);
SELECT statement, rule, message, "position" FROM safeguard.check($$
SELECT 1; DO 'BEGIN DELETE FROM totals WHERE host = ''x''; DELETE FROM totals; END';
DO $x$ BEGIN
    DELETE FROM totals; SELEC 1;
END $x$;
DO $x$ BEGIN
    DELETE FROM totals;
    DELETE FROM nix;
END $x$; $$);
PREPARE ready(int) AS UPDATE points SET name = 'x' WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = $1);
SELECT statement, rule, level, "position" FROM safeguard.check('SELECT 1; EXECUTE ready(1)');
DEALLOCATE ready;

-- the bodies of functions of language sql; those of PL/pgSQL are read when they exist
SELECT statement, rule, message, substr(s, "position", 12) AS at FROM (VALUES ($$
CREATE FUNCTION f(scope int, INOUT x text) LANGUAGE sql AS $x$
    SELECT 1;
    UPDATE points SET name = x WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = f.scope);
    DELETE FROM totals WHERE id = $1 AND host = x;
    SELECT nix $x$;
CREATE FUNCTION g(int) RETURNS void LANGUAGE sql BEGIN ATOMIC
    DELETE FROM totals WHERE id = $1;
    DELETE FROM totals;
END;
CREATE FUNCTION h(x int) RETURNS int RETURN (SELECT n + x FROM totals);
CREATE FUNCTION i() RETURNS void LANGUAGE sql SET search_path = pg_catalog AS 'DELETE FROM totals; DELETE FROM review.totals';
CREATE FUNCTION j() RETURNS void LANGUAGE sql AS 'SELEC 1';
CREATE FUNCTION k(anyelement) RETURNS void LANGUAGE sql AS 'SELECT nix';
CREATE FUNCTION l() RETURNS void LANGUAGE plpgsql AS 'BEGIN DELETE FROM totals; END';
CREATE FUNCTION again() RETURNS int LANGUAGE sql AS 'SELECT again()';
CREATE FUNCTION m() RETURNS void LANGUAGE sql AS 'CREATE TEMP TABLE w AS SELECT 1 AS a; DELETE FROM w WHERE a = 1';
$$)) v(s), safeguard.check(s);

-- C10: parameters
SELECT statement, rule, level FROM safeguard.check(
    'UPDATE points SET name = $2 WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = $1); DELETE FROM totals WHERE id = $1 AND host = $2');

-- C11: the levels in force now
SET safeguard.composite_key = warning;
SELECT level FROM safeguard.check('UPDATE points SET name = 1 WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = 1)');
SET safeguard.max_level = record;
SELECT level FROM safeguard.check('UPDATE points SET name = 1 WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = 1)');
SET safeguard.enabled = off;
SELECT rule FROM safeguard.check('UPDATE points SET name = 1 WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = 1); SELEC');
RESET safeguard.enabled;
RESET safeguard.max_level;
SELECT safeguard.set_level('points', 'composite_key', 'off');
SELECT level FROM safeguard.check('UPDATE points SET name = 1 WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = 1)');
SELECT safeguard.clear_level('points', 'composite_key');
RESET safeguard.composite_key;

-- C12: nothing of a user's is executed when an upsert is planned
CREATE FUNCTION speak(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'executed'; RETURN $1; END $$;
SELECT rule FROM safeguard.check($$
INSERT INTO totals VALUES (speak(1), 'h', speak(2), 3) ON CONFLICT (host) DO UPDATE SET n = speak(3) WHERE totals.n > speak(4);
INSERT INTO totals SELECT speak(1), 'h', 2, 3 FROM speak(2) ON CONFLICT (id) DO NOTHING;
DELETE FROM points WHERE id = speak(1)$$);

-- C13: foreign keys and triggers off
SET session_replication_role = replica;
SELECT statement, rule, level, message FROM safeguard.check('EXPLAIN INSERT INTO totals VALUES (1); INSERT INTO totals VALUES (1); DELETE FROM totals WHERE id = 1');
RESET session_replication_role;

-- C14: a role is told what enforcing would tell it
CREATE ROLE regress_review;
GRANT USAGE ON SCHEMA review TO regress_review;
GRANT UPDATE (name) ON points TO regress_review;
SET ROLE regress_review;
SELECT rule, columns, message, detail, hint FROM safeguard.check(
    'UPDATE points SET name = ''x'' WHERE id IN (SELECT p.id FROM points p WHERE p.system_id = 1); DELETE FROM public.nix');
RESET ROLE;
REVOKE USAGE ON SCHEMA review FROM regress_review;
SET ROLE regress_review;
SELECT rule, message FROM safeguard.check('DELETE FROM review.points');
RESET ROLE;
REVOKE ALL ON points FROM regress_review;
DROP ROLE regress_review;

-- C15: nothing is counted, and a read-only transaction will do
BEGIN READ ONLY;
SELECT rule FROM safeguard.check('DELETE FROM totals');
SELECT pg_current_xact_id_if_assigned();
COMMIT;

-- C16: bad input
SELECT * FROM safeguard.check('');
SELECT * FROM safeguard.check(E' ;; -- nothing\r\n /* nothing */ ;');
SELECT * FROM safeguard.check(NULL);
SELECT statement, rule, message, "position" FROM safeguard.check('@#? ~ `');
SELECT statement, rule, message, "position" FROM safeguard.check(E'\uFEFFDELETE FROM totals');
SELECT statement, rule FROM safeguard.check('SELECT ' || repeat('(', 100000) || '; DELETE FROM totals');
SELECT statement, rule, message FROM safeguard.check('PREPARE p AS SELECT 1' || repeat(' + 1', 100000));
SELECT statement, rule, message FROM safeguard.check('SELECT 1' || repeat(' + 1', 100000) || '; DELETE FROM totals');
SELECT count(*), max(statement) FROM safeguard.check(repeat(E'DELETE FROM totals;\r\n', 20000));
SELECT statement, rule, "position" FROM safeguard.check('SELECT ''' || repeat('x', 10000000) || '''; DELETE FROM totals');
SELECT count(*) < 200 FROM safeguard.check((SELECT string_agg('$a' || i || '$', E';\n') FROM generate_series(1, 5000) i));

DROP SCHEMA review CASCADE;
