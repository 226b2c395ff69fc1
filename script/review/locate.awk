# locate.awk - from positions to lines and columns
#
# Part of safeguard-review, which puts it into awk; it knows bytes only (LC_ALL=C).
# Positions count characters of the text that was sent, or bytes where the
# server knows no characters.  What has none is where its statement begins.

function chars(s,    i, n, part) {	# in parts, since gsub is slow on long lines
	for (i = 1; i <= length(s); i += 1000) {
		part = substr(s, i, 1000)
		gsub(/[\200-\277]/, "", part)
		n += length(part)
	}
	return n + 0
}
function size(s) { return (encoding == "SQL_ASCII" || s !~ /[\200-\377]/ ? length(s) : chars(s)) + 1 }
function open(u,    s) {
	if (text != "") close(text)
	unit = u; text = work (u ? u : "all") ".text"
	split("", start); split("", map)
	while ((getline s <(work (u ? u : "all") ".stmts")) > 0) start[++start[0]] = s
	if (!u) while ((getline s <(work "all.map")) > 0) map[++map[0]] = s
	number = 0; before = ends = 0
}
function place(l, c) { return (unit ? unit "\t" l : map[l]) "\t" c }
BEGIN { FS = OFS = "\t"; work = ENVIRON["SG_WORK"] "/"; unit = "" }
{
	if ($1 != unit) open($1)
	if ($2 > 0) {
		while (ends < $2 && (getline line <text) > 0) { number++; before = ends; ends += size(line) }
		n = $2 - before - 1
		where = place(number, encoding == "SQL_ASCII" ? chars(substr(line, 1, n)) + 1 : n + 1)
	} else if ($6 in start) { split(start[$6], at); where = place(at[1], at[2]) }
	else where = place(1, 1)
	sub(/^[^\t]*\t[^\t]*/, "")
	print where $0
}
