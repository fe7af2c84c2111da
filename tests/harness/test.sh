#!/bin/bash
# test.sh SUITE... - builds and runs the tests of the suites named, and counts.
#
#   unit store link front web system browser
#
# T=text runs only the files with that text in their path. PostgreSQL and Mosquitto are private to this run and
# lie with all else in one temporary folder, which goes away with it. The tests find them by
#
#   MARTLET_TEST_FOLDER      that folder
#   MARTLET_TEST_POSTGRESQL  a libpq connection string; a new, empty database for each test program
#   MARTLET_TEST_MOSQUITTO   the port on 127.0.0.1; user martlet, password MARTLET_TEST_PASSWORD
#   MARTLET_BINARY           the bridge
#
# The last line is `N passed, N failed`; the exit status is 0 only if something ran and nothing failed.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly PROGRAM_SECONDS=120
readonly NODE_SECONDS=900
readonly NODE_FOLDER=clients/web
readonly AT_ONCE=2

fail() {
	echo "martlet: $1" >&2
	exit 1
}

# shellcheck source=tests/harness/servers.sh
. tests/harness/servers.sh

# ---- counting --------------------------------------------------------------------------------------

# count NAME STATUS PASSED FAILED LOG - one line a file; what a failed one said is shown
count() {
	local passed=$3 failed=$4 verdict=ok
	# It ended badly without saying so: a crash, a sanitizer, a timeout, or nothing to run.
	if [ "$failed" = 0 ] && { [ "$2" != 0 ] || [ "$passed" = 0 ]; }; then
		failed=1
	fi
	[ "$failed" = 0 ] || verdict=FAILED
	{
		printf '%-7s %s (%d passed, %d failed' "$verdict" "$1" "$passed" "$failed"
		if [ "$2" = 124 ]; then
			printf ', took too long'
		fi
		echo ')'
		[ "$verdict" = ok ] || grep -v '^ok ' "$5" || true
	} >"$5.told"
	cat "$5.told"
	echo "$passed $failed" >>"$folder/counts"
}

count_lines() {
	grep -c "$2" "$1" || true
}

# bounded SECONDS COMMAND... - ends with its time, and with this shell
bounded() {
	setpriv --pdeathsig TERM timeout -k 5 "$@" </dev/null
}

# A shell runs its traps while it waits for a background job, but not while a command is in front.
patiently() {
	"$@" &
	wait $!
}

# ---- C ---------------------------------------------------------------------------------------------

