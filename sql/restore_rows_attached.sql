--
-- safeguard.restore_rows() of a table that has become a partition
--
CREATE SCHEMA restore_rows_attached;
SET search_path = restore_rows_attached;
\set VERBOSITY default
CREATE TABLE parted (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE lonely (v text, id int NOT NULL, k int NOT NULL, PRIMARY KEY (id, k));
INSERT INTO parted VALUES (1, 1, 'old');
INSERT INTO lonely SELECT 'old', i, 2 FROM generate_series(1, 4) i;
SELECT safeguard.migrate('attached', $$
    UPDATE lonely SET v = 'by itself';
    ALTER TABLE parted ATTACH PARTITION lonely FOR VALUES IN (2);
    UPDATE parted SET v = 'attached' WHERE id < 4;
    DELETE FROM parted WHERE id = 3;
    UPDATE parted SET k = 1 WHERE id = 2;
$$, keep_rows => true);
SELECT relation, rows FROM safeguard.kept_rows ORDER BY relation;
-- what was done through the whole table is undone first
SELECT safeguard.restore_rows('attached', 'lonely');
SELECT safeguard.restore_rows('attached');
SELECT tableoid::regclass, * FROM parted ORDER BY k, id;
SELECT safeguard.restore_rows('attached@restored-1', 'parted');
SELECT tableoid::regclass, * FROM parted ORDER BY k, id;
SELECT safeguard.restore_rows('attached@restored-2', 'parted');
SELECT tableoid::regclass, * FROM parted ORDER BY k, id;

SET client_min_messages = warning;
SELECT count(safeguard.drop_kept_rows(label)) FROM (SELECT DISTINCT label FROM safeguard.kept) l;
DROP SCHEMA restore_rows_attached CASCADE;
