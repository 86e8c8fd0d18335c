#!/usr/bin/env bash
# Installs from Debian's packages what is not there, and starts a Docker engine
# where none answers. Sourced by the scripts beside it.
need() { # need PROGRAM PACKAGE...: install the packages if the program is missing
	local program=$1
	shift
	if ! command -v "$program" >/dev/null 2>&1 && ! [ -x "/usr/sbin/$program" ]; then
		missing+=("$@")
	fi
}

install_missing() {
	[ ${#missing[@]} -eq 0 ] && return 0
	echo "Installing ${missing[*]}"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

start_docker() {
	docker version >/dev/null 2>&1 && return 0
	echo "Starting dockerd"
	mkdir -p /tmp/kiln-dockerd
	(setsid dockerd >/tmp/kiln-dockerd/log 2>&1 </dev/null &)
	for _ in $(seq 1 150); do
		docker version >/dev/null 2>&1 && return 0
		sleep 0.2
	done
	echo "dockerd did not start; its log ends:" >&2
	tail -n 20 /tmp/kiln-dockerd/log >&2
	return 1
}

missing=()
