# arrange.awk - which files include which
#
# Part of safeguard-review, which puts it into awk; it knows bytes only (LC_ALL=C).
# Prints a finding for each file that includes itself.  For a rehearsal makes
# all.text, all files as one script, with all.stmts, and in all.map unit and
# line of each line; and prints a finding for each file that ends in the middle
# of a statement, which would swallow what follows.

function esc(s) { gsub(/\\/, "\\\\&", s); gsub(/\t/, "\\t", s); return s }
function found(u, where, rule, message) {
	print u "\t" where "\tF\terror\t" rule "\t\\N\t\\N\t\\N\t" message "\t\\N\t\\N"
}
function visit(u,    k, c) {
	state[u] = 1
	for (k = 1; k <= kids[u]; k++) {
		c = kid[u, k]
		if (!(c in state)) visit(c)
		else if (state[c] == 1) {
			cut[u, k] = 1
			found(u, place[u, k], "include", esc(name[c]) " includes itself")
		}
	}
	state[u] = 2
}
function out(u, n, s) { print s >(work "all.text"); print u "\t" n >(work "all.map"); lines++ }
function compose(u,    s, n, k, at, next_at, tail) {
	if (++composed > 10000) exit 1
	n = 0; k = 1
	next_at = (getline at <(work u ".stmts")) > 0
	while ((getline s <(work u ".text")) > 0) {
		out(u, ++n, s)
		for (; next_at && at + 0 == n; next_at = (getline at <(work u ".stmts")) > 0) {
			sub(/^[0-9]+/, lines, at); print at >(work "all.stmts")
		}
		for (; k <= kids[u] && place[u, k] + 0 == n; k++) if (!((u, k) in cut)) compose(kid[u, k])
	}
	if ((getline tail <(work u ".end")) > 0) {
		if (sub(/^broken\t/, "", tail)) {
			if (!(u in unfinished)) found(u, tail, "syntax", "the last statement does not end")
			unfinished[u] = 1
		} else out(u, n, ";")
	}
	close(work u ".stmts"); close(work u ".text"); close(work u ".end")
}
BEGIN {
	FS = " "
	work = ENVIRON["SG_WORK"] "/"
	while ((getline s <(work "names")) > 0) name[++units] = s
	while ((getline <(work "edges")) > 0) { kid[$1, ++kids[$1]] = $4; place[$1, kids[$1]] = $2 "\t" $3 }
	n = split(tops, top, " ")
	for (i = 1; i <= n; i++) if (!(top[i] in state)) visit(top[i])
	if (preview) {
		printf "" >(work "all.text"); printf "" >(work "all.map"); printf "" >(work "all.stmts")
		for (i = 1; i <= n; i++) compose(top[i])
	}
}
