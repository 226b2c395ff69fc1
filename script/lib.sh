# shellcheck shell=bash
#
# lib.sh - what the scripts here share
#
# Sourced, never run.  The scripts build and run everything in a private
# folder: a copy of the sources, and a copy of the server's files into which
# the extension is installed.  PostgreSQL finds its files relative to its own
# binary, so a copy of the tree works anywhere; the machine's PostgreSQL and
# its clusters are never touched.

SG_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# libpq's variables would lead the clients somewhere else
unset PGHOST PGHOSTADDR PGPORT PGDATABASE PGUSER PGPASSWORD PGPASSFILE \
	PGSERVICE PGSERVICEFILE PGOPTIONS PGDATA PGSSLMODE PGAPPNAME PGTZ \
	PGCLIENTENCODING PGCONNECT_TIMEOUT PGTARGETSESSIONATTRS
unset MAKEFLAGS MAKELEVEL MFLAGS

# the user's folder; HOME becomes the private one below
SG_HOME=${SG_HOME:-$HOME}

sg_die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# sg_skip NAME REASON: something cannot be run here.  That is a failure unless
# test/allowed-skips names it.
sg_skip()
{
	local allowed

	allowed=$(awk -v name="$1" '$1 == name { sub(/^[^ \t]+[ \t]+/, ""); print; exit }' \
		"$SG_SOURCE/test/allowed-skips" 2>/dev/null || true)
	if [ -n "$allowed" ]; then
		echo "skipped $1: $2 (allowed: $allowed)"
		return 0
	fi
	echo "not ok - $1: $2"
	return 1
}

