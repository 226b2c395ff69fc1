--
-- What of the extension could run somebody else's code, or for whom
--
-- Functions in SQL are bound when they are created, or have a search_path that
-- nobody else can write to.
SELECT p.oid::regprocedure AS unbound
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
 WHERE p.pronamespace = 'safeguard'::regnamespace AND l.lanname NOT IN ('c', 'internal')
   AND p.prosqlbody IS NULL
   AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false);
SELECT p.oid::regprocedure AS language FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
 WHERE p.pronamespace = 'safeguard'::regnamespace AND l.lanname NOT IN ('c', 'sql');
-- These run with the rights of the extension's owner: they count what others
-- do, and give a number.
SELECT p.oid::regprocedure AS definer, p.prosqlbody IS NOT NULL AS bound, p.proconfig, p.prorettype::regtype, p.pronargs
  FROM pg_proc p WHERE p.pronamespace = 'safeguard'::regnamespace AND p.prosecdef ORDER BY p.oid::regprocedure::text COLLATE "C";
-- Not for everybody
SELECT p.oid::regprocedure AS granted_to_nobody
  FROM pg_proc p WHERE p.pronamespace = 'safeguard'::regnamespace
   AND NOT EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                    WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE')
 ORDER BY p.oid::regprocedure::text COLLATE "C";
-- What everybody may do to relations is to read them
SELECT c.oid::regclass, a.privilege_type
  FROM pg_class c, aclexplode(c.relacl) a
 WHERE c.relnamespace = 'safeguard'::regnamespace AND a.grantee = 0 AND a.privilege_type <> 'SELECT';
SELECT n.nspname, a.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) a
 WHERE n.nspname = 'safeguard' AND a.grantee = 0;
-- Views that show another's rows do so by functions that ask who is asking
SELECT c.oid::regclass AS reads_tables, string_agg(DISTINCT t.oid::regclass::text, ', ') AS tables
  FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
  JOIN pg_class t ON t.oid = d.refobjid AND t.relkind IN ('r', 'p') AND t.oid <> c.oid
 WHERE c.relnamespace = 'safeguard'::regnamespace AND c.relkind = 'v'
 GROUP BY 1 ORDER BY c.oid::regclass::text COLLATE "C";
-- No operator or function in a stored query is anybody else's
SELECT DISTINCT pg_describe_object(d.refclassid, d.refobjid, 0) AS foreign_object
  FROM pg_depend d
 WHERE (d.classid = 'pg_rewrite'::regclass
        AND d.objid IN (SELECT r.oid FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE c.relnamespace = 'safeguard'::regnamespace)
        OR d.classid = 'pg_proc'::regclass
        AND d.objid IN (SELECT oid FROM pg_proc WHERE pronamespace = 'safeguard'::regnamespace))
   AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
   AND d.refobjid NOT IN (SELECT oid FROM pg_proc WHERE pronamespace IN ('safeguard'::regnamespace, 'pg_catalog'::regnamespace)
                           UNION SELECT oid FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace);
-- Nor is anything else that the extension's objects need, their parts included:
-- types, tables, functions of triggers, defaults and constraints
WITH RECURSIVE ours(classid, objid) AS (
    SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
     WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'safeguard'
    UNION
    SELECT d.classid, d.objid FROM pg_depend d JOIN ours o ON d.refclassid = o.classid AND d.refobjid = o.objid
     WHERE d.deptype IN ('a', 'i'))
SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0) AS object, pg_describe_object(d.refclassid, d.refobjid, 0) AS needs
  FROM ours JOIN pg_depend d USING (classid, objid)
 WHERE d.refclassid <> 'pg_extension'::regclass
   AND (d.refclassid, d.refobjid) NOT IN (SELECT classid, objid FROM ours)
   AND (pg_identify_object(d.refclassid, d.refobjid, 0)).schema IS DISTINCT FROM 'pg_catalog';
-- All of it is in schemas of its own, and belongs to who has created it
SELECT pg_describe_object(d.classid, d.objid, 0) AS astray
  FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid,
       pg_identify_object(d.classid, d.objid, 0) i
 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'safeguard'
   AND i.schema <> 'safeguard';
