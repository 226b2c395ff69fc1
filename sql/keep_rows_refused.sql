--
-- What cannot be kept, what is refused while rows are kept, and who may what
--
CREATE SCHEMA refused;
SET search_path = refused;
\set VERBOSITY default
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t VALUES (1, 'one'), (2, 'two');

-- arguments
SELECT safeguard.keep_rows(NULL, 't');
SELECT safeguard.keep_rows('', 't');
SELECT safeguard.keep_rows(repeat('x', 512), 't');
SELECT safeguard.keep_rows('l', VARIADIC NULL);
SELECT safeguard.keep_rows('l', VARIADIC '{}');
SELECT safeguard.keep_rows('l', 't', NULL);
SELECT safeguard.keep_rows('l', 'no_table');
SELECT safeguard.keep_rows('l', 1::oid::regclass);
SELECT safeguard.drop_kept_rows(NULL);
SELECT safeguard.drop_kept_rows('no label');
\echo :SQLSTATE
SELECT safeguard.kept_changes('t'), safeguard.kept_changes('pg_class'), safeguard.kept_changes(NULL), safeguard.kept_changes(1);

-- relations
CREATE UNLOGGED TABLE unlogged (id int);
CREATE TEMP TABLE temporary (id int);
CREATE VIEW view AS SELECT * FROM t;
CREATE MATERIALIZED VIEW matview AS SELECT * FROM t;
CREATE SEQUENCE seq;
CREATE FOREIGN DATA WRAPPER refused;
CREATE SERVER refused FOREIGN DATA WRAPPER refused;
CREATE FOREIGN TABLE "foreign" (id int) SERVER refused;
CREATE TABLE pt (id int) PARTITION BY RANGE (id);
CREATE TABLE pt_plain PARTITION OF pt FOR VALUES FROM (0) TO (10);
CREATE UNLOGGED TABLE pt_unlogged PARTITION OF pt FOR VALUES FROM (10) TO (20);
CREATE TABLE mine (id int, sg_image text);
SELECT safeguard.keep_rows('l', 'unlogged');
\echo :SQLSTATE
SELECT safeguard.keep_rows('l', 'temporary');
SELECT safeguard.keep_rows('l', 'view');
SELECT safeguard.keep_rows('l', 'matview');
SELECT safeguard.keep_rows('l', 'seq');
SELECT safeguard.keep_rows('l', 't_pkey');
SELECT safeguard.keep_rows('l', 'foreign');
SELECT safeguard.keep_rows('l', 'pt');
SELECT safeguard.keep_rows('l', 'pt_plain');
SELECT safeguard.keep_rows('l', 'mine');
\echo :SQLSTATE
DO $$ BEGIN EXECUTE 'CREATE TABLE many (' || (SELECT string_agg('c' || g || ' bool', ', ') FROM generate_series(1, 1598) g) || ')'; END $$;
SELECT safeguard.keep_rows('l', 'many');
ALTER TABLE many DROP c1;
SELECT safeguard.keep_rows('l', 'many');
SELECT safeguard.keep_rows('l', 'pg_class');
SELECT safeguard.keep_rows('l', 'information_schema.sql_features');
SELECT safeguard.keep_rows('l', 'safeguard.kept');
-- migrate() refuses them when a statement comes to one, before it changes anything
CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'it runs'; RETURN new; END $$;
CREATE TRIGGER loud BEFORE UPDATE ON unlogged EXECUTE FUNCTION loud();
INSERT INTO unlogged VALUES (1);
SELECT safeguard.migrate('1', 'UPDATE t SET v = ''x''; UPDATE unlogged SET id = 2', keep_rows => true, project => 'refused');
SELECT safeguard.migrate('1', 'INSERT INTO unlogged VALUES (3)', keep_rows => true, project => 'refused');
SELECT safeguard.migrate('2', 'TRUNCATE "foreign"', keep_rows => true, project => 'refused');
SELECT safeguard.migrate('2', 'UPDATE pt SET id = 2', keep_rows => true, project => 'refused');
SELECT safeguard.migrate('2', 'UPDATE pt_plain SET id = 2', keep_rows => true, project => 'refused');
SELECT safeguard.migrate('2', 'UPDATE mine SET id = 2', keep_rows => true, project => 'refused');
SELECT safeguard.migrate('2', 'UPDATE pg_class SET relname = relname WHERE false', keep_rows => true, project => 'refused');
-- a table that an action comes to
CREATE UNLOGGED TABLE child (id int REFERENCES t ON DELETE CASCADE);
INSERT INTO child VALUES (1);
SELECT safeguard.migrate('2', 'DELETE FROM t WHERE id = 1', keep_rows => true, project => 'refused');
SELECT * FROM t ORDER BY id;
DROP TABLE child;

