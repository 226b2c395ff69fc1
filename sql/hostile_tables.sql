--
-- Tables whose owner has attached code to them, read by a superuser
--
CREATE SCHEMA hostile;
SET search_path = hostile;
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_sg_mallory;
RESET client_min_messages;
CREATE ROLE regress_sg_mallory;
GRANT USAGE, CREATE ON SCHEMA hostile TO regress_sg_mallory;
CREATE TABLE ran (who name, what text);
GRANT SELECT, INSERT ON ran TO regress_sg_mallory;

SET ROLE regress_sg_mallory;
CREATE FUNCTION notice(what text) RETURNS void LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO hostile.ran VALUES (current_user, what); EXCEPTION WHEN read_only_sql_transaction OR feature_not_supported THEN RAISE NOTICE '% as %', what, current_user; END$$;
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE FUNCTION to_json(mood) RETURNS json LANGUAGE plpgsql AS
    $$BEGIN PERFORM hostile.notice('cast to json'); RETURN '"cast"'; END$$;
CREATE CAST (mood AS json) WITH FUNCTION to_json(mood);
CREATE FUNCTION to_text(mood) RETURNS text LANGUAGE plpgsql AS
    $$BEGIN PERFORM hostile.notice('cast to text'); RETURN 'cast'; END$$;
CREATE CAST (mood AS text) WITH FUNCTION to_text(mood);
CREATE TYPE pair AS (left_mood mood, n int);
CREATE FUNCTION claimed(what text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
    $$BEGIN RAISE NOTICE '% as %', what, current_user; RETURN true; END$$;

CREATE TABLE parent (m mood, n int, PRIMARY KEY (m, n));
CREATE TABLE child (m mood, n int, p pair, ms mood[]);
INSERT INTO child SELECT 'sad', n % 3, '(glad,1)', '{sad}' FROM generate_series(1, 12) n;
ALTER TABLE child ADD CONSTRAINT child_parent FOREIGN KEY (m, n) REFERENCES parent NOT VALID;
RESET ROLE;

-- the values of a type are shown by its output function
SELECT rows, distinct_keys, sample FROM safeguard.check_key('child', 'm');
SELECT sample FROM safeguard.check_key('child', 'm', 'p', 'ms');
SELECT * FROM safeguard.orphans('child', 'child_parent');
SELECT columns FROM safeguard.suggest_keys('child');
INSERT INTO parent VALUES ('glad', 1), ('glad', 2);
SELECT rows, sample FROM safeguard.preview('UPDATE hostile.parent SET n = n + 10 WHERE true');
SELECT severity, object, problem, detail FROM safeguard.schema_report('hostile', deep => true) WHERE problem = 'orphaned rows';
SELECT * FROM ran;

-- A table that one names is read as by SELECT; the report reads none that
-- would run its owner's code.
CREATE FUNCTION examined() RETURNS TABLE (object text, detail text) LANGUAGE sql AS
    $$SELECT object, detail FROM safeguard.schema_report('hostile', deep => true) WHERE problem IN ('orphaned rows', 'not examined')$$;
SET ROLE regress_sg_mallory;
SET client_min_messages = warning;
CREATE INDEX child_index ON child (n) WHERE hostile.claimed('index predicate');
RESET client_min_messages;
RESET ROLE;
SELECT * FROM examined();
DROP INDEX child_index;
SET client_min_messages = warning;
CREATE INDEX child_index ON parent ((hostile.claimed('index')));
RESET client_min_messages;
SELECT * FROM examined();
DROP INDEX child_index;
CREATE STATISTICS child_statistics ON n, (hostile.claimed('statistics')) FROM child;
SELECT * FROM examined();
DROP STATISTICS child_statistics;
SET client_min_messages = warning;
ALTER TABLE child ADD CONSTRAINT child_check CHECK (hostile.claimed('check')) NOT VALID;
RESET client_min_messages;
SET constraint_exclusion = on;
SELECT * FROM examined();
-- of a partition, too
CREATE TABLE whole (LIKE child) PARTITION BY LIST (n);
ALTER TABLE whole OWNER TO regress_sg_mallory;
ALTER TABLE whole ATTACH PARTITION child DEFAULT;
-- the owner himself, and who has his rights over him, may
SET ROLE regress_sg_mallory;
SELECT count(*) FROM examined() WHERE detail LIKE 'To read%';
RESET ROLE;
SELECT safeguard.is_plain('child'::regclass), safeguard.is_plain('whole'::regclass), safeguard.is_plain('parent'::regclass);
ALTER TABLE child OWNER TO CURRENT_USER;
ALTER TABLE whole OWNER TO CURRENT_USER;
SELECT safeguard.is_plain('child'::regclass), safeguard.is_plain('whole'::regclass), safeguard.is_plain('parent'::regclass);
RESET constraint_exclusion;

SET client_min_messages = warning;
DROP SCHEMA hostile CASCADE;
DROP ROLE regress_sg_mallory;
