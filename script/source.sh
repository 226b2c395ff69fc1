# shellcheck shell=bash
#
# source.sh - PostgreSQL's own sources, from Debian's source packages
#
# Sourced after chroot.sh, never run.  Gives the tests of PostgreSQL itself, and a server built
# with assertions.  apt gets a private configuration and private lists; the
# machine's are not touched.

# sg_source_apt MAJOR COMMAND...: apt with deb-src of the release of MAJOR
sg_source_apt()
{
	local dir=$SG_CACHE/src/apt-$1 tool=$2
	shift 2
	"$tool" -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=- \
		-o Dir::State="$dir" -o Dir::State::status=/var/lib/dpkg/status \
		-o Dir::Cache="$dir" -o APT::Sandbox::User=root \
		-o Acquire::Languages=none -o Acquire::Retries=3 \
		-o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false "$@"
}

# sg_download_source MAJOR: its pristine source.  The newest version that the
# mirror lists may not be there as a file: then the one before.
sg_download_source()
{
	local major=$1 suite=${SG_SUITE_OF[$1]:-} dir=$SG_CACHE/src version try
	local apt=$dir/apt-$1

	[ -n "$suite" ] || sg_die "no Debian release has the source of PostgreSQL $major"
	command -v apt-get >/dev/null 2>&1 || sg_die "needs apt to get the source of PostgreSQL $major"
	sg_mirror
	for try in 1 2 3; do
		mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/get"
		{
			echo "deb-src $SG_MIRROR $suite main"
			[ "$suite" = sid ] || [ -z "$SG_SECURITY" ] ||
				echo "deb-src $SG_SECURITY $suite-security main"
		} >"$apt/sources.list"
		sg_source_apt "$major" apt-get -qq update >"$apt/log" 2>&1 || true
		while read -r version; do
			if (cd "$apt/get" && sg_source_apt "$major" apt-get -qq source --tar-only \
				--download-only --only-source "postgresql-$major=$version") >>"$apt/log" 2>&1
			then
				mv "$apt/get/postgresql-${major}"_*.orig.tar.* "$dir/"
				rm -rf "$apt"
				return 0
			fi
		done < <(sg_source_apt "$major" apt-cache showsrc --only-source "postgresql-$major" 2>/dev/null |
			sed -n 's/^Version: //p' | sort -Vru)
		sleep $((try * 5))
	done
	tail -n 15 "$apt/log" >&2
	return 1
}

# sg_fetch_source MAJOR: SG_TARBALL, the newest source that was downloaded, or
# one that is now.  Jobs that run at once want the same one: under a lock.
sg_fetch_source()
{
	local major=$1 dir=$SG_CACHE/src

	mkdir -p "$dir"
	SG_TARBALL=$(
		newest() { find "$dir" -maxdepth 1 -name "postgresql-${major}_*.orig.tar.*" | sort -V | tail -n 1; }
		exec 7>"$dir/$major.lock"
		flock 7
		[ -n "$(newest)" ] || sg_download_source "$major" >&2
		newest
	)
	[ -n "$SG_TARBALL" ]
}

# sg_unpack_source MAJOR: SG_PG_SOURCE, a folder with the tests of PostgreSQL
# and what valgrind should know about it, readable by everybody
sg_unpack_source()
{
	local major=$1 partial

	sg_fetch_source "$major" || return 1
	SG_PG_SOURCE=$SG_CACHE/src/tests-$(basename "${SG_TARBALL%.orig.tar.*}")
	[ ! -d "$SG_PG_SOURCE" ] || return 0
	partial=$(mktemp -d "$SG_CACHE/src/partial.XXXXXX")
	tar -C "$partial" --strip-components=1 --no-same-owner -xf "$SG_TARBALL" \
		--wildcards '*/src/test/regress/*' '*/src/test/isolation/*' '*/src/tools/valgrind.supp' || return 1
	basename "${SG_TARBALL%.orig.tar.*}" >"$partial/version"
	chmod -R a+rX "$partial"
	mv -T "$partial" "$SG_PG_SOURCE" 2>/dev/null || rm -rf "$partial"
}

# sg_assert_server MAJOR: PG_CONFIG, a server of MAJOR built with assertions
# and with what valgrind needs to know its memory contexts.  About four
# minutes the first time.  lib/icu has this release's ICU, for who runs it on
# another release: the rest is the same there.
sg_assert_server()
{
	local major=$1 prefix=$SG_CACHE/assert-$1 build=$SG_CACHE/src/build-$1

	"$SG_SOURCE/script/setup" --bench --matrix
	mkdir -p "$SG_CACHE/src"
	# several may want it at once
	exec 8>"$SG_CACHE/assert-$major.lock"
	flock 8
	if [ ! -e "$prefix/.stamp-3" ]; then
		sg_fetch_source "$major" || return 1
		rm -rf "$build" "$prefix"
		mkdir -p "$build"
		tar -C "$build" --strip-components=1 --no-same-owner -xf "$SG_TARBALL" || return 1
		(
			set -e
			cd "$build"
			./configure --prefix="$prefix" --enable-cassert --enable-debug \
				--enable-tap-tests --with-icu --without-readline --without-zlib --disable-rpath \
				CPPFLAGS=-DUSE_VALGRIND CFLAGS='-O2 -fno-omit-frame-pointer' \
				LDFLAGS_EX="-Wl,-rpath,'\$\$ORIGIN/../lib'"
			make -s -j"$(nproc)"
			make -s install
			for dir in contrib/spi contrib/pg_stat_statements contrib/auto_explain; do
				make -s -C "$dir" install
			done
		) >"$prefix.log" 2>&1 || {
			tail -n 20 "$prefix.log" >&2
			exec 8>&-
			return 1
		}
		rm -rf "$build"
		touch "$prefix/.stamp-3"
	fi
	# Once, and whole: a server that runs with these must not see them change.
	if [ ! -d "$prefix/lib/icu" ]; then
		rm -rf "$prefix/lib/icu.part"
		mkdir "$prefix/lib/icu.part"
		ldd "$prefix/bin/postgres" | awk '$1 ~ /^libicu/ { print $3 }' |
			xargs -r cp -L -t "$prefix/lib/icu.part"
		mv -T "$prefix/lib/icu.part" "$prefix/lib/icu"
	fi
	exec 8>&-
	export PG_CONFIG=$prefix/bin/pg_config
}
