#!/bin/bash
# server.sh postgresql|mosquitto DIR - one private server in the foreground, for tests that break servers.
#
# Prints its address (see servers.sh) when it answers, and stays until the server ends; TERM or INT stop the
# server. DIR/pid is the process to stop, kill or pause. Started again, it is at the same address.
set -euo pipefail

fail() {
	echo "server.sh: $1" >&2
	exit 1
}

# shellcheck source=tests/harness/servers.sh
. "$(dirname "$0")/servers.sh"

[ $# = 2 ] || fail 'usage: server.sh postgresql|mosquitto DIR'
mkdir -p "$2"
dir=$(cd "$2" && pwd)
case $1 in
postgresql | mosquitto) ;;
*) fail "there is no $1 here" ;;
esac

trap '"stop_$1" "$dir"' EXIT
trap 'exit 0' INT TERM
"start_$1" "$dir"
cat "$dir/address"
pid=${1}_pid
wait "${!pid}" || true