SELECT o.object FROM pg_extension e, LATERAL (
    SELECT c.oid::regclass::text, c.relowner FROM pg_class c WHERE c.relnamespace = 'safeguard'::regnamespace
    UNION ALL
    SELECT p.oid::regprocedure::text, p.proowner FROM pg_proc p WHERE p.pronamespace = 'safeguard'::regnamespace
    UNION ALL
    SELECT n.nspname, n.nspowner FROM pg_namespace n WHERE n.nspname IN ('safeguard', 'safeguard_rows')) o(object, owner)
 WHERE e.extname = 'safeguard' AND o.owner <> e.extowner;
-- Nobody but the owner has a privilege that is not everybody's
SELECT o.object, a.grantee::regrole, a.privilege_type FROM (
    SELECT c.oid::regclass::text, c.relowner, c.relacl FROM pg_class c WHERE c.relnamespace = 'safeguard'::regnamespace
    UNION ALL
    SELECT p.oid::regprocedure::text, p.proowner, p.proacl FROM pg_proc p WHERE p.pronamespace = 'safeguard'::regnamespace
    UNION ALL
    SELECT n.nspname, n.nspowner, n.nspacl FROM pg_namespace n WHERE n.nspname IN ('safeguard', 'safeguard_rows')) o(object, owner, acl),
       aclexplode(o.acl) a
 WHERE a.grantee NOT IN (0, o.owner);
-- None is taken for one that keeps what it reads to itself, and none is made
-- for the planner to ask
SELECT p.oid::regprocedure AS leakproof FROM pg_proc p
 WHERE p.pronamespace = 'safeguard'::regnamespace AND (p.proleakproof OR p.prosupport <> 0);
SELECT count(*) AS operators_and_casts FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'safeguard'
   AND d.classid IN ('pg_operator'::regclass, 'pg_cast'::regclass, 'pg_opclass'::regclass, 'pg_transform'::regclass, 'pg_event_trigger'::regclass);

--
-- A schema of traps, before all others in the search_path of a superuser
--
CREATE SCHEMA audit;
CREATE SCHEMA audit_traps;
CREATE TABLE audit.points (system_id int, id int, name text, PRIMARY KEY (system_id, id));
INSERT INTO audit.points SELECT s, i, 'n' FROM generate_series(1, 2) s, generate_series(1, 4) i;
CREATE TABLE audit.child (system_id int, id int);
ALTER TABLE audit.child ADD CONSTRAINT child_points FOREIGN KEY (system_id, id) REFERENCES audit.points NOT VALID;
CREATE TABLE audit.schema_migrations (version varchar(255) PRIMARY KEY);
INSERT INTO audit.schema_migrations VALUES ('20260101000000');
DO $$
DECLARE
    o record;
    simple oidvector := '18 19 20 21 23 25 26 27 28 16 700 701 1043 1042 1184 1186 1700 2205 3802 2950 1009 1005 1007 1016 1028 1003';
BEGIN
    -- those of the server that a query could mean
    FOR o IN SELECT p.oid, oprname AS name, oprleft AS l, oprright AS r, oprresult AS res
               FROM pg_operator p
              WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprleft = ANY (simple) AND oprright = ANY (simple)
    LOOP
        EXECUTE format('CREATE FUNCTION audit_traps.trap_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS $f$BEGIN RAISE EXCEPTION ''trap: operator %s as %%'', current_user; END$f$',
                       o.oid, o.l::regtype, o.r::regtype, o.res::regtype, replace(o.name, '%', '%%'));
        EXECUTE format('CREATE OPERATOR audit_traps.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = audit_traps.trap_%s)',
                       o.name, o.l::regtype, o.r::regtype, o.oid);
    END LOOP;
    FOR o IN SELECT p.oid, p.proname, p.proargtypes, p.prorettype
               FROM pg_proc p
              WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proretset AND p.pronargs < 4
                AND p.proargtypes <@ simple AND p.prorettype = ANY (simple)
                AND p.proname IN ('now', 'lower', 'upper', 'left', 'right', 'length', 'quote_ident', 'quote_literal', 'current_setting', 'set_config',
                                  'pg_get_userbyid', 'clock_timestamp', 'has_schema_privilege', 'has_column_privilege', 'has_table_privilege',
                                  'pg_has_role', 'array_position', 'split_part', 'replace', 'round', 'abs', 'nextval', 'currval', 'format', 'concat',
                                  'pg_relation_size', 'obj_description', 'starts_with', 'coalesce', 'sha256', 'md5', 'hashtext', 'text', 'int4', 'varchar', 'timestamptz')
    LOOP
        EXECUTE format('CREATE FUNCTION audit_traps.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$BEGIN RAISE EXCEPTION ''trap: function %s as %%'', current_user; END$f$',
                       o.proname, oidvectortypes(o.proargtypes), o.prorettype::regtype, o.proname);
    END LOOP;
