# shellcheck shell=bash
#
# npm.sh - the packages of test/tools/package-lock.json
#
# Sourced after lib.sh and chroot.sh, never run.

# Sets SG_MODULES to a folder with the packages.  They are installed into
# SAFEGUARD_CACHE once for each package-lock.json.
sg_npm_modules()
{
	local from=$SG_SOURCE/test/tools dir=$SG_CACHE/npm sum

	sum=$(cat "$from/package.json" "$from/package-lock.json" | sha256sum)
	mkdir -p "$dir"
	exec 9>"$dir.lock"
	flock 9
	if [ "$(cat "$dir/installed" 2>/dev/null)" != "$sum" ]; then
		rm -rf "$dir/node_modules" "$dir/installed"
		cp "$from/package.json" "$from/package-lock.json" "$dir/"
		# no package needs to run anything to be installed
		npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund \
			--cache "$SG_WORK/npm-cache" >"$SG_WORK/npm.out" 2>&1 9>&- ||
			{
				tail -n 20 "$SG_WORK/npm.out"
				return 1
			}
		echo "$sum" >"$dir/installed"
	fi
	exec 9>&-
	SG_MODULES=$dir/node_modules
}
