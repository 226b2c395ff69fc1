# arrange.awk - which files include which
#
# Part of safeguard-review, which puts it into awk; it knows bytes only (LC_ALL=C).
# Prints a finding for each file that includes itself.  For a rehearsal makes
# all.text, all files as one script, with all.stmts, and in all.map unit and
# line of each line.

function esc(s) { gsub(/\\/, "\\\\&", s); gsub(/\t/, "\\t", s); return s }
function visit(u,    k, c) {
	state[u] = 1
	for (k = 1; k <= kids[u]; k++) {
		c = kid[u, k]
		if (!(c in state)) visit(c)
		else if (state[c] == 1) {
			cut[u, k] = 1
			print u "\t" place[u, k] "\tF\terror\tinclude\t\\N\t\\N\t\\N\t" esc(name[c]) " includes itself\t\\N\t\\N"
		}
	}
	state[u] = 2
}
function out(u, n, s) { print s >(work "all.text"); print u "\t" n >(work "all.map"); lines++ }
function compose(u,    s, n, k, at, next_at, tail) {
	if (++composed > 10000) { print "too many includes" >(work "broken"); exit }
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
		if (tail == "broken") { print name[u] ": the last statement does not end" >(work "broken"); exit }
		out(u, n, ";")
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
