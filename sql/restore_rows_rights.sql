--
-- safeguard.restore_rows(): who has kept rows is not who has the table
--
CREATE SCHEMA restore_rows_rights;
SET search_path = restore_rows_rights;
\set VERBOSITY default
ALTER SEQUENCE safeguard.kept_id_seq RESTART 200001;
CREATE ROLE regress_rights_owner;
CREATE ROLE regress_rights_other;
GRANT ALL ON SCHEMA restore_rows_rights TO regress_rights_owner, regress_rights_other;
CREATE TABLE guarded (id int PRIMARY KEY, k int, v int);
CREATE TABLE parted (id int, k int, v int) PARTITION BY LIST (k);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
INSERT INTO guarded VALUES (1, 1, 1);
INSERT INTO parted VALUES (1, 1, 1);
ALTER TABLE guarded OWNER TO regress_rights_other;
ALTER TABLE parted OWNER TO regress_rights_other;
BEGIN;
SELECT safeguard.keep_rows('rights', 'guarded', 'parted');
UPDATE guarded SET v = 2;
UPDATE parted SET v = 2;
COMMIT;
ALTER TABLE guarded OWNER TO regress_rights_owner;
ALTER TABLE parted OWNER TO regress_rights_owner;
GRANT ALL ON guarded, parted TO regress_rights_other;
CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not while I am here'; END $$;
CREATE TRIGGER stop BEFORE UPDATE ON guarded FOR EACH ROW EXECUTE FUNCTION stop();
CREATE TRIGGER stop BEFORE UPDATE ON parted_1 FOR EACH ROW EXECUTE FUNCTION stop();

-- a restore is no way past what guards the tables of others
SET ROLE regress_rights_other;
UPDATE guarded SET v = 3;
SELECT safeguard.restore_rows('rights', 'guarded');
SELECT safeguard.restore_rows('rights', 'parted');
RESET ROLE;
DROP TRIGGER stop ON parted_1;
CREATE RULE nothing AS ON UPDATE TO guarded WHERE new.id = 2 DO INSTEAD NOTHING;
DROP TRIGGER stop ON guarded;
SET ROLE regress_rights_other;
SELECT safeguard.restore_rows('rights', 'guarded');
RESET ROLE;
DROP RULE nothing ON guarded;
-- without it the rights of any statement are enough
SET ROLE regress_rights_other;
BEGIN;
SELECT safeguard.restore_rows('rights');
ROLLBACK;

-- a policy would run as whoever restores, and hide rows
SELECT kept_table AS kept FROM safeguard.kept_rows WHERE relation = 'restore_rows_rights.guarded' \gset
ALTER TABLE :kept ENABLE ROW LEVEL SECURITY;
ALTER TABLE :kept FORCE ROW LEVEL SECURITY;
SELECT safeguard.restore_rows('rights');
RESET ROLE;
SELECT safeguard.restore_rows('rights');

SET client_min_messages = warning;
SELECT count(safeguard.drop_kept_rows(label)) FROM (SELECT DISTINCT label FROM safeguard.kept) l;
DROP SCHEMA restore_rows_rights CASCADE;
DROP OWNED BY regress_rights_owner, regress_rights_other;
DROP ROLE regress_rights_owner, regress_rights_other;
