--
-- safeguard.upsert_stats, which needs a preloaded server
--
CREATE SCHEMA upsert_stats;
SET search_path = upsert_stats;
SET safeguard.lock_timeout = off;
SET safeguard.upsert_overwrite = record;
SET client_min_messages = error;
DROP ROLE IF EXISTS regress_sg_owner, regress_sg_reader, regress_sg_other, regress_sg_monitor;
RESET client_min_messages;
CREATE ROLE regress_sg_owner;
CREATE ROLE regress_sg_reader;
CREATE ROLE regress_sg_other;
CREATE ROLE regress_sg_monitor IN ROLE pg_monitor;
GRANT USAGE ON SCHEMA upsert_stats TO regress_sg_owner, regress_sg_reader, regress_sg_other, regress_sg_monitor;
CREATE VIEW figures AS
    SELECT relation, columns, statements, proposed, inserted, replaced, skipped, distinct_keys
      FROM safeguard.upsert_stats
     WHERE relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'upsert_stats'::regnamespace)
     ORDER BY relation::text, columns, inserted;

-- the columns are a contract
SELECT attname, atttypid::regtype
  FROM pg_attribute
 WHERE attrelid = 'safeguard.upsert_stats'::regclass AND attnum > 0
 ORDER BY attnum;

-- all new, some new, none; a WHERE that is false; no target
CREATE TABLE t (a int, b text, n int, PRIMARY KEY (a), UNIQUE (b, a));
INSERT INTO t SELECT g, g, 0 FROM generate_series(1, 10) g ON CONFLICT (a) DO NOTHING;
INSERT INTO t SELECT g, g, 0 FROM generate_series(1, 15) g ON CONFLICT (a) DO NOTHING;
TABLE figures;
INSERT INTO t SELECT g, g, 1 FROM generate_series(11, 20) g ON CONFLICT (a) DO UPDATE SET n = EXCLUDED.n;
INSERT INTO t AS o SELECT g, g, 2 FROM generate_series(11, 22) g ON CONFLICT (a) DO UPDATE SET n = EXCLUDED.n WHERE o.n = 0;
TABLE figures;
INSERT INTO t VALUES (1, '1', 0), (100, '100', 0) ON CONFLICT DO NOTHING;
-- the same columns in another order are the same target, by name too
INSERT INTO t VALUES (1, '1', 0), (1, '1', 0), (101, '101', 0) ON CONFLICT (b, a) DO NOTHING;
INSERT INTO t VALUES (1, '1', 0) ON CONFLICT (a, b) DO NOTHING;
INSERT INTO t VALUES (1, '1', 0) ON CONFLICT ON CONSTRAINT t_b_a_key DO NOTHING;
INSERT INTO t VALUES (2, '2', 0) ON CONFLICT (a) DO UPDATE SET n = EXCLUDED.n RETURNING a, n;
TABLE figures;
SELECT now() - last_seen BETWEEN '-1 day' AND '1 day' AS fresh FROM safeguard.upsert_stats WHERE relation = 't'::regclass;

-- what fails counts nothing, what is rolled back has been executed
INSERT INTO t VALUES (200, '200', 0), (201, NULL, 1 / 0) ON CONFLICT (a) DO NOTHING;
INSERT INTO t VALUES (200, '200', 0), (200, '200', 0) ON CONFLICT (a) DO UPDATE SET n = 1;
SELECT statements, proposed FROM figures WHERE columns = '{a}';
BEGIN;
INSERT INTO t VALUES (200, '200', 0) ON CONFLICT (a) DO NOTHING;
SAVEPOINT s;
INSERT INTO t VALUES (201, '201', 0) ON CONFLICT (a) DO NOTHING;
ROLLBACK TO s;
ROLLBACK;
SELECT statements, proposed FROM figures WHERE columns = '{a}';
-- neither does EXPLAIN, but EXPLAIN ANALYZE does
EXPLAIN (COSTS OFF) INSERT INTO t VALUES (200, '200', 0) ON CONFLICT (a) DO NOTHING;
SELECT statements, proposed FROM figures WHERE columns = '{a}';
\o /dev/null
EXPLAIN (ANALYZE, COSTS OFF) INSERT INTO t VALUES (300, '300', 0), (301, '301', 0) ON CONFLICT (a) DO NOTHING;
\o
SELECT statements, proposed FROM figures WHERE columns = '{a}';
-- nor what is no upsert, and nothing while safeguard is off
INSERT INTO t VALUES (302, '302', 0);
SET safeguard.enabled = off;
INSERT INTO t VALUES (303, '303', 0) ON CONFLICT (a) DO NOTHING;
RESET safeguard.enabled;
SELECT statements, proposed FROM figures WHERE columns = '{a}';

