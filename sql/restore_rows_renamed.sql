--
-- safeguard.restore_rows() into columns that have other names now
--
CREATE SCHEMA restore_rows_renamed;
SET search_path = restore_rows_renamed;
\set VERBOSITY default
ALTER SEQUENCE safeguard.kept_id_seq RESTART 300001;

-- a column that has taken the place of another
CREATE TABLE replaced (id int PRIMARY KEY, old text);
INSERT INTO replaced SELECT i, 'old ' || i FROM generate_series(1, 3) i;
ALTER TABLE replaced ADD new text;
UPDATE replaced SET new = 'new ' || id;
BEGIN;
SELECT safeguard.keep_rows('replaced', 'replaced');
DELETE FROM replaced WHERE id = 2;
UPDATE replaced SET new = 'wrong' WHERE id = 1;
COMMIT;
ALTER TABLE replaced DROP old;
ALTER TABLE replaced RENAME new TO old;
SELECT safeguard.restore_rows('replaced');
SELECT * FROM replaced ORDER BY id;
SELECT safeguard.restore_rows('replaced@restored-1');
SELECT * FROM replaced ORDER BY id;

-- two that have exchanged their names, one of them of the key
CREATE TABLE exchanged (a int PRIMARY KEY, b int, c int);
INSERT INTO exchanged VALUES (1, 10, 100), (2, 20, 200);
BEGIN;
SELECT safeguard.keep_rows('exchanged', 'exchanged');
DELETE FROM exchanged WHERE a = 2;
UPDATE exchanged SET b = 11, c = 101;
COMMIT;
ALTER TABLE exchanged RENAME a TO x;
ALTER TABLE exchanged RENAME b TO a;
ALTER TABLE exchanged RENAME x TO b;
SELECT safeguard.restore_rows('exchanged');
SELECT * FROM exchanged ORDER BY b;

-- dropped and added again, as when a migration is taken back
CREATE TABLE added_again (id int PRIMARY KEY, v text);
INSERT INTO added_again VALUES (1, 'one'), (2, 'two');
BEGIN;
SELECT safeguard.keep_rows('added again', 'added_again');
UPDATE added_again SET v = NULL;
ALTER TABLE added_again DROP v;
COMMIT;
ALTER TABLE added_again ADD v text;
SELECT safeguard.restore_rows('added again');
SELECT * FROM added_again ORDER BY id;

-- of a table that was made again nobody knows
BEGIN;
SELECT safeguard.keep_rows('made again', 'added_again');
UPDATE added_again SET v = 'x';
COMMIT;
DROP TABLE added_again;
CREATE TABLE added_again (id int PRIMARY KEY, other int, w text);
INSERT INTO added_again (id, w) VALUES (1, 'x'), (2, 'x');
SELECT safeguard.restore_rows('made again');
ALTER TABLE safeguard_rows.k300008 RENAME v TO w;
SELECT safeguard.restore_rows('made again');
SELECT * FROM added_again ORDER BY id;

SET client_min_messages = warning;
SELECT count(safeguard.drop_kept_rows(label)) FROM (SELECT DISTINCT label FROM safeguard.kept) l;
DROP SCHEMA restore_rows_renamed CASCADE;
