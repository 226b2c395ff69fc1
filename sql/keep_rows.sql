--
-- Rows that are kept as they were: every way in which a statement changes them
--
CREATE SCHEMA keep_rows;
SET search_path = keep_rows;
\set VERBOSITY default

-- What is kept under a label: a line for each change, the statements numbered.
CREATE FUNCTION kept(of_label text, OUT relation text, OUT statement bigint, OUT image "char", OUT before jsonb, OUT after jsonb)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    query text;
BEGIN
    SELECT string_agg(format('SELECT %L AS relation, sg_change, sg_statement, sg_image, to_jsonb(kept__) - ''{sg_change,sg_statement,sg_image}''::text[] AS kept_row FROM %s kept__',
                             replace(r.relation, 'keep_rows.', ''), r.kept_table), ' UNION ALL ')
      INTO query FROM safeguard.kept_rows r WHERE label = of_label;
    IF query IS NOT NULL THEN
        RETURN QUERY EXECUTE 'SELECT o.relation, dense_rank() OVER (ORDER BY o.sg_statement), o.sg_image, o.kept_row, n.kept_row
            FROM (' || query || ') AS o LEFT JOIN (' || query || ') AS n ON n.sg_change = o.sg_change AND n.sg_statement = o.sg_statement AND n.relation = o.relation AND n.sg_image = ''n''
            WHERE o.sg_image <> ''n'' ORDER BY o.sg_statement, o.relation, o.kept_row';
    END IF;
END
$$;

CREATE TABLE t (id int PRIMARY KEY, v text, gone int, "sg Odd""name" int DEFAULT 7);
ALTER TABLE t DROP COLUMN gone;
INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 9) g;
CREATE TABLE other (id int PRIMARY KEY, n int);
INSERT INTO other VALUES (1, 0);

-- nothing is made before there is something to keep, and inserted rows are not kept
BEGIN;
SELECT safeguard.keep_rows('none', 't', 'other');
INSERT INTO t VALUES (10, 'new');
COPY t (id) FROM STDIN;
11
\.
UPDATE t SET v = 'nobody' WHERE id = 1000;
DELETE FROM t WHERE id = 1000;
SELECT count(*) FROM safeguard.kept_rows WHERE label = 'none';
ROLLBACK;

-- each command; only what is named, and only until the end of the transaction
BEGIN;
SELECT safeguard.keep_rows('commands', 't');
UPDATE t SET v = v || '!' WHERE id < 3;
DELETE FROM t WHERE id = 4;
INSERT INTO t VALUES (1, 'x'), (20, 'new') ON CONFLICT (id) DO UPDATE SET v = excluded.v;
MERGE INTO t USING (VALUES (2, 'm'), (9, 'nine'), (5, 'd'), (21, 'new')) s (id, v) ON t.id = s.id
    WHEN MATCHED AND s.v = 'd' THEN DELETE
    WHEN MATCHED THEN UPDATE SET v = s.v
    WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v);
-- a CTE that nobody reads, two of the same table
WITH x AS (UPDATE t SET v = 'cte' WHERE id = 3 RETURNING 1),
     y AS (DELETE FROM t WHERE id = 6),
     z AS (INSERT INTO other VALUES (2, 2))
SELECT 'done';
WITH x AS (UPDATE t SET v = 'first' WHERE id = 3) UPDATE t SET v = 'second' WHERE id = 7;
-- DO, a function, a cursor
DO $$ BEGIN UPDATE t SET v = 'do' WHERE id = 3; UPDATE t SET v = 'do again' WHERE id = 3; END $$;
CREATE FUNCTION change() RETURNS SETOF int LANGUAGE sql AS 'UPDATE t SET v = ''function'' WHERE id IN (7, 8) RETURNING id';
SELECT * FROM change() LIMIT 1;
DECLARE c CURSOR FOR SELECT * FROM t WHERE id = 9 FOR UPDATE;
FETCH c;
UPDATE t SET v = 'current' WHERE CURRENT OF c;
DO $$ BEGIN EXECUTE 'EXPLAIN UPDATE t SET v = ''explained'''; EXECUTE 'EXPLAIN ANALYZE UPDATE t SET v = ''analyzed'' WHERE id = 9'; END $$;
UPDATE other SET n = 1;
COMMIT;
UPDATE t SET v = 'afterwards';
SELECT * FROM kept('commands');
SELECT label, relation, rows, bytes > 0 AS bytes, kept_by = current_user AS kept_by, restored_at FROM safeguard.kept_rows WHERE label = 'commands';

