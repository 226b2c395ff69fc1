-- Who numbers a column is asked of many catalog rows, remembered, and forgotten
-- when it changes: of a column, and of all members of a tree.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA key_remembered;
SET search_path = key_remembered;
CREATE TABLE reading (system_id int NOT NULL, id int NOT NULL, v int,
	PRIMARY KEY (system_id, id));

-- rejected: id is a part of the key; a second time, what is remembered
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
-- accepted: a sequence numbers it
CREATE SEQUENCE numbers OWNED BY reading.id;
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
-- rejected: another column's, which changes no relation
ALTER SEQUENCE numbers OWNED BY reading.v;
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
-- what a transaction has made is forgotten with it
BEGIN;
ALTER SEQUENCE numbers OWNED BY reading.id;
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
ROLLBACK;
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
ALTER SEQUENCE numbers OWNED BY reading.id;
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);
DROP SEQUENCE numbers;
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);

-- accepted: one sequence for all partitions
CREATE TABLE parted (system_id int, id serial, v int,
	PRIMARY KEY (system_id, id)) PARTITION BY LIST (system_id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
UPDATE parted SET v = 0 WHERE id IN (SELECT p.id FROM parted p WHERE p.system_id = 1);
UPDATE parted SET v = 0 WHERE id IN (SELECT p.id FROM parted p WHERE p.system_id = 1);
-- rejected: another one in a partition that has come since
CREATE TABLE parted_2 (system_id int NOT NULL, id serial, v int);
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES IN (2);
UPDATE parted SET v = 0 WHERE id IN (SELECT p.id FROM parted p WHERE p.system_id = 1);
UPDATE parted SET v = 0 WHERE id IN (SELECT p.id FROM parted p WHERE p.system_id = 1);
-- accepted: its bound is the rest of the key
UPDATE parted_1 SET v = 0 WHERE id IN (SELECT p.id FROM parted p WHERE p.system_id = 1);
-- accepted: that one draws from the same
ALTER TABLE parted_2 ALTER id SET DEFAULT nextval('parted_id_seq');
UPDATE parted SET v = 0 WHERE id IN (SELECT p.id FROM parted p WHERE p.system_id = 1);
ALTER TABLE parted_2 ALTER id SET DEFAULT nextval('parted_2_id_seq');
UPDATE parted SET v = 0 WHERE id IN (SELECT p.id FROM parted p WHERE p.system_id = 1);
-- accepted: it has gone
ALTER TABLE parted DETACH PARTITION parted_2;
UPDATE parted SET v = 0 WHERE id IN (SELECT p.id FROM parted p WHERE p.system_id = 1);

-- Bounded: more columns than are remembered
SELECT count(*) > 0 AS some FROM pg_backend_memory_contexts WHERE name = 'safeguard columns';
SET safeguard.composite_key = record;
DO $$
BEGIN
	FOR i IN 1..300 LOOP
		EXECUTE format('CREATE TABLE many_%s (a int, b int, v int, PRIMARY KEY (a, b))', i);
		EXECUTE format('UPDATE many_%1$s SET v = 0 WHERE b IN (SELECT m.b FROM many_%1$s m WHERE m.a = 1)', i);
	END LOOP;
END
$$;
SELECT sum(total_bytes) < 32 * 1024 AS bounded FROM pg_backend_memory_contexts WHERE name = 'safeguard columns';
RESET safeguard.composite_key;
UPDATE reading SET v = 0 WHERE id IN (SELECT r.id FROM reading r WHERE r.system_id = 1);

-- UNION arms, ORs and VALUES that are looked at in short are judged all the same
UPDATE reading SET v = 0 WHERE id IN (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT r.id FROM reading r WHERE r.system_id = 1);
UPDATE reading t SET v = 0 FROM (VALUES (1, 2), (3, 4), (5, 6)) x (system_id, id) WHERE t.id = x.id;
UPDATE reading t SET v = 0 FROM (VALUES (1, 2), (3, 4), (5, 6)) x (system_id, id) WHERE t.id = x.id AND t.system_id = x.system_id;
UPDATE reading t SET v = 0 FROM reading o, LATERAL (VALUES (1, 2), (3, o.id)) x (a, b) WHERE t.id = x.b AND o.system_id = 1;
UPDATE reading t SET v = 0 WHERE (t.id IN (SELECT r.id FROM reading r WHERE r.system_id = 1) AND t.system_id = 1)
	OR (t.id IN (SELECT r.id FROM reading r WHERE r.system_id = 1) AND t.v = 1);

RESET client_min_messages;
RESET search_path;
SET client_min_messages = error;
DROP SCHEMA key_remembered CASCADE;
