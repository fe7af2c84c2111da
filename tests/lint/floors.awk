# awk -f floors.awk broker-bridge/FLOORS tests/lint/libraries SOURCE... - reports each include that FLOORS
# does not allow, and each that does not name its folder. Exit status 1 if there was one.

function refuse(why) {
	printf "%s:%d: %s\n", FILENAME, FNR, why
	refused = 1
}

# "broker-bridge/hub/hub.c" stands on hub, "broker-bridge/main.c" on main.
function floor_of(path, parts, count) {
	count = split(path, parts, "/")
	if (count > 2)
		return parts[count - 1]
	sub(/\.[ch]$/, "", parts[count])
	return parts[count]
}

function library_of(header, folder) {
	folder = header
	sub(/\/.*/, "/", folder)
	return header in library ? library[header] : library[folder]
}

function check(included, here, folder, name) {
	folder = included
	sub(/\/.*/, "", folder)
	if (folder in floors) {
		if (folder != here && !((here, folder) in may))
			refuse(here " may not include " folder)
		else if (included ~ /\/private\.h$/ && folder != here)
			refuse(included " is for " folder " alone")
		return
	}
	name = library_of(included)
	if (name == "")
		refuse("\"" included "\" is neither \"folder/room.h\" nor a header in tests/lint/libraries")
	else if (name != "libc" && name != "uthash" && !((here, name) in may))
		refuse(here " may not include " name " (" included ")")
}

FNR == 1 { file++ }
file < 3 && (/^#/ || !NF) { next }

file == 1 {
	floors[$1]
	for (i = 2; i <= NF; i++)
		may[$1, $i]
	next
}

file == 2 {
	for (i = 2; i <= NF; i++)
		library[$i] = $1
	next
}

FNR == 1 {
	here = floor_of(FILENAME)
	if (!(here in floors))
		refuse("the folder " here " has no line in FLOORS")
}

/^[ \t]*#[ \t]*include/ {
	match($0, /[<"][^>"]*/)
	check(substr($0, RSTART + 1, RLENGTH - 1), here)
}

END { exit refused }