-- rows that the migration inserts itself, by whatever, are not kept, nor is what becomes of them
CREATE TABLE filled (id int PRIMARY KEY, v int);
INSERT INTO filled VALUES (1, 1), (2, 2);
BEGIN;
INSERT INTO filled VALUES (3, 3);
SELECT safeguard.keep_rows('filled', 'filled');
INSERT INTO filled VALUES (10, 10), (11, 11);
COPY filled FROM STDIN (DELIMITER ',');
12,12
\.
UPDATE filled SET v = v + 100 WHERE id > 2;
DELETE FROM filled WHERE id = 11;
SAVEPOINT s;
DELETE FROM filled WHERE id = 12;
ROLLBACK TO s;
INSERT INTO filled VALUES (13, 13);
INSERT INTO filled VALUES (13, 0), (1, 0) ON CONFLICT (id) DO UPDATE SET v = -1;
INSERT INTO filled VALUES (14, 14), (15, 15);
WITH x AS (UPDATE filled SET v = 0 WHERE id IN (2, 14)) DELETE FROM filled WHERE id = 15;
MERGE INTO filled USING (VALUES (1), (12)) s (id) ON s.id = filled.id WHEN MATCHED AND s.id = 12 THEN DELETE WHEN MATCHED THEN UPDATE SET v = 7;
COMMIT;
SELECT * FROM kept('filled');
BEGIN;
SELECT safeguard.keep_rows('nothing but new', 'filled');
INSERT INTO filled VALUES (20, 20);
DELETE FROM filled WHERE id = 20;
COMMIT;
SELECT count(*) FROM safeguard.kept_rows WHERE label = 'nothing but new';

-- through a view and a rule
CREATE VIEW tv AS SELECT id, v FROM t WHERE id < 9;
CREATE VIEW tr AS SELECT 1 AS id;
CREATE RULE r AS ON UPDATE TO tr DO INSTEAD UPDATE t SET v = 'by rule' WHERE id = new.id;
CREATE VIEW ti AS SELECT 1 AS id;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t WHERE id = 8; RETURN old; END $$;
CREATE TRIGGER instead INSTEAD OF DELETE ON ti FOR EACH ROW EXECUTE FUNCTION instead();
BEGIN;
SELECT safeguard.keep_rows('views', 't');
UPDATE tv SET v = 'by view' WHERE id = 2;
UPDATE tr SET id = 1;
DELETE FROM ti;
COMMIT;
SELECT * FROM kept('views');

-- partitions: rows that move, a partition that is written to by its name, and
-- one with its columns in another order
CREATE TABLE pt (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE pt1 PARTITION OF pt FOR VALUES IN (1);
CREATE TABLE pt2 (gone int, v text, k int NOT NULL, id int NOT NULL) PARTITION BY RANGE (id);
ALTER TABLE pt2 DROP COLUMN gone;
CREATE TABLE pt2a (k int NOT NULL, id int NOT NULL, v text);
ALTER TABLE pt2 ATTACH PARTITION pt2a DEFAULT;
ALTER TABLE pt ATTACH PARTITION pt2 FOR VALUES IN (2);
INSERT INTO pt SELECT g, 1 + g % 2, 'p' || g FROM generate_series(1, 6) g;
BEGIN;
SELECT safeguard.keep_rows('partitions', 'pt2');
UPDATE pt SET k = 3 - k WHERE id IN (1, 2);
UPDATE pt2a SET v = 'leaf' WHERE id = 3;
DELETE FROM pt2 WHERE id = 5;
INSERT INTO pt VALUES (3, 2, 'x') ON CONFLICT (id, k) DO UPDATE SET v = 'conflict';
MERGE INTO pt USING (VALUES (4)) s (id) ON pt.id = s.id WHEN MATCHED THEN UPDATE SET v = 'merged';
COMMIT;
SELECT * FROM kept('partitions');
SELECT count(*) AS tables FROM safeguard.kept_rows WHERE label = 'partitions';

-- referential actions, of tables that are not named and of the same table
CREATE TABLE par (id int PRIMARY KEY);
CREATE TABLE chi (id int PRIMARY KEY, p int REFERENCES par ON DELETE CASCADE ON UPDATE CASCADE, before int REFERENCES chi ON DELETE SET NULL);
CREATE TABLE far (id int REFERENCES chi ON DELETE CASCADE);
INSERT INTO par SELECT generate_series(1, 3);
INSERT INTO chi SELECT g, 1 + g % 3, nullif(g - 1, 0) FROM generate_series(1, 6) g;
INSERT INTO far SELECT generate_series(1, 6);
BEGIN;
SELECT safeguard.keep_rows('actions', 'par');
DELETE FROM par WHERE id = 1;
UPDATE par SET id = id * 10;
-- not by an action
UPDATE chi SET p = NULL;
COMMIT;
SELECT * FROM kept('actions');

-- the same with partitions on both sides, and with a tree in one table
CREATE TABLE ppar (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE ppar1 PARTITION OF ppar FOR VALUES FROM (0) TO (10);
CREATE TABLE ppar2 PARTITION OF ppar FOR VALUES FROM (10) TO (100);
CREATE TABLE pchi (id int, p int REFERENCES ppar ON DELETE SET NULL ON UPDATE CASCADE) PARTITION BY LIST (p);
CREATE TABLE pchi1 PARTITION OF pchi FOR VALUES IN (1, 2);
CREATE TABLE pchi2 PARTITION OF pchi DEFAULT;
CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree ON DELETE CASCADE);
INSERT INTO ppar VALUES (1), (2), (3);
INSERT INTO pchi VALUES (1, 1), (2, 2), (3, 3);
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 1), (4, 2), (5, 4), (6, NULL);
BEGIN;
SELECT safeguard.keep_rows('partitioned actions', 'ppar', 'tree');
UPDATE ppar SET id = 20 WHERE id = 2;
DELETE FROM ppar WHERE id = 1;
DELETE FROM tree WHERE id IN (1, 6);
COMMIT;
SELECT * FROM kept('partitioned actions');

