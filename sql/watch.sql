--
-- safeguard.watch(): committed changes of a table that should hardly change,
-- by scope; on a preloaded server
--
CREATE SCHEMA watch;
SET search_path = watch;

CREATE TABLE systems (id int PRIMARY KEY, vendor text);
CREATE TABLE point_info (
    system_id int NOT NULL REFERENCES systems ON DELETE CASCADE,
    id int NOT NULL,
    name text,
    PRIMARY KEY (system_id, id)
);
INSERT INTO systems SELECT s, 'v' FROM generate_series(1, 5) s;
INSERT INTO point_info SELECT s, p, 'point' FROM generate_series(1, 3) s, generate_series(1, 4) p;

CREATE VIEW figures AS
    SELECT relation, scope, inserted, updated, deleted
      FROM safeguard.watched
     WHERE database = current_database() AND relation LIKE 'watch.%'
     ORDER BY relation COLLATE "C", scope::text COLLATE "C";

SELECT safeguard.watch('point_info', 'system_id');
SELECT * FROM safeguard.watches();

-- nothing has changed since
TABLE figures;

-- each kind of change, by the scope of the rows
INSERT INTO point_info VALUES (1, 5, 'new'), (1, 6, 'new'), (2, 5, 'new');
UPDATE point_info SET name = 'Grid import' WHERE id = 1;
DELETE FROM point_info WHERE system_id = 2 AND id = 5;
TABLE figures;

-- by whom and when
SET application_name = 'importer';
UPDATE point_info SET name = 'x' WHERE (system_id, id) = (1, 1);
RESET application_name;
SELECT scope, role = current_user AS mine, application, last_changed_at <= now() AS seen
  FROM safeguard.watched WHERE relation = 'watch.point_info' ORDER BY scope::text COLLATE "C";

-- what was rolled back has not changed anything
SELECT safeguard.stats_reset();
BEGIN;
UPDATE point_info SET name = 'y';
ROLLBACK;
TABLE figures;
UPDATE point_info SET name = CASE WHEN id = 6 THEN (1 / (id - 6))::text ELSE 'y' END;
TABLE figures;

-- nor what a savepoint has taken back, at any depth
BEGIN;
UPDATE point_info SET name = 'a' WHERE (system_id, id) = (1, 1);
SAVEPOINT s1;
UPDATE point_info SET name = 'b' WHERE system_id = 1;
SAVEPOINT s2;
UPDATE point_info SET name = 'b' WHERE system_id = 3;
RELEASE s2;
ROLLBACK TO s1;
UPDATE point_info SET name = 'c' WHERE (system_id, id) = (2, 1);
SAVEPOINT s3;
SAVEPOINT s4;
UPDATE point_info SET name = 'd' WHERE (system_id, id) = (2, 2);
RELEASE s4;
INSERT INTO point_info VALUES (2, 9, 'e');
RELEASE s3;
TABLE figures;
COMMIT;
TABLE figures;

-- subtransactions of PL/pgSQL
SELECT safeguard.stats_reset();
DO $$
BEGIN
    FOR i IN 1 .. 20 LOOP
        BEGIN
            UPDATE watch.point_info SET name = 'f' WHERE (system_id, id) = (3, 1);
            IF i % 2 = 0 THEN
                RAISE EXCEPTION 'no';
            END IF;
        EXCEPTION WHEN raise_exception THEN
            NULL;
        END;
    END LOOP;
END
$$;
TABLE figures;

-- ways of changing rows other than INSERT, UPDATE and DELETE
SELECT safeguard.stats_reset();
COPY point_info FROM stdin;
1	21	copied
4	1	copied
\.
TABLE figures;
SELECT safeguard.stats_reset();
INSERT INTO point_info VALUES (1, 21, 'again'), (1, 22, 'new')
    ON CONFLICT (system_id, id) DO UPDATE SET name = excluded.name;
INSERT INTO point_info VALUES (1, 21, 'again') ON CONFLICT DO NOTHING;
MERGE INTO point_info t USING (VALUES (1, 22), (2, 21), (4, 1)) v(s, i) ON (t.system_id, t.id) = (v.s, v.i)
    WHEN MATCHED AND t.system_id = 4 THEN DELETE
    WHEN MATCHED THEN UPDATE SET name = 'merged'
    WHEN NOT MATCHED THEN INSERT VALUES (v.s, v.i, 'merged');
WITH gone AS (DELETE FROM point_info WHERE (system_id, id) = (2, 21) RETURNING *)
    INSERT INTO point_info SELECT system_id, id + 1, name FROM gone;
TABLE figures;

-- a foreign key's action, and a trigger
SELECT safeguard.stats_reset();
DELETE FROM systems WHERE id = 3;
TABLE figures;
SET session_replication_role = replica;
UPDATE point_info SET name = 'replicated' WHERE (system_id, id) = (1, 1);
RESET session_replication_role;
TABLE figures;

