/* safeguard--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION safeguard" to load this file. \quit

CREATE SCHEMA safeguard;
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
               c.names, c.cols, c.nullable, con.conname,
               NOT EXISTS (SELECT FROM unnest(i.indclass::oid[]) o(oid) JOIN pg_opclass oc ON oc.oid = o.oid
                            WHERE NOT oc.opcdefault)
               AND NOT EXISTS (SELECT FROM unnest(k.attnums) u(attnum)
                                WHERE NOT has_column_privilege(i.indrelid, u.attnum, 'SELECT'))
               AND NOT row_security_active(i.indrelid) AS readable
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
           AND NOT row_security_active(f.conrelid) AND NOT row_security_active(f.confrelid) AS readable
          FROM fks f
         WHERE schema_report.deep AND f.conparentid = 0),
    readable_fks AS MATERIALIZED (
        SELECT f.* FROM deep_fks f WHERE f.readable),
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
        HAVING bool_or(lower(a.attname) ~ '(^|_)(count|counter|total|sum|hits|occurrences)(_|$)' AND ty.typcategory = 'N')
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
                     CASE b.typ WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 END::bigint AS type_max,
                     CASE b.typ WHEN 'int2'::regtype THEN -32768 WHEN 'int4'::regtype THEN -2147483648 END::bigint AS type_min
                FROM (SELECT d.refobjid AS relid, d.refobjsubid AS attnum
                        FROM pg_depend d
                       WHERE d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i')
                         AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
                      UNION
                      SELECT ad.adrelid, ad.adnum
                        FROM pg_depend d JOIN pg_attrdef ad ON ad.oid = d.objid
                       WHERE d.classid = 'pg_attrdef'::regclass
                         AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid) x
                JOIN pg_attribute a ON a.attrelid = x.relid AND a.attnum = x.attnum
                JOIN pg_class c ON c.oid = x.relid
                JOIN pg_namespace n ON n.oid = c.relnamespace
                JOIN pg_type ty ON ty.oid = a.atttypid
                CROSS JOIN LATERAL (SELECT coalesce(nullif(ty.typbasetype, 0), ty.oid) AS typ) b
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
                    THEN format('ALTER TABLE %s ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;', t.name)
                    WHEN t.relkind = 'r' AND t.reloftype = 0
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
          LEFT JOIN pg_attribute id ON id.attrelid = t.oid AND id.attname = 'id' AND NOT id.attisdropped
         WHERE NOT t.part
           AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary)
        UNION ALL
        SELECT CASE WHEN k.null_rows > 0 THEN 'warning' ELSE 'info' END, format('%s on %s', quote_ident(k.relname), k.name),
               'nullable key column',
               concat(format('Rows with a NULL in (%s) conflict with nothing, so that the same row can come in any number of times.', k.cols),
                      CASE WHEN k.null_rows > 0 THEN format(' There are %s.', k.null_rows) END),
               CASE WHEN coalesce(k.null_rows, 0) = 0
                    THEN format('ALTER TABLE %s %s;', k.name,
                                (SELECT string_agg(format('ALTER COLUMN %I SET NOT NULL', a.attname), ', ' ORDER BY a.attnum)
                                   FROM pg_attribute a WHERE a.attrelid = k.indrelid AND a.attnum = ANY (k.attnums) AND NOT a.attnotnull))
                    WHEN k.conname IS NOT NULL
                    THEN format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I UNIQUE NULLS NOT DISTINCT (%s);', k.name, k.conname, k.conname, k.cols)
                    ELSE format('CREATE UNIQUE INDEX ON %s (%s) NULLS NOT DISTINCT;', k.name, k.cols) END, false
          FROM (SELECT k.*, c.relname,
                       CASE WHEN schema_report.deep AND k.readable
                            THEN (SELECT x.null_rows FROM safeguard.check_key(k.indrelid, VARIADIC k.names) x) END AS null_rows
                  FROM keys k JOIN pg_class c ON c.oid = k.indexrelid
                 WHERE k.nullable AND NOT k.indnullsnotdistinct AND NOT k.indisprimary) k
        UNION ALL
        SELECT 'info', format('%s.%I', k.name, k.column_name), 'near-constant key column',
               format('%s of %s rows have the same value (%s): the column hardly tells rows apart, and the rest of the key may be the identity.',
                      x.sample -> 0 ->> 'rows', x.rows, x.sample -> 0 -> 'key' ->> k.column_name),
               format('SELECT * FROM safeguard.suggest_keys(%L);', k.name), false
          FROM key_columns k CROSS JOIN LATERAL safeguard.check_key(k.indrelid, k.column_name) x
         WHERE x.rows >= 100 AND (x.sample -> 0 ->> 'rows')::bigint >= 0.99 * x.rows
        UNION ALL
        SELECT 'warning', format('%s.%I', w.name, w.attname), 'missing unique key',
               'By its name the column identifies a row, but no key has it: an upsert on another key replaces rows that are not the same. safeguard.check_key tells whether the data agrees.',
               format('ALTER TABLE %s ADD UNIQUE (%I);', w.name, w.attname), false
          FROM (SELECT DISTINCT w.name, c.attname
                  FROM words w
                  JOIN pg_attribute c ON c.attrelid = w.oid AND c.attnum > 0 AND lower(c.attname) IN (w.word || '_id', w.word || '_uuid', w.word || '_guid', w.word || 'id', w.word || '_key')
                  JOIN pg_type ty ON ty.oid = c.atttypid AND ty.typcategory IN ('N', 'S', 'U')
                 WHERE NOT EXISTS (SELECT FROM pg_index i
                                    WHERE i.indrelid = w.oid AND i.indisunique
                                      AND c.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
                   AND NOT EXISTS (SELECT FROM pg_constraint f
                                    WHERE f.conrelid = w.oid AND f.contype IN ('f', 'x') AND c.attnum = ANY (f.conkey))
                   -- user_roles.role_id refers to roles, with or without a foreign key
                   AND (w.whole OR NOT EXISTS (SELECT FROM pg_class o
                                                WHERE o.relnamespace = w.relnamespace AND o.oid <> w.oid
                                                  AND lower(o.relname) IN (w.word, w.word || 's', w.word || 'es',
                                                                           regexp_replace(w.word, 'y$', 'ies'))))) w
        UNION ALL
        SELECT 'warning', t.name, 'missing unique key',
               format('By its name and columns each row is the sum of a group, but the only key is a generated number: groups come in twice, and ON CONFLICT on columns of (%s) fails. Keep those that make a group.', t.list),
               format('ALTER TABLE %s ADD UNIQUE (%s);', t.name, t.list), false
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
               CASE WHEN t.relkind = 'p'
                    THEN format('DROP INDEX %I.%I; %s;', n.nspname, c.relname, regexp_replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON '))
                    WHEN c.relname ~ '_cc(new|old)\d*$' THEN format('DROP INDEX CONCURRENTLY %I.%I;', n.nspname, c.relname)
                    ELSE format('REINDEX INDEX %s%I.%I;', CASE WHEN NOT i.indisexclusion THEN 'CONCURRENTLY ' END, n.nspname, c.relname) END,
               t.part
          FROM pg_index i
          JOIN tabs t ON t.oid = i.indrelid
          JOIN pg_class c ON c.oid = i.indexrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
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
         WHERE c.item = 'session_replication_role=replica' AND (d.setrole = 0 OR r.oid IS NOT NULL)
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
                                FROM safeguard.orphans(f.conrelid, f.conname, 3) x) o
         WHERE o.sample IS NOT NULL
        UNION ALL
        SELECT 'info', f.object, 'not examined',
               format('Role "%s" may not read all rows of both tables, so orphans are not looked for.', current_user),
               CASE WHEN row_security_active(f.conrelid) OR row_security_active(f.confrelid)
                    THEN 'Row security may hide rows: ask as the owner of the tables or as a role with BYPASSRLS.'
                    ELSE format('GRANT SELECT ON %s, %s TO %I;', f.name, f.parent, current_user) END, f.part
          FROM deep_fks f
         WHERE NOT f.readable)
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
               string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname COLLATE "C")
               FILTER (WHERE pg_has_role('pg_read_all_stats', 'USAGE') OR pg_has_role(r.oid, 'USAGE')) AS names
          FROM (VALUES ('idle_in_transaction_session_timeout', 1, false,
                        'a client that forgets an open transaction keeps its connection and its locks for ever',
                        'ALTER SYSTEM SET idle_in_transaction_session_timeout = ''5min'''),
                       ('lock_timeout', 2, true,
                        'DDL that waits for a lock makes all who come after it wait, for ever',
                        'ALTER ROLE ... SET lock_timeout = ''5s''')) AS t(parameter, position, owners, text, remedy)
               CROSS JOIN LATERAL safeguard.roles_without_timeout(t.parameter, t.owners) AS w(oid)
               JOIN pg_roles r ON r.oid = w.oid
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
COMMENT ON FUNCTION safeguard.stats_reset() IS 'forgets all figures of the cluster: findings, upserts, pool, queries, violations, watched tables';

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
