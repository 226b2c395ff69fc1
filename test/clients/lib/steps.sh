# shellcheck shell=bash
#
# steps.sh - what the parts written in SQL share
#
# Sourced, never run.

set -euo pipefail

# sql [OPTION...]: ends at the first error, which is shown with its SQLSTATE
sql()
{
	psql -X -q -A -t -v ON_ERROR_STOP=1 -v VERBOSITY=verbose "$@"
}

# holds STEP QUERY [LINE...]: the query has to give these lines
holds()
{
	local step=$1 query=$2 want have
	shift 2

	want=$(printf '%s\n' "$@")
	have=$(sql -c "$query")
	if [ "$have" != "$want" ]; then
		echo "not ok - $step: $query"
		diff <(echo "$want") <(echo "$have") || true
		exit 1
	fi
	echo "ok - $step"
}

# refused STEP SQLSTATE STATEMENT...: psql has to show this SQLSTATE
refused()
{
	local step=$1 sqlstate=$2 shown
	shift 2

	shown=$(psql -X -q -v ON_ERROR_STOP=1 -v VERBOSITY=sqlstate "${@/#/-c}" 2>&1) || true
	if [ "$shown" != "ERROR:  $sqlstate" ]; then
		echo "not ok - $step: $shown"
		exit 1
	fi
	echo "ok - $step"
}

make_canary()
{
	sql -c "CREATE TABLE canary (a int, b int, PRIMARY KEY (a, b))" \
		-c "INSERT INTO canary SELECT a, b FROM generate_series(1, 2) a, generate_series(1, 2) b"
}
part_of_key="DELETE FROM canary WHERE b IN (SELECT b FROM canary WHERE a = 1)"

# The wrong statement, rejected; then allowed for one transaction.
canary()
{
	make_canary
	refused "part of a key is rejected" SG001 "$part_of_key"
	sql -c "BEGIN" -c "SET LOCAL safeguard.composite_key = off" -c "$part_of_key" -c "ROLLBACK"
	holds "nothing of the canary is gone" "SELECT count(*) FROM canary" 4
}
