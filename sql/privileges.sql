--
-- Who may do what
--
CREATE SCHEMA privileges;
SET search_path = privileges;
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_sg_owner, regress_sg_admin, regress_sg_other, regress_sg_super;
RESET client_min_messages;
CREATE ROLE regress_sg_owner;
CREATE ROLE regress_sg_admin;
CREATE ROLE regress_sg_super SUPERUSER;
CREATE ROLE regress_sg_other;
GRANT USAGE, CREATE ON SCHEMA privileges TO regress_sg_owner;
GRANT USAGE ON SCHEMA privileges TO PUBLIC;
GRANT SET ON PARAMETER safeguard.composite_key TO regress_sg_admin;

SET ROLE regress_sg_owner;
CREATE TABLE point_info (
    system_id int NOT NULL,
    id int NOT NULL,
    name text,
    PRIMARY KEY (system_id, id)
);
GRANT UPDATE ON point_info TO regress_sg_other;
GRANT SELECT (id) ON point_info TO regress_sg_other;

-- the guarded one cannot switch the guard off
SET safeguard.composite_key = off;
SET safeguard.enabled = off;
SET safeguard.max_level = off;
SET safeguard.temp_tables = on;

-- a table's owner may only make it stricter
SELECT safeguard.set_level('point_info', 'composite_key', 'off');
SELECT safeguard.set_level('point_info', 'composite_key', 'warning');
SELECT safeguard.set_level('point_info', 'composite_key', 'error');
SELECT safeguard.set_column('point_info', 'id', 'identity');
SELECT safeguard.set_column('point_info', 'system_id', 'scope');
-- with a reason, which all others have to read
SELECT safeguard.set_level('point_info', 'composite_key', 'error', repeat('r', 8193));
SELECT safeguard.set_column('point_info', 'system_id', 'scope', repeat('r', 8193));
SELECT safeguard.set_column('point_info', 'system_id', 'scope', repeat('r', 8192));
-- and take back what he has done
SELECT safeguard.clear_level('point_info', 'composite_key');
SELECT safeguard.clear_column('point_info', 'system_id', 'scope');

-- another role may do nothing
SET ROLE regress_sg_other;
SELECT safeguard.set_level('point_info', 'composite_key', 'error');
SELECT safeguard.clear_level('point_info', 'composite_key');
SELECT safeguard.set_column('point_info', 'system_id', 'scope');
SELECT safeguard.clear_column('point_info', 'system_id', 'scope');
-- not by the tables themselves either
INSERT INTO safeguard.table_levels VALUES ('point_info', 'composite_key', 'off', NULL, 'postgres', now());
DELETE FROM safeguard.column_roles;
TRUNCATE safeguard.table_levels;
CREATE TRIGGER t AFTER INSERT ON safeguard.table_levels EXECUTE FUNCTION safeguard.exceptions_changed();

-- who may set the parameter may set anything of that rule
SET ROLE regress_sg_admin;
SET safeguard.composite_key = warning;
RESET safeguard.composite_key;
SET safeguard.composite_key_doubt = off;
SELECT safeguard.set_level('point_info', 'composite_key', 'warning');
SELECT safeguard.set_level('point_info', 'composite_key_doubt', 'off');
SELECT safeguard.set_column('point_info', 'id', 'identity');
SELECT relation, rule, level, set_by FROM safeguard.table_levels;
-- scope belongs to another parameter
SELECT safeguard.set_column('point_info', 'system_id', 'scope');
RESET ROLE;
SET ROLE regress_sg_super;
SELECT safeguard.set_column('point_info', 'system_id', 'scope');

-- and the owner may neither replace nor clear that
SET ROLE regress_sg_owner;
SELECT safeguard.set_level('point_info', 'composite_key', 'error');
SELECT safeguard.clear_level('point_info', 'composite_key');
SELECT safeguard.set_column('point_info', 'system_id', 'scope');
SELECT safeguard.clear_column('point_info', 'system_id', 'scope');

-- it is judged by the rights that the setter has now
RESET ROLE;
REVOKE SET ON PARAMETER safeguard.composite_key FROM regress_sg_admin;
SET ROLE regress_sg_owner;
SELECT safeguard.set_level('point_info', 'composite_key', 'error');
SELECT relation, rule, level, set_by FROM safeguard.table_levels;
-- one who is gone counts as privileged
RESET ROLE;
UPDATE safeguard.table_levels SET set_by = 'regress_sg_nobody';
SET ROLE regress_sg_owner;
SELECT safeguard.clear_level('point_info', 'composite_key');
RESET ROLE;
SELECT safeguard.clear_level('point_info', 'composite_key');
SELECT safeguard.clear_column('point_info', 'id', 'identity');
SELECT safeguard.clear_column('point_info', 'system_id', 'scope');

-- names in the caller's schema are not taken for the server's
SET ROLE regress_sg_owner;
CREATE FUNCTION now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'called as %', current_user; END $$;
CREATE FUNCTION oid_equals(regclass, regclass) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'called as %', current_user; END $$;
CREATE OPERATOR = (LEFTARG = regclass, RIGHTARG = regclass, FUNCTION = oid_equals);
SET search_path = privileges, pg_catalog;
SELECT safeguard.set_level('point_info', 'composite_key', 'error');
SELECT safeguard.clear_level('point_info', 'composite_key');
SET search_path = privileges;

-- who may not run a statement at all is told just that
SET ROLE regress_sg_other;
UPDATE point_info SET id = id WHERE id IN (SELECT id FROM point_info WHERE system_id = 1);

-- everybody may look
SET ROLE regress_sg_other;
SELECT count(*) FROM safeguard.rules;
SELECT count(*) > 0 AS rows FROM safeguard.status();
SELECT count(*) FROM safeguard.table_levels;
SELECT safeguard.export_settings();
-- but not reset what others count on
SELECT safeguard.findings_reset();

-- the message says nothing about what the role may not read
RESET ROLE;
CREATE FUNCTION what_is_told(sql text) RETURNS TABLE (state text, detail bool, hint bool, table_name bool, column_name bool, constraint_name bool)
LANGUAGE plpgsql AS $$
DECLARE
    d text; h text; t text; c text; k text;
BEGIN
    EXECUTE sql;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, d = PG_EXCEPTION_DETAIL,
        h = PG_EXCEPTION_HINT, t = TABLE_NAME, c = COLUMN_NAME, k = CONSTRAINT_NAME;
    detail := d <> ''; hint := h <> ''; table_name := t <> ''; column_name := c <> ''; constraint_name := k <> '';
    RETURN NEXT;
END
$$;
CREATE TABLE list (system_id int, id int);
GRANT SELECT ON list TO PUBLIC;
SET ROLE regress_sg_owner;
SELECT state, detail, hint, table_name FROM what_is_told($$UPDATE point_info SET name = 'x' WHERE id IN (SELECT l.id FROM list l WHERE l.system_id = 1)$$);
SET ROLE regress_sg_other;
SELECT * FROM what_is_told($$UPDATE point_info SET name = 'x' WHERE id IN (SELECT l.id FROM list l WHERE l.system_id = 1)$$);
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA privileges CASCADE;
DROP ROLE regress_sg_owner, regress_sg_admin, regress_sg_other, regress_sg_super;