END
$$;
SET client_min_messages = warning;
SET search_path = audit_traps, audit, pg_catalog;
-- the traps are set
SELECT 1 OPERATOR(audit_traps.=) 1;
SELECT 1 = 1;
SELECT now();

SET safeguard.unqualified_dml = error;
SELECT safeguard.set_level('points', 'scope', 'record', 'r');
SELECT safeguard.set_column('points', 'system_id', 'scope', 'r');
SELECT safeguard.set_level('points', 'scope', 'off', 'r');
SELECT safeguard.export_settings();
SELECT safeguard.clear_level('points', 'scope');
SELECT safeguard.clear_column('points', 'system_id', 'scope');
SELECT safeguard.watch('points', 'system_id');
SELECT safeguard.export_settings();
SELECT safeguard.unwatch('points');
SELECT rows, is_unique FROM safeguard.check_key('points', 'id');
SELECT columns FROM safeguard.suggest_keys('points');
SELECT * FROM safeguard.orphans('child', 'child_points');
\o /dev/null
SELECT * FROM safeguard.schema_report('audit', deep => true);
SELECT safeguard.schema_fingerprint('audit');
SELECT * FROM safeguard.schema_objects('audit');
SELECT * FROM safeguard.schema_diff((SELECT jsonb_agg(o) FROM safeguard.schema_objects('audit') o), 'audit');
SELECT * FROM safeguard.rules;
SELECT * FROM safeguard.status();
\o
ALTER TABLE child VALIDATE CONSTRAINT child_points;
SELECT safeguard.assert_schema(safeguard.schema_fingerprint('audit'), schema => 'audit');
SELECT rows, error FROM safeguard.preview('DELETE FROM points WHERE system_id OPERATOR(pg_catalog.=) 1');
DELETE FROM points;
UPDATE points SET name = 'x' WHERE id OPERATOR(pg_catalog.=) ANY (SELECT p.id FROM points p WHERE p.system_id OPERATOR(pg_catalog.=) 2);
SELECT safeguard.migrate('audit', 'CREATE TABLE audit.made ()');
SELECT safeguard.migrate('audit', 'CREATE TABLE audit.made ()');
SELECT safeguard.migration_begin('audit 2');
SELECT safeguard.migration_end('audit 2');
CALL safeguard.migration_wait('audit 2', '1s');
SELECT safeguard.migration_mark('audit 2', 'reverted', 'r');
SELECT safeguard.schema_version();
SELECT count(*) OPERATOR(pg_catalog.>=) 2 AS some FROM safeguard.migration_history WHERE version IS NOT NULL;
SELECT applied FROM safeguard.migration_stats() WHERE applied IS NULL;
BEGIN;
SELECT safeguard.keep_rows('audit', 'points');
DELETE FROM points WHERE id OPERATOR(pg_catalog.=) 1;
COMMIT;
SELECT safeguard.restore_rows('audit');
SELECT safeguard.drop_kept_rows('audit');
SELECT safeguard.drop_kept_rows('audit@restored-1');

SELECT count(*) FROM points;
RESET search_path;
RESET safeguard.unqualified_dml;
DROP SCHEMA audit, audit_traps CASCADE;
DELETE FROM safeguard.migrations WHERE version LIKE 'audit%';
RESET client_min_messages;
