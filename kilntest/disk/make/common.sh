#!/usr/bin/env bash
# What the disks are made of. Sourced by tiny.sh, debian.sh and installer.sh, which run in an
# empty folder, as root.
# shellcheck disable=SC2034 # its variables are theirs
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# What a guest's kernel is told under software emulation: nothing that costs time.
quick="quiet loglevel=4 mitigations=off nokaslr random.trust_cpu=on random.trust_bootloader=on \
net.ifnames=0 no_timer_check nowatchdog raid=noautodetect cryptomgr.notests 8250.nr_uarts=1"
consoles="console=tty0 console=ttyS0,115200"

# Modules by what needs them. The rest stays out, so that modprobe finds its way quickly.
drivers="virtio_pci virtio_blk virtio_scsi sd_mod ata_piix ahci sr_mod virtio_net e1000 virtio-rng virtio_console"
files="ext4 isofs vfat nls_cp437 nls_ascii nls_utf8 floppy evdev button crc32c_generic"

debian() { # debian VARIANT ROOT PACKAGES [ARG...]: a tree of Debian 12 in the folder ROOT
	local variant=$1 root=$2 packages=$3
	shift 3
	local sources=()
	# The machine's own sources are used where they are of the same release: a mirror may stand in them.
	if [ -s /etc/apt/sources.list.d/debian.sources ] && grep -q bookworm /etc/apt/sources.list.d/debian.sources; then
		sources=(/etc/apt/sources.list.d/debian.sources)
	elif grep -qs '^deb.*bookworm' /etc/apt/sources.list; then
		sources=(/etc/apt/sources.list)
	fi
	mmdebstrap --quiet --mode=root --variant="$variant" --include="$packages" "$@" \
		--aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/i18n/*' \
		bookworm "$root" "${sources[@]}"
}

# with_kernel is a hook of mmdebstrap: a kernel as it is in its package, in the folder DIR of the tree, without
# what the package wants beside it to make an initramfs.
with_kernel() { # with_kernel FLAVOUR DIR
	cat <<-'END' | sed "s/FLAVOUR/$1/; s/DIR/$2/g"
		--extract-hook=mkdir "$1/DIR" && cd "$1/DIR" && export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" &&
		apt-get -qq -o APT::Sandbox::User=root download \
			"$(apt-cache depends linux-image-FLAVOUR | awk '/Depends: linux-image/ {print $2}')" &&
		dpkg-deb -x linux-image-*.deb . && rm linux-image-*.deb
	END
}

modules() { # modules FROM TO NAME...: the modules and what they need, as a tree of their own
	local from=$1 to=$2 release name path
	shift 2
	release=$(basename "$from"/lib/modules/*)
	[ -f "$from/lib/modules/$release/modules.dep" ] || depmod -b "$from" "$release"
	for name; do
		# A driver that this kernel has built in, or has not at all, is no fault.
		modprobe -d "$from" -S "$release" --show-depends "$name" 2>/dev/null || true
	done | awk '$1 == "insmod" {print $2}' | sort -u | while read -r path; do
		path=/lib/modules/${path#*/lib/modules/}
		install -D -m 644 "$from$path" "$to$path"
	done
	mkdir -p "$to/lib/modules/$release"
	cp "$from/lib/modules/$release/"modules.builtin{,.modinfo} "$from/lib/modules/$release/modules.order" "$to/lib/modules/$release/"
	depmod -b "$to" "$release"
}

programs() { # programs FROM TO PATH...: programs with the libraries that they load
	local from=$1 to=$2 path library
	shift 2
	for path; do
		install -D -m 755 "$from$path" "$to$path"
		chroot "$from" /lib64/ld-linux-x86-64.so.2 --list "$path" | grep -o '/[^ ]*' | sort -u |
			while read -r library; do
				[ -e "$to$library" ] || install -D -m 755 "$from$library" "$to$library"
			done
	done
}

