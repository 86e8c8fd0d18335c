// Package disk makes the disks that tests boot, out of Debian's packages alone. Each is made
// once on a machine and kept in a cache folder, under a hash of all that makes it: a disk that
// is there is whole and up to date. Nobody writes to one: give it to QEMU below an overlay.
//
// Take Tiny unless the test is about what Tiny has not: it boots in a few seconds where Debian
// takes twenty.
package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kiln/driver/lock"
	"kiln/kilntest"
)

// Disk is a disk, or a CD that installs one, and how to log in to what it boots.
type Disk struct {
	Path string // qcow2; the installer's is an ISO image. Not to be written to
	// User may log in with Password; root may, and with KeyFile, too. In Debian, User may become
	// root by sudo with the password. A disk that lets in only whom cloud-init data names has
	// no Password and no KeyFile.
	User     string
	Password string
	KeyFile  string // private key, OpenSSH's format
	EFI      bool   // boots with EFI firmware only
}

const (
	user     = "guest"
	password = "not-a-secret"
)

// recipe is how disks are made: a script in make/ and what it leaves.
type recipe struct {
	script string
	arg    string // the script's argument
	files  []string
	nobody bool // nobody can log in
}

// What each script uses of make/, beside itself.
var (
	ofDebian = strings.Fields("common.sh guest/init guest/seed.c")
	ofTiny   = append(strings.Fields("tiny_tree.sh guest/start guest/dhcp guest/typed guest/keys guest/shutdown "+
		"guest/inittab guest/cidata"), ofDebian...)
	ofInstaller = append([]string{"guest/installer"}, ofTiny...)
)

var all = map[string]struct {
	recipe
	file string
	efi  bool
}{
	"tiny":         {recipe: recipe{script: "tiny.sh", files: ofTiny}, file: "tiny.qcow2"},
	"tiny-efi":     {recipe: recipe{script: "tiny.sh", files: ofTiny}, file: "tiny-efi.qcow2", efi: true},
	"tiny-cloud":   {recipe: recipe{script: "tiny.sh", arg: "cloud", files: ofTiny, nobody: true}, file: "tiny.qcow2"},
	"debian":       {recipe: recipe{script: "debian.sh", files: ofDebian}, file: "debian.qcow2"},
	"debian-efi":   {recipe: recipe{script: "debian.sh", files: ofDebian}, file: "debian-efi.qcow2", efi: true},
	"debian-cloud": {recipe: recipe{script: "debian.sh", arg: "cloud", files: ofDebian, nobody: true}, file: "debian.qcow2"},
	"installer":    {recipe: recipe{script: "installer.sh", files: ofInstaller}, file: "installer.iso"},
}

//go:embed make
var sources embed.FS

// Tiny is busybox and dropbear on Debian's cloud kernel, 225 MiB, of which 60 are used, for
// BIOS. It asks all network cards' servers for an address, has scp and sftp, and ends by
// poweroff, shutdown and the power button. What is typed on its console is kept in
// /var/log/typed and comes back on the serial line, "typed: " before each line; the bytes of
// keys pressed on the second console (left Alt and F2) are in /var/log/keys.
func Tiny(t testing.TB) Disk { return get(t, "tiny") }

// TinyEFI is Tiny for EFI firmware.
func TinyEFI(t testing.TB) Disk { return get(t, "tiny-efi") }

// TinyCloud is Tiny, and lets in only whom the data on a CD with the label cidata names: it
// takes the name and the keys of the first user on it, and the host's name.
func TinyCloud(t testing.TB) Disk { return get(t, "tiny-cloud") }

// Debian is Debian 12 with systemd, OpenSSH, sudo and QEMU's guest agent, for BIOS.
func Debian(t testing.TB) Disk { return get(t, "debian") }

// DebianEFI is Debian for EFI firmware.
func DebianEFI(t testing.TB) Disk { return get(t, "debian-efi") }

// DebianCloud is Debian with cloud-init, which lets in only whom its data names.
func DebianCloud(t testing.TB) Disk { return get(t, "debian-cloud") }

// Installer is a CD that installs Tiny on the first disk, and starts it. It waits at the prompt
// "boot:" for the word install and what to do:
//
//	install url=http://HOST:PORT/FILE cd=FILE floppy=FILE
//
// Each is optional. The files are kept in the installed system as /etc/from-http, /etc/from-cd
// (which is on a CD of any label but the installer's) and /etc/from-floppy. A line "hostname=NAME" in
// any of them names the host. What cannot be had ends it with a line "installer: ..." on
// the console and the serial line.
func Installer(t testing.TB) Disk { return get(t, "installer") }

