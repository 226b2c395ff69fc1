# Incident 3, read by script/demo: ON CONFLICT without a key.

use telemetry
ask -o /dev/null <<'SQL'
CREATE TABLE http_error_summary (
	id			serial PRIMARY KEY,
	host		text NOT NULL,
	status_code	int NOT NULL,
	error_type	text NOT NULL,
	count		int NOT NULL,
	first_seen	timestamptz NOT NULL DEFAULT now(),
	last_seen	timestamptz NOT NULL
);
SQL

function="CREATE OR REPLACE FUNCTION note_error(host text, code int, kind text) RETURNS void LANGUAGE sql AS \$\$
    INSERT INTO http_error_summary (host, status_code, error_type, count, last_seen)
    VALUES (\$1, \$2, \$3, 1, now())
    ON CONFLICT (host, status_code)
    DO UPDATE SET count = http_error_summary.count + 1, last_seen = EXCLUDED.last_seen
\$\$"
call="SELECT note_error('api.example.com', 502, 'bad gateway')"

heading "3. The incident: ON CONFLICT without a constraint that matches"
echo "A migration has forgotten UNIQUE (host, status_code) on http_error_summary.  PostgreSQL"
echo "tells when the upsert runs, in production.  safeguard tells when it is written:"
show "$function"
expect "there is a warning when the function is made" "WARNING:"
expect "the hint has the key" "ALTER TABLE public.http_error_summary ADD UNIQUE (host, status_code)"
expect "the function is made all the same" "CREATE FUNCTION"
refuse "it is no error" "ERROR"

heading "3. In production: the server's error, with the reason and the way out"
show "$call"
expect "the server's error is unchanged" "ERROR:  there is no unique or exclusion constraint matching the ON CONFLICT specification"
expect "the detail has the key there is" "(id)"
expect "there is a detail" "DETAIL:"
expect "the hint has the DDL" "ADD UNIQUE (host, status_code)"
expect "and how to look for duplicates" "safeguard.check_key("

heading "3. Duplicates came in meanwhile: can the key still be made?"
ask -c "INSERT INTO http_error_summary (host, status_code, error_type, count, last_seen)
		SELECT 'api.example.com', code, 'bad gateway', 1, now() FROM unnest(ARRAY[502, 502, 504]) code"
show "SELECT rows, duplicate_keys, surplus_rows, is_unique, sample
  FROM safeguard.check_key('http_error_summary', 'host', 'status_code')"
expect "it cannot" "    3 |              1 |            1 | f"
show "DELETE FROM http_error_summary s
 WHERE EXISTS (SELECT FROM http_error_summary o
                WHERE (o.host, o.status_code) = (s.host, s.status_code) AND o.id < s.id)" \
	"CREATE UNIQUE INDEX CONCURRENTLY host_status ON http_error_summary (host, status_code)" \
	"$call"
expect "a duplicate is removed" "DELETE 1"
silent "with the key all is well"

heading "3. Whoever drops what upserts need is told"
show "DROP INDEX host_status"
expect "there is a warning" "WARNING:"
expect "it shows the statement" "INSERT INTO http_error_summary"

heading "3. How it could come to that: the tests ran on another schema"
echo "The tests' database has the constraint, production has not.  A fingerprint tells that"
echo "they differ, and the objects of the one, taken to the other, tell what:"
use tests
ask -o /dev/null <<'SQL'
CREATE TABLE http_error_summary (
	id			serial PRIMARY KEY,
	host		text NOT NULL,
	status_code	int NOT NULL,
	error_type	text NOT NULL,
	count		int NOT NULL,
	first_seen	timestamptz NOT NULL DEFAULT now(),
	last_seen	timestamptz NOT NULL,
	UNIQUE (host, status_code)
);
SQL
ask -o /dev/null -c "$function"
tested=$(ask -c "SELECT safeguard.schema_fingerprint()")
ask -c "SELECT jsonb_agg(o) FROM safeguard.schema_objects() o" >"$SG_WORK/tests.json"
chmod a+r "$SG_WORK/tests.json"
show "SELECT safeguard.schema_fingerprint()"
database=telemetry
show "SELECT safeguard.schema_fingerprint()"
refuse "another fingerprint" "$tested"
show -x "SELECT * FROM safeguard.schema_diff(pg_read_file('$SG_WORK/tests.json')::jsonb)"
expect "the constraint is missing" "missing"
expect "it is named" "http_error_summary_host_status_code_key"
expect "with its definition" "UNIQUE (host, status_code)"
refuse "nothing else differs" "RECORD 2"

heading "3. An application asks at its start"
show "SELECT safeguard.assert_schema('$tested')"
expect "it does not start" 'ERROR:  schema "public" is not the expected one'
show "ALTER TABLE http_error_summary ADD UNIQUE (host, status_code)" \
	"SELECT safeguard.assert_schema('$tested')"
silent "with the constraint it starts"
