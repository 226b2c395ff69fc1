/* safeguard--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION safeguard" to load this file. \quit

CREATE SCHEMA safeguard;

-- the first statement of every script: which library it needs
CREATE FUNCTION safeguard.require_library(version text)
RETURNS void
LANGUAGE C VOLATILE STRICT
AS 'MODULE_PATHNAME', 'sg_require_library';
SELECT safeguard.require_library('1.0');
DROP FUNCTION safeguard.require_library(text);

GRANT USAGE ON SCHEMA safeguard TO PUBLIC;
COMMENT ON SCHEMA safeguard IS 'safeguard: rejects the writes that destroy data silently';

--
-- What it does
--

CREATE FUNCTION safeguard.status(
    OUT item text,
    OUT value text,
    OUT detail text)
RETURNS SETOF record
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_status';
COMMENT ON FUNCTION safeguard.status() IS 'what is loaded and active in this session and cluster';

CREATE FUNCTION safeguard.rules(
    OUT rule text,
    OUT sqlstate text,
    OUT level text,
    OUT default_level text,
    OUT page text,
    OUT description text,
    OUT seen bigint,
    OUT rejected bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_rules_view';
COMMENT ON FUNCTION safeguard.rules() IS 'rows of the view safeguard.rules';

CREATE VIEW safeguard.rules AS
    SELECT rule, sqlstate, level, default_level, page, description, seen, rejected
      FROM safeguard.rules();
GRANT SELECT ON safeguard.rules TO PUBLIC;
COMMENT ON VIEW safeguard.rules IS 'all rules, their level in this session, and how often they have acted in this cluster';

CREATE FUNCTION safeguard.findings(
    OUT rule text,
    OUT sqlstate text,
    OUT level text,
    OUT database text,
    OUT role text,
    OUT relation text,
    OUT queryid bigint,
    OUT query text,
    OUT application text,
    OUT client text,
    OUT calls bigint,
    OUT rejected bigint,
    OUT first_seen timestamptz,
    OUT last_seen timestamptz,
    OUT message text,
    OUT hint text)
RETURNS SETOF record
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_findings_view';
COMMENT ON FUNCTION safeguard.findings() IS 'rows of the view safeguard.findings';

CREATE VIEW safeguard.findings AS
    SELECT rule, sqlstate, level, database, role, relation, queryid, query,
           application, client, calls, rejected, first_seen, last_seen,
           message, hint
      FROM safeguard.findings();
GRANT SELECT ON safeguard.findings TO PUBLIC;
COMMENT ON VIEW safeguard.findings IS 'statements that a rule has found, rejected ones included; an ordinary role sees its own';

CREATE FUNCTION safeguard.findings_reset()
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_findings_reset';
REVOKE ALL ON FUNCTION safeguard.findings_reset() FROM PUBLIC;
COMMENT ON FUNCTION safeguard.findings_reset() IS 'forgets all findings and sets the counters of safeguard.rules to zero';

--
-- Upserts
--

CREATE FUNCTION safeguard.upsert_stats(
    OUT relation regclass,
    OUT columns name[],
    OUT statements bigint,
    OUT proposed bigint,
    OUT inserted bigint,
    OUT replaced bigint,
    OUT skipped bigint,
    OUT distinct_keys bigint,
    OUT last_seen timestamptz)
RETURNS SETOF record
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_upsert_stats';
COMMENT ON FUNCTION safeguard.upsert_stats() IS 'rows of the view safeguard.upsert_stats';

CREATE VIEW safeguard.upsert_stats AS
    SELECT relation, columns, statements, proposed, inserted, replaced, skipped,
           distinct_keys, last_seen
      FROM safeguard.upsert_stats();
GRANT SELECT ON safeguard.upsert_stats TO PUBLIC;
COMMENT ON VIEW safeguard.upsert_stats IS 'what became of the rows of INSERT ... ON CONFLICT and MERGE, by table and conflict target';

--
-- Exceptions and declarations
--

CREATE TABLE safeguard.table_levels (
    relation regclass NOT NULL,
    rule text NOT NULL,
    level text NOT NULL CHECK (level IN ('off', 'record', 'warning', 'error')),
    reason text,
    set_by name NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (relation, rule)
);
GRANT SELECT ON safeguard.table_levels TO PUBLIC;
COMMENT ON TABLE safeguard.table_levels IS 'levels of rules for single tables, written by safeguard.set_level';

CREATE TABLE safeguard.column_roles (
    relation regclass NOT NULL,
    column_name name NOT NULL,
    role text NOT NULL CHECK (role IN ('identity', 'scope')),
    reason text,
    set_by name NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (relation, column_name, role)
);
GRANT SELECT ON safeguard.column_roles TO PUBLIC;
COMMENT ON TABLE safeguard.column_roles IS 'what columns have been declared to be, written by safeguard.set_column';

-- the relation of a row may be gone, or go with the session
SELECT pg_catalog.pg_extension_config_dump('safeguard.table_levels',
    $$WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relation AND c.relpersistence <> 't')$$);
SELECT pg_catalog.pg_extension_config_dump('safeguard.column_roles',
    $$WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relation AND c.relpersistence <> 't')$$);

CREATE FUNCTION safeguard.exceptions_changed()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_exceptions_changed';
REVOKE ALL ON FUNCTION safeguard.exceptions_changed() FROM PUBLIC;
COMMENT ON FUNCTION safeguard.exceptions_changed() IS 'trigger that makes a change of an exception known to all sessions';

CREATE TRIGGER changed
    AFTER INSERT OR UPDATE OR DELETE ON safeguard.table_levels
    FOR EACH ROW EXECUTE FUNCTION safeguard.exceptions_changed();
CREATE TRIGGER emptied
    AFTER TRUNCATE ON safeguard.table_levels
    FOR EACH STATEMENT EXECUTE FUNCTION safeguard.exceptions_changed();
ALTER TABLE safeguard.table_levels
    ENABLE ALWAYS TRIGGER changed,
    ENABLE ALWAYS TRIGGER emptied;

CREATE TRIGGER changed
    AFTER INSERT OR UPDATE OR DELETE ON safeguard.column_roles
    FOR EACH ROW EXECUTE FUNCTION safeguard.exceptions_changed();
CREATE TRIGGER emptied
    AFTER TRUNCATE ON safeguard.column_roles
    FOR EACH STATEMENT EXECUTE FUNCTION safeguard.exceptions_changed();
ALTER TABLE safeguard.column_roles
    ENABLE ALWAYS TRIGGER changed,
    ENABLE ALWAYS TRIGGER emptied;

-- not STRICT, so that a null argument is an error and not silence
CREATE FUNCTION safeguard.set_level(
    relation regclass,
    rule text,
    level text,
    reason text DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_set_level';
COMMENT ON FUNCTION safeguard.set_level(regclass, text, text, text) IS 'gives a table a level of its own for a rule';

CREATE FUNCTION safeguard.clear_level(
    relation regclass,
    rule text)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_clear_level';
COMMENT ON FUNCTION safeguard.clear_level(regclass, text) IS 'takes a table''s own level for a rule away';

CREATE FUNCTION safeguard.set_column(
    relation regclass,
    column_name name,
    role text,
    reason text DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_set_column';
COMMENT ON FUNCTION safeguard.set_column(regclass, name, text, text) IS 'declares what a column is: identity (it alone identifies its rows) or scope (every write must restrict it)';

CREATE FUNCTION safeguard.clear_column(
    relation regclass,
    column_name name,
    role text)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_clear_column';
COMMENT ON FUNCTION safeguard.clear_column(regclass, name, text) IS 'takes a declaration of safeguard.set_column back';

CREATE FUNCTION safeguard.watches(
    OUT relation regclass,
    OUT scope name[])
RETURNS SETOF record
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_watches';
COMMENT ON FUNCTION safeguard.watches() IS 'tables of this database that are watched, and by which columns';

-- with this search_path, regclass prints names with their schema
CREATE FUNCTION safeguard.export_settings()
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(string_agg(s.line, E'\n' ORDER BY s.line COLLATE "C"), '')
      FROM (SELECT format('SELECT safeguard.set_level(%L, %L, %L, %L);',
                          l.relation, l.rule, l.level, l.reason)
              FROM safeguard.table_levels l
             WHERE EXISTS (SELECT FROM pg_class c
                            WHERE c.oid = l.relation AND c.relpersistence <> 't')
            UNION ALL
            SELECT format('SELECT safeguard.set_column(%L, %L, %L, %L);',
                          r.relation, r.column_name, r.role, r.reason)
              FROM safeguard.column_roles r
             WHERE EXISTS (SELECT FROM pg_attribute a, pg_class c
                            WHERE a.attrelid = r.relation AND a.attname = r.column_name
                              AND NOT a.attisdropped
                              AND c.oid = r.relation AND c.relpersistence <> 't')
            UNION ALL
            SELECT format('SELECT safeguard.watch(%L, VARIADIC %L);', w.relation, w.scope)
              FROM safeguard.watches() AS w) AS s(line);
END;
COMMENT ON FUNCTION safeguard.export_settings() IS 'a script that makes the exceptions and declarations of this database again';

--
-- Keys
--

-- VOLATILE, although nothing is changed: the planner runs a STABLE function
-- to estimate with its result, and EXPLAIN alone would read the table.
CREATE FUNCTION safeguard.check_key(
    relation regclass,
    VARIADIC columns name[],
    OUT rows bigint,
    OUT distinct_keys bigint,
    OUT duplicate_keys bigint,
    OUT surplus_rows bigint,
    OUT null_rows bigint,
    OUT is_unique bool,
    OUT sample jsonb)
RETURNS record
LANGUAGE C VOLATILE COST 100000
AS 'MODULE_PATHNAME', 'sg_check_key';
COMMENT ON FUNCTION safeguard.check_key(regclass, name[]) IS 'whether columns are unique in the rows of a table, and which values are not';

CREATE FUNCTION safeguard.suggest_keys(
    relation regclass,
    max_columns int DEFAULT 3,
    OUT columns name[],
    OUT is_unique bool,
    OUT is_declared bool,
    OUT null_rows bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE COST 1000000 ROWS 5
AS 'MODULE_PATHNAME', 'sg_suggest_keys';
COMMENT ON FUNCTION safeguard.suggest_keys(regclass, int) IS 'the smallest sets of columns that are unique in the rows of a table';

--
-- Schema
--

CREATE FUNCTION safeguard.schema_id(schema name)
RETURNS oid
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_schema_id';
COMMENT ON FUNCTION safeguard.schema_id(name) IS 'a schema that has to exist';

CREATE FUNCTION safeguard.view_text(relation oid)
RETURNS text
LANGUAGE C VOLATILE STRICT
AS 'MODULE_PATHNAME', 'sg_view_text';
COMMENT ON FUNCTION safeguard.view_text(oid) IS 'query of a view, as text that is the same in all versions of the server';

CREATE FUNCTION safeguard.restored_text(definition text)
RETURNS text
LANGUAGE C IMMUTABLE STRICT
AS 'MODULE_PATHNAME', 'sg_restored_text';
COMMENT ON FUNCTION safeguard.restored_text(text) IS 'a definition that the server prints, as it prints it after pg_dump and a restore';

CREATE FUNCTION safeguard.valid_objects(objects jsonb)
RETURNS jsonb
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_valid_objects';
COMMENT ON FUNCTION safeguard.valid_objects(jsonb) IS 'its argument, if schema_objects can have made it';

-- All that the server's default gives or that is there for this kind of object
-- is ALL, so that a privilege of a later version makes no difference.  Who has
-- granted it does not count, nor what the owner is called.
CREATE FUNCTION safeguard.acl_text(acl aclitem[], kind "char", owner oid)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
    SELECT coalesce(string_agg(g.grantee || ': ' ||
                               CASE WHEN g.n < k.n OR g.options NOT IN (0, g.n) THEN g.privileges
                                    WHEN g.options = 0 THEN 'ALL'
                                    ELSE 'ALL WITH GRANT OPTION' END,
                               '; ' ORDER BY g.grantee COLLATE "C"),
                    'none')
      FROM (SELECT CASE WHEN kind = 'c' THEN 4 ELSE count(*) END AS n
              FROM aclexplode(acldefault(kind, owner)) d
             WHERE d.grantee = owner) k,
           (SELECT p.grantee, count(*) AS n,
                   count(*) FILTER (WHERE p.option) AS options,
                   string_agg(p.privilege_type || CASE WHEN p.option THEN ' WITH GRANT OPTION' ELSE '' END,
                              ', ' ORDER BY p.privilege_type COLLATE "C") AS privileges
              FROM (SELECT CASE a.grantee WHEN owner THEN '(owner)'
                                          WHEN 0 THEN 'PUBLIC'
                                          ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee,
                           a.privilege_type,
                           bool_or(a.is_grantable AND a.grantee <> owner) AS option
                      FROM aclexplode(acl) a
                     GROUP BY a.grantee, a.privilege_type) p
             GROUP BY p.grantee) g
$$;
COMMENT ON FUNCTION safeguard.acl_text(aclitem[], "char", oid) IS 'privileges in the form of safeguard.schema_objects';

-- The settings are those that texts of the server depend on.  A column that
-- not all versions have is read through jsonb.
CREATE FUNCTION safeguard.schema_objects(
    schema name DEFAULT 'public',
    OUT object text,
    OUT definition text,
    OUT hash text)
RETURNS SETOF record
LANGUAGE sql VOLATILE COST 100000
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
SET standard_conforming_strings = on
SET DateStyle = 'ISO, YMD'
SET IntervalStyle = 'postgres'
SET TimeZone = 'UTC'
SET extra_float_digits = 1
SET bytea_output = 'hex'
SET jit = off
AS $$
    WITH RECURSIVE
    ns AS MATERIALIZED (
        SELECT n.oid, n.nspname, quote_ident(n.nspname) AS name, n.nspowner, n.nspacl
          FROM pg_namespace n
         WHERE n.oid = safeguard.schema_id(schema)
    ),
    -- what an extension has made is told by its version
    member AS MATERIALIZED (
        SELECT d.classid, d.objid, d.refobjid AS extension
          FROM pg_depend d
         WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
    ),
    rel AS MATERIALIZED (
        SELECT c.*, ns.name || '.' || quote_ident(c.relname) AS name
          FROM pg_class c JOIN ns ON c.relnamespace = ns.oid
         WHERE NOT EXISTS (SELECT FROM member m
                            WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
    ),
    typ AS MATERIALIZED (
        SELECT t.*, ns.name || '.' || quote_ident(t.typname) AS name
          FROM pg_type t JOIN ns ON t.typnamespace = ns.oid
         WHERE (t.typrelid = 0 OR EXISTS (SELECT FROM rel WHERE rel.oid = t.typrelid AND rel.relkind = 'c'))
           AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
           AND t.typtype <> 'm'
           AND NOT EXISTS (SELECT FROM member m
                            WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid)
    ),
    proc AS MATERIALIZED (
        SELECT p.*, ns.name || '.' || quote_ident(p.proname) || '(' || oidvectortypes(p.proargtypes) || ')' AS name
          FROM pg_proc p JOIN ns ON p.pronamespace = ns.oid
         WHERE NOT EXISTS (SELECT FROM member m
                            WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid)
           -- the server makes those of range types
           AND NOT EXISTS (SELECT FROM pg_depend d
                            WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                              AND d.refclassid = 'pg_type'::regclass AND d.deptype = 'i')
    ),
    -- foreign keys and, under the one it was made for, all that the server has
    -- made of it for partitions; a deferrable key has a trigger, too
    con AS (
        SELECT c.oid AS root, c.oid
          FROM pg_constraint c JOIN rel ON rel.oid = c.conrelid
         WHERE c.contype = 'f' AND c.conparentid = 0 OR c.contype IN ('p', 'u', 'x') AND c.condeferrable
         UNION ALL
        SELECT con.root, c.oid
          FROM con JOIN pg_constraint c ON c.conparentid = con.oid
         WHERE c.contype = 'f'
    ),
    switched AS MATERIALIZED (
        SELECT con.root AS oid,
               CASE WHEN bool_or(t.tgenabled IN ('D', 'R')) THEN '(triggers disabled)'
                    ELSE '(triggers enabled always)' END AS state
          FROM con JOIN pg_trigger t ON t.tgconstraint = con.oid
         WHERE t.tgisinternal AND t.tgenabled <> 'O'
         GROUP BY con.root
    ),
    found (object, definition) AS (
        SELECT 'schema ' || ns.name, 'SCHEMA'
          FROM ns
         UNION ALL
        SELECT 'grants on schema ' || ns.name, safeguard.acl_text(ns.nspacl, 'n', ns.nspowner)
          FROM ns
         WHERE ns.nspacl IS NOT NULL AND safeguard.acl_text(ns.nspacl, 'n', ns.nspowner) <> '(owner): ALL'
         UNION ALL
        SELECT 'default grants of ' || CASE d.defaclrole WHEN ns.nspowner THEN '(owner)'
                                            ELSE quote_ident(pg_get_userbyid(d.defaclrole)) END
               || ' in schema ' || ns.name || ' on '
               || CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
                                       WHEN 'T' THEN 'types' ELSE d.defaclobjtype::text END,
               safeguard.acl_text(d.defaclacl, CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END,
                                  d.defaclrole)
          FROM pg_default_acl d JOIN ns ON d.defaclnamespace = ns.oid
         UNION ALL
        SELECT 'extension ' || quote_ident(e.extname), 'VERSION ' || e.extversion
          FROM pg_extension e, ns
         WHERE e.extnamespace = ns.oid
            OR e.oid IN (SELECT m.extension FROM member m, pg_class c
                          WHERE m.classid = 'pg_class'::regclass AND c.oid = m.objid AND c.relnamespace = ns.oid
                          UNION ALL
                         SELECT m.extension FROM member m, pg_proc p
                          WHERE m.classid = 'pg_proc'::regclass AND p.oid = m.objid AND p.pronamespace = ns.oid
                          UNION ALL
                         SELECT m.extension FROM member m, pg_type t
                          WHERE m.classid = 'pg_type'::regclass AND t.oid = m.objid AND t.typnamespace = ns.oid)
         UNION ALL
        -- tables
        SELECT CASE rel.relkind WHEN 'f' THEN 'foreign table ' ELSE 'table ' END || rel.name,
               concat_ws(' ',
                   CASE rel.relpersistence WHEN 'u' THEN 'UNLOGGED' END,
                   CASE rel.relkind WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END,
                   CASE WHEN rel.reloftype <> 0 THEN 'OF ' || format_type(rel.reloftype, NULL) END,
                   (SELECT CASE WHEN rel.relispartition THEN 'PARTITION OF ' ELSE 'INHERITS ' END
                           || string_agg(i.inhparent::regclass::text
                                         || CASE WHEN i.inhdetachpending THEN ' (DETACH PENDING)' ELSE '' END,
                                         ', ' ORDER BY i.inhseqno)
                      FROM pg_inherits i WHERE i.inhrelid = rel.oid),
                   pg_get_expr(rel.relpartbound, rel.oid),
                   CASE rel.relkind WHEN 'p' THEN 'PARTITION BY ' || pg_get_partkeydef(rel.oid) END,
                   (SELECT 'SERVER ' || quote_ident(s.srvname)
                           || coalesce(' OPTIONS (' || (SELECT string_agg(quote_literal(o), ', ' ORDER BY o COLLATE "C")
                                                          FROM unnest(f.ftoptions) o) || ')', '')
                      FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
                     WHERE f.ftrelid = rel.oid),
                   CASE WHEN rel.relkind = 'f' THEN NULL
                        WHEN rel.relreplident = 'n' THEN 'REPLICA IDENTITY NOTHING'
                        WHEN rel.relreplident = 'f' THEN 'REPLICA IDENTITY FULL'
                        WHEN rel.relreplident = 'i' THEN 'REPLICA IDENTITY USING INDEX '
                                      || coalesce((SELECT quote_ident(c.relname)
                                                     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                                                    WHERE i.indrelid = rel.oid AND i.indisreplident), '(dropped)')
                   END,
                   CASE WHEN rel.relrowsecurity THEN 'ENABLE ROW LEVEL SECURITY' END,
                   CASE WHEN rel.relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END)
          FROM rel
         WHERE rel.relkind IN ('r', 'p', 'f')
         UNION ALL
        SELECT 'column ' || rel.name || '.' || quote_ident(a.attname),
               concat_ws(' ',
                   format_type(a.atttypid, a.atttypmod),
                   CASE WHEN a.attcollation <> t.typcollation AND a.attcollation <> 0
                        THEN 'COLLATE ' || a.attcollation::regcollation::text END,
                   CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                   (SELECT string_agg(CASE WHEN n.convalidated THEN '' ELSE 'NOT VALID' END
                                      || CASE WHEN n.connoinherit THEN 'NO INHERIT' ELSE '' END, ' ')
                      FROM pg_constraint n
                     WHERE a.attnotnull AND n.conrelid = rel.oid AND n.contype = 'n' AND n.conkey = ARRAY[a.attnum]
                       AND NOT (n.convalidated AND NOT n.connoinherit)),
                   CASE a.attidentity WHEN 'a' THEN 'GENERATED ALWAYS AS IDENTITY'
                                      WHEN 'd' THEN 'GENERATED BY DEFAULT AS IDENTITY' END,
                   CASE a.attgenerated WHEN '' THEN 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
                                       ELSE 'GENERATED ALWAYS AS (' || pg_get_expr(d.adbin, d.adrelid) || ') '
                                            || CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END END,
                   'OPTIONS (' || (SELECT string_agg(quote_literal(o), ', ' ORDER BY o COLLATE "C")
                                     FROM unnest(a.attfdwoptions) o) || ')')
          FROM rel
          JOIN pg_attribute a ON a.attrelid = rel.oid
          JOIN pg_type t ON t.oid = a.atttypid
          LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attnum > 0 AND NOT a.attisdropped
           AND (rel.relkind IN ('r', 'p', 'f') OR rel.relkind = 'v' AND a.atthasdef)
         UNION ALL
        -- that a column is NOT NULL is said with the column; a constraint
        -- trigger is said with the triggers
        SELECT 'constraint ' || quote_ident(c.conname) || ' on ' || rel.name,
               concat_ws(' ',
                   pg_get_constraintdef(c.oid),
                   CASE WHEN c.contype IN ('p', 'u', 'x')
                        THEN (SELECT nullif(concat_ws(' ',
                                         CASE WHEN i.indisvalid THEN NULL ELSE '(index is not valid)' END,
                                         'WITH (' || (SELECT string_agg(o, ', ' ORDER BY o COLLATE "C")
                                                        FROM unnest(x.reloptions) o) || ')'), '')
                                FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                               WHERE i.indexrelid = c.conindid) END,
                   switched.state)
          FROM pg_constraint c
          JOIN rel ON rel.oid = c.conrelid
          LEFT JOIN switched ON switched.oid = c.oid
         WHERE c.contype IN ('c', 'p', 'u', 'x', 'f')
           AND NOT (c.contype = 'f' AND c.conparentid <> 0)
         UNION ALL
        SELECT 'constraint ' || quote_ident(c.conname) || ' on domain ' || typ.name, pg_get_constraintdef(c.oid)
          FROM pg_constraint c JOIN typ ON typ.oid = c.contypid
         WHERE c.contype = 'c'
         UNION ALL
        SELECT 'index ' || rel.name,
               concat_ws(' ',
                   pg_get_indexdef(rel.oid),
                   (SELECT 'ATTACHED TO ' || p.inhparent::regclass::text FROM pg_inherits p WHERE p.inhrelid = rel.oid),
                   CASE WHEN i.indisvalid THEN NULL ELSE '(not valid)' END)
          FROM rel JOIN pg_index i ON i.indexrelid = rel.oid
         WHERE rel.relkind IN ('i', 'I')
           AND NOT EXISTS (SELECT FROM pg_constraint c
                            WHERE c.conindid = rel.oid AND c.conrelid = i.indrelid AND c.contype IN ('p', 'u', 'x'))
           AND i.indrelid IN (SELECT rel.oid FROM rel)
         UNION ALL
        -- the server's own text is printed in another way than all others
        SELECT 'statistics ' || ns.name || '.' || quote_ident(s.stxname),
               concat_ws(' ', 'STATISTICS',
                         '(' || (SELECT string_agg(CASE k WHEN 'd' THEN 'ndistinct' WHEN 'f' THEN 'dependencies'
                                                          WHEN 'm' THEN 'mcv' ELSE k::text END, ', ' ORDER BY k)
                                   FROM unnest(s.stxkind) k WHERE k <> 'e') || ')',
                         'ON', (SELECT string_agg(e.text, ', ' ORDER BY e.text COLLATE "C")
                                  FROM (SELECT quote_ident(a.attname) AS text
                                          FROM pg_attribute a
                                         WHERE a.attrelid = s.stxrelid AND a.attnum = ANY (s.stxkeys)
                                         UNION ALL
                                        SELECT '(' || e || ')'
                                          FROM unnest(pg_get_statisticsobjdef_expressions(s.oid)) e) e),
                         'FROM', s.stxrelid::regclass)
          FROM pg_statistic_ext s JOIN ns ON s.stxnamespace = ns.oid
         WHERE NOT EXISTS (SELECT FROM member m
                            WHERE m.classid = 'pg_statistic_ext'::regclass AND m.objid = s.oid)
         UNION ALL
        SELECT 'sequence ' || rel.name,
               concat_ws(' ',
                   CASE rel.relpersistence WHEN 'u' THEN 'UNLOGGED' END,
                   format('AS %s START %s INCREMENT %s MINVALUE %s MAXVALUE %s CACHE %s',
                          format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache),
                   CASE WHEN s.seqcycle THEN 'CYCLE' END,
                   (SELECT CASE d.deptype WHEN 'i' THEN 'IDENTITY OF ' ELSE 'OWNED BY ' END
                           || d.refobjid::regclass::text || '.' || quote_ident(a.attname)
                      FROM pg_depend d
                      JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                     WHERE d.classid = 'pg_class'::regclass AND d.objid = rel.oid AND d.objsubid = 0
                       AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
                     ORDER BY 1
                     LIMIT 1))
          FROM rel JOIN pg_sequence s ON s.seqrelid = rel.oid
         WHERE rel.relkind = 'S'
         UNION ALL
        SELECT CASE rel.relkind WHEN 'v' THEN 'view ' ELSE 'materialized view ' END || rel.name,
               concat_ws(' ',
                   '(' || (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
                                             || CASE WHEN a.attcollation <> t.typcollation AND a.attcollation <> 0
                                                     THEN ' COLLATE ' || a.attcollation::regcollation::text
                                                     ELSE '' END,
                                             ', ' ORDER BY a.attnum)
                             FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                            WHERE a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped) || ')',
                   'WITH (' || (SELECT string_agg(o, ', ' ORDER BY o COLLATE "C")
                                  FROM unnest(rel.reloptions) o WHERE rel.relkind = 'v') || ')',
                   'AS' || coalesce(safeguard.view_text(rel.oid), ' (no query)'))
          FROM rel
         WHERE rel.relkind IN ('v', 'm')
         UNION ALL
        SELECT 'rule ' || quote_ident(r.rulename) || ' on ' || rel.name,
               pg_get_ruledef(r.oid)
               || CASE r.ev_enabled WHEN 'O' THEN '' WHEN 'D' THEN ' (disabled)'
                                    WHEN 'R' THEN ' (enabled for replica)' ELSE ' (enabled always)' END
          FROM pg_rewrite r JOIN rel ON rel.oid = r.ev_class
         WHERE r.rulename <> '_RETURN'
         UNION ALL
        SELECT 'trigger ' || quote_ident(t.tgname) || ' on ' || rel.name,
               pg_get_triggerdef(t.oid)
               || CASE t.tgenabled WHEN 'O' THEN '' WHEN 'D' THEN ' (disabled)'
                                   WHEN 'R' THEN ' (enabled for replica)' ELSE ' (enabled always)' END
          FROM pg_trigger t JOIN rel ON rel.oid = t.tgrelid
         WHERE NOT t.tgisinternal
         UNION ALL
        SELECT 'policy ' || quote_ident(p.polname) || ' on ' || rel.name,
               concat_ws(' ',
                   CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                   'FOR', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                                        WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                   'TO', (SELECT string_agg(r.name, ', ' ORDER BY r.name COLLATE "C")
                            FROM (SELECT CASE role WHEN 0 THEN 'PUBLIC'
                                                   ELSE quote_ident(pg_get_userbyid(role)) END AS name
                                    FROM unnest(p.polroles) role) r),
                   'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
                   'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
          FROM pg_policy p JOIN rel ON rel.oid = p.polrelid
         UNION ALL
        SELECT 'function ' || proc.name,
               CASE WHEN NOT EXISTS (SELECT FROM pg_language l WHERE l.oid = proc.prolang)
                    THEN 'FUNCTION of a language that is not there AS ' || quote_literal(proc.prosrc)
                    ELSE pg_get_functiondef(proc.oid) END
          FROM proc
         WHERE proc.prokind <> 'a'
         UNION ALL
        SELECT 'aggregate ' || proc.name,
               concat_ws(' ',
                   'AGGREGATE (' || pg_get_function_arguments(proc.oid) || ')',
                   'KIND', a.aggkind, 'DIRECT', a.aggnumdirectargs,
                   'SFUNC', a.aggtransfn::regprocedure, 'STYPE', format_type(a.aggtranstype, NULL),
                   'SSPACE', a.aggtransspace, 'INITCOND ' || quote_literal(a.agginitval),
                   'FINALFUNC', a.aggfinalfn::regprocedure, a.aggfinalextra, a.aggfinalmodify,
                   'COMBINEFUNC', a.aggcombinefn::regprocedure,
                   'SERIALFUNC', a.aggserialfn::regprocedure, 'DESERIALFUNC', a.aggdeserialfn::regprocedure,
                   'MSFUNC', a.aggmtransfn::regprocedure, 'MINVFUNC', a.aggminvtransfn::regprocedure,
                   'MSTYPE', format_type(a.aggmtranstype, NULL), 'MINITCOND ' || quote_literal(a.aggminitval),
                   'MFINALFUNC', a.aggmfinalfn::regprocedure, a.aggmfinalextra, a.aggmfinalmodify,
                   'SORTOP', a.aggsortop::regoperator, 'PARALLEL', proc.proparallel)
          FROM proc JOIN pg_aggregate a ON a.aggfnoid = proc.oid
         UNION ALL
        -- types
        SELECT CASE typ.typtype WHEN 'd' THEN 'domain ' ELSE 'type ' END || typ.name,
               CASE WHEN NOT typ.typisdefined THEN 'SHELL'
                    WHEN typ.typtype = 'e' THEN
                    'ENUM (' || coalesce((SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                                            FROM pg_enum e WHERE e.enumtypid = typ.oid), '') || ')'
                    WHEN typ.typtype = 'd' THEN
                    concat_ws(' ', 'DOMAIN', format_type(typ.typbasetype, typ.typtypmod),
                              (SELECT 'COLLATE ' || typ.typcollation::regcollation::text
                                 FROM pg_type b
                                WHERE b.oid = typ.typbasetype AND b.typcollation <> typ.typcollation
                                  AND typ.typcollation <> 0),
                              'DEFAULT ' || coalesce(pg_get_expr(typ.typdefaultbin, 'pg_type'::regclass), quote_literal(typ.typdefault)), CASE WHEN typ.typnotnull THEN 'NOT NULL' END)
                    WHEN typ.typtype = 'c' THEN
                    'COMPOSITE (' || coalesce((SELECT string_agg(quote_ident(a.attname) || ' '
                                                                 || format_type(a.atttypid, a.atttypmod)
                                                                 || CASE WHEN a.attcollation <> t.typcollation AND a.attcollation <> 0
                                                                         THEN ' COLLATE ' || a.attcollation::regcollation::text
                                                                         ELSE '' END,
                                                                 ', ' ORDER BY a.attnum)
                                                 FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                                                WHERE a.attrelid = typ.typrelid AND a.attnum > 0
                                                  AND NOT a.attisdropped), '') || ')'
                    WHEN typ.typtype = 'r' THEN
                    (SELECT concat_ws(' ', 'RANGE OF', format_type(r.rngsubtype, NULL),
                                      'OPCLASS', (SELECT o.opcnamespace::regnamespace::text || '.' || quote_ident(o.opcname)
                                                    FROM pg_opclass o WHERE o.oid = r.rngsubopc),
                                      CASE WHEN r.rngcollation <> 0 THEN 'COLLATE ' || r.rngcollation::regcollation::text END,
                                      'CANONICAL', r.rngcanonical::regproc, 'SUBDIFF', r.rngsubdiff::regproc,
                                      'MULTIRANGE', format_type(r.rngmultitypid, NULL))
                       FROM pg_range r WHERE r.rngtypid = typ.oid)
                    ELSE
                    concat_ws(' ', 'BASE INPUT', typ.typinput::regproc, 'OUTPUT', typ.typoutput::regproc,
                              'RECEIVE', typ.typreceive::regproc, 'SEND', typ.typsend::regproc,
                              'TYPMOD', typ.typmodin::regproc, typ.typmodout::regproc,
                              'LENGTH', typ.typlen, CASE WHEN typ.typbyval THEN 'BY VALUE' END,
                              'ALIGNMENT', typ.typalign, 'CATEGORY', typ.typcategory, typ.typispreferred,
                              'DELIMITER', typ.typdelim, 'ELEMENT ' || nullif(format_type(nullif(typ.typelem, 0), NULL), '-'),
                              'DEFAULT ' || coalesce(pg_get_expr(typ.typdefaultbin, 'pg_type'::regclass), quote_literal(typ.typdefault)),
                              CASE WHEN typ.typcollation <> 0 THEN 'COLLATABLE' END) END
          FROM typ
         UNION ALL
        SELECT 'operator ' || o.oid::regoperator::text,
               concat_ws(' ', 'FUNCTION', o.oprcode::regprocedure, 'COMMUTATOR', o.oprcom::regoperator,
                         'NEGATOR', o.oprnegate::regoperator, 'RESTRICT', o.oprrest::regproc, 'JOIN', o.oprjoin::regproc,
                         CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END)
          FROM pg_operator o JOIN ns ON o.oprnamespace = ns.oid
         WHERE o.oprcode <> 0       -- else it is only named by another one
           AND NOT EXISTS (SELECT FROM member m
                            WHERE m.classid = 'pg_operator'::regclass AND m.objid = o.oid)
         UNION ALL
        SELECT 'operator class ' || ns.name || '.' || quote_ident(o.opcname) || ' USING ' || quote_ident(am.amname),
               concat_ws(' ', CASE WHEN o.opcdefault THEN 'DEFAULT' END,
                         'FOR TYPE', format_type(o.opcintype, NULL),
                         'STORAGE ' || format_type(nullif(o.opckeytype, 0), NULL),
                         'FAMILY', f.opfnamespace::regnamespace, f.opfname,
                         (SELECT string_agg(format('OPERATOR %s %s', p.amopstrategy, p.amopopr::regoperator), ', '
                                            ORDER BY p.amopstrategy, p.amopopr::regoperator::text COLLATE "C")
                            FROM pg_amop p WHERE p.amopfamily = f.oid),
                         (SELECT string_agg(format('FUNCTION %s %s', p.amprocnum, p.amproc::regprocedure), ', '
                                            ORDER BY p.amprocnum, p.amproc::regprocedure::text COLLATE "C")
                            FROM pg_amproc p WHERE p.amprocfamily = f.oid))
          FROM pg_opclass o
          JOIN ns ON o.opcnamespace = ns.oid
          JOIN pg_am am ON am.oid = o.opcmethod
          JOIN pg_opfamily f ON f.oid = o.opcfamily
         WHERE NOT EXISTS (SELECT FROM member m
                            WHERE m.classid = 'pg_opclass'::regclass AND m.objid = o.oid)
         UNION ALL
        SELECT 'collation ' || ns.name || '.' || quote_ident(c.collname),
               concat_ws(' ', 'PROVIDER', c.collprovider, 'COLLATE ' || c.collcollate, 'CTYPE ' || c.collctype,
                         'LOCALE ' || coalesce(j ->> 'colllocale', j ->> 'colliculocale'),
                         'RULES ' || quote_literal(j ->> 'collicurules'),
                         CASE WHEN c.collisdeterministic THEN NULL ELSE 'NOT DETERMINISTIC' END)
          FROM pg_collation c JOIN ns ON c.collnamespace = ns.oid, to_jsonb(c) j
         WHERE NOT EXISTS (SELECT FROM member m
                            WHERE m.classid = 'pg_collation'::regclass AND m.objid = c.oid)
         UNION ALL
        SELECT 'text search configuration ' || ns.name || '.' || quote_ident(c.cfgname),
               'PARSER ' || (SELECT p.prsnamespace::regnamespace::text || '.' || quote_ident(p.prsname)
                               FROM pg_ts_parser p WHERE p.oid = c.cfgparser)
               || coalesce(' MAPPING ' || (SELECT string_agg(format('%s %s', m.maptokentype, m.mapdict::regdictionary), ', '
                                                             ORDER BY m.maptokentype, m.mapseqno)
                                             FROM pg_ts_config_map m WHERE m.mapcfg = c.oid), '')
          FROM pg_ts_config c JOIN ns ON c.cfgnamespace = ns.oid
         WHERE NOT EXISTS (SELECT FROM member m
                            WHERE m.classid = 'pg_ts_config'::regclass AND m.objid = c.oid)
         UNION ALL
        SELECT 'text search dictionary ' || ns.name || '.' || quote_ident(d.dictname),
               concat_ws(' ', 'TEMPLATE', (SELECT t.tmplnamespace::regnamespace::text || '.' || quote_ident(t.tmplname)
                                             FROM pg_ts_template t WHERE t.oid = d.dicttemplate),
                         'OPTIONS (' || d.dictinitoption || ')')
          FROM pg_ts_dict d JOIN ns ON d.dictnamespace = ns.oid
         WHERE NOT EXISTS (SELECT FROM member m
                            WHERE m.classid = 'pg_ts_dict'::regclass AND m.objid = d.oid)
         UNION ALL
        -- privileges, where they are not the server's default
        SELECT 'grants on ' || g.kind || ' ' || g.name, g.granted
          FROM (SELECT CASE rel.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                                        WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind, rel.name,
                       safeguard.acl_text(rel.relacl, CASE rel.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END,
                                          rel.relowner) AS granted,
                       '(owner): ALL' AS by_default
                  FROM rel
                 WHERE rel.relacl IS NOT NULL AND rel.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
                 UNION ALL
                SELECT 'column', rel.name || '.' || quote_ident(a.attname),
                       safeguard.acl_text(a.attacl, 'c', rel.relowner), 'none'
                  FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid
                 WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
                 UNION ALL
                SELECT 'function', proc.name, safeguard.acl_text(proc.proacl, 'f', proc.proowner),
                       '(owner): ALL; PUBLIC: ALL'
                  FROM proc
                 WHERE proc.proacl IS NOT NULL
                 UNION ALL
                SELECT 'type', typ.name, safeguard.acl_text(typ.typacl, 'T', typ.typowner),
                       '(owner): ALL; PUBLIC: ALL'
                  FROM typ
                 WHERE typ.typacl IS NOT NULL) g
         WHERE g.granted <> g.by_default
    ),
    -- all that is not the server's own text is quoted, so that it stays as it is
    told AS MATERIALIZED (
        SELECT f.object, safeguard.restored_text(f.definition) AS definition
          FROM found f
         WHERE f.definition IS NOT NULL
    )
    SELECT f.object, f.definition,
           encode(sha256(convert_to(f.definition,
                                    CASE getdatabaseencoding() WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END)),
                  'hex')
      FROM told f
     ORDER BY f.object COLLATE "C", f.definition COLLATE "C"
$$;
COMMENT ON FUNCTION safeguard.schema_objects(name) IS 'what a schema consists of, in the form that schema_fingerprint and schema_diff compare';

CREATE FUNCTION safeguard.schema_fingerprint(schema name DEFAULT 'public')
RETURNS text
LANGUAGE sql VOLATILE COST 100000
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT encode(sha256(convert_to(coalesce(string_agg(o.object || E'\t' || o.hash, E'\n'
                                                        ORDER BY o.object COLLATE "C", o.hash COLLATE "C"), ''),
                                    CASE getdatabaseencoding() WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END)),
                  'hex')
      FROM safeguard.schema_objects(schema) o
$$;
COMMENT ON FUNCTION safeguard.schema_fingerprint(name) IS 'equal where two schemas are';

CREATE FUNCTION safeguard.schema_diff(
    objects jsonb,
    schema name DEFAULT 'public',
    OUT object text,
    OUT difference text,
    OUT here text,
    OUT there text)
RETURNS SETOF record
LANGUAGE sql VOLATILE COST 100000
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
    SELECT coalesce(h.object, t.object),
           CASE WHEN h.object IS NULL THEN 'missing' WHEN t.object IS NULL THEN 'extra' ELSE 'different' END,
           h.definition, t.definition
      FROM safeguard.schema_objects(schema) h
      FULL JOIN jsonb_to_recordset(safeguard.valid_objects(objects)) t (object text, definition text, hash text)
           ON t.object = h.object
     WHERE h.hash IS DISTINCT FROM t.hash
     ORDER BY coalesce(h.object, t.object) COLLATE "C"
$$;
COMMENT ON FUNCTION safeguard.schema_diff(jsonb, name) IS 'what another database has and this one has not (missing), only this one has (extra), or both have and differs; takes jsonb_agg() of the other one''s schema_objects';

-- Settings of other roles do not concern this session.
CREATE FUNCTION safeguard.unenforced_keys(
    schema name DEFAULT 'public',
    OUT object text,
    OUT problem text,
    OUT hint text)
RETURNS SETOF record
LANGUAGE sql VOLATILE COST 10000
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
    WITH RECURSIVE
    con AS (
        SELECT c.oid AS root, c.oid
          FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
         WHERE c.contype = 'f' AND r.relnamespace = safeguard.schema_id(schema)
           -- a partition may be in another schema than what it is a part of
           AND NOT EXISTS (SELECT FROM pg_constraint p JOIN pg_class pr ON pr.oid = p.conrelid
                            WHERE p.oid = c.conparentid AND pr.relnamespace = r.relnamespace)
         UNION ALL
        SELECT con.root, c.oid
          FROM con JOIN pg_constraint c ON c.conparentid = con.oid
    ),
    unfired AS (
        -- ALL would enable triggers, too, that somebody has disabled for a reason
        SELECT con.root, t.tgrelid::regclass::text AS relation,
               CASE WHEN EXISTS (SELECT FROM pg_trigger o
                                  WHERE o.tgrelid = t.tgrelid AND NOT o.tgisinternal AND o.tgenabled <> 'O')
                    THEN string_agg(format('ALTER TABLE %s ENABLE TRIGGER %I;', t.tgrelid::regclass, t.tgname), ' ' ORDER BY t.tgname)
                    ELSE format('ALTER TABLE %s ENABLE TRIGGER ALL;', t.tgrelid::regclass) END AS hint
          FROM con JOIN pg_trigger t ON t.tgconstraint = con.oid
         WHERE t.tgisinternal AND t.tgenabled IN ('D', 'R')
         GROUP BY con.root, t.tgrelid
    ),
    problems (object, problem, hint) AS (
        SELECT 'session_replication_role',
               'session_replication_role is "replica" in this session: no foreign key is checked.',
               'SET session_replication_role = origin;'
         WHERE current_setting('session_replication_role') = 'replica'
         UNION ALL
        SELECT s.object, format('session_replication_role is "replica" for %s: no foreign key is checked.', s.object),
               format('ALTER %s RESET session_replication_role;', s.object)
          FROM (SELECT CASE WHEN d.setrole = 0 AND d.setdatabase = 0 THEN 'ROLE ALL'
                            WHEN d.setrole = 0 THEN format('DATABASE %I', current_database())
                            WHEN d.setdatabase = 0 THEN format('ROLE %I', pg_get_userbyid(d.setrole))
                            ELSE format('ROLE %I IN DATABASE %I', pg_get_userbyid(d.setrole), current_database())
                       END AS object
                  FROM pg_db_role_setting d
                 WHERE d.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                   AND d.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user),
                                     (SELECT oid FROM pg_roles WHERE rolname = current_user))
                   AND EXISTS (SELECT FROM unnest(d.setconfig) s
                                WHERE lower(s) = 'session_replication_role=replica')) s
         UNION ALL
        SELECT format('constraint %I on %s', c.conname, c.conrelid::regclass),
               format('Foreign key %I of %s is %s.', c.conname, c.conrelid::regclass,
                      CASE to_jsonb(c) ->> 'conenforced' WHEN 'false' THEN 'NOT ENFORCED' ELSE 'NOT VALID' END),
               CASE to_jsonb(c) ->> 'conenforced'
                    WHEN 'false' THEN format('ALTER TABLE %s ALTER CONSTRAINT %I ENFORCED;', c.conrelid::regclass, c.conname)
                    ELSE format('ALTER TABLE %s VALIDATE CONSTRAINT %I;', c.conrelid::regclass, c.conname) END
          FROM pg_constraint c
         WHERE c.oid IN (SELECT root FROM con) AND NOT c.convalidated
         UNION ALL
        SELECT format('constraint %I on %s', c.conname, c.conrelid::regclass),
               format('Triggers of foreign key %I of %s are disabled on %s.', c.conname, c.conrelid::regclass, u.relation),
               u.hint
          FROM unfired u JOIN pg_constraint c ON c.oid = u.root
    )
    SELECT p.object, p.problem, p.hint
      FROM problems p
     ORDER BY p.object <> 'session_replication_role', p.object COLLATE "C", p.problem COLLATE "C"
$$;
COMMENT ON FUNCTION safeguard.unenforced_keys(name) IS 'why foreign keys of a schema are not enforced, and what mends it';

CREATE FUNCTION safeguard.assert_schema(
    fingerprint text DEFAULT NULL,
    version text DEFAULT NULL,
    schema name DEFAULT 'public')
RETURNS void
LANGUAGE C VOLATILE COST 100000
AS 'MODULE_PATHNAME', 'sg_assert_schema';
COMMENT ON FUNCTION safeguard.assert_schema(text, text, name) IS 'raises an error unless there are tables, foreign keys are enforced, and the schema is the expected one';

CREATE FUNCTION safeguard.orphans(
    relation regclass,
    constraint_name name,
    max_rows int DEFAULT 100,
    OUT key jsonb,
    OUT rows bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE COST 1000000 ROWS 100
AS 'MODULE_PATHNAME', 'sg_orphans';
COMMENT ON FUNCTION safeguard.orphans(regclass, name, int) IS 'values of a foreign key that the referenced table does not have, and how many rows have each';

CREATE FUNCTION safeguard.sequence_position(sequence regclass)
RETURNS bigint
LANGUAGE C VOLATILE STRICT
AS 'MODULE_PATHNAME', 'sg_sequence_position';
COMMENT ON FUNCTION safeguard.sequence_position(regclass) IS 'the last value of a sequence, if there is one and the role may read it';

CREATE FUNCTION safeguard.is_plain(relation oid)
RETURNS bool
LANGUAGE C VOLATILE STRICT
AS 'MODULE_PATHNAME', 'sg_is_plain';
COMMENT ON FUNCTION safeguard.is_plain(oid) IS 'whether reading a table runs no code that its owner has attached to it, unless he may act as the role that asks';

-- for the report, which refuses what an owner attaches to a table meanwhile
CREATE FUNCTION safeguard.report_key(
    relation regclass,
    VARIADIC columns name[],
    OUT rows bigint,
    OUT distinct_keys bigint,
    OUT duplicate_keys bigint,
    OUT surplus_rows bigint,
    OUT null_rows bigint,
    OUT is_unique bool,
    OUT sample jsonb)
RETURNS record
LANGUAGE C VOLATILE COST 100000
AS 'MODULE_PATHNAME', 'sg_report_key';
COMMENT ON FUNCTION safeguard.report_key(regclass, name[]) IS 'as safeguard.check_key, but NULL where reading would run functions of another role';

CREATE FUNCTION safeguard.report_orphans(
    relation regclass,
    constraint_name name,
    max_rows int,
    OUT key jsonb,
    OUT rows bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE COST 1000000 ROWS 100
AS 'MODULE_PATHNAME', 'sg_report_orphans';
COMMENT ON FUNCTION safeguard.report_orphans(regclass, name, int) IS 'as safeguard.orphans, but nothing where reading would run functions of another role';

-- What of a schema may lose or corrupt data.  Without deep it reads catalogs
-- only.  A row of a partition stands under its root, with how many there are.
CREATE FUNCTION safeguard.schema_report(
    schema name DEFAULT NULL,
    deep bool DEFAULT false,
    OUT severity text,
    OUT object text,
    OUT problem text,
    OUT detail text,
    OUT hint text)
RETURNS SETOF record
LANGUAGE sql VOLATILE COST 1000000
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH asked AS MATERIALIZED (
        -- quoted, it raises the server's error for an unknown schema
        SELECT CASE WHEN schema_report.schema IS NOT NULL
                    THEN quote_ident(schema_report.schema)::regnamespace::oid END AS oid),
    schemas AS MATERIALIZED (
        SELECT n.oid, n.nspname
          FROM pg_namespace n, asked
         WHERE (asked.oid IS NULL OR n.oid = asked.oid)
           AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
           AND has_schema_privilege(n.oid, 'USAGE')),
    rels AS MATERIALIZED (
        SELECT c.oid, c.relname, c.relkind, c.relispartition AS part, c.reloftype, c.reltuples,
               format('%I.%I', s.nspname, c.relname) AS name, c.relnamespace, c.relpersistence
          FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
           AND NOT EXISTS (SELECT FROM pg_depend d
                            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')),
    tabs AS MATERIALIZED (
        SELECT r.*, coalesce(quote_ident(rn.nspname) || '.' || quote_ident(rc.relname), r.name) AS root
          FROM rels r
          LEFT JOIN pg_class rc ON r.part AND rc.oid = pg_partition_root(r.oid)
          LEFT JOIN pg_namespace rn ON rn.oid = rc.relnamespace
         WHERE r.relkind IN ('r', 'p')),
    keys AS MATERIALIZED (
        SELECT i.indexrelid, i.indrelid, t.name, i.indisprimary, i.indnullsnotdistinct, k.attnums,
               c.names, c.cols, c.nullable, con.conname, con.oid AS conid,
               NOT EXISTS (SELECT FROM unnest(i.indclass::oid[]) o(oid) JOIN pg_opclass oc ON oc.oid = o.oid
                            WHERE NOT oc.opcdefault)
               AND NOT EXISTS (SELECT FROM unnest(k.attnums) u(attnum)
                                WHERE NOT has_column_privilege(i.indrelid, u.attnum, 'SELECT'))
               AND NOT row_security_active(i.indrelid)
               AND CASE WHEN schema_report.deep THEN safeguard.is_plain(i.indrelid) END AS readable
          FROM pg_index i
          JOIN tabs t ON t.oid = i.indrelid AND NOT t.part
          CROSS JOIN LATERAL (SELECT (i.indkey::int2[])[0:i.indnkeyatts - 1] AS attnums) k
          CROSS JOIN LATERAL (SELECT array_agg(a.attname ORDER BY u.ord) AS names,
                                     string_agg(quote_ident(a.attname), ', ' ORDER BY u.ord) AS cols,
                                     bool_or(NOT a.attnotnull) AS nullable
                                FROM unnest(k.attnums) WITH ORDINALITY u(attnum, ord)
                                JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum) c
          LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid AND con.conrelid = i.indrelid
                                         AND con.contype IN ('p', 'u')
         WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL),
    cons AS MATERIALIZED (
        SELECT con.oid, con.conname, con.contype, con.convalidated, con.condeferrable, con.conrelid, con.confrelid,
               con.conkey, con.confkey, con.conindid, con.conparentid, con.conislocal, con.coninhcount,
               t.name, t.root, t.part, t.reltuples, t.relkind,
               format('%I on %s', con.conname, t.root) AS object,
               -- 18 has constraints that are declared, but not enforced
               coalesce((to_jsonb(con) ->> 'conenforced')::bool, true) AS enforced
          FROM pg_constraint con
          JOIN tabs t ON t.oid = con.conrelid
          LEFT JOIN pg_constraint whole ON whole.oid = con.conparentid
               -- what a foreign key makes for each partition of the table it references
         WHERE whole.conrelid IS DISTINCT FROM con.conrelid),
    fks AS MATERIALIZED (
        SELECT con.*, c.cols, format('%I.%I', rn.nspname, rc.relname) AS parent
          FROM cons con
          JOIN pg_class rc ON rc.oid = con.confrelid
          JOIN pg_namespace rn ON rn.oid = rc.relnamespace
          CROSS JOIN LATERAL (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.ord) AS cols
                                FROM unnest(con.conkey) WITH ORDINALITY u(attnum, ord)
                                JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = u.attnum) c
         WHERE con.contype = 'f'),
    deep_fks AS MATERIALIZED (
        SELECT f.*,
               (to_jsonb((SELECT c FROM pg_constraint c WHERE c.oid = f.oid)) ->> 'conperiod') IS DISTINCT FROM 'true'
           AND has_schema_privilege((SELECT c.relnamespace FROM pg_class c WHERE c.oid = f.confrelid), 'USAGE')
           AND NOT EXISTS (SELECT FROM unnest(f.conkey) u(attnum)
                            WHERE NOT has_column_privilege(f.conrelid, u.attnum, 'SELECT'))
           AND NOT EXISTS (SELECT FROM unnest(f.confkey) u(attnum)
                            WHERE NOT has_column_privilege(f.confrelid, u.attnum, 'SELECT'))
           AND NOT row_security_active(f.conrelid) AND NOT row_security_active(f.confrelid) AS allowed,
               safeguard.is_plain(f.conrelid) AND safeguard.is_plain(f.confrelid) AS plain
          FROM fks f
         WHERE schema_report.deep AND f.conparentid = 0),
    readable_fks AS MATERIALIZED (
        SELECT f.* FROM deep_fks f WHERE f.allowed AND f.plain),
    key_columns AS MATERIALIZED (
        SELECT DISTINCT k.indrelid, k.name, u.name AS column_name
          FROM keys k CROSS JOIN unnest(k.names) u(name)
         WHERE schema_report.deep AND k.readable AND cardinality(k.names) > 1),
    -- columns that are sums, and those that may tell whose
    sums AS MATERIALIZED (
        SELECT t.oid, t.name, t.relname,
               string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                   FILTER (WHERE a.attnotnull
                             AND (ty.typname = 'date'
                                  OR ty.typcategory IN ('N', 'S', 'E', 'U', 'I', 'B')
                                     AND ty.typname NOT IN ('numeric', 'float4', 'float8', 'json', 'jsonb', 'bytea', 'xml', 'money')
                                     AND lower(a.attname) !~ '(^|_)(count|counter|total|sum|hits|occurrences|n)(_|$)'
                                     AND NOT (a.attidentity <> '' OR coalesce(d.generated, false)))) AS list,
               array_agg(a.attnum) FILTER (WHERE a.attidentity <> '' OR d.generated) AS surrogates
          FROM tabs t
          JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
          JOIN pg_type ty ON ty.oid = a.atttypid
          LEFT JOIN LATERAL (SELECT pg_get_expr(ad.adbin, ad.adrelid) ~ '(nextval|gen_random_uuid|uuid_generate_v\d\w*|uuidv\d)\(' AS generated
                               FROM pg_attrdef ad
                              WHERE a.atthasdef AND ad.adrelid = a.attrelid AND ad.adnum = a.attnum) d ON true
         WHERE NOT t.part
         GROUP BY t.oid, t.name, t.relname
        HAVING bool_or(ty.typcategory = 'N' AND lower(a.attname) ~ '(^|_)(count|counter|total|sum|hits|occurrences)(_|$)')
           AND (bool_or(lower(a.attname) ~ '^last_(seen|updated|occurred)')
                OR lower(t.relname) ~ '(^|_)(summary|summaries|totals|counts|counters|statistics|stats|rollup|rollups|aggregates)(_|$)')),
    -- the last word of a table's name, and its singular
    words AS MATERIALIZED (
        SELECT t.oid, t.name, t.relname, t.relnamespace, v.word, v.whole
          FROM tabs t
          CROSS JOIN LATERAL (SELECT lower(t.relname) AS lower, regexp_replace(lower(t.relname), '^.*_', '') AS last) l
          CROSS JOIN LATERAL (
              SELECT DISTINCT ON (w.word) w.word, w.whole
                FROM (SELECT l.lower, true UNION ALL SELECT l.last, false
                      UNION ALL SELECT regexp_replace(l.lower, 'ies$', 'y'), true UNION ALL SELECT regexp_replace(l.last, 'ies$', 'y'), false
                      UNION ALL SELECT regexp_replace(l.lower, 'es$', ''), true UNION ALL SELECT regexp_replace(l.last, 'es$', ''), false
                      UNION ALL SELECT regexp_replace(l.lower, 's$', ''), true UNION ALL SELECT regexp_replace(l.last, 's$', ''), false) w(word, whole)
               WHERE w.word <> ''
               ORDER BY w.word, w.whole DESC) v
         WHERE NOT t.part),
    seqs AS MATERIALIZED (
        SELECT s.name, q.seqincrement, q.seqstart, o.tab, o.col, o.type_max, o.type_min,
               least(q.seqmax, o.type_max) AS last_possible, greatest(q.seqmin, o.type_min) AS first_possible,
               safeguard.sequence_position(s.oid) AS position
          FROM rels s
          JOIN pg_sequence q ON q.seqrelid = s.oid AND NOT q.seqcycle
          LEFT JOIN LATERAL (
              SELECT format('%I.%I', n.nspname, c.relname) AS tab, a.attname AS col,
                     -- domains, however deep, have their base type's output function
                     CASE ty.typoutput WHEN 'int2out'::regproc THEN 32767 WHEN 'int4out'::regproc THEN 2147483647 END::bigint AS type_max,
                     CASE ty.typoutput WHEN 'int2out'::regproc THEN -32768 WHEN 'int4out'::regproc THEN -2147483648 END::bigint AS type_min
                FROM (SELECT d.refobjid AS relid, d.refobjsubid AS attnum
                        FROM pg_depend d
                       WHERE d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i')
                         AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
                      UNION
                      SELECT ad.adrelid, ad.adnum
                        FROM pg_depend d JOIN pg_attrdef ad ON ad.oid = d.objid
                       WHERE d.classid = 'pg_attrdef'::regclass
                         AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid) x
                -- an inherited column is changed with its parent's
                JOIN pg_attribute a ON a.attrelid = x.relid AND a.attnum = x.attnum AND a.attinhcount = 0
                JOIN pg_class c ON c.oid = x.relid
                JOIN pg_namespace n ON n.oid = c.relnamespace
                JOIN pg_type ty ON ty.oid = a.atttypid
               ORDER BY 3 NULLS LAST, 1, 2
               LIMIT 1) o ON true
         WHERE s.relkind = 'S'),
    near AS MATERIALIZED (
        SELECT s.*, CASE WHEN s.seqincrement > 0
                         THEN (s.position::numeric - greatest(s.first_possible, 0)) / nullif(s.last_possible::numeric - greatest(s.first_possible, 0), 0)
                         ELSE (least(s.last_possible, 0) - s.position::numeric) / nullif(least(s.last_possible, 0)::numeric - s.first_possible, 0)
                    END AS used
          FROM seqs s
         WHERE s.position IS NOT NULL),
    found(severity, object, problem, detail, hint, part) AS (
        SELECT 'info', quote_ident(schema_report.schema), 'not examined',
               format('Role "%s" may not use the schema, so nothing is told about it.', current_user),
               format('GRANT USAGE ON SCHEMA %I TO %I;', schema_report.schema, current_user), false
          FROM asked
         WHERE NOT has_schema_privilege(asked.oid, 'USAGE')
        UNION ALL
        SELECT CASE WHEN k.cols IS NULL THEN 'warning' ELSE 'info' END, t.name, 'no primary key',
               CASE WHEN k.cols IS NULL THEN 'Nothing tells one row from another: rows can come in twice, no upsert and no foreign key can name one, and logical replication cannot update them.'
                    ELSE format('The unique key (%s) could be it; logical replication and tools look for a primary key.', k.cols) END,
               CASE WHEN k.cols IS NOT NULL THEN format('ALTER TABLE %s ADD PRIMARY KEY (%s);', t.name, k.cols)
                    WHEN id.attname IS NULL AND t.relkind = 'r' AND t.reloftype = 0
                         AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = t.oid)
                    THEN format('ALTER TABLE %s ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;', t.name)
                    WHEN id.ordered AND t.relkind = 'r' AND t.reloftype = 0
                    THEN format('ALTER TABLE %s ADD PRIMARY KEY (id);', t.name)
                    ELSE format('SELECT * FROM safeguard.suggest_keys(%L);', t.name) END, false
          FROM tabs t
          LEFT JOIN LATERAL (
              SELECT c.cols
                FROM pg_index i
                CROSS JOIN LATERAL (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.ord) AS cols,
                                           bool_and(a.attnotnull) AS notnull
                                      FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY u(attnum, ord)
                                      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum) c
               WHERE i.indrelid = t.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
                 AND i.indpred IS NULL AND i.indexprs IS NULL AND c.notnull
               ORDER BY i.indnkeyatts, c.cols
               LIMIT 1) k ON true
          LEFT JOIN LATERAL (SELECT a.attname, ty.typcategory IN ('N', 'S') OR ty.oid = 'uuid'::regtype AS ordered
                               FROM pg_attribute a JOIN pg_type ty ON ty.oid = a.atttypid
                              WHERE a.attrelid = t.oid AND a.attname = 'id' AND NOT a.attisdropped) id ON true
         WHERE NOT t.part
           AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary)
           -- with a foreign partition it can have none
           AND NOT (t.relkind = 'p' AND EXISTS (SELECT FROM pg_foreign_table ft WHERE pg_partition_root(ft.ftrelid) = t.oid))
        UNION ALL
        SELECT CASE WHEN k.null_rows > 0 THEN 'warning' ELSE 'info' END, format('%s on %s', quote_ident(k.relname), k.name),
               'nullable key column',
               concat(format('Rows with a NULL in (%s) conflict with nothing, so that the same row can come in any number of times.', k.cols),
                      CASE WHEN k.null_rows > 1 THEN format(' There are %s; those that are the same have to go first.', k.null_rows)
                           WHEN k.null_rows > 0 THEN ' There is 1.' END),
               CASE WHEN coalesce(k.null_rows, 0) = 0
                    THEN format('ALTER TABLE %s %s;', k.name,
                                (SELECT string_agg(format('ALTER COLUMN %I SET NOT NULL', a.attname), ', ' ORDER BY a.attnum)
                                   FROM pg_attribute a WHERE a.attrelid = k.indrelid AND a.attnum = ANY (k.attnums) AND NOT a.attnotnull))
                    WHEN k.conname IS NOT NULL AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conindid = k.indexrelid)
                    THEN format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s;', k.name, k.conname, k.conname,
                                regexp_replace(pg_get_constraintdef(k.conid), '^UNIQUE ', 'UNIQUE NULLS NOT DISTINCT '))
                    ELSE format('CREATE UNIQUE INDEX ON %s (%s) NULLS NOT DISTINCT;', k.name, k.cols) END, false
          FROM (SELECT k.*, c.relname,
                       CASE WHEN schema_report.deep AND k.readable
                            THEN (SELECT x.null_rows FROM safeguard.report_key(k.indrelid, VARIADIC k.names) x) END AS null_rows
                  FROM keys k JOIN pg_class c ON c.oid = k.indexrelid
                 WHERE k.nullable AND NOT k.indnullsnotdistinct AND NOT k.indisprimary
                   -- some of the columns are a key that lets no NULL through
                   AND NOT EXISTS (SELECT FROM pg_index o
                                    WHERE o.indrelid = k.indrelid AND o.indisunique AND o.indisvalid
                                      AND o.indpred IS NULL AND o.indexprs IS NULL
                                      AND (o.indkey::int2[])[0:o.indnkeyatts - 1] <@ k.attnums
                                      AND (o.indnullsnotdistinct
                                           OR NOT EXISTS (SELECT FROM pg_attribute a
                                                           WHERE a.attrelid = o.indrelid AND NOT a.attnotnull
                                                             AND a.attnum = ANY ((o.indkey::int2[])[0:o.indnkeyatts - 1]))))) k
        UNION ALL
        SELECT 'info', format('%s.%I', k.name, k.column_name), 'near-constant key column',
               format('%s of %s rows have the same value (%s): the column hardly tells rows apart, and the rest of the key may be the identity.',
                      x.sample -> 0 ->> 'rows', x.rows, x.sample -> 0 -> 'key' ->> k.column_name),
               format('SELECT * FROM safeguard.suggest_keys(%L);', k.name), false
          FROM key_columns k CROSS JOIN LATERAL safeguard.report_key(k.indrelid, k.column_name) x
         WHERE x.rows >= 100 AND (x.sample -> 0 ->> 'rows')::bigint >= 0.99 * x.rows
        UNION ALL
        SELECT 'warning', format('%s.%I', w.name, w.attname), 'missing unique key',
               'By its name the column identifies a row, but no key has it: an upsert on another key replaces rows that are not the same. safeguard.check_key tells whether the data agrees.',
               CASE WHEN w.parts IS NULL THEN format('ALTER TABLE %s ADD UNIQUE (%I);', w.name, w.attname)
                    ELSE format('SELECT * FROM safeguard.suggest_keys(%L);', w.name) END, false
          FROM (SELECT DISTINCT w.name, c.attname, p.partrelid AS parts
                  FROM words w
                  -- whose keys have to include what it is partitioned by
                  LEFT JOIN pg_partitioned_table p ON p.partrelid = w.oid
                  JOIN pg_attribute c ON c.attrelid = w.oid AND c.attnum > 0 AND lower(c.attname) IN (w.word || '_id', w.word || '_uuid', w.word || '_guid', w.word || 'id', w.word || '_key')
                  JOIN pg_type ty ON ty.oid = c.atttypid AND ty.typcategory IN ('N', 'S', 'U')
                 WHERE NOT EXISTS (SELECT FROM pg_index i
                                    WHERE i.indrelid = w.oid AND i.indisunique
                                      AND c.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
                   AND NOT EXISTS (SELECT FROM pg_constraint f
                                    WHERE f.conrelid = w.oid AND f.contype IN ('f', 'x') AND c.attnum = ANY (f.conkey))
                   -- user_roles.role_id refers to roles, with or without a foreign key;
                   -- an array of names, so that the index on names is used
                   AND (w.whole OR NOT EXISTS (SELECT FROM pg_class o
                                                WHERE o.relnamespace = w.relnamespace AND o.oid <> w.oid
                                                  AND o.relname = ANY (ARRAY[w.word, w.word || 's', w.word || 'es', regexp_replace(w.word, 'y$', 'ies'),
                                                                             initcap(w.word), initcap(w.word || 's'), initcap(w.word || 'es'),
                                                                             initcap(regexp_replace(w.word, 'y$', 'ies'))]::name[])))) w
        UNION ALL
        SELECT 'warning', t.name, 'missing unique key',
               format('By its name and columns each row is the sum of a group, but the only key is a generated number: groups come in twice, and ON CONFLICT on columns of (%s) fails. Keep those that make a group.', t.list),
               CASE WHEN EXISTS (SELECT FROM pg_partitioned_table p WHERE p.partrelid = t.oid)
                    THEN format('SELECT * FROM safeguard.suggest_keys(%L);', t.name)
                    ELSE format('ALTER TABLE %s ADD UNIQUE (%s);', t.name, t.list) END, false
          FROM sums t
         WHERE t.list IS NOT NULL
           AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisunique)
           AND NOT EXISTS (SELECT FROM pg_index i
                            WHERE i.indrelid = t.oid AND (i.indisunique OR i.indisexclusion)
                              AND NOT (i.indnkeyatts = 1 AND coalesce(i.indkey[0] = ANY (t.surrogates), false)))
        UNION ALL
        SELECT CASE WHEN i.indisunique OR i.indisexclusion THEN 'error' ELSE 'warning' END,
               CASE WHEN t.part THEN t.root ELSE format('%I on %s', c.relname, t.name) END, 'invalid index',
               format('Index %I is not used by queries%s; it is what a failed CREATE INDEX CONCURRENTLY leaves.', c.relname,
                      CASE WHEN i.indisunique THEN ', and its uniqueness need not hold' ELSE '' END),
               CASE WHEN t.relkind = 'p' AND con.oid IS NOT NULL
                    THEN format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s;', t.name, con.conname, con.conname, pg_get_constraintdef(con.oid))
                    WHEN t.relkind = 'p'
                    THEN format('DROP INDEX %I.%I; %s;', n.nspname, c.relname, regexp_replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON '))
                    WHEN c.relname ~ '_cc(new|old)\d*$' THEN format('DROP INDEX CONCURRENTLY %I.%I;', n.nspname, c.relname)
                    ELSE format('REINDEX INDEX %s%I.%I;', CASE WHEN NOT i.indisexclusion THEN 'CONCURRENTLY ' END, n.nspname, c.relname) END,
               t.part
          FROM pg_index i
          JOIN tabs t ON t.oid = i.indrelid
          JOIN pg_class c ON c.oid = i.indexrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
          LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid AND con.conrelid = i.indrelid AND con.contype IN ('p', 'u', 'x')
         WHERE NOT (i.indisvalid AND i.indisready)
           -- one that is being built becomes valid
           AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
        UNION ALL
        SELECT CASE con.contype WHEN 'f' THEN 'error' ELSE 'warning' END, con.object, 'constraint not validated',
               'New rows are checked, those from before the constraint never were.',
               format('ALTER TABLE %s VALIDATE CONSTRAINT %I;', con.name, con.conname), con.part
          FROM cons con
         WHERE NOT con.convalidated AND con.enforced AND con.conparentid = 0 AND (con.conislocal OR con.coninhcount = 0)
        UNION ALL
        SELECT 'error', con.object, 'constraint not enforced',
               'It is declared NOT ENFORCED: rows that break it come in without a word.',
               CASE con.contype
                    WHEN 'f' THEN format('ALTER TABLE %s ALTER CONSTRAINT %I ENFORCED;', con.name, con.conname)
                    ELSE format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s;', con.name, con.conname, con.conname,
                                regexp_replace(pg_get_constraintdef(con.oid), ' NOT ENFORCED$', '')) END, con.part
          FROM cons con
         WHERE NOT con.enforced AND con.conparentid = 0 AND (con.conislocal OR con.coninhcount = 0)
        UNION ALL
        SELECT 'info', con.object, 'deferrable key',
               'ON CONFLICT cannot use a deferrable key as its arbiter, and no foreign key can reference it.',
               format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s;', con.name, con.conname, con.conname,
                      regexp_replace(pg_get_constraintdef(con.oid), ' DEFERRABLE( INITIALLY DEFERRED)?$', '')), con.part
          FROM cons con
         WHERE con.contype IN ('p', 'u', 'x') AND con.condeferrable AND con.conparentid = 0
        UNION ALL
        SELECT 'error', format('%I on %s', con.conname, ct.root), 'constraint disabled',
               format('A trigger of the constraint on table %s is disabled: rows that break it come in without a word.', t.root),
               format('ALTER TABLE %s ENABLE TRIGGER %I;', t.name, tg.tgname), true
          FROM pg_trigger tg
          JOIN pg_constraint con ON con.oid = tg.tgconstraint
          JOIN tabs t ON t.oid = tg.tgrelid
          JOIN LATERAL (SELECT format('%I.%I', n.nspname, c.relname)
                          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                         WHERE c.oid = coalesce(pg_partition_root(con.conrelid)::oid, con.conrelid)) ct(root) ON true
         WHERE tg.tgisinternal AND tg.tgenabled IN ('D', 'R')
        UNION ALL
        SELECT 'warning', format('%I on %s', tg.tgname, t.root), 'trigger disabled',
               CASE tg.tgenabled WHEN 'D' THEN 'The trigger does not fire.'
                                 ELSE 'The trigger fires only where session_replication_role is replica.' END,
               format('ALTER TABLE %s ENABLE TRIGGER %I;', t.name, tg.tgname), t.part
          FROM pg_trigger tg JOIN tabs t ON t.oid = tg.tgrelid
         WHERE NOT tg.tgisinternal AND tg.tgenabled IN ('D', 'R')
        UNION ALL
        SELECT CASE WHEN f.reltuples >= 10000 THEN 'warning' ELSE 'info' END, f.object, 'foreign key without index',
               format('Each DELETE and each change of a key in %s reads all of %s for (%s), with its rows locked.', f.parent, f.root, f.cols),
               CASE WHEN f.part THEN format('CREATE INDEX ON %s (%s);', f.root, f.cols)
                    ELSE format('CREATE INDEX CONCURRENTLY ON %s (%s);', f.name, f.cols) END, f.part
          FROM fks f
         WHERE f.relkind = 'r'
           AND NOT EXISTS (
               SELECT FROM pg_index i
                WHERE i.indrelid = f.conrelid AND i.indisvalid
                  AND i.indnkeyatts >= cardinality(f.conkey)
                  AND (i.indkey::int2[])[0:cardinality(f.conkey) - 1] @> f.conkey
                  AND (i.indpred IS NULL
                       OR pg_get_expr(i.indpred, i.indrelid) = format('(%s IS NOT NULL)', f.cols)))
        UNION ALL
        SELECT CASE WHEN s.used >= 0.95 THEN 'error' ELSE 'warning' END, s.name, 'sequence near its end',
               format('%s%% of its values are used%s: after the last one every INSERT fails.', trunc(100 * s.used, 1),
                      CASE WHEN s.tab IS NOT NULL THEN format(', as column %s.%I can hold them', s.tab, s.col) END),
               concat(CASE WHEN s.type_max IS NOT NULL THEN format('ALTER TABLE %s ALTER COLUMN %I TYPE bigint; ', s.tab, s.col) END,
                      format('ALTER SEQUENCE %s AS bigint %s;', s.name, CASE WHEN s.seqincrement > 0 THEN 'NO MAXVALUE' ELSE 'NO MINVALUE' END)), false
          FROM near s
         WHERE s.used >= 0.8
        UNION ALL
        SELECT 'error', s.object, 'session_replication_role is replica',
               'Sessions with this setting check no foreign key and fire no ordinary trigger.',
               format('ALTER %s RESET session_replication_role;', s.command), false
          FROM pg_db_role_setting d
          LEFT JOIN pg_database db ON db.oid = d.setdatabase
          LEFT JOIN pg_roles r ON r.oid = d.setrole
          CROSS JOIN unnest(d.setconfig) c(item)
          CROSS JOIN LATERAL (
              SELECT CASE WHEN d.setrole = 0 AND d.setdatabase = 0 THEN 'all roles'
                          WHEN d.setrole = 0 THEN 'database ' || quote_ident(db.datname)
                          WHEN d.setdatabase = 0 THEN 'role ' || quote_ident(r.rolname)
                          ELSE concat('role ', quote_ident(r.rolname), ' in database ', quote_ident(db.datname)) END AS object,
                     CASE WHEN d.setrole = 0 AND d.setdatabase = 0 THEN 'ROLE ALL'
                          WHEN d.setrole = 0 THEN 'DATABASE ' || quote_ident(db.datname)
                          WHEN d.setdatabase = 0 THEN 'ROLE ' || quote_ident(r.rolname)
                          ELSE concat('ROLE ', quote_ident(r.rolname), ' IN DATABASE ', quote_ident(db.datname)) END AS command) s
         WHERE lower(c.item) = 'session_replication_role=replica' AND (d.setrole = 0 OR r.oid IS NOT NULL)
           AND (d.setdatabase = 0 OR db.datname = current_database())
        UNION ALL
        SELECT 'error', CASE s.source WHEN 'session' THEN 'this session' ELSE 'server' END, 'session_replication_role is replica',
               'Sessions with this setting check no foreign key and fire no ordinary trigger.',
               CASE s.source WHEN 'session' THEN 'RESET session_replication_role;' ELSE 'ALTER SYSTEM RESET session_replication_role;' END, false
          FROM pg_settings s
         WHERE s.name = 'session_replication_role' AND s.setting = 'replica'
           AND s.source IN ('session', 'configuration file', 'command line', 'environment variable')
        UNION ALL
        SELECT 'error', f.object, 'orphaned rows',
               format('Rows of (%s) have no parent in %s, for example %s.', f.cols, f.parent, o.sample),
               format('SELECT * FROM safeguard.orphans(%L, %L);', f.name, f.conname), f.part
          FROM readable_fks f
          CROSS JOIN LATERAL (SELECT string_agg(format('%s (%s %s)', x.key, x.rows, CASE x.rows WHEN 1 THEN 'row' ELSE 'rows' END), ', ' ORDER BY x.rows DESC, x.key) AS sample
                                FROM safeguard.report_orphans(f.conrelid, f.conname, 3) x) o
         WHERE o.sample IS NOT NULL
        UNION ALL
        SELECT 'info', f.object, 'not examined',
               format('Role "%s" may not read all rows of both tables, so orphans are not looked for.', current_user),
               CASE WHEN row_security_active(f.conrelid) OR row_security_active(f.confrelid)
                    THEN 'Row security may hide rows: ask as the owner of the tables or as a role with BYPASSRLS.'
                    ELSE format('GRANT SELECT ON %s, %s TO %I;', f.name, f.parent, current_user) END, f.part
          FROM deep_fks f
         WHERE NOT f.allowed
        UNION ALL
        SELECT 'info', f.object, 'not examined',
               format('To read the tables may run functions of their owners as role "%s", so orphans are not looked for.', current_user),
               format('SELECT * FROM safeguard.orphans(%L, %L);', f.name, f.conname), f.part
          FROM deep_fks f
         WHERE f.allowed AND NOT f.plain)
    SELECT f.severity, f.object, f.problem,
           concat(min(f.detail COLLATE "C"), CASE WHEN count(*) > 1 THEN format(' (%s in all)', count(*)) END),
           array_to_string((array_agg(DISTINCT f.hint COLLATE "C"))[1:10], ' ')
      FROM found f
     GROUP BY f.severity, f.object, f.problem, CASE WHEN NOT f.part THEN f.detail END, CASE WHEN NOT f.part THEN f.hint END
     ORDER BY array_position(ARRAY['error', 'warning', 'info'], f.severity), f.object COLLATE "C", f.problem COLLATE "C",
              min(f.detail COLLATE "C");
END;
COMMENT ON FUNCTION safeguard.schema_report(name, bool) IS 'what of a schema may lose or corrupt data: keys, constraints, triggers, indexes and sequences; with deep, orphaned rows and key columns, too';

--
-- Review
--

-- VOLATILE, as all that looks at what is there now; not STRICT, so that a null
-- argument is an error and not silence
CREATE FUNCTION safeguard.check(
    sql text,
    OUT statement int,
    OUT rule text,
    OUT level text,
    OUT relation regclass,
    OUT columns name[],
    OUT message text,
    OUT detail text,
    OUT hint text,
    OUT "position" int)
RETURNS SETOF record
LANGUAGE C VOLATILE COST 10000
AS 'MODULE_PATHNAME', 'sg_check';
COMMENT ON FUNCTION safeguard.check(text) IS 'what the rules say of the statements of a script, of which none is executed; row_limit and upsert_overwrite need an execution and say nothing here';

CREATE FUNCTION safeguard.check_function(
    function regprocedure,
    relation regclass DEFAULT NULL,
    OUT function regprocedure,
    OUT statement int,
    OUT rule text,
    OUT level text,
    OUT relation regclass,
    OUT columns name[],
    OUT message text,
    OUT detail text,
    OUT hint text,
    OUT "position" int)
RETURNS SETOF record
LANGUAGE C VOLATILE COST 10000
AS 'MODULE_PATHNAME', 'sg_check_function';
COMMENT ON FUNCTION safeguard.check_function(regprocedure, regclass) IS 'what the rules say of the SQL inside a function of language sql or PL/pgSQL, which is not executed; relation: the table whose trigger it is';

CREATE FUNCTION safeguard.check_functions(
    schema name DEFAULT NULL,
    OUT function regprocedure,
    OUT statement int,
    OUT rule text,
    OUT level text,
    OUT relation regclass,
    OUT columns name[],
    OUT message text,
    OUT detail text,
    OUT hint text,
    OUT "position" int)
RETURNS SETOF record
LANGUAGE C VOLATILE COST 1000000
AS 'MODULE_PATHNAME', 'sg_check_functions';
COMMENT ON FUNCTION safeguard.check_functions(name) IS 'safeguard.check_function for all functions of a schema, or of all schemas, but the server''s, those of extensions and those that the caller may not execute';


CREATE FUNCTION safeguard.preview(
    sql text,
    lock_timeout interval DEFAULT '1s',
    timeout interval DEFAULT '30s',
    twice bool DEFAULT false,
    OUT statement int,
    OUT command text,
    OUT relation regclass,
    OUT relation_name text,
    OUT rows bigint,
    OUT source_rows bigint,
    OUT scope jsonb,
    OUT sample jsonb,
    OUT locks text[],
    OUT wal_bytes bigint,
    OUT duration_ms float8,
    OUT sqlstate text,
    OUT error text,
    OUT findings jsonb)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 10
AS 'MODULE_PATHNAME', 'sg_preview';
COMMENT ON FUNCTION safeguard.preview(text, interval, interval, bool) IS 'runs a script, tells what each statement does, and rolls all of it back; sequences stay advanced';

--
-- Pool
--

CREATE FUNCTION safeguard.pool_stats(
    OUT ts timestamptz,
    OUT pool_size int,
    OUT available_connections int,
    OUT active_connections int,
    OUT idle_connections int,
    OUT idle_in_transaction int,
    OUT waiting int,
    OUT total_acquisitions bigint,
    OUT acquisition_failures bigint,
    OUT avg_acquisition_ms float8,
    OUT max_acquisition_ms float8,
    OUT slow_queries bigint,
    OUT utilization float8,
    OUT timeouts bigint,
    OUT exhaustion_events bigint,
    OUT error_rate float8)
RETURNS record
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_pool_stats';
COMMENT ON FUNCTION safeguard.pool_stats() IS 'the sessions of this server as a pool: how many there are, what they do, how many could not start; errors and refusals below log_min_messages are not seen';

CREATE FUNCTION safeguard.pool_history(
    since timestamptz DEFAULT NULL,
    OUT ts timestamptz,
    OUT pool_size int,
    OUT available_connections int,
    OUT active_connections int,
    OUT idle_connections int,
    OUT idle_in_transaction int,
    OUT waiting int,
    OUT total_acquisitions bigint,
    OUT acquisition_failures bigint,
    OUT avg_acquisition_ms float8,
    OUT max_acquisition_ms float8,
    OUT slow_queries bigint,
    OUT utilization float8,
    OUT timeouts bigint,
    OUT exhaustion_events bigint,
    OUT error_rate float8)
RETURNS SETOF record
LANGUAGE C VOLATILE ROWS 1000
AS 'MODULE_PATHNAME', 'sg_pool_history';
COMMENT ON FUNCTION safeguard.pool_history(timestamptz) IS 'rows of the view safeguard.pool_history, all of them or those since a time';

CREATE VIEW safeguard.pool_history AS
    SELECT ts, pool_size, available_connections, active_connections, idle_connections,
           idle_in_transaction, waiting, total_acquisitions, acquisition_failures,
           avg_acquisition_ms, max_acquisition_ms, slow_queries, utilization,
           timeouts, exhaustion_events, error_rate
      FROM safeguard.pool_history();
GRANT SELECT ON safeguard.pool_history TO PUBLIC;
COMMENT ON VIEW safeguard.pool_history IS 'what safeguard.pool_stats() would have said every sample_interval, the last history_size times';

CREATE FUNCTION safeguard.pool_failures(
    OUT reason text,
    OUT count bigint,
    OUT last_seen timestamptz)
RETURNS SETOF record
LANGUAGE C VOLATILE ROWS 14
AS 'MODULE_PATHNAME', 'sg_pool_failures';
COMMENT ON FUNCTION safeguard.pool_failures() IS 'rows of the view safeguard.pool_failures';

CREATE VIEW safeguard.pool_failures AS
    SELECT reason, count, last_seen FROM safeguard.pool_failures();
GRANT SELECT ON safeguard.pool_failures TO PUBLIC;
COMMENT ON VIEW safeguard.pool_failures IS 'clients that got no session, by reason; refusals below log_min_messages are not seen';

CREATE FUNCTION safeguard.acquisition_histogram(
    OUT le_ms float8,
    OUT count bigint)
RETURNS SETOF record
LANGUAGE C VOLATILE ROWS 16
AS 'MODULE_PATHNAME', 'sg_acquisition_histogram';
COMMENT ON FUNCTION safeguard.acquisition_histogram() IS 'rows of the view safeguard.acquisition_histogram';

CREATE VIEW safeguard.acquisition_histogram AS
    SELECT le_ms, count FROM safeguard.acquisition_histogram();
GRANT SELECT ON safeguard.acquisition_histogram TO PUBLIC;
COMMENT ON VIEW safeguard.acquisition_histogram IS 'how many sessions have started in up to so many milliseconds, those of the smaller limits included';

CREATE FUNCTION safeguard.pool_clients(
    OUT database text,
    OUT role text,
    OUT application text,
    OUT client text,
    OUT total int,
    OUT active int,
    OUT idle int,
    OUT idle_in_transaction int,
    OUT waiting int,
    OUT acquisitions bigint,
    OUT longest_idle_in_transaction interval,
    OUT longest_transaction interval)
RETURNS SETOF record
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_pool_clients';
COMMENT ON FUNCTION safeguard.pool_clients() IS 'rows of the view safeguard.pool_clients';

CREATE VIEW safeguard.pool_clients AS
    SELECT database, role, application, client, total, active, idle,
           idle_in_transaction, waiting, acquisitions,
           longest_idle_in_transaction, longest_transaction
      FROM safeguard.pool_clients();
GRANT SELECT ON safeguard.pool_clients TO PUBLIC;
COMMENT ON VIEW safeguard.pool_clients IS 'who holds sessions, and who has started them; an ordinary role sees its own';

CREATE FUNCTION safeguard.connection_leaks(
    threshold interval DEFAULT NULL,
    OUT pid int,
    OUT database name,
    OUT role name,
    OUT application text,
    OUT client text,
    OUT state text,
    OUT held interval,
    OUT transaction_age interval,
    OUT last_query text)
RETURNS SETOF record
LANGUAGE C VOLATILE ROWS 10
AS 'MODULE_PATHNAME', 'sg_connection_leaks';
COMMENT ON FUNCTION safeguard.connection_leaks(interval) IS 'sessions that hold a connection without work for longer than threshold, or safeguard.leak_after; an ordinary role sees its own';


--
-- Queries
--

CREATE FUNCTION safeguard.query_stats(
    OUT queryid bigint,
    OUT database text,
    OUT role text,
    OUT query text,
    OUT calls bigint,
    OUT errors bigint,
    OUT total_ms float8,
    OUT avg_ms float8,
    OUT max_ms float8,
    OUT p95_ms float8,
    OUT slow_calls bigint,
    OUT rows bigint,
    OUT last_executed_at timestamptz)
RETURNS SETOF record
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_query_stats';
COMMENT ON FUNCTION safeguard.query_stats() IS 'rows of the view safeguard.query_stats';

CREATE VIEW safeguard.query_stats AS
    SELECT queryid, database, role, query, calls, errors, total_ms, avg_ms,
           max_ms, p95_ms, slow_calls, rows, last_executed_at
      FROM safeguard.query_stats();
GRANT SELECT ON safeguard.query_stats TO PUBLIC;
COMMENT ON VIEW safeguard.query_stats IS 'statements that clients have sent, failed ones included: how often and how long they ran; an ordinary role sees its own';

CREATE FUNCTION safeguard.slow_queries(max_rows int DEFAULT 10)
RETURNS SETOF safeguard.query_stats
LANGUAGE sql VOLATILE
BEGIN ATOMIC
    SELECT q.queryid, q.database, q.role, q.query, q.calls, q.errors, q.total_ms, q.avg_ms,
           q.max_ms, q.p95_ms, q.slow_calls, q.rows, q.last_executed_at
      FROM safeguard.query_stats q
     WHERE q.slow_calls > 0
     ORDER BY q.max_ms DESC, q.total_ms DESC
     LIMIT slow_queries.max_rows;
END;
COMMENT ON FUNCTION safeguard.slow_queries(int) IS 'the statements that took longest, of those that have taken longer than safeguard.slow_query_ms';

CREATE FUNCTION safeguard.constraint_violations(
    OUT database text,
    OUT relation text,
    OUT constraint_name text,
    OUT kind text,
    OUT count bigint,
    OUT last_seen timestamptz)
RETURNS SETOF record
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_constraint_violations';
COMMENT ON FUNCTION safeguard.constraint_violations() IS 'rows of the view safeguard.constraint_violations';

CREATE VIEW safeguard.constraint_violations AS
    SELECT database, relation, constraint_name, kind, count, last_seen
      FROM safeguard.constraint_violations();
GRANT SELECT ON safeguard.constraint_violations TO PUBLIC;
COMMENT ON VIEW safeguard.constraint_violations IS 'constraints that statements have violated; an ordinary role sees those of tables of this database that it may use';


--
-- Watched tables
--

CREATE FUNCTION safeguard.watch_rows()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_watch_rows';
COMMENT ON FUNCTION safeguard.watch_rows() IS 'trigger that safeguard.watch puts on a table';

CREATE FUNCTION safeguard.watch(
    relation regclass,
    VARIADIC scope name[] DEFAULT '{}')
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_watch';
COMMENT ON FUNCTION safeguard.watch(regclass, name[]) IS 'counts the changes of a table that should hardly change, by the values of the given columns';

CREATE FUNCTION safeguard.unwatch(relation regclass)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_unwatch';
COMMENT ON FUNCTION safeguard.unwatch(regclass) IS 'ends what safeguard.watch has begun, and forgets the figures of the table';

CREATE FUNCTION safeguard.watched(
    OUT database text,
    OUT relation text,
    OUT scope jsonb,
    OUT inserted bigint,
    OUT updated bigint,
    OUT deleted bigint,
    OUT last_changed_at timestamptz,
    OUT role text,
    OUT application text)
RETURNS SETOF record
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_watched_view';
COMMENT ON FUNCTION safeguard.watched() IS 'rows of the view safeguard.watched';

CREATE VIEW safeguard.watched AS
    SELECT database, relation, scope, inserted, updated, deleted,
           last_changed_at, role, application
      FROM safeguard.watched();
GRANT SELECT ON safeguard.watched TO PUBLIC;
COMMENT ON VIEW safeguard.watched IS 'committed changes of watched tables by scope; an ordinary role sees those of tables that it may read';


--
-- Migrations
--

-- Names are compared byte by byte, so that no change of a collation can break
-- the key that makes a migration run once.  id is the order of application:
-- what has not been applied has none.
CREATE TABLE safeguard.migrations (
    id bigint UNIQUE,
    project text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    description text,
    checksum text,
    status text NOT NULL CHECK (status IN ('running', 'applied', 'repaired', 'reverted', 'released')),
    applied_at timestamptz,
    applied_by name NOT NULL,
    duration_ms float8,
    rows_changed bigint,
    wal_bytes bigint,
    PRIMARY KEY (project, version)
);
CREATE SEQUENCE safeguard.migrations_id_seq OWNED BY safeguard.migrations.id;
GRANT SELECT ON safeguard.migrations TO PUBLIC;
GRANT SELECT ON SEQUENCE safeguard.migrations_id_seq TO PUBLIC; -- pg_dump reads it
COMMENT ON TABLE safeguard.migrations IS 'migrations, each at most once per project; written by safeguard.migrate and its kin';
COMMENT ON SEQUENCE safeguard.migrations_id_seq IS 'order in which migrations were applied';

-- who is at a migration that takes more than one transaction
CREATE TABLE safeguard.migration_claims (
    project text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    pid int NOT NULL,
    backend_start timestamptz NOT NULL,
    role name NOT NULL,
    application text NOT NULL,
    since timestamptz NOT NULL,
    invalid_indexes oid[] NOT NULL,
    PRIMARY KEY (project, version)
);
COMMENT ON TABLE safeguard.migration_claims IS 'claims of safeguard.migration_begin; not dumped, since no backend outlives a restore';

-- a claim means nothing in another cluster
SELECT pg_catalog.pg_extension_config_dump('safeguard.migrations', $$WHERE status <> 'running'$$);
SELECT pg_catalog.pg_extension_config_dump('safeguard.migrations_id_seq', '');

CREATE FUNCTION safeguard.migrate(
    version text,
    sql text,
    description text DEFAULT NULL,
    expected_rows bigint DEFAULT NULL,
    keep_rows bool DEFAULT false,
    project text DEFAULT 'default')
RETURNS text
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_migrate';
REVOKE ALL ON FUNCTION safeguard.migrate(text, text, text, bigint, bool, text) FROM PUBLIC;
COMMENT ON FUNCTION safeguard.migrate(text, text, text, bigint, bool, text) IS 'runs a script unless this version of the project has been applied, at most once whatever runs beside it';

CREATE FUNCTION safeguard.migration_begin(
    version text,
    checksum text DEFAULT NULL,
    project text DEFAULT 'default')
RETURNS text
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_migration_begin';
REVOKE ALL ON FUNCTION safeguard.migration_begin(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION safeguard.migration_begin(text, text, text) IS 'claims a migration that the caller runs itself: claimed, already applied or running';

CREATE FUNCTION safeguard.migration_end(
    version text,
    project text DEFAULT 'default')
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_migration_end';
REVOKE ALL ON FUNCTION safeguard.migration_end(text, text) FROM PUBLIC;
COMMENT ON FUNCTION safeguard.migration_end(text, text) IS 'notes that a claimed migration has been applied, unless it has left an invalid index';

CREATE PROCEDURE safeguard.migration_wait(
    version text,
    timeout interval DEFAULT '10min',
    project text DEFAULT 'default')
LANGUAGE C
AS 'MODULE_PATHNAME', 'sg_migration_wait';
REVOKE ALL ON PROCEDURE safeguard.migration_wait(text, interval, text) FROM PUBLIC;
COMMENT ON PROCEDURE safeguard.migration_wait(text, interval, text) IS 'waits until a migration has been applied, without holding a snapshot';

CREATE FUNCTION safeguard.migration_mark(
    version text,
    status text,
    reason text,
    checksum text DEFAULT NULL,
    project text DEFAULT 'default')
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_migration_mark';
REVOKE ALL ON FUNCTION safeguard.migration_mark(text, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION safeguard.migration_mark(text, text, text, text, text) IS 'sets the status of a migration by hand: applied, repaired, reverted or released';

CREATE FUNCTION safeguard.schema_version(project text DEFAULT 'default')
RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce((SELECT m.version
                       FROM safeguard.migrations m
                      WHERE m.project = schema_version.project
                        AND m.status IN ('applied', 'repaired')
                      ORDER BY m.id DESC
                      LIMIT 1), 'unknown');
END;
COMMENT ON FUNCTION safeguard.schema_version(text) IS 'version that was applied last, or unknown';

-- what each migration has cost; the view leaves out how many findings the rules
-- had, and relid and xids, which are for safeguard.migration_history
CREATE FUNCTION safeguard.migration_log(
    OUT database text,
    OUT xid xid8,
    OUT project text,
    OUT tool text,
    OUT history_table text,
    OUT version text,
    OUT started_at timestamptz,
    OUT duration_ms float8,
    OUT ddl_count bigint,
    OUT rows_inserted bigint,
    OUT rows_updated bigint,
    OUT rows_deleted bigint,
    OUT wal_bytes bigint,
    OUT lock_wait_ms float8,
    OUT succeeded bool,
    OUT error text,
    OUT findings bigint,
    OUT relid oid,
    OUT xids xid[])
RETURNS SETOF record
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_migration_log';
COMMENT ON FUNCTION safeguard.migration_log() IS 'rows of the view safeguard.migration_log, with the number of findings of the rules, and what finds the rows that a migration has written to its history table';

CREATE VIEW safeguard.migration_log AS
    SELECT database, xid, project, tool, history_table, version, started_at, duration_ms, ddl_count,
           rows_inserted, rows_updated, rows_deleted, wal_bytes, lock_wait_ms, succeeded, error
      FROM safeguard.migration_log();
GRANT SELECT ON safeguard.migration_log TO PUBLIC;
COMMENT ON VIEW safeguard.migration_log IS 'what the last 1000 migrations have cost, failed ones included; an ordinary role sees its own';

CREATE FUNCTION safeguard.migration_totals(
    every_database bool,
    OUT applied bigint,
    OUT failed bigint,
    OUT skipped_concurrent bigint,
    OUT success_rate float8,
    OUT avg_duration_ms float8,
    OUT max_duration_ms float8,
    OUT rows_changed bigint,
    OUT last_version text,
    OUT last_applied_at timestamptz)
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_migration_totals';
COMMENT ON FUNCTION safeguard.migration_totals(bool) IS 'counters of migrations, of this database or of the cluster';

CREATE FUNCTION safeguard.migration_sessions(
    OUT pid int,
    OUT tool text,
    OUT project text,
    OUT version text,
    OUT since timestamptz)
RETURNS SETOF record
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_migration_sessions';
COMMENT ON FUNCTION safeguard.migration_sessions() IS 'sessions of this database in a transaction that has written to a history table, or that runs safeguard.migrate; an ordinary role sees its own';

CREATE FUNCTION safeguard.migration_lock_tool(key bigint)
RETURNS text
LANGUAGE C STABLE
AS 'MODULE_PATHNAME', 'sg_migration_lock_tool';
COMMENT ON FUNCTION safeguard.migration_lock_tool(bigint) IS 'the migration tool that takes an advisory lock with this key in this database';

CREATE FUNCTION safeguard.migration_claim_is_live(pid int, backend_start timestamptz)
RETURNS bool
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_migration_claim_is_live';
COMMENT ON FUNCTION safeguard.migration_claim_is_live(int, timestamptz) IS 'whether the backend that has made a claim is still there; on a standby, where it cannot be seen, it is';

-- Functions in a view run as its reader, its tables are read as its owner: so
-- claims can be seen, and of sessions what pg_stat_activity shows the reader.
CREATE VIEW safeguard.migrations_running AS
    WITH activity AS MATERIALIZED (
        SELECT a.* FROM pg_stat_activity a WHERE a.datname = current_database()),
    session AS MATERIALIZED (
        SELECT s.* FROM safeguard.migration_sessions() s),
    lock AS MATERIALIZED (
        SELECT l.pid, l.locktype, l.classid, l.objid, l.objsubid, l.granted, l.waitstart
          FROM pg_locks l
         WHERE l.locktype IN ('advisory', 'object') AND l.pid IS NOT NULL
           AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())),
    found AS (
        -- a transaction with a migration
        SELECT s.pid, s.tool, s.project, s.version, s.since, false AS waits, false AS may_be_left
          FROM session s
        UNION ALL
        -- safeguard.migrate() that waits for another one
        SELECT w.pid, 'safeguard', s.project, s.version, w.waitstart, true, false
          FROM lock w
               LEFT JOIN lock h ON h.locktype = 'object' AND h.classid = w.classid AND h.objid = w.objid
                                AND h.objsubid = w.objsubid AND h.granted
               LEFT JOIN session s ON s.pid = h.pid AND s.tool = 'safeguard'
         WHERE w.locktype = 'object' AND w.classid = 'safeguard.migrations'::regclass AND NOT w.granted
        UNION ALL
        -- a tool's lock
        SELECT l.pid, t.tool, NULL, NULL, l.waitstart, NOT l.granted, l.granted
          FROM lock l, LATERAL safeguard.migration_lock_tool((l.classid::bigint << 32) | l.objid::bigint) AS t(tool)
         WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND t.tool IS NOT NULL
           AND NOT EXISTS (SELECT FROM session s WHERE s.pid = l.pid))
    SELECT f.pid, f.tool, f.project, f.version, a.usename AS role, a.application_name AS application,
           coalesce(f.since, a.xact_start, a.state_change) AS since,
           f.waits OR coalesce(a.wait_event_type = 'Lock', false) AS waiting,
           -- a lock of a session that does nothing, nor does another one of its kind
           f.may_be_left AND a.state = 'idle'
           AND clock_timestamp() - a.state_change > current_setting('safeguard.leak_after')::interval
           AND NOT EXISTS (SELECT FROM activity o
                            WHERE o.pid <> a.pid AND o.usesysid = a.usesysid
                              AND o.application_name = a.application_name AND o.state <> 'idle'
                              AND o.pid <> pg_backend_pid()) AS abandoned
      FROM found f
           JOIN activity a ON a.pid = f.pid
     WHERE pg_has_role('pg_read_all_stats', 'USAGE') OR pg_has_role(a.usesysid, 'USAGE')
    UNION ALL
    -- migration_begin() without migration_end()
    SELECT c.pid, 'safeguard', c.project, c.version, c.role, c.application, c.since,
           coalesce(a.wait_event_type = 'Lock', false), NOT safeguard.migration_claim_is_live(c.pid, c.backend_start)
      FROM safeguard.migration_claims c
           JOIN safeguard.migrations m ON m.project = c.project AND m.version = c.version AND m.status = 'running'
           LEFT JOIN activity a ON a.pid = c.pid AND a.backend_start = c.backend_start
     WHERE NOT EXISTS (SELECT FROM session s
                        WHERE s.pid = c.pid AND s.project = c.project AND s.version = c.version)
       AND (pg_has_role('pg_read_all_stats', 'USAGE') OR
            EXISTS (SELECT FROM pg_roles r WHERE r.rolname = c.role AND pg_has_role(r.oid, 'USAGE')));
GRANT SELECT ON safeguard.migrations_running TO PUBLIC;
COMMENT ON VIEW safeguard.migrations_running IS 'migrations that run, wait or were left in this database; an ordinary role sees its own';

-- with the rights of its owner, since how many there are is for everybody
CREATE FUNCTION safeguard.migrations_running_count(OUT running int, OUT waiting int, OUT abandoned int)
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT count(*)::int, (count(*) FILTER (WHERE r.waiting))::int, (count(*) FILTER (WHERE r.abandoned))::int
      FROM safeguard.migrations_running r;
END;
COMMENT ON FUNCTION safeguard.migrations_running_count() IS 'how many migrations there are in safeguard.migrations_running as seen by who may see all';

CREATE FUNCTION safeguard.migration_stats(
    OUT applied bigint,
    OUT failed bigint,
    OUT skipped_concurrent bigint,
    OUT running int,
    OUT success_rate float8,
    OUT avg_duration_ms float8,
    OUT max_duration_ms float8,
    OUT rows_changed bigint,
    OUT last_version text,
    OUT last_applied_at timestamptz,
    OUT foreign_key_violations bigint,
    OUT unique_violations bigint)
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT t.applied, t.failed, t.skipped_concurrent, r.running, t.success_rate, t.avg_duration_ms,
           t.max_duration_ms, t.rows_changed, t.last_version, t.last_applied_at, v.foreign_keys, v.uniques
      FROM safeguard.migration_totals(false) t,
           safeguard.migrations_running_count() r,
           (SELECT coalesce(sum(c.count) FILTER (WHERE c.kind = 'foreign key'), 0)::bigint AS foreign_keys,
                   coalesce(sum(c.count) FILTER (WHERE c.kind = 'unique'), 0)::bigint AS uniques
              FROM safeguard.constraint_violations c
             WHERE c.database = current_database()) AS v;
END;
COMMENT ON FUNCTION safeguard.migration_stats() IS 'figures of the migrations of this database, of safeguard and of other tools';

CREATE FUNCTION safeguard.migrated_fingerprint()
RETURNS text
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_migrated_fingerprint';
COMMENT ON FUNCTION safeguard.migrated_fingerprint() IS 'fingerprint of schema public, computed once after each migration; NULL if it is not known';

--
-- Health and metrics
--

-- with the rights of its owner, since the number of leaks is for everybody
-- and whose they are is not
CREATE FUNCTION safeguard.connection_leak_count()
RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT count(*) FROM safeguard.connection_leaks();
END;
COMMENT ON FUNCTION safeguard.connection_leak_count() IS 'number of sessions in safeguard.connection_leaks() as seen by who may see all';

-- Who holds locks that others wait for, and waits for none itself.  Looking
-- stops all lock traffic for a moment, so that only the longest waits are
-- followed, and only when there are any.
CREATE FUNCTION safeguard.lock_blockers(
    waiting int,
    OUT pid int,
    OUT waiters bigint,
    OUT longest interval)
RETURNS SETOF record
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH RECURSIVE queue AS MATERIALIZED (
        SELECT l.pid, min(l.waitstart) AS since
          FROM pg_locks l
         WHERE NOT l.granted AND waiting > 0
         GROUP BY l.pid
         ORDER BY min(l.waitstart)
         LIMIT 32),
    waits AS MATERIALIZED (
        SELECT DISTINCT q.pid, q.since, b.blocker
          FROM queue q CROSS JOIN LATERAL unnest(pg_blocking_pids(q.pid)) AS b(blocker)
         WHERE b.blocker <> q.pid),
    chain AS (
        SELECT w.pid, w.since, w.blocker
          FROM waits w
        UNION
        SELECT c.pid, c.since, w.blocker
          FROM chain c JOIN waits w ON w.pid = c.blocker)
    SELECT c.blocker, count(DISTINCT c.pid),
           coalesce(max(clock_timestamp() - c.since), interval '0')
      FROM chain c
     WHERE NOT EXISTS (SELECT FROM waits w WHERE w.pid = c.blocker)
     GROUP BY c.blocker;
END;
COMMENT ON FUNCTION safeguard.lock_blockers(int) IS 'processes that others wait for, while they wait for none; 0 is a prepared transaction';

-- Roles that no setting gives a value other than 0 for a timeout: of all that
-- may log in, or of those that own relations here and so run DDL.
CREATE FUNCTION safeguard.roles_without_timeout(parameter text, owners bool)
RETURNS SETOF oid
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH own AS MATERIALIZED (
        -- the value in force where neither role nor database has its own; it
        -- is not known where this session's is one of these
        SELECT p.reset_val = '0'
               AND NOT EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS c(item)
                                WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                                  AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))
                                  AND starts_with(c.item, parameter || '=')) AS missing
          FROM pg_settings p
         WHERE p.name = parameter)
    SELECT r.oid
      FROM pg_roles r
     WHERE r.rolcanlogin
       AND (SELECT o.missing FROM own o)
       AND (NOT owners
            OR EXISTS (SELECT FROM pg_class c
                        WHERE c.relowner = r.oid AND c.oid >= 16384
                          AND c.relkind IN ('r', 'p', 'm')
                          AND c.relnamespace <> 'safeguard'::regnamespace))
       AND NOT EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS c(item)
                        WHERE s.setrole = r.oid
                          AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                          AND starts_with(c.item, parameter || '='));
END;
COMMENT ON FUNCTION safeguard.roles_without_timeout(text, bool) IS 'roles that may log in to this database without the given timeout';

CREATE FUNCTION safeguard.own_trouble(OUT unjudged_at timestamptz, OUT file_failing bool)
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_own_trouble';
COMMENT ON FUNCTION safeguard.own_trouble() IS 'when judging a statement failed last since the start of the server, and whether the statistics file cannot be written';

CREATE FUNCTION safeguard.health(
    OUT status text,
    OUT utilization float8,
    OUT warnings text[])
RETURNS record
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH pool AS MATERIALIZED (
        SELECT * FROM safeguard.pool_stats()),
    -- read after pool_stats(), which loads the library where it is missing
    setting AS MATERIALIZED (
        SELECT current_setting('safeguard.utilization_warning', true)::float8 AS warning,
               current_setting('safeguard.utilization_critical', true)::float8 AS critical,
               current_setting('safeguard.critical_for', true)::interval AS critical_for,
               current_setting('safeguard.failures_per_minute', true)::bigint AS failures,
               current_setting('safeguard.timeouts_per_minute', true)::bigint AS timeouts,
               current_setting('safeguard.slow_queries_per_hour', true)::bigint AS slow_queries,
               extract(epoch FROM current_setting('safeguard.acquisition_warning_ms', true)::interval)::float8 * 1000 AS acquisition_ms,
               current_setting('safeguard.slow_query_ms', true) AS slow_query,
               current_setting('safeguard.leak_after', true)::interval AS leak_after,
               current_setting('safeguard.track_pool', true)::bool AS track_pool,
               -- no sample for longer than this is a hole in the history
               3 * current_setting('safeguard.sample_interval', true)::interval + interval '5s' AS hole
          FROM pool),
    history AS MATERIALIZED (
        SELECT h.*, lead(h.ts, 1, p.ts) OVER (ORDER BY h.ts) AS next_ts
          FROM pool p, setting s,
               LATERAL safeguard.pool_history(p.ts - greatest(interval '2h', s.critical_for + s.hole)) AS h
         WHERE h.ts <= p.ts),
    -- The first sample inside the window, so that nothing older is counted;
    -- where samples are rarer than that, the last one, and its share.
    window_start AS MATERIALIZED (
        SELECT w.length, b.*, least(1, extract(epoch FROM w.length) / nullif(extract(epoch FROM p.ts - b.ts), 0))::float8 AS share
          FROM pool p,
               (VALUES (interval '1min'), (interval '5min'), (interval '1h')) AS w(length)
               CROSS JOIN LATERAL (SELECT h.*
                                     FROM history h
                                    ORDER BY h.ts >= p.ts - w.length DESC,
                                             abs(extract(epoch FROM h.ts - (p.ts - w.length)))
                                    LIMIT 1) AS b),
    minute AS (
        SELECT (p.acquisition_failures - w.acquisition_failures) * w.share AS failures,
               (p.timeouts - w.timeouts) * w.share AS timeouts
          FROM pool p, window_start w
         WHERE w.length = interval '1min'),
    five AS (
        SELECT p.total_acquisitions - w.total_acquisitions AS acquisitions,
               (p.avg_acquisition_ms * p.total_acquisitions - w.avg_acquisition_ms * w.total_acquisitions)
               / nullif(p.total_acquisitions - w.total_acquisitions, 0) AS avg_ms
          FROM pool p, window_start w
         WHERE w.length = interval '5min'),
    hour AS (
        SELECT (p.slow_queries - w.slow_queries) * w.share AS slow_queries
          FROM pool p, window_start w
         WHERE w.length = interval '1h'),
    -- since when the utilization has been critical without a break: a sample
    -- below, a hole, or a start of the server
    over AS MATERIALIZED (
        SELECT coalesce(min(h.ts) FILTER (WHERE h.ts > b.ts), p.ts) AS since
          FROM pool p
               CROSS JOIN LATERAL (
                   SELECT greatest(pg_postmaster_start_time(),
                                   max(h.ts) FILTER (WHERE h.utilization <= s.critical OR h.next_ts - h.ts > s.hole)) AS ts
                     FROM setting s LEFT JOIN history h ON true) AS b
               LEFT JOIN history h ON true
         GROUP BY p.ts),
    blocker AS MATERIALIZED (
        SELECT b.pid, b.waiters, b.longest,
               CASE WHEN b.pid = 0 THEN 'a prepared transaction (see pg_prepared_xacts)'
                    WHEN a.usesysid IS NOT NULL
                         AND (pg_has_role('pg_read_all_stats', 'USAGE') OR pg_has_role(a.usesysid, 'USAGE'))
                    THEN format('process %s (role %s, application "%s", %s)', b.pid, a.usename, a.application_name, a.state)
                    ELSE format('process %s', b.pid)
               END AS who
          FROM pool p CROSS JOIN LATERAL safeguard.lock_blockers(p.waiting) AS b
               LEFT JOIN pg_stat_activity a ON a.pid = b.pid),
    -- what clients need to hang for ever, by parameter and the roles without it
    missing AS MATERIALIZED (
        SELECT t.parameter, t.position, t.text, t.remedy, count(*) AS roles,
               string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname COLLATE "C") AS names
          FROM (VALUES ('idle_in_transaction_session_timeout', 1, false,
                        'a client that forgets an open transaction keeps its connection and its locks for ever',
                        'ALTER SYSTEM SET idle_in_transaction_session_timeout = ''5min'''),
                       ('lock_timeout', 2, true,
                        'DDL that waits for a lock makes all who come after it wait, for ever',
                        'ALTER ROLE ... SET lock_timeout = ''5s''')) AS t(parameter, position, owners, text, remedy)
               CROSS JOIN LATERAL safeguard.roles_without_timeout(t.parameter, t.owners) AS w(oid)
               JOIN pg_roles r ON r.oid = w.oid
         -- those whose sessions safeguard.pool_clients shows
         WHERE pg_has_role('pg_read_all_stats', 'USAGE') OR pg_has_role(r.oid, 'USAGE')
         GROUP BY t.parameter, t.position, t.text, t.remedy),
    found(rank, position, text) AS (
        SELECT 2, 1,
               format('utilization is %s %%, over %s %% for %s s; close idle sessions (safeguard.pool_clients tells whose they are), put a pooler in front, or raise max_connections',
                      round(p.utilization::numeric, 1), s.critical, round(extract(epoch FROM p.ts - o.since)))
          FROM pool p, setting s, over o
         WHERE p.utilization > s.critical AND p.ts - o.since >= s.critical_for
        UNION ALL
        SELECT 1, 1,
               format('utilization is %s %%, over %s %%; see safeguard.pool_clients for the sessions, and safeguard.pool_history for how it grew',
                      round(p.utilization::numeric, 1), s.warning)
          FROM pool p, setting s, over o
         WHERE p.utilization > s.warning
           AND NOT (p.utilization > s.critical AND p.ts - o.since >= s.critical_for)
        UNION ALL
        SELECT 2, 2,
               format('connections refused in the last minute: %s, more than %s; see safeguard.pool_failures for the reason, and safeguard.pool_clients for who holds the others',
                      round(m.failures), s.failures)
          FROM minute m, setting s
         WHERE m.failures > s.failures
        UNION ALL
        SELECT 2, 3,
               format('timeouts in the last minute: %s, more than %s; see the server log for the statements, and pg_stat_activity for what sessions wait for',
                      round(m.timeouts), s.timeouts)
          FROM minute m, setting s
         WHERE m.timeouts > s.timeouts
        UNION ALL
        SELECT 1, 4,
               format('statements slower than %s in the last hour: %s, more than %s; see safeguard.slow_queries(), and mend or index the worst',
                      s.slow_query, round(h.slow_queries), s.slow_queries)
          FROM hour h, setting s
         WHERE h.slow_queries > s.slow_queries
        UNION ALL
        SELECT 1, 5,
               format('setting up a session took %s ms on average in the last 5 minutes, over %s ms; reuse connections (a pooler), and look at the load of the host and at authentication',
                      round(f.avg_ms::numeric, 1), s.acquisition_ms)
          FROM five f, setting s
         WHERE f.acquisitions >= 5 AND f.avg_ms > s.acquisition_ms
        UNION ALL
        SELECT 1, 6,
               format('sessions that hold a connection without work for more than %s s: %s; see safeguard.connection_leaks(), mend the client, or end them with pg_terminate_backend()',
                      round(extract(epoch FROM s.leak_after)), l.n)
          FROM (SELECT safeguard.connection_leak_count() AS n) AS l, setting s
         WHERE l.n > 0
        UNION ALL
        SELECT CASE WHEN b.longest > s.leak_after THEN 1 ELSE 0 END, 7,
               format('%ssessions that wait for locks behind %s: %s, the longest for %s s; let it end, or end it with pg_terminate_backend(), and bound the wait by lock_timeout',
                      CASE WHEN b.longest > s.leak_after THEN '' ELSE 'advice: ' END,
                      b.who, b.waiters, round(extract(epoch FROM b.longest)))
          FROM blocker b, setting s
         WHERE b.waiters > 1 OR b.longest > interval '1s'
        UNION ALL
        SELECT 0, 8,
               'advice: safeguard.track_pool is off, so that sessions are neither counted nor sampled; switch it on to be warned'
          FROM setting s
         WHERE NOT s.track_pool
        UNION ALL
        SELECT 0, 9,
               format('advice: no sample of the pool for %s s; see item "collector" of safeguard.status()',
                      round(extract(epoch FROM p.ts - n.newest)))
          FROM pool p, setting s,
               LATERAL (SELECT greatest(max(h.ts), pg_postmaster_start_time()) AS newest FROM history h) AS n
         WHERE s.track_pool AND p.ts - n.newest > s.hole
        UNION ALL
        SELECT 1, 12,
               format('judging a statement failed %s s ago, and it went through; see item "unjudged" of safeguard.status() for the reason and for how many',
                      round(extract(epoch FROM p.ts - o.unjudged_at)))
          FROM pool p, safeguard.own_trouble() AS o
         WHERE p.ts - o.unjudged_at < interval '1h'
        UNION ALL
        SELECT 0, 13,
               'advice: the statistics file cannot be written, so that a crash will lose figures; see item "collector" of safeguard.status(), and the server log for the reason'
          FROM safeguard.own_trouble() AS o
         WHERE o.file_failing
        UNION ALL
        SELECT 0, 9 + m.position,
               format('advice: %s is not set for roles that may log in%s: %s%s; %s; %s',
                      m.parameter,
                      CASE WHEN m.parameter = 'lock_timeout' THEN ' and own tables here' ELSE '' END,
                      m.roles,
                      CASE WHEN m.roles <= 5 THEN ' (' || m.names || ')' ELSE '' END,
                      m.text, m.remedy)
          FROM missing m)
    SELECT CASE max(f.rank) WHEN 2 THEN 'critical' WHEN 1 THEN 'degraded' ELSE 'healthy' END,
           (SELECT p.utilization FROM pool p),
           coalesce(array_agg(f.text ORDER BY f.rank DESC, f.position, f.text COLLATE "C"), '{}')
      FROM found f;
END;
COMMENT ON FUNCTION safeguard.health() IS 'healthy, degraded or critical, how full the pool is, and what to do';

CREATE FUNCTION safeguard.statement_counts(
    OUT statements bigint,
    OUT errors bigint)
RETURNS record
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_statement_counts';
COMMENT ON FUNCTION safeguard.statement_counts() IS 'statements of clients that have ended without an error, and errors; those below log_min_messages are not seen';

-- One branch for each source, which is read once.  Seconds, bytes and ratios,
-- as Prometheus wants them; no label whose values a client may choose.
CREATE FUNCTION safeguard.metrics(
    OUT name text,
    OUT type text,
    OUT help text,
    OUT labels jsonb,
    OUT value float8)
RETURNS SETOF record
LANGUAGE sql VOLATILE ROWS 200
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH pool AS MATERIALIZED (
        SELECT * FROM safeguard.pool_stats()),
    item AS MATERIALIZED (
        SELECT s.item, s.value, starts_with(s.detail, 'At most ') AS is_table,
               substring(s.detail FROM 'evicted ([0-9]+)') AS evicted
          FROM safeguard.status() s),
    rule AS MATERIALIZED (
        SELECT * FROM safeguard.rules),
    bucket AS MATERIALIZED (
        SELECT h.le_ms / 1000 AS le, h.count FROM safeguard.acquisition_histogram h),
    query AS MATERIALIZED (
        SELECT coalesce(q.database, '') AS database, sum(q.calls) AS calls, sum(q.errors) AS errors,
               sum(q.slow_calls) AS slow_calls, sum(q.rows) AS rows, sum(q.total_ms) / 1000 AS seconds,
               max(q.max_ms) / 1000 AS max_seconds
          FROM safeguard.query_stats q
         GROUP BY coalesce(q.database, '')),
    upsert AS MATERIALIZED (
        SELECT current_database() AS database, sum(u.statements) AS statements, sum(u.proposed) AS proposed,
               sum(u.inserted) AS inserted, sum(u.replaced) AS replaced, sum(u.skipped) AS skipped
          FROM safeguard.upsert_stats u),
    client AS MATERIALIZED (
        SELECT coalesce(c.database, '') AS database, coalesce(c.role, '') AS role, sum(c.total) AS total,
               max(c.longest_transaction) AS longest_transaction,
               max(c.longest_idle_in_transaction) AS longest_idle
          FROM safeguard.pool_clients c
         GROUP BY coalesce(c.database, ''), coalesce(c.role, '')),
    watched AS MATERIALIZED (
        SELECT coalesce(w.database, '') AS database, coalesce(w.relation::text, '') AS relation,
               coalesce(w.scope::text, '') AS scope, w.inserted, w.updated, w.deleted, w.last_changed_at
          FROM safeguard.watched w)
    SELECT 'safeguard_build_info', 'gauge', 'Versions of safeguard and of the server',
           jsonb_build_object('version', i.value, 'server_version', current_setting('server_version_num')), 1::float8
      FROM item i
     WHERE i.item = 'version'
    UNION ALL
    SELECT 'safeguard_shared_memory_bytes', 'gauge', 'Shared memory that safeguard has taken',
           '{}'::jsonb, i.value::float8
      FROM item i
     WHERE i.item = 'shared memory bytes'
    UNION ALL
    SELECT 'safeguard_unjudged_statements_total', 'counter', 'Statements that went through because judging them failed',
           '{}', i.value::float8
      FROM item i
     WHERE i.item = 'unjudged'
    UNION ALL
    SELECT m.name, m.type, m.help, jsonb_build_object('kind', i.item), m.value
      FROM item i,
           LATERAL (VALUES ('safeguard_table_entries', 'gauge', 'Entries in a table of shared memory', i.value::float8),
                           ('safeguard_table_evicted_total', 'counter', 'Entries dropped for want of room in a table of shared memory', i.evicted::float8))
                   AS m(name, type, help, value)
     WHERE i.is_table AND m.value IS NOT NULL
    UNION ALL
    SELECT m.name, 'gauge', m.help, '{}', current_setting(m.setting, true)::bool::int
      FROM pool p,
           LATERAL (VALUES ('safeguard_enabled', 'Whether the rules act for a session of the monitoring role', 'safeguard.enabled'),
                           ('safeguard_pool_tracked', 'Whether sessions are counted and sampled', 'safeguard.track_pool'))
                   AS m(name, help, setting)
    UNION ALL
    SELECT m.name, m.type, m.help, m.labels, m.value
      FROM rule r,
           LATERAL (VALUES ('safeguard_rule_info', 'gauge', 'Rules, and their level for a session of the monitoring role',
                            jsonb_build_object('rule', r.rule, 'level', r.level), 1::float8),
                           ('safeguard_rule_seen_total', 'counter', 'Statements that a rule has found, rejected ones included',
                            jsonb_build_object('rule', r.rule), r.seen::float8),
                           ('safeguard_rule_rejected_total', 'counter', 'Statements that a rule has rejected',
                            jsonb_build_object('rule', r.rule), r.rejected::float8))
                   AS m(name, type, help, labels, value)
    UNION ALL
    SELECT 'safeguard_findings_total', 'counter', 'Findings kept in safeguard.findings; an entry that is evicted takes its count along',
           jsonb_build_object('rule', f.rule, 'level', f.level, 'database', coalesce(f.database, '')), sum(f.calls)::float8
      FROM safeguard.findings f
     GROUP BY f.rule, f.level, coalesce(f.database, '')
    UNION ALL
    SELECT m.name, m.type, m.help, '{}', m.value
      FROM pool p,
           LATERAL (VALUES ('safeguard_pool_size', 'gauge', 'Connections that clients may have: max_connections less reserved ones', p.pool_size::float8),
                           ('safeguard_pool_available_connections', 'gauge', 'Connections that are free', p.available_connections),
                           ('safeguard_pool_waiting_sessions', 'gauge', 'Sessions that wait for a lock', p.waiting),
                           ('safeguard_pool_utilization_ratio', 'gauge', 'Share of the pool in use', p.utilization / 100),
                           ('safeguard_pool_acquisitions_total', 'counter', 'Sessions that were set up', p.total_acquisitions),
                           ('safeguard_pool_acquisition_failures_total', 'counter', 'Connections refused for want of a slot, or not set up in time', p.acquisition_failures),
                           ('safeguard_pool_acquisition_max_seconds', 'gauge', 'Longest time that setting up a session has taken', p.max_acquisition_ms / 1000),
                           ('safeguard_pool_timeouts_total', 'counter', 'Statements and sessions ended by a timeout of the server', p.timeouts),
                           ('safeguard_pool_exhaustion_events_total', 'counter', 'Connections refused for want of a slot', p.exhaustion_events),
                           ('safeguard_slow_queries_total', 'counter', 'Statements slower than safeguard.slow_query_ms', p.slow_queries),
                           ('safeguard_error_ratio', 'gauge', 'Share of statements that failed since the last reset', p.error_rate / 100))
                   AS m(name, type, help, value)
    UNION ALL
    SELECT m.name, 'counter', m.help, '{}', m.value
      FROM safeguard.statement_counts() c,
           LATERAL (VALUES ('safeguard_statements_total', 'Statements of clients that ended without an error', c.statements::float8),
                           ('safeguard_errors_total', 'Errors of statements and sessions', c.errors))
                   AS m(name, help, value)
    UNION ALL
    SELECT 'safeguard_pool_connections', 'gauge', 'Connections of clients by state',
           jsonb_build_object('state', m.state), m.value
      FROM pool p,
           LATERAL (VALUES ('active', p.active_connections), ('idle', p.idle_connections),
                           ('idle_in_transaction', p.idle_in_transaction)) AS m(state, value)
    UNION ALL
    SELECT 'safeguard_pool_failures_total', 'counter', 'Connections that were not set up, by reason',
           jsonb_build_object('reason', f.reason), f.count
      FROM safeguard.pool_failures f
    UNION ALL
    SELECT 'safeguard_pool_acquisition_seconds_bucket', 'histogram', 'Time to set up a session',
           jsonb_build_object('le', CASE WHEN b.le = 'Infinity' THEN '+Inf' ELSE b.le::text END), b.count
      FROM bucket b
    UNION ALL
    SELECT 'safeguard_pool_acquisition_seconds_sum', 'histogram', 'Time to set up a session',
           '{}', p.avg_acquisition_ms / 1000 * p.total_acquisitions
      FROM pool p
    UNION ALL
    SELECT 'safeguard_pool_acquisition_seconds_count', 'histogram', 'Time to set up a session',
           '{}', max(b.count)
      FROM bucket b
    UNION ALL
    SELECT m.name, 'gauge', m.help, jsonb_build_object('database', c.database, 'role', c.role), m.value
      FROM client c,
           LATERAL (VALUES ('safeguard_pool_client_connections', 'Connections of clients', c.total::float8),
                           ('safeguard_pool_client_longest_transaction_seconds', 'Age of the oldest open transaction', coalesce(extract(epoch FROM c.longest_transaction), 0)),
                           ('safeguard_pool_client_longest_idle_in_transaction_seconds', 'Longest time that a session has been idle in a transaction', coalesce(extract(epoch FROM c.longest_idle), 0)))
                   AS m(name, help, value)
    UNION ALL
    SELECT 'safeguard_connection_leaks', 'gauge', 'Sessions that hold a connection without work, see safeguard.leak_after',
           '{}', safeguard.connection_leak_count()
      FROM pool
    UNION ALL
    SELECT m.name, 'gauge', m.help, '{}', m.value
      FROM (SELECT count(*) AS n, min(h.ts) AS oldest, max(h.ts) AS newest FROM safeguard.pool_history h) AS s,
           LATERAL (VALUES ('safeguard_pool_history_samples', 'Samples in safeguard.pool_history', s.n::float8),
                           ('safeguard_pool_history_oldest_timestamp_seconds', 'Time of the oldest sample, 0 for none', coalesce(extract(epoch FROM s.oldest), 0)),
                           ('safeguard_pool_history_newest_timestamp_seconds', 'Time of the newest sample, 0 for none', coalesce(extract(epoch FROM s.newest), 0)))
                   AS m(name, help, value)
    UNION ALL
    SELECT m.name, m.type, m.help, jsonb_build_object('database', q.database), m.value
      FROM query q,
           LATERAL (VALUES ('safeguard_query_calls_total', 'counter', 'Executions of the statements in safeguard.query_stats', q.calls::float8),
                           ('safeguard_query_errors_total', 'counter', 'Failed executions of the statements in safeguard.query_stats', q.errors),
                           ('safeguard_query_slow_calls_total', 'counter', 'Slow executions of the statements in safeguard.query_stats', q.slow_calls),
                           ('safeguard_query_rows_total', 'counter', 'Rows that the statements in safeguard.query_stats returned or changed', q.rows),
                           ('safeguard_query_seconds_total', 'counter', 'Time spent in the statements in safeguard.query_stats', q.seconds),
                           ('safeguard_query_max_seconds', 'gauge', 'Longest execution of a statement in safeguard.query_stats', q.max_seconds))
                   AS m(name, type, help, value)
    UNION ALL
    SELECT m.name, 'counter', m.help, m.labels, coalesce(m.value, 0)
      FROM upsert u,
           LATERAL (VALUES ('safeguard_upsert_statements_total', 'Upserts in this database', jsonb_build_object('database', u.database), u.statements::float8),
                           ('safeguard_upsert_proposed_rows_total', 'Rows that upserts in this database came with', jsonb_build_object('database', u.database), u.proposed),
                           ('safeguard_upsert_rows_total', 'What became of the rows of upserts in this database', jsonb_build_object('database', u.database, 'outcome', 'inserted'), u.inserted),
                           ('safeguard_upsert_rows_total', 'What became of the rows of upserts in this database', jsonb_build_object('database', u.database, 'outcome', 'replaced'), u.replaced),
                           ('safeguard_upsert_rows_total', 'What became of the rows of upserts in this database', jsonb_build_object('database', u.database, 'outcome', 'skipped'), u.skipped))
                   AS m(name, help, labels, value)
    UNION ALL
    SELECT 'safeguard_constraint_violations_total', 'counter', 'Statements that a constraint has rejected',
           jsonb_build_object('database', coalesce(v.database, ''), 'relation', coalesce(v.relation::text, ''),
                              'constraint', coalesce(v.constraint_name::text, ''), 'kind', v.kind),
           sum(v.count)::float8
      FROM safeguard.constraint_violations v
     GROUP BY coalesce(v.database, ''), coalesce(v.relation::text, ''), coalesce(v.constraint_name::text, ''), v.kind
    UNION ALL
    SELECT 'safeguard_watched_rows_total', 'counter', 'Rows changed in watched tables, by scope value',
           jsonb_build_object('database', w.database, 'relation', w.relation, 'scope', w.scope, 'op', m.op), sum(m.rows)::float8
      FROM watched w,
           LATERAL (VALUES ('inserted', w.inserted), ('updated', w.updated), ('deleted', w.deleted)) AS m(op, rows)
     GROUP BY w.database, w.relation, w.scope, m.op
    UNION ALL
    SELECT 'safeguard_watched_last_changed_timestamp_seconds', 'gauge', 'Time of the last change of a watched table, 0 for none',
           jsonb_build_object('database', w.database, 'relation', w.relation), coalesce(extract(epoch FROM max(w.last_changed_at)), 0)
      FROM watched w
     GROUP BY w.database, w.relation
    UNION ALL
    SELECT 'safeguard_migrations_total', 'counter', 'Migrations of all databases: applied, failed, or found applied already',
           jsonb_build_object('result', m.result), m.value
      FROM safeguard.migration_totals(true) t,
           LATERAL (VALUES ('applied', t.applied::float8), ('failed', t.failed), ('skipped', t.skipped_concurrent)) AS m(result, value)
    UNION ALL
    SELECT m.name, 'gauge', m.help, jsonb_build_object('database', current_database()), m.value
      FROM safeguard.migrations_running_count() r,
           LATERAL (VALUES ('safeguard_migration_running', 'Migrations that run in this database', r.running::float8),
                           ('safeguard_migration_waiting', 'Migrations of this database that wait for a lock', r.waiting),
                           ('safeguard_migration_abandoned', 'Migrations of this database that somebody has left', r.abandoned))
                   AS m(name, help, value)
    UNION ALL
    -- a fingerprint for each scrape would cost more than that may
    (SELECT DISTINCT ON (g.project) 'safeguard_schema_info', 'gauge', 'Version of each project that was applied last',
            jsonb_build_object('database', current_database(), 'project', g.project, 'version', g.version, 'fingerprint',
                               coalesce((SELECT safeguard.migrated_fingerprint()), '')),
            1::float8
       FROM safeguard.migrations g
      WHERE g.status IN ('applied', 'repaired')
      ORDER BY g.project, g.id DESC)
    UNION ALL
    SELECT m.name, 'gauge', m.help, m.labels, m.value
      FROM safeguard.health() h,
           LATERAL (SELECT count(*) FILTER (WHERE w.text LIKE 'advice:%') AS advice,
                           count(*) FILTER (WHERE w.text NOT LIKE 'advice:%') AS warnings
                      FROM unnest(h.warnings) AS w(text)) AS n,
           LATERAL (VALUES ('safeguard_health_status', 'safeguard.health(): 0 healthy, 1 degraded, 2 critical', '{}'::jsonb,
                            CASE h.status WHEN 'healthy' THEN 0 WHEN 'degraded' THEN 1 ELSE 2 END::float8),
                           ('safeguard_health_warnings', 'Warnings of safeguard.health()', jsonb_build_object('kind', 'warning'), n.warnings),
                           ('safeguard_health_warnings', 'Warnings of safeguard.health()', jsonb_build_object('kind', 'advice'), n.advice))
                   AS m(name, help, labels, value);
END;
COMMENT ON FUNCTION safeguard.metrics() IS 'all figures as samples with Prometheus names, an ordinary role''s own where figures have owners';


CREATE FUNCTION safeguard.stats_reset()
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_stats_reset';
REVOKE ALL ON FUNCTION safeguard.stats_reset() FROM PUBLIC;
COMMENT ON FUNCTION safeguard.stats_reset() IS 'forgets all figures of the cluster: findings, upserts, pool, queries, violations, watched tables, migrations';

-- what a tool does not record comes from the server, if it was there
CREATE FUNCTION safeguard.migration_history(
    OUT tool text,
    OUT history_table text,
    OUT version text,
    OUT description text,
    OUT applied_at timestamptz,
    OUT duration_ms float8,
    OUT success bool,
    OUT measured_at timestamptz,
    OUT measured_ms float8,
    OUT ddl_count bigint,
    OUT rows_inserted bigint,
    OUT rows_updated bigint,
    OUT rows_deleted bigint,
    OUT wal_bytes bigint,
    OUT lock_wait_ms float8)
RETURNS SETOF record
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_migration_history';
COMMENT ON FUNCTION safeguard.migration_history() IS 'what migration tools have recorded in the tables that the current user may read, and what the server has measured';

CREATE VIEW safeguard.migration_history AS
    SELECT tool, history_table, version, description,
           coalesce(applied_at, measured_at) AS applied_at,
           coalesce(duration_ms, measured_ms) AS duration_ms,
           success, ddl_count, rows_inserted, rows_updated, rows_deleted,
           wal_bytes, lock_wait_ms
      FROM safeguard.migration_history();
GRANT SELECT ON safeguard.migration_history TO PUBLIC;
COMMENT ON VIEW safeguard.migration_history IS 'migrations that this and other tools have applied to this database, as their own tables tell';

--
-- Creating the extension guards no session but this one
--

CREATE FUNCTION safeguard.warn_unguarded()
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_warn_unguarded';
SELECT safeguard.warn_unguarded()
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_settings
                    WHERE name = 'session_preload_libraries'
                      AND setting LIKE '%safeguard%'
                      AND source IN ('database', 'configuration file', 'command line'));
DROP FUNCTION safeguard.warn_unguarded();

--
-- Rows that migrations change
--

-- USAGE is for the owners of the tables in it: they give nothing to others
CREATE SCHEMA safeguard_rows;
GRANT USAGE ON SCHEMA safeguard_rows TO PUBLIC;
COMMENT ON SCHEMA safeguard_rows IS 'tables of rows that were kept before they changed';

CREATE TABLE safeguard.kept (
    id bigint NOT NULL PRIMARY KEY,
    label text COLLATE "C" NOT NULL,
    relation regclass NOT NULL,
    relation_name text NOT NULL,
    kept_table name NOT NULL GENERATED ALWAYS AS (('k' || id::text)::name) STORED,
    shape text COLLATE "C" NOT NULL,
    origin text NOT NULL, -- cluster, database and OID: where the numbers of columns are good for
    attnums int2[] NOT NULL, -- of the columns in the relation
    xid xid8 NOT NULL,
    kept_by name NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    restored_at timestamptz,
    UNIQUE (label, relation, shape)
);
CREATE SEQUENCE safeguard.kept_id_seq OWNED BY safeguard.kept.id;
-- pg_dump reads both, as the role of who owns the database
GRANT SELECT ON safeguard.kept TO PUBLIC;
GRANT SELECT ON SEQUENCE safeguard.kept_id_seq TO PUBLIC;
ALTER TABLE safeguard.kept ALTER COLUMN id SET DEFAULT nextval('safeguard.kept_id_seq');
COMMENT ON TABLE safeguard.kept IS 'tables of kept rows by label and relation; shown by safeguard.kept_rows';
COMMENT ON SEQUENCE safeguard.kept_id_seq IS 'numbers of the tables in safeguard_rows';

-- in another cluster the OID of a relation that is gone may be another's
SELECT pg_catalog.pg_extension_config_dump('safeguard.kept',
    $$WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relation)$$);
SELECT pg_catalog.pg_extension_config_dump('safeguard.kept_id_seq', '');

CREATE FUNCTION safeguard.keep_images()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_keep_images';
REVOKE ALL ON FUNCTION safeguard.keep_images() FROM PUBLIC;
COMMENT ON FUNCTION safeguard.keep_images() IS 'writes kept rows; not for triggers of your own';

CREATE FUNCTION safeguard.keep_rows(label text, VARIADIC relations regclass[])
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_keep_rows';
REVOKE ALL ON FUNCTION safeguard.keep_rows(text, regclass[]) FROM PUBLIC;
COMMENT ON FUNCTION safeguard.keep_rows(text, regclass[]) IS 'keeps the rows of these tables that the rest of this transaction changes';

CREATE FUNCTION safeguard.drop_kept_rows(label text)
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_drop_kept_rows';
COMMENT ON FUNCTION safeguard.drop_kept_rows(text) IS 'drops the rows that were kept under a label';

CREATE FUNCTION safeguard.kept_changes(kept_table regclass)
RETURNS bigint
LANGUAGE C VOLATILE STRICT
AS 'MODULE_PATHNAME', 'sg_kept_changes';
COMMENT ON FUNCTION safeguard.kept_changes(regclass) IS 'number of changes in a table of kept rows; NULL for those who do not own it';

-- a table of kept rows may have been dropped by its owner
CREATE VIEW safeguard.kept_rows WITH (security_barrier) AS
    SELECT k.label,
           CASE WHEN r.oid IS NULL THEN k.relation_name
                ELSE format('%I.%I', rn.nspname, r.relname) END AS relation,
           format('%I.%I', n.nspname, c.relname) AS kept_table,
           safeguard.kept_changes(c.oid) AS rows,
           pg_total_relation_size(c.oid) AS bytes,
           k.kept_by,
           k.kept_at,
           k.restored_at
      FROM safeguard.kept k
      JOIN pg_namespace n ON n.nspname = 'safeguard_rows'
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = k.kept_table
      LEFT JOIN (pg_class r JOIN pg_namespace rn ON rn.oid = r.relnamespace) ON r.oid = k.relation
     WHERE pg_has_role(c.relowner, 'USAGE');
GRANT SELECT ON safeguard.kept_rows TO PUBLIC;
COMMENT ON VIEW safeguard.kept_rows IS 'rows that were kept before they changed, by label and relation; each role sees those of tables it owns';

-- not for anybody in particular: it tells nothing that its argument does not
CREATE FUNCTION safeguard.row_image(VARIADIC "any")
RETURNS bytea
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'sg_row_image';
COMMENT ON FUNCTION safeguard.row_image("any") IS 'bytes that two rows of these values have in common only if they are stored the same';

CREATE FUNCTION safeguard.restore_rows(label text, relation regclass DEFAULT NULL, force bool DEFAULT false)
RETURNS bigint
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_restore_rows';
COMMENT ON FUNCTION safeguard.restore_rows(text, regclass, bool) IS 'puts rows back that were kept under a label';

--
-- Default privileges of whoever creates the extension are not for its objects
--

CREATE FUNCTION safeguard.revoke_defaults()
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'sg_revoke_defaults';
SELECT safeguard.revoke_defaults();
DROP FUNCTION safeguard.revoke_defaults();

-- what \d+ shows beside the columns

COMMENT ON COLUMN safeguard.rules.rule IS 'name, and that of its setting: safeguard.<rule>';
COMMENT ON COLUMN safeguard.rules.sqlstate IS 'code of its errors and warnings';
COMMENT ON COLUMN safeguard.rules.level IS 'at which it acts in this session: off, record, warning or error';
COMMENT ON COLUMN safeguard.rules.default_level IS 'at which it acts where nothing is set';
COMMENT ON COLUMN safeguard.rules.page IS 'page of the documentation, from the folder doc/';
COMMENT ON COLUMN safeguard.rules.description IS 'what it finds';
COMMENT ON COLUMN safeguard.rules.seen IS 'findings in this cluster since the last reset, rejected ones included';
COMMENT ON COLUMN safeguard.rules.rejected IS 'those of them that were rejected';

COMMENT ON COLUMN safeguard.findings.rule IS 'the rule that has found it';
COMMENT ON COLUMN safeguard.findings.sqlstate IS 'code of the rule';
COMMENT ON COLUMN safeguard.findings.level IS 'at which the rule acted';
COMMENT ON COLUMN safeguard.findings.database IS 'of the session, as last seen';
COMMENT ON COLUMN safeguard.findings.role IS 'as whom the statement ran, as last seen';
COMMENT ON COLUMN safeguard.findings.relation IS 'the table that is written to, as last seen; NULL where there is none or it is hidden from you';
COMMENT ON COLUMN safeguard.findings.queryid IS 'as in pg_stat_statements; NULL where none was computed';
COMMENT ON COLUMN safeguard.findings.query IS 'the statement without constants, at most 1 kB';
COMMENT ON COLUMN safeguard.findings.application IS 'application_name of the session that was last seen';
COMMENT ON COLUMN safeguard.findings.client IS 'address of the client that was last seen';
COMMENT ON COLUMN safeguard.findings.calls IS 'how often it was found, rejected ones included';
COMMENT ON COLUMN safeguard.findings.rejected IS 'how often it was rejected';
COMMENT ON COLUMN safeguard.findings.first_seen IS 'when it was found first';
COMMENT ON COLUMN safeguard.findings.last_seen IS 'when it was found last';
COMMENT ON COLUMN safeguard.findings.message IS 'what was said, or would have been';
COMMENT ON COLUMN safeguard.findings.hint IS 'the corrected statement, or the declaration that allows it';

COMMENT ON COLUMN safeguard.upsert_stats.relation IS 'the table, or the root of its partition tree';
COMMENT ON COLUMN safeguard.upsert_stats.columns IS 'of the conflict target, in the order of its index; empty without a target';
COMMENT ON COLUMN safeguard.upsert_stats.statements IS 'executions that ended well';
COMMENT ON COLUMN safeguard.upsert_stats.proposed IS 'rows that the source delivered';
COMMENT ON COLUMN safeguard.upsert_stats.inserted IS 'rows inserted';
COMMENT ON COLUMN safeguard.upsert_stats.replaced IS 'rows updated';
COMMENT ON COLUMN safeguard.upsert_stats.skipped IS 'all other rows: DO NOTHING, a WHERE that is false, suppressed by a trigger';
COMMENT ON COLUMN safeguard.upsert_stats.distinct_keys IS 'estimate of the different keys proposed; NULL where keys are not hashed';
COMMENT ON COLUMN safeguard.upsert_stats.last_seen IS 'when the last such statement ended';

COMMENT ON COLUMN safeguard.table_levels.relation IS 'the table';
COMMENT ON COLUMN safeguard.table_levels.rule IS 'the rule';
COMMENT ON COLUMN safeguard.table_levels.level IS 'at which it acts for this table';
COMMENT ON COLUMN safeguard.table_levels.reason IS 'why, as given to safeguard.set_level';
COMMENT ON COLUMN safeguard.table_levels.set_by IS 'the role that has set it';
COMMENT ON COLUMN safeguard.table_levels.set_at IS 'when it was set';

COMMENT ON COLUMN safeguard.column_roles.relation IS 'the table';
COMMENT ON COLUMN safeguard.column_roles.column_name IS 'the column';
COMMENT ON COLUMN safeguard.column_roles.role IS 'identity: it alone identifies its rows; scope: every write must restrict it';
COMMENT ON COLUMN safeguard.column_roles.reason IS 'why, as given to safeguard.set_column';
COMMENT ON COLUMN safeguard.column_roles.set_by IS 'the role that has declared it';
COMMENT ON COLUMN safeguard.column_roles.set_at IS 'when it was declared';

COMMENT ON COLUMN safeguard.pool_history.ts IS 'time of the sample';
COMMENT ON COLUMN safeguard.pool_history.pool_size IS 'max_connections less the reserved slots';
COMMENT ON COLUMN safeguard.pool_history.available_connections IS 'slots of these that nobody has';
COMMENT ON COLUMN safeguard.pool_history.active_connections IS 'sessions of clients that run a statement';
COMMENT ON COLUMN safeguard.pool_history.idle_connections IS 'sessions of clients that wait for their client, outside of a transaction';
COMMENT ON COLUMN safeguard.pool_history.idle_in_transaction IS 'sessions of clients that wait for their client in an open transaction';
COMMENT ON COLUMN safeguard.pool_history.waiting IS 'sessions of clients that wait for a lock';
COMMENT ON COLUMN safeguard.pool_history.total_acquisitions IS 'sessions that have started';
COMMENT ON COLUMN safeguard.pool_history.acquisition_failures IS 'clients refused for want of a slot, or not through authentication in time';
COMMENT ON COLUMN safeguard.pool_history.avg_acquisition_ms IS 'average time to start a session';
COMMENT ON COLUMN safeguard.pool_history.max_acquisition_ms IS 'longest time to start a session';
COMMENT ON COLUMN safeguard.pool_history.slow_queries IS 'statements that took longer than safeguard.slow_query_ms';
COMMENT ON COLUMN safeguard.pool_history.utilization IS 'slots taken in per cent of pool_size';
COMMENT ON COLUMN safeguard.pool_history.timeouts IS 'statements and sessions that a timeout of the server has ended';
COMMENT ON COLUMN safeguard.pool_history.exhaustion_events IS 'clients refused for want of a slot';
COMMENT ON COLUMN safeguard.pool_history.error_rate IS 'errors in per cent of all statements';

COMMENT ON COLUMN safeguard.pool_failures.reason IS 'why a client got no session';
COMMENT ON COLUMN safeguard.pool_failures.count IS 'how many clients';
COMMENT ON COLUMN safeguard.pool_failures.last_seen IS 'when the last one was refused';

COMMENT ON COLUMN safeguard.acquisition_histogram.le_ms IS 'upper limit in milliseconds';
COMMENT ON COLUMN safeguard.acquisition_histogram.count IS 'sessions that have started in no more than that';

COMMENT ON COLUMN safeguard.pool_clients.database IS 'of the sessions';
COMMENT ON COLUMN safeguard.pool_clients.role IS 'of the sessions';
COMMENT ON COLUMN safeguard.pool_clients.application IS 'application_name of the sessions';
COMMENT ON COLUMN safeguard.pool_clients.client IS 'address of the client';
COMMENT ON COLUMN safeguard.pool_clients.total IS 'sessions that there are';
COMMENT ON COLUMN safeguard.pool_clients.active IS 'those that run a statement';
COMMENT ON COLUMN safeguard.pool_clients.idle IS 'those that wait for their client, outside of a transaction';
COMMENT ON COLUMN safeguard.pool_clients.idle_in_transaction IS 'those that wait for their client in an open transaction';
COMMENT ON COLUMN safeguard.pool_clients.waiting IS 'those that wait for a lock';
COMMENT ON COLUMN safeguard.pool_clients.acquisitions IS 'sessions that have started since the last reset';
COMMENT ON COLUMN safeguard.pool_clients.longest_idle_in_transaction IS 'how long one of them has been idle in a transaction';
COMMENT ON COLUMN safeguard.pool_clients.longest_transaction IS 'age of the oldest open transaction';

COMMENT ON COLUMN safeguard.query_stats.queryid IS 'as in pg_stat_statements; NULL where none was computed';
COMMENT ON COLUMN safeguard.query_stats.database IS 'NULL if it has been dropped';
COMMENT ON COLUMN safeguard.query_stats.role IS 'NULL if it has been dropped';
COMMENT ON COLUMN safeguard.query_stats.query IS 'text of the first one seen, without constants, at most 1 kB';
COMMENT ON COLUMN safeguard.query_stats.calls IS 'executions, failed ones included';
COMMENT ON COLUMN safeguard.query_stats.errors IS 'those of them that failed';
COMMENT ON COLUMN safeguard.query_stats.total_ms IS 'time of all executions, without planning';
COMMENT ON COLUMN safeguard.query_stats.avg_ms IS 'average time';
COMMENT ON COLUMN safeguard.query_stats.max_ms IS 'longest time';
COMMENT ON COLUMN safeguard.query_stats.p95_ms IS '95 per cent of the calls took no longer, about';
COMMENT ON COLUMN safeguard.query_stats.slow_calls IS 'those that took longer than safeguard.slow_query_ms';
COMMENT ON COLUMN safeguard.query_stats.rows IS 'rows returned or affected';
COMMENT ON COLUMN safeguard.query_stats.last_executed_at IS 'when the last one was sent';

COMMENT ON COLUMN safeguard.constraint_violations.database IS 'where the table is';
COMMENT ON COLUMN safeguard.constraint_violations.relation IS 'the table, as last seen';
COMMENT ON COLUMN safeguard.constraint_violations.constraint_name IS 'the constraint, or the column of a NOT NULL';
COMMENT ON COLUMN safeguard.constraint_violations.kind IS 'foreign key, unique, check, not null, exclusion, restrict or other';
COMMENT ON COLUMN safeguard.constraint_violations.count IS 'how often it was violated, caught violations included';
COMMENT ON COLUMN safeguard.constraint_violations.last_seen IS 'when it was violated last';

COMMENT ON COLUMN safeguard.watched.database IS 'where the table is';
COMMENT ON COLUMN safeguard.watched.relation IS 'the table, as last seen';
COMMENT ON COLUMN safeguard.watched.scope IS 'values of the columns by which it is watched; NULL for all that there is no room for';
COMMENT ON COLUMN safeguard.watched.inserted IS 'rows inserted';
COMMENT ON COLUMN safeguard.watched.updated IS 'rows updated';
COMMENT ON COLUMN safeguard.watched.deleted IS 'rows deleted';
COMMENT ON COLUMN safeguard.watched.last_changed_at IS 'when the last change was committed';
COMMENT ON COLUMN safeguard.watched.role IS 'of the last change';
COMMENT ON COLUMN safeguard.watched.application IS 'application_name of the last change';

COMMENT ON COLUMN safeguard.migrations.id IS 'order of application; NULL as long as it has not been applied';
COMMENT ON COLUMN safeguard.migrations.project IS 'whose migration it is';
COMMENT ON COLUMN safeguard.migrations.version IS 'what the caller calls it';
COMMENT ON COLUMN safeguard.migrations.description IS 'as given, and the reasons of marks';
COMMENT ON COLUMN safeguard.migrations.checksum IS 'SHA-256 of the text, or what safeguard.migration_begin was given';
COMMENT ON COLUMN safeguard.migrations.status IS 'running, applied, repaired, reverted or released';
COMMENT ON COLUMN safeguard.migrations.applied_at IS 'when it was through';
COMMENT ON COLUMN safeguard.migrations.applied_by IS 'the role that has run it';
COMMENT ON COLUMN safeguard.migrations.duration_ms IS 'how long it took';
COMMENT ON COLUMN safeguard.migrations.rows_changed IS 'rows that its statements have affected';
COMMENT ON COLUMN safeguard.migrations.wal_bytes IS 'WAL that it has written';

COMMENT ON COLUMN safeguard.migration_claims.project IS 'of the migration';
COMMENT ON COLUMN safeguard.migration_claims.version IS 'of the migration';
COMMENT ON COLUMN safeguard.migration_claims.pid IS 'backend that has claimed it';
COMMENT ON COLUMN safeguard.migration_claims.backend_start IS 'start of that backend';
COMMENT ON COLUMN safeguard.migration_claims.role IS 'that has claimed it';
COMMENT ON COLUMN safeguard.migration_claims.application IS 'application_name of that session';
COMMENT ON COLUMN safeguard.migration_claims.since IS 'when it was claimed';
COMMENT ON COLUMN safeguard.migration_claims.invalid_indexes IS 'indexes that were invalid before';

COMMENT ON COLUMN safeguard.migration_log.database IS 'in which it ran';
COMMENT ON COLUMN safeguard.migration_log.xid IS 'of its transaction';
COMMENT ON COLUMN safeguard.migration_log.project IS 'of safeguard and Sqitch';
COMMENT ON COLUMN safeguard.migration_log.tool IS 'the migration tool';
COMMENT ON COLUMN safeguard.migration_log.history_table IS 'where the tool records its migrations';
COMMENT ON COLUMN safeguard.migration_log.version IS 'what the tool calls it; of several in one transaction the last one';
COMMENT ON COLUMN safeguard.migration_log.started_at IS 'start of its transaction';
COMMENT ON COLUMN safeguard.migration_log.duration_ms IS 'of its transaction, waits included';
COMMENT ON COLUMN safeguard.migration_log.ddl_count IS 'DDL commands, those in functions included';
COMMENT ON COLUMN safeguard.migration_log.rows_inserted IS 'in all tables';
COMMENT ON COLUMN safeguard.migration_log.rows_updated IS 'in all tables';
COMMENT ON COLUMN safeguard.migration_log.rows_deleted IS 'in all tables';
COMMENT ON COLUMN safeguard.migration_log.wal_bytes IS 'WAL of its transaction';
COMMENT ON COLUMN safeguard.migration_log.lock_wait_ms IS 'waits for locks longer than deadlock_timeout; NULL while log_lock_waits is off';
COMMENT ON COLUMN safeguard.migration_log.succeeded IS 'false: it was rolled back';
COMMENT ON COLUMN safeguard.migration_log.error IS 'why it was rolled back';

COMMENT ON COLUMN safeguard.migrations_running.pid IS 'of the session; NULL if that is gone';
COMMENT ON COLUMN safeguard.migrations_running.tool IS 'the migration tool';
COMMENT ON COLUMN safeguard.migrations_running.project IS 'of safeguard and Sqitch';
COMMENT ON COLUMN safeguard.migrations_running.version IS 'what the tool calls it; NULL where only its lock is seen';
COMMENT ON COLUMN safeguard.migrations_running.role IS 'of the session';
COMMENT ON COLUMN safeguard.migrations_running.application IS 'application_name of the session';
COMMENT ON COLUMN safeguard.migrations_running.since IS 'when it began to run, to wait, or to do nothing';
COMMENT ON COLUMN safeguard.migrations_running.waiting IS 'whether it waits for a lock';
COMMENT ON COLUMN safeguard.migrations_running.abandoned IS 'whether whoever was at it is gone, or does nothing any more';

COMMENT ON COLUMN safeguard.migration_history.tool IS 'the migration tool';
COMMENT ON COLUMN safeguard.migration_history.history_table IS 'where the tool records its migrations';
COMMENT ON COLUMN safeguard.migration_history.version IS 'what the tool calls it';
COMMENT ON COLUMN safeguard.migration_history.description IS 'as far as the tool records one';
COMMENT ON COLUMN safeguard.migration_history.applied_at IS 'as recorded, or when its transaction ended';
COMMENT ON COLUMN safeguard.migration_history.duration_ms IS 'as recorded, or as measured';
COMMENT ON COLUMN safeguard.migration_history.success IS 'false: failed, or half done; NULL: it is running, or was killed';
COMMENT ON COLUMN safeguard.migration_history.ddl_count IS 'DDL commands, as measured';
COMMENT ON COLUMN safeguard.migration_history.rows_inserted IS 'in all tables, as measured';
COMMENT ON COLUMN safeguard.migration_history.rows_updated IS 'in all tables, as measured';
COMMENT ON COLUMN safeguard.migration_history.rows_deleted IS 'in all tables, as measured';
COMMENT ON COLUMN safeguard.migration_history.wal_bytes IS 'WAL of its transaction, as measured';
COMMENT ON COLUMN safeguard.migration_history.lock_wait_ms IS 'waits for locks longer than deadlock_timeout, as measured';

COMMENT ON COLUMN safeguard.kept.id IS 'number of the table in safeguard_rows';
COMMENT ON COLUMN safeguard.kept.label IS 'of the transaction that has changed the rows';
COMMENT ON COLUMN safeguard.kept.relation IS 'the table whose rows they are';
COMMENT ON COLUMN safeguard.kept.relation_name IS 'its name when the rows were kept';
COMMENT ON COLUMN safeguard.kept.kept_table IS 'the table in safeguard_rows';
COMMENT ON COLUMN safeguard.kept.shape IS 'columns of the relation when the rows were kept';
COMMENT ON COLUMN safeguard.kept.origin IS 'cluster, database and object id that attnums are good for';
COMMENT ON COLUMN safeguard.kept.attnums IS 'numbers of the columns in the relation';
COMMENT ON COLUMN safeguard.kept.xid IS 'transaction that has changed the rows';
COMMENT ON COLUMN safeguard.kept.kept_by IS 'the role that has changed the rows';
COMMENT ON COLUMN safeguard.kept.kept_at IS 'when they were kept';
COMMENT ON COLUMN safeguard.kept.restored_at IS 'when they were put back';

COMMENT ON COLUMN safeguard.kept_rows.label IS 'of the transaction that has changed the rows';
COMMENT ON COLUMN safeguard.kept_rows.relation IS 'the table whose rows they are';
COMMENT ON COLUMN safeguard.kept_rows.kept_table IS 'where the old rows are';
COMMENT ON COLUMN safeguard.kept_rows.rows IS 'changes that are kept';
COMMENT ON COLUMN safeguard.kept_rows.bytes IS 'size of kept_table';
COMMENT ON COLUMN safeguard.kept_rows.kept_by IS 'the role that has changed the rows';
COMMENT ON COLUMN safeguard.kept_rows.kept_at IS 'when they were kept';
COMMENT ON COLUMN safeguard.kept_rows.restored_at IS 'when they were put back';
