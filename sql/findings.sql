--
-- safeguard.findings, which needs a preloaded server
--
CREATE SCHEMA findings;
SET search_path = findings;
SET client_min_messages = error;
DROP ROLE IF EXISTS regress_sg_app, regress_sg_monitor;
RESET client_min_messages;
CREATE ROLE regress_sg_app;
CREATE ROLE regress_sg_monitor IN ROLE pg_monitor;
GRANT USAGE ON SCHEMA findings TO regress_sg_app;
SET application_name = 'findings test';
SET compute_query_id = off;
\set VERBOSITY sqlstate

CREATE TABLE point_info (
    system_id int NOT NULL,
    id int NOT NULL,
    name text,
    PRIMARY KEY (system_id, id)
);
GRANT ALL ON point_info TO regress_sg_app;
SELECT safeguard.findings_reset();

-- the columns are a contract
SELECT attname, atttypid::regtype
  FROM pg_attribute
 WHERE attrelid = 'safeguard.findings'::regclass AND attnum > 0
 ORDER BY attnum;

-- rejected, and counted although nothing is left of the transaction
UPDATE point_info SET name = 'secret' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 1);
-- the same with other values, layout and comments
UPDATE point_info   SET name = $$another$$ -- why
 WHERE id IN (SELECT pi.id /* because */ FROM point_info pi WHERE pi.system_id = 0002);
SELECT rule, sqlstate, level, database = current_database() AS here, role = current_user AS me, relation, queryid,
       query, application, client, calls, rejected, last_seen >= first_seen AS in_order,
       now() - last_seen < '1 day' AS fresh, message IS NOT NULL AS message, hint IS NOT NULL AS hint
  FROM safeguard.findings \gx

-- every level but off records
SET safeguard.composite_key = record;
UPDATE point_info SET name = 'a' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 3);
SET safeguard.composite_key = warning;
UPDATE point_info SET name = 'b' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 4);
SET safeguard.composite_key = off;
UPDATE point_info SET name = 'c' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 5);
RESET safeguard.composite_key;
SELECT level, calls, rejected FROM safeguard.findings ORDER BY level;
SELECT rule, seen, rejected FROM safeguard.rules;

-- EXPLAIN warns and counts nothing, EXPLAIN ANALYZE executes
EXPLAIN (COSTS OFF) UPDATE point_info SET name = 'd' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 6) \g /dev/null
SELECT sum(calls) AS calls FROM safeguard.findings;
EXPLAIN (ANALYZE, COSTS OFF) UPDATE point_info SET name = 'd' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 6);
SELECT sum(calls) AS calls FROM safeguard.findings;

-- only a statement's own part of a string is kept
SELECT safeguard.findings_reset();
SELECT 'first'\; UPDATE point_info SET name = 'e' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 7)\; SELECT 'last';
SELECT query FROM safeguard.findings;

-- constants of every kind, parameters keep their numbers
SELECT safeguard.findings_reset();
PREPARE p(text, int) AS UPDATE point_info SET name = $1 || 'a' || E'\x62' || U&'\0063' || x'1F'::text || b'101'::text || 1.5e3 || $2
 WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = -7 AND "pi"."name" <> 'x'
'y');
EXECUTE p('a', 1);
SELECT query FROM safeguard.findings;

-- long texts end at a whole character
SELECT safeguard.findings_reset();
DO $$
BEGIN
    EXECUTE format('UPDATE findings.point_info SET name = ''x'' WHERE id IN (SELECT %I.id FROM findings.point_info %1$I WHERE %1$I.system_id = 1 AND %s)',
                   repeat('ä', 20), repeat('"' || repeat('ä', 20) || '".id > 0 AND ', 40) || 'true');
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE '%', SQLSTATE;
END
$$;
SELECT octet_length(query) BETWEEN 1000 AND 1024 AS bounded, right(query, 60) ~ '^[ "a-zä.>$0-9AND]+$' AS whole FROM safeguard.findings;

-- the server's query id where it is computed
SELECT safeguard.findings_reset();
SET compute_query_id = on;
UPDATE point_info SET name = 'f' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 8);
UPDATE point_info SET name = 'g' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 9);
SELECT queryid IS NOT NULL AS queryid, calls FROM safeguard.findings;
SET compute_query_id = off;

-- an ordinary role sees its own, a monitor sees all
SET ROLE regress_sg_app;
UPDATE point_info SET name = 'h' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 8);
SELECT role, calls FROM safeguard.findings;
SET ROLE regress_sg_monitor;
SELECT count(*) FROM safeguard.findings;
SELECT safeguard.findings_reset();
RESET ROLE;
GRANT EXECUTE ON FUNCTION safeguard.findings_reset() TO regress_sg_monitor;
SET ROLE regress_sg_monitor;
SELECT safeguard.findings_reset();
SELECT count(*) FROM safeguard.findings;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION safeguard.findings_reset() FROM regress_sg_monitor;

-- the table is bounded; what was rejected stays longest
SHOW safeguard.max_findings;
UPDATE point_info SET name = 'i' WHERE id IN (SELECT pi.id FROM point_info pi WHERE pi.system_id = 8);
SET safeguard.composite_key = record;
DO $$
BEGIN
    FOR i IN 1..1100 LOOP
        EXECUTE format('UPDATE findings.point_info SET name = ''j'' WHERE id IN (SELECT x%s.id FROM findings.point_info x%1$s WHERE x%1$s.system_id = 1)', i);
    END LOOP;
END
$$;
RESET safeguard.composite_key;
SELECT count(*) BETWEEN 950 AND 1000 AS bounded,
       count(*) FILTER (WHERE level = 'error') AS rejections,
       bool_or(query LIKE '%x1100.id%') AS newest, bool_or(query LIKE '%x1.id%') AS oldest
  FROM safeguard.findings;
SELECT (SELECT count(*) FROM safeguard.findings) + substring(detail FROM 'evicted (\d+)')::int AS kept_and_evicted
  FROM safeguard.status() WHERE item = 'findings';
SELECT rule, seen, rejected FROM safeguard.rules;

SELECT safeguard.findings_reset();
SELECT rule, seen, rejected FROM safeguard.rules;
SET client_min_messages = warning;
DROP SCHEMA findings CASCADE;
DROP ROLE regress_sg_app, regress_sg_monitor;
