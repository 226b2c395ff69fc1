--
-- safeguard.restore_rows(): rows of partitions that the migration has inserted
-- itself stay as it has left them, however often it has moved others
--
CREATE SCHEMA restore_rows_inserted;
SET search_path = restore_rows_inserted;
\set VERBOSITY terse
CREATE TABLE parted (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY RANGE (k);
CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE high (dropped int, v text, k int NOT NULL, id int NOT NULL) PARTITION BY LIST (k);
ALTER TABLE high DROP dropped;
CREATE TABLE high_10 PARTITION OF high FOR VALUES IN (10);
CREATE TABLE high_rest PARTITION OF high DEFAULT;
ALTER TABLE parted ATTACH PARTITION high FOR VALUES FROM (10) TO (100);
CREATE TABLE refers (id int, pid int, pk int, FOREIGN KEY (pid, pk) REFERENCES parted ON DELETE CASCADE ON UPDATE CASCADE) PARTITION BY LIST (pid);
CREATE TABLE refers_rest PARTITION OF refers DEFAULT;
INSERT INTO parted SELECT i, i * 3, 'old' FROM generate_series(1, 8) i;
INSERT INTO refers SELECT i, i, i * 3 FROM generate_series(1, 8) i;
CREATE VIEW contents AS SELECT tableoid::regclass AS part, id, k, v FROM parted UNION ALL SELECT tableoid::regclass, id, pid, pk::text FROM refers;
SELECT md5(string_agg(contents::text, ',' ORDER BY contents::text)) AS before FROM contents \gset

SELECT safeguard.migrate('inserted', $$
    -- rows of before move, in a command of their own and when they are changed again
    UPDATE parted SET k = k + 20 WHERE id < 4;
    INSERT INTO parted SELECT i, 5, 'new' FROM generate_series(11, 16) i;
    INSERT INTO refers SELECT i, i, 5 FROM generate_series(11, 16) i;
    UPDATE parted SET k = 10, v = 'moved' WHERE id IN (1, 2, 5, 11, 12);
    UPDATE parted SET v = v || '!' WHERE id % 2 = 1;
    -- and by the name of a partition
    UPDATE high_10 SET v = v || '?' WHERE id IN (2, 11);
    UPDATE high SET k = 11 WHERE id IN (5, 11);
    -- what was inserted goes, and what was there before
    DELETE FROM parted WHERE id IN (2, 6, 12, 13);
    DELETE FROM high WHERE id = 7;
    MERGE INTO parted USING (VALUES (4), (14), (15)) s (id) ON s.id = parted.id WHEN MATCHED AND s.id = 14 THEN DELETE WHEN MATCHED THEN UPDATE SET v = 'merged';
$$, keep_rows => true);
SELECT * FROM contents ORDER BY part::text, id;
CREATE TABLE after AS SELECT * FROM contents;
SELECT safeguard.restore_rows('inserted');
-- the rows of before are as they were, and the new ones as they were left
SELECT md5(string_agg(contents::text, ',' ORDER BY contents::text)) = :'before' AS as_before FROM contents WHERE id < 10;
SELECT * FROM after WHERE id > 10 EXCEPT ALL SELECT * FROM contents;
SELECT count(*) FROM contents WHERE id > 10;
SELECT safeguard.restore_rows('inserted@restored-1');
(TABLE after EXCEPT ALL TABLE contents) UNION ALL (TABLE contents EXCEPT ALL TABLE after);
SELECT safeguard.restore_rows('inserted@restored-2');
SELECT md5(string_agg(contents::text, ',' ORDER BY contents::text)) = :'before' AS as_before FROM contents WHERE id < 10;

-- a partition and the whole table in one statement: each has its own marks
SELECT safeguard.migrate('both', $$
    INSERT INTO parted VALUES (21, 1, 'new'), (22, 10, 'new'), (23, 2, 'new');
    WITH x AS (UPDATE parted SET v = v || '+' WHERE k < 10 RETURNING id), y AS (DELETE FROM low WHERE id = 23)
        UPDATE high_10 SET v = v || '-';
    WITH x AS (UPDATE high_10 SET v = v || '-' RETURNING id) UPDATE parted SET k = 50 WHERE id = 21;
$$, keep_rows => true);
SELECT kept_table FROM safeguard.kept_rows WHERE label = 'both' \gset
SELECT DISTINCT id > 20 AS new, sg_image FROM :kept_table ORDER BY 1, 2;
SELECT safeguard.restore_rows('both');
SELECT md5(string_agg(contents::text, ',' ORDER BY contents::text)) = :'before' AS as_before FROM contents WHERE id < 10;
SELECT * FROM contents WHERE id > 20 ORDER BY id;

SET client_min_messages = warning;
SELECT count(safeguard.drop_kept_rows(label)) FROM (SELECT DISTINCT label FROM safeguard.kept) l;
DROP SCHEMA restore_rows_inserted CASCADE;
