--
-- MERGE ... WHEN NOT MATCHED BY SOURCE, which came with PostgreSQL 17: the ON
-- does not hold for the rows that it updates or deletes.
--
SELECT current_setting('server_version_num')::int < 170000 AS too_old \gset
\if :too_old
\quit
\endif
CREATE SCHEMA bs;
SET search_path = bs;
CREATE TABLE t (tenant_id int, id int, v int, PRIMARY KEY (tenant_id, id));
CREATE TABLE s (tenant_id int, id int, PRIMARY KEY (tenant_id, id));
SET safeguard.unqualified_dml = error;
SET safeguard.unlinked_from = error;
\set VERBOSITY terse
-- R01: ON false, so that every row goes
MERGE INTO t USING s ON false WHEN NOT MATCHED BY SOURCE THEN DELETE;
-- A01: all that the source has not got, which is what was written
MERGE INTO t USING s ON t.tenant_id = s.tenant_id AND t.id = s.id WHEN NOT MATCHED BY SOURCE THEN DELETE;
SELECT safeguard.set_column('t', 'tenant_id', 'scope');
-- R02: the source is one tenant's, the rows that it has not got are everybody's
MERGE INTO t USING (SELECT * FROM s WHERE tenant_id = 5) q ON t.tenant_id = q.tenant_id AND t.id = q.id WHEN NOT MATCHED BY SOURCE THEN DELETE;
MERGE INTO t USING (SELECT * FROM s WHERE tenant_id = 5) q ON t.tenant_id = q.tenant_id AND t.id = q.id AND t.tenant_id = 5 WHEN NOT MATCHED BY SOURCE THEN UPDATE SET v = 0;
-- A02: restricted by the condition of WHEN
MERGE INTO t USING (SELECT * FROM s WHERE tenant_id = 5) q ON t.tenant_id = q.tenant_id AND t.id = q.id WHEN MATCHED THEN UPDATE SET v = 1 WHEN NOT MATCHED BY SOURCE AND t.tenant_id = 5 THEN DELETE;
SELECT safeguard.clear_column('t', 'tenant_id', 'scope');
\set VERBOSITY default
SET client_min_messages = error;
DROP SCHEMA bs CASCADE;
