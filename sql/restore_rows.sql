--
-- safeguard.restore_rows(): what a migration has changed is put back exactly.
-- Each case is a table, a migration, and the hash of all rows before it, after
-- it, after it was restored, after the restore was restored, and after that was.
--
CREATE SCHEMA restore_rows;
SET search_path = restore_rows, public;

-- independent of how rows are compared by the restore
CREATE FUNCTION hash(relations regclass[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    relation regclass;
    part text;
    result text := '';
BEGIN
    FOREACH relation IN ARRAY relations LOOP
        EXECUTE format('SELECT count(*) || '':'' || coalesce(md5(string_agg(r, '''' ORDER BY r)), '''')
                          FROM (SELECT encode(record_send(whole_row), ''hex'') AS r FROM %s whole_row) t', relation)
           INTO part;
        result := result || relation::text || part || ' ';
    END LOOP;
    RETURN result;
END $$;

-- numbers of kept tables are in messages
ALTER SEQUENCE safeguard.kept_id_seq RESTART 100001;
CREATE SEQUENCE labels;
CREATE PROCEDURE try(relations regclass[], migration text, force bool DEFAULT false,
                     INOUT restored bigint DEFAULT NULL, INOUT changed bool DEFAULT NULL,
                     INOUT exact bool DEFAULT NULL, INOUT undone bool DEFAULT NULL,
                     INOUT exact_again bool DEFAULT NULL)
LANGUAGE plpgsql AS $$
DECLARE
    label text := 'case ' || nextval('labels');
    before text := hash(relations);
    after text;
BEGIN
    PERFORM safeguard.keep_rows(label, VARIADIC relations);
    EXECUTE migration;
    COMMIT;
    after := hash(relations);
    changed := after <> before;
    restored := safeguard.restore_rows(label, force => force);
    COMMIT;
    exact := hash(relations) = before;
    IF restored = 0 THEN
        RETURN;
    END IF;
    PERFORM safeguard.restore_rows(label || '@restored-1');
    COMMIT;
    undone := hash(relations) = after;
    PERFORM safeguard.restore_rows(label || '@restored-2');
    COMMIT;
    exact_again := hash(relations) = before;
END $$;
SET client_min_messages = warning;
SET safeguard.constraint_bypass = off;

--
-- Types and values
--
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE types (
    id int PRIMARY KEY, i2 smallint, i8 bigint, n numeric, n2 numeric(10,2), f4 real, f8 float8,
    b boolean, c char(5), vc varchar(10), t text, ba bytea, ts timestamp, tz timestamptz, d date,
    tm time, ttz timetz, iv interval, u uuid, j json, jb jsonb, p point, bx box, ci cidr,
    ia inet, m macaddr, bi bit(4), vb varbit, ar int[], at text[], r int4range, mr int4multirange,
    e mood, dm positive, cp pair, acp pair[], tsv tsvector, mo money, o oid, nm name, ch "char",
    pos pg_lsn, jp jsonpath);
INSERT INTO types VALUES
    (1, 1, 1, 1.00, 1, 0, 0, true, 'a', 'a', 'a', '\x00', 'infinity', '-infinity', 'infinity',
     '24:00', '00:00+12', '1 mon -1 day', '00000000-0000-0000-0000-000000000001', '{"a":  1, "a": 2}',
     '{"a": 1}', '(0,0)', '(1,1),(0,0)', '10.0.0.0/8', '10.0.0.1/8',
     '08:00:2b:01:02:03', '0101', '101', '[5:6]={1,2}', '{a,NULL,""}', 'empty', '{}', 'sad', 1,
     '(1,)', '{"(1,a)",NULL}', 'a:1 b:2', 1, 1, 'n', 'c', '0/1', '$.a'),
    (2, -1, -1, '-0.000', 1.10, '-0', '-0', false, 'b', '', '', '', '-infinity', 'infinity', '-infinity',
     '00:00', '00:00-12', '0', '00000000-0000-0000-0000-000000000002', ' {} ',
     '{}', '(-0,0)', '(-1,1),(0,-0)', '::/0', '::1',
     '08:00:2b:01:02:04', '1111', '', '{}', '{}', '[1,5)', '{[1,2),[5,6)}', 'happy', 7,
     '(,x)', '{}', '', -1, 4294967295, '', '', '0/0', '$'),
    (3, NULL, NULL, 'NaN', NULL, 'NaN', 'NaN', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, NULL, NULL, 'Infinity', NULL, '-Infinity', 'Infinity', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL, NULL, ROW(NULL, NULL), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
-- every value becomes one of another row, and NULL
CALL try('{types}', $$
    UPDATE types t SET (i2, i8, n, n2, f4, f8, b, c, vc, t, ba, ts, tz, d, tm, ttz, iv, u, j, jb, p, bx, ci, ia,
                        m, bi, vb, ar, at, r, mr, e, dm, cp, acp, tsv, mo, o, nm, ch, pos, jp) =
     (SELECT i2, i8, n, n2, f4, f8, b, c, vc, t, ba, ts, tz, d, tm, ttz, iv, u, j, jb, p, bx, ci, ia,
             m, bi, vb, ar, at, r, mr, e, dm, cp, acp, tsv, mo, o, nm, ch, pos, jp
        FROM types WHERE id = t.id % 4 + 1)$$);
CALL try('{types}', $$DELETE FROM types$$);
-- a server may have been built without libxml
CREATE TABLE xmls (id int PRIMARY KEY, x xml);
SELECT setting LIKE '%--with-libxml%' AS with_xml FROM pg_config WHERE name = 'CONFIGURE' \gset
\set exact t
\if :with_xml
\set exact f
INSERT INTO xmls VALUES (1, '<a>  <b/></a>'), (2, '<a/>'), (3, NULL);
CALL try('{xmls}', $$UPDATE xmls x SET x = (SELECT x FROM xmls WHERE id = x.id % 3 + 1)$$) \gset
\endif
SELECT :'exact' AS exact;
-- values that are equal, and not the same
CREATE TABLE equal (id numeric PRIMARY KEY, n numeric, f float8, c char(3), i interval);
INSERT INTO equal VALUES (1.0, 1.00, 0, 'a', '1 mon'), (2, 2, '-0', 'b', '30 days');
CALL try('{equal}', $$
    UPDATE equal SET n = n + 0.000, f = -f, c = c || ' ', i = CASE id WHEN 1 THEN interval '30 days' ELSE '1 mon' END$$);
CALL try('{equal}', $$UPDATE equal SET id = id + 0.00$$);
-- a server may have been built without ICU
SELECT getdatabaseencoding() = 'UTF8' AND count(*) > 0 AS with_icu FROM pg_collation WHERE collprovider = 'i' \gset
\set exact t
\if :with_icu
\set exact f
CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE caseless (t text COLLATE caseless PRIMARY KEY, u text COLLATE caseless);
INSERT INTO caseless VALUES ('a', 'x'), ('B', 'Y');
CALL try('{caseless}', $$UPDATE caseless SET t = CASE t WHEN 'a' THEN 'A' ELSE 'b' END, u = lower(u)$$) \gset
\endif
SELECT :'exact' AS exact;
SELECT setval('labels', 10);
ALTER SEQUENCE safeguard.kept_id_seq RESTART 100101;
-- large values: compressed, out of line, both, and in a composite
CREATE TABLE large (id int PRIMARY KEY, a text, b text, c bytea, d pair);
ALTER TABLE large ALTER b SET STORAGE EXTERNAL;
INSERT INTO large
SELECT i, repeat('abc', 30000 * i), (SELECT string_agg(md5(i || ' ' || n), '') FROM generate_series(1, 1000) n),
       convert_to(repeat('x', i), 'UTF8'), ROW(i, repeat('y', 100000))::pair
  FROM generate_series(1, 4) i;
CALL try('{large}', $$UPDATE large SET a = 'short' WHERE id < 3$$);
CALL try('{large}', $$UPDATE large SET id = id + 10, b = b || 'x', c = NULL, d.b = 'z' WHERE id > 1$$);
CALL try('{large}', $$DELETE FROM large WHERE id IN (1, 4)$$);

--
-- Keys
--
CREATE TABLE keys (a int, b int, v text, PRIMARY KEY (a, b));
INSERT INTO keys SELECT i % 3, i, 'v' || i FROM generate_series(1, 9) i;
-- moved, moved by one, along a chain, back again
CALL try('{keys}', $$UPDATE keys SET a = a + 10$$);
CALL try('{keys}', $$UPDATE keys SET b = b + 100 WHERE a = 1; UPDATE keys SET b = b + 100, v = 'x' WHERE a = 1; UPDATE keys SET a = 7 WHERE b > 200$$);
CALL try('{keys}', $$UPDATE keys SET b = -1 WHERE b = 1; UPDATE keys SET b = 1, a = 2 WHERE b = 2; UPDATE keys SET b = 2, a = 1 WHERE b = -1$$);
CALL try('{keys}', $$UPDATE keys SET a = a + 5; UPDATE keys SET a = a - 5$$);
CALL try('{keys}', $$UPDATE keys SET v = 'x'; UPDATE keys SET v = 'y' WHERE a = 1; UPDATE keys SET v = 'v' || b$$);
-- updated and deleted; moved to a key that was deleted
CALL try('{keys}', $$UPDATE keys SET v = 'x'; DELETE FROM keys WHERE a = 2$$);
CALL try('{keys}', $$DELETE FROM keys WHERE b = 1; UPDATE keys SET a = 1, b = 1 WHERE b = 9; DELETE FROM keys WHERE b = 8$$);
-- deleted and inserted again: nobody knows by whom, so it is refused...
CALL try('{keys}', $$DELETE FROM keys WHERE a = 1; INSERT INTO keys VALUES (1, 1, 'new')$$);
DELETE FROM keys WHERE v = 'new';
SELECT safeguard.restore_rows('case ' || currval('labels'));
SELECT safeguard.restore_rows('case ' || currval('labels'), force => true);
SELECT a, b, v FROM keys WHERE a = 1 ORDER BY b;
-- ...unless it is the same row, or was changed afterwards, or by force
CALL try('{keys}', $$DELETE FROM keys WHERE a = 1; INSERT INTO keys VALUES (1, 1, 'v1')$$);
CALL try('{keys}', $$DELETE FROM keys WHERE b = 1; INSERT INTO keys VALUES (1, 1, 'new'); UPDATE keys SET v = 'newer' WHERE b = 1$$);
CALL try('{keys}', $$DELETE FROM keys WHERE b = 1; INSERT INTO keys VALUES (1, 1, 'new'); UPDATE keys SET b = 50 WHERE b = 1$$);
DELETE FROM keys WHERE b = 50;
SET client_min_messages = error;
CALL try('{keys}', $$DELETE FROM keys WHERE a = 1; INSERT INTO keys VALUES (1, 1, 'new')$$, force => true);
SET client_min_messages = warning;
-- keys that are swapped, in one statement and in two, with and without other columns
CREATE TABLE swapped (id int PRIMARY KEY DEFERRABLE, code text UNIQUE, v text, EXCLUDE USING btree (v WITH =));
INSERT INTO swapped SELECT i, 'c' || i, 'v' || i FROM generate_series(1, 6) i;
CALL try('{swapped}', $$UPDATE swapped SET id = 7 - id$$);
CALL try('{swapped}', $$UPDATE swapped SET id = id + 1$$);
CALL try('{swapped}', $$UPDATE swapped SET code = 'x' || id; UPDATE swapped SET code = 'c' || (7 - id), v = id$$);
CALL try('{swapped}', $$SET CONSTRAINTS ALL DEFERRED; UPDATE swapped SET id = 2 WHERE id = 1; DELETE FROM swapped WHERE code = 'c2'$$);
CREATE TABLE periods (id int PRIMARY KEY, during int4range, EXCLUDE USING gist (during WITH &&));
INSERT INTO periods SELECT i, int4range(i * 10, i * 10 + 10) FROM generate_series(1, 5) i;
CALL try('{periods}', $$UPDATE periods SET during = int4range(1000 + id, 1001 + id); UPDATE periods SET during = int4range(60 - id * 10, 70 - id * 10)$$);
CALL try('{periods}', $$DELETE FROM periods WHERE id IN (1, 3); UPDATE periods SET during = '[10,40)' WHERE id = 2$$);
-- another unique key, with and without NULL
CREATE TABLE other_key (a int NOT NULL UNIQUE, b int UNIQUE, v text);
INSERT INTO other_key VALUES (1, 1, 'a'), (2, NULL, 'b'), (3, NULL, 'c');
CALL try('{other_key}', $$UPDATE other_key SET a = a + 1 WHERE a = 3; UPDATE other_key SET b = a, v = NULL$$);

--
-- No key: rows may be alike
--
CREATE TABLE heap (v int, w text, j json);
INSERT INTO heap SELECT i % 3, CASE WHEN i % 2 = 0 THEN 'w' END, '{"a":1}' FROM generate_series(1, 12) i;
CALL try('{heap}', $$UPDATE heap SET v = v + 1$$);
CALL try('{heap}', $$UPDATE heap SET w = 'x' WHERE ctid = (SELECT min(ctid) FROM heap WHERE v = 1)$$);
CALL try('{heap}', $$DELETE FROM heap WHERE v = 1; UPDATE heap SET v = 1 WHERE v = 0; UPDATE heap SET v = 2 WHERE v = 1$$);
CALL try('{heap}', $$UPDATE heap SET v = 5; UPDATE heap SET v = 6, j = ' {"a":1}'$$);
CALL try('{heap}', $$DELETE FROM heap$$);
CREATE TABLE no_columns ();
ALTER TABLE no_columns ADD dropped int;
INSERT INTO no_columns VALUES (1), (2), (3);
ALTER TABLE no_columns DROP dropped;
CALL try('{no_columns}', $$DELETE FROM no_columns WHERE ctid = '(0,2)'$$);

--
-- Columns that the server fills in
--
CREATE TABLE filled (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    v int, twice int GENERATED ALWAYS AS (v * 2) STORED, d timestamptz DEFAULT clock_timestamp(),
    other int GENERATED BY DEFAULT AS IDENTITY, s serial, n text NOT NULL DEFAULT 'n' CHECK (n <> ''));
INSERT INTO filled (v) SELECT generate_series(1, 5);
CALL try('{filled}', $$DELETE FROM filled WHERE v < 3$$);
CALL try('{filled}', $$UPDATE filled SET v = v * 10, d = now(), other = 0, s = 0, n = 'm'$$);
CALL try('{filled}', $$UPDATE filled SET id = DEFAULT$$);
CREATE TABLE generated_key (v int, k text GENERATED ALWAYS AS ('k' || v) STORED PRIMARY KEY, w int);
INSERT INTO generated_key (v, w) SELECT i, i FROM generate_series(1, 5) i;
CALL try('{generated_key}', $$UPDATE generated_key SET v = v + 10, w = 0 WHERE v < 4; DELETE FROM generated_key WHERE v = 5$$);

--
-- Partitions
--
CREATE TABLE parts (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
CREATE TABLE parts_b (v text, dropped int, region text NOT NULL, id int NOT NULL);
ALTER TABLE parts_b DROP dropped;
ALTER TABLE parts ATTACH PARTITION parts_b FOR VALUES IN ('b');
CREATE TABLE parts_rest PARTITION OF parts DEFAULT PARTITION BY RANGE (id);
CREATE TABLE parts_low PARTITION OF parts_rest FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_high PARTITION OF parts_rest FOR VALUES FROM (100) TO (1000);
INSERT INTO parts SELECT i, (ARRAY['a', 'b', 'c'])[i % 3 + 1], 'v' || i FROM generate_series(1, 12) i;
CALL try('{parts,parts_a,parts_b,parts_low,parts_high}', $$UPDATE parts SET v = 'x'$$);
CALL try('{parts}', $$UPDATE parts SET region = 'b' WHERE region = 'a'; UPDATE parts SET region = 'c', v = 'moved' WHERE region = 'b' AND id > 5$$);
CALL try('{parts}', $$UPDATE parts SET id = id + 100 WHERE region = 'c'; DELETE FROM parts WHERE region = 'a'; UPDATE parts_b SET v = id; DELETE FROM parts_high WHERE id > 105$$);
CALL try('{parts}', $$MERGE INTO parts p USING (VALUES (1), (2), (3)) s (id) ON p.id = s.id WHEN MATCHED AND s.id = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET v = 'merged'$$);
-- of a row that MERGE moves only the old image is known
CALL try('{parts}', $$MERGE INTO parts p USING (VALUES (2)) s (id) ON p.id = s.id WHEN MATCHED THEN UPDATE SET region = 'a'$$);
CALL try('{parts_rest}', $$MERGE INTO parts_rest p USING (VALUES (200)) s (id) ON p.id = s.id WHEN MATCHED THEN UPDATE SET id = 3$$);
CREATE TABLE parts_heap (id int, region text) PARTITION BY HASH (region);
CREATE TABLE parts_heap_0 PARTITION OF parts_heap FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_heap_1 PARTITION OF parts_heap FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parts_heap SELECT i % 4, 'r' || i % 5 FROM generate_series(1, 20) i;
CALL try('{parts_heap,parts_heap_0,parts_heap_1}', $$UPDATE parts_heap SET region = 'r' || id, id = 0; DELETE FROM parts_heap WHERE region = 'r1'$$);

--
-- Foreign keys
--
CREATE TABLE grandparents (id int PRIMARY KEY, v text);
CREATE TABLE parents (id int PRIMARY KEY, grandparent int REFERENCES grandparents ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE, uncle int DEFAULT 1 REFERENCES parents ON DELETE SET DEFAULT ON UPDATE CASCADE, aunt int REFERENCES parents ON DELETE SET NULL ON UPDATE SET NULL);
INSERT INTO grandparents SELECT i, 'v' FROM generate_series(1, 3) i;
INSERT INTO parents SELECT i, (i + 1) / 2 FROM generate_series(1, 6) i;
INSERT INTO children SELECT i, (i + 1) / 2, i % 6 + 1, (i + 2) % 6 + 1 FROM generate_series(1, 12) i;
CALL try('{grandparents,parents,children}', $$DELETE FROM grandparents WHERE id = 2$$);
CALL try('{grandparents,parents,children}', $$UPDATE grandparents SET id = id + 10; UPDATE parents SET id = id * 10 WHERE id <> 1$$);
CALL try('{children,parents,grandparents}', $$UPDATE children SET parent = 1; DELETE FROM parents WHERE id IN (2, 5); UPDATE grandparents SET id = 9 WHERE id = 2$$);
-- a table that refers to itself, with and without deferring
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree ON DELETE CASCADE ON UPDATE CASCADE, first_child int REFERENCES tree ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED);
INSERT INTO tree SELECT i, NULLIF(i / 2, 0), CASE WHEN i <= 7 THEN i * 2 END FROM generate_series(1, 15) i;
INSERT INTO tree VALUES (20, 20, 20);
CALL try('{tree}', $$DELETE FROM tree WHERE id = 2$$);
CALL try('{tree}', $$DELETE FROM tree$$);
CALL try('{tree}', $$UPDATE tree SET first_child = NULL; UPDATE tree SET id = id + 100 WHERE id = 1; UPDATE tree SET id = id + 100 WHERE id IN (2, 20)$$);
-- tables that refer to each other
CREATE TABLE left_side (id int PRIMARY KEY, other int);
CREATE TABLE right_side (id int PRIMARY KEY, other int NOT NULL REFERENCES left_side);
INSERT INTO left_side SELECT i, i FROM generate_series(1, 3) i;
INSERT INTO right_side SELECT i, i FROM generate_series(1, 3) i;
ALTER TABLE left_side ADD FOREIGN KEY (other) REFERENCES right_side ON DELETE SET NULL;
CALL try('{right_side,left_side}', $$UPDATE left_side SET other = 3; DELETE FROM right_side WHERE id < 3; DELETE FROM left_side WHERE id = 1$$);

--
-- Triggers and rules have acted already
--
CREATE TABLE stock (id int PRIMARY KEY, v int, touched int NOT NULL DEFAULT 0);
CREATE TABLE stock_log (id serial PRIMARY KEY, v int);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        UPDATE stock_log SET v = -1 WHERE v = OLD.v;
        RETURN OLD;
    END IF;
    NEW.touched := NEW.touched + 1;
    UPDATE stock_log SET v = NEW.v WHERE v = OLD.v;
    RETURN NEW;
END $$;
INSERT INTO stock SELECT i, i * 10 FROM generate_series(1, 5) i;
INSERT INTO stock_log (v) SELECT v FROM stock;
CREATE TRIGGER touch BEFORE UPDATE OR DELETE OR INSERT ON stock FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE stock ENABLE ALWAYS TRIGGER touch;
CREATE RULE no_insert AS ON INSERT TO stock_log DO INSTEAD NOTHING;
CREATE RULE no_delete AS ON DELETE TO stock_log DO INSTEAD NOTHING;
CREATE RULE more AS ON UPDATE TO stock WHERE NEW.v = 99 DO ALSO DELETE FROM stock WHERE id = 5;
CALL try('{stock,stock_log}', $$UPDATE stock SET v = v + 1 WHERE id < 4; DELETE FROM stock WHERE id = 3; UPDATE stock SET v = 99 WHERE id = 1$$);
SET session_replication_role = replica;
CALL try('{stock,stock_log}', $$UPDATE stock SET v = v + 1; DELETE FROM stock WHERE id = 1$$);
RESET session_replication_role;

--
-- What the rows of a migration are changed by
--
CREATE TABLE ways (id int PRIMARY KEY, v text);
INSERT INTO ways SELECT i, 'v' || i FROM generate_series(1, 8) i;
CREATE VIEW ways_view AS SELECT * FROM ways WHERE id < 5;
CREATE FUNCTION way(int) RETURNS void LANGUAGE sql AS 'UPDATE ways SET v = ''by function'' WHERE id = $1';
CALL try('{ways}', $$INSERT INTO ways VALUES (1, 'new') ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v$$);
CALL try('{ways}', $$WITH gone AS (DELETE FROM ways WHERE id < 3 RETURNING *), x AS (UPDATE ways SET v = 'x' WHERE id = 4) SELECT FROM gone LIMIT 0$$);
CALL try('{ways}', $$DO 'BEGIN FOR i IN 1..3 LOOP UPDATE ways SET v = v || i; END LOOP; END'; SELECT way(5); UPDATE ways_view SET v = 'view'; DELETE FROM ways_view WHERE id = 2$$);
-- what a savepoint has taken back
CALL try('{ways}', $$DO 'BEGIN UPDATE ways SET v = ''a'' WHERE id < 5; BEGIN DELETE FROM ways; PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN UPDATE ways SET v = ''b'' WHERE id > 3; END; END'$$);
-- rows that are inserted stay
CALL try('{ways}', $$UPDATE ways SET v = 'x' WHERE id = 1; INSERT INTO ways VALUES (100, 'new')$$);
DELETE FROM ways WHERE id = 100;
-- as the migration has left them, also if it has changed them, or somebody since
CREATE TABLE added (id int, v int, PRIMARY KEY (id));
CREATE TABLE added_no_key (id int, v int);
CREATE TABLE added_to (id int PRIMARY KEY REFERENCES added ON DELETE CASCADE ON UPDATE CASCADE);
INSERT INTO added SELECT i, i FROM generate_series(1, 4) i;
INSERT INTO added_no_key SELECT i, i FROM generate_series(1, 4) i;
INSERT INTO added_to VALUES (1), (2);
BEGIN;
SELECT safeguard.keep_rows('added', 'added', 'added_no_key', 'added_to');
INSERT INTO added VALUES (10, 10), (11, 11), (12, 12), (13, 13);
INSERT INTO added_no_key SELECT * FROM added WHERE id > 9;
INSERT INTO added_to VALUES (10), (11);
UPDATE added SET v = v * 10 WHERE id > 1;
UPDATE added_no_key SET v = v * 10 WHERE id > 1;
UPDATE added SET id = id + 100 WHERE id IN (2, 10);
DELETE FROM added WHERE id IN (1, 11);
DELETE FROM added_no_key WHERE id IN (1, 11);
DELETE FROM added WHERE id = 4;
INSERT INTO added VALUES (4, 0);
UPDATE added SET v = -4 WHERE id = 4;
COMMIT;
UPDATE added SET v = 0 WHERE id = 12;
DELETE FROM added WHERE id = 13;
DELETE FROM added_no_key WHERE id = 13;
SELECT hash('{added,added_no_key,added_to}') AS after \gset
SELECT safeguard.restore_rows('added');
SELECT * FROM added ORDER BY id;
SELECT * FROM added_no_key ORDER BY id;
SELECT * FROM added_to ORDER BY id;
SELECT safeguard.restore_rows('added@restored-1');
SELECT hash('{added,added_no_key,added_to}') = :'after' AS undone;
-- those that a restore puts back, or that are there before rows are kept, are not new
CREATE TABLE not_added (id int PRIMARY KEY, v int);
INSERT INTO not_added VALUES (1, 1), (2, 2);
BEGIN;
SELECT safeguard.keep_rows('gone', 'not_added');
DELETE FROM not_added WHERE id = 1;
UPDATE not_added SET id = 20 WHERE id = 2;
COMMIT;
BEGIN;
INSERT INTO not_added VALUES (3, 3);
SELECT safeguard.keep_rows('not added', 'not_added');
SELECT safeguard.restore_rows('gone');
UPDATE not_added SET v = v + 100, id = id + 1000;
COMMIT;
SELECT safeguard.restore_rows('not added');
SELECT * FROM not_added ORDER BY id;

--
-- The table has changed in the migration
--
CREATE TABLE altered (id int PRIMARY KEY, v text);
INSERT INTO altered SELECT i, 'v' || i FROM generate_series(1, 5) i;
SELECT hash('{altered}') AS before \gset
BEGIN;
SELECT safeguard.keep_rows('altered', 'altered');
UPDATE altered SET v = 'x' WHERE id < 4;
ALTER TABLE altered ADD w int DEFAULT 7;
UPDATE altered SET w = id, v = 'y' WHERE id > 1;
DELETE FROM altered WHERE id = 2;
ALTER TABLE altered DROP w;
UPDATE altered SET v = 'z' WHERE id = 3;
COMMIT;
SELECT hash('{altered}') AS after \gset
SELECT safeguard.restore_rows('altered');
SELECT hash('{altered}') = :'before' AS exact;
SELECT safeguard.restore_rows('altered@restored-1');
SELECT hash('{altered}') = :'after' AS undone;
SELECT safeguard.restore_rows('altered@restored-2');
SELECT hash('{altered}') = :'before' AS exact_again;
BEGIN;
SELECT safeguard.keep_rows('column added', 'altered');
UPDATE altered SET v = 'x' WHERE id < 4;
ALTER TABLE altered ADD w int DEFAULT 7;
UPDATE altered SET w = id;
COMMIT;
SELECT safeguard.restore_rows('column added');
SELECT * FROM altered ORDER BY id;

--
-- The table has changed since
--
CREATE TABLE since (id int PRIMARY KEY, v varchar(5), old text, amount int);
INSERT INTO since SELECT i, 'v' || i, 'o' || i, i FROM generate_series(1, 6) i;
BEGIN;
SELECT safeguard.keep_rows('since', 'since');
UPDATE since SET v = 'x', old = 'y', amount = 0 WHERE id < 3;
UPDATE since SET id = id + 10, v = 'moved' WHERE id = 3;
UPDATE since SET id = id + 10, v = 'again' WHERE id = 13;
DELETE FROM since WHERE id = 4;
COMMIT;
-- dropped: left out, and said
BEGIN;
SET LOCAL client_min_messages = notice;
ALTER TABLE since DROP old;
SELECT safeguard.restore_rows('since');
SELECT * FROM since ORDER BY id;
ROLLBACK;
-- added: kept as it is, also of a row that moves back; a row that comes back gets the default
ALTER TABLE since ADD added int DEFAULT 5;
UPDATE since SET added = id * 100;
-- also of rows that have all become the next one
CREATE TABLE shifted AS SELECT i AS id, 'v' || i AS v FROM generate_series(1, 4) i;
ALTER TABLE shifted ADD PRIMARY KEY (id) DEFERRABLE;
BEGIN;
SELECT safeguard.keep_rows('shifted', 'shifted');
UPDATE shifted SET id = id + 1;
UPDATE shifted SET v = 'x' || id WHERE id < 4;
UPDATE shifted SET id = 10 WHERE id = 5;
COMMIT;
ALTER TABLE shifted ADD is_row text;
UPDATE shifted SET is_row = 'was ' || CASE id WHEN 10 THEN 4 ELSE id - 1 END;
SELECT hash('{shifted}') AS after \gset
SELECT safeguard.restore_rows('shifted');
SELECT * FROM shifted ORDER BY id;
SELECT safeguard.restore_rows('shifted@restored-1');
SELECT hash('{shifted}') = :'after' AS undone;
-- dropped, when another was added
ALTER TABLE since DROP old;
SET client_min_messages = notice;
SELECT safeguard.restore_rows('since');
SELECT kept_table AS kept FROM safeguard.kept WHERE label = 'since' \gset
ALTER TABLE safeguard_rows.:kept DROP old;
SELECT safeguard.restore_rows('since');
SELECT * FROM since ORDER BY id;
-- another type: by assignment, and if that is possible
SELECT safeguard.restore_rows('since@restored-1');
ALTER TABLE since ALTER v TYPE text, ALTER amount TYPE numeric(10,2);
SELECT safeguard.restore_rows('since@restored-2');
SELECT * FROM since ORDER BY id;
SELECT safeguard.restore_rows('since@restored-3');
ALTER TABLE since ALTER amount TYPE text;
SELECT safeguard.restore_rows('since@restored-4');
ALTER TABLE since ALTER amount TYPE int USING amount::numeric, ALTER v TYPE varchar(4) USING left(v, 4);
SELECT safeguard.restore_rows('since@restored-4');
-- renamed
ALTER TABLE since RENAME TO since_then;
ALTER TABLE since_then RENAME amount TO total;
ALTER TABLE since_then ALTER v TYPE varchar(5);
SELECT safeguard.restore_rows('since@restored-4');
SELECT kept_table AS kept FROM safeguard.kept WHERE label = 'since@restored-4' \gset
ALTER TABLE safeguard_rows.:kept RENAME amount TO total;
SELECT safeguard.restore_rows('since@restored-4');
SELECT * FROM since_then ORDER BY id;
-- made again under its name
CREATE TABLE again AS TABLE since_then;
DROP TABLE since_then;
SELECT safeguard.restore_rows('since@restored-5');
ALTER TABLE again RENAME TO since_then;
SELECT safeguard.restore_rows('since@restored-5');
CREATE TABLE since (LIKE since_then);
INSERT INTO since TABLE since_then;
ALTER TABLE since RENAME total TO amount;
SELECT safeguard.restore_rows('since@restored-1', 'since');

--
-- Rows that are not as the migration has left them
--
SET client_min_messages = notice;
CREATE TABLE refused (id int PRIMARY KEY, v text, w int UNIQUE);
INSERT INTO refused SELECT i, 'v' || i, i FROM generate_series(1, 30) i;
BEGIN;
SELECT safeguard.keep_rows('refused', 'refused');
UPDATE refused SET v = 'x' WHERE id <= 20;
DELETE FROM refused WHERE id > 20 AND id < 24;
UPDATE refused SET id = id + 100 WHERE id > 25;
COMMIT;
-- by itself each of them
UPDATE refused SET v = 'mine' WHERE id IN (1, 127);
DELETE FROM refused WHERE id IN (2, 128);
INSERT INTO refused VALUES (21, 'new', 1000);
SELECT safeguard.restore_rows('refused');
SELECT count(*) FROM refused WHERE v = 'x';
-- rows that are as they were need nothing
INSERT INTO refused VALUES (22, 'v22', 22);
UPDATE refused SET v = 'v3' WHERE id = 3;
SELECT safeguard.restore_rows('refused', force => true);
SELECT count(*), count(*) FILTER (WHERE v = 'v' || id AND w = id) AS as_before FROM refused;
-- many of them
UPDATE refused SET v = 'other' WHERE id < 25;
SELECT safeguard.restore_rows('refused');
-- what others have of another unique key is not overwritten
SELECT safeguard.restore_rows('refused@restored-1', force => true);
BEGIN;
SELECT safeguard.keep_rows('taken', 'refused');
UPDATE refused SET w = NULL WHERE id = 5;
COMMIT;
INSERT INTO refused VALUES (500, 'five', 5);
SELECT safeguard.restore_rows('taken', force => true);
DELETE FROM refused WHERE id = 500;
-- constraints that came since
ALTER TABLE refused ADD CONSTRAINT positive CHECK (w IS NULL OR w > 10) NOT VALID;
SELECT safeguard.restore_rows('taken', force => true);
ALTER TABLE refused DROP CONSTRAINT positive;
-- without a key
CREATE TABLE plain (id int, v int, j json);
INSERT INTO plain SELECT i, 0, '{}' FROM generate_series(1, 3) i;
BEGIN;
SELECT safeguard.keep_rows('plain', 'plain');
UPDATE plain SET v = 50 WHERE id < 3;
COMMIT;
UPDATE plain SET v = 51 WHERE id = 1;
SELECT safeguard.restore_rows('plain');
SELECT safeguard.restore_rows('plain', force => true);
SELECT * FROM plain ORDER BY id, v;

-- references that would be left behind: one table of several
CREATE TABLE owners (id int PRIMARY KEY);
CREATE TABLE things (id int PRIMARY KEY, owner int REFERENCES owners ON UPDATE CASCADE ON DELETE CASCADE);
INSERT INTO owners VALUES (1), (2), (3);
INSERT INTO things VALUES (1, 1), (2, 2), (3, 3);
SELECT hash('{owners,things}') AS before \gset
BEGIN;
SELECT safeguard.keep_rows('owners', 'owners', 'things');
UPDATE owners SET id = 11 WHERE id = 1;
DELETE FROM owners WHERE id = 2;
COMMIT;
SELECT safeguard.restore_rows('owners', 'owners');
SELECT safeguard.restore_rows('owners', 'things');
-- one that came since
INSERT INTO things VALUES (4, 11);
SELECT safeguard.restore_rows('owners');
UPDATE things SET owner = 3 WHERE id = 4;
-- the same under replica, which does not check
SET session_replication_role = replica;
UPDATE things SET owner = 11 WHERE id = 4;
RESET session_replication_role;
UPDATE things SET owner = 3 WHERE id = 4;
SET session_replication_role = replica;
SELECT safeguard.restore_rows('owners');
RESET session_replication_role;
DELETE FROM things WHERE id = 4;
SELECT hash('{owners,things}') = :'before' AS exact;
-- deferred references are verified at the end
ALTER TABLE things DROP CONSTRAINT things_owner_fkey, ADD FOREIGN KEY (owner) REFERENCES owners DEFERRABLE INITIALLY DEFERRED;
BEGIN;
SELECT safeguard.keep_rows('deferred', 'owners', 'things');
DELETE FROM things WHERE id = 1;
DELETE FROM owners WHERE id = 1;
COMMIT;
SELECT safeguard.restore_rows('deferred', 'things');
BEGIN;
SELECT safeguard.restore_rows('deferred', 'things');
SELECT safeguard.restore_rows('deferred', 'owners');
COMMIT;

-- in the same transaction, and in a savepoint
BEGIN;
SELECT safeguard.keep_rows('at once', 'owners', 'things');
UPDATE owners SET id = id + 100 WHERE id = 3 AND false;
DELETE FROM things;
SAVEPOINT s;
SELECT safeguard.restore_rows('at once');
ROLLBACK TO s;
SELECT count(*) FROM things;
SELECT safeguard.restore_rows('at once');
SELECT hash('{owners,things}') = :'before' AS exact;
COMMIT;
SELECT hash('{owners,things}') = :'before' AS exact;
-- nothing is left to undo
SELECT safeguard.restore_rows('at once');

--
-- Partitions and labels
--
BEGIN;
SELECT safeguard.keep_rows('parts', 'parts_a', 'plain');
UPDATE parts SET v = 'x' WHERE id < 4;
COMMIT;
SELECT safeguard.restore_rows('parts', 'parts_a');
SELECT safeguard.restore_rows('parts', 'plain');
SELECT safeguard.restore_rows('parts', 'parts');
SELECT safeguard.restore_rows('no such label');
SELECT safeguard.restore_rows('no such label', 'parts');
SELECT safeguard.restore_rows(NULL);
SELECT safeguard.restore_rows('parts', force => NULL);
SELECT safeguard.restore_rows('parts', 1::regclass);
SELECT label, relation, rows, restored_at IS NOT NULL AS restored FROM safeguard.kept_rows
 WHERE label LIKE 'parts%' ORDER BY label;
-- a label that only looks like one of a restore
BEGIN;
SELECT safeguard.keep_rows('x@restored-1', 'parts');
UPDATE parts SET v = 'y' WHERE id = 1;
COMMIT;
SELECT safeguard.restore_rows('x@restored-1');
BEGIN READ ONLY;
SELECT safeguard.restore_rows('parts');
COMMIT;

--
-- Rights
--
CREATE ROLE regress_restore_owner;
CREATE ROLE regress_restore_other;
GRANT USAGE, CREATE ON SCHEMA restore_rows TO regress_restore_owner, regress_restore_other;
GRANT EXECUTE ON FUNCTION safeguard.keep_rows(text, regclass[]) TO regress_restore_owner;
SET ROLE regress_restore_owner;
CREATE TABLE mine (id int PRIMARY KEY, v text);
INSERT INTO mine VALUES (1, 'a'), (2, 'b');
BEGIN;
SELECT safeguard.keep_rows('mine', 'mine');
UPDATE mine SET v = 'secret';
COMMIT;
GRANT ALL ON mine TO regress_restore_other;
SET ROLE regress_restore_other;
SELECT safeguard.restore_rows('mine');
SET ROLE regress_restore_owner;
-- as for any statement of the owner
REVOKE UPDATE ON mine FROM regress_restore_owner;
SELECT safeguard.restore_rows('mine');
GRANT UPDATE ON mine TO regress_restore_owner;
ALTER TABLE mine ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT safeguard.restore_rows('mine');
ALTER TABLE mine DISABLE ROW LEVEL SECURITY;
-- operators and functions of others are not called
RESET ROLE;
CREATE SCHEMA restore_trap;
CREATE FUNCTION restore_trap.trap(bytea, bytea) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END';
CREATE OPERATOR restore_trap.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = restore_trap.trap);
CREATE FUNCTION restore_trap.trap(int, int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END';
CREATE OPERATOR restore_trap.= (LEFTARG = int, RIGHTARG = int, FUNCTION = restore_trap.trap);
CREATE FUNCTION restore_trap.trap(bigint, bigint) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END';
CREATE OPERATOR restore_trap.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = restore_trap.trap);
CREATE FUNCTION restore_trap.row_number() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END';
SET search_path = restore_trap, restore_rows, pg_catalog;
SELECT safeguard.restore_rows('mine', 'restore_rows.mine'::pg_catalog.regclass);
SET search_path = restore_rows, public;
TABLE mine;
-- what the owner has done to the kept rows
SELECT kept_table AS kept FROM safeguard.kept WHERE label = 'mine@restored-1' \gset
SET ROLE regress_restore_owner;
BEGIN;
UPDATE safeguard_rows.:kept SET sg_change = NULL, sg_image = NULL;
SELECT safeguard.restore_rows('mine@restored-1');
UPDATE safeguard_rows.:kept SET sg_statement = NULL;
SELECT safeguard.restore_rows('mine@restored-1');
ROLLBACK;
ALTER TABLE safeguard_rows.:kept DROP sg_image;
SELECT safeguard.restore_rows('mine@restored-1');
DROP TABLE safeguard_rows.:kept;
SELECT safeguard.restore_rows('mine@restored-1');
RESET ROLE;

\set VERBOSITY terse
SET client_min_messages = warning;
SELECT count(safeguard.drop_kept_rows(label)) > 50 AS dropped FROM (SELECT DISTINCT label FROM safeguard.kept) l;
DROP SCHEMA restore_rows, restore_trap CASCADE;
DROP OWNED BY regress_restore_owner, regress_restore_other;
DROP ROLE regress_restore_owner, regress_restore_other;