busybox_tree() { # busybox_tree FROM TO: busybox under all its names, in an otherwise empty tree
	local from=$1 to=$2
	mkdir -p "$to"/{bin,sbin,dev,proc,sys,run,tmp,etc,mnt}
	install -m 755 "$from/bin/busybox" "$to/bin/busybox"
	chroot "$to" /bin/busybox --install -s /bin
	ln -s /bin/modprobe "$to/sbin/modprobe" # where the kernel looks for it
	chmod 1777 "$to/tmp"
}

# A script that wants more in an initramfs defines the function more.
initramfs() { # initramfs FROM KERNEL INIT OUT MODULE...: a small one, stored as it is: unpacking costs more than reading
	local from=$1 kernel=$2 init=$3 out=$4 tree
	shift 4
	tree=$(mktemp -d -p .)
	busybox_tree "$from" "$tree"
	modules "$kernel" "$tree" "$@"
	install -m 755 "$here/guest/$init" "$tree/init"
	gcc -static -Os -s -o "$tree/bin/seed" "$here/guest/seed.c"
	if declare -F more >/dev/null; then more "$tree"; fi
	(cd "$tree" && find . | cpio --quiet -o -H newc) >"$out"
	rm -rf "$tree"
}

boot_files() { # boot_files IMAGE MIB KERNEL INITRD OPTIONS: a FAT file system for BIOS and EFI alike
	local image=$1 mib=$2 kernel=$3 initrd=$4 options=$5
	truncate -s "${mib}M" "$image"
	mkfs.fat -n BOOT -h 2048 "$image" >/dev/null
	printf 'DEFAULT linux\nPROMPT 0\nTIMEOUT 0\nLABEL linux\n KERNEL vmlinuz\n INITRD initrd\n APPEND %s\n' "$options" >syslinux.cfg
	printf 'timeout 0\ndefault linux.conf\n' >loader.conf
	printf 'title linux\nlinux /vmlinuz\ninitrd /initrd\noptions %s\n' "$options" >linux.conf
	mmd -i "$image" ::EFI ::EFI/BOOT ::loader ::loader/entries
	mcopy -i "$image" "$kernel" ::vmlinuz
	mcopy -i "$image" "$initrd" ::initrd
	mcopy -i "$image" syslinux.cfg ::syslinux.cfg
	mcopy -i "$image" loader.conf ::loader/loader.conf
	mcopy -i "$image" linux.conf ::loader/entries/linux.conf
	mcopy -i "$image" /usr/lib/systemd/boot/efi/systemd-bootx64.efi ::EFI/BOOT/BOOTX64.EFI
	syslinux --install "$image"
}

assemble() { # assemble TABLE BOOT ROOT OUT: a disk of a boot and a root file system, as qcow2
	local table=$1 boot=$2 root=$3 out=$4 boot_mib root_mib
	boot_mib=$(($(stat -c %s "$boot") >> 20))
	root_mib=$(($(stat -c %s "$root") >> 20))
	rm -f disk.raw
	truncate -s $((1 + boot_mib + root_mib + 1))M disk.raw
	if [ "$table" = bios ]; then
		sfdisk -q disk.raw <<-END
			label: dos
			start=1MiB, size=${boot_mib}MiB, type=c, bootable
			start=$((1 + boot_mib))MiB, size=${root_mib}MiB, type=83
		END
		dd if=/usr/lib/syslinux/mbr/mbr.bin of=disk.raw conv=notrunc status=none
	else
		sfdisk -q disk.raw <<-END
			label: gpt
			start=1MiB, size=${boot_mib}MiB, type=uefi
			start=$((1 + boot_mib))MiB, size=${root_mib}MiB, type=linux
		END
	fi
	dd if="$boot" of=disk.raw bs=1M seek=1 conv=notrunc,sparse status=none
	dd if="$root" of=disk.raw bs=1M seek=$((1 + boot_mib)) conv=notrunc,sparse status=none
	qemu-img convert -f raw -O qcow2 disk.raw "$out"
	rm disk.raw
}

ext4() { # ext4 TREE MIB LABEL OUT: a file system of a tree
	truncate -s "$2M" "$4"
	mke2fs -q -t ext4 -L "$3" -m 0 -E lazy_itable_init=0,lazy_journal_init=0,nodiscard -d "$1" "$4"
}