# One test program, under a deadline; cmocka speaks TAP.
run_program() {
	local name=${1#tests/} log status=0
	log=$folder/log/${name//\//_}
	bounded $PROGRAM_SECONDS env CMOCKA_MESSAGE_OUTPUT=TAP "build/test/${1%.c}" \
		>"$log" 2>&1 || status=$?
	count "$name" $status "$(count_lines "$log" '^ok ')" "$(count_lines "$log" '^not ok ')" "$log"
}

# The sources of a suite that T picks.
pick() {
	local source
	for source in "$@"; do
		[ ! -e "$source" ] || [[ $source != *"${T:-}"* ]] || echo "$source"
	done
}

# build_programs SOURCE... - all that can be built; the others show up as failed
build_programs() {
	local status=0
	"${MAKE:-make}" -k -j"$AT_ONCE" VARIANT=test BUILD=build TESTS="$*" test-programs || status=$?
	[ $status = 0 ] || echo "0 1" >>"$folder/counts"
}

run_together() {
	local source running=0
	for source in "$@"; do
		run_program "$source" &
		running=$((running + 1))
		[ $running -lt $AT_ONCE ] || wait -n || true
	done
	wait
}

run_unit() {
	run_together "$@"
}

run_store() {
	local source
	need_postgresql
	for source in "$@"; do
		use_new_database
		patiently run_program "$source"
	done
}

run_link() {
	local source
	need_mosquitto
	for source in "$@"; do
		patiently run_program "$source"
	done
}

run_front() {
	run_together "$@"
}

# ---- node ------------------------------------------------------------------------------------------

# run_node NAME COMMAND... - something that ends as node:test does; shown while it runs
run_node() {
	local log=$folder/log/$1 status=0
	patiently shown "$log" "${@:2}" || status=$?
	count "$1" "$status" "$(sum_node "$log" pass)" "$(sum_node "$log" 'fail|cancelled')" /dev/null
}

shown() {
	bounded $NODE_SECONDS "${@:2}" 2>&1 | tee "$1"
}

sum_node() {
	awk -v what="^(#|ℹ) ($2) [0-9]+\$" '$0 ~ what { sum += $3 } END { print sum + 0 }' "$1"
}

run_web() {
	run_node web npm --prefix $NODE_FOLDER test
}

run_system() {
	need_servers
	run_node system node --test --test-concurrency=1 "$@"
}

run_browser() {
	need_servers
	run_node browser node --test --test-concurrency=1 "$@"
}

# ---- servers ---------------------------------------------------------------------------------------

need_postgresql() {
	[ -z "${postgresql_pid:-}" ] || return 0
	start_postgresql "$folder/postgresql"
}

need_mosquitto() {
	[ -z "${mosquitto_pid:-}" ] || return 0
	start_mosquitto "$folder/mosquitto"
	MARTLET_TEST_MOSQUITTO=$(<"$folder/mosquitto/address")
	MARTLET_TEST_PASSWORD=$(<"$folder/mosquitto/password")
	export MARTLET_TEST_MOSQUITTO MARTLET_TEST_PASSWORD
}

need_servers() {
	need_postgresql
	need_mosquitto
	use_new_database
}

databases=0
use_new_database() {
	databases=$((databases + 1))
	create_database "$folder/postgresql" "test_$databases"
	MARTLET_TEST_POSTGRESQL=$(sed "s/dbname=.*/dbname=test_$databases/" "$folder/postgresql/address")
	export MARTLET_TEST_POSTGRESQL
}

# ---- the run ---------------------------------------------------------------------------------------

leave_nothing() {
	local job
	for job in $(jobs -pr); do
		[ "$job" = "${postgresql_pid:-}" ] || [ "$job" = "${mosquitto_pid:-}" ] || kill "$job"
	done
	stop_mosquitto
	[ ! -e "$folder/postgresql" ] || stop_postgresql "$folder/postgresql"
	rm -rf "$folder"
}

sources_of() {
	case $1 in
	unit) pick tests/unit/*/*_test.c ;;
	store | link | front) pick tests/"$1"/*_test.c ;;
	web) [ -n "${T:-}" ] || pick $NODE_FOLDER/package.json ;;
	system | browser) pick tests/"$1"/*.test.*ts tests/"$1"/*.test.*js ;;
	*) fail "there is no suite $1" ;;
	esac
}

# Last thing said; the exit status says the same.
tell() {
	local passed failed
	read -r passed failed <<<"$(awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }' "$folder/counts")"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}

folder=$(mktemp -d /tmp/martlet-test-XXXXXX)
export MARTLET_TEST_FOLDER=$folder MARTLET_BINARY=$PWD/build/release/martlet
export PATH=$PWD/$NODE_FOLDER/node_modules/.bin:$PATH
trap leave_nothing EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 755 "$folder"
mkdir "$folder/log"
touch "$folder/counts"

declare -A sources
programs=()
for suite in "$@"; do
	sources[$suite]=$(sources_of "$suite")
	mapfile -t -O ${#programs[@]} programs < <(grep '_test\.c$' <<<"${sources[$suite]}")
done
[ ${#programs[@]} = 0 ] || build_programs "${programs[@]}"
for suite in "$@"; do
	[ -n "${sources[$suite]}" ] || continue
	echo "-- $suite"
	mapfile -t files <<<"${sources[$suite]}"
	"run_$suite" "${files[@]}"
done
tell
