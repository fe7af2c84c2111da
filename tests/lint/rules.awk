# awk -f rules.awk tests/lint/rules SOURCE... - reports each line that a rule refuses. Exit status 1 if
# there was one.

function trim(text) {
	gsub(/^[ \t]+|[ \t]+$/, "", text)
	return text
}

# "sleep pthread_*" as one regular expression that finds them called.
function calls(names) {
	gsub(/\*/, "[A-Za-z0-9_]*", names)
	gsub(/ +/, "|", names)
	return "(^|[^A-Za-z0-9_])(" names ")[ ]*\\("
}

# Parts the line into code, text (the insides of strings) and comment.
function part(line, i, c) {
	code = text = comment = ""
	in_string = in_character = 0
	for (i = 1; i <= length(line); i++) {
		c = substr(line, i, 1)
		if (in_comment) {
			comment = comment c
			if (c == "*" && substr(line, i + 1, 1) == "/") {
				in_comment = 0
				i++
			}
		} else if ((in_string || in_character) && c == "\\") {
			text = text c substr(line, ++i, 1)
		} else if (in_string) {
			in_string = c != "\""
			text = text c
		} else if (in_character) {
			in_character = c != "'"
		} else if (c == "/" && substr(line, i + 1, 1) == "*") {
			in_comment = 1
			i++
		} else if (c == "/" && substr(line, i + 1, 1) == "/") {
			comment = comment substr(line, i + 2)
			break
		} else {
			in_string = c == "\""
			in_character = c == "'"
			code = code c
		}
	}
}

NR == FNR {
	if (/^#/ || !NF)
		next
	# A regular expression may hold the sign that parts the fields: " | " with its blanks parts.
	fields = split($0, field, / \| /)
	if (fields != 4) {
		printf "%s:%d: a rule has four fields\n", FILENAME, FNR
		exit refused = 1
	}
	kind[++rules] = trim(field[1])
	pattern[rules] = kind[rules] == "call" ? calls(trim(field[2])) : trim(field[2])
	allowed[rules] = trim(field[3])
	why[rules] = trim(field[4])
	next
}

FNR == 1 { in_comment = 0 }

/^[ \t]*#[ \t]*include/ { next }

{
	part($0)
	for (i = 1; i <= rules; i++) {
		subject = kind[i] == "call" ? code : kind[i] == "text" ? tolower(text) : comment
		if (subject ~ pattern[i] && (allowed[i] == "-" || FILENAME !~ allowed[i])) {
			match(subject, pattern[i])
			printf "%s:%d: %s: %s\n", FILENAME, FNR, trim(substr(subject, RSTART, RLENGTH)), why[i]
			refused = 1
		}
	}
}

END { exit refused }
