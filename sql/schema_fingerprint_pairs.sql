--
-- safeguard.schema_diff names what a command changed, and nothing else: one
-- change of each kind, and what looks like one and is none
--
SET client_min_messages = error;
SET safeguard.max_level = record;
\a
DROP ROLE IF EXISTS regress_sg_fpp_app, regress_sg_fpp_boss;
CREATE ROLE regress_sg_fpp_app;
CREATE ROLE regress_sg_fpp_boss;
CREATE SCHEMA fpp;
CREATE SCHEMA fpp_other;
CREATE TABLE fpp.a (id int PRIMARY KEY, k int NOT NULL, v text, w varchar(10), r int4range, CONSTRAINT a_k UNIQUE (k), CONSTRAINT a_kv UNIQUE (k, v) DEFERRABLE, CONSTRAINT a_ex EXCLUDE USING gist (r WITH &&), CONSTRAINT a_c CHECK (k > 0));
CREATE TABLE fpp.b (id int PRIMARY KEY, a int, k int, v text, CONSTRAINT b_a FOREIGN KEY (a) REFERENCES fpp.a ON DELETE CASCADE, CONSTRAINT b_two FOREIGN KEY (k) REFERENCES fpp.a (k), CONSTRAINT b_c CHECK (k > 0) NO INHERIT);
CREATE INDEX b_v ON fpp.b (v);
CREATE INDEX b_s ON fpp.b (k DESC NULLS LAST) INCLUDE (id) WITH (fillfactor = 80) WHERE k > 5;
CREATE INDEX b_hash ON fpp.b USING hash (v);
CREATE SEQUENCE fpp.s;
CREATE DOMAIN fpp.d AS text CHECK (VALUE <> '') ;
CREATE TYPE fpp.e AS ENUM ('x', 'y');
CREATE TYPE fpp.comp AS (a int, b text);
CREATE FUNCTION fpp.f(a int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT a';
CREATE FUNCTION fpp.g(a int) RETURNS SETOF int LANGUAGE sql BEGIN ATOMIC SELECT a WHERE a > 1; END;
CREATE FUNCTION fpp.tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t BEFORE INSERT ON fpp.b FOR EACH ROW WHEN (NEW.k > 1) EXECUTE FUNCTION fpp.tf('x');
CREATE CONSTRAINT TRIGGER ct AFTER INSERT ON fpp.b DEFERRABLE FOR EACH ROW EXECUTE FUNCTION fpp.tf();
CREATE VIEW fpp.v AS SELECT id, v FROM fpp.a WHERE k > 1;
CREATE MATERIALIZED VIEW fpp.m AS SELECT k FROM fpp.a;
CREATE RULE ru AS ON INSERT TO fpp.v DO INSTEAD NOTHING;
CREATE POLICY po ON fpp.a FOR SELECT TO regress_sg_fpp_app USING (k > 1);
CREATE STATISTICS fpp.st (ndistinct, dependencies) ON k, v FROM fpp.a;
CREATE OPERATOR fpp.=== (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int);
CREATE AGGREGATE fpp.ag(int) (SFUNC = int4_sum, STYPE = bigint);
CREATE COLLATION fpp.co (provider = icu, locale = 'de');
CREATE TABLE fpp.pt (id int NOT NULL, d date) PARTITION BY RANGE (d);
CREATE TABLE fpp.pt1 PARTITION OF fpp.pt FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE fpp.h (id int NOT NULL) PARTITION BY HASH (id);
CREATE TABLE fpp.par (id int); CREATE TABLE fpp.chi () INHERITS (fpp.par);
CREATE TEXT SEARCH CONFIGURATION fpp.tc (COPY = simple);
CREATE TEXT SEARCH DICTIONARY fpp.td (TEMPLATE = simple, stopwords = english);
CREATE TABLE fpp.typed OF fpp.comp;
CREATE TABLE fpp.id (id int GENERATED ALWAYS AS IDENTITY, g int GENERATED ALWAYS AS (3) STORED);
-- what the server prints of these it prints in another way after it has read
-- that text, as it does when a dump is restored
CREATE DOMAIN fpp.text_d AS varchar(5) CONSTRAINT text_one CHECK (VALUE IN ('a', 'b') AND VALUE BETWEEN 'a' AND 'b' AND VALUE <> 'c');
CREATE TABLE fpp.text (v varchar(5), i int, b bool,
    CONSTRAINT t_in CHECK (v IN ('a', 'b') AND i BETWEEN 1 AND 2 AND b),
    CONSTRAINT t_first CHECK (i BETWEEN 1 AND 2 AND b AND v NOT IN ('(', '''x''')),
    CONSTRAINT t_or CHECK (i NOT BETWEEN 1 AND 2 OR b),
    CONSTRAINT t_mixed CHECK ((i BETWEEN 1 AND 2 OR b) AND (b OR (i > 1 OR i < 0))),
    CONSTRAINT t_array CHECK (ARRAY[ARRAY['a', v], ARRAY[v, 'b']]::text[] <> '{}'),
    CONSTRAINT t_typmod CHECK (v = ANY (ARRAY['a', 'b']::varchar(3)[])),
    CONSTRAINT t_quoted CHECK (v <> '((a AND b) AND c) (ARRAY[x])::text[]'),
    CONSTRAINT t_case CHECK (CASE WHEN v IN ('a', 'b') THEN i BETWEEN 1 AND 2 AND b ELSE b END));
CREATE INDEX text_i ON fpp.text ((i BETWEEN 1 AND 2 AND b)) WHERE v IN ('a', 'b');
CREATE STATISTICS fpp.text_s ON (v IN ('a', 'b')), (i BETWEEN 1 AND 2 AND b) FROM fpp.text;
CREATE VIEW fpp.text_v AS SELECT v, count(*) FILTER (WHERE v IN ('a', 'b')) OVER (ORDER BY i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS n FROM fpp.text WHERE v IN ('a', 'b') OR i BETWEEN 1 AND 2 AND b;
CREATE RULE text_r AS ON UPDATE TO fpp.text WHERE new.v IN ('a', 'b') DO ALSO SELECT 1 WHERE new.i BETWEEN 1 AND 2 AND old.b;
CREATE TRIGGER text_t BEFORE INSERT ON fpp.text FOR EACH ROW WHEN (NEW.v IN ('a', 'b') AND NEW.i BETWEEN 1 AND 2 AND NEW.b) EXECUTE FUNCTION fpp.tf();
CREATE FUNCTION fpp.text_f(v varchar, i int) RETURNS bool LANGUAGE sql RETURN v IN ('a', 'b') OR i NOT BETWEEN 1 AND 2 OR i = 7;
CREATE POLICY text_p ON fpp.text USING (v IN ('a', 'b') OR i NOT BETWEEN 1 AND 2 OR b);

CREATE TEMP TABLE remembered AS
    SELECT safeguard.schema_fingerprint('fpp') AS fingerprint, jsonb_agg(o) AS objects FROM safeguard.schema_objects('fpp') o;
CREATE FUNCTION pg_temp.differs(command text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    before text := (SELECT fingerprint FROM pg_temp.remembered);
    objects jsonb := (SELECT r.objects FROM pg_temp.remembered r);
    result text[];
BEGIN
    BEGIN
        EXECUTE command;
        result := ARRAY(SELECT difference || ' ' || object FROM safeguard.schema_diff(objects, 'fpp'));
        IF (safeguard.schema_fingerprint('fpp') = before) <> (result = '{}') THEN
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
    $c$ALTER TABLE fpp.a DROP CONSTRAINT a_k CASCADE$c$,
    $c$ALTER TABLE fpp.a DISABLE TRIGGER ALL$c$,
    $c$ALTER TABLE fpp.a DROP CONSTRAINT a_kv, ADD CONSTRAINT a_kv UNIQUE (k, v)$c$,
    $c$ALTER TABLE fpp.a DROP CONSTRAINT a_kv, ADD CONSTRAINT a_kv UNIQUE (k, v) DEFERRABLE INITIALLY DEFERRED$c$,
    $c$ALTER TABLE fpp.a DROP CONSTRAINT a_kv, ADD CONSTRAINT a_kv UNIQUE NULLS NOT DISTINCT (k, v) DEFERRABLE$c$,
    $c$ALTER TABLE fpp.a DROP CONSTRAINT a_kv, ADD CONSTRAINT a_kv UNIQUE (k, v) INCLUDE (w) DEFERRABLE$c$,
    $c$ALTER TABLE fpp.a DROP CONSTRAINT a_kv, ADD CONSTRAINT a_kv UNIQUE (v, k) DEFERRABLE$c$,
    $c$ALTER TABLE fpp.a DROP CONSTRAINT a_ex, ADD CONSTRAINT a_ex EXCLUDE USING gist (r WITH =)$c$,
    $c$ALTER TABLE fpp.a DROP CONSTRAINT a_ex, ADD CONSTRAINT a_ex EXCLUDE USING gist (r WITH &&) WHERE (k > 1)$c$,
    $c$ALTER TABLE fpp.a DROP CONSTRAINT a_c, ADD CONSTRAINT a_c CHECK (k > 0) NOT VALID$c$,
    $c$ALTER TABLE fpp.a DROP CONSTRAINT a_c, ADD CONSTRAINT a_c CHECK (k >= 0)$c$,
    $c$ALTER TABLE fpp.a DROP CONSTRAINT a_c, ADD CONSTRAINT a_c CHECK (k > 0) NO INHERIT$c$,
    $c$ALTER TABLE fpp.b DROP CONSTRAINT b_a, ADD CONSTRAINT b_a FOREIGN KEY (a) REFERENCES fpp.a ON DELETE SET NULL$c$,
    $c$ALTER TABLE fpp.b DROP CONSTRAINT b_a, ADD CONSTRAINT b_a FOREIGN KEY (a) REFERENCES fpp.a ON DELETE CASCADE ON UPDATE CASCADE$c$,
    $c$ALTER TABLE fpp.b DROP CONSTRAINT b_a, ADD CONSTRAINT b_a FOREIGN KEY (a) REFERENCES fpp.a ON DELETE CASCADE NOT VALID$c$,
    $c$ALTER TABLE fpp.b DROP CONSTRAINT b_a, ADD CONSTRAINT b_a FOREIGN KEY (a) REFERENCES fpp.a (k) ON DELETE CASCADE$c$,
    $c$ALTER TABLE fpp.b ALTER CONSTRAINT b_a DEFERRABLE INITIALLY DEFERRED$c$,
    $c$ALTER TABLE fpp.b DROP CONSTRAINT b_two$c$,
    $c$ALTER TABLE fpp.b DISABLE TRIGGER ALL$c$,
    $c$ALTER TABLE fpp.b DISABLE TRIGGER USER$c$,
    $c$ALTER TABLE fpp.b ENABLE REPLICA TRIGGER t$c$,
    $c$ALTER TABLE fpp.b ENABLE ALWAYS TRIGGER t$c$,
    $c$ALTER TABLE fpp.b DISABLE TRIGGER ct$c$,
    $c$DROP TRIGGER t ON fpp.b; CREATE TRIGGER t BEFORE INSERT ON fpp.b FOR EACH ROW WHEN (NEW.k > 2) EXECUTE FUNCTION fpp.tf('x')$c$,
    $c$DROP TRIGGER t ON fpp.b; CREATE TRIGGER t BEFORE INSERT ON fpp.b FOR EACH ROW WHEN (NEW.k > 1) EXECUTE FUNCTION fpp.tf('y')$c$,
    $c$DROP TRIGGER t ON fpp.b; CREATE TRIGGER t BEFORE INSERT OR UPDATE OF k ON fpp.b FOR EACH ROW WHEN (NEW.k > 1) EXECUTE FUNCTION fpp.tf('x')$c$,
    $c$DROP TRIGGER t ON fpp.b; CREATE TRIGGER t AFTER INSERT ON fpp.b FOR EACH ROW WHEN (NEW.k > 1) EXECUTE FUNCTION fpp.tf('x')$c$,
    $c$DROP TRIGGER t ON fpp.b; CREATE TRIGGER t BEFORE INSERT ON fpp.b FOR EACH STATEMENT EXECUTE FUNCTION fpp.tf('x')$c$,
    $c$DROP INDEX fpp.b_v; CREATE INDEX b_v ON fpp.b (v text_pattern_ops)$c$,
    $c$DROP INDEX fpp.b_v; CREATE INDEX b_v ON fpp.b (v COLLATE "C")$c$,
    $c$DROP INDEX fpp.b_v; CREATE INDEX b_v ON fpp.b (v DESC)$c$,
    $c$DROP INDEX fpp.b_v; CREATE INDEX b_v ON fpp.b (v NULLS FIRST)$c$,
    $c$DROP INDEX fpp.b_v; CREATE UNIQUE INDEX b_v ON fpp.b (v)$c$,
    $c$DROP INDEX fpp.b_v; CREATE UNIQUE INDEX b_v ON fpp.b (v) NULLS NOT DISTINCT$c$,
    $c$DROP INDEX fpp.b_v; CREATE INDEX b_v ON fpp.b (lower(v))$c$,
    $c$DROP INDEX fpp.b_v; CREATE INDEX b_v ON fpp.b (v) INCLUDE (k)$c$,
    $c$DROP INDEX fpp.b_v; CREATE INDEX b_v ON fpp.b (v) WHERE k > 1$c$,
    $c$DROP INDEX fpp.b_v; CREATE INDEX b_v ON fpp.b (v) WITH (deduplicate_items = off)$c$,
    $c$DROP INDEX fpp.b_v; CREATE INDEX b_v ON fpp.b USING hash (v)$c$,
    $c$UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'fpp.b_v'::regclass$c$,
    $c$ALTER INDEX fpp.b_v RENAME TO b_vv$c$,
    $c$ALTER INDEX fpp.b_s SET (fillfactor = 70)$c$,
    $c$ALTER INDEX fpp.a_k SET (fillfactor = 70)$c$,
    $c$ALTER TABLE fpp.a ALTER v SET DEFAULT 'x'$c$,
    $c$ALTER TABLE fpp.a ALTER v SET NOT NULL$c$,
    $c$ALTER TABLE fpp.a ALTER w TYPE varchar(11)$c$,
    $c$ALTER TABLE fpp.a ALTER w TYPE text$c$,
    $c$ALTER TABLE fpp.a ALTER w TYPE varchar(10) COLLATE "C"$c$,
    $c$ALTER TABLE fpp.a RENAME v TO vv$c$,
    $c$ALTER TABLE fpp.id ALTER id SET GENERATED BY DEFAULT$c$,
    $c$ALTER TABLE fpp.id ALTER id DROP IDENTITY$c$,
    $c$ALTER TABLE fpp.id ALTER id SET START 5$c$,
    $c$ALTER TABLE fpp.id ALTER id SET CACHE 5$c$,
    $c$ALTER TABLE fpp.id DROP g, ADD g int GENERATED ALWAYS AS (4) STORED$c$,
    $c$ALTER TABLE fpp.id ALTER g DROP EXPRESSION$c$,
    $c$ALTER TABLE fpp.a ENABLE ROW LEVEL SECURITY$c$,
    $c$ALTER TABLE fpp.a FORCE ROW LEVEL SECURITY$c$,
    $c$ALTER POLICY po ON fpp.a USING (k > 2)$c$,
    $c$ALTER POLICY po ON fpp.a TO regress_sg_fpp_boss$c$,
    $c$ALTER POLICY po ON fpp.a RENAME TO pp$c$,
    $c$DROP POLICY po ON fpp.a; CREATE POLICY po ON fpp.a AS RESTRICTIVE FOR SELECT TO regress_sg_fpp_app USING (k > 1)$c$,
    $c$DROP POLICY po ON fpp.a; CREATE POLICY po ON fpp.a TO regress_sg_fpp_app USING (k > 1)$c$,
    $c$DROP POLICY po ON fpp.a; CREATE POLICY po ON fpp.a TO regress_sg_fpp_app USING (k > 1) WITH CHECK (k > 1)$c$,
    $c$ALTER TYPE fpp.e ADD VALUE 'z'$c$,
    $c$DROP TYPE fpp.e; CREATE TYPE fpp.e AS ENUM ('y', 'x')$c$,
    $c$ALTER TYPE fpp.comp ADD ATTRIBUTE c int CASCADE$c$,
    $c$ALTER TYPE fpp.comp ALTER ATTRIBUTE a TYPE bigint CASCADE$c$,
    $c$ALTER DOMAIN fpp.d SET DEFAULT 'q'$c$,
    $c$ALTER DOMAIN fpp.d SET NOT NULL$c$,
    $c$ALTER DOMAIN fpp.d ADD CHECK (VALUE <> 'b') NOT VALID$c$,
    $c$DROP DOMAIN fpp.d; CREATE DOMAIN fpp.d AS text COLLATE "C" CHECK (VALUE <> '')$c$,
    $c$DROP DOMAIN fpp.d; CREATE DOMAIN fpp.d AS varchar(5) CHECK (VALUE <> '')$c$,
    $c$DROP COLLATION fpp.co; CREATE COLLATION fpp.co (provider = icu, locale = 'en')$c$,
    $c$DROP COLLATION fpp.co; CREATE COLLATION fpp.co (provider = icu, locale = 'de', deterministic = false)$c$,
    $c$ALTER VIEW fpp.v SET (security_invoker = true)$c$,
    $c$CREATE OR REPLACE VIEW fpp.v AS SELECT id, v FROM fpp.a WHERE k > 2$c$,
    $c$ALTER RULE ru ON fpp.v RENAME TO ra$c$,
    $c$DROP RULE ru ON fpp.v; CREATE RULE ru AS ON INSERT TO fpp.v DO ALSO NOTHING$c$,
    $c$CREATE OR REPLACE FUNCTION fpp.f(a int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT a + 1'$c$,
    $c$ALTER FUNCTION fpp.f SECURITY DEFINER$c$,
    $c$ALTER FUNCTION fpp.f IMMUTABLE$c$,
    $c$ALTER FUNCTION fpp.f STRICT$c$,
    $c$ALTER FUNCTION fpp.f LEAKPROOF$c$,
    $c$ALTER FUNCTION fpp.f PARALLEL SAFE$c$,
    $c$ALTER FUNCTION fpp.f COST 5$c$,
    $c$ALTER FUNCTION fpp.g ROWS 5$c$,
    $c$ALTER FUNCTION fpp.f SET search_path = fpp, public$c$,
    $c$CREATE OR REPLACE FUNCTION fpp.g(a int) RETURNS SETOF int LANGUAGE sql BEGIN ATOMIC SELECT a WHERE a > 2; END$c$,
    $c$DROP AGGREGATE fpp.ag(int); CREATE AGGREGATE fpp.ag(int) (SFUNC = int4_sum, STYPE = bigint, PARALLEL = safe)$c$,
    $c$CREATE OR REPLACE AGGREGATE fpp.ag(int) (SFUNC = int4_sum, STYPE = bigint, INITCOND = '1')$c$,
    $c$DROP OPERATOR fpp.=== (int, int); CREATE OPERATOR fpp.=== (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int, COMMUTATOR = ===)$c$,
    $c$DROP OPERATOR fpp.=== (int, int); CREATE OPERATOR fpp.=== (FUNCTION = int4ne, LEFTARG = int, RIGHTARG = int)$c$,
    $c$GRANT SELECT ON fpp.a TO regress_sg_fpp_app$c$,
    $c$GRANT SELECT (k) ON fpp.a TO regress_sg_fpp_app$c$,
    $c$GRANT SELECT ON fpp.a TO regress_sg_fpp_app WITH GRANT OPTION$c$,
    $c$GRANT USAGE ON SCHEMA fpp TO regress_sg_fpp_app$c$,
    $c$GRANT EXECUTE ON FUNCTION fpp.f TO regress_sg_fpp_app$c$,
    $c$REVOKE EXECUTE ON FUNCTION fpp.f FROM PUBLIC$c$,
    $c$GRANT USAGE ON TYPE fpp.e TO regress_sg_fpp_app$c$,
    $c$GRANT USAGE ON DOMAIN fpp.d TO regress_sg_fpp_app$c$,
    $c$GRANT USAGE ON SEQUENCE fpp.s TO regress_sg_fpp_app$c$,
    $c$ALTER DEFAULT PRIVILEGES IN SCHEMA fpp GRANT SELECT ON TABLES TO regress_sg_fpp_app$c$,
    $c$ALTER DEFAULT PRIVILEGES FOR ROLE regress_sg_fpp_boss IN SCHEMA fpp GRANT EXECUTE ON FUNCTIONS TO regress_sg_fpp_app$c$,
    $c$ALTER TABLE fpp.pt DETACH PARTITION fpp.pt1$c$,
    $c$ALTER TABLE fpp.pt ADD CHECK (id > 1)$c$,
    $c$DROP TABLE fpp.pt1; CREATE TABLE fpp.pt1 PARTITION OF fpp.pt FOR VALUES FROM ('2020-01-01') TO ('2022-01-01')$c$,
    $c$DROP TABLE fpp.pt1; CREATE TABLE fpp.pt1 PARTITION OF fpp.pt DEFAULT$c$,
    $c$DROP TABLE fpp.h; CREATE TABLE fpp.h (id int NOT NULL) PARTITION BY LIST (id)$c$,
    $c$ALTER TABLE fpp.chi NO INHERIT fpp.par$c$,
    $c$ALTER TABLE fpp.par ADD x int$c$,
    $c$ALTER SEQUENCE fpp.s INCREMENT 2$c$,
    $c$ALTER SEQUENCE fpp.s AS int$c$,
    $c$ALTER SEQUENCE fpp.s MAXVALUE 5$c$,
    $c$ALTER SEQUENCE fpp.s CACHE 9$c$,
    $c$ALTER SEQUENCE fpp.s CYCLE$c$,
    $c$ALTER SEQUENCE fpp.s OWNED BY fpp.b.k$c$,
    $c$ALTER SEQUENCE fpp.s START 4$c$,
    $c$ALTER TABLE fpp.a REPLICA IDENTITY FULL$c$,
    $c$ALTER TABLE fpp.a REPLICA IDENTITY USING INDEX a_k$c$,
    $c$ALTER STATISTICS fpp.st RENAME TO st2$c$,
    $c$DROP STATISTICS fpp.st; CREATE STATISTICS fpp.st (ndistinct) ON k, v FROM fpp.a$c$,
    $c$ALTER TEXT SEARCH CONFIGURATION fpp.tc ALTER MAPPING FOR asciiword WITH english_stem$c$,
    $c$ALTER TEXT SEARCH DICTIONARY fpp.td (stopwords = 'danish')$c$,
    $c$ALTER TABLE fpp.typed NOT OF$c$,
    $c$ALTER TABLE fpp.b SET UNLOGGED$c$,
    $c$ALTER SEQUENCE fpp.s SET UNLOGGED$c$,
    $c$ALTER TABLE fpp.a SET SCHEMA fpp_other$c$,
    $c$ALTER TABLE fpp.b DROP CONSTRAINT b_a, ADD CONSTRAINT b_a FOREIGN KEY (a) REFERENCES fpp.a MATCH FULL ON DELETE CASCADE$c$,
    $c$REVOKE DELETE ON fpp.a FROM CURRENT_USER$c$,
    $c$REVOKE USAGE ON SCHEMA fpp FROM CURRENT_USER$c$,
    $c$ALTER TABLE fpp.text DROP CONSTRAINT t_in, ADD CONSTRAINT t_in CHECK (v IN ('a', 'c') AND i BETWEEN 1 AND 2 AND b)$c$,
    $c$ALTER TABLE fpp.text DROP CONSTRAINT t_in, ADD CONSTRAINT t_in CHECK (v IN ('a', 'b') AND (i BETWEEN 1 AND 2 OR b))$c$,
    $c$ALTER TABLE fpp.text DROP CONSTRAINT t_in, ADD CONSTRAINT t_in CHECK ((v IN ('a', 'b') OR i > 2) AND b)$c$,
    $c$ALTER TABLE fpp.text DROP CONSTRAINT t_quoted, ADD CONSTRAINT t_quoted CHECK (v <> '(a AND b AND c) ARRAY[(x)::text]')$c$
]) WITH ORDINALITY u (c, n), pg_temp.differs(c) d ORDER BY n, d COLLATE "C";

-- E: none of these is
SELECT c AS command, d AS difference FROM unnest(ARRAY[
    $c$ALTER TABLE fpp.a ALTER v SET STORAGE EXTERNAL$c$,
    $c$ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO regress_sg_fpp_app$c$,
    $c$ALTER TABLE fpp.a SET (fillfactor = 50)$c$,
    $c$ALTER TABLE fpp.a SET (autovacuum_enabled = off)$c$,
    $c$ALTER TABLE fpp.a SET (user_catalog_table = true)$c$,
    $c$ALTER STATISTICS fpp.st SET STATISTICS 5$c$,
    $c$ALTER TABLE fpp.a OWNER TO regress_sg_fpp_boss$c$,
    $c$COMMENT ON TABLE fpp.a IS 'x'$c$,
    $c$ALTER TABLE fpp.b CLUSTER ON b_v$c$,
    $c$GRANT USAGE ON SCHEMA fpp TO regress_sg_fpp_app; REVOKE USAGE ON SCHEMA fpp FROM regress_sg_fpp_app$c$,
    $c$GRANT SELECT ON fpp.a TO regress_sg_fpp_app; REVOKE SELECT ON fpp.a FROM regress_sg_fpp_app$c$,
    $c$GRANT SELECT (k) ON fpp.a TO regress_sg_fpp_app; REVOKE SELECT (k) ON fpp.a FROM regress_sg_fpp_app$c$,
    $c$GRANT EXECUTE ON FUNCTION fpp.f TO regress_sg_fpp_app; REVOKE EXECUTE ON FUNCTION fpp.f FROM regress_sg_fpp_app$c$,
    $c$GRANT USAGE ON TYPE fpp.e TO regress_sg_fpp_app; REVOKE USAGE ON TYPE fpp.e FROM regress_sg_fpp_app$c$,
    $c$ALTER DEFAULT PRIVILEGES IN SCHEMA fpp GRANT SELECT ON TABLES TO regress_sg_fpp_app; ALTER DEFAULT PRIVILEGES IN SCHEMA fpp REVOKE SELECT ON TABLES FROM regress_sg_fpp_app$c$,
    $c$DO $d$ DECLARE c record; BEGIN FOR c IN SELECT conrelid::regclass AS rel, conname, pg_get_constraintdef(oid) AS def FROM pg_constraint WHERE conrelid = 'fpp.text'::regclass AND contype = 'c' LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s', c.rel, c.conname, c.conname, c.def); END LOOP; END $d$$c$,
    $c$DO $d$ DECLARE d text := (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'text_one'); BEGIN ALTER DOMAIN fpp.text_d DROP CONSTRAINT text_one; EXECUTE 'ALTER DOMAIN fpp.text_d ADD CONSTRAINT text_one ' || d; END $d$$c$,
    $c$DO $d$ DECLARE d text := pg_get_indexdef('fpp.text_i'::regclass); BEGIN DROP INDEX fpp.text_i; EXECUTE d; END $d$$c$,
    $c$DO $d$ DECLARE d text := pg_get_viewdef('fpp.text_v'::regclass); BEGIN EXECUTE 'CREATE OR REPLACE VIEW fpp.text_v AS ' || d; END $d$$c$,
    $c$DO $d$ DECLARE d text := pg_get_ruledef((SELECT oid FROM pg_rewrite WHERE rulename = 'text_r')); BEGIN DROP RULE text_r ON fpp.text; EXECUTE d; END $d$$c$,
    $c$DO $d$ DECLARE d text := pg_get_triggerdef((SELECT oid FROM pg_trigger WHERE tgname = 'text_t')); BEGIN DROP TRIGGER text_t ON fpp.text; EXECUTE d; END $d$$c$,
    $c$DO $d$ DECLARE d text := pg_get_statisticsobjdef((SELECT oid FROM pg_statistic_ext WHERE stxname = 'text_s')); BEGIN DROP STATISTICS fpp.text_s; EXECUTE d; END $d$$c$,
    $c$DO $d$ BEGIN EXECUTE pg_get_functiondef('fpp.text_f'::regproc); END $d$$c$,
    $c$DO $d$ BEGIN EXECUTE format('ALTER POLICY text_p ON fpp.text USING (%s)', (SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polname = 'text_p')); END $d$$c$
]) WITH ORDINALITY u (c, n), pg_temp.differs(c) d ORDER BY n, d COLLATE "C";

-- a text that the server has not printed stays as it is, and so does what only
-- looks like one that changes
SELECT t = safeguard.restored_text(t) AS same, t FROM unnest(ARRAY['', '(', ')', '[)', '''', '"', '$a$ x', '$1 ((a AND b) AND c', '((a AND b) OR c)',
    '((a OR b) AND c)', '(a AND (b AND c))', '(ARRAY[a])::text', '(ARRAY[a][1])::text[]', 'f((a AND b), c)', '''((a AND b) AND c)''', '$x$((a AND b) AND c)$x$']) t;
SELECT safeguard.restored_text(t) FROM unnest(ARRAY['((a AND b) AND c)', '(((a OR b) OR c) OR d)', '(ARRAY[a, f(b, ''],'')])::"T ]"."x"[]', '((ARRAY[a])::text[])::name[]',
    '(ARRAY[ARRAY[a], ARRAY[b]])::numeric(3,1)[]', '(((a AND b) AND c) AND d)', '(ARRAY[$$''$$, $b$],($b$, $1])::text[]']) t;
-- too deep to be an expression
SELECT n, safeguard.restored_text(t) = t AS same
  FROM unnest(ARRAY[10, 100000]) n, concat(repeat('(', n), '((a AND b) AND c)', repeat(')', n)) t;

DROP SCHEMA fpp, fpp_other CASCADE;
DROP ROLE regress_sg_fpp_app, regress_sg_fpp_boss;
