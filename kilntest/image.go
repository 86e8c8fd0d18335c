package kilntest

import (
	"archive/tar"
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// DockerImages lists the images of the engine that a filter of docker's lets through, such
// as "label=x", by name and id.
func DockerImages(t testing.TB, filter string) []string {
	t.Helper()
	list := exec.Command("docker", "images", "--filter", filter, "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(strings.Lines(string(out)))
}

// TagImage gives the small image one more name for the length of a test.
func TagImage(t testing.TB, name string) {
	t.Helper()
	if out, err := exec.Command("docker", "tag", BusyboxImage, name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", name).Run() }) // the image stays under its other name
}

// Tar makes a tar file of one file, for imports.
func Tar(t testing.TB, name, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
