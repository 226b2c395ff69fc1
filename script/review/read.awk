# read.awk - reads a file of SQL as psql would
#
# Part of safeguard-review, which puts it into awk; it knows bytes only (LC_ALL=C).
# Takes $SG_UNIT.raw and leaves .text, .stmts, .notes and .inc; .invalid has the
# number of a line that is not UTF-8, .end tells of a statement without an end.
# What means nothing is skipped up to the next special character, in pieces,
# since a line can be as long as a file.

function put(from, to, mark) {	# overwrite; bytes keep their places, see finish()
	marked[nr] = 1
	text[nr] = substr(text[nr], 1, from - 1) mark substr(text[nr], to + 1)
}
function marks(s) { gsub(/[\200-\277]/, "\002", s); gsub(/[^\002\r\t]/, "\001", s); return s }
function blank(from, to) { put(from, to, marks(substr(line, from, to - from + 1))) }
function column(at,    s, n) {
	if (at < col_at) { col_at = 1; col = 1 }
	for (; col_at < at; col_at += n) {
		n = at - col_at < 1000 ? at - col_at : 1000
		s = substr(line, col_at, n)
		gsub(/[\200-\277]/, "", s)
		col += length(s)
	}
	return col
}
function utf8(s,    i, n, part) {	# in parts, since gsub is slow on long lines
	for (i = 1; i <= length(s); i += n) {
		n = 1000
		while (substr(s, i + n, 1) ~ /[\200-\277]/ && n < 1004) n++
		part = substr(s, i, n)
		gsub(character, "", part)
		if (part ~ /[\200-\377]/) return 0
	}
	return 1
}
function note(l, c, message) { print l "\t" c "\t" message >notes }
function esc(s) { gsub(/\\/, "\\\\&", s); gsub(/\t/, "\\t", s); gsub(/\r/, "\\r", s); return s }
function begin(at) {
	if (started) return
	started = 1; start_line = nr; start_at = at; start_col = column(at)
}
# what parts the words of a statement decide: the end of a routine body,
# data that follow, a transaction
function words(s,    n, i, w, list) {
	if (n_words >= 5 && word[1] != "create" && word[1] != "copy") return
	n = split(tolower(s), list, /[^a-z0-9_$\200-\377]+/)
	for (i = 1; i <= n; i++) {
		if ((w = list[i]) == "") continue
		if (n_words < 5) word[++n_words] = w
		if (paren) continue
		if (word[1] == "copy" && last == "from" && w ~ /^std(in|out)$/) data = 1
		if (word[1] == "create" && (word[2] ~ /^(function|procedure)$/ ||
			word[2] == "or" && word[4] ~ /^(function|procedure)$/)) {
			if (w == "begin" || w == "case" && body) body++
			else if (w == "end" && body) body--
		}
		last = w
	}
}
function transaction(    s) {
	if (special || n_words > 2) return 0
	s = word[1] (n_words > 1 ? " " word[2] : "")
	return s ~ /^(begin|commit|end)( work| transaction)?$/ || s == "start transaction"
}
function unjudged(what) {
	if (reason == "") { reason = what; reason_line = nr; reason_col = column(at) }
	special = 1
}
function finish(to,    l, left) {	# the statement ends at byte to of this line
	if (started && reason == "" && preview && transaction()) {
		reason = toupper(word[1]) " is left out: a rehearsal is one transaction, rolled back at its end"
		reason_line = start_line; reason_col = start_col
	} else if (reason != "")
		reason = "statement is not judged: " reason
	if (started && reason == "")
		print start_line "\t" start_col >stmts
	else if (started) {
		note(reason_line, reason_col, esc(reason))
		for (l = start_line; l < nr; l++) {
			left = l == start_line ? substr(text[l], 1, start_at - 1) : ""
			marked[l] = 1
			text[l] = left marks(substr(text[l], length(left) + 1))
		}
		if (to) blank(start_line == nr ? start_at : 1, to)
	}
	if (data) copies++
	started = n_words = paren = bracket = body = data = special = 0
	reason = last = ""
	split("", word)
}
function variable(name, s, given) {
	# what could be an array slice or a JSON object is that, unless it is set
	given = name; gsub(/[:{}?\047"]/, "", given)
	if (!(given in known) && (bracket || paren && (paren in json))) return 0
	begin(at)
	unjudged("it has the psql variable " name)
	return 1
}
function argument(s,    out, c) {	# the first argument of a command, or "" where it is no plain name
	sub(/^[ \t]+/, "", s)
	out = ""
	while (s != "" && (c = substr(s, 1, 1)) !~ /[ \t\r]/) {
		if (c == "\140" || c == ":" && s ~ /^:[A-Za-z0-9_\047"{\200-\377]/) return ""
		s = substr(s, 2)
		if (c != "\047") { out = out c; continue }
		while (s != "") {
			c = substr(s, 1, 1); s = substr(s, 2)
			if (c == "\\") { c = substr(s, 1, 1); s = substr(s, 2) }
			else if (c == "\047" && substr(s, 1, 1) == c) s = substr(s, 2)
			else if (c == "\047") break
			out = out c
		}
	}
	return out
}
function command(    c, name, from, to, args, file) {
	c = substr(line, at + 1, 1)
	if (c == ";" || c == ":") {	# the character itself
		blank(at, at); at += 2
		if (c == ";") finish(at - 1)
		return
	}
	match(substr(line, at + 1, 64), /^[^ \t\r\\]*/)
	name = substr(line, at + 1, RLENGTH)
	from = to = at + 1 + length(name)
	args = substr(line, from)
	if (name ~ /^(copy|h|help|ef|ev|sf\+?|sv\+?|!.*)$/ || name ~ /^(g|gx|o|out|w|write)$/ && args ~ /^[ \t]*\|/)
		to = length(line) + 1
	else	# arguments end at the next backslash outside quotes
		while (match(args, /[\\\047"\140]/)) {
			to += RSTART - 1; c = substr(args, RSTART, 1); args = substr(args, RSTART)
			if (c == "\\") break
			if (!match(args, c == "\047" ? "^\047([^\047\\\\]|\\\\.)*\047" : "^" c "[^" c "]*" c)) {
				args = ""
				break
			}
			to += RLENGTH; args = substr(args, RLENGTH + 1)
		}
	if (c != "\\" || args == "") to = length(line) + 1
	args = substr(line, from, to - from)
	blank(at, to - 1)
	if (name ~ /^(i|include|ir|include_relative)$/) {
		if (started) note(nr, column(at), esc("\\" name " inside a statement is not followed"))
		else if ((file = argument(args)) == "") note(nr, column(at), esc("\\" name args " is not followed: its name is not plain"))
		else print nr "\t" column(at) "\t" (name ~ /r/ ? "ir" : "i") "\t" file >inc
	} else if (name == "copy") {
		note(nr, column(at), "\\\\copy is not judged")
		if (tolower(args) ~ /[ \t)]from[ \t]+stdin([ \t\r;]|$)/) copies++
	} else if (name == "gexec") note(nr, column(at), "what \\\\gexec executes is not judged")
	else if (name == "if") note(nr, column(at), "\\\\if is not decided: all branches are judged")
	else if (name ~ /^(c|connect)$/) note(nr, column(at), "\\\\" name " is not followed: what comes next is judged in the same database")
	else if (name ~ /^(q|quit)$/) note(nr, column(at), "\\\\" name " does not end the review: what comes next is judged too")
	else if (name == "set") { file = argument(args); if (file != "") known[file] = 1 }
	else if (name != "" && name !~ harmless)
		note(nr, column(at), esc("\\" name " is skipped"))
	if (name ~ /^(g|gx|gexec|gset|gdesc|crosstabview|watch|parse|sendpipeline)$/ && started) {
		put(at, at, ";")
		finish(at)
	}
	at = to
	if (substr(line, at, 2) == "\\\\") { blank(at, at + 1); at += 2 }
}
function statement(    w, n, c, p, two) {	# outside quotes, up to the next special character and over it
	w = substr(line, at, 400)
	if (match(w, /[][\047"$\\;:\/()-]/)) n = RSTART - 1
	else if (length(w) < 400 || !match(w, /[ \t][^ \t]*$/)) n = length(w)
	else n = RSTART
	if (n) {
		w = substr(w, 1, n)
		if (match(w, /[^ \t\r\f\v]/)) { begin(at + RSTART - 1); words(w) }
		at += n
		return
	}
	c = substr(w, 1, 1); two = substr(w, 1, 2)
	p = at > 1 ? substr(line, at - 1, 1) : " "
	if (two == "--") {
		n = index(substr(line, at), "\r")
		at = n ? at + n : length(line) + 1
		return
	}
	if (two == "/*") { state = two; depth = 1; comment = nr "\t" column(at); at += 2; return }
	if (c == "\\") { command(); return }
	if (c == ";") {
		at++
		if (!paren && !body) finish(at - 1)
		return
	}
	if (c == ":" && two != "::" && two != ":=") {
		if (match(w, psql_variable) && variable(substr(w, 1, RLENGTH))) {
			at += RLENGTH
			return
		}
	}
	begin(at)
	special = 1
	if (c == "(") {
		paren++
		delete json[paren]
		w = tolower(substr(line, at > 20 ? at - 20 : 1, at > 20 ? 20 : at - 1))
		if (w ~ /json_object(agg)?[ \t]*$/) json[paren] = 1
	}
	else if (c == ")") { if (paren) paren-- }
	else if (c == "[") bracket++
	else if (c == "]") { if (bracket) bracket-- }
	else if (c == "\047") state = p ~ /[eE]/ && (at < 3 || substr(line, at - 2, 1) !~ /[A-Za-z0-9_$\200-\377]/) ? "e" : c
	else if (c == "\"") state = c
	else if (c == "$" && p !~ /[A-Za-z0-9_$\200-\377]/) {
		if (match(w, /^\$([A-Za-z_\200-\377][A-Za-z0-9_\200-\377]*)?\$/)) {
			state = "$"; tag = substr(w, 1, RLENGTH); at += RLENGTH
			return
		}
		if (match(w, /^[$][{][^}]*[}]/)) unjudged("it has the placeholder " substr(w, 1, RLENGTH))
	} else if (two == "::" || two == ":=") at++
	at++
}
function quoted(    w, n) {	# inside quotes or a comment
	w = substr(line, at, 400)
	if (state == "$") {
		n = index(w, tag)
		if (n) { at += n - 1 + length(tag); state = "" }
		else at += length(w) < 400 ? length(w) : 400 - length(tag) + 1
	} else if (state == "/*") {
		if (!match(w, /\*\/|\/\*/)) { at += length(w) < 400 ? length(w) : 399; return }
		depth += substr(w, RSTART, 1) == "/" ? 1 : -1
		at += RSTART + 1
		if (!depth) state = ""
	} else if (match(w, state == "e" ? "[\047\\\\]" : state)) {
		at += RSTART
		if (substr(w, RSTART, 1) == "\\" || substr(line, at, 1) == substr(w, RSTART, 1)) at++
		else state = ""
	} else at += length(w)
}
BEGIN {
	FS = "\n"
	more = "[\200-\277]"
	character = "[\302-\337]" more "|\340[\240-\277]" more "|[\341-\354\356\357]" more more \
		"|\355[\200-\237]" more "|\360[\220-\277]" more more "|[\361-\363]" more more more \
		"|\364[\200-\217]" more more
	name = "[A-Za-z0-9_\200-\377]+"
	psql_variable = "^:(" name "|\047" name "\047|\"" name "\"|[{][?]" name "[}])"
	# commands that show something, or of which the review knows enough
	harmless = "^(g|gx|gset|gdesc|crosstabview|watch|bind|elif|else|endif|unset|getenv|setenv|prompt" \
		"|echo|qecho|warn|pset|timing|errverbose|conninfo|restrict|unrestrict|p|print|s|l|z|html|h|help" \
		"|s[fv][+]?|lo_list[+]?|[aCfHtTx]|d[^ ]*|\\\\)$"
	unit = ENVIRON["SG_UNIT"]
	notes = unit ".notes"; stmts = unit ".stmts"; inc = unit ".inc"
	n = split("DBNAME USER HOST PORT ENCODING VERSION ROW_COUNT ERROR SQLSTATE LAST_ERROR_MESSAGE" \
		" LAST_ERROR_SQLSTATE", list, " ")
	for (i = 1; i <= n; i++) known[list[i]] = 1
}
{
	nr = NR; line = $0; at = col_at = col = 1
	if (nr == 1) sub(/^\357\273\277/, "", line)
	if (line ~ /[\200-\377]/ && !utf8(line)) { print nr >(unit ".invalid"); invalid = 1; exit }
	if (in_data) {
		if (line ~ /^\\\.\r?$/) in_data--
		text[nr] = ""
		next
	}
	text[nr] = line
	while (at <= length(line)) if (state == "") statement(); else quoted()
	in_data = copies; copies = 0
}
END {
	if (invalid) exit
	if (started || state != "") print (state != "" || paren || body ? "broken" : "pending") "\t" (started ? start_line "\t" start_col : comment) >(unit ".end")
	line = text[nr]; at = length(line) + 1
	if (started) finish(length(line))
	for (i = 1; i <= nr; i++) {
		if (i in marked) { gsub(/\002/, "", text[i]); gsub(/\001/, " ", text[i]) }
		print text[i] >(unit ".text")
	}
}