-- triggers of its own: one with transition tables, and one that changes the
-- row again; the order of changes is that in which they happened
CREATE TABLE trg (id int PRIMARY KEY, v int);
INSERT INTO trg VALUES (1, 1), (2, 10);
CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'seen %', (SELECT array_agg(o.v || '>' || n.v ORDER BY o.id) FROM o JOIN n USING (id));
    RETURN NULL;
END $$;
CREATE TRIGGER seen AFTER UPDATE ON trg REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION seen();
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE trg SET v = v + 1 WHERE id = new.id AND v % 5 <> 0;
    RETURN NULL;
END $$;
CREATE TRIGGER again AFTER UPDATE ON trg FOR EACH ROW EXECUTE FUNCTION again();
BEGIN;
SELECT safeguard.keep_rows('triggers', 'trg');
UPDATE trg SET v = v + 2;
SET LOCAL session_replication_role = replica;
UPDATE trg SET v = 0 WHERE id = 1;
COMMIT;
SELECT * FROM kept('triggers');

-- values that are stored out of line outlive their row; generated columns
CREATE TABLE big (id int GENERATED ALWAYS AS IDENTITY, v text, twice int GENERATED ALWAYS AS (2) STORED, d numeric(6,2)[], c text COLLATE "C");
ALTER TABLE big ALTER v SET STORAGE EXTERNAL;
INSERT INTO big (v, d) SELECT repeat(md5(g::text), 1000), '{1.50,NULL}' FROM generate_series(1, 3) g;
CREATE TABLE big_copy AS TABLE big;
BEGIN;
SELECT safeguard.keep_rows('big', 'big');
UPDATE big SET v = v || 'x' WHERE id = 1;
DELETE FROM big WHERE id > 1;
COMMIT;
DROP TABLE big;
SELECT (SELECT count(*) FROM kept('big') k JOIN big_copy b ON k.before = to_jsonb(b)) AS equal,
       (SELECT length(after ->> 'v') FROM kept('big') WHERE image = 'o') AS bytes;
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated, a.attidentity, a.atthasdef, a.attcollation::regcollation
  FROM safeguard.kept_rows k JOIN pg_attribute a ON a.attrelid = k.kept_table::regclass AND a.attnum > 0
 WHERE k.label = 'big' ORDER BY a.attnum;
SELECT relation FROM safeguard.kept_rows WHERE label = 'big';

-- many rows at once, and many statements
CREATE TABLE many AS SELECT g AS id, g % 7 AS v FROM generate_series(1, 3000) g;
BEGIN;
SELECT safeguard.keep_rows('many', 'many');
UPDATE many SET v = v + 1 WHERE id <= 2500;
DO $$ BEGIN FOR i IN 1..200 LOOP DELETE FROM many WHERE id = i; END LOOP; END $$;
COMMIT;
SELECT image, count(*), count(after), count(DISTINCT before -> 'id') FROM kept('many') GROUP BY image ORDER BY image;

