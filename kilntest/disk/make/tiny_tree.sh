#!/usr/bin/env bash
# The system of the tiny disk, which the installer installs as well. Sourced after common.sh.
# shellcheck disable=SC2034,SC2154
tiny_packages=busybox-static,dropbear-bin,openssh-sftp-server,openssh-client
tiny_tree() { # tiny_tree FROM TO
	local from=$1 to=$2 type
	busybox_tree "$from" "$to"
	mkdir -p "$to"/{root,home/guest,var/log,var/tmp,lib64,usr/bin,usr/sbin,usr/lib,etc/dropbear,etc/acpi/PWRF}
	chmod 1777 "$to/var/tmp"
	chmod 700 "$to/root"
	programs "$from" "$to" /usr/sbin/dropbear /usr/bin/scp /usr/lib/openssh/sftp-server
	ln -s openssh/sftp-server "$to/usr/lib/sftp-server"
	install -D -m 755 "$from/lib64/ld-linux-x86-64.so.2" "$to/lib64/ld-linux-x86-64.so.2"
	# shellcheck disable=SC2086 # lists
	modules "$from/kernel" "$to" $drivers $files
	for type in ed25519 rsa; do
		# The shell that mmdebstrap's tree lacks is not needed: its loader runs the program.
		chroot "$from" /usr/bin/dropbearkey -t "$type" -f "/host.$type" >/dev/null 2>&1
		mv "$from/host.$type" "$to/etc/dropbear/dropbear_${type}_host_key"
	done
	install -m 755 "$here/guest/start" "$to/etc/start"
	install -m 755 "$here/guest/dhcp" "$to/etc/dhcp"
	install -m 755 "$here/guest/typed" "$to/sbin/typed"
	install -m 755 "$here/guest/keys" "$to/sbin/keys"
	rm "$to/bin/poweroff" "$to/bin/reboot" "$to/bin/halt"
	for name in poweroff reboot halt shutdown; do
		install -m 755 "$here/guest/shutdown" "$to/sbin/$name"
	done
	install -m 644 "$here/guest/inittab" "$to/etc/inittab"
	ln -s /sbin/poweroff "$to/etc/acpi/PWRF/00000080"
	ln -s /bin/busybox "$to/sbin/init"
	echo tiny >"$to/etc/hostname"
	printf 'NAME="Kiln test"\nID=kiln-tiny\n' >"$to/etc/os-release"
	printf '127.0.0.1 localhost\n' >"$to/etc/hosts"
	printf 'root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000::/home/guest:/bin/sh\n' >"$to/etc/passwd"
	printf 'root:x:0:\nguest:x:1000:\n' >"$to/etc/group"
	printf '/bin/sh\n' >"$to/etc/shells"
	local hash
	hash=$(openssl passwd -6 -salt kiln "$PASSWORD")
	printf 'root:%s:19000::::::\nguest:%s:19000::::::\n' "$hash" "$hash" >"$to/etc/shadow"
	chmod 600 "$to/etc/shadow"
	install -D -m 600 "$KEY.pub" "$to/root/.ssh/authorized_keys"
	install -D -m 600 "$KEY.pub" "$to/home/guest/.ssh/authorized_keys"
	chmod 700 "$to/root/.ssh" "$to/home/guest/.ssh"
	chown -R 1000:1000 "$to/home/guest"
}
tiny_options="root=LABEL=tiny rw $consoles $quick"
