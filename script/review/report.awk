# report.awk - prints what was found
#
# Part of safeguard-review, which puts it into awk; it knows bytes only (LC_ALL=C).
# Exits with 1 when something is at the fail level.

function plain(s,    out, k, c) {	# out of COPY format
	out = ""
	while ((k = index(s, "\\")) > 0) {
		c = substr(s, k + 1, 1)
		out = out substr(s, 1, k - 1) (c in escape ? escape[c] : c)
		s = substr(s, k + 2)
	}
	return out s
}
function line(s) { s = plain(s); gsub(/[ \t\r]*\n[ \t\r]*/, " ", s); return s }
function indented(label, s) {
	if (s == "\\N" || s == "") return
	s = label plain(s)
	gsub(/\n/, "\n\t", s)
	print "\t" s
}
function swap(s, c, by,    n, out) {
	out = ""
	for (; (n = index(s, c)) > 0; s = substr(s, n + 1)) out = out substr(s, 1, n - 1) by
	return out s
}
function quote(s,    i) {
	gsub(/\\/, "\\\\&", s)
	gsub(/"/, "\\\\&", s)
	if (s ~ /[\001-\037]/) for (i = 1; i < 32; i++) s = swap(s, char[i], code[i])
	return "\"" s "\""
}
function text(s) { return s == "\\N" ? "null" : quote(plain(s)) }
function value(s) { return s == "\\N" || s == "" ? "null" : plain(s) }
function uri(s,    i, c, out) {
	out = s ~ /^\// ? "file://" : ""
	s = "/" s
	while (sub(/\/\.?\//, "/", s)) ;
	while (match(s, /\/([^.\/][^\/]*|\.[^.\/][^\/]*)\/\.\.\//))
		s = substr(s, 1, RSTART - 1) substr(s, RSTART + RLENGTH - 1)
	if (out == "") s = substr(s, 2)
	for (i = 1; i <= length(s); i++) {
		c = substr(s, i, 1)
		out = out (c ~ /[A-Za-z0-9._~\/-]/ ? c : hex[c])
	}
	return out
}
function utf8(s,    rest) {
	rest = s
	gsub(/[\302-\337][\200-\277]|[\340-\357][\200-\277][\200-\277]|[\360-\364][\200-\277][\200-\277][\200-\277]/, "", rest)
	if (rest ~ /[\200-\377]/) gsub(/[\200-\377]/, "?", s)
	return s
}
function place() { return "\"file\": " quote(utf8(name[$1])) ", \"line\": " $2 ", \"column\": " $3 ", " }
function item(list, s) { return list (list == "" ? "" : ",") "\n    " s }
function all(list, n,    i) { for (i = 1; i <= n; i++) printf "%s", (i > 1 ? "," : "") "\n    " list[i] }
function sarif(    message, region) {
	message = plain($10)
	if ($11 != "\\N") message = message "\n" plain($11)
	if ($12 != "\\N") message = message "\nHint: " plain($12)
	if (!($6 in rule)) {
		rule[$6] = n_rules++
		rules = item(rules, "{\"id\": " quote($6) ", \"shortDescription\": {\"text\": " quote(own[$6] == "" ? $6 : own[$6]) "}}")
	}
	return "{\"ruleId\": " quote($6) ", \"ruleIndex\": " rule[$6] ", \"level\": " quote(shown[$5]) \
		", \"message\": {\"text\": " quote(message) "}, \"locations\": [{\"physicalLocation\": {\"artifactLocation\": {\"uri\": " \
		quote(uri(name[$1])) (name[$1] ~ /^\// ? "" : ", \"uriBaseId\": \"%SRCROOT%\"") \
		"}, \"region\": {\"startLine\": " $2 ", \"startColumn\": " $3 "}}}]}"
}
BEGIN {
	FS = "\t"
	work = ENVIRON["SG_WORK"] "/"
	escape["b"] = "\b"; escape["f"] = "\f"; escape["n"] = "\n"; escape["r"] = "\r"; escape["t"] = "\t"; escape["v"] = "\v"
	for (i = 1; i < 256; i++) {
		s = sprintf("%c", i); hex[s] = sprintf("%%%02X", i)
		if (i < 32) { char[i] = s; code[i] = sprintf("\\u%04x", i) }
	}
	own["syntax"] = "a statement that does not parse"
	own["analyze"] = "a statement that does not go with the database"
	own["dynamic"] = "SQL that is put together at run time is not judged"
	own["preview"] = "a statement that fails in a rehearsal, or cannot be rehearsed"
	own["include"] = "a file that cannot be included"
	own["psql"] = "what belongs to psql is not judged"
	weight["error"] = 3; weight["warning"] = 2; weight["record"] = 1
	shown["error"] = "error"; shown["warning"] = "warning"; shown["record"] = "note"
	limit = ENVIRON["SG_FAIL"]; limit = limit in weight ? weight[limit] : 9
	while ((getline s <(work "names")) > 0) name[++units] = s
	while ((getline <(work "tool")) > 0)
		if ($1 == "V") version = plain($2)
		else {
			rule[$2] = n_rules++
			rules = item(rules, "{\"id\": " quote($2) ", \"shortDescription\": {\"text\": " text($4) \
				"}, \"defaultConfiguration\": {\"level\": " quote($3 in shown ? shown[$3] : "none") "}}")
		}
}
{
	where = name[$1] ":" $2 ":" $3 ": "
	if ($4 == "P") {
		if (format == "text" && $5 == "") {
			print where "info: preview: " line($8) ($9 == "\\N" ? "" : " " line($9)) \
				($10 == "\\N" ? "" : ", rows " $10) ($11 == "\\N" ? "" : ", source_rows " $11) ($12 == "\\N" ? "" : ", scope " line($12))
			if (verbose) { indented("LOCKS: ", $13); indented("ALL: ", $14) }
		}
		if (format != "text") steps[++n_steps] = "{" place() substr(plain($14), 2)
		next
	}
	if (!($5 in weight)) $5 = "record"
	if (weight[$5] >= limit) failed = 1
	if (format == "text") {
		print where shown[$5] ": " $6 ": " line($10) ($12 == "\\N" || verbose ? "" : " Hint: " line($12))
		if (verbose) { indented("DETAIL: ", $11); indented("HINT: ", $12) }
	} else if (format == "sarif")
		results[++n_results] = sarif()
	else
		results[++n_results] = "{" place() "\"statement\": " value($7) ", \"level\": " quote($5) ", \"rule\": " quote($6) \
			", \"relation\": " text($8) ", \"columns\": " value($9) ", \"message\": " text($10) ", \"detail\": " text($11) ", \"hint\": " text($12) "}"
}
END {
	if (format == "json") {
		printf "%s", "{\"safeguard\": " quote(version) ", \"complete\": " (ENVIRON["SG_TROUBLE"] ? "false" : "true") ",\n  \"findings\": ["
		all(results, n_results)
		printf "%s", "],\n  \"preview\": ["
		all(steps, n_steps)
		print "]}"
	} else if (format == "sarif") {
		printf "%s", "{\"$schema\": \"https://json.schemastore.org/sarif-2.1.0.json\", \"version\": \"2.1.0\", \"runs\": [{\n" \
			"  \"tool\": {\"driver\": {\"name\": \"safeguard\", \"version\": " quote(version) ", \"rules\": [" rules "]}},\n" \
			"  \"columnKind\": \"unicodeCodePoints\",\n" \
			"  \"invocations\": [{\"executionSuccessful\": " (ENVIRON["SG_TROUBLE"] ? "false" : "true") "}],\n" \
			"  \"properties\": {\"preview\": ["
		all(steps, n_steps)
		printf "%s", "]},\n  \"results\": ["
		all(results, n_results)
		print "]}]}"
	}
	exit failed
}