-- an upsert aborted in the middle by an exception inside a function
CREATE TABLE mid (id int PRIMARY KEY, v int);
CREATE FUNCTION fail_at(i int, n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    IF i = n THEN RAISE EXCEPTION 'at %', n; END IF;
    RETURN i;
END
$$;
DO $$
BEGIN
    FOR n IN 1..5 LOOP
        BEGIN
            INSERT INTO mid SELECT fail_at(g, 50), 0 FROM generate_series(1, 100) g ON CONFLICT (id) DO NOTHING;
        EXCEPTION WHEN raise_exception THEN
            INSERT INTO mid VALUES (n, n) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
        END;
    END LOOP;
END
$$;
SELECT * FROM figures WHERE relation = 'mid'::regclass;

-- upserts within upserts: a trigger, a function in the source, a data-modifying CTE
CREATE TABLE outer_t (id int PRIMARY KEY, v int);
CREATE TABLE inner_t (id int PRIMARY KEY, v int);
CREATE FUNCTION also() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inner_t VALUES (NEW.id % 3, NEW.v) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
    RETURN NEW;
END
$$;
CREATE TRIGGER also BEFORE INSERT ON outer_t FOR EACH ROW EXECUTE FUNCTION also();
INSERT INTO outer_t SELECT g, g FROM generate_series(1, 9) g ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
TABLE figures OFFSET 2;
CREATE FUNCTION nested(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    IF n > 0 THEN
        INSERT INTO mid SELECT 1000 + nested(n - 1), 0 FROM generate_series(1, 2) ON CONFLICT (id) DO NOTHING;
    END IF;
    RETURN n;
END
$$;
SELECT nested(5);
SELECT * FROM figures WHERE relation = 'mid'::regclass;
WITH a AS (INSERT INTO inner_t VALUES (1, 1), (50, 1), (51, 1) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v),
     b AS (INSERT INTO mid VALUES (1, 1), (60, 1) ON CONFLICT (id) DO NOTHING RETURNING id)
INSERT INTO outer_t SELECT id, 0 FROM b ON CONFLICT (id) DO NOTHING;
WITH a AS (INSERT INTO inner_t VALUES (52, 1) ON CONFLICT (id) DO NOTHING RETURNING id) SELECT id FROM a;
TABLE figures;

-- rows that a BEFORE trigger suppresses are skipped
CREATE TABLE picky (id int PRIMARY KEY, v int);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.v % 2 = 0 THEN RETURN NULL; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON picky FOR EACH ROW EXECUTE FUNCTION refuse();
INSERT INTO picky SELECT g, g FROM generate_series(1, 10) g ON CONFLICT (id) DO NOTHING;
INSERT INTO picky SELECT g, g + 2 FROM generate_series(1, 20) g ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
SELECT * FROM figures WHERE relation = 'picky'::regclass;
TRUNCATE picky;
DROP TRIGGER refuse ON picky;
CREATE TRIGGER refuse BEFORE UPDATE ON picky FOR EACH ROW EXECUTE FUNCTION refuse();
INSERT INTO picky SELECT g, 0 FROM generate_series(1, 10) g ON CONFLICT (id) DO NOTHING;
INSERT INTO picky SELECT g, g FROM generate_series(1, 20) g ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
SELECT * FROM figures WHERE relation = 'picky'::regclass;

-- expressions, partial indexes, NULL keys, generated columns, a cursor over RETURNING
CREATE TABLE e (id int, mail text, gen int GENERATED ALWAYS AS (id % 5) STORED);
CREATE UNIQUE INDEX ON e (lower(mail), id);
CREATE UNIQUE INDEX ON e (id) WHERE id > 0;
CREATE UNIQUE INDEX ON e (id);
CREATE UNIQUE INDEX ON e (gen);
INSERT INTO e VALUES (1, 'A'), (1, 'a'), (NULL, 'b'), (NULL, 'b') ON CONFLICT (id, lower(mail)) DO NOTHING;
DELETE FROM e;
INSERT INTO e VALUES (1, 'A'), (1, 'a') ON CONFLICT (id) WHERE id > 0 DO NOTHING;
INSERT INTO e VALUES (1, 'A'), (1, 'a') ON CONFLICT (id) DO NOTHING;
DELETE FROM e;
INSERT INTO e VALUES (1, 'A'), (6, 'a') ON CONFLICT (gen) DO NOTHING;
SELECT * FROM figures WHERE relation = 'e'::regclass;
CREATE FUNCTION through_cursor() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    r record;
    n int := 0;
BEGIN
    FOR r IN INSERT INTO mid SELECT g, g FROM generate_series(2001, 2010) g ON CONFLICT (id) DO NOTHING RETURNING id LOOP
        n := n + 1;
        EXIT WHEN n = 3;
    END LOOP;
    RETURN n;
END
$$;
SELECT proposed FROM figures WHERE relation = 'mid'::regclass;
SELECT through_cursor();
SELECT proposed FROM figures WHERE relation = 'mid'::regclass;

-- partitions count under the root, whatever the statement names
CREATE TABLE part (k int, v int, PRIMARY KEY (k)) PARTITION BY RANGE (k);
CREATE TABLE part_1 (v int, gone int, k int NOT NULL);
ALTER TABLE part_1 DROP COLUMN gone;
ALTER TABLE part ATTACH PARTITION part_1 FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (k);
CREATE TABLE part_2a PARTITION OF part_2 FOR VALUES FROM (10) TO (20);
INSERT INTO part SELECT g, 0 FROM generate_series(5, 14) g ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v;
INSERT INTO part_1 (k, v) SELECT g, 0 FROM generate_series(0, 9) g ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v;
INSERT INTO part_2 SELECT g, 0 FROM generate_series(10, 19) g ON CONFLICT (k) DO NOTHING;
INSERT INTO part_2a SELECT g, 0 FROM generate_series(10, 19) g ON CONFLICT ON CONSTRAINT part_2a_pkey DO NOTHING;
SELECT * FROM figures WHERE relation = 'part'::regclass;
ALTER TABLE part DETACH PARTITION part_1;
INSERT INTO part_1 (k, v) VALUES (0, 0) ON CONFLICT (k) DO NOTHING;
ALTER TABLE part DETACH PARTITION part_2;
INSERT INTO part_2a VALUES (10, 0) ON CONFLICT (k) DO NOTHING;
SELECT * FROM figures WHERE relation::text LIKE 'part%';

-- MERGE is an upsert if it updates what it matches and inserts what it does not
CREATE TABLE m (id int PRIMARY KEY, v int, gone bool);
CREATE TABLE s (v int, id bigint);
INSERT INTO s SELECT g, g FROM generate_series(1, 10) g;
MERGE INTO m USING s ON m.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT (v, id) VALUES (s.v, s.id);
UPDATE s SET id = id + 5;
MERGE INTO m USING s ON s.id = m.id AND m.v > 0 WHEN MATCHED AND s.id = 6 THEN DO NOTHING WHEN MATCHED AND s.id = 7 THEN DELETE
 WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED AND s.id = 15 THEN DO NOTHING WHEN NOT MATCHED THEN INSERT (v, id) VALUES (s.v, s.id);
MERGE INTO m USING (VALUES (1, 0), (99, 0)) x(id, v) ON x.id = m.id WHEN MATCHED THEN UPDATE SET v = x.v WHEN NOT MATCHED THEN INSERT VALUES (x.id, x.v);
MERGE INTO m USING s ON s.id = m.id WHEN MATCHED THEN UPDATE SET v = s.v;
MERGE INTO m USING s ON s.id = m.id WHEN NOT MATCHED THEN INSERT (v, id) VALUES (s.v, s.id);
SELECT * FROM figures WHERE relation = 'm'::regclass;
INSERT INTO m VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
SELECT * FROM figures WHERE relation = 'm'::regclass;

-- nobody else computes the key with which a row that matches would be inserted
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE ratio (id int PRIMARY KEY, v int);
CREATE TABLE checked (id positive PRIMARY KEY, v int);
INSERT INTO ratio VALUES (1, 0);
INSERT INTO checked VALUES (1, 0);
MERGE INTO ratio r USING (VALUES (1, 0), (2, 5)) x(id, n) ON x.id = r.id WHEN MATCHED THEN UPDATE SET v = 7 WHEN NOT MATCHED THEN INSERT VALUES (10 / x.n + 7, x.n);
MERGE INTO ratio r USING (VALUES (1, 3000000000), (2, 5)) x(id, n) ON x.id = r.id WHEN MATCHED THEN UPDATE SET v = 7 WHEN NOT MATCHED THEN INSERT VALUES (x.n, x.id);
MERGE INTO checked c USING (VALUES (1, -1), (2, 5)) x(id, n) ON x.id = c.id WHEN MATCHED THEN UPDATE SET v = 7 WHEN NOT MATCHED THEN INSERT VALUES (x.n, x.id);
SELECT * FROM figures WHERE relation IN ('ratio'::regclass, 'checked'::regclass);

-- who may see what
CREATE TABLE mine (id int PRIMARY KEY);
ALTER TABLE mine OWNER TO regress_sg_owner;
INSERT INTO mine VALUES (1) ON CONFLICT (id) DO NOTHING;
GRANT SELECT ON mine TO regress_sg_reader;
SET ROLE regress_sg_owner;
SELECT relation, proposed FROM safeguard.upsert_stats;
SET ROLE regress_sg_reader;
SELECT relation, proposed FROM safeguard.upsert_stats;
SET ROLE regress_sg_other;
SELECT relation, proposed FROM safeguard.upsert_stats;
SET ROLE regress_sg_monitor;
SELECT relation, proposed FROM safeguard.upsert_stats WHERE relation = 'upsert_stats.mine'::regclass;
RESET ROLE;
-- who may not read all rows could not count them
ALTER TABLE mine ENABLE ROW LEVEL SECURITY;
CREATE POLICY none ON mine USING (false);
SET ROLE regress_sg_owner;
SELECT relation, proposed FROM safeguard.upsert_stats;
SET ROLE regress_sg_reader;
SELECT relation, proposed FROM safeguard.upsert_stats;
RESET ROLE;

-- names follow a rename; what is dropped is not shown; findings_reset() forgets nothing here
SET safeguard.constraint_bypass = off;
ALTER TABLE mine RENAME COLUMN id TO number;
ALTER TABLE mine RENAME TO yours;
SELECT relation, columns FROM figures WHERE relation = 'yours'::regclass;
SELECT safeguard.findings_reset();
SELECT proposed FROM figures WHERE relation = 'yours'::regclass;
ALTER TABLE yours DROP COLUMN number;
SELECT count(*) FROM figures WHERE relation = 'yours'::regclass;
RESET safeguard.constraint_bypass;
DROP TABLE yours;

-- our own tables and temporary ones are left out
SELECT safeguard.set_level('t', 'composite_key', 'record');
SELECT safeguard.clear_level('t', 'composite_key');
CREATE TEMP TABLE tt (id int PRIMARY KEY);
INSERT INTO tt VALUES (1) ON CONFLICT (id) DO NOTHING;
SELECT relation FROM safeguard.upsert_stats
 WHERE relation::text LIKE 'safeguard.%' OR relation = 'tt'::regclass;

-- large statements are sketched: some per cent off, at the most
INSERT INTO m SELECT g, 0 FROM generate_series(1000, 30999) g ON CONFLICT (id) DO NOTHING;
INSERT INTO m SELECT g, 0 FROM generate_series(1000, 30999) g ON CONFLICT (id) DO NOTHING;
SELECT proposed, inserted, skipped, distinct_keys BETWEEN 28500 AND 31500 AS near FROM figures WHERE relation = 'm'::regclass;

-- the table is bounded
SHOW safeguard.max_upserts;
DO $$
BEGIN
    FOR i IN 1..1050 LOOP
        EXECUTE format('CREATE TABLE upsert_stats.many (id int PRIMARY KEY)');
        INSERT INTO many VALUES (1) ON CONFLICT (id) DO NOTHING;
        DROP TABLE many;
    END LOOP;
END
$$;
INSERT INTO t VALUES (1, '1', 0) ON CONFLICT (a) DO NOTHING;
SELECT relation, statements FROM figures;

--
-- upsert_overwrite without evidence is recorded and not shown
--
RESET safeguard.upsert_overwrite;
CREATE TABLE latest (point int PRIMARY KEY, value float8 NOT NULL, state text NOT NULL, seq int);
CREATE FUNCTION poll(n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..n LOOP
        INSERT INTO latest VALUES (i % 10, i, 'ok', i) ON CONFLICT (point)
        DO UPDATE SET value = EXCLUDED.value, state = EXCLUDED.state, seq = EXCLUDED.seq;
    END LOOP;
END
$$;
SELECT safeguard.findings_reset();
SELECT poll(99);
SELECT rule, level, calls FROM safeguard.findings;
SELECT poll(1);
SELECT rule, sqlstate, level, relation, calls, rejected, message, hint FROM safeguard.findings \gx
SELECT poll(900);
SELECT level, calls FROM safeguard.findings;
-- it has not used up the showing: evidence that comes later is shown
ALTER TABLE latest ALTER seq SET NOT NULL;
SELECT poll(9000);
SELECT level, calls FROM safeguard.findings ORDER BY level;
-- nothing is recorded for counters, right keys and syncs
SELECT safeguard.findings_reset();
CREATE TABLE counter (k int PRIMARY KEY, n int NOT NULL);
DO $$
BEGIN
    FOR i IN 1..300 LOOP
        INSERT INTO counter AS c VALUES (i % 3, 1) ON CONFLICT (k) DO UPDATE SET n = c.n + 1;
        INSERT INTO latest VALUES (i, i, 'x', i) ON CONFLICT (point) DO UPDATE SET value = EXCLUDED.value;
    END LOOP;
END
$$;
SELECT rule, relation FROM safeguard.findings;

SELECT safeguard.findings_reset();
SET client_min_messages = warning;
DROP SCHEMA upsert_stats CASCADE;
DROP TABLE tt;
DROP ROLE regress_sg_owner, regress_sg_reader, regress_sg_other, regress_sg_monitor;
