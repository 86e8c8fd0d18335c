package kilntest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// BusyboxImage is the name of a small image for tests.
const BusyboxImage = "kiln-test/busybox:1"

// Docker skips a test where no engine answers, and makes sure that the small image
// is there.
func Docker(t testing.TB) {
	t.Helper()
	out, err := exec.Command("docker", "version", "--format", "{{.Server.Version}}").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	Require(t, "docker", err)
	if exec.Command("docker", "image", "inspect", BusyboxImage).Run() == nil {
		return
	}
	Require(t, "docker", makeBusybox(t))
}

// applets are the programs of the image.
var applets = strings.Fields(
	"sh ls cat rm mkdir cp mv chmod chown sed tar id echo dd wc sleep true false dirname basename env printf find sha256sum stat ln test tr head tail touch grep kill ps date",
)

func makeBusybox(t testing.TB) error {
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return fmt.Errorf("busybox-static: %w", err)
	}
	dir := t.TempDir()
	for _, d := range []string{"bin", "etc", "tmp", "root"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "bin/busybox"), program, 0o755); err != nil {
		return err
	}
	for _, a := range applets {
		if err := os.Symlink("busybox", filepath.Join(dir, "bin", a)); err != nil {
			return err
		}
	}
	users := "root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000::/tmp:/bin/sh\n"
	if err := os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte(users), 0o644); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(dir, "tmp"), 0o1777); err != nil {
		return err
	}
	pack := exec.Command(
		"sh",
		"-c",
		"tar --owner=0 --group=0 -C "+dir+" -c . | docker import --change 'CMD [\"/bin/sh\"]' - "+BusyboxImage,
	)
	if out, err := pack.CombinedOutput(); err != nil {
		return fmt.Errorf("make %s: %w: %s", BusyboxImage, err, out)
	}
	return nil
}