// Named is a disk by its name, as the command line and stories say it.
func Named(t testing.TB, name string) Disk {
	t.Helper()
	if _, ok := all[name]; !ok {
		t.Fatalf("no disk is named %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return get(t, name)
}

// Names lists the disks.
func Names() []string {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// get makes a disk for a test, which is skipped where that is not possible.
func get(t testing.TB, name string) Disk {
	t.Helper()
	kilntest.Require(t, "disks", usable())
	d, err := Make(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// programs are what the scripts start. test/run.sh installs them.
var programs = strings.Fields("mmdebstrap mke2fs mkfs.fat mcopy syslinux sfdisk depmod cpio gcc qemu-img xorriso " +
	"ssh-keygen openssl unshare")

// usable says why disks cannot be made on this machine.
func usable() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("only root can make disks")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if _, err := os.Stat("/usr/sbin/" + p); err != nil {
				return fmt.Errorf("disks are made with %s, which is not installed", p)
			}
		}
	}
	return nil
}

// Make makes the disk of a name, or finds it in the cache.
func Make(ctx context.Context, name string) (Disk, error) {
	what, ok := all[name]
	if !ok {
		return Disk{}, fmt.Errorf("no disk is named %q", name)
	}
	cache, err := folder()
	if err != nil {
		return Disk{}, err
	}
	key, err := makeKey(ctx, cache)
	if err != nil {
		return Disk{}, err
	}
	dir, err := what.make(ctx, cache, key)
	if err != nil {
		return Disk{}, fmt.Errorf("make the disk %s: %w", name, err)
	}
	d := Disk{Path: filepath.Join(dir, what.file), EFI: what.efi}
	if !what.nobody {
		d.User, d.Password, d.KeyFile = user, password, key
	}
	return d, nil
}

// folder is the cache.
func folder() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = "/var/tmp"
	}
	dir := filepath.Join(base, "kiln-test-disks")
	return dir, os.MkdirAll(dir, 0o700)
}

// makeKey makes the key that all disks let in.
func makeKey(ctx context.Context, cache string) (string, error) {
	unlock, err := lock.File(ctx, filepath.Join(cache, "key.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(cache, "key")
	if _, err := os.Stat(path + ".pub"); err == nil { // it is written last
		return path, nil
	}
	_ = os.Remove(path) // of a run that was killed
	out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "kiln-test", "-f", path).
		CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("make a key: %w: %s", err, out)
	}
	return path, nil
}

// make runs a recipe and returns the folder with what it made.
func (r recipe) make(ctx context.Context, cache, key string) (string, error) {
	hash, err := r.hash(key)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, hash)
	unlock, err := lock.File(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil { // of a run that was killed
		return "", err
	}
	defer os.RemoveAll(part)
	for _, sub := range []string{"make", "out"} {
		if err := os.MkdirAll(filepath.Join(part, sub), 0o755); err != nil {
			return "", err
		}
	}
	if err := unpack(filepath.Join(part, "make")); err != nil {
		return "", err
	}
	out := filepath.Join(part, "out")
	// Mounts of a script that is killed go with its name space.
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", "--pid", "--mount-proc",
		"--fork", "--kill-child", "bash", filepath.Join(part, "make", r.script), r.arg)
	cmd.Dir = out
	cmd.Env = append(os.Environ(), "KEY="+key, "PASSWORD="+password, "LC_ALL=C.UTF-8", "TMPDIR="+part,
		"PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", r.script, err, log.Bytes())
	}
	return dir, os.Rename(out, dir)
}

// hash is of all that a recipe's disks are made of, but Debian's packages.
func (r recipe) hash(key string) (string, error) {
	h := sha256.New()
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		return "", err
	}
	fmt.Fprintf(h, "%s\n%s\n%s\n%s\n", r.script, r.arg, password, public)
	for _, name := range append(slices.Clone(r.files), r.script) {
		text, err := sources.ReadFile("make/" + name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// unpack writes the scripts, so that they can be run.
func unpack(dir string) error {
	tree, err := fs.Sub(sources, "make")
	if err != nil {
		return err
	}
	return os.CopyFS(dir, tree)
}
