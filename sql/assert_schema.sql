--
-- safeguard.assert_schema: foreign keys are enforced, and the schema is the
-- expected one
--
SET client_min_messages = error;
DROP ROLE IF EXISTS regress_sg_assert;
CREATE ROLE regress_sg_assert;
CREATE SCHEMA assert;
GRANT USAGE ON SCHEMA assert TO regress_sg_assert;

CREATE FUNCTION pg_temp.says(schema name, fingerprint text DEFAULT NULL, version text DEFAULT NULL)
RETURNS TABLE (code text, message text, detail text, hint text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM safeguard.assert_schema(fingerprint, version, schema);
    code := 'silent';
    RETURN NEXT;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    detail := regexp_replace(detail, '[0-9a-f]{64}', '...', 'g');
    RETURN NEXT;
END
$$;
\x

-- nothing there
SELECT * FROM pg_temp.says('no such schema');
SELECT * FROM pg_temp.says(NULL);
SELECT * FROM pg_temp.says('assert');
CREATE TEMP TABLE only_temporary (id int);
CREATE VIEW assert.only_view AS SELECT 1 AS id;
SELECT * FROM pg_temp.says('assert');

-- all is well
CREATE TABLE assert.parent (id int PRIMARY KEY);
CREATE TABLE assert.child (id int CONSTRAINT child_parent REFERENCES assert.parent, at int) PARTITION BY RANGE (at);
CREATE TABLE assert.child_1 PARTITION OF assert.child FOR VALUES FROM (0) TO (10);
SELECT * FROM pg_temp.says('assert');
SELECT safeguard.assert_schema(schema => 'assert');
SELECT safeguard.schema_fingerprint('assert') AS fingerprint \gset
SELECT * FROM pg_temp.says('assert', :'fingerprint');

-- another fingerprint
SELECT * FROM pg_temp.says('assert', 'something');
BEGIN;
ALTER TABLE assert.child ADD more int;
SELECT * FROM pg_temp.says('assert', :'fingerprint');
ROLLBACK;

-- foreign keys that are not enforced
BEGIN;
CREATE TABLE assert.other (id int);
ALTER TABLE assert.other ADD CONSTRAINT later FOREIGN KEY (id) REFERENCES assert.parent NOT VALID;
SELECT * FROM pg_temp.says('assert');
ALTER TABLE assert.other VALIDATE CONSTRAINT later;
SELECT * FROM pg_temp.says('assert');
ALTER TABLE assert.other DISABLE TRIGGER ALL;
SELECT * FROM pg_temp.says('assert');
ALTER TABLE assert.other ENABLE TRIGGER ALL;
SELECT * FROM pg_temp.says('assert');
ROLLBACK;
-- of a partition, and on the side that is referred to
BEGIN;
ALTER TABLE assert.child_1 DISABLE TRIGGER ALL;
SELECT * FROM pg_temp.says('assert');
ROLLBACK;
BEGIN;
ALTER TABLE assert.parent DISABLE TRIGGER ALL;
SELECT * FROM pg_temp.says('assert');
ROLLBACK;
-- of a partition in another schema than its root: of both
BEGIN;
CREATE SCHEMA assert_parts;
CREATE TABLE assert_parts.child_2 PARTITION OF assert.child FOR VALUES FROM (10) TO (20);
SELECT * FROM pg_temp.says('assert_parts');
ALTER TABLE assert_parts.child_2 DISABLE TRIGGER ALL;
SELECT * FROM pg_temp.says('assert_parts');
SELECT * FROM pg_temp.says('assert');
ROLLBACK;
-- the hint enables nothing that somebody has disabled for a reason
BEGIN;
CREATE FUNCTION assert.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t BEFORE INSERT ON assert.child_1 FOR EACH ROW EXECUTE FUNCTION assert.t();
ALTER TABLE assert.child_1 DISABLE TRIGGER ALL;
SELECT code, regexp_replace(hint, '_c_\d+', '_c_N', 'g') AS hint FROM pg_temp.says('assert');
SELECT hint AS mend FROM pg_temp.says('assert') \gset
:mend
SELECT * FROM pg_temp.says('assert');
SELECT tgenabled FROM pg_trigger WHERE tgrelid = 'assert.child_1'::regclass AND tgname = 't';
ROLLBACK;
-- a trigger of one's own is none
BEGIN;
CREATE FUNCTION assert.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t BEFORE INSERT ON assert.parent FOR EACH ROW EXECUTE FUNCTION assert.t();
ALTER TABLE assert.parent DISABLE TRIGGER t;
SELECT * FROM pg_temp.says('assert');
ROLLBACK;

-- more than can be shown
BEGIN;
DO $$
BEGIN
    FOR i IN 10 .. 21 LOOP
        EXECUTE format('CREATE TABLE assert.many_%s (id int)', i);
        EXECUTE format('ALTER TABLE assert.many_%s ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES assert.parent NOT VALID', i);
    END LOOP;
END
$$;
SELECT * FROM pg_temp.says('assert');
ROLLBACK;

-- session_replication_role, here and where it comes from
SET session_replication_role = replica;
SELECT * FROM pg_temp.says('assert');
SET session_replication_role = local;
SELECT * FROM pg_temp.says('assert');
RESET session_replication_role;
BEGIN;
ALTER ROLE regress_sg_assert SET session_replication_role = replica;
SELECT * FROM pg_temp.says('assert');
SET LOCAL ROLE regress_sg_assert;
SELECT * FROM pg_temp.says('assert');
ROLLBACK;
BEGIN;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET session_replication_role = replica', current_database()); END $$;
SELECT code, replace(detail, current_database(), 'DB') AS detail, replace(hint, current_database(), 'DB') AS hint
  FROM pg_temp.says('assert');
ROLLBACK;

-- the version
BEGIN;
SELECT code, replace(message, safeguard.schema_version(), 'FOUND') AS message, detail, hint
  FROM pg_temp.says('assert', NULL, 'no such version');
ROLLBACK;
SELECT * FROM pg_temp.says('assert', :'fingerprint', safeguard.schema_version());

-- an ordinary role may ask
SET ROLE regress_sg_assert;
SELECT * FROM pg_temp.says('assert', :'fingerprint');
RESET ROLE;

DROP SCHEMA assert CASCADE;
DROP ROLE regress_sg_assert;
