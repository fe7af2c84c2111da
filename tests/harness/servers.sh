# shellcheck shell=bash
# servers.sh - a private PostgreSQL and a private Mosquitto, for `make run` and `make test`.
#
# Each server has one folder. It is prepared the first time and started as often as one likes. The
# caller's shell is the parent of both: start_postgresql and start_mosquitto set postgresql_pid and
# mosquitto_pid, and a server ends when its parent does, however that ended. Started again, a server is
# where it was before.
#
#   DIR/address    PostgreSQL: a libpq connection string; Mosquitto: its port on 127.0.0.1
#   DIR/password   Mosquitto's, for user `martlet`
#   DIR/pid        the server's process
#   DIR/log        what it said
#
# Needs bash with `set -euo pipefail`, and `fail MESSAGE` from its user.

TEMPLATES=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../etc/development" && pwd)
readonly TEMPLATES
readonly START_SECONDS=60
readonly STOP_SECONDS=20
PATH=$PATH:/usr/sbin

# ---- small things ----------------------------------------------------------------------------------

# port_is_taken PORT - does anything of this machine listen there?
port_is_taken() {
	awk -v port="$(printf ':%04X$' "$1")" \
		'$4 == "0A" && $2 ~ port { found = 1 } END { exit !found }' /proc/net/tcp*
}

# free_port - one that nobody listens on, below those that the system gives to clients
free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		port_is_taken $port || break
	done
	echo $port
}

random_hex() {
	od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'
}

