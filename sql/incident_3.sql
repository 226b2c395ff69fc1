--
-- Incident 3 (telemetry upsert): ON CONFLICT without a constraint that matches.
-- The table and the statement are those of the post-mortem.
--
-- Expected: a WARNING SG002 at CREATE FUNCTION and at PREPARE; at execution the
-- same WARNING, then the server's error 42P10 with its own message and with
-- DETAIL (the key there is, "id") and HINT (a unique key on (host, status_code)
-- and safeguard.check_key).  Silence once the constraint is there.
--
CREATE SCHEMA incident_3;
SET search_path = incident_3;
CREATE TABLE http_error_summary (
    id serial PRIMARY KEY,
    host text NOT NULL,
    status_code int NOT NULL,
    error_type text NOT NULL,
    count int NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL
);

-- known as soon as the function is made: no error, and the function is there
CREATE FUNCTION note_error(p_host text, p_status int, p_type text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p_status >= 400 THEN
        INSERT INTO http_error_summary (host, status_code, error_type, count, last_seen)
        VALUES (p_host, p_status, p_type, 1, now())
        ON CONFLICT (host, status_code)
        DO UPDATE SET count = http_error_summary.count + 1, last_seen = EXCLUDED.last_seen;
    END IF;
END
$$;
-- and when the statement is prepared
PREPARE note(text, int, text) AS
INSERT INTO http_error_summary (host, status_code, error_type, count, last_seen)
VALUES ($1, $2, $3, 1, now())
ON CONFLICT (host, status_code)
DO UPDATE SET count = http_error_summary.count + 1, last_seen = EXCLUDED.last_seen;

-- every execution fails, as it would without safeguard
EXECUTE note('api.example.com', 502, 'bad gateway');
-- in the function, too; SQLSTATE and message are the server's own
DO $$
DECLARE
    state text;
    message text;
    detail text;
    hint text;
BEGIN
    PERFORM note_error('api.example.com', 502, 'bad gateway');
EXCEPTION WHEN invalid_column_reference THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    CREATE TABLE caught AS SELECT state, message, detail, hint;
END
$$;
SELECT state, message, detail <> '' AS detail, hint <> '' AS hint FROM caught;

-- the path that the tests did not cover is not taken: nothing happens
SELECT note_error('api.example.com', 200, 'none');

-- duplicates came in meanwhile: they would prevent the constraint
INSERT INTO http_error_summary (host, status_code, error_type, count, last_seen)
VALUES ('api.example.com', 502, 'bad gateway', 1, now()), ('api.example.com', 502, 'bad gateway', 1, now()),
       ('api.example.com', 404, 'not found', 1, now());
SELECT * FROM safeguard.check_key('http_error_summary', 'host', 'status_code');
-- the table is not empty now, which changes the DDL in the hint
EXECUTE note('api.example.com', 502, 'bad gateway');
CREATE UNIQUE INDEX http_error_summary_host_status_code_key ON http_error_summary (host, status_code);
DELETE FROM http_error_summary s
 WHERE EXISTS (SELECT FROM http_error_summary o
                WHERE (o.host, o.status_code) = (s.host, s.status_code) AND o.id < s.id);
SELECT is_unique FROM safeguard.check_key('http_error_summary', 'host', 'status_code');

-- what the hint says
CREATE UNIQUE INDEX CONCURRENTLY ON http_error_summary (host, status_code);
EXECUTE note('api.example.com', 502, 'bad gateway');
SELECT note_error('api.example.com', 502, 'bad gateway');
EXECUTE note('db.example.com', 500, 'timeout');
SELECT host, status_code, count FROM http_error_summary ORDER BY host, status_code;
-- as it would have been from the start
CREATE OR REPLACE FUNCTION note_error(p_host text, p_status int, p_type text) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO http_error_summary (host, status_code, error_type, count, last_seen)
    VALUES (p_host, p_status, p_type, 1, now())
    ON CONFLICT (host, status_code)
    DO UPDATE SET count = http_error_summary.count + 1, last_seen = EXCLUDED.last_seen;
$$;
DEALLOCATE note;

\set VERBOSITY terse
DROP SCHEMA incident_3 CASCADE;