# sg_count FILE RC: sets SG_PASSED and SG_FAILED from the last line of what a
# script printed; a script that failed without a failed test counts as one.
sg_count()
{
	SG_PASSED=0 SG_FAILED=0
	if [[ $(tail -n 1 "$1") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
		SG_PASSED=${BASH_REMATCH[1]} SG_FAILED=${BASH_REMATCH[2]}
	elif [ "$2" -eq 0 ]; then
		SG_FAILED=1
	fi
	if [ "$2" -ne 0 ] && [ "$SG_FAILED" -eq 0 ]; then SG_FAILED=1; fi
}

# sg_ok NAME, sg_not_ok NAME, sg_result: the same for scripts that count
sg_passed=0 sg_failed=0
sg_ok()
{
	sg_passed=$((sg_passed + 1))
	echo "ok - $*"
}
sg_not_ok()
{
	sg_failed=$((sg_failed + 1))
	echo "not ok - $*"
}
sg_result()
{
	echo
	echo "$sg_passed passed, $sg_failed failed"
	[ "$sg_failed" -eq 0 ]
}

# The newest server of Debian's layout that this extension supports, or
# nothing.
sg_installed_major()
{
	local major
	for major in 18 17 16 15; do
		if [ -x "/usr/lib/postgresql/$major/bin/postgres" ]; then
			echo "$major"
			return
		fi
	done
}

# Sets PG_CONFIG where it is not set: the newest server installed.
sg_find_pg_config()
{
	local major

	if [ -z "${PG_CONFIG:-}" ]; then
		major=$(sg_installed_major)
		[ -n "$major" ] || sg_die "no PostgreSQL server found; set PG_CONFIG"
		PG_CONFIG=/usr/lib/postgresql/$major/bin/pg_config
	fi
	PG_CONFIG=$(command -v "$PG_CONFIG") || sg_die "PG_CONFIG is not a command"
	export PG_CONFIG
}

# Makes SG_WORK, a private folder with a short name (a socket's path may have
# 107 bytes), and SG_AS, the command prefix that runs something as an
# unprivileged user: PostgreSQL refuses to run as root.
sg_make_work()
{
	local user tmp=${TMPDIR:-/tmp}

	[ "${#tmp}" -le 40 ] || tmp=/tmp
	SG_AS=()
	if [ "$(id -u)" -eq 0 ]; then
		user=nobody
		if id postgres >/dev/null 2>&1; then user=postgres; fi
		SG_AS=(runuser -u "$user" --)
	fi
	SG_WORK=$(mktemp -d "$tmp/sg.XXXXXX")
	export HOME=$SG_WORK
	cd "$SG_WORK"
}

# Hands the private folder to the unprivileged user.
sg_own_work()
{
	[ "${#SG_AS[@]}" -eq 0 ] || chown -R "${SG_AS[2]}:" "$SG_WORK"
}

sg_as()
{
	${SG_AS[@]+"${SG_AS[@]}"} "$@"
}

# Copies the sources, without what a build has left there, to SG_WORK/src.
sg_copy_source()
{
	mkdir "$SG_WORK/src"
	tar -C "$SG_SOURCE" -cf - --exclude=./.git --exclude='*.o' \
		--exclude='*.so' --exclude='*.bc' --exclude=./results \
		--exclude=./output_iso --exclude='./tmp_check*' \
		--exclude='./regression.*' . |
		tar -C "$SG_WORK/src" -xf - --no-same-owner
}

# Copies the server's files to SG_WORK/pg and sets SG_PG_CONFIG, SG_BIN and
# SG_PGXS to those of the copy.  The headers are linked, not copied.
sg_copy_postgres()
{
	local dir

	for dir in --bindir --pkglibdir --sharedir; do
		dir=$("$PG_CONFIG" $dir)
		mkdir -p "$SG_WORK/pg$dir"
		tar -C "$dir" -cf - --exclude=./bitcode --exclude=./man . |
			tar -C "$SG_WORK/pg$dir" -xf - --no-same-owner
	done
	dir=$("$PG_CONFIG" --pkgincludedir)
	mkdir -p "$SG_WORK/pg$(dirname "$dir")"
	if sg_as test -r "$("$PG_CONFIG" --includedir-server)/postgres.h"; then
		ln -s "$dir" "$SG_WORK/pg$dir"
	else
		cp -r "$dir" "$SG_WORK/pg$dir"
	fi
	SG_BIN=$SG_WORK/pg$("$PG_CONFIG" --bindir)
	SG_PG_CONFIG=$SG_BIN/pg_config
	[ "$("$SG_PG_CONFIG" --bindir)" = "$SG_BIN" ] ||
		sg_die "this PostgreSQL cannot be moved: $PG_CONFIG"
	SG_PGXS=$(dirname "$(dirname "$(dirname "$("$SG_PG_CONFIG" --pgxs)")")")
}

# Where SG_CCACHE names a folder, ccache keeps there what it has compiled, and
# sees a source in the next private folder as the same: the suites and proofs
# of one run build the same some thirty times.
sg_make()
{
	local cached=() cc=()

	if [ -n "${SG_CCACHE:-}" ] && command -v ccache >/dev/null 2>&1; then
		mkdir -p "$SG_CCACHE/own"
		[ "${#SG_AS[@]}" -eq 0 ] || chown "${SG_AS[2]}:" "$SG_CCACHE/own"
		cached=(env CCACHE_DIR="$SG_CCACHE/own" CCACHE_BASEDIR="$SG_WORK" CCACHE_NOHASHDIR=1)
		cc=(CC="ccache gcc")
	fi
	sg_as ${cached[@]+"${cached[@]}"} make -s -C "$SG_WORK/src" PG_CONFIG="$SG_PG_CONFIG" with_llvm=no \
		${cc[@]+"${cc[@]}"} "$@"
}

# Builds, and installs into the copy of the server's files.
sg_build()
{
	sg_make -j"$(nproc)" all "$@" && sg_make install "$@"
}

# sg_prepare [OPTION...]: everything up to an installed build, with warnings as
# errors unless SG_COPT says otherwise; the options go to script/setup.
sg_prepare()
{
	"$SG_SOURCE/script/setup" "$@"
	sg_find_pg_config
	SG_MAJOR=$("$PG_CONFIG" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
	sg_make_work
	[ -n "${SG_KEEP:-}" ] || trap sg_remove_work EXIT
	sg_copy_source
	sg_copy_postgres
	sg_own_work
	sg_build COPT="${SG_COPT:--Werror}" >"$SG_WORK/build.out" 2>&1 || {
		echo "FAILED build"
		grep -E 'error:|warning:|Error [0-9]' "$SG_WORK/build.out" | cut -c 1-160 | head -n 12 || true
		cat "$SG_WORK/build.out"
		echo "0 passed, 1 failed"
		exit 1
	}
}

sg_psql()
{
	sg_as "$SG_BIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$SG_WORK" -U postgres "$@"
}

# PGXS runs REGRESS, ISOLATION and TAP tests in one go; here each is a suite.
sg_installcheck()
{
	sg_as env PGHOST="$SG_WORK" PGUSER=postgres \
		make -s -C "$SG_WORK/src" PG_CONFIG="$SG_PG_CONFIG" with_llvm=no \
		"$@"
}

# What a server's log says when a process of it died, or should have.
sg_crashes()
{
	grep -nE 'PANIC:|TRAP:|terminated by signal|AddressSanitizer|runtime error:' "$@"
}

# Tests in the output of pg_regress, isolation and TAP tests: SG_PASSED,
# SG_FAILED.  From 16 on all print 'ok 1 - name'; pg_regress 15 'test name
# ... ok', in a parallel group without the first word.
sg_count_tests()
{
	SG_PASSED=$(grep -cE '^ok |^(test +| +)?[a-z0-9_/.-]+ +\.\.\. ok( |$)' "$1" || true)
	SG_FAILED=$(grep -cE '^not ok |^(test +| +)?[a-z0-9_/.-]+ +\.\.\. FAILED' "$1" || true)
}

# sg_failures OUTPUT [DIFFS...]: what failed, in some 15 short lines.  They come
# right after the line that says so, since of a long log little may be seen.
sg_failures()
{
	awk -f "$SG_SOURCE/script/failures.awk" "$@" || true
}

# sg_diffs STAMP: the differences that tests have left since then
sg_diffs()
{
	find "$SG_WORK/src" -name regression.diffs -size +0 -newer "$1" 2>/dev/null || true
}

# sg_suite NAME COMMAND...: runs a suite of such tests with its output in
# NAME.out, adds up its tests and prints a line, and what failed.
sg_suite()
{
	local name=$1 rc=0 start=$SECONDS diffs=()
	shift

	touch "$SG_WORK/$name.start"
	"$@" >"$SG_WORK/$name.out" 2>&1 </dev/null || rc=$?
	sg_count_tests "$SG_WORK/$name.out"
	if [ "$SG_FAILED" -eq 0 ] && { [ "$rc" -ne 0 ] || [ "$SG_PASSED" -eq 0 ]; }; then
		SG_FAILED=1
	fi
	sg_passed=$((sg_passed + SG_PASSED))
	sg_failed=$((sg_failed + SG_FAILED))
	printf '%s - %s: %d passed, %d failed, %d s\n' \
		"$([ "$SG_FAILED" -eq 0 ] && echo ok || echo 'not ok')" \
		"$name" "$SG_PASSED" "$SG_FAILED" "$((SECONDS - start))"
	[ "$SG_FAILED" -gt 0 ] || return 0
	mapfile -t diffs < <(sg_diffs "$SG_WORK/$name.start")
	sg_failures "$SG_WORK/$name.out" "${diffs[@]}"
	tail -n 60 "$SG_WORK/$name.out"
	[ "${#diffs[@]}" -eq 0 ] || head -n 500 "${diffs[@]}"
}

# Command prefix for servers: env VARIABLE=VALUE...
SG_SERVER_ENV=()

# sg_start_cluster NAME [LINE...]: a new cluster in SG_WORK/NAME with the
# given lines in its postgresql.conf, reached by the socket in SG_WORK only.
sg_start_cluster()
{
	local name=$1 data=$SG_WORK/$1
	shift

	sg_as "$SG_BIN/initdb" -D "$data" -U postgres -A trust -E UTF8 \
		--locale=C.UTF-8 --no-sync >"$SG_WORK/$name.initdb" 2>&1 || {
		cat "$SG_WORK/$name.initdb" >&2
		return 1
	}
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$SG_WORK'"
		echo "fsync = off"
		printf '%s\n' "$@"
	} | sg_as tee -a "$data/postgresql.conf" >/dev/null
	sg_as ${SG_SERVER_ENV[@]+"${SG_SERVER_ENV[@]}"} "$SG_BIN/pg_ctl" -D "$data" \
		-l "$SG_WORK/$name.log" ${SG_SERVER:+-p "$SG_SERVER"} -t 300 -w start \
		>/dev/null 2>&1 || {
		tail -n 20 "$SG_WORK/$name.log" >&2
		return 1
	}
}

sg_stop_cluster()
{
	sg_as "$SG_BIN/pg_ctl" -D "$SG_WORK/$1" -m "${2:-fast}" stop >/dev/null 2>&1
}

# Stops what is left running in the private folder.
sg_stop_all()
{
	local pidfile

	for pidfile in "$SG_WORK"/*/postmaster.pid; do
		[ ! -e "$pidfile" ] ||
			sg_stop_cluster "$(basename "$(dirname "$pidfile")")" immediate || true
	done
}

sg_remove_work()
{
	sg_stop_all
	cd /
	rm -rf "$SG_WORK"
}
