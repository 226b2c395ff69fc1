--
-- Incidents 2 and 3: what stays readable in shared memory, and what it is good
-- for.  Needs a preloaded server.
--
CREATE SCHEMA incidents_shared;
SET search_path = incidents_shared;
SET application_name = 'incidents test';
SELECT safeguard.findings_reset();

-- incident 2: the figures of the load
CREATE TABLE supported_patches (
    update_id integer PRIMARY KEY,
    patch_id integer NOT NULL,
    title text NOT NULL
);
SET client_min_messages = error;
DO $$
BEGIN
    FOR n IN 0..58599 LOOP
        INSERT INTO supported_patches VALUES (n % 10, 5000000 + n, 'Patch ' || n)
        ON CONFLICT (update_id) DO UPDATE SET patch_id = EXCLUDED.patch_id, title = EXCLUDED.title;
        IF n % 25 = 24 THEN
            COMMIT;
        END IF;
    END LOOP;
END
$$;
RESET client_min_messages;
-- expected: 58600 statements and rows, 10 inserted, 58590 replaced, 10 keys
SELECT relation, columns, statements, proposed, inserted, replaced, skipped, distinct_keys,
       now() - last_seen < '1 hour' AS fresh
  FROM safeguard.upsert_stats
 WHERE relation = 'supported_patches'::regclass;
-- expected: three times (at 100, 1,000 and 10,000 rows), none rejected
SELECT rule, sqlstate, level, relation, calls, rejected, message, hint, query
  FROM safeguard.findings
 WHERE rule = 'upsert_overwrite' \gx

-- incident 3: who drops the constraint is told which statements need it
CREATE TABLE http_error_summary (
    id serial PRIMARY KEY,
    host text NOT NULL,
    status_code int NOT NULL,
    error_type text NOT NULL,
    count int NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL,
    CONSTRAINT host_status UNIQUE (host, status_code)
);
-- not needed by anybody yet: expected without a word
BEGIN;
ALTER TABLE http_error_summary DROP CONSTRAINT host_status;
ROLLBACK;
INSERT INTO http_error_summary (host, status_code, error_type, count, last_seen)
VALUES ('api.example.com', 502, 'bad gateway', 1, now())
ON CONFLICT (host, status_code)
DO UPDATE SET count = http_error_summary.count + 1, last_seen = EXCLUDED.last_seen;
INSERT INTO http_error_summary (host, status_code, error_type, count, last_seen)
VALUES ('api.example.com', 502, 'bad gateway', 1, now())
ON CONFLICT (host, status_code)
DO UPDATE SET count = http_error_summary.count + 1, last_seen = EXCLUDED.last_seen;
-- expected: a counter, 1 inserted and 1 replaced, and no finding
SELECT columns, statements, proposed, inserted, replaced, skipped, distinct_keys
  FROM safeguard.upsert_stats
 WHERE relation = 'http_error_summary'::regclass;
-- expected: a WARNING SG008 that shows the statement without its constants;
-- the detail has a time in it, so only the message is shown
\set VERBOSITY terse
ALTER TABLE http_error_summary DROP CONSTRAINT host_status;
-- expected: the same as an error, and the constraint is still there
ALTER TABLE http_error_summary ADD CONSTRAINT host_status UNIQUE (host, status_code);
SET safeguard.constraint_bypass = error;
ALTER TABLE http_error_summary DROP CONSTRAINT host_status;
RESET safeguard.constraint_bypass;
SELECT conname FROM pg_constraint WHERE conrelid = 'http_error_summary'::regclass AND contype <> 'n' ORDER BY conname;
SELECT rule, sqlstate, level, relation, calls, rejected
  FROM safeguard.findings
 WHERE rule = 'constraint_bypass' ORDER BY level;

DROP SCHEMA incidents_shared CASCADE;
SELECT safeguard.findings_reset();
