--
-- upsert_overwrite: an upsert that keeps replacing the rows of its own load
--
CREATE SCHEMA upsert_overwrite;
SET search_path = upsert_overwrite;

-- what the patches of incident 2 are: patch_id is unique, update_id runs from
-- 0 to 9 and starts again
CREATE TABLE supported_patches (
    update_id int PRIMARY KEY,
    patch_id int NOT NULL,
    name text NOT NULL,
    seen timestamptz
);
CREATE FUNCTION load_patches(n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..n LOOP
        INSERT INTO supported_patches VALUES (i % 10, i, 'patch', now())
        ON CONFLICT (update_id) DO UPDATE
           SET patch_id = EXCLUDED.patch_id, name = EXCLUDED.name, seen = EXCLUDED.seen;
    END LOOP;
END
$$;

-- told at the 100th row of 58,600, and again at each tenfold
SELECT load_patches(58600);
SELECT count(*) FROM supported_patches;

-- not before
DISCARD ALL;
SET search_path = upsert_overwrite;
TRUNCATE supported_patches;
SELECT load_patches(99);
SELECT load_patches(1);

-- the other settings
DISCARD ALL;
SET search_path = upsert_overwrite;
TRUNCATE supported_patches;
SET safeguard.overwrite_min_rows = 40;
SELECT load_patches(39);
SELECT load_patches(1);
DISCARD ALL;
SET search_path = upsert_overwrite;
TRUNCATE supported_patches;
SET safeguard.overwrite_ratio = 0.95;
SELECT load_patches(199);
SELECT load_patches(1);
RESET safeguard.overwrite_ratio;

-- many transactions, single rows
DISCARD ALL;
SET search_path = upsert_overwrite;
TRUNCATE supported_patches;
\set ECHO none
\o /dev/null
SELECT format('INSERT INTO supported_patches VALUES (%s, %s, %L) ON CONFLICT (update_id) DO UPDATE SET patch_id = EXCLUDED.patch_id', i % 10, i, 'p')
  FROM generate_series(1, 110) i \gexec
\o
\set ECHO all

-- pages of several rows, each of which has a key once
DISCARD ALL;
SET search_path = upsert_overwrite;
TRUNCATE supported_patches;
DO $$
BEGIN
    FOR page IN 1..12 LOOP
        INSERT INTO supported_patches
        SELECT i, page * 10 + i, 'patch' FROM generate_series(0, 9) i
        ON CONFLICT (update_id) DO UPDATE SET patch_id = EXCLUDED.patch_id;
    END LOOP;
END
$$;

-- only what differs is replaced
DISCARD ALL;
SET search_path = upsert_overwrite;
TRUNCATE supported_patches;
DO $$
BEGIN
    FOR i IN 1..100 LOOP
        INSERT INTO supported_patches AS p VALUES (i % 10, i, 'patch') ON CONFLICT (update_id)
        DO UPDATE SET patch_id = EXCLUDED.patch_id WHERE p.patch_id <> EXCLUDED.patch_id OR p.name IS DISTINCT FROM EXCLUDED.name;
    END LOOP;
END
$$;

-- VALUES, a prepared statement, the constraint's name
DISCARD ALL;
SET search_path = upsert_overwrite;
TRUNCATE supported_patches;
PREPARE page(int) AS INSERT INTO supported_patches VALUES (0, $1, 'a'), (1, $1 + 1, 'b'), (2, $1 + 2, 'c')
    ON CONFLICT ON CONSTRAINT supported_patches_pkey DO UPDATE SET patch_id = EXCLUDED.patch_id, name = EXCLUDED.name;
\set ECHO none
\o /dev/null
SELECT format('EXECUTE page(%s)', i * 3) FROM generate_series(1, 40) i \gexec
\o
\set ECHO all

-- MERGE, with the key and the values in an order of their own
DISCARD ALL;
SET search_path = upsert_overwrite;
TRUNCATE supported_patches;
DO $$
BEGIN
    FOR i IN 1..100 LOOP
        MERGE INTO supported_patches p
        USING (SELECT 'x' AS n, i AS patch, i % 10 AS upd) s ON s.upd = p.update_id
        WHEN MATCHED THEN UPDATE SET name = s.n, patch_id = s.patch
        WHEN NOT MATCHED THEN INSERT (patch_id, name, update_id) VALUES (s.patch, s.n, s.upd);
    END LOOP;
END
$$;

DISCARD ALL;
SET search_path = upsert_overwrite;
TRUNCATE supported_patches;
CREATE TABLE page (upd int, patch int);
DO $$
BEGIN
    FOR i IN 1..12 LOOP
        TRUNCATE page;
        INSERT INTO page SELECT g, i * 10 + g FROM generate_series(0, 9) g;
        MERGE INTO supported_patches p USING page ON page.upd = p.update_id
        WHEN MATCHED THEN UPDATE SET patch_id = page.patch
        WHEN NOT MATCHED THEN INSERT VALUES (page.upd, page.patch, 'x');
    END LOOP;
END
$$;

-- a data-modifying CTE, a text and a uuid as the identity, a key of two columns
DISCARD ALL;
SET search_path = upsert_overwrite;
CREATE TABLE pages (site int, page int, url varchar(100) NOT NULL, token uuid NOT NULL, PRIMARY KEY (site, page));
DO $$
DECLARE
    n int;
BEGIN
    FOR i IN 1..100 LOOP
        WITH w AS (
            INSERT INTO pages VALUES (1, i % 7, 'same', md5(i::text)::uuid)
            ON CONFLICT (site, page) DO UPDATE SET token = EXCLUDED.token RETURNING 1)
        SELECT count(*) INTO n FROM w;
    END LOOP;
END
$$;
DISCARD ALL;
SET search_path = upsert_overwrite;
TRUNCATE pages;
DO $$
BEGIN
    FOR i IN 1..100 LOOP
        INSERT INTO pages VALUES (1, i % 7, 'http://' || i, md5('')::uuid)
        ON CONFLICT (site, page) DO UPDATE SET (url, token) = (EXCLUDED.url, EXCLUDED.token);
    END LOOP;
END
$$;

-- partitions, by the root and by a leaf: one load
DISCARD ALL;
SET search_path = upsert_overwrite;
CREATE TABLE part (k int, id int NOT NULL, PRIMARY KEY (k)) PARTITION BY RANGE (k);
CREATE TABLE part_1 (id int NOT NULL, k int NOT NULL);
ALTER TABLE part ATTACH PARTITION part_1 FOR VALUES FROM (0) TO (10);
DO $$
BEGIN
    FOR i IN 1..60 LOOP
        INSERT INTO part VALUES (i % 5, i) ON CONFLICT (k) DO UPDATE SET id = EXCLUDED.id;
        INSERT INTO part_1 (k, id) VALUES (i % 5, -i) ON CONFLICT (k) DO UPDATE SET id = EXCLUDED.id;
    END LOOP;
END
$$;

-- at level error the statement that crosses the line fails, and so does the
-- next attempt; what was written before stays
DISCARD ALL;
SET search_path = upsert_overwrite;
TRUNCATE supported_patches;
SET safeguard.upsert_overwrite = error;
\set ECHO none
\o /dev/null
SELECT format('INSERT INTO supported_patches VALUES (%s, %s, %L) ON CONFLICT (update_id) DO UPDATE SET patch_id = EXCLUDED.patch_id', i % 10, i, 'p')
  FROM generate_series(1, 99) i \gexec
\o
\set ECHO all
SELECT max(patch_id) FROM supported_patches;
DO $$
DECLARE
    state text;
    tab text;
    col text;
BEGIN
    INSERT INTO supported_patches VALUES (0, 100, 'p') ON CONFLICT (update_id) DO UPDATE SET patch_id = EXCLUDED.patch_id;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, tab = TABLE_NAME, col = COLUMN_NAME;
    RAISE NOTICE '% % %', state, tab, col;
END
$$;
\set VERBOSITY terse
INSERT INTO supported_patches VALUES (1, 101, 'p') ON CONFLICT (update_id) DO UPDATE SET patch_id = EXCLUDED.patch_id;
SELECT max(patch_id) FROM supported_patches;
-- no AFTER trigger has run
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'trigger'; RETURN NULL; END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON supported_patches FOR EACH STATEMENT EXECUTE FUNCTION tell();
INSERT INTO supported_patches VALUES (1, 101, 'p') ON CONFLICT (update_id) DO UPDATE SET patch_id = EXCLUDED.patch_id;
DROP TRIGGER tell ON supported_patches;
-- a load that goes on by another key is another load
SET safeguard.constraint_bypass = off;
ALTER TABLE supported_patches ADD UNIQUE (patch_id), DROP CONSTRAINT supported_patches_pkey;
INSERT INTO supported_patches VALUES (1, 102, 'p') ON CONFLICT (patch_id) DO UPDATE SET update_id = EXCLUDED.update_id;
ALTER TABLE supported_patches DROP CONSTRAINT supported_patches_patch_id_key;
DELETE FROM supported_patches a USING supported_patches b WHERE a.update_id = b.update_id AND a.ctid < b.ctid;
ALTER TABLE supported_patches ADD PRIMARY KEY (update_id);
RESET safeguard.upsert_overwrite;
RESET safeguard.constraint_bypass;
\set VERBOSITY default

-- EXPLAIN executes nothing, EXPLAIN ANALYZE does
DISCARD ALL;
SET search_path = upsert_overwrite;
TRUNCATE supported_patches;
SELECT load_patches(99);
EXPLAIN (COSTS OFF) INSERT INTO supported_patches VALUES (1, 100, 'p') ON CONFLICT (update_id) DO UPDATE SET patch_id = EXCLUDED.patch_id;
\o /dev/null
EXPLAIN (ANALYZE, COSTS OFF) INSERT INTO supported_patches VALUES (1, 100, 'p') ON CONFLICT (update_id) DO UPDATE SET patch_id = EXCLUDED.patch_id;
\o

-- the ways to allow it
DISCARD ALL;
SET search_path = upsert_overwrite;
TRUNCATE supported_patches;
SELECT safeguard.set_column('supported_patches', 'update_id', 'identity');
SELECT load_patches(200);
SELECT safeguard.clear_column('supported_patches', 'update_id', 'identity');
SELECT safeguard.set_level('supported_patches', 'upsert_overwrite', 'record');
SELECT load_patches(200);
SELECT safeguard.clear_level('supported_patches', 'upsert_overwrite');
DISCARD ALL;
SET search_path = upsert_overwrite;
SET safeguard.upsert_overwrite = off;
SELECT load_patches(200);
-- switched on later, it is told at the next row
RESET safeguard.upsert_overwrite;
SELECT load_patches(1);

--
-- What looks alike and is none
--

-- the right key
DISCARD ALL;
SET search_path = upsert_overwrite;
CREATE TABLE right_key (patch_id int PRIMARY KEY, update_id int NOT NULL, name text NOT NULL);
DO $$
BEGIN
    FOR i IN 1..2000 LOOP
        INSERT INTO right_key VALUES (i, i % 10, 'patch') ON CONFLICT (patch_id) DO UPDATE SET name = EXCLUDED.name;
    END LOOP;
END
$$;

-- each existing row replaced once, and the same sync again and again
CREATE FUNCTION sync(offset_ int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..300 LOOP
        INSERT INTO right_key VALUES (i, i + offset_, 'patch ' || i) ON CONFLICT (patch_id)
        DO UPDATE SET update_id = EXCLUDED.update_id, name = EXCLUDED.name;
    END LOOP;
END
$$;
SELECT sync(0);
SELECT sync(0);
SELECT sync(0);
SELECT sync(0);
SELECT sync(0);
-- in one statement each
DO $$
BEGIN
    FOR i IN 1..10 LOOP
        INSERT INTO right_key SELECT g, g, 'patch ' || g FROM generate_series(1, 3000) g ON CONFLICT (patch_id)
        DO UPDATE SET update_id = EXCLUDED.update_id, name = EXCLUDED.name;
    END LOOP;
END
$$;

-- counters, and what else reads the row that is there
CREATE TABLE counter (k int PRIMARY KEY, n int NOT NULL, last int NOT NULL);
DO $$
BEGIN
    FOR i IN 1..500 LOOP
        INSERT INTO counter AS c VALUES (i % 10, 1, i) ON CONFLICT (k) DO UPDATE SET n = c.n + 1, last = EXCLUDED.last;
        INSERT INTO counter AS c VALUES (i % 10, 1, i) ON CONFLICT (k) DO UPDATE SET last = greatest(c.last, EXCLUDED.last);
        INSERT INTO counter AS c VALUES (i % 10, 1, i) ON CONFLICT (k) DO NOTHING;
        INSERT INTO counter AS c VALUES (i % 10, 1, i) ON CONFLICT DO NOTHING;
        INSERT INTO counter AS c VALUES (i % 10, 1, i) ON CONFLICT (k) DO UPDATE SET k = EXCLUDED.k, last = 0;
        MERGE INTO counter c USING (VALUES (i % 10, i)) s(k, i) ON s.k = c.k
        WHEN MATCHED THEN UPDATE SET n = c.n + s.i, last = s.i WHEN NOT MATCHED THEN INSERT VALUES (s.k, 1, s.i);
    END LOOP;
END
$$;

-- a heartbeat and a latest state: values repeat, or are no keys
CREATE TABLE heartbeat (host text PRIMARY KEY, state text NOT NULL, load float8 NOT NULL, at timestamptz NOT NULL, note text);
DO $$
BEGIN
    FOR i IN 1..2000 LOOP
        INSERT INTO heartbeat VALUES ('h' || i % 20, CASE WHEN i % 3 = 0 THEN 'busy' ELSE 'idle' END, i / 7.0, clock_timestamp(), 'note ' || i)
        ON CONFLICT (host) DO UPDATE SET state = EXCLUDED.state, load = EXCLUDED.load, at = EXCLUDED.at, note = EXCLUDED.note;
    END LOOP;
END
$$;
-- a version, by which a row is replaced only by a later one
CREATE TABLE versioned (id int PRIMARY KEY, version bigint NOT NULL);
DO $$
BEGIN
    FOR i IN 1..300 LOOP
        INSERT INTO versioned AS t VALUES (i % 5, i) ON CONFLICT (id) DO UPDATE SET version = EXCLUDED.version WHERE t.version < EXCLUDED.version;
    END LOOP;
END
$$;
TRUNCATE versioned;
CREATE TABLE event (id int, version bigint);
DO $$
BEGIN
    FOR i IN 1..100 LOOP
        TRUNCATE event;
        INSERT INTO event SELECT g, i * 5 + g FROM generate_series(0, 4) g;
        MERGE INTO versioned t USING event e ON t.id = e.id WHEN MATCHED AND e.version >= t.version THEN UPDATE SET version = e.version
        WHEN NOT MATCHED THEN INSERT VALUES (e.id, e.version);
    END LOOP;
END
$$;
-- long texts are no keys either
CREATE TABLE document (id int PRIMARY KEY, body text NOT NULL);
DO $$
BEGIN
    FOR i IN 1..500 LOOP
        INSERT INTO document VALUES (i % 5, repeat('text ', 50) || i) ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body;
    END LOOP;
END
$$;

-- the same rows once more after TRUNCATE, or after a rollback
CREATE TABLE again (id int PRIMARY KEY, v int NOT NULL);
DO $$
BEGIN
    FOR round IN 1..10 LOOP
        TRUNCATE again;
        FOR i IN 1..100 LOOP
            INSERT INTO again VALUES (i, i + round * 1000) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
        END LOOP;
    END LOOP;
    TRUNCATE again;
    FOR round IN 1..10 LOOP
        BEGIN
            FOR i IN 1..100 LOOP
                INSERT INTO again VALUES (i, i + round * 1000) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
            END LOOP;
            RAISE EXCEPTION 'undo';
        EXCEPTION WHEN raise_exception THEN
            NULL;
        END;
    END LOOP;
END
$$;

-- small loads, each of its own table, role or session
CREATE TABLE small (id int PRIMARY KEY, v int NOT NULL);
DO $$
BEGIN
    FOR i IN 1..99 LOOP
        INSERT INTO small VALUES (i % 2, i) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
    END LOOP;
END
$$;
SET client_min_messages = error;
DROP ROLE IF EXISTS regress_sg_loader;
RESET client_min_messages;
CREATE ROLE regress_sg_loader;
GRANT USAGE ON SCHEMA upsert_overwrite TO regress_sg_loader;
GRANT ALL ON small TO regress_sg_loader;
SET ROLE regress_sg_loader;
INSERT INTO small VALUES (1, 100) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
RESET ROLE;
DISCARD ALL;
SET search_path = upsert_overwrite;
INSERT INTO small VALUES (1, 101) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;

-- temporary tables, unless asked for
CREATE TEMP TABLE scratch (id int PRIMARY KEY, v int NOT NULL);
DO $$
BEGIN
    FOR i IN 1..200 LOOP
        INSERT INTO scratch VALUES (i % 2, i) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
    END LOOP;
END
$$;
SET safeguard.temp_tables = on;
DO $$
BEGIN
    FOR i IN 1..200 LOOP
        INSERT INTO scratch VALUES (i % 2, i) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
    END LOOP;
END
$$;
RESET safeguard.temp_tables;

-- what is rolled back has replaced nothing: the load begins anew
DISCARD ALL;
SET search_path = upsert_overwrite;
CREATE TABLE retried (id int PRIMARY KEY, v uuid NOT NULL);
INSERT INTO retried SELECT g, gen_random_uuid() FROM generate_series(1, 100) g;
DO $$
BEGIN
    FOR i IN 1..5 LOOP
        BEGIN
            INSERT INTO retried SELECT g, gen_random_uuid() FROM generate_series(1, 100) g
            ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
            IF i < 5 THEN
                RAISE EXCEPTION 'try again';
            END IF;
        EXCEPTION WHEN raise_exception THEN
            NULL;
        END;
    END LOOP;
END
$$;
BEGIN;
INSERT INTO retried SELECT g, gen_random_uuid() FROM generate_series(1, 100) g ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
ROLLBACK;
INSERT INTO retried SELECT g, gen_random_uuid() FROM generate_series(1, 100) g ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
-- a statement that fails takes nothing back but itself
DO $$
BEGIN
    FOR i IN 1..120 LOOP
        BEGIN
            INSERT INTO retried VALUES (i % 2, gen_random_uuid()) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
        BEGIN
            INSERT INTO retried VALUES (i % 2, NULL) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
        EXCEPTION WHEN not_null_violation THEN
            NULL;
        END;
    END LOOP;
END
$$;

-- values that can be no key: a store of keys and documents
CREATE TABLE store (key text PRIMARY KEY, value text NOT NULL);
DO $$
BEGIN
    FOR i IN 1..300 LOOP
        INSERT INTO store VALUES ('k' || i % 20, format('{"n": %s}', i)) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value;
    END LOOP;
    FOR i IN 1..300 LOOP
        INSERT INTO store VALUES ('s' || i % 20, 'number ' || i) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value;
    END LOOP;
END
$$;

-- the action of a rule
CREATE TABLE logged (a int, b int);
CREATE TABLE latest (a int NOT NULL, b int UNIQUE);
CREATE RULE also AS ON INSERT TO logged DO ALSO
    INSERT INTO latest VALUES (new.a, new.b) ON CONFLICT (b) DO UPDATE SET a = EXCLUDED.a;
DO $$
BEGIN
    FOR i IN 1..120 LOOP
        INSERT INTO logged VALUES (i, i % 3);
    END LOOP;
END
$$;
SELECT count(*) FROM latest;

-- all off
SET safeguard.enabled = off;
SELECT load_patches(2000);
RESET safeguard.enabled;

SET client_min_messages = warning;
DROP SCHEMA upsert_overwrite CASCADE;
DROP ROLE regress_sg_loader;
