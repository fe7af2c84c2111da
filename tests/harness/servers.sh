# Private servers for `make run` and `make test`: PostgreSQL and Mosquitto in a folder of their own, on
# loopback only. Sourced by both; nothing of the system's own servers is touched.
# shellcheck shell=bash

# PostgreSQL refuses to run as root: then it runs as the user that Debian's package makes.
as_database_user() {
	if [ "$(id -u)" = 0 ]; then
		runuser -u postgres -- "$@"
	else
		"$@"
	fi
}

postgresql_folder() {
	local folder
	folder=$(find /usr/lib/postgresql -maxdepth 1 -mindepth 1 -name '1[5-9]' | sort -V | tail -n 1)
	[ -n "$folder" ] || { echo "PostgreSQL 15 or later is not installed: make deps" >&2; return 1; }
	echo "$folder/bin"
}

# A port that nobody listens on now.
free_port() {
	local port
	for _ in $(seq 100); do
		port=$((20000 + RANDOM % 12000))
		port_is_free "$port" && { echo "$port"; return; }
	done
	echo "no free port was found" >&2
	return 1
}

port_is_free() {
	! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Waits until a command succeeds, at most $1 seconds.
wait_until() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.1
	done
}

# start_postgresql FOLDER PORT: a cluster in FOLDER/postgresql, made if it is not there, with a database
# martlet for the user martlet. Its password is not asked for: it listens on loopback, in a private folder.
start_postgresql() {
	local folder=$1/postgresql port=$2 bin
	bin=$(postgresql_folder)
	mkdir -p "$folder" "$1/log"
	if [ "$(id -u)" = 0 ]; then
		chown postgres: "$folder" "$1/log"
		chmod o+x "$1"
	fi
	if [ ! -f "$folder/PG_VERSION" ]; then
		as_database_user "$bin/initdb" -D "$folder" -U martlet --auth=trust --encoding=UTF8 \
			--locale=C.UTF-8 >"$1/log/initdb.log" 2>&1 ||
			{ echo "initdb failed; see $1/log/initdb.log" >&2; return 1; }
	fi
	# A session may end while a database of its own is still in use: its own process id is told.
	as_database_user "$bin/pg_ctl" -D "$folder" -s -w -t 60 -l "$1/log/postgresql.log" \
		-o "-c listen_addresses=127.0.0.1 -p $port -c unix_socket_directories= \
			-c max_connections=100 ${POSTGRESQL_OPTIONS:-}" start >/dev/null ||
		{ echo "PostgreSQL does not start; see $1/log/postgresql.log" >&2; return 1; }
	"$bin/psql" -qAt -h 127.0.0.1 -p "$port" -U martlet -d postgres \
		-c "select 1 from pg_database where datname = 'martlet'" | grep -q 1 ||
		"$bin/createdb" -h 127.0.0.1 -p "$port" -U martlet martlet
}

postgresql_pid() {
	head -n 1 "$1/postgresql/postmaster.pid" 2>/dev/null
}

stop_postgresql() {
	local bin
	bin=$(postgresql_folder)
	[ -f "$1/postgresql/postmaster.pid" ] || return 0
	as_database_user "$bin/pg_ctl" -D "$1/postgresql" -s -m fast -w -t 30 stop >/dev/null 2>&1 || true
}

# start_mosquitto FOLDER PORT: with the shipped configuration and a password made once.
start_mosquitto() {
	local folder=$1/mosquitto port=$2 etc
	etc=$(dirname "${BASH_SOURCE[0]}")/../../etc
	mkdir -p "$folder" "$1/log"
	if [ ! -f "$folder/password" ]; then
		(umask 077 && openssl rand -hex 24 >"$folder/password")
		(umask 077 && : >"$folder/users")
		mosquitto_passwd -b "$folder/users" bridge "$(cat "$folder/password")"
	fi
	{
		cat "$etc/mosquitto.conf"
		echo "listener $port 127.0.0.1"
		echo "password_file $folder/users"
		[ "$(id -u)" != 0 ] || echo "user root"
	} >"$folder/mosquitto.conf"
	setsid mosquitto -c "$folder/mosquitto.conf" >>"$1/log/mosquitto.log" 2>&1 &
	echo $! >"$folder/pid"
	wait_until 10 eval "! port_is_free $port" ||
		{ echo "Mosquitto does not start; see $1/log/mosquitto.log" >&2; return 1; }
}

# stop_pid FILE SECONDS: TERM, then KILL.
stop_pid() {
	local pid
	pid=$(cat "$1" 2>/dev/null) || return 0
	kill -TERM "$pid" 2>/dev/null || { rm -f "$1"; return 0; }
	wait_until "$2" eval "! kill -0 $pid" || kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	rm -f "$1"
}

stop_mosquitto() {
	stop_pid "$1/mosquitto/pid" 10
}

# make_keys FOLDER: a development signing key and a certificate for localhost, made once.
make_keys() {
	mkdir -p "$1/keys" "$1/tls"
	[ -f "$1/keys/development.secret" ] ||
		(umask 077 && openssl rand -out "$1/keys/development.secret" 48)
	[ -f "$1/tls/certificate.pem" ] ||
		(umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
			-days 825 -subj /CN=localhost -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' \
			-keyout "$1/tls/private_key.pem" -out "$1/tls/certificate.pem" 2>/dev/null)
}

# write_config FOLDER POSTGRESQL_PORT MOSQUITTO_PORT HTTP HTTPS WS WSS ADMIN: FOLDER/martlet.conf.
write_config() {
	local root
	root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
	cat >"$1/martlet.conf" <<END
# Written by the harness at each start; etc/martlet.conf explains the keys.
[node]
name = local
workers = 2

[websocket]
listen = 127.0.0.1:$6
tls_listen = 127.0.0.1:$7
certificate = tls/certificate.pem
private_key = tls/private_key.pem
origins = http://localhost:$4, https://localhost:$5, http://127.0.0.1:$4, https://127.0.0.1:$5

[http]
listen = 127.0.0.1:$4
tls_listen = 127.0.0.1:$5
web_root = $root/build/web

[admin]
listen = 127.0.0.1:$8

[auth]
keys = keys
development_sign_in = on

[mosquitto]
port = $3
user = bridge
password_file = mosquitto/password

[database]
connection = host=127.0.0.1 port=$2 user=martlet dbname=martlet
schema = $root/schema
END
}
