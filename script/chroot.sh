# shellcheck shell=bash
#
# chroot.sh - lean Debian roots with one PostgreSQL each, for script/matrix
#
# Sourced, never run.  Needs root and debootstrap.  A root is made once and
# kept in the cache folder; a stamp file says that it is complete.

# The Debian mirror and its security archive as this machine's own apt names
# them; they are written into the roots, nowhere else.
sg_mirror()
{
	local codename targets

	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	targets=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' | sort -u)
	SG_MIRROR=$(awk -v c="$codename" '$1 == c { print $2; exit }' <<<"$targets")
	SG_SECURITY=$(awk -v c="$codename-security" \
		'$1 == c || $1 == c"/updates" { print $2; exit }' <<<"$targets")
	SG_MIRROR=${SG_MIRROR%/}
	SG_SECURITY=${SG_SECURITY%/}
	[ -n "$SG_MIRROR" ] || sg_die "found no Debian mirror in this machine's apt sources"
}

# sg_nsroot ROOT COMMAND...: runs COMMAND as root in the chroot, in mount, pid,
# ipc and uts namespaces of its own: when it ends, what it left running is
# killed by the kernel and no mount stays behind.  NSROOT_BIND='HOST:INNER ...'
# makes folders of the host visible inside.
sg_nsroot()
{
	local root
	root=$(readlink -f "$1")
	shift
	NSROOT=$root unshare --mount --pid --fork --kill-child --ipc --uts \
		--propagation private -- /bin/bash -c '
		set -e
		mount -t proc proc "$NSROOT/proc"
		mount -t tmpfs -o mode=1777,size=2g shm "$NSROOT/dev/shm"
		mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$NSROOT/dev/pts"
		mount --bind "$NSROOT/dev/pts/ptmx" "$NSROOT/dev/ptmx"
		hostname localhost
		for pair in ${NSROOT_BIND:-}; do
			mkdir -p "$NSROOT${pair#*:}"
			mount --bind "${pair%%:*}" "$NSROOT${pair#*:}"
		done
		exec chroot "$NSROOT" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"
	' nsroot "$@"
}

# sg_make_base SUITE ROOT: a minimal Debian
sg_make_base()
{
	local suite=$1 root=$2 include=

	[ ! -e "$root/.stamp-base" ] || return 0
	rm -rf --one-file-system "$root"
	mkdir -p "$(dirname "$root")"
	case $SG_MIRROR in https:*) include=--include=ca-certificates ;; esac
	debootstrap --variant=minbase $include "$suite" "$root" "$SG_MIRROR" \
		>"$root.log" 2>&1 || return 1

	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	{
		echo "deb $SG_MIRROR $suite main"
		if [ "$suite" != sid ] && [ -n "$SG_SECURITY" ]; then
			echo "deb $SG_SECURITY $suite-security main"
		fi
	} >"$root/etc/apt/sources.list"
	{
		echo 'Acquire::Languages "none";'
		echo 'Acquire::Check-Valid-Until "false";'
		echo 'Acquire::Check-Date "false";'
		echo 'Acquire::Retries "3";'
		echo 'APT::Install-Recommends "false";'
		apt-config dump | grep -E '^Acquire::(https?|ftp)::[^ ]*[Pp]roxy' || true
	} >"$root/etc/apt/apt.conf.d/90safeguard"
	{
		echo force-unsafe-io
		echo 'path-exclude=/usr/share/doc/*'
		echo 'path-exclude=/usr/share/man/*'
		echo 'path-exclude=/usr/share/locale/*'
	} >"$root/etc/dpkg/dpkg.cfg.d/90safeguard"
	mkdir -p "$root/etc/postgresql-common"
	echo 'create_main_cluster = false' \
		>"$root/etc/postgresql-common/createcluster.conf"
	touch "$root/.stamp-base"
}

