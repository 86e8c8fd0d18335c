#!/usr/bin/env bash
# Makes tiny.qcow2 (BIOS) and tiny-efi.qcow2: busybox and dropbear on Debian's cloud kernel.
# With the argument "cloud" it makes tiny.qcow2 alone, which lets in only whom a cidata CD names.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=tiny_tree.sh
. "$(dirname "$0")/tiny_tree.sh"
debian extract from "$tiny_packages" "$(with_kernel cloud-amd64 kernel)"
tiny_tree from tree
if [ "${1:-}" = cloud ]; then
	install -m 755 "$here/guest/cidata" tree/etc/cidata
	rm -r tree/root/.ssh tree/home/guest
	printf 'root:*:19000::::::\n' >tree/etc/shadow
	sed -i /guest/d tree/etc/passwd tree/etc/group
fi
# shellcheck disable=SC2086 # a list
initramfs from from/kernel init initrd virtio_pci virtio_blk virtio_scsi sd_mod ata_piix ahci ext4
boot_files boot.img 32 from/kernel/boot/vmlinuz-* initrd "$tiny_options"
ext4 tree 192 tiny root.img
assemble bios boot.img root.img tiny.qcow2
if [ "${1:-}" != cloud ]; then
	assemble efi boot.img root.img tiny-efi.qcow2
fi
rm -rf from tree boot.img root.img initrd syslinux.cfg loader.conf linux.conf
