--
-- safeguard.preview() leaves a session as it was, and tells what counts.
--
CREATE SCHEMA preview_guard;
SET search_path = preview_guard;
\pset null -
\pset format unaligned
\pset footer off

-- an advisory lock of the session is held as often as before
SELECT pg_advisory_lock(7), pg_advisory_lock(7), pg_advisory_lock_shared(9);
SELECT statement, sqlstate
  FROM safeguard.preview('SELECT pg_advisory_lock(7); SELECT pg_advisory_lock(8), pg_advisory_lock(8), pg_advisory_lock_shared(7)');
SELECT pg_advisory_unlock(7), pg_advisory_unlock(7), pg_advisory_unlock_shared(9);
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
-- one of the transaction around it stays, too
BEGIN;
SELECT pg_advisory_xact_lock(7);
SELECT statement, sqlstate FROM safeguard.preview('SELECT pg_advisory_lock(7)');
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
COMMIT;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();

-- cursors of the session are neither moved nor closed, by whatever means
BEGIN;
DECLARE mine CURSOR FOR SELECT generate_series(1, 9);
FETCH mine;
SELECT statement, sqlstate, error
  FROM safeguard.preview('DO $$ DECLARE c refcursor := ''mine''; r record; BEGIN FETCH c INTO r; END $$');
SELECT statement, sqlstate, error
  FROM safeguard.preview('DO $$ DECLARE c refcursor := ''mine''; BEGIN MOVE c; END $$');
SELECT statement, sqlstate, error
  FROM safeguard.preview('DO $$ DECLARE c refcursor := ''mine''; BEGIN CLOSE c; END $$');
-- its own ones are
SELECT statement, sqlstate
  FROM safeguard.preview('DO $$ DECLARE c refcursor; r record; BEGIN OPEN c FOR SELECT 1; FETCH c INTO r; CLOSE c; END $$');
FETCH mine;
CLOSE mine;
COMMIT;

-- keys as they are stored: by MERGE, by triggers, generated
CREATE TABLE plain (id int PRIMARY KEY, v text);
CREATE TABLE generated (k int, g int GENERATED ALWAYS AS (k / 2) STORED, PRIMARY KEY (g, k));
CREATE TABLE numbered (k int PRIMARY KEY DEFAULT 0, v text);
CREATE FUNCTION number_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.v = 'none' THEN RETURN NULL; END IF;
    new.k := new.k + length(new.v);
    RETURN new;
END $$;
CREATE TRIGGER number_it BEFORE INSERT ON numbered FOR EACH ROW EXECUTE FUNCTION number_it();
CREATE TABLE mail (id text PRIMARY KEY, address text UNIQUE, n int);
CREATE TABLE parted (a int, b text, PRIMARY KEY (a, b)) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 (b text NOT NULL, a int NOT NULL);
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (10) TO (20);
INSERT INTO plain VALUES (1, 'a');
INSERT INTO mail VALUES ('a', 'x', 1), ('b', 'y', 1);
SELECT statement, command, rows, source_rows, scope, CASE command WHEN 'INSERT' THEN sample END AS sample, error
  FROM safeguard.preview($$
MERGE INTO plain USING (VALUES (1, 'x'), (2, 'y'), (3, 'z')) s (id, v) ON plain.id = s.id
 WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v);
MERGE INTO plain USING (VALUES (1), (11), (12)) s (id) ON plain.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, '');
INSERT INTO generated (k) VALUES (1), (2), (3);
INSERT INTO numbered (v) VALUES ('a'), ('none'), ('bb'), ('ccc');
INSERT INTO mail VALUES ('c', 'x', 2), ('d', 'y', 3), ('n', 'm', 1) ON CONFLICT (address) DO UPDATE SET n = excluded.n;
INSERT INTO mail VALUES ('e', 'x', 2), ('q', 'z', 3) ON CONFLICT DO NOTHING;
INSERT INTO mail VALUES ('e', 'x', 2) ON CONFLICT (address) DO UPDATE SET id = 'new';
INSERT INTO parted SELECT g, 'v' || g % 3 FROM generate_series(5, 15) g;
UPDATE mail SET n = 5 FROM generate_series(1, 3) g WHERE id <> 'a';
MERGE INTO parted USING generate_series(5, 15) g ON a = g WHEN MATCHED AND a < 12 THEN UPDATE SET b = b || 'x';
DELETE FROM mail WHERE id > 'm' RETURNING *;
$$);

-- what a function has rolled back itself does not count
CREATE TABLE log (id int PRIMARY KEY);
CREATE FUNCTION tries() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO log VALUES (100);
    BEGIN
        INSERT INTO log VALUES (1), (2), (3);
        INSERT INTO plain VALUES (50);
        RAISE EXCEPTION 'no';
    EXCEPTION WHEN raise_exception THEN
        NULL;
    END;
    BEGIN
        INSERT INTO log VALUES (9);
    EXCEPTION WHEN raise_exception THEN
        NULL;
    END;
    RETURN 1;
END $$;
SELECT statement, command, relation, rows, scope FROM safeguard.preview('SELECT tries()');

-- an error is the statement's failure, whatever its code
SELECT statement, sqlstate, error
  FROM unnest(ARRAY['57014', '57P01', '53100', '53200', 'XX001', 'XX002']) code,
       safeguard.preview(format('SELECT 1; DO $$ BEGIN RAISE EXCEPTION ''raised'' USING ERRCODE = %L; END $$; SELECT 2', code))
 WHERE sqlstate IS NOT NULL;
SELECT statement, sqlstate, error FROM safeguard.preview('SELECT 1; SELECT 1' || repeat(' + 1', 200000));

-- functions of the server are known under any name, others are not taken for them
CREATE FUNCTION reload() RETURNS bool LANGUAGE internal AS 'pg_reload_conf';
CREATE FUNCTION reloads() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RETURN reload(); END $$;
CREATE FUNCTION dblink(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
\set VERBOSITY terse
SELECT * FROM safeguard.preview('SELECT reload()');
SELECT statement, sqlstate, error FROM safeguard.preview('SELECT reloads()');
SELECT statement, sqlstate, error FROM safeguard.preview('SELECT dblink(1)');

SET client_min_messages = warning;
DROP SCHEMA preview_guard CASCADE;
