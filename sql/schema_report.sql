--
-- safeguard.schema_report: each problem, and what looks like it and is none
--
CREATE SCHEMA report;
SET search_path = report;
-- what makes the problems is other rules' matter
SET safeguard.max_level = record;
SET safeguard.constraint_bypass = off;
CREATE FUNCTION told(deep bool DEFAULT false, schema name DEFAULT 'report')
RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('%s | %s | %s | %s', severity, object, problem, regexp_replace(hint, '_[ac]_\d+', '_N', 'g'))
      FROM safeguard.schema_report(schema, deep)
     WHERE object !~ '^(role|database|all roles|server|this session)'
$$;
SELECT told();

-- primary keys
CREATE TABLE no_key (a int, "B c" text);
CREATE TABLE no_key_but_id (id int NOT NULL);
CREATE TABLE has_unique (a int NOT NULL UNIQUE);
CREATE TABLE has_key (a int PRIMARY KEY);
CREATE TABLE partitioned (a int) PARTITION BY LIST (a);
CREATE TABLE partitioned_1 PARTITION OF partitioned FOR VALUES IN (1);
CREATE TABLE partitioned_2 PARTITION OF partitioned FOR VALUES IN (2);
CREATE TEMP TABLE temporary_no_key (a int);
SELECT * FROM safeguard.schema_report('report');
DROP TABLE no_key, no_key_but_id, has_unique, partitioned, temporary_no_key;

-- nullable columns of keys; with deep, NULLs in them
CREATE TABLE nullable (id int PRIMARY KEY, a int, b int NOT NULL, CONSTRAINT nullable_key UNIQUE (a, b));
CREATE TABLE nullable_index (id int PRIMARY KEY, a int);
CREATE UNIQUE INDEX ON nullable_index (a);
CREATE TABLE not_distinct (id int PRIMARY KEY, a int, UNIQUE NULLS NOT DISTINCT (a));
CREATE TABLE partial_key (id int PRIMARY KEY, a int);
CREATE UNIQUE INDEX ON partial_key (a) WHERE a IS NOT NULL;
CREATE TABLE expression_key (id int PRIMARY KEY, a text);
CREATE UNIQUE INDEX ON expression_key (lower(a));
SELECT told();
INSERT INTO nullable VALUES (1, NULL, 1), (2, NULL, 1), (3, 1, 1);
INSERT INTO nullable_index VALUES (1, NULL);
SELECT * FROM safeguard.schema_report('report', true);
DROP TABLE nullable, nullable_index, not_distinct, partial_key, expression_key;

-- columns that hardly tell rows apart, with deep only
CREATE TABLE constant (tenant int, id int, PRIMARY KEY (tenant, id));
INSERT INTO constant SELECT 1, i FROM generate_series(1, 200) i;
CREATE TABLE systems (system int, id int, PRIMARY KEY (system, id));
INSERT INTO systems SELECT i % 6, i / 6 FROM generate_series(1, 200) i;
CREATE TABLE few_rows (tenant int, id int, PRIMARY KEY (tenant, id));
INSERT INTO few_rows SELECT 1, i FROM generate_series(1, 20) i;
SELECT told();
SELECT * FROM safeguard.schema_report('report', true);
DROP TABLE constant, systems, few_rows;

-- incident 2: patches that are known by a column that is no key
CREATE TABLE supported_patches (update_id int PRIMARY KEY, patch_id int NOT NULL, title text);
CREATE TABLE categories (id int PRIMARY KEY, "Category_ID" text);
-- incident 3: a summary without the key of its groups
CREATE TABLE http_error_summary (
    id serial PRIMARY KEY, host text NOT NULL, status_code int NOT NULL, error_type text NOT NULL, count int NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(), last_seen timestamptz NOT NULL);