-- inheritance: rows of a child are more than rows of its parent
CREATE TABLE parent (id int);
CREATE TABLE heir (more text) INHERITS (parent);
INSERT INTO parent VALUES (1);
INSERT INTO heir VALUES (2, 'more');
BEGIN;
SELECT safeguard.keep_rows('inheritance', 'parent', 'heir');
SAVEPOINT s;
UPDATE parent SET id = id + 10;
\echo :SQLSTATE
ROLLBACK TO s;
UPDATE ONLY parent SET id = id + 10;
UPDATE heir SET id = id + 10;
COMMIT;
SELECT relation, rows FROM safeguard.kept_rows WHERE label = 'inheritance' ORDER BY relation;
SELECT safeguard.migrate('2', 'CREATE TABLE above (id int); ALTER TABLE heir INHERIT above; UPDATE above SET id = 3', keep_rows => true, project => 'refused');

-- a row that moves between partitions and is dropped on the way
CREATE TABLE mp (id int) PARTITION BY LIST (id);
CREATE TABLE mp1 PARTITION OF mp FOR VALUES IN (1);
CREATE TABLE mp2 PARTITION OF mp FOR VALUES IN (2);
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER swallow BEFORE INSERT ON mp2 FOR EACH ROW EXECUTE FUNCTION swallow();
INSERT INTO mp VALUES (1);
SELECT safeguard.migrate('2', 'UPDATE mp SET id = 2', keep_rows => true, project => 'refused');