# sg_make_root SUITE VERSION ROOT: the same with PostgreSQL VERSION, a
# compiler, the test modules, and what the proofs run beside safeguard as far
# as that release has it.  The headers are unpacked, not installed: the package
# wants clang and llvm, 250 MB that nothing here needs.  apt runs inside the
# namespaces because some postinst scripts need /proc.
sg_make_root()
{
	local suite=$1 version=$2 root=$3

	[ ! -e "$root/.stamp-$version-4" ] || return 0
	sg_make_base "$suite" "$root" || return 1
	sg_nsroot "$root" sh -ec "
		apt-get -qq update
		apt-get -qq -y install postgresql-$version
		apt-get -qq -y install gcc make libc6-dev libipc-run-perl perl python3-minimal diffutils ccache
		for package in pgbouncer sqlsmith postgresql-$version-pgaudit \
			postgresql-$version-plpgsql-check postgresql-$version-pg-hint-plan; do
			! apt-cache show \$package >/dev/null 2>&1 ||
				apt-get -qq -y install \$package
		done
		cd /tmp
		apt-get -qq download postgresql-server-dev-$version
		dpkg-deb -x postgresql-server-dev-${version}_*.deb /
		rm -f postgresql-server-dev-${version}_*.deb
		apt-get clean
		rm -rf /var/lib/apt/lists/*" >>"$root.log" 2>&1 || return 1
	touch "$root/.stamp-$version-4"
}

# sg_make_package_root SUITE VERSION ROOT: the same with a server as a user has
# it: no compiler, no headers.  make and diff are for the tests.
sg_make_package_root()
{
	local suite=$1 version=$2 root=$3

	[ ! -e "$root/.stamp-package-$version" ] || return 0
	sg_make_base "$suite" "$root" || return 1
	sg_nsroot "$root" sh -ec "
		apt-get -qq update
		apt-get -qq -y install postgresql-$version postgresql-client make diffutils
		apt-get clean
		rm -rf /var/lib/apt/lists/*" >>"$root.log" 2>&1 || return 1
	touch "$root/.stamp-package-$version"
}

# The Debian release that has a server; 15 is this machine's own.
declare -A SG_SUITE_OF=([15]=bookworm [17]=trixie [18]=sid)

# Where roots, sources and the server with assertions are kept between runs.
SG_CACHE=${SAFEGUARD_CACHE:-${XDG_CACHE_HOME:-$SG_HOME/.cache}/safeguard}

# sg_make_kept WHAT FUNCTION SUITE MAJOR ROOT: makes a root if it is not there,
# and says so in one line if that is impossible
sg_make_kept()
{
	local what=$1 function=$2 suite=$3 major=$4 root=$5 try

	[ "$(id -u)" -eq 0 ] || {
		echo "cannot make $what: needs to be root"
		return 1
	}
	sg_mirror
	mkdir -p "$SG_CACHE"
	(
		flock 9
		for try in 1 2 3; do
			if "$function" "$suite" "$major" "$root"; then exit 0; fi
			echo "attempt $try to make $what failed"
			sleep $((try * 5))
		done
		tail -n 30 "$root.log" || true
		echo "cannot make $what (network? debootstrap?)"
		exit 1
	) 9>"$root.lock"
}

# sg_need_root MAJOR: a root in which the suites run on MAJOR
sg_need_root()
{
	sg_make_kept "a root with PostgreSQL $1" sg_make_root "${SG_SUITE_OF[$1]}" "$1" \
		"$SG_CACHE/${SG_SUITE_OF[$1]}"
}

# sg_need_package_root MAJOR: SG_PACKAGE_ROOT, one to install packages in
sg_need_package_root()
{
	SG_PACKAGE_ROOT=$SG_CACHE/package-$1
	sg_make_kept "a root for packages of PostgreSQL $1" sg_make_package_root \
		"${SG_SUITE_OF[$1]}" "$1" "$SG_PACKAGE_ROOT"
}

# sg_on_server MAJOR SCRIPT ARGUMENT...: runs a script of this repository on a
# server of this major version: 15 here, the others in their roots.  The
# checkout, PostgreSQL's tests and the server SG_OLD_SERVER are visible there.
sg_on_server()
{
	local major=$1 script=$2
	shift 2

	if [ "$major" = 15 ]; then
		PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config "$SG_SOURCE/$script" "$@"
		return
	fi
	# users have other numbers there
	[ -z "${SG_CCACHE:-}" ] || mkdir -p "$SG_CCACHE/$major"
	NSROOT_BIND="$SG_SOURCE:/mnt${SG_PG_SOURCE:+ $SG_PG_SOURCE:/srv/postgresql}${SG_OLD_SERVER:+ $SG_OLD_SERVER:/srv/old}${SG_CCACHE:+ $SG_CCACHE/$major:/srv/ccache}" \
		sg_nsroot "$SG_CACHE/${SG_SUITE_OF[$major]}" \
		env PG_CONFIG="/usr/lib/postgresql/$major/bin/pg_config" \
		${SG_PG_SOURCE:+SG_PG_SOURCE=/srv/postgresql} ${SG_CCACHE:+SG_CCACHE=/srv/ccache} \
		"/mnt/$script" "$@"
}
