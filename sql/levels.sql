--
-- What each level does, and where it comes from.  Only SQLSTATEs are shown:
-- the words are the business of the rule's own tests.
--
CREATE SCHEMA levels;
SET search_path = levels;
\set VERBOSITY sqlstate

CREATE TABLE point_info (
    system_id int NOT NULL,
    id int NOT NULL,
    name text,
    PRIMARY KEY (system_id, id)
);
INSERT INTO point_info SELECT s, i, 'p' FROM generate_series(1, 3) s, generate_series(1, 4) i;

-- matched by half its key, decided by no catalog: a doubt
CREATE TABLE reading (
    series int NOT NULL,
    id int NOT NULL,
    doubtful int,
    PRIMARY KEY (series, id)
);
INSERT INTO reading SELECT s, i, 0 FROM generate_series(1, 3) s, generate_series(1, 4) i;

-- the defaults: error and warning
UPDATE point_info SET name = 'x' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 1);
DELETE FROM point_info WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 1);
UPDATE reading SET doubtful = 1 WHERE id IN (SELECT r.id FROM reading r WHERE r.doubtful > 3);

-- nothing of it was done
SELECT count(*), min(name) FROM point_info;

-- the whole key is fine
UPDATE point_info SET name = 'y' WHERE (system_id, id) IN (SELECT pi.system_id, pi.id FROM point_info pi WHERE pi.system_id = 1);

-- every level
PREPARE bad AS UPDATE point_info SET name = 'x' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 1);
SET safeguard.composite_key = off;
EXECUTE bad;
SET safeguard.composite_key = record;
EXECUTE bad;
SET safeguard.composite_key = warning;
EXECUTE bad;
SET safeguard.composite_key = error;
EXECUTE bad;
RESET safeguard.composite_key;

-- SET LOCAL ends with its transaction
BEGIN;
SET LOCAL safeguard.composite_key = off;
EXECUTE bad;
ROLLBACK;
EXECUTE bad;

-- a function's own setting holds inside it only
CREATE FUNCTION touch() RETURNS void LANGUAGE sql SET safeguard.composite_key = warning
    AS $$ UPDATE levels.point_info SET name = 'x' WHERE id IN (SELECT pi.id FROM levels.point_info pi WHERE pi.system_id = 1) $$;
SELECT touch();
EXECUTE bad;

-- a database's setting holds for its new sessions
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET safeguard.composite_key = %L', current_database(), 'warning');
END
$$;
\c -
SET search_path = levels;
\set VERBOSITY sqlstate
SHOW safeguard.composite_key;
BEGIN;
UPDATE point_info SET name = 'x' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 1);
ROLLBACK;
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I RESET safeguard.composite_key', current_database());
END
$$;
\c -
SET search_path = levels;
\set VERBOSITY sqlstate
SHOW safeguard.composite_key;

-- a cached plan is judged at the level of its execution
SET plan_cache_mode = force_generic_plan;
PREPARE bad(text) AS UPDATE point_info SET name = $1 WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 1);
SET safeguard.composite_key = off;
EXECUTE bad('a');
SET safeguard.composite_key = error;
EXECUTE bad('b');
-- even if EXPLAIN, which only warns, has put it into the cache
DEALLOCATE bad;
PREPARE bad(text) AS UPDATE point_info SET name = $1 WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 1);
EXPLAIN (COSTS OFF) EXECUTE bad('c') \g /dev/null
EXECUTE bad('d');
RESET plan_cache_mode;

-- the cap
SET safeguard.max_level = warning;
EXECUTE bad('e');
SET safeguard.max_level = record;
EXECUTE bad('f');
SET safeguard.max_level = off;
EXECUTE bad('g');
RESET safeguard.max_level;

-- the switch
SET safeguard.enabled = off;
EXECUTE bad('h');
RESET safeguard.enabled;
EXECUTE bad('i');

-- a doubt never acts above the rule itself, but may act below
SET safeguard.composite_key_doubt = error;
UPDATE reading SET doubtful = 1 WHERE id IN (SELECT r.id FROM reading r WHERE r.doubtful > 3);
SET safeguard.composite_key = record;
UPDATE reading SET doubtful = 1 WHERE id IN (SELECT r.id FROM reading r WHERE r.doubtful > 3);
RESET safeguard.composite_key;
SET safeguard.composite_key_doubt = off;
UPDATE reading SET doubtful = 1 WHERE id IN (SELECT r.id FROM reading r WHERE r.doubtful > 3);
RESET safeguard.composite_key_doubt;

-- a table's row goes before the parameter, and not above the cap
SELECT safeguard.set_level('point_info', 'composite_key', 'warning');
EXECUTE bad('j');
SET safeguard.composite_key = off;
EXECUTE bad('k');
SET safeguard.max_level = record;
EXECUTE bad('l');
RESET safeguard.max_level;
SET safeguard.enabled = off;
EXECUTE bad('m');
RESET safeguard.enabled;
RESET safeguard.composite_key;
SELECT safeguard.clear_level('point_info', 'composite_key');
EXECUTE bad('n');

-- temporary tables only when asked for
CREATE TEMP TABLE point_info_temp (LIKE point_info INCLUDING ALL);
UPDATE point_info_temp SET name = 'x' WHERE id IN (SELECT pi.id FROM point_info_temp pi WHERE pi.system_id = 1);
SET safeguard.temp_tables = on;
UPDATE point_info_temp SET name = 'x' WHERE id IN (SELECT pi.id FROM point_info_temp pi WHERE pi.system_id = 1);
RESET safeguard.temp_tables;

-- all findings of a statement are judged
WITH a AS (DELETE FROM reading WHERE id IN (SELECT r.id FROM reading r WHERE r.doubtful > 3) RETURNING *)
UPDATE point_info SET name = 'x' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 1);

SET client_min_messages = warning;
DROP SCHEMA levels CASCADE;
