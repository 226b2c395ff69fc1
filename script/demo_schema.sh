# shellcheck shell=bash
#
# demo_schema.sh - the part of script/demo that compares two schemas
#
# Sourced by script/demo after incident 3, never run.

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