-- subtransactions
BEGIN;
SELECT safeguard.keep_rows('subs', 't');
SAVEPOINT a;
UPDATE t SET v = 'undone' WHERE id = 1;
SELECT safeguard.keep_rows('undone', 't');
ROLLBACK TO a;
UPDATE t SET v = 'one' WHERE id = 1;
SAVEPOINT b;
SELECT safeguard.keep_rows('subs', 'other');
UPDATE other SET n = 10;
ROLLBACK TO b;
UPDATE other SET n = 20;
SAVEPOINT c;
SELECT safeguard.keep_rows('subs', 'other');
RELEASE c;
UPDATE other SET n = 30 WHERE id = 1;
DO $$
BEGIN
    UPDATE t SET v = 'caught' WHERE id = 1;
    RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
    UPDATE t SET v = 'two' WHERE id = 1;
END $$;
COMMIT;
SELECT * FROM kept('subs');
SELECT count(*) FROM safeguard.kept_rows WHERE label = 'undone';

-- two labels at once; columns that change on the way
BEGIN;
SELECT safeguard.keep_rows('one', 't');
SELECT safeguard.keep_rows('two', 't', 'other');
UPDATE t SET v = 'before' WHERE id = 1;
ALTER TABLE t RENAME v TO w;
UPDATE t SET w = 'renamed' WHERE id = 1;
ALTER TABLE t ADD x int;
UPDATE t SET x = 1 WHERE id = 1;
ALTER TABLE t DROP x;
ALTER TABLE t RENAME w TO v;
UPDATE t SET v = 'after' WHERE id = 1;
UPDATE other SET n = 40 WHERE id = 1;
COMMIT;
SELECT * FROM kept('one');
SELECT * FROM kept('two') WHERE relation = 'other';
SELECT label, relation, count(*) AS tables, sum(rows) AS rows FROM safeguard.kept_rows WHERE label IN ('one', 'two') GROUP BY label, relation ORDER BY label, relation;