SELECT * FROM safeguard.schema_report('report');
ALTER TABLE supported_patches ADD UNIQUE (patch_id);
ALTER TABLE categories ADD UNIQUE ("Category_ID", id);
ALTER TABLE http_error_summary ADD UNIQUE (host, status_code);
-- references, with and without a foreign key; parts of keys; history
CREATE TABLE roles (id int PRIMARY KEY);
CREATE TABLE user_roles (id int PRIMARY KEY, role_id int NOT NULL, user_id int NOT NULL);
CREATE TABLE "Cities" (id int PRIMARY KEY);
CREATE TABLE user_cities (id int PRIMARY KEY, city_id int NOT NULL);
CREATE TABLE old_roles (id int PRIMARY KEY, role_id int NOT NULL REFERENCES roles);
CREATE INDEX ON old_roles (role_id);
CREATE TABLE order_items (order_id int, item_id int, PRIMARY KEY (order_id, item_id));
CREATE TABLE events (id serial PRIMARY KEY, host text NOT NULL, count int NOT NULL, at timestamptz NOT NULL);
CREATE TABLE visit_stats (day date, host text, count int, PRIMARY KEY (day, host));
SELECT * FROM told() WHERE told LIKE '%missing unique%';
SELECT told();
DROP TABLE supported_patches, categories, http_error_summary, roles, user_roles, "Cities", user_cities, old_roles, order_items, events, visit_stats;

-- indexes: invalid ones, foreign keys without one
CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b));
CREATE TABLE bare (id int PRIMARY KEY, a int, b int, FOREIGN KEY (a, b) REFERENCES parent);
CREATE TABLE partly (id int PRIMARY KEY, a int, b int, FOREIGN KEY (a, b) REFERENCES parent);
CREATE INDEX ON partly (a, id, b);
CREATE INDEX ON partly (a, b) WHERE id > 10;
CREATE TABLE indexed (id int PRIMARY KEY, a int, b int, FOREIGN KEY (a, b) REFERENCES parent);
CREATE INDEX ON indexed (b, a, id);
CREATE TABLE sparse (id int PRIMARY KEY, "Key a" int REFERENCES has_key);
CREATE INDEX ON sparse ("Key a") WHERE "Key a" IS NOT NULL;
CREATE TABLE dup (id int PRIMARY KEY, a int NOT NULL);
INSERT INTO dup VALUES (1, 1), (2, 1);
CREATE UNIQUE INDEX CONCURRENTLY "Dup key" ON dup (a);
SELECT * FROM safeguard.schema_report('report');
DROP TABLE bare, partly, indexed, sparse, dup;

-- constraints: not validated, deferrable, disabled
CREATE TABLE child (id int PRIMARY KEY, a int, b int, n int);
CREATE INDEX ON child (a, b);
INSERT INTO child VALUES (1, 1, 1, 1), (2, 1, 1, 1), (3, 2, NULL, 1);
ALTER TABLE child ADD CONSTRAINT fresh FOREIGN KEY (a, b) REFERENCES parent NOT VALID,
    ADD CONSTRAINT "N small" CHECK (n < 10) NOT VALID;
