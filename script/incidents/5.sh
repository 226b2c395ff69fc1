# Incident 5, read by script/demo: no view into the pool.

use shop
ask -o /dev/null <<'SQL'
CREATE ROLE web LOGIN CONNECTION LIMIT 5;
CREATE TABLE orders (id int PRIMARY KEY, state text NOT NULL);
INSERT INTO orders VALUES (1, 'new');
GRANT SELECT, UPDATE ON orders TO web;
SQL

heading "5. The incident: no view into the connection pool"
echo "An application holds its five connections, one of them in a transaction that nobody ends,"
echo "and the next requests are refused.  The server sees every client:"
web()
{
	sg_as env PGAPPNAME=checkout "$SG_BIN/psql" -X -q -h "$SG_WORK" -U web -d shop "$@"
}
(
	echo "BEGIN; UPDATE orders SET state = 'paid' WHERE id = 1;"
	sleep 60
) 2>/dev/null | web >/dev/null 2>&1 &
for i in 1 2 3 4; do
	web -c "SELECT pg_sleep(60)" >/dev/null 2>&1 &
done
tries=0
until [ "$(ask -c "SELECT count(*) = 5 AND bool_or(state = 'idle in transaction'
						AND state_change < now() - interval '0.2 s')
					 FROM pg_stat_activity WHERE usename = 'web'")" = t ]; do
	tries=$((tries + 1))
	[ "$tries" -lt 200 ] || sg_die "the five sessions do not come up"
	sleep 0.1
done
for i in 1 2 3; do
	web -c "SELECT 1" >/dev/null 2>&1 || true
done
show "SELECT role, application, total, active, idle_in_transaction FROM safeguard.pool_clients WHERE role = 'web'"
expect "five sessions" "     5 |      4 |                   1"
show "SELECT reason, count FROM safeguard.pool_failures WHERE count > 0 ORDER BY 2 DESC, 1"
expect "three refusals" "role limit |     3"
show -x "SELECT role, application, state, last_query FROM safeguard.connection_leaks('0.1 seconds') WHERE role = 'web'"
expect "the forgotten transaction" "idle in transaction"
expect "and what it did" "UPDATE orders"
show -x "SELECT status, round(utilization) AS utilization, warnings FROM safeguard.health()"
expect "what would let it hang for ever" "idle_in_transaction_session_timeout"
ask -o /dev/null -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'web'"
echo
echo "The same figures come as Prometheus metrics; monitoring/ has alert rules and a dashboard."
