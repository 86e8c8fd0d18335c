#!/usr/bin/env bash
# Makes debian.qcow2 (BIOS) and debian-efi.qcow2: Debian 12 with systemd, OpenSSH, sudo and the
# guest agent. With the argument "cloud" it makes debian.qcow2 alone, with cloud-init, and without
# a password or key of its own.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
packages=busybox-static,systemd-sysv,dbus,udev,kmod,openssh-server,qemu-guest-agent,sudo,iproute2
size=640
if [ "${1:-}" = cloud ]; then
	packages=$packages,cloud-init
	size=896
fi
debian minbase tree "$packages" "$(with_kernel cloud-amd64 kernel)"
initramfs tree tree/kernel init initrd virtio_pci virtio_blk virtio_scsi sd_mod ata_piix ahci ext4
# shellcheck disable=SC2086 # lists
modules tree/kernel tree $drivers $files
mv tree/kernel/boot/vmlinuz-* vmlinuz
rm -rf tree/kernel tree/var/lib/apt/lists/* tree/var/cache/apt/*.bin

# What takes time at each start and is of no use to a test.
for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
	dpkg-db-backup.timer systemd-pstore.service systemd-rfkill.socket systemd-tmpfiles-clean.timer \
	systemd-hwdb-update.service ldconfig.service systemd-journal-catalog-update.service \
	systemd-update-done.service systemd-firstboot.service dev-hugepages.mount dev-mqueue.mount \
	sys-kernel-debug.mount sys-kernel-tracing.mount systemd-binfmt.service; do
	ln -sf /dev/null "tree/etc/systemd/system/$unit"
done
mkdir -p tree/etc/systemd/network tree/etc/systemd/system/ssh.service.d
printf '[Match]\nName=e*\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n[DHCPv4]\nClientIdentifier=mac\n' \
	>tree/etc/systemd/network/80-dhcp.network
printf '[Service]\nExecStartPre=\n' >tree/etc/systemd/system/ssh.service.d/quick.conf
chroot tree systemctl -q enable systemd-networkd ssh
printf 'nameserver 10.0.2.3\n' >tree/etc/resolv.conf
printf 'LABEL=debian / ext4 defaults,noatime 0 0\n' >tree/etc/fstab
printf 'UseDNS no\n' >tree/etc/ssh/sshd_config.d/test.conf
echo debian >tree/etc/hostname
printf '127.0.0.1 localhost debian\n' >tree/etc/hosts
: >tree/etc/machine-id

if [ "${1:-}" = cloud ]; then
	printf 'datasource_list: [NoCloud, None]\n' >tree/etc/cloud/cloud.cfg.d/90_test.cfg
else
	printf 'PermitRootLogin yes\n' >>tree/etc/ssh/sshd_config.d/test.conf
	chroot tree useradd -m -s /bin/bash guest
	printf 'guest ALL=(ALL) ALL\n' >tree/etc/sudoers.d/guest
	printf 'root:%s\nguest:%s\n' "$PASSWORD" "$PASSWORD" | chroot tree chpasswd
	for home in root home/guest; do
		install -d -m 700 "tree/$home/.ssh"
		install -m 600 "$KEY.pub" "tree/$home/.ssh/authorized_keys"
	done
	chroot tree chown -R guest: /home/guest
fi

boot_files boot.img 32 vmlinuz initrd "root=LABEL=debian rw $consoles $quick"
ext4 tree "$size" debian root.img
assemble bios boot.img root.img debian.qcow2
if [ "${1:-}" != cloud ]; then
	assemble efi boot.img root.img debian-efi.qcow2
fi
rm -rf tree boot.img root.img vmlinuz initrd syslinux.cfg loader.conf linux.conf
