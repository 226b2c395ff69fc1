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
                              AND c.oid = r.relation AND c.relpersistence <> 't')) AS s(line);
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
-- Review
--

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

--
-- Health and metrics
--

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
