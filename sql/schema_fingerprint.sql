--
-- safeguard.schema_objects, schema_fingerprint, schema_diff
--
SET client_min_messages = error;
\a
DROP ROLE IF EXISTS regress_sg_fp_owner, regress_sg_fp_app, regress_sg_fp_nobody;
CREATE ROLE regress_sg_fp_owner;
CREATE ROLE regress_sg_fp_app;
CREATE ROLE regress_sg_fp_nobody;

-- the columns are a contract
SELECT proname, proargnames, proallargtypes::regtype[], prorettype::regtype, pg_get_expr(proargdefaults, 0) AS defaults
  FROM pg_proc
 WHERE pronamespace = 'safeguard'::regnamespace
   AND proname IN ('schema_fingerprint', 'schema_objects', 'schema_diff', 'assert_schema')
 ORDER BY proname;

CREATE SCHEMA fp;
CREATE SCHEMA fp_other;
CREATE TYPE fp.mood AS ENUM ('low', 'high');
CREATE TYPE fp.pair AS (a int, b text);
CREATE DOMAIN fp.amount AS numeric(10,2) DEFAULT 0 CONSTRAINT positive CHECK (VALUE >= 0);
CREATE TYPE fp.span AS RANGE (subtype = timestamptz);
CREATE SEQUENCE fp.numbers;
CREATE TABLE fp.host (
    id serial PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT host_name UNIQUE,
    since timestamptz NOT NULL DEFAULT '2020-02-01 00:00:00+00',
    wait interval DEFAULT '1 day 02:00',
    state fp.mood
);
CREATE TABLE fp.error (
    id bigint GENERATED ALWAYS AS IDENTITY,
    host int NOT NULL CONSTRAINT error_host REFERENCES fp.host,
    code int NOT NULL CONSTRAINT code_range CHECK (code BETWEEN 100 AND 599),
    twice int GENERATED ALWAYS AS (code * 2) STORED,
    cost fp.amount,
    CONSTRAINT error_key UNIQUE (host, code)
);
CREATE INDEX error_code ON fp.error (code) WHERE code > 500;
CREATE STATISTICS fp.error_stats ON host, code FROM fp.error;
CREATE VIEW fp.bad AS SELECT id, code FROM fp.error e WHERE code > 500;
CREATE VIEW fp.by_host WITH (security_barrier) AS SELECT h.name, count(*) AS n FROM fp.error e JOIN fp.host h ON h.id = e.host GROUP BY h.name;
CREATE MATERIALIZED VIEW fp.codes AS SELECT DISTINCT code FROM fp.error;
CREATE FUNCTION fp.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION fp.plus(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE PROCEDURE fp.nothing() LANGUAGE sql AS '';
CREATE AGGREGATE fp.total(int) (SFUNC = int4_sum, STYPE = bigint);
CREATE TRIGGER touch BEFORE INSERT ON fp.error FOR EACH ROW EXECUTE FUNCTION fp.touch();
CREATE RULE quiet AS ON DELETE TO fp.bad DO INSTEAD NOTHING;
ALTER TABLE fp.host ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_host ON fp.host FOR SELECT TO regress_sg_fp_app USING (name = CURRENT_USER);
GRANT SELECT, INSERT ON fp.error TO regress_sg_fp_app;
GRANT UPDATE (code) ON fp.error TO regress_sg_fp_app;
REVOKE EXECUTE ON FUNCTION fp.plus FROM PUBLIC;
GRANT ALL ON fp.host TO regress_sg_fp_app WITH GRANT OPTION;
CREATE TABLE fp.part (id int NOT NULL, at date NOT NULL, host int REFERENCES fp.host) PARTITION BY RANGE (at);
CREATE TABLE fp.part_2020 PARTITION OF fp.part FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE fp.part_rest PARTITION OF fp.part DEFAULT;
CREATE INDEX part_at ON fp.part (at);
CREATE TABLE fp.child (more text) INHERITS (fp.host);
CREATE FOREIGN DATA WRAPPER regress_sg_fdw;
CREATE SERVER regress_sg_server FOREIGN DATA WRAPPER regress_sg_fdw;
CREATE FOREIGN TABLE fp.far (id int OPTIONS (column_name 'nr')) SERVER regress_sg_server OPTIONS (b '((x AND y) AND z)', a '1');
CREATE OPERATOR fp.#<# (FUNCTION = int4lt, LEFTARG = int, RIGHTARG = int);
CREATE TEXT SEARCH CONFIGURATION fp.words (COPY = simple);

SELECT object, definition FROM safeguard.schema_objects('fp');
SELECT count(*) > 50 AS many, count(DISTINCT object) = count(*) AS no_object_twice, bool_and(hash ~ '^[0-9a-f]{64}$') AS hashed
  FROM safeguard.schema_objects('fp');
SELECT safeguard.schema_fingerprint('fp') ~ '^[0-9a-f]{64}$' AS hashed,
       safeguard.schema_fingerprint('fp') = safeguard.schema_fingerprint('fp') AS same;

--
-- What differs after a command, which is taken back
--
CREATE TEMP TABLE remembered AS
    SELECT safeguard.schema_fingerprint('fp') AS fingerprint, jsonb_agg(o) AS objects FROM safeguard.schema_objects('fp') o;
CREATE FUNCTION pg_temp.differs(command text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    before text := (SELECT fingerprint FROM pg_temp.remembered);
    objects jsonb := (SELECT r.objects FROM pg_temp.remembered r);
    result text[];
BEGIN
    BEGIN
        EXECUTE command;
        result := ARRAY(SELECT difference || ' ' || object FROM safeguard.schema_diff(objects, 'fp'));
        IF (safeguard.schema_fingerprint('fp') = before) <> (result = '{}') THEN
            result := result || 'BUT the fingerprint says otherwise'::text;
        END IF;
        RAISE EXCEPTION 'take it back' USING ERRCODE = 'SG999';
    EXCEPTION WHEN SQLSTATE 'SG999' THEN
    END;
    RETURN QUERY SELECT unnest(CASE WHEN result = '{}' THEN '{nothing}' ELSE result END);
END
$$;

-- D: each of these is a difference
SELECT c AS command, d AS difference FROM unnest(ARRAY[
    'ALTER TABLE fp.error DROP CONSTRAINT error_key',
    'ALTER TABLE fp.error RENAME CONSTRAINT error_key TO other_key',
    'ALTER TABLE fp.error DROP CONSTRAINT error_host, ADD CONSTRAINT error_host FOREIGN KEY (host) REFERENCES fp.host ON DELETE CASCADE',
    'ALTER TABLE fp.error DROP CONSTRAINT error_host, ADD CONSTRAINT error_host FOREIGN KEY (host) REFERENCES fp.host NOT VALID',
    'ALTER TABLE fp.error ALTER CONSTRAINT error_host DEFERRABLE',
    'ALTER TABLE fp.error DROP CONSTRAINT code_range, ADD CONSTRAINT code_range CHECK (code BETWEEN 100 AND 600)',
    'ALTER TABLE fp.host DISABLE TRIGGER ALL',
    'ALTER TABLE fp.error DISABLE TRIGGER ALL',
    'ALTER TABLE fp.error DISABLE TRIGGER touch',
    'ALTER TABLE fp.error ENABLE ALWAYS TRIGGER touch',
    'ALTER TABLE fp.part_2020 DISABLE TRIGGER ALL',
    'DO $d$ BEGIN EXECUTE (SELECT format(''ALTER TABLE fp.error ENABLE ALWAYS TRIGGER %I'', tgname) FROM pg_trigger WHERE tgrelid = ''fp.error''::regclass AND tgisinternal LIMIT 1); END $d$',
    'DROP TRIGGER touch ON fp.error',
    'CREATE INDEX ON fp.error (cost)',
    'DROP INDEX fp.error_code; CREATE INDEX error_code ON fp.error (code) WHERE code > 400',
    'UPDATE pg_index SET indisvalid = false WHERE indexrelid = ''fp.error_code''::regclass',
    'UPDATE pg_index SET indisvalid = false WHERE indexrelid = ''fp.error_key''::regclass',
    'ALTER TABLE fp.error ALTER code SET DEFAULT 500',
    'ALTER TABLE fp.host ALTER since DROP DEFAULT',
    'ALTER TABLE fp.host ALTER since DROP NOT NULL',
    'ALTER TABLE fp.host ALTER wait TYPE text',
    'ALTER TABLE fp.error ALTER id SET GENERATED BY DEFAULT',
    'ALTER TABLE fp.error ALTER id SET INCREMENT 2',
    'ALTER TABLE fp.error ALTER twice DROP EXPRESSION',
    'ALTER TABLE fp.error ADD more int',
    'ALTER TABLE fp.error SET UNLOGGED',
    'ALTER TABLE fp.error REPLICA IDENTITY FULL',
    'ALTER TYPE fp.pair ADD ATTRIBUTE c int',
    'ALTER TYPE fp.mood RENAME VALUE ''low'' TO ''bad''',
    'ALTER TYPE fp.mood ADD VALUE ''mid'' BEFORE ''high''',
    'ALTER DOMAIN fp.amount DROP CONSTRAINT positive',
    'ALTER DOMAIN fp.amount SET DEFAULT 1',
    'ALTER DOMAIN fp.amount SET NOT NULL',
    'ALTER SEQUENCE fp.numbers CYCLE',
    'CREATE OR REPLACE VIEW fp.bad AS SELECT id, code FROM fp.error e WHERE code > 501',
    'ALTER VIEW fp.bad SET (security_barrier)',
    'ALTER VIEW fp.bad ALTER code SET DEFAULT 7',
    'ALTER VIEW fp.bad RENAME code TO status',
    'DROP MATERIALIZED VIEW fp.codes',
    'CREATE OR REPLACE FUNCTION fp.plus(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE AS ''SELECT a + b''',
    'ALTER FUNCTION fp.plus STABLE',
    'ALTER FUNCTION fp.plus SECURITY DEFINER',
    'ALTER FUNCTION fp.plus SET work_mem = 1024',
    'CREATE OR REPLACE AGGREGATE fp.total(int) (SFUNC = int4_sum, STYPE = bigint, INITCOND = 0)',
    'DROP STATISTICS fp.error_stats',
    'DROP RULE quiet ON fp.bad',
    'ALTER TABLE fp.host DISABLE ROW LEVEL SECURITY',
    'ALTER TABLE fp.host FORCE ROW LEVEL SECURITY',
    'ALTER POLICY own_host ON fp.host USING (true)',
    'ALTER POLICY own_host ON fp.host TO PUBLIC',
    'GRANT DELETE ON fp.error TO regress_sg_fp_app',
    'GRANT SELECT ON fp.error TO PUBLIC',
    'REVOKE INSERT ON fp.error FROM regress_sg_fp_app',
    'REVOKE UPDATE (code) ON fp.error FROM regress_sg_fp_app',
    'REVOKE GRANT OPTION FOR ALL ON fp.host FROM regress_sg_fp_app',
    'GRANT EXECUTE ON FUNCTION fp.plus TO PUBLIC',
    'REVOKE USAGE ON TYPE fp.mood FROM PUBLIC',
    'GRANT USAGE ON SEQUENCE fp.numbers TO regress_sg_fp_app',
    'GRANT USAGE ON SCHEMA fp TO regress_sg_fp_app',
    'ALTER DEFAULT PRIVILEGES IN SCHEMA fp GRANT SELECT ON TABLES TO regress_sg_fp_app',
    'ALTER TABLE fp.part DETACH PARTITION fp.part_2020',
    'ALTER TABLE fp.part DETACH PARTITION fp.part_2020; ALTER TABLE fp.part ATTACH PARTITION fp.part_2020 FOR VALUES FROM (''2019-01-01'') TO (''2021-01-01'')',
    'ALTER TABLE fp.child NO INHERIT fp.host',
    'ALTER FOREIGN TABLE fp.far OPTIONS (SET a ''3'')',
    'ALTER FOREIGN TABLE fp.far OPTIONS (SET b ''(x AND y AND z)'')',
    'ALTER FOREIGN TABLE fp.far ALTER id OPTIONS (SET column_name ''no'')',
    'ALTER OPERATOR fp.#<# (int, int) SET (RESTRICT = scalarltsel)',
    'ALTER TEXT SEARCH CONFIGURATION fp.words DROP MAPPING FOR email'
]) WITH ORDINALITY u (c, n), pg_temp.differs(c) d ORDER BY n, d COLLATE "C";

-- E: none of these is
SELECT c AS command, d AS difference FROM unnest(ARRAY[
    'INSERT INTO fp.host (name) VALUES (''a''), (''b''); ANALYZE fp.host; REFRESH MATERIALIZED VIEW fp.codes',
    'SELECT nextval(''fp.numbers'')',
    'ALTER SEQUENCE fp.numbers RESTART 7',
    'ALTER TABLE fp.error ADD dropped int; ALTER TABLE fp.error DROP dropped',
    'ALTER TABLE fp.host DROP wait; ALTER TABLE fp.host ADD wait interval DEFAULT ''1 day 02:00''',
    'ALTER TABLE fp.error DROP CONSTRAINT error_key; ALTER TABLE fp.error ADD CONSTRAINT error_key UNIQUE (host, code)',
    'DROP INDEX fp.error_code; CREATE INDEX error_code ON fp.error (code) WHERE code > 500',
    'CREATE TEMP TABLE host (id int) ON COMMIT DROP; ALTER TABLE pg_temp.host RENAME TO error; CREATE INDEX ON pg_temp.error (id)',
    'CREATE TABLE fp_other.host (id int)',
    'COMMENT ON TABLE fp.host IS ''said''',
    'ALTER TABLE fp.host CLUSTER ON host_pkey',
    'ALTER TABLE fp.host ALTER name SET STATISTICS 500',
    'ALTER TABLE fp.host SET (fillfactor = 70)',
    'ALTER TABLE fp.error OWNER TO regress_sg_fp_owner',
    'ALTER FUNCTION fp.plus OWNER TO regress_sg_fp_owner',
    'GRANT SELECT, INSERT ON fp.error TO regress_sg_fp_app',
    'GRANT ALL ON fp.numbers TO CURRENT_USER',
    'GRANT DELETE ON fp.error TO regress_sg_fp_app; REVOKE DELETE ON fp.error FROM regress_sg_fp_app',
    'GRANT USAGE ON SCHEMA fp TO regress_sg_fp_app; REVOKE USAGE ON SCHEMA fp FROM regress_sg_fp_app',
    'ALTER DEFAULT PRIVILEGES IN SCHEMA fp GRANT SELECT ON TABLES TO regress_sg_fp_app; ALTER DEFAULT PRIVILEGES IN SCHEMA fp REVOKE SELECT ON TABLES FROM regress_sg_fp_app',
    'REVOKE EXECUTE ON FUNCTION fp.touch FROM PUBLIC; GRANT EXECUTE ON FUNCTION fp.touch TO PUBLIC',
    'ALTER TABLE fp.error DISABLE TRIGGER touch; ALTER TABLE fp.error ENABLE TRIGGER touch',
    'CREATE ROLE regress_sg_fp_more',
    'SET search_path = fp, pg_temp, pg_catalog',
    'SET quote_all_identifiers = on; SET DateStyle = ''SQL, DMY''; SET IntervalStyle = iso_8601; SET TimeZone = ''Asia/Tokyo''; SET standard_conforming_strings = off',
    'SET ROLE regress_sg_fp_nobody'
]) WITH ORDINALITY u (c, n), pg_temp.differs(c) d ORDER BY n, d COLLATE "C";

-- an extension stands for what it has made
BEGIN;
CREATE TABLE fp.of_extension (id int PRIMARY KEY);
CREATE FUNCTION fp.of_extension() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE fp.of_extension_type AS ENUM ('a');
ALTER EXTENSION plpgsql ADD TABLE fp.of_extension;
ALTER EXTENSION plpgsql ADD FUNCTION fp.of_extension();
ALTER EXTENSION plpgsql ADD TYPE fp.of_extension_type;
SELECT object, definition FROM safeguard.schema_objects('fp') WHERE definition ~ 'extension' OR object ~ 'extension';
UPDATE remembered SET fingerprint = safeguard.schema_fingerprint('fp'),
    objects = (SELECT jsonb_agg(o) FROM safeguard.schema_objects('fp') o);
SELECT * FROM pg_temp.differs('ALTER TABLE fp.of_extension ADD more int');
SELECT * FROM pg_temp.differs('UPDATE pg_extension SET extversion = ''9'' WHERE extname = ''plpgsql''');
ROLLBACK;

-- what is broken stands for itself
BEGIN;
CREATE FUNCTION fp.lost() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
UPDATE pg_proc SET prolang = 4711 WHERE oid = 'fp.lost'::regproc;
UPDATE pg_class SET relowner = 4711 WHERE oid = 'fp.error'::regclass;
DELETE FROM pg_foreign_server WHERE srvname = 'regress_sg_server';
CREATE TYPE fp.shell;
SELECT object, definition FROM safeguard.schema_objects('fp') WHERE object ~ 'lost|far$|shell';
SELECT safeguard.schema_fingerprint('fp') IS NOT NULL AS told;
ROLLBACK;

-- in another order of creation, with dropped columns
CREATE SCHEMA order1;
CREATE TABLE order1.a (x int PRIMARY KEY, y text NOT NULL, z int DEFAULT 3);
CREATE TABLE order1.b (x int REFERENCES order1.a, y int);
CREATE VIEW order1.v AS SELECT y, x FROM order1.a WHERE z > 0;
CREATE INDEX i ON order1.a (y);
CREATE UNIQUE INDEX j ON order1.a (z, x);
SELECT safeguard.schema_fingerprint('order1') AS first \gset
DROP SCHEMA order1 CASCADE;
CREATE SCHEMA order1;
CREATE TABLE order1.b (y int, gone int, x int);
CREATE TABLE order1.a (gone int, z int, y text, x int);
CREATE UNIQUE INDEX j ON order1.a (z, x);
CREATE INDEX i ON order1.a (y);
ALTER TABLE order1.a DROP gone, ALTER y SET NOT NULL, ADD PRIMARY KEY (x), ALTER z SET DEFAULT 3;
ALTER TABLE order1.b DROP gone, ADD FOREIGN KEY (x) REFERENCES order1.a;
CREATE VIEW order1.v AS SELECT y, x FROM order1.a WHERE z > 0;
SELECT safeguard.schema_fingerprint('order1') = :'first' AS same;

-- the three words of a difference
SELECT jsonb_agg(o) AS objects FROM safeguard.schema_objects('order1') o \gset
DROP INDEX order1.i;
CREATE TABLE order1.c (x int);
ALTER TABLE order1.b ALTER y TYPE bigint;
SELECT * FROM safeguard.schema_diff(:'objects', 'order1');
SELECT * FROM safeguard.schema_diff((SELECT jsonb_agg(o) FROM safeguard.schema_objects('order1') o), 'order1');

-- an ordinary role sees the same
SET ROLE regress_sg_fp_nobody;
SELECT object, difference FROM safeguard.schema_diff(:'objects', 'order1');
RESET ROLE;

-- what cannot be answered
SELECT safeguard.schema_fingerprint('no such schema');
SELECT * FROM safeguard.schema_objects(NULL);
SELECT * FROM safeguard.schema_diff(NULL, 'fp');
SELECT * FROM safeguard.schema_diff('{}', 'fp');
SELECT * FROM safeguard.schema_diff('7', 'fp');
SELECT * FROM safeguard.schema_diff('[]', 'fp');
SELECT * FROM safeguard.schema_diff('["a"]', 'fp');
SELECT * FROM safeguard.schema_diff('[{"object": "table a", "definition": "TABLE"}]', 'fp');
SELECT * FROM safeguard.schema_diff('[{"object": "table a", "definition": null, "hash": "x"}]', 'fp');
SELECT object FROM safeguard.schema_objects('fp_other');

-- the SQL surface has no function that writes or runs what it is given
SELECT safeguard.view_text('fp.host'::regclass) IS NULL AS no_view, safeguard.view_text(0) IS NULL AS nothing;

DROP SCHEMA fp, fp_other, order1 CASCADE;
DROP FOREIGN DATA WRAPPER regress_sg_fdw CASCADE;
DROP ROLE regress_sg_fp_owner, regress_sg_fp_app, regress_sg_fp_nobody;