-- a row that changes its scope leaves one and comes to the other
SELECT safeguard.stats_reset();
UPDATE point_info SET system_id = 5 WHERE (system_id, id) = (1, 1);
TABLE figures;

-- TRUNCATE deletes all rows, if it is committed
SELECT safeguard.stats_reset();
SELECT system_id, count(*) FROM point_info GROUP BY 1 ORDER BY 1;
BEGIN;
TRUNCATE point_info;
ROLLBACK;
TABLE figures;
TRUNCATE point_info;
TABLE figures;
TRUNCATE point_info;
TABLE figures;

-- by more columns, or by none
CREATE TABLE tariff (region text, valid_from timestamptz, ratio float8, active bool, price numeric, hint text);
SELECT safeguard.watch('tariff', 'region', 'active');
INSERT INTO tariff VALUES ('a "b" \c', now(), 1, true, 1), (NULL, now(), 2, false, 1), ('x', now(), 3, NULL, 1);
TABLE figures;
-- the figures of one scope are no use for another
SELECT safeguard.watch('tariff');
SELECT * FROM safeguard.watches();
DELETE FROM tariff;
TABLE figures;
-- the same once more changes nothing
SELECT safeguard.watch('tariff');
SELECT relation, scope, deleted FROM figures WHERE relation = 'watch.tariff';
-- a value means the same in every session
SELECT safeguard.watch('tariff', 'valid_from', 'ratio', 'price');
SET timezone = 'Asia/Tokyo';
SET datestyle = 'German';
INSERT INTO tariff VALUES ('a', '2026-01-01 12:00+00', 0.1, true, 'NaN');
SET timezone = 'UTC';
SET datestyle = 'ISO';
INSERT INTO tariff VALUES ('a', '2026-01-01 12:00+00', 0.1, true, 'NaN');
RESET timezone;
RESET datestyle;
SELECT scope, inserted FROM figures WHERE relation = 'watch.tariff';
-- long values are cut
SELECT safeguard.watch('tariff', 'region');
INSERT INTO tariff VALUES (repeat('x', 70) || '1'), (repeat('x', 70) || '2');
SELECT scope, inserted FROM figures WHERE relation = 'watch.tariff';

-- partitions follow their root, wherever the row is written
CREATE TABLE reading (site int NOT NULL, at int NOT NULL, v int) PARTITION BY RANGE (at);
CREATE TABLE reading_1 PARTITION OF reading FOR VALUES FROM (0) TO (10);
SELECT safeguard.watch('reading', 'site');
CREATE TABLE reading_2 (v int, extra int, at int NOT NULL, site int NOT NULL);
ALTER TABLE reading_2 DROP COLUMN extra;
ALTER TABLE reading ATTACH PARTITION reading_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE reading_3 PARTITION OF reading FOR VALUES FROM (20) TO (40) PARTITION BY RANGE (at);
CREATE TABLE reading_3_1 PARTITION OF reading_3 FOR VALUES FROM (20) TO (30);
INSERT INTO reading VALUES (7, 1), (7, 11), (8, 12), (8, 21);
INSERT INTO reading_2 (site, at) VALUES (7, 13);
UPDATE reading_3_1 SET v = 1;
UPDATE reading SET at = 2 WHERE at = 12;
SELECT scope, inserted, updated, deleted FROM figures WHERE relation = 'watch.reading';
SELECT safeguard.watch('reading_1', 'site');
SELECT safeguard.unwatch('reading_1');
TRUNCATE reading;
SELECT scope, inserted, updated, deleted FROM figures WHERE relation = 'watch.reading';
-- another scope, for all partitions
SELECT safeguard.watch('reading');
INSERT INTO reading VALUES (7, 1), (7, 11), (7, 21);
SELECT scope, inserted, updated, deleted FROM figures WHERE relation = 'watch.reading';
-- a partition that has been detached is not watched any more
ALTER TABLE reading DETACH PARTITION reading_2;
INSERT INTO reading_2 (site, at) VALUES (7, 13);
SELECT scope, inserted, updated, deleted FROM figures WHERE relation = 'watch.reading';

-- nor can one that is watched by itself be attached
SELECT safeguard.watch('reading_2');
ALTER TABLE reading ATTACH PARTITION reading_2 FOR VALUES FROM (10) TO (20);
DROP TABLE reading_2;

-- a large table is not read when it is truncated
CREATE TABLE large (k int, filler char(700)) WITH (fillfactor = 10, autovacuum_enabled = off);
INSERT INTO large SELECT g, 'x' FROM generate_series(1, 1100) g;
ANALYZE large;
SELECT safeguard.watch('large', 'k');
TRUNCATE large;
SELECT scope, deleted FROM figures WHERE relation = 'watch.large';

