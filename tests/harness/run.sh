#!/bin/bash
# run.sh - Martlet on this machine with a PostgreSQL and a Mosquitto of its own: `make run`.
#
# PORT is the page by http; the three ports after it are the page by https, and the WebSocket without and with
# TLS. DATA is the folder that keeps everything; one run at a time has it. All addresses are loopback.
# INT or TERM stops all of it, in order, and keeps DATA.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly WORKERS=2
readonly READY_SECONDS=60

fail() {
	echo "martlet: $1" >&2
	exit 1
}

# shellcheck source=tests/harness/servers.sh
. tests/harness/servers.sh

PORT=${PORT:-8080}
DATA=${DATA:-data}

# ---- before anything starts ------------------------------------------------------------------------

check_ports() {
	local port
	if ! [[ $PORT =~ ^[1-9][0-9]{0,4}$ ]] || [ "$PORT" -gt 65532 ]; then
		fail "PORT=$PORT is no port from 1 to 65532"
	fi
	for port in $((PORT)) $((PORT + 1)) $((PORT + 2)) $((PORT + 3)); do
		! port_is_taken $port ||
			fail "port $port is taken; stop what listens there, or give four others: make run PORT=9080"
	done
}

# The lock goes with the last process that has it open: the servers too, should this shell be killed.
take_data() {
	mkdir -p "$DATA/log" || fail "can't make the folder $DATA; choose another with DATA="
	DATA=$(cd "$DATA" && pwd)
	exec 9>"$DATA/lock"
	flock -n 9 || fail "another \`make run\` has $DATA; stop it, or choose another with DATA="
}

make_certificate() {
	! openssl x509 -in "$DATA/certificate.pem" -noout -checkend 86400 >/dev/null 2>&1 || return 0
	(
		umask 077
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 365 \
			-subj '/CN=Martlet development' -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' \
			-keyout "$DATA/certificate.key" -out "$DATA/certificate.pem"
	) >"$DATA/log/openssl.log" 2>&1 ||
		fail "no certificate: $(tail -n 1 "$DATA/log/openssl.log")"
}

make_token_key() {
	mkdir -p "$DATA/keys"
	[ -s "$DATA/keys/development.secret" ] ||
		(umask 077 && head -c 32 /dev/urandom >"$DATA/keys/development.secret")
}

# ---- the three servers -----------------------------------------------------------------------------

configure() {
	admin_port=$(free_port)
	(
		umask 077
		fill martlet.conf DATA="$DATA" WORKERS=$WORKERS ADMIN="$admin_port" \
			HTTP="$PORT" HTTPS="$((PORT + 1))" WS="$((PORT + 2))" WSS="$((PORT + 3))" \
			WEB="$PWD/clients/web/dist" SCHEMA="$PWD/schema" \
			POSTGRESQL="$(<"$DATA/postgresql/address")" \
			MOSQUITTO="$(<"$DATA/mosquitto/address")" \
			PASSWORD="$(<"$DATA/mosquitto/password")" >"$DATA/martlet.conf"
	)
}

# A worker answers for itself, and a connection meets any of them.
all_ready() {
	local i
	for ((i = 0; i < 2 * WORKERS; i++)); do
		one_ready || return 1
	done
}

one_ready() (
	exec 3<>"/dev/tcp/127.0.0.1/$admin_port"
	printf 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
	read -rt 2 answer <&3
	[[ $answer == 'HTTP/1.1 200 '* ]]
)

start_martlet() {
	local log=$DATA/log/martlet.log
	build/release/martlet migrate -c "$DATA/martlet.conf" >>"$log" 2>&1 ||
		fail "the database can't be migrated: $(tail -n 1 "$log")"
	become_child TERM build/release/martlet serve -c "$DATA/martlet.conf" >>"$log" 2>&1 &
	martlet_pid=$!
	await $READY_SECONDS $martlet_pid all_ready ||
		fail "Martlet does not start; the end of $log: $(tail -n 3 "$log")"
}

stop_all() {
	trap '' INT TERM
	stop_process "${martlet_pid:-}" TERM
	stop_mosquitto
	stop_postgresql "$DATA/postgresql"
}

# Returns when one of them has ended, which none should.
watch() {
	local name
	wait -n $postgresql_pid $mosquitto_pid $martlet_pid || true
	for name in postgresql mosquitto martlet; do
		local pid=${name}_pid
		is_running "${!pid}" ||
			fail "$name has ended; the end of $DATA/log/$name.log: $(tail -n 3 "$DATA/log/$name.log")"
	done
}

take_data
check_ports
"${MAKE:-make}" -s -j"$(nproc)" all 9>&-
make_certificate
make_token_key

trap stop_all EXIT
trap 'echo "martlet: stopping"; exit 0' INT TERM
ln -sfn ../postgresql/log "$DATA/log/postgresql.log"
ln -sfn ../mosquitto/log "$DATA/log/mosquitto.log"
start_postgresql "$DATA/postgresql"
start_mosquitto "$DATA/mosquitto"
configure
start_martlet

echo "Everything it keeps is in $DATA; its logs are in $DATA/log."
echo "With TLS, by a certificate for development: https://localhost:$((PORT + 1))"
echo "Ctrl-C, or TERM to process $$, stops it and keeps the data."
echo "Martlet is ready: http://localhost:$PORT"
watch
