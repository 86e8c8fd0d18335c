#!/usr/bin/env bash
# Ratios against Debian's packer and plain tools: make bench.
set -euo pipefail
cd "$(dirname "$0")/.."
. test/setup.sh
need packer packer
need dockerd docker.io
need iptables iptables
need sshd openssh-server
need ssh openssh-client
need scp openssh-client
need busybox busybox-static
install_missing
start_docker
go build -o bin/bench ./test/bench
bin/bench "$@"
