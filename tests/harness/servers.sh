# Private servers for `make run`, `make test` and `make bench`: PostgreSQL and Mosquitto in a folder of their
# own, on loopback only. Sourced by them; nothing of the system's own servers is touched.
#
# Each server is a child of the script that sources this, in a session of its own, so that Ctrl-C reaches the
# script alone, which then ends them in order. The kernel ends them when the script is killed.
# shellcheck shell=bash

# Debian has servers where the PATH of users does not look.
PATH=$PATH:/usr/sbin:/sbin
build=$(realpath -m "${BUILD:-build}")

# complain WORDS...: the one line that says what is wrong.
complain() {
	echo "$*" >&2
	return 1
}

# hold_ports COUNT: sets ports to that many free ones, this script's for as long as it or a server lives.
hold_ports() {
	local held
	exec {held}< <("$build/harness/ports" "$1")
	# shellcheck disable=SC2034
	read -r ports <&"$held" || complain "no free ports were found"
}

port_is_taken() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Waits until a command succeeds, at most $1 seconds.
wait_until() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.05
	done
}

# wait_for_start PID SECONDS COMMAND...: until the command succeeds; no longer than the process lives.
wait_for_start() {
	local pid=$1 seconds=$2
	shift 2
	wait_until "$seconds" succeeds_or_dead "$pid" "$@" && is_alive "$pid"
}

succeeds_or_dead() {
	local pid=$1
	shift
	"$@" || ! is_alive "$pid"
}

# Neither gone nor a zombie.
is_alive() {
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" && [[ $stat =~ \)\ [^ZX]\  ]]
}

# belongs PID NAME PATH: this is the program NAME that works in PATH or was given it. A number in a file of
# yesterday may be a stranger's today.
belongs() {
	[[ $1 =~ ^[0-9]+$ ]] || return 1
	[ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ] || return 1
	[ "$(readlink "/proc/$1/cwd" 2>/dev/null)" = "$3" ] ||
		grep -qzxF -- "$3" "/proc/$1/cmdline" 2>/dev/null
}

pid_in() {
	head -n 1 "$1" 2>/dev/null || true
}

is_gone() {
	! belongs "$@"
}

# stop_server FILE NAME PATH SIGNAL SECONDS: the process whose number stands in FILE, if it is the one that
# belongs there; KILL when it takes longer.
stop_server() {
	local pid
	pid=$(pid_in "$1")
	belongs "$pid" "$2" "$3" || return 0
	kill "-$4" "$pid" 2>/dev/null || true
	wait_until "$5" is_gone "$pid" "$2" "$3" || kill -KILL "$pid" 2>/dev/null || true
}

# start_server SIGNAL LOG COMMAND...: sets server_pid. SIGNAL comes when the script is gone.
start_server() {
	local signal=$1 log=$2
	shift 2
	setsid setpriv --pdeathsig "$signal" "$@" >>"$log" 2>&1 </dev/null &
	server_pid=$!
}

