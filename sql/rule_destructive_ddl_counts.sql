--
-- destructive_ddl in safeguard.findings, which needs a preloaded server
--
CREATE SCHEMA regress_loss;
SET search_path = regress_loss;
SET safeguard.destructive_ddl = error;
SET safeguard.lock_timeout = off;
SELECT safeguard.findings_reset();

-- the relation is known by name when it is gone, rejected or not
CREATE TABLE named_one AS SELECT 1 AS a;
CREATE TABLE named_two AS SELECT 1 AS a;
DROP TABLE named_one;
SET safeguard.destructive_ddl = record;
DROP TABLE named_two;
SELECT level, relation, message FROM safeguard.findings ORDER BY relation COLLATE "C";

-- more than ten tables at once are summed up
SELECT safeguard.findings_reset();
DO $$
BEGIN
    FOR i IN 1..25 LOOP
        EXECUTE format('CREATE TABLE many_%s AS SELECT 1 AS a', i);
    END LOOP;
END
$$;
SET client_min_messages = error;
DROP SCHEMA regress_loss CASCADE;
RESET client_min_messages;
SELECT count(*), count(relation) AS named FROM safeguard.findings;
SELECT message, hint FROM safeguard.findings WHERE message LIKE '%more tables%';
SELECT safeguard.findings_reset();
