--
-- safeguard.restore_rows() twice, on tables without a key
--
CREATE SCHEMA restore_rows_twice;
SET search_path = restore_rows_twice;
\set VERBOSITY default
CREATE TABLE plain (id int, v int);
INSERT INTO plain SELECT i, i FROM generate_series(1, 4) i;
BEGIN;
SELECT safeguard.keep_rows('twice', 'plain');
DELETE FROM plain WHERE id < 3;
UPDATE plain SET v = 0 WHERE id = 3;
COMMIT;
SELECT safeguard.restore_rows('twice');
-- nobody knows whether the deleted rows are those that are there
DELETE FROM plain WHERE id = 3;
INSERT INTO plain VALUES (3, 0);
SELECT safeguard.restore_rows('twice');
SELECT * FROM plain ORDER BY id;
SELECT safeguard.restore_rows('twice', force => true);
SELECT * FROM plain ORDER BY id;

-- an update is found by what it has left
CREATE TABLE updated (id int, v int);
INSERT INTO updated SELECT i, i FROM generate_series(1, 4) i;
BEGIN;
SELECT safeguard.keep_rows('updated', 'updated');
UPDATE updated SET v = 0 WHERE id < 3;
COMMIT;
SELECT safeguard.restore_rows('updated');
SELECT safeguard.restore_rows('updated@restored-1');
SELECT safeguard.restore_rows('updated');
SELECT * FROM updated ORDER BY id;

SET client_min_messages = warning;
SELECT count(safeguard.drop_kept_rows(label)) FROM (SELECT DISTINCT label FROM safeguard.kept) l;
DROP SCHEMA restore_rows_twice CASCADE;
