# shellcheck shell=bash
#
# lib.sh - counting instructions, for the scripts here
#
# Sourced, never run.  callgrind counts the instructions of `postgres --single`
# for a script with N and with 3 N repetitions of a statement; the difference
# divided by 2 N is the cost of one, without start-up and shut-down.  Each run
# gets a fresh copy of the data directory SG_WORK/base.  bench/README.md tells
# how far to trust the figures.

. "$(dirname "${BASH_SOURCE[0]}")/../script/lib.sh"

# bench_base: makes SG_WORK/base from the SQL on standard input, and what the
# servers need besides
bench_base()
{
	sg_start_cluster base "autovacuum = off" "jit = off" \
		"max_parallel_workers_per_gather = 0"
	sg_as "$SG_BIN/psql" -X -q -h "$SG_WORK" -U postgres -d postgres -v ON_ERROR_STOP=1
	sg_stop_cluster base
	bench_io=
	[ "$SG_MAJOR" -lt 18 ] || bench_io="-c io_method=sync"
}

# bench_run NAME LIBRARIES OPTIONS REPETITIONS FIRST STATEMENT: the instructions of
# a whole run, those of malloc and free themselves left out: what a block costs
# depends on what happens to lie beside it.  FIRST is a first line of the
# session.  In single-user mode a line is a statement.  What changes rows is
# rolled back, so that every repetition finds the table as the first did.
bench_run()
{
	local i work=$SG_WORK/run.$1

	rm -rf "$work.data"
	sg_as cp -a "$SG_WORK/base" "$work.data"
	{
		echo "set plan_cache_mode = force_generic_plan"
		[ -z "$5" ] || echo "$5"
		for ((i = 0; i < $4; i++)); do
			case $6 in
				update* | insert* | delete* | execute\ u) printf 'begin\n%s\nrollback\n' "$6" ;;
				*) echo "$6" ;;
			esac
		done
	} >"$work.sql"
	# shellcheck disable=SC2086
	sg_as setarch -R valgrind --tool=callgrind \
		--callgrind-out-file="$work.callgrind" "$SG_BIN/postgres" --single \
		-D "$work.data" -c shared_preload_libraries="$2" \
		-c jit=off -c fsync=off -c logging_collector=off $bench_io $3 postgres \
		<"$work.sql" >"$work.out" 2>"$work.err" || true
	rm -rf "$work.data"
	if grep -E '(ERROR|FATAL|PANIC):' "$work.err" >&2; then
		sg_die "a statement failed: $6"
	fi
	malloc=$(callgrind_annotate --threshold=100 "$work.callgrind" 2>/dev/null |
		awk '/malloc\/malloc\.c:/ { gsub(",", "", $1); sum += $1 }
			END { printf "%d", sum }')
	sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$work.err" |
		awk -v malloc="$malloc" '{ printf "%d\n", $1 - malloc }'
}

# bench_statement LIBRARIES OPTIONS REPETITIONS FIRST STATEMENT: the instructions of
# one; both runs at a time, since nobody's load is in the count
bench_statement()
{
	bench_run short "$1" "$2" "$3" "$4" "$5" >"$SG_WORK/short" &
	bench_run long "$1" "$2" $((3 * $3)) "$4" "$5" >"$SG_WORK/long"
	wait $!
	awk -v a="$(cat "$SG_WORK/short")" -v b="$(cat "$SG_WORK/long")" -v n="$3" \
		'BEGIN { if (a == "" || b == "") exit 1; printf "%.0f\n", (b - a) / (2 * n) }'
}

