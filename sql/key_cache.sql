-- What is known of keys is kept from one statement to the next, and forgotten
-- when they change.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA key_cache;
SET search_path = key_cache;
CREATE TABLE reading (system_id int NOT NULL, id int NOT NULL, v int,
	PRIMARY KEY (system_id, id));
PREPARE part AS UPDATE reading SET v = 0
	WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);

-- rejected: id is a part of the key
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
EXECUTE part;
-- accepted: it is a key by itself
CREATE UNIQUE INDEX reading_id ON reading (id);
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
EXECUTE part;
-- rejected again
DROP INDEX reading_id;
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
EXECUTE part;

-- what a transaction has made is forgotten with it
BEGIN;
ALTER TABLE reading ADD UNIQUE (id);
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
ROLLBACK;
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
BEGIN;
SAVEPOINT s;
ALTER TABLE reading DROP CONSTRAINT reading_pkey;
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
ROLLBACK TO s;
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
ROLLBACK;

-- a deferrable key identifies nothing
ALTER TABLE reading ADD CONSTRAINT reading_id UNIQUE (id) DEFERRABLE;
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
ALTER TABLE reading DROP CONSTRAINT reading_id, ADD CONSTRAINT reading_id UNIQUE (id);
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);

-- a key that becomes valid with its last part: the index changes, the table
-- does not
CREATE TABLE parted (id int NOT NULL, system_id int NOT NULL, v int,
	PRIMARY KEY (system_id, id)) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1, 2, 3);
CREATE UNIQUE INDEX parted_id ON ONLY parted (id);
CREATE UNIQUE INDEX parted_1_id ON parted_1 (id);
UPDATE parted SET v = 0 WHERE id IN (SELECT r.id FROM parted r WHERE r.system_id = 1);
ALTER INDEX parted_id ATTACH PARTITION parted_1_id;
UPDATE parted SET v = 0 WHERE id IN (SELECT r.id FROM parted r WHERE r.system_id = 1);

-- a foreign key, and none
CREATE TABLE system (a int, b int, PRIMARY KEY (a, b));
CREATE TABLE loose (a int, b int, v int);
UPDATE loose SET v = 0 WHERE b IN (SELECT l.b FROM loose l WHERE l.a = 1);
ALTER TABLE loose ADD CONSTRAINT loose_system FOREIGN KEY (a, b) REFERENCES system;
UPDATE loose SET v = 0 WHERE b IN (SELECT l.b FROM loose l WHERE l.a = 1);
ALTER TABLE loose DROP CONSTRAINT loose_system;
UPDATE loose SET v = 0 WHERE b IN (SELECT l.b FROM loose l WHERE l.a = 1);

-- a source whose foreign keys are asked for before its keys; once more with
-- what the first statement has kept
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE source (system_id int REFERENCES parent, id int);
CREATE TABLE member (system_id int NOT NULL, id int NOT NULL, v int,
	PRIMARY KEY (system_id, id));
UPDATE member m SET v = 0 FROM source s WHERE m.id = s.id;
UPDATE member m SET v = 0 FROM source s WHERE m.id = s.id;
DELETE FROM member m USING source s WHERE m.id = s.id;
-- accepted: the key is compared
UPDATE member m SET v = 0 FROM source s WHERE m.id = s.id AND m.system_id = s.system_id;

-- a name that is another table by now
ALTER TABLE reading RENAME TO reading_old;
CREATE TABLE reading (system_id int NOT NULL, id int PRIMARY KEY, v int);
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
DROP TABLE reading;
CREATE TABLE reading (system_id int NOT NULL, id int NOT NULL, v int,
	PRIMARY KEY (system_id, id));
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);

-- Once read it is kept: statements that ask again add nothing
UPDATE member m SET v = 0 FROM source s WHERE m.id = s.id;
SELECT sum(used_bytes) AS kept FROM pg_backend_memory_contexts
 WHERE name = 'safeguard relations' \gset
UPDATE member m SET v = 0 FROM source s WHERE m.id = s.id;
DELETE FROM member m USING source s WHERE m.id = s.id;
SELECT sum(used_bytes) = :kept AND :kept > 500 AS kept FROM pg_backend_memory_contexts
 WHERE name = 'safeguard relations';
-- a foreign key of the source is forgotten, with all the rest
ALTER TABLE source DROP CONSTRAINT source_system_id_fkey;
SELECT coalesce(sum(used_bytes), 0) < :kept AS forgotten FROM pg_backend_memory_contexts
 WHERE name = 'safeguard relations';
UPDATE member m SET v = 0 FROM source s WHERE m.id = s.id;

-- More than there is room for: 60 tables, each with a long predicate
SET safeguard.composite_key = record;
DO $$
BEGIN
	FOR i IN 1..60 LOOP
		EXECUTE format('CREATE TABLE wide_%s (a int, b int, v int, PRIMARY KEY (a, b))', i);
		EXECUTE format('CREATE UNIQUE INDEX ON wide_%s (b) WHERE v IN (%s)', i,
			(SELECT string_agg('1', ',') FROM generate_series(1, 600)));
	END LOOP;
END
$$;
UPDATE wide_1 SET v = 0 WHERE b IN (SELECT w.b FROM wide_1 w WHERE w.a = 1);
SELECT sum(used_bytes) * 60 > 1.5 * 1024 * 1024 AS too_much FROM pg_backend_memory_contexts
 WHERE name = 'safeguard relations';
DO $$
BEGIN
	FOR i IN 1..60 LOOP
		EXECUTE format('UPDATE wide_%1$s SET v = 0 WHERE b IN (SELECT w.b FROM wide_%1$s w WHERE w.a = 1)', i);
	END LOOP;
END
$$;
SELECT sum(total_bytes) BETWEEN 10000 AND 1.5 * 1024 * 1024 AS bounded FROM pg_backend_memory_contexts
 WHERE name ~ '^safeguard relations';
RESET safeguard.composite_key;
UPDATE wide_1 SET v = 0 WHERE b IN (SELECT w.b FROM wide_1 w WHERE w.a = 1);
UPDATE member m SET v = 0 FROM source s WHERE m.id = s.id;

-- Forgotten in the middle of being read, where the server can be told so
SELECT set_config('debug_discard_caches', least(max_val::int, 1)::text, false) IS NOT NULL AS set
  FROM pg_settings WHERE name = 'debug_discard_caches';
UPDATE member m SET v = 0 FROM source s WHERE m.id = s.id;
UPDATE member m SET v = 0 FROM source s WHERE m.id = s.id AND m.system_id = s.system_id;
UPDATE parted SET v = 0 WHERE id IN (SELECT r.id FROM parted r WHERE r.system_id = 1);
EXECUTE part;
RESET debug_discard_caches;

DEALLOCATE part;
RESET client_min_messages;
RESET search_path;
SET client_min_messages = error;
DROP SCHEMA key_cache CASCADE;