-- partitions that are attached and detached on the way
CREATE TABLE loose (id int PRIMARY KEY, v text);
INSERT INTO loose VALUES (1, 'one'), (2, 'two');
BEGIN;
SELECT safeguard.keep_rows('attached', 'loose', 'pt');
CREATE TABLE tied (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
ALTER TABLE tied ATTACH PARTITION loose DEFAULT;
UPDATE tied SET v = 'through the root' WHERE id = 1;
UPDATE loose SET v = 'by name' WHERE id = 2;
ALTER TABLE pt DETACH PARTITION pt1;
UPDATE pt1 SET v = 'detached' WHERE id = 1;
COMMIT;
SELECT * FROM kept('attached');
ALTER TABLE tied DETACH PARTITION loose;
DROP TABLE tied;
SELECT safeguard.migrate('0', $$
    CREATE TABLE tied (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
    ALTER TABLE tied ATTACH PARTITION loose DEFAULT;
    UPDATE tied SET v = 'migrated' WHERE id = 1;
    INSERT INTO tied VALUES (2, 'x') ON CONFLICT (id) DO UPDATE SET v = 'conflict';
    CREATE TABLE pt1_new PARTITION OF pt FOR VALUES IN (1);
    UPDATE pt SET k = 1 WHERE id = 3;
    UPDATE pt1_new SET v = 'in a new one';
$$, keep_rows => true, project => 'keep_rows');
SELECT * FROM kept('keep_rows/0');

-- whatever happens, what is kept is what an audit trigger sees
CREATE TABLE audit (relation text, before jsonb, after jsonb);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit VALUES (coalesce(nullif(regexp_replace(tg_table_name, '[0-9].*', ''), ''), tg_table_name), to_jsonb(old), to_jsonb(new));
    RETURN NULL;
END $$;
CREATE TABLE fa (id int PRIMARY KEY, k int, v int);
CREATE TABLE fb (id int PRIMARY KEY, a int REFERENCES fa ON DELETE CASCADE ON UPDATE CASCADE, up int REFERENCES fb ON DELETE SET NULL, v int);
CREATE TABLE fp (id int, k int, v int, a int REFERENCES fa ON DELETE SET NULL ON UPDATE CASCADE, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE fp1 PARTITION OF fp FOR VALUES IN (0);
CREATE TABLE fp2 (v int, a int, k int NOT NULL, id int NOT NULL);
ALTER TABLE fp ATTACH PARTITION fp2 FOR VALUES IN (1, 2);
CREATE TRIGGER audit AFTER UPDATE OR DELETE ON fa FOR EACH ROW EXECUTE FUNCTION audit();
CREATE TRIGGER audit AFTER UPDATE OR DELETE ON fb FOR EACH ROW EXECUTE FUNCTION audit();
CREATE FUNCTION nest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE fb SET v = v + 1 WHERE id = new.id AND v % 4 = 1;
    UPDATE fa SET v = v + 1 WHERE id = new.a AND v % 5 = 2;
    RETURN NULL;
END $$;
CREATE TRIGGER nest AFTER UPDATE ON fb FOR EACH ROW EXECUTE FUNCTION nest();
INSERT INTO fa SELECT g, g % 3, g FROM generate_series(1, 60) g;
INSERT INTO fb SELECT g, 1 + g % 60, nullif(g / 2, 0), g FROM generate_series(1, 200) g;
INSERT INTO fp SELECT g, g % 3, g, 1 + g % 60 FROM generate_series(1, 200) g;
CREATE TABLE fp_was AS TABLE fp;
CREATE FUNCTION fuzz(n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    r int;
    x int;
BEGIN
    FOR i IN 1..n LOOP
        r := (i * 7919) % 11;
        x := 1 + (i * 104729) % 60;
        BEGIN
            CASE r
                WHEN 0 THEN UPDATE fa SET v = v + 1 WHERE id BETWEEN x AND x + 3;
                WHEN 1 THEN DELETE FROM fa WHERE id = x;
                WHEN 2 THEN UPDATE fa SET id = id + 100 WHERE id = x;
                WHEN 3 THEN UPDATE fb SET v = v + x WHERE id % 60 = x;
                WHEN 4 THEN DELETE FROM fb WHERE id = x * 3;
                WHEN 5 THEN UPDATE fp SET k = (k + 1) % 3, v = v + 1 WHERE id % 60 = x;
                WHEN 6 THEN INSERT INTO fb (id, v) SELECT g, g FROM generate_series(x * 3, x * 3 + 2) g ON CONFLICT (id) DO UPDATE SET v = fb.v + 10;
                WHEN 7 THEN MERGE INTO fp USING (SELECT g FROM generate_series(x, x + 5) g) s ON fp.id = s.g
                    WHEN MATCHED AND fp.v % 3 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET v = fp.v + 2;
                WHEN 8 THEN WITH d AS (DELETE FROM fp WHERE id = x RETURNING a) UPDATE fa SET v = v + 1 FROM d WHERE fa.id = d.a;
                WHEN 9 THEN UPDATE fp2 SET v = -v WHERE id % 60 = x;
                ELSE WITH u AS (UPDATE fa SET k = k + 1 WHERE id = x), w AS (UPDATE fb SET v = v + 1 WHERE a = x) SELECT 1 INTO r;
            END CASE;
            IF i % 13 = 0 THEN
                RAISE division_by_zero;
            END IF;
        EXCEPTION WHEN division_by_zero THEN
            NULL;
        END;
    END LOOP;
END $$;
CREATE TABLE inserted (image jsonb);
CREATE FUNCTION note_inserted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO inserted VALUES (to_jsonb(new)); RETURN NULL; END $$;
CREATE TRIGGER inserted AFTER INSERT ON fb FOR EACH ROW EXECUTE FUNCTION note_inserted();
BEGIN;
SELECT safeguard.keep_rows('fuzz', 'fa', 'fb', 'fp');
SELECT fuzz(400);
COMMIT;
SELECT relation, count(*) > 50 AS many FROM kept('fuzz') GROUP BY relation ORDER BY relation;
-- of rows that move a trigger sees another thing, and of those that were inserted what they were is not kept
SELECT relation, before, after FROM kept('fuzz') WHERE relation <> 'fp' AND image <> 'a' EXCEPT ALL SELECT * FROM audit;
SELECT * FROM audit WHERE before NOT IN (SELECT image FROM inserted) EXCEPT ALL SELECT relation, before, after FROM kept('fuzz') WHERE relation <> 'fp';
SELECT count(*) > 0 AS some, sum((before IN (SELECT to_jsonb(fb) FROM fb))::int) > 0 AS as_left FROM kept('fuzz') WHERE image = 'a';
-- a chain of images of each row leads from what was to what is
WITH i AS (SELECT before AS image, 1 AS n FROM kept('fuzz') WHERE relation = 'fp' UNION ALL SELECT after, -1 FROM kept('fuzz') WHERE relation = 'fp' AND after IS NOT NULL
           UNION ALL SELECT to_jsonb(fp_was), -1 FROM fp_was UNION ALL SELECT to_jsonb(fp), 1 FROM fp)
SELECT image, sum(n) FROM i GROUP BY image HAVING sum(n) <> 0;

-- columns enough for more than a page of an index, if all their names were in it
SET client_min_messages = warning;
DO $$ BEGIN EXECUTE (SELECT format('CREATE TABLE wide (id int PRIMARY KEY, %s)', string_agg(format('%I int', 'c' || md5(i::text)), ', ')) FROM generate_series(1, 1500) i); END $$;
RESET client_min_messages;
INSERT INTO wide (id) VALUES (1), (2);
BEGIN;
SELECT safeguard.keep_rows('wide', 'wide');
UPDATE wide SET id = 3 WHERE id = 1;
DELETE FROM wide WHERE id = 2;
COMMIT;
SELECT relation, image, before -> 'id' AS before FROM kept('wide');

-- migrate(): all tables that were there before
SELECT safeguard.migrate('1', $$
    CREATE TABLE made (id int);
    INSERT INTO made VALUES (1);
    UPDATE made SET id = 2;
    TRUNCATE made;
    ALTER TABLE made ALTER id TYPE bigint;
    DROP TABLE made;
    CREATE TEMP TABLE session_only AS SELECT 1 AS id;
    UPDATE session_only SET id = 2;
    UPDATE t SET v = 'migrated' WHERE id = 1;
    DO 'BEGIN DELETE FROM other WHERE id = 1; END';
    SELECT safeguard.migrate('2', 'UPDATE t SET v = ''inner'' WHERE id = 2', keep_rows => true, project => 'keep_rows');
$$, keep_rows => true, project => 'keep_rows');
SELECT * FROM kept('keep_rows/1');
SELECT * FROM kept('keep_rows/2');
-- that it is done is no part of it, what its triggers put off is
CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE other SET n = n + 1; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION later();
BEGIN;
SELECT safeguard.migrate('3', 'UPDATE t SET v = ''deferred'' WHERE id = 1', keep_rows => true, project => 'keep_rows');
UPDATE t SET v = 'not in it' WHERE id = 2;
TRUNCATE trg;
COMMIT;
SELECT * FROM kept('keep_rows/3');
DROP TRIGGER later ON t;
-- nothing is left of one that fails
SELECT safeguard.migrate('4', 'UPDATE t SET v = ''x''; SELECT 1 / 0', keep_rows => true, project => 'keep_rows');
SELECT safeguard.migrate('4', 'UPDATE t SET v = ''x''', expected_rows => 0, keep_rows => true, project => 'keep_rows');
SELECT count(*) FROM safeguard.kept_rows WHERE label = 'keep_rows/4';
BEGIN;
SAVEPOINT s;
SELECT safeguard.migrate('4', 'UPDATE t SET v = ''x''; SELECT 1 / 0', keep_rows => true, project => 'keep_rows');
ROLLBACK TO s;
UPDATE t SET v = 'kept by nobody';
TRUNCATE trg;
COMMIT;
SELECT count(*) FROM safeguard.kept_rows WHERE label = 'keep_rows/4';
-- the rows that it has changed are those of its own
SELECT version, rows_changed FROM safeguard.migrations WHERE project = 'keep_rows' ORDER BY id;

-- they are dropped by label
SELECT safeguard.drop_kept_rows('keep_rows/1');
SELECT relation, rows FROM safeguard.kept_rows WHERE label = 'keep_rows/1';
SELECT label, safeguard.drop_kept_rows(label)
  FROM (SELECT DISTINCT label FROM safeguard.kept_rows WHERE relation LIKE 'keep_rows.%') AS k ORDER BY label;
SELECT count(*) FROM safeguard.kept WHERE relation_name LIKE 'keep_rows.%';
SELECT count(*) FROM pg_class WHERE relnamespace = 'safeguard_rows'::regnamespace AND NOT EXISTS (SELECT FROM safeguard.kept WHERE kept_table = relname);
SET client_min_messages = warning;
DROP SCHEMA keep_rows CASCADE;