# Ends what is still a child of this script: a server that was stopped before it had become one, say.
end_children() {
	local pid
	for pid in $(jobs -p); do
		kill -TERM "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}

# ---- PostgreSQL -------------------------------------------------------------------------------------

postgresql_programs() {
	local folder
	folder=$(find /usr/lib/postgresql -maxdepth 1 -mindepth 1 -name '1[5-9]' 2>/dev/null | sort -V | tail -n 1)
	[ -n "$folder" ] || complain "PostgreSQL 15 or later is not installed: make deps" || return 1
	echo "$folder/bin"
}

# PostgreSQL refuses to run as root: then it runs as the user that Debian's package makes. The signal is lost
# with root's rights, so setpriv asks for it after them.
database_user() {
	[ "$(id -u)" != 0 ] || echo "--reuid=postgres --regid=postgres --init-groups"
}

# cluster_path FOLDER: how PostgreSQL's user reaches the cluster. Under a folder that is closed to it, as
# root's home is, it comes in by descriptor 8, which root has opened.
cluster_path() {
	# shellcheck disable=SC2046
	if setpriv $(database_user) test -x "$1" 2>/dev/null; then echo "$1"; else echo /proc/self/fd/8; fi
}

# start_postgresql FOLDER PORT: a cluster in FOLDER/postgresql, made if it is not there, with a database
# martlet for the user martlet. Its password is not asked for: it listens on loopback, in a private folder.
start_postgresql() {
	local folder=$1/postgresql log=$1/log/postgresql.log port=$2 bin path as
	bin=$(postgresql_programs) || return 1
	mkdir -p "$folder" "$1/log" || return 1
	if [ "$(id -u)" = 0 ] && ! chown postgres: "$folder" 2>/dev/null; then
		complain "$folder can't be given to the user postgres, and PostgreSQL does not run as root" ||
			return 1
	fi
	forget_strangers "$folder" || return 1
	read -r -a as <<<"$(database_user)"
	path=$(cluster_path "$folder")
	exec 8<"$folder"
	[ -f "$folder/PG_VERSION" ] || make_cluster "$path" "$1/log/initdb.log" || return 1
	# Not from a folder that its user can't see.
	cd / || return 1
	# shellcheck disable=SC2086
	start_server INT "$log" "${as[@]}" "$bin/postgres" -D "$path" -c listen_addresses=127.0.0.1 \
		-p "$port" -c unix_socket_directories= -c max_connections=100 ${POSTGRESQL_OPTIONS:-}
	cd "$OLDPWD" || return 1
	exec 8<&-
	wait_for_start "$server_pid" 60 "$bin/pg_isready" -h 127.0.0.1 -p "$port" -U martlet -d postgres ||
		complain "PostgreSQL does not start: $(why "$log")" || return 1
	"$bin/psql" -qAt -h 127.0.0.1 -p "$port" -U martlet -d postgres \
		-c "select 1 from pg_database where datname = 'martlet'" | grep -q 1 ||
		"$bin/createdb" -h 127.0.0.1 -p "$port" -U martlet martlet
}

# make_cluster PATH LOG, with what start_postgresql knows. A half-made one is none: initdb takes it away again
# when it fails, and what a killed one left is taken away here.
make_cluster() {
	find /proc/self/fd/8/ -mindepth 1 -delete
	(cd / && setpriv "${as[@]}" --pdeathsig INT "$bin/initdb" -D "$1" -U martlet --auth=trust \
		--encoding=UTF8 --locale=C.UTF-8) >"$2" 2>&1 ||
		complain "initdb failed: $(why "$2")"
}

# why LOG: the last line of it that tells of a failure, or its last line.
why() {
	{ grep -E 'FATAL|PANIC|[Ee]rror:' "$1" || cat "$1"; } | tail -n 1
}

# PostgreSQL's processes outlive a killed postmaster for a moment, and a file that names a stranger would keep
# a new one from starting. Whoever starts here has the folder for itself, so the file may go.
forget_strangers() {
	wait_until 30 has_no_postgresql "$1" ||
		complain "PostgreSQL still runs in $1: $(processes_in "$1" | xargs)" || return 1
	rm -f "$1/postmaster.pid"
}

has_no_postgresql() {
	[ -z "$(processes_in "$1")" ]
}

processes_in() {
	local link process
	for link in /proc/[0-9]*/cwd; do
		process=${link%/cwd}
		! belongs "${process#/proc/}" postgres "$1" || echo "${process#/proc/}"
	done
}

stop_postgresql() {
	stop_server "$1/postgresql/postmaster.pid" postgres "$1/postgresql" INT 30
}

# ---- Mosquitto --------------------------------------------------------------------------------------

# start_mosquitto FOLDER PORT POSTGRESQL_PORT: with the shipped configuration, the plugin that was built, and a
# password made once.
start_mosquitto() {
	local folder=$1/mosquitto port=$2 log=$1/log/mosquitto.log etc
	etc=$(dirname "${BASH_SOURCE[0]}")/../../etc
	command -v mosquitto >/dev/null || complain "Mosquitto is not installed: make deps" || return 1
	mkdir -p "$folder" "$1/log"
	[ -s "$folder/password" ] || (umask 077 && openssl rand -hex 24 >"$folder/password")
	make_keys "$1"
	{
		grep -v '^plugin' "$etc/mosquitto.conf"
		echo "plugin $build/release/martlet_plugin.so"
		echo "plugin_opt_keys $1/keys"
		echo "plugin_opt_database host=127.0.0.1 port=$3 user=martlet dbname=martlet"
		echo "plugin_opt_bridge_password_file $folder/password"
		echo "plugin_opt_node mqtt.local"
		echo "listener $port 127.0.0.1"
		[ "$(id -u)" != 0 ] || echo "user root"
	} >"$folder/mosquitto.conf"
	start_server TERM "$log" mosquitto -c "$folder/mosquitto.conf"
	echo "$server_pid" >"$folder/pid"
	wait_for_start "$server_pid" 10 port_is_taken "$port" ||
		complain "Mosquitto does not start: $(why "$log")"
}

stop_mosquitto() {
	stop_server "$1/mosquitto/pid" mosquitto "$1/mosquitto/mosquitto.conf" TERM 10
}

# ---- Martlet ----------------------------------------------------------------------------------------

# start_martlet FOLDER ADMIN_PORT: with FOLDER/martlet.conf; returns when it can serve.
start_martlet() {
	local log=$1/log/martlet.log
	"$build/release/martlet" migrate -c "$1/martlet.conf" >"$1/log/migrate.log" 2>&1 ||
		complain "the database's schema can't be made: $(tail -n 1 "$1/log/migrate.log")" || return 1
	start_server TERM "$log" "$build/release/martlet" serve -c "$1/martlet.conf"
	echo "$server_pid" >"$1/martlet.pid"
	wait_for_start "$server_pid" 20 curl -fsS "http://127.0.0.1:$2/readyz" ||
		complain "Martlet does not start: $(tail -n 1 "$log")"
}

stop_martlet() {
	stop_server "$1/martlet.pid" martlet "$1/martlet.conf" TERM 20
}

# ---- what they are told -----------------------------------------------------------------------------

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
web_root = $build/web

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
