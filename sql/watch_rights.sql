--
-- safeguard.watch(): who may, on what, and who sees the figures; on a
-- preloaded server
--
CREATE SCHEMA watch_rights;
SET search_path = watch_rights;
CREATE ROLE regress_sg_owner;
CREATE ROLE regress_sg_reader;
CREATE ROLE regress_sg_other;
CREATE ROLE regress_sg_monitor;
GRANT pg_monitor TO regress_sg_monitor;
GRANT ALL ON SCHEMA watch_rights TO regress_sg_owner;
GRANT USAGE ON SCHEMA watch_rights TO PUBLIC;

SET ROLE regress_sg_owner;
CREATE TABLE point_info (system_id int, name text);
CREATE TABLE hidden (system_id int);
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON hidden USING (system_id = 1);
GRANT SELECT ON point_info, hidden TO regress_sg_reader;
GRANT SELECT (name), INSERT ON point_info TO regress_sg_other;
GRANT TRIGGER ON point_info TO regress_sg_other;

-- the owner may, nobody else
SELECT safeguard.watch('point_info', 'system_id');
SELECT safeguard.watch('hidden', 'system_id');
SET ROLE regress_sg_reader;
SELECT safeguard.watch('point_info');
SELECT safeguard.watch('point_info', 'nonsense');
SELECT safeguard.unwatch('point_info');
SET ROLE regress_sg_other;
SELECT safeguard.watch('point_info');

-- the change is his who makes it, whatever function he goes through
INSERT INTO point_info VALUES (1, 'a');
RESET ROLE;
CREATE FUNCTION add_point() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = watch_rights
    AS $$ INSERT INTO point_info VALUES (2, 'a') $$;
SET ROLE regress_sg_other;
SELECT add_point();
RESET ROLE;
INSERT INTO hidden VALUES (1), (2);
SELECT relation, scope, inserted, role FROM safeguard.watched
 WHERE role = 'regress_sg_other' AND relation LIKE 'watch_rights.%' ORDER BY scope::text COLLATE "C";

-- who may read all rows of a table sees its figures
SET ROLE regress_sg_owner;
SELECT relation, count(*) FROM safeguard.watched GROUP BY 1 ORDER BY 1;
SET ROLE regress_sg_reader;
SELECT relation, count(*) FROM safeguard.watched GROUP BY 1 ORDER BY 1;
SET ROLE regress_sg_other;
SELECT relation, count(*) FROM safeguard.watched GROUP BY 1 ORDER BY 1;
SET ROLE regress_sg_monitor;
SELECT relation, count(*) FROM safeguard.watched WHERE relation LIKE 'watch_rights.%' GROUP BY 1 ORDER BY 1;
RESET ROLE;

-- what cannot be watched
CREATE VIEW v AS SELECT * FROM point_info;
CREATE MATERIALIZED VIEW m AS SELECT * FROM point_info;
CREATE SEQUENCE s;
CREATE TEMP TABLE t (a int);
CREATE FOREIGN DATA WRAPPER regress_sg_fdw;
CREATE SERVER regress_sg_server FOREIGN DATA WRAPPER regress_sg_fdw;
CREATE FOREIGN TABLE f (a int) SERVER regress_sg_server;
SELECT safeguard.watch('v');
SELECT safeguard.watch('m');
SELECT safeguard.watch('s');
SELECT safeguard.watch('pg_class', 'relname');
SELECT safeguard.watch('t');
SELECT safeguard.watch('f');
SELECT safeguard.watch(NULL);
SELECT safeguard.watch('point_info', NULL);
SELECT safeguard.watch('point_info', VARIADIC NULL);
SELECT safeguard.watch('point_info', 'nonsense');
SELECT safeguard.watch('point_info', 'ctid');
SELECT safeguard.watch('point_info', 'name', 'name');
SELECT safeguard.unwatch(NULL);
SELECT safeguard.unwatch('v');

-- somebody else's trigger of that name is not replaced
CREATE TABLE taken (a int);
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER safeguard_watch AFTER INSERT ON taken FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT safeguard.watch('taken');
SELECT safeguard.unwatch('taken');
SELECT tgname, tgfoid::regproc FROM pg_trigger WHERE tgrelid = 'taken'::regclass;

-- nor does the function do what it is not for
CREATE TRIGGER wrong BEFORE INSERT ON taken FOR EACH ROW EXECUTE FUNCTION safeguard.watch_rows();
INSERT INTO taken VALUES (1);
SELECT safeguard.watch_rows();

DROP TRIGGER wrong ON taken;

-- names that need quotes
CREATE TABLE "Odd ""Name" ("a'b" int, "c\d" int);
SELECT safeguard.watch('"Odd ""Name"', 'a''b', 'c\d');
INSERT INTO "Odd ""Name" VALUES (1, 2);
SELECT relation, scope, inserted FROM safeguard.watched WHERE relation LIKE '%Odd%';
SELECT relation, scope FROM safeguard.watches() WHERE relation = '"Odd ""Name"'::regclass;

-- export_settings() makes the watches again
SELECT line FROM string_to_table(safeguard.export_settings(), E'\n') AS line WHERE line LIKE '%watch_rights%';

-- stats_reset() is for superusers, and whom they let
SET ROLE regress_sg_owner;
SELECT safeguard.stats_reset();
RESET ROLE;
GRANT EXECUTE ON FUNCTION safeguard.stats_reset() TO regress_sg_owner;
SET ROLE regress_sg_owner;
SELECT safeguard.stats_reset();
RESET ROLE;
SELECT count(*) FROM safeguard.watched;
REVOKE EXECUTE ON FUNCTION safeguard.stats_reset() FROM regress_sg_owner;

-- the extension takes its triggers along without CASCADE
BEGIN;
DROP EXTENSION safeguard;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'point_info'::regclass;
ROLLBACK;

SET client_min_messages = warning;
DROP SCHEMA watch_rights CASCADE;
DROP FOREIGN DATA WRAPPER regress_sg_fdw CASCADE;
DROP ROLE regress_sg_owner, regress_sg_reader, regress_sg_other, regress_sg_monitor;