-- A column of the scope that gets another name, or goes, is left out, and
-- status() names it.
SELECT safeguard.watch('tariff', 'region', 'active');
ALTER TABLE tariff RENAME COLUMN region TO zone;
INSERT INTO tariff VALUES ('a', now(), 1, true, 1);
SELECT scope, inserted FROM figures WHERE relation = 'watch.tariff';
SELECT value, detail FROM safeguard.status() WHERE item = 'dead exceptions';
SELECT safeguard.watch('tariff', 'zone', 'active');
SELECT value FROM safeguard.status() WHERE item = 'dead exceptions';
INSERT INTO tariff VALUES ('a', now(), 1, true, 1);
SELECT scope, inserted FROM figures WHERE relation = 'watch.tariff';
ALTER TABLE tariff DROP COLUMN active;
INSERT INTO tariff VALUES ('a', now(), 1, 1);
SELECT scope, inserted FROM figures WHERE relation = 'watch.tariff';

-- a table with another name keeps its figures
SELECT safeguard.watch('tariff', 'zone');
INSERT INTO tariff VALUES ('a');
ALTER TABLE tariff RENAME TO price_list;
INSERT INTO price_list (zone) VALUES ('a');
SELECT relation, scope, inserted FROM figures WHERE relation ~ 'tariff|price_list';

-- unwatch, at commit only
BEGIN;
SELECT safeguard.unwatch('price_list');
INSERT INTO price_list (zone) VALUES ('b');
SELECT relation, inserted FROM figures WHERE relation = 'watch.price_list';
ROLLBACK;
SELECT relation, inserted FROM figures WHERE relation = 'watch.price_list';
BEGIN;
INSERT INTO price_list (zone) VALUES ('lost');
SAVEPOINT s;
SELECT safeguard.unwatch('price_list');
SELECT safeguard.watch('price_list', 'zone');
INSERT INTO price_list (zone) VALUES ('kept');
RELEASE s;
COMMIT;
SELECT scope, inserted FROM figures WHERE relation = 'watch.price_list';
SELECT safeguard.unwatch('price_list');
SELECT safeguard.unwatch('price_list');
INSERT INTO price_list (zone) VALUES ('b');
SELECT relation FROM figures WHERE relation = 'watch.price_list';
SELECT tgname FROM pg_trigger WHERE tgrelid = 'price_list'::regclass;

-- a table that goes takes its figures along
INSERT INTO systems VALUES (3, 'v');
INSERT INTO point_info VALUES (1, 1);
BEGIN;
DROP TABLE point_info;
ROLLBACK;
SELECT relation FROM figures WHERE relation = 'watch.point_info' GROUP BY 1;
DROP TABLE point_info;
SELECT relation FROM figures WHERE relation = 'watch.point_info' GROUP BY 1;

-- each database has its own
SELECT current_database() AS this \gset
CREATE TABLE systems_here (id int);
SELECT safeguard.watch('systems_here', 'id');
INSERT INTO systems_here VALUES (1);
SET client_min_messages = error;
CREATE DATABASE regress_sg_other;
\c regress_sg_other
SET client_min_messages = error;
CREATE EXTENSION safeguard;
RESET client_min_messages;
CREATE TABLE elsewhere (id int);
SELECT safeguard.watch('elsewhere', 'id');
INSERT INTO elsewhere VALUES (1), (2);
SELECT database = current_database() AS here, relation, scope, inserted FROM safeguard.watched
 WHERE relation ~ 'systems_here|elsewhere' ORDER BY 2, 3;
\c :this
SET search_path = watch;
SELECT database = current_database() AS here, relation, scope, inserted FROM safeguard.watched
 WHERE relation ~ 'systems_here|elsewhere' ORDER BY 2, 3;
DROP DATABASE regress_sg_other;
SELECT relation FROM safeguard.watched WHERE relation ~ 'systems_here|elsewhere' ORDER BY 1;

-- more scopes than there is room for are counted together
CREATE TABLE wide (k int);
SELECT safeguard.watch('wide', 'k');
INSERT INTO wide SELECT generate_series(1, 3000);
DELETE FROM wide WHERE k > 2990;
SELECT sum(inserted) AS inserted, sum(deleted) AS deleted,
       count(*) <= current_setting('safeguard.max_watched')::int + 101 AS bounded,
       count(*) FILTER (WHERE scope IS NULL) AS together
  FROM figures WHERE relation = 'watch.wide';
DROP TABLE wide;

SET client_min_messages = warning;
DROP SCHEMA watch CASCADE;
SELECT count(*) FROM safeguard.watched WHERE database = current_database();
