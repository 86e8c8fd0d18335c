#!/usr/bin/env bash
# The tests: make test.
set -euo pipefail
cd "$(dirname "$0")/.."
. test/setup.sh
need dockerd docker.io
need docker docker.io
need iptables iptables
need sshd openssh-server
need ssh openssh-client
need scp openssh-client
need busybox busybox-static
need gcc gcc libc6-dev
need shellcheck shellcheck
need mcopy mtools
need fsck.fat dosfstools
need xz xz-utils
need bzip2 bzip2
need xorriso xorriso
need git git
need hg mercurial
need isoinfo genisoimage
# What the disks that tests boot are made with, and booted.
need qemu-system-x86_64 qemu-system-x86
need qemu-img qemu-utils
need swtpm swtpm
need mmdebstrap mmdebstrap
need mke2fs e2fsprogs
need sfdisk fdisk
need syslinux syslinux syslinux-common
need depmod kmod
need cpio cpio
need openssl openssl
# These have no program of their own in PATH.
[ -e /usr/lib/ISOLINUX/isolinux.bin ] || missing+=(isolinux)
[ -e /usr/lib/systemd/boot/efi/systemd-bootx64.efi ] || missing+=(systemd-boot-efi)
[ -e /usr/share/OVMF/OVMF_CODE.fd ] || missing+=(ovmf)
install_missing
# Not every machine that runs Docker can run podman too: its stories say so where they are skipped.
missing=()
need podman podman
install_missing || echo "podman cannot be installed"
start_docker
export KILN_TEST_REQUIRE=docker,disks,sshd,mtools,fsck.fat,xorriso,isoinfo,qemu,hg

./test/lint.sh
# -count=1: the stories run a program that the test cache does not know of.
run() { go test -race -count=1 -timeout 40m "$@"; }
# Those that use the Docker engine run one at a time: several count all its containers.
alone=$(grep -rlE 'Docker|docker' --include='*_test.go' . | xargs -n1 dirname | sort -u)
# shellcheck disable=SC2046
run -p 2 $(comm -23 <(go list -f '{{.Dir}}' ./... | sed "s|^$PWD|.|" | sort) <(echo "$alone"))
# shellcheck disable=SC2086
run -p 1 $alone
