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
need qemu-system-x86_64 qemu-system-x86
need qemu-img qemu-utils
need mmdebstrap mmdebstrap
install_missing
start_docker
go build -o bin/bench ./test/bench
bin/bench "$@"
