-- The history of migrations with what the server has measured of them
SET client_min_messages = warning;
CREATE SCHEMA h;
SET search_path = h;

-- Alembic records neither time nor cost, and changes the row it has
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
BEGIN;
CREATE TABLE a (id int);
INSERT INTO a SELECT generate_series(1, 5);
INSERT INTO alembic_version VALUES ('one');
COMMIT;
CREATE VIEW figures AS
SELECT tool, version, applied_at BETWEEN now() - interval '1 hour' AND clock_timestamp() AS recent,
       duration_ms >= 0 AS took, success, ddl_count, rows_inserted, rows_updated, rows_deleted,
       wal_bytes > 0 AS wal
  FROM safeguard.migration_history WHERE history_table ~ '^h[.]';
SELECT * FROM figures;
BEGIN;
CREATE TABLE b (id int);
ALTER TABLE a ADD t text;
UPDATE a SET t = 'x' WHERE id < 4;
DELETE FROM a WHERE id = 5;
UPDATE alembic_version SET version_num = 'two';
COMMIT;
SELECT * FROM figures;

-- Django writes its row in a savepoint, and knows the time
CREATE TABLE django_migrations (id int, app varchar(255), name varchar(255), applied timestamptz);
BEGIN;
SAVEPOINT one;
CREATE TABLE c (id int);
INSERT INTO django_migrations VALUES (1, 'shop', '0001', '2001-01-01');
RELEASE one;
SAVEPOINT two;
INSERT INTO c VALUES (1), (2), (3);
ROLLBACK TO two;
COMMIT;
SELECT * FROM figures WHERE tool = 'Django';

-- a row that no migration of the log has written, as after a restore
COPY django_migrations FROM stdin;
2	shop	0002	2002-01-01
\.
SELECT version, ddl_count FROM safeguard.migration_history WHERE tool = 'Django' ORDER BY 1;

-- safeguard's own
SELECT safeguard.migrate('figures-1', 'CREATE TABLE h.d (id int); INSERT INTO h.d VALUES (1), (2)', project => 'regress_figures');
SELECT tool, version, ddl_count, rows_inserted, wal_bytes > 0 AS wal
  FROM safeguard.migration_history WHERE version = 'figures-1';

-- applied again by hand, it has not been measured; neither are the statements
-- between migration_begin() and migration_end()
SELECT safeguard.migration_mark('figures-1', 'reverted', 'a test', project => 'regress_figures');
SELECT safeguard.migration_mark('figures-1', 'applied', 'a test', project => 'regress_figures');
SELECT safeguard.migration_begin('figures-2', project => 'regress_figures');
CREATE TABLE e AS SELECT generate_series(1, 3);
SELECT safeguard.migration_end('figures-2', project => 'regress_figures');
SELECT version, duration_ms IS NOT NULL AS took, success, ddl_count, rows_inserted, rows_updated, rows_deleted, wal_bytes
  FROM safeguard.migration_history WHERE version LIKE 'figures-%' ORDER BY 1;

-- what it has cost is for the role that has run it, as in migration_log
CREATE ROLE regress_figures_reader;
CREATE ROLE regress_figures_monitor IN ROLE pg_read_all_stats;
GRANT USAGE ON SCHEMA h TO regress_figures_reader, regress_figures_monitor;
GRANT SELECT ON alembic_version TO regress_figures_reader, regress_figures_monitor;
SET ROLE regress_figures_reader;
SELECT tool, version, applied_at, ddl_count FROM safeguard.migration_history WHERE tool = 'Alembic';
SET ROLE regress_figures_monitor;
SELECT tool, version, applied_at IS NOT NULL AS known, ddl_count FROM safeguard.migration_history WHERE tool = 'Alembic';
RESET ROLE;

DROP SCHEMA h CASCADE;
DROP OWNED BY regress_figures_reader, regress_figures_monitor;
DROP ROLE regress_figures_reader, regress_figures_monitor;
