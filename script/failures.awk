# failures.awk - names what has failed, and how, in a few short lines
#
# usage: awk -f failures.awk [-v most=15] OUTPUT [regression.diffs...]
#
# OUTPUT is what a suite has printed: that of pg_regress, TAP tests, check-tree
# or of our own scripts.  Where one of them has used this before, its lines are
# handed on.

function cut(line)
{
	sub(/[ \t\r]+$/, "", line)
	return length(line) > 110 ? substr(line, 1, 107) "..." : line
}

function say(line)
{
	if (told++ < most)
		print "  ! " cut(line)
}

# lines of one failure are told together, up to so many of them
function begin(line)
{
	failures++
	size[failures] = 0
	add(line)
}

function add(line)
{
	lines[failures, ++size[failures]] = line
}

function name(test)
{
	if (!(test in named))
	{
		named[test] = 1
		names = names (names == "" ? "" : " ") test
		if (length(names) > 200)
			names = substr(names, 1, 197) "..."
	}
}

BEGIN { if (!most) most = 15 }

FNR == 1 { in_diffs = FILENAME ~ /regression\.diffs$/ }

# ---- differences, test by test

in_diffs && /^diff / {
	test = $NF
	sub(/.*\//, "", test)
	sub(/\.out$/, "", test)
	begin(test ":")
	next
}
# nor what says nothing: file names, empty lines, rules of tables
in_diffs && (/^(\+\+\+|---) / || /^[-+][-+ ]*$/) { next }
in_diffs && /^[-+]/ { add($0); next }
in_diffs { next }

# ---- a summary of an inner script

/^  ! / { inner[++ninner] = substr($0, 5); next }

# ---- names

/^(test +| +)?[a-z0-9_\/.-]+ +\.\.\. FAILED/ {
	sub(/ +\.\.\. FAILED.*/, "")
	sub(/^(test)? +/, "")
	name($0)
	next
}
/^not ok [0-9]+ +[-+] .* +[0-9]+ ms$/ { name($5); next }
/^t\/[^ ]+ +\(Wstat: / { name($1); next }

# ---- TAP: what is told of a failed test, and how a file has died

/^# +Failed test / {
	tap = 1
	sub(/^# +Failed test /, "")
	begin($0)
	follow = 6
	next
}
follow > 0 && /^# +at .* line [0-9]+\.$/ {
	sub(/^# +at /, "")
	sub(/\.$/, ": ")
	lines[failures, 1] = $0 lines[failures, 1]
	next
}
/^# Looks like you failed/ { follow = 0; next }
/^# (poll_query_until timed out|Looks like your test exited|Tests were run but no plan)/ {
	tap = 1
	if (died != "")
		begin(died)
	died = ""
	begin($0)
	follow = /^# poll/ ? 6 : 0
	next
}
follow > 0 && /^#/ {
	if ($0 !~ /^# *$/)
	{
		gsub(/ +/, " ")
		add("  " $0)
	}
	follow--
	next
}
/^[^#].* at [^ ]+ line [0-9]+\.?$/ { died = $0 }
/^(psql|pg_ctl|pg_regress|make).*[Ee]rror|^pg_ctl: could not|test process exited with/ { last_words = $0 }

# ---- our own scripts; the reason comes before, or after

/^not ok / {
	own[++nown] = $0
	own_before[nown] = before == "" ? "" : "    " before
	own_follow = $0 ~ /^not ok [0-9]/ ? 3 : 0
	before = ""
	next
}
own_follow > 0 && /^#/ { own_after[nown, own_follow--] = $0; next }
/^ok|^$|^---- / { before = ""; next }
{ follow = 0; before = /^#/ ? "" : $0; tail[++ntail] = $0 }

END {
	if (ninner > 0)
	{
		# some room for what else has failed
		for (i = 1; i <= ninner && (nown < 2 || i <= most - 3); i++)
			say(inner[i])
		names = ""
		failures = 0
	}
	if (names != "")
		say(names)
	if (last_words != "" && failures == 0)
		say(last_words)
	each = failures > 0 ? int((most - 1) / failures) : 0
	if (each < 3)
		each = 3
	for (i = 1; i <= failures; i++)
		for (j = 1; j <= size[i] && j <= each; j++)
			say(lines[i, j])
	for (i = 1; i <= nown && !tap; i++)
	{
		# a suite's own line, whose tests are told above
		if (ninner > 0 && own[i] ~ /: [0-9]+ passed, [0-9]+ failed/)
			continue
		say(own[i])
		if (own_before[i] != "")
			say(own_before[i])
		for (j = 3; j > 0; j--)
			if ((i, j) in own_after)
				say(own_after[i, j])
	}
	# it has ended without a word about tests
	if (told == 0)
		for (i = ntail > 8 ? ntail - 7 : 1; i <= ntail; i++)
			say(tail[i])
}
