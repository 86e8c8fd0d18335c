#!/usr/bin/env bash
# Makes installer.iso: a CD that waits at a boot prompt for the word install, fetches answers, and
# installs the tiny system.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=tiny_tree.sh
. "$(dirname "$0")/tiny_tree.sh"
debian extract from "$tiny_packages,e2fsprogs,fdisk" "$(with_kernel cloud-amd64 kernel)" "$(with_kernel amd64 plain)"
tiny_tree from tree
initramfs from from/kernel init initrd virtio_pci virtio_blk virtio_scsi sd_mod ata_piix ahci ext4
boot_files boot.img 32 from/kernel/boot/vmlinuz-* initrd "$tiny_options"
mkdir -p cd/install cd/isolinux
gzip -1 <boot.img >cd/install/boot.img.gz
tar -C tree -czf cd/install/root.tar.gz .
cp /usr/lib/syslinux/mbr/mbr.bin cd/install/mbr.bin

# The installer has a kernel of its own: the cloud kernel reads no floppies.
more() {
	programs from "$1" /sbin/mke2fs /sbin/sfdisk
	install -D -m 755 from/lib64/ld-linux-x86-64.so.2 "$1/lib64/ld-linux-x86-64.so.2"
	install -m 755 "$here/guest/dhcp" "$1/etc/dhcp"
}
# shellcheck disable=SC2086 # lists
initramfs from from/plain installer cd/isolinux/initrd $drivers $files
cp from/plain/boot/vmlinuz-* cd/isolinux/vmlinuz
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 cd/isolinux/
printf 'PROMPT 1\nTIMEOUT 0\nLABEL install\n KERNEL vmlinuz\n INITRD initrd\n APPEND %s\n' "$consoles $quick" \
	>cd/isolinux/isolinux.cfg
printf 'The installer of tests: type install\n' >cd/isolinux/hello.txt
printf 'DISPLAY hello.txt\n' >>cd/isolinux/isolinux.cfg
xorriso -as mkisofs -quiet -V INSTALLER -R -J -c isolinux/boot.cat -b isolinux/isolinux.bin -no-emul-boot \
	-boot-load-size 4 -boot-info-table -o installer.iso cd
rm -rf from tree cd boot.img initrd syslinux.cfg loader.conf linux.conf