# fill TEMPLATE NAME=VALUE... - the template with each @NAME@ replaced
fill() {
	local text pair
	text=$(<"$TEMPLATES/$1")
	for pair in "${@:2}"; do
		text=${text//"@${pair%%=*}@"/"${pair#*=}"}
	done
	printf '%s\n' "$text"
}

is_running() {
	[ -n "$1" ] && kill -0 "$1" 2>/dev/null
}

# await SECONDS PID COMMAND... - until the command succeeds; fails if the process ends or time is up
await() {
	local deadline=$((SECONDS + $1)) pid=$2
	until "${@:3}" >/dev/null 2>&1; do
		is_running "$pid" && [ $SECONDS -lt $deadline ] || return 1
		sleep 0.05
	done
}

# stop_process PID SIGNAL - asks, waits, and in the end insists
stop_process() {
	local deadline=$((SECONDS + STOP_SECONDS))
	is_running "$1" || return 0
	kill "-$2" "$1" 2>/dev/null || true
	kill -CONT "$1" 2>/dev/null || true
	while is_running "$1" && [ $SECONDS -lt $deadline ]; do
		sleep 0.05
	done
	kill -KILL "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

# become_child SIGNAL COMMAND... - the command in place of this (sub)shell: Ctrl-C at the terminal
# does not reach it, and it gets the signal when its parent is gone
become_child() {
	exec setsid setpriv --pdeathsig "$1" "${@:2}"
}

# ---- PostgreSQL ------------------------------------------------------------------------------------

# The programs of the newest version, or of the version that made the cluster in DIR.
postgresql_programs() {
	if [ -e "$1/cluster/PG_VERSION" ]; then
		echo "/usr/lib/postgresql/$(<"$1/cluster/PG_VERSION")/bin"
	else
		printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1
	fi
}

# become_postgresql DIR COMMAND... - PostgreSQL refuses to run as root, so root becomes `postgres`.
# Where that user may not enter the folders above DIR (a project in /root), a capability lets it in;
# no folder's mode is changed.
become_postgresql() {
	local user=()
	if [ "$(id -u)" = 0 ]; then
		user=(--reuid postgres --regid postgres --init-groups)
		setpriv "${user[@]}" test -x "$1" ||
			user+=(--inh-caps +dac_override --ambient-caps +dac_override)
	fi
	become_child INT setpriv "${user[@]}" --pdeathsig keep "${@:2}"
}

give_to_postgresql() {
	[ "$(id -u)" != 0 ] || chown postgres "$@"
}

# The whole name of a socket has 107 bytes at most: a long DIR gets a short folder for it elsewhere.
prepare_sockets() {
	local sockets=$1/sockets
	if [ ${#sockets} -gt 80 ]; then
		sockets=$(mktemp -d /tmp/martlet-XXXXXX)
	else
		mkdir -p "$sockets"
	fi
	chmod 700 "$sockets"
	give_to_postgresql "$sockets"
	echo "host=$sockets user=martlet dbname=martlet" >"$1/address"
	fill postgresql.conf DIR="$1" SOCKETS="$sockets" >"$1/postgresql.conf"
	give_to_postgresql "$1/postgresql.conf"
}

# prepare_cluster DIR PROGRAMS
prepare_cluster() {
	mkdir -p "$1"
	give_to_postgresql "$1"
	[ ! -e "$1/cluster/PG_VERSION" ] || return 0
	rm -rf "$1/cluster"
	(become_postgresql "$1" "$2/initdb" --pgdata="$1/cluster" --username=martlet \
		--auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-instructions) >"$1/log" 2>&1 || {
		rm -rf "$1/cluster"
		fail "no PostgreSQL cluster in $1 ($(tail -n 1 "$1/log")); another folder may do"
	}
}

# start_postgresql DIR - returns when it answers and has the database `martlet`
start_postgresql() {
	local programs
	programs=$(postgresql_programs "$1")
	[ -x "$programs/postgres" ] || fail "there is no $programs/postgres for $1; try \`make deps\`"
	prepare_cluster "$1" "$programs"
	prepare_sockets "$1"
	become_postgresql "$1" "$programs/postgres" -D "$1/cluster" \
		-c "config_file=$1/postgresql.conf" -c "hba_file=$1/cluster/pg_hba.conf" >>"$1/log" 2>&1 &
	postgresql_pid=$!
	await $START_SECONDS $postgresql_pid "$programs/pg_isready" -d "$(<"$1/address")" ||
		fail "PostgreSQL does not start: $(tail -n 2 "$1/log")"
	create_database "$1" martlet
}

# create_database DIR NAME - unless it is there
create_database() {
	local answer
	answer=$(psql -qAt "$(<"$1/address") dbname=postgres" \
		-c "select 1 from pg_database where datname = '$2'")
	[ -n "$answer" ] || psql -q "$(<"$1/address") dbname=postgres" -c "create database $2"
}

stop_postgresql() {
	local sockets
	stop_process "${postgresql_pid:-}" INT
	postgresql_pid=
	[ -e "$1/address" ] || return 0
	sockets=$(sed 's/^host=//; s/ user=.*//' "$1/address")
	case $sockets in /tmp/martlet-??????) rm -rf "$sockets" ;; esac
}

# ---- Mosquitto -------------------------------------------------------------------------------------

prepare_mosquitto() {
	local dir=$1
	mkdir -p "$dir"
	if [ ! -e "$dir/password" ]; then
		(umask 077 && random_hex 16 >"$dir/password")
	fi
	(umask 077 && echo "martlet:$(<"$dir/password")" >"$dir/passwords")
	mosquitto_passwd -U "$dir/passwords"
}

# start_mosquitto DIR - returns when it listens: where it did the last time, if nobody else does now
start_mosquitto() {
	local port=0 attempt
	command -v mosquitto >/dev/null || fail "there is no mosquitto; try \`make deps\`"
	prepare_mosquitto "$1"
	[ ! -e "$1/address" ] || port=$(<"$1/address")
	for attempt in 1 2 3 4 5; do
		if [ "$port" = 0 ] || port_is_taken "$port"; then
			port=$(free_port)
		fi
		fill mosquitto.conf DIR="$1" PORT="$port" USER="$(id -un)" >"$1/mosquitto.conf"
		become_child TERM mosquitto -c "$1/mosquitto.conf" >>"$1/log" 2>&1 &
		mosquitto_pid=$!
		if await $START_SECONDS $mosquitto_pid port_is_taken "$port"; then
			echo "$port" >"$1/address"
			return
		fi
	done
	fail "Mosquitto does not start, $attempt times: $(tail -n 2 "$1/log")"
}

stop_mosquitto() {
	stop_process "${mosquitto_pid:-}" TERM
	mosquitto_pid=
}