# bench_session NAME LIBRARIES OPTIONS FILE: runs the lines of FILE in one session under
# callgrind.  At each call of pg_postmaster_start_time(), which is there to mark
# a place, what was counted since the one before is written away: prints one number
# for each.  Besides malloc and free, functions for strings are left out: they go by
# 32 bytes, and what one costs depends on where the string begins; that alone moves
# an EXECUTE by 0.2 per cent from one server to another that differs in the length
# of its cluster_name.  Nothing of safeguard that runs for every statement
# compares strings.
bench_session()
{
	local i work=$SG_WORK/session.$1

	rm -rf "$work.data" "$work.callgrind"*
	sg_as cp -a "$SG_WORK/base" "$work.data"
	# shellcheck disable=SC2086
	sg_as setarch -R valgrind --tool=callgrind --compress-strings=no \
		--dump-before=pg_postmaster_start_time \
		--callgrind-out-file="$work.callgrind" "$SG_BIN/postgres" --single \
		-D "$work.data" -c shared_preload_libraries="$2" \
		-c jit=off -c fsync=off -c logging_collector=off $bench_io $3 postgres \
		<"$4" >"$work.out" 2>"$work.err" || true
	rm -rf "$work.data"
	if grep -E '(ERROR|FATAL|PANIC):' "$work.err" >&2; then
		sg_die "a statement failed"
	fi
	for ((i = 1;; i++)); do
		[ -e "$work.callgrind.$i" ] || break
		bench_self "$work.callgrind.$i"
	done
}

# bench_self FILE: the instructions in a file of callgrind, without those left out
bench_self()
{
	awk '/^f[ile]=/ { out = /malloc\/malloc\.c|\/string\/.*\/str/ }
		/^calls=/ { getline; next }
		/^[0-9+*-]/ && !out { sum += $2 }
		END { printf "%.0f\n", sum }' "$1"
}

# bench_connect LIBRARIES OPTIONS N: the instructions of a session that runs
# SELECT 1, from the first to the last of its backend: the median of N sessions
# of a server under callgrind
bench_connect()
{
	local i

	rm -rf "$SG_WORK/callgrind".* "$SG_WORK/connect"
	sg_as cp -a "$SG_WORK/base" "$SG_WORK/connect"
	# shellcheck disable=SC2086
	sg_as valgrind --tool=callgrind --collect-atstart=no \
		--toggle-collect=PostgresMain \
		--callgrind-out-file="$SG_WORK/callgrind.%p" \
		"$SG_BIN/postgres" -D "$SG_WORK/connect" -c shared_preload_libraries="$1" \
		-c logging_collector=off $bench_io $2 >"$SG_WORK/connect.out" 2>&1 &
	for ((i = 0; i < 240; i++)); do
		sleep 1
		! bench_sql "SELECT 1" >/dev/null 2>&1 || break
	done
	[ "$i" -lt 240 ] || sg_die "the server does not start under callgrind"

	# the first ones build caches that later ones find
	for ((i = 0; i < 3; i++)); do bench_sql "SELECT 1" >/dev/null; done
	sleep 2
	rm -f "$SG_WORK/callgrind".*
	for ((i = 0; i < $3; i++)); do bench_sql "SELECT 1" >/dev/null; done
	for ((i = 0; i < 120; i++)); do
		[ "$(cat "$SG_WORK/callgrind".* 2>/dev/null | grep -c '^totals')" -lt "$3" ] || break
		sleep 1
	done
	cat "$SG_WORK/callgrind".* | sed -n 's/^totals: //p' | sort -n | sed -n "$((($3 + 1) / 2))p"
	sg_stop_cluster connect
	wait
}

bench_sql()
{
	sg_as "$SG_BIN/psql" -X -A -t -h "$SG_WORK" -U postgres -d postgres -c "$1"
}

# bench_judge WHAT VALUE LIMIT UNIT: one bar; counts in bench_missed
bench_missed=0
bench_judge()
{
	local verdict=passed

	awk -v v="$2" -v l="$3" 'BEGIN { exit !(v <= l) }' || {
		verdict=missed
		bench_missed=$((bench_missed + 1))
	}
	printf '%-62s %8s%s  <= %s%s %s\n' "$1" "$2" "$4" "$3" "$4" "$verdict"
}

bench_end()
{
	[ "$bench_missed" -eq 0 ] || {
		echo
		echo "$bench_missed above target"
		exit 1
	}
}