CREATE TABLE deferred (a int PRIMARY KEY DEFERRABLE, b int NOT NULL, UNIQUE (b) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE late (id int PRIMARY KEY, a int REFERENCES has_key DEFERRABLE INITIALLY DEFERRED);
CREATE INDEX ON late (a);
SELECT * FROM safeguard.schema_report('report');
SELECT * FROM told(true) WHERE told LIKE '%orphan%';
DELETE FROM child WHERE id < 3;
ALTER TABLE child VALIDATE CONSTRAINT fresh, VALIDATE CONSTRAINT "N small";
DROP TABLE deferred;
SELECT told(true);
ALTER TABLE child DISABLE TRIGGER ALL;
ALTER TABLE has_key DISABLE TRIGGER ALL;
SELECT told();
ALTER TABLE child ENABLE TRIGGER ALL;
ALTER TABLE has_key ENABLE TRIGGER ALL;
DROP TABLE child, late;

-- 18 has constraints that are declared, but not enforced
DO $$
BEGIN
    EXECUTE 'ALTER TABLE has_key ADD CONSTRAINT loose CHECK (a > 0)'
            || CASE WHEN current_setting('server_version_num')::int >= 180000 THEN ' NOT ENFORCED' ELSE '' END;
END $$;
SELECT (current_setting('server_version_num')::int >= 180000)
       = EXISTS (SELECT FROM told() WHERE told LIKE 'error | loose on report.has\_key | constraint not enforced | ALTER TABLE%ADD CONSTRAINT loose CHECK ((a > 0));') AS told;
ALTER TABLE has_key DROP CONSTRAINT loose;

-- triggers
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER "Off" AFTER INSERT ON has_key EXECUTE FUNCTION nothing();
CREATE TRIGGER replica AFTER INSERT ON has_key EXECUTE FUNCTION nothing();
CREATE TRIGGER always AFTER INSERT ON has_key EXECUTE FUNCTION nothing();
CREATE TRIGGER as_usual AFTER INSERT ON has_key EXECUTE FUNCTION nothing();
ALTER TABLE has_key DISABLE TRIGGER "Off", ENABLE REPLICA TRIGGER replica, ENABLE ALWAYS TRIGGER always;
SELECT * FROM safeguard.schema_report('report');
DROP FUNCTION nothing() CASCADE;

-- sequences
CREATE TABLE small (id smallserial PRIMARY KEY);
SELECT setval('small_id_seq', 30000);
CREATE SEQUENCE wide;
CREATE TABLE narrow (id int PRIMARY KEY DEFAULT nextval('wide'));
SELECT setval('wide', 2147483647);
CREATE TABLE ident (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, big bigint DEFAULT 1);
ALTER SEQUENCE ident_id_seq AS bigint NO MAXVALUE;
SELECT setval('ident_id_seq', 2000000000);
CREATE SEQUENCE down INCREMENT -1 MINVALUE -10;
SELECT setval('down', -9);
-- look-alikes: far from the end, starts again, nothing given out, bigint column
CREATE TABLE half (id smallserial PRIMARY KEY);
SELECT setval('half_id_seq', 16000);
CREATE SEQUENCE round MAXVALUE 10 CYCLE;
SELECT setval('round', 10);
CREATE SEQUENCE unused AS smallint START 32000;
CREATE TABLE wide_enough (id bigserial PRIMARY KEY);
SELECT setval('wide_enough_id_seq', 2147483647);
SELECT * FROM safeguard.schema_report('report');
-- the DDL mends it
SELECT hint FROM safeguard.schema_report('report') \gexec
SELECT told();
DROP TABLE small, narrow, ident, half, wide_enough;
DROP SEQUENCE wide, down, round, unused;

-- inherited columns follow their parent's; domains are what they are made of
CREATE TABLE z_root (id serial, a int, PRIMARY KEY (id, a)) PARTITION BY LIST (a);
CREATE TABLE a_part PARTITION OF z_root DEFAULT;
SELECT setval('z_root_id_seq', 2147483000);
CREATE TABLE z_parent (id serial PRIMARY KEY);
CREATE TABLE a_child () INHERITS (z_parent);
SELECT setval('z_parent_id_seq', 2147483000);
CREATE DOMAIN number AS int;
CREATE DOMAIN number_of_number AS number;
CREATE SEQUENCE of_domain;
CREATE TABLE numbered (id number_of_number PRIMARY KEY DEFAULT nextval('of_domain'));
SELECT setval('of_domain', 2147483000);
SELECT * FROM told() WHERE told ~ 'sequence';
SELECT hint FROM safeguard.schema_report('report') WHERE problem ~ 'sequence' \gexec
SELECT * FROM told() WHERE told ~ 'sequence';
DROP TABLE z_root, z_parent, a_child, numbered;
DROP DOMAIN number_of_number, number;
DROP SEQUENCE of_domain;

-- a hint is a command that does not fail, and what it is given for is gone
CREATE TABLE key_include (id int PRIMARY KEY, a int, x int, CONSTRAINT "Key k" UNIQUE (a) INCLUDE (x));
INSERT INTO key_include VALUES (1, NULL, 1);
CREATE TABLE key_referenced (id int PRIMARY KEY, a int, CONSTRAINT key_referenced_a UNIQUE (a));
INSERT INTO key_referenced VALUES (1, NULL);
CREATE TABLE key_referring (id int PRIMARY KEY, a int UNIQUE NOT NULL REFERENCES key_referenced (a));
CREATE TABLE key_index (id int PRIMARY KEY, a int);
CREATE UNIQUE INDEX ON key_index (a DESC);
INSERT INTO key_index VALUES (1, NULL);
CREATE TABLE key_incomplete (id int NOT NULL, a int NOT NULL) PARTITION BY LIST (id);
CREATE TABLE key_incomplete_1 PARTITION OF key_incomplete FOR VALUES IN (1);
ALTER TABLE ONLY key_incomplete ADD CONSTRAINT "Not k" PRIMARY KEY (id);
CREATE INDEX incomplete ON ONLY key_incomplete (a);
SELECT * FROM safeguard.schema_report('report', true);
SELECT hint FROM safeguard.schema_report('report', true) \gexec
SELECT told(true);
DROP TABLE key_include, key_referring, key_referenced, key_index, key_incomplete;
-- rows that are the same have to go first
CREATE TABLE key_twice (id int PRIMARY KEY, a int, UNIQUE (a));
INSERT INTO key_twice VALUES (1, NULL), (2, NULL);
SELECT * FROM safeguard.schema_report('report', true);
DROP TABLE key_twice;
-- look-alike: some of the columns are a key without NULLs
CREATE TABLE key_more (id int PRIMARY KEY, a int, b int, UNIQUE (id, a), UNIQUE NULLS NOT DISTINCT (b), UNIQUE (a, b));
SELECT told();
DROP TABLE key_more;

-- where no command can be given for sure: children, no order, partition keys
CREATE TABLE has_children (a int);
CREATE TABLE is_child (PRIMARY KEY (a)) INHERITS (has_children);
CREATE TABLE json_id (id json);
CREATE TABLE text_id (id text);
CREATE TABLE patches (update_id int, patch_id int, d date, PRIMARY KEY (update_id, d)) PARTITION BY RANGE (d);
CREATE TABLE hit_counts (id serial PRIMARY KEY, host text NOT NULL, count int) PARTITION BY HASH (id);
SELECT told();
DROP TABLE has_children, is_child, json_id, text_id, patches, hit_counts;

-- a thousand partitions are one row
CREATE TABLE root (id int, a int REFERENCES has_key, PRIMARY KEY (id)) PARTITION BY RANGE (id);
SELECT format('CREATE TABLE root_%s PARTITION OF root FOR VALUES FROM (%s) TO (%s)', i, i, i + 1)
  FROM generate_series(1, 20) i \gexec
INSERT INTO has_key VALUES (1);
INSERT INTO root SELECT i, 1 FROM generate_series(1, 20) i;
SELECT * FROM safeguard.schema_report('report', true);
CREATE INDEX ON root (a);
ALTER TABLE root_3 DISABLE TRIGGER ALL;
ALTER TABLE root_4 DISABLE TRIGGER ALL;
ALTER TABLE has_key DISABLE TRIGGER ALL;
DELETE FROM has_key;
SELECT told(true);
DROP TABLE root;
ALTER TABLE has_key ENABLE TRIGGER ALL;

-- settings that switch enforcement off
SET client_min_messages = error;
DROP ROLE IF EXISTS "regress_sg_Loader";
DROP ROLE IF EXISTS regress_sg_reader;
RESET client_min_messages;
CREATE ROLE "regress_sg_Loader";
CREATE ROLE regress_sg_reader;
ALTER ROLE "regress_sg_Loader" SET session_replication_role = 'REPLICA';
ALTER ROLE regress_sg_reader SET session_replication_role = local;
SET session_replication_role = replica;
SELECT * FROM safeguard.schema_report('report') WHERE object ~ 'session|regress_sg';
RESET session_replication_role;
SELECT hint FROM safeguard.schema_report('report') WHERE object ~ 'regress_sg' \gexec
SELECT * FROM safeguard.schema_report('report') WHERE object ~ 'session|regress_sg';

-- who may not use a schema is told nothing about it; data of others stays closed
CREATE TABLE hidden (a int REFERENCES has_key);
INSERT INTO has_key VALUES (1);
INSERT INTO hidden VALUES (1);
SET ROLE regress_sg_reader;
SELECT * FROM safeguard.schema_report() WHERE object LIKE '%report%';
SELECT * FROM safeguard.schema_report('report', true);
RESET ROLE;
GRANT USAGE ON SCHEMA report TO regress_sg_reader;
SET ROLE regress_sg_reader;
SELECT told(true);
RESET ROLE;
GRANT SELECT ON hidden, has_key TO regress_sg_reader;
ALTER TABLE has_key DISABLE TRIGGER ALL;
DELETE FROM has_key;
ALTER TABLE has_key ENABLE TRIGGER ALL;
SET ROLE regress_sg_reader;
SELECT * FROM told(true) WHERE told ~ 'orphan|not examined';
RESET ROLE;
ALTER TABLE has_key ENABLE ROW LEVEL SECURITY;
SET ROLE regress_sg_reader;
SELECT * FROM told(true) WHERE told ~ 'orphan|not examined';
RESET ROLE;
SELECT * FROM told(true) WHERE told ~ 'orphan|not examined';
DROP TABLE hidden;

-- foreign tables, views, objects of extensions
CREATE FOREIGN DATA WRAPPER regress_sg_nothing;
CREATE SERVER regress_sg_nowhere FOREIGN DATA WRAPPER regress_sg_nothing;
CREATE FOREIGN TABLE remote (patch_id int) SERVER regress_sg_nowhere;
CREATE TABLE sharded (patch_id int) PARTITION BY LIST (patch_id);
CREATE FOREIGN TABLE shard PARTITION OF sharded FOR VALUES IN (1) SERVER regress_sg_nowhere;
CREATE VIEW seen AS SELECT 1 AS seen_id;
CREATE TABLE member (a int);
ALTER EXTENSION safeguard ADD TABLE member;
SELECT told(true);
SELECT told(true, 'safeguard');
SELECT told(true, 'pg_catalog');
ALTER EXTENSION safeguard DROP TABLE member;
SELECT told();
DROP TABLE member;
DROP FOREIGN DATA WRAPPER regress_sg_nothing CASCADE;
DROP TABLE sharded;

-- broken definitions do not end the report
BEGIN;
CREATE TABLE broken (id serial PRIMARY KEY, a int REFERENCES has_key, UNIQUE (a) DEFERRABLE);
DELETE FROM pg_attrdef WHERE adrelid = 'broken'::regclass;
DELETE FROM pg_sequence WHERE seqrelid = 'broken_id_seq'::regclass;
DELETE FROM pg_index WHERE indrelid = 'has_key'::regclass;
SELECT told();
ROLLBACK;

-- names in the caller's search path are not taken for the server's
CREATE FUNCTION format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS 'SELECT (1/0)::text';
CREATE VIEW pg_class AS SELECT 1 / 0 AS oid;
CREATE TABLE no_key (a int);
SET search_path = report, pg_catalog;
SELECT object, problem FROM safeguard.schema_report('report');
RESET search_path;

-- what cannot be asked
SELECT * FROM safeguard.schema_report('Nowhere');
SELECT * FROM safeguard.schema_report('-');
SELECT * FROM safeguard.schema_report('2200');
SELECT count(*) > 0 FROM safeguard.schema_report(NULL, NULL);

SET client_min_messages = warning;
DROP SCHEMA report CASCADE;
DROP ROLE "regress_sg_Loader";
DROP ROLE regress_sg_reader;