-- MERGE whose rows a trigger moves; one that changes rows on the way, drops them, or has foreign keys of its own is none
CREATE TABLE moved (id int, k int, v int, up int, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE moved_1 PARTITION OF moved FOR VALUES IN (1);
CREATE TABLE moved_2 PARTITION OF moved FOR VALUES IN (2);
INSERT INTO moved VALUES (1, 1, 1), (2, 1, 2), (3, 1, 3);
CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF new.v = -1 THEN RETURN NULL; END IF;
    IF new.v = 5 THEN new.k := 2; END IF;
    new.up := new.v;
    RETURN new;
END $$;
CREATE TRIGGER move BEFORE UPDATE ON moved_1 FOR EACH ROW EXECUTE FUNCTION move();
CREATE TABLE itself (id int PRIMARY KEY, up int REFERENCES itself ON UPDATE CASCADE ON DELETE SET NULL);
INSERT INTO itself VALUES (1, NULL), (2, 1), (3, 2);
SELECT safeguard.migrate('moved', 'MERGE INTO moved USING (VALUES (1, 5), (2, 7)) s (id, v) ON s.id = moved.id WHEN MATCHED THEN UPDATE SET v = s.v', keep_rows => true, project => 'refused');
SELECT safeguard.migrate('changed', $$
    MERGE INTO moved USING (VALUES (1, -1), (2, 7)) s (id, v) ON s.id = moved.id WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN DO NOTHING;
    MERGE INTO itself USING (VALUES (1), (3)) s (id) ON s.id = itself.id WHEN MATCHED AND s.id = 1 THEN UPDATE SET id = 10 WHEN MATCHED THEN DELETE;
    WITH x AS (UPDATE moved SET v = 9 WHERE id = 3) MERGE INTO itself USING (VALUES (10)) s (id) ON s.id = itself.id WHEN MATCHED THEN UPDATE SET id = 11;
$$, keep_rows => true, project => 'refused');
SELECT relation, rows FROM safeguard.kept_rows WHERE label = 'refused/changed' ORDER BY relation;
SELECT safeguard.drop_kept_rows('refused/changed');

-- MERGE that may move rows, at whatever level
CREATE TABLE tp (id int, k int, l int) PARTITION BY LIST (k);
CREATE TABLE tp1 (l int, id int, k int) PARTITION BY LIST ((l + 1));
CREATE TABLE tp11 PARTITION OF tp1 DEFAULT;
ALTER TABLE tp ATTACH PARTITION tp1 DEFAULT;
INSERT INTO tp VALUES (1, 1, 1);
SELECT safeguard.migrate('2', 'MERGE INTO tp USING t ON tp.id = t.id WHEN MATCHED THEN UPDATE SET k = 2', keep_rows => true, project => 'refused');
SELECT safeguard.migrate('2', 'MERGE INTO tp1 USING t ON tp1.id = t.id WHEN MATCHED THEN UPDATE SET l = 2', keep_rows => true, project => 'refused');
SELECT safeguard.migrate('2', 'MERGE INTO tp USING t ON tp.id = t.id WHEN MATCHED THEN UPDATE SET l = 2', keep_rows => true, project => 'refused');
BEGIN;
SELECT safeguard.keep_rows('merge', 'tp');
MERGE INTO tp USING t ON tp.id = t.id WHEN MATCHED THEN UPDATE SET id = 2 WHEN NOT MATCHED THEN INSERT VALUES (5, 5, 5);
MERGE INTO tp USING t ON tp.id = t.id WHEN MATCHED THEN DELETE;
SELECT relation, rows FROM safeguard.kept_rows WHERE label = 'merge';
ROLLBACK;

-- what takes rows away: TRUNCATE, DROP, ALTER that rewrites, however it comes
CREATE TABLE ref (id int REFERENCES t);
CREATE TABLE part (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (10) TO (20);
CREATE SCHEMA whole;
CREATE TABLE whole.t (id int);
CREATE TYPE pair AS (a int, b int);
CREATE TABLE typed OF pair;
CREATE FUNCTION try(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END
$$;
BEGIN;
SELECT safeguard.keep_rows('refused', 't', 'part', 'whole.t', 'typed');
SELECT command, try(command) FROM unnest(ARRAY[
    'TRUNCATE t, ref',
    'TRUNCATE t CASCADE',
    'TRUNCATE part2',
    'TRUNCATE part',
    'DROP TABLE t CASCADE',
    'DROP TABLE part1',
    'DROP SCHEMA whole CASCADE',
    'DROP OWNED BY CURRENT_USER',
    'DROP TYPE pair CASCADE',
    'ALTER TABLE t ALTER id TYPE bigint',
    'ALTER TABLE t ADD x float DEFAULT random()',
    'ALTER TABLE t SET UNLOGGED',
    'ALTER TABLE part ALTER v TYPE bytea USING v::bytea',
    -- detached, and then dropped
    'ALTER TABLE part DETACH PARTITION part1; DROP TABLE part1',
    -- no row is lost by these
    'ALTER TABLE t ADD x int DEFAULT 1',
    'ALTER TABLE t ALTER v TYPE varchar',
    'ALTER TABLE t DROP x',
    'ALTER TABLE t RENAME TO t2',
    'ALTER TABLE t2 RENAME TO t',
    'CLUSTER t USING t_pkey',
    'CREATE INDEX ON t (v)',
    'ALTER TABLE t SET (fillfactor = 50)',
    -- nor by what happens to others
    'TRUNCATE ref',
    'DROP TABLE ref']) WITH ORDINALITY AS c (command, n) ORDER BY n;
ROLLBACK;
-- under migrate() that holds for all tables that there were before
SELECT safeguard.migrate('2', 'TRUNCATE part1', keep_rows => true, project => 'refused');
\echo :SQLSTATE
SELECT safeguard.migrate('2', 'DROP TABLE ref', keep_rows => true, project => 'refused');
SELECT safeguard.migrate('2', 'ALTER TABLE part ALTER v TYPE int USING 1', keep_rows => true, project => 'refused');
SELECT safeguard.migrate('2', 'CREATE TABLE n AS TABLE t; TRUNCATE n; ALTER TABLE n ALTER id TYPE bigint; CLUSTER t USING t_pkey; DROP TABLE n; ALTER TABLE t ADD z int DEFAULT 3', keep_rows => true, project => 'refused');
-- and not without keeping
SELECT safeguard.migrate('3', 'TRUNCATE part1; ALTER TABLE part ALTER v TYPE int USING 1; DROP TABLE ref', project => 'refused');

-- a column that is dropped takes values along that are not kept: that is told
CREATE TABLE dropping (id int PRIMARY KEY, v text, empty text, twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO dropping VALUES (1, 'one'), (2, 'two');
CREATE TABLE dropping_p (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE dropping_p1 (v text, id int);
ALTER TABLE dropping_p ATTACH PARTITION dropping_p1 FOR VALUES FROM (1) TO (10);
CREATE TABLE dropping_p2 PARTITION OF dropping_p DEFAULT;
INSERT INTO dropping_p VALUES (1, 'one'), (11, NULL);
CREATE DOMAIN dropped AS text;
CREATE TABLE dropping_not_named (id int, v dropped);
INSERT INTO dropping_not_named VALUES (1, 'one');
BEGIN;
SELECT safeguard.keep_rows('dropping', 'dropping', 'dropping_p');
UPDATE dropping SET v = 'changed' WHERE id = 1;
ALTER TABLE dropping RENAME v TO w;
ALTER TABLE dropping DROP w;
ALTER TABLE dropping_p DROP v;
-- nothing is lost by these
ALTER TABLE dropping DROP empty, DROP twice, ADD new int DEFAULT 1;
ALTER TABLE dropping DROP new;
ALTER TABLE dropping_not_named DROP v;
ROLLBACK;
BEGIN;
SELECT safeguard.keep_rows('dropping', 'dropping', 'dropping_p');
UPDATE dropping SET v = NULL;
ALTER TABLE dropping DROP v;
DELETE FROM dropping_p WHERE id = 1;
ALTER TABLE dropping_p DROP v;
ROLLBACK;
SELECT safeguard.migrate('dropping', 'DROP DOMAIN dropped CASCADE', keep_rows => true, project => 'refused');
-- and not without keeping
ALTER TABLE dropping DROP v;

-- a transaction block is needed, or whatever else goes on
DO $$ BEGIN PERFORM safeguard.keep_rows('do', 'refused.t'); UPDATE refused.t SET v = v WHERE id = 1; END $$;
SELECT safeguard.migrate('do', 'SELECT safeguard.keep_rows(''script'', ''refused.t''); UPDATE refused.t SET v = v WHERE id = 1', project => 'refused');
SELECT label, rows FROM safeguard.kept_rows WHERE label IN ('do', 'script') ORDER BY label;
SELECT safeguard.drop_kept_rows('do'), safeguard.drop_kept_rows('script');

-- nor is a table of kept rows taken away while it is written to
BEGIN;
SELECT safeguard.keep_rows('written', 't');
UPDATE t SET v = v WHERE id = 1;
SELECT try('DROP TABLE ' || kept_table) ~ '^55006 cannot drop' AS dropped,
       try('TRUNCATE ' || kept_table) ~ '^55006 cannot truncate' AS truncated FROM safeguard.kept_rows WHERE label = 'written';
UPDATE t SET v = v WHERE id = 1;
SELECT rows, kept_table FROM safeguard.kept_rows WHERE label = 'written' \gset
\echo :rows
SET LOCAL client_min_messages = error;
SELECT try('DROP EXTENSION safeguard CASCADE') ~ '^55006 cannot drop' AS extension_dropped;
-- nor altered: rows are written into it as they come
\set VERBOSITY terse
SAVEPOINT s;
ALTER TABLE :kept_table DROP id, ADD id text;
SELECT try('UPDATE t SET v = v WHERE id = 1') ~ '^55000 cannot keep rows of table "t"' AS kept;
ROLLBACK TO s;
CREATE INDEX ON :kept_table (id);
SELECT try('UPDATE t SET v = v WHERE id = 1') ~ '^55000 cannot keep rows of table "t"' AS kept;
ROLLBACK TO s;
ALTER TABLE :kept_table DROP sg_image;
SELECT try('UPDATE t SET v = v WHERE id = 1') ~ '^55000 cannot keep rows of table "t"' AS kept;
ROLLBACK;
\set VERBOSITY default

-- a label is for one transaction
BEGIN;
SELECT safeguard.keep_rows('label', 't');
SELECT safeguard.keep_rows('label', 't', 'part');
UPDATE t SET v = 'x' WHERE id = 1;
SELECT safeguard.keep_rows('label', 'typed');
SAVEPOINT s;
SELECT safeguard.migrate('label', 'SELECT 1', keep_rows => true);
ROLLBACK TO s;
SELECT safeguard.drop_kept_rows('label');
\echo :SQLSTATE
ROLLBACK;
BEGIN;
SELECT safeguard.keep_rows('label', 't');
UPDATE t SET v = 'x' WHERE id = 1;
COMMIT;
SELECT safeguard.keep_rows('label', 't');
\echo :SQLSTATE
SELECT safeguard.drop_kept_rows('label');
SELECT safeguard.keep_rows('label', 't');
-- not in a transaction that must not write
BEGIN READ ONLY;
SELECT safeguard.keep_rows('label', 't');
ROLLBACK;
-- the trigger's function is nobody's
CREATE TRIGGER mine AFTER UPDATE ON t EXECUTE FUNCTION safeguard.keep_images();
UPDATE t SET v = 'x' WHERE id = 1;
DROP TRIGGER mine ON t;

-- rights: a table of kept rows is the owner's alone
CREATE ROLE keep_owner;
CREATE ROLE keep_reader;
CREATE ROLE keep_deploy;
GRANT USAGE, CREATE ON SCHEMA refused TO keep_owner, keep_reader, keep_deploy;
GRANT EXECUTE ON FUNCTION safeguard.keep_rows TO keep_owner, keep_reader, keep_deploy;
ALTER DEFAULT PRIVILEGES FOR ROLE keep_owner GRANT ALL ON TABLES TO keep_reader;
SET ROLE keep_owner;
CREATE TABLE owned (id int PRIMARY KEY, v text);
GRANT ALL ON owned TO keep_reader, keep_deploy;
INSERT INTO owned VALUES (1, 'one'), (2, 'two');
BEGIN;
SELECT safeguard.keep_rows('rights', 'owned');
UPDATE owned SET v = 'x' WHERE id = 1;
COMMIT;
SELECT label, relation, rows, kept_by FROM safeguard.kept_rows;
SELECT kept_table FROM safeguard.kept_rows WHERE label = 'rights' \gset
SELECT sg_change, sg_image, id, v FROM :kept_table ORDER BY sg_image DESC;
SELECT relowner::regrole, relacl FROM pg_class WHERE oid = :'kept_table'::regclass;
UPDATE safeguard.kept SET label = 'mine';
DELETE FROM safeguard.kept;
CREATE TABLE safeguard_rows.foreign (id int);
SET ROLE keep_reader;
SELECT label, relation, rows FROM safeguard.kept_rows;
SELECT safeguard.kept_changes(:'kept_table');
SELECT left(refused.try('SELECT * FROM ' || :'kept_table'), 5) AS read, left(refused.try('DELETE FROM ' || :'kept_table'), 5) AS write;
SELECT safeguard.keep_rows('mine', 'owned');
SELECT safeguard.drop_kept_rows('rights');
\echo :SQLSTATE
RESET ROLE;
REVOKE EXECUTE ON FUNCTION safeguard.keep_rows FROM keep_reader;
SET ROLE keep_reader;
SELECT safeguard.keep_rows('mine', 'owned');
RESET ROLE;
-- who runs a migration need not own what it changes, and gets nothing of it
GRANT EXECUTE ON FUNCTION safeguard.migrate TO keep_deploy;
SET ROLE keep_deploy;
SELECT safeguard.migrate('4', 'UPDATE owned SET v = ''deployed''', keep_rows => true, project => 'refused');
SELECT count(*) FROM safeguard.kept_rows;
SET ROLE keep_owner;
SELECT label, relation, rows, kept_by FROM safeguard.kept_rows WHERE label = 'refused/4';
RESET ROLE;
-- row security that applies to the caller
ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON owned USING (id = 1);
SET ROLE keep_deploy;
SELECT safeguard.migrate('5', 'UPDATE owned SET v = ''hidden''', keep_rows => true, project => 'refused');
RESET ROLE;
SELECT safeguard.migrate('5', 'UPDATE owned SET v = ''seen'' WHERE id = 1', keep_rows => true, project => 'refused');
ALTER TABLE owned FORCE ROW LEVEL SECURITY;
SET ROLE keep_owner;
SELECT safeguard.keep_rows('forced', 'owned');
SELECT safeguard.drop_kept_rows('rights');
SELECT label FROM safeguard.kept_rows ORDER BY label;
-- its table dropped by its owner
SELECT kept_table FROM safeguard.kept_rows WHERE label = 'refused/4' \gset
DROP TABLE :kept_table;
SELECT label FROM safeguard.kept_rows ORDER BY label;
SELECT safeguard.drop_kept_rows('refused/4');
RESET ROLE;
SELECT label, safeguard.drop_kept_rows(label) FROM (SELECT DISTINCT label FROM safeguard.kept WHERE relation_name LIKE 'refused.%') AS k ORDER BY label;

-- the extension takes no kept rows with it
SELECT safeguard.migrate('6', 'UPDATE t SET v = ''y'' WHERE id = 1', keep_rows => true, project => 'refused');
SET client_min_messages = error;
\set VERBOSITY terse
DROP EXTENSION safeguard;
\set VERBOSITY default
SELECT safeguard.drop_kept_rows('refused/6');
DROP SCHEMA refused CASCADE;
DROP SCHEMA whole CASCADE;
DROP FOREIGN DATA WRAPPER refused CASCADE;
DROP OWNED BY keep_owner;
DROP OWNED BY keep_reader;
DROP OWNED BY keep_deploy;
DROP ROLE keep_owner, keep_reader, keep_deploy;
