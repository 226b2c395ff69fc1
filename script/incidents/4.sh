# Incident 4, read by script/demo: initialisation by six machines.

use exploits
migration="CREATE TABLE exploits (id int PRIMARY KEY, title text NOT NULL);
INSERT INTO exploits VALUES (1, 'First'), (2, 'Second');
SELECT pg_sleep(0.5)"

# start VERSION STATEMENTS: six hosts run a migration at the same moment
start()
{
	local host hosts=()

	for host in 1 2 3 4 5 6; do
		ask -c "SELECT 'host $host: ' || safeguard.migrate('$1', \$m\$$2\$m\$)" \
			>"$SG_WORK/host$host" 2>&1 &
		hosts[host]=$!
	done
	for host in 1 2 3 4 5 6; do wait "${hosts[host]}" || true; done
	answer=$(cat "$SG_WORK"/host[1-6])
	echo "$answer"
}

heading "4. The incident: initialisation by six machines at once"
echo "Six hosts start at the same moment and each sets up the schema.  95 % of such starts failed:"
echo "the schema was applied twice, and recording it violated its unique key."
show "SELECT safeguard.schema_version()"
expect "nothing was applied yet" "unknown"
echo
echo "    SELECT safeguard.migrate('1', 'CREATE TABLE exploits ...')"
echo
start 1 "$migration"
silent "no host fails"
expect "the others see it as applied" ": already applied"
answer=$(grep -c ': applied' <<<"$answer") || true
expect "exactly one applies it" "1"
show "SELECT safeguard.schema_version(), (SELECT count(*) FROM exploits) AS rows" \
	"SELECT version, status, rows_changed FROM safeguard.migrations"
expect "the version is known, the rows are there once" " 1              |    2"

heading "4. A migration that fails leaves nothing, and can be tried again"
echo
echo "    SELECT safeguard.migrate('2', 'ALTER TABLE exploits ADD score int; SELECT 1 / 0')"
echo
start 2 "ALTER TABLE exploits ADD score int; SELECT 1 / 0" | sed 's/^/    /'
show "SELECT safeguard.schema_version(), (SELECT count(*) FROM pg_attribute
         WHERE attrelid = 'exploits'::regclass AND attname = 'score') AS score"
expect "it left nothing" " 1              |     0"
echo
echo "    SELECT safeguard.migrate('2', 'ALTER TABLE exploits ADD score int')"
echo
start 2 "ALTER TABLE exploits ADD score int"
silent "the retry succeeds"
expect "at one of them" ": applied"
show "SELECT safeguard.migrate('2', 'ALTER TABLE exploits ADD score bigint')"
expect "a text that was changed afterwards is refused" "has changed since it was applied"
