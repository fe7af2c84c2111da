#!/bin/bash
# install.sh run|test - installs the Debian packages that are missing, and nothing else.
#
# `test` needs what `run` needs and more. Neither starts a service: a PostgreSQL or Mosquitto that
# comes in here is only a program for us, so its service is kept from starting, and PostgreSQL makes
# no cluster of its own. A PostgreSQL or Mosquitto that is there already is left as it is.
set -euo pipefail
cd "$(dirname "$0")"

readonly POLICY=/usr/sbin/policy-rc.d
readonly ASIDE=/usr/sbin/policy-rc.d.before-martlet
readonly CLUSTER_CONF=/etc/postgresql-common/createcluster.d/martlet.conf

fail() {
	echo "martlet: $1" >&2
	exit 1
}

# The packages of a purpose, without those whose command is there.
wanted() {
	local purpose package command
	while read -r purpose package command; do
		case $purpose in
		run) ;;
		test) [ "$1" = test ] || continue ;;
		*) continue ;;
		esac
		[ -n "$command" ] && command -v "$command" >/dev/null || echo "$package"
	done <packages
}

missing() {
	wanted "$1" | sort >"$scratch/wanted"
	# dpkg-query complains about names that it does not know; those are missing.
	# shellcheck disable=SC2046
	dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' $(cat "$scratch/wanted") 2>/dev/null |
		sed -n 's/^ii //p' | sort -u >"$scratch/installed" || true
	comm -23 "$scratch/wanted" "$scratch/installed"
}

keep_services_down() {
	services_kept_down=yes
	# What a killed start left aside is the true one.
	[ -e $ASIDE ] || [ ! -e $POLICY ] || mv $POLICY $ASIDE
	printf '#!/bin/sh\nexit 101\n' >$POLICY
	chmod 755 $POLICY
	mkdir -p "${CLUSTER_CONF%/*}"
	echo 'create_main_cluster = false' >$CLUSTER_CONF
}

clean_up() {
	rm -rf "$scratch"
	[ "$services_kept_down" = yes ] || return 0
	rm -f $POLICY $CLUSTER_CONF
	[ ! -e $ASIDE ] || mv $ASIDE $POLICY
	rmdir --ignore-fail-on-non-empty "${CLUSTER_CONF%/*}" 2>/dev/null || true
}

# Runs as root. A package that cannot be had is named, with apt's own reason.
install_packages() {
	local had_mosquitto=yes
	[ -e /usr/sbin/mosquitto ] || had_mosquitto=no
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq >"$scratch/log" 2>&1 ||
		echo "martlet: apt-get update failed; trying with the package lists that are here" >&2
	keep_services_down
	apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" \
		</dev/null >"$scratch/log" 2>&1 || {
		tail -n 20 "$scratch/log" >&2
		fail "could not install: $*; make it available to apt-get, then start again"
	}
	if [ $had_mosquitto = no ] && [ -e /usr/sbin/mosquitto ] && command -v systemctl >/dev/null; then
		systemctl disable --quiet mosquitto.service || true
	fi
}

services_kept_down=no
scratch=$(mktemp -d)
trap clean_up EXIT

case ${1:-} in
run | test) ;;
--as-root)
	shift
	install_packages "$@"
	exit
	;;
*) fail "usage: install.sh run|test" ;;
esac

packages=$(missing "$1")
[ -n "$packages" ] || exit 0
command -v apt-get >/dev/null ||
	fail "install these first, this system has no apt-get: ${packages//$'\n'/ }"
echo "martlet: installing ${packages//$'\n'/ }"
as_root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null ||
		fail "as root, install first: apt-get install ${packages//$'\n'/ }"
	as_root=sudo
fi
# shellcheck disable=SC2086
$as_root "$PWD/install.sh" --as-root $packages
