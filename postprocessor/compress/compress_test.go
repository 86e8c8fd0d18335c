package compress

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/dsnet/compress/bzip2"
	"github.com/klauspost/compress/gzip"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"

	"kiln"
	"kiln/archive"
	"kiln/kilntest"
)

func TestForm(t *testing.T) {
	for _, c := range []struct{ output, format, want string }{
		{"x", "", "tar gz"}, {"x.zip", "", "zip "}, {"x.tar", "", "tar "}, {"x.tar.gz", "", "tar gz"}, {"x.qcow2.gz", "", " gz"}, {"x.box", "", "tar gz"},
		{"x.tar.xz", "", "tar xz"}, {"x", "lz4", " lz4"}, {"x.tar", "bgzf", "tar bgzf"}, {"d.tar/x.bzip2", "", "tar bzip2"},
	} {
		a, b := (&PostProcessor{Output: c.output, Format: c.format}).form()
		if a+" "+b != c.want {
			t.Errorf("%s, %s: got %q", c.output, c.format, a+" "+b)
		}
	}
}

func TestAlgorithms(t *testing.T) {
	text := []byte(strings.Repeat("some text that repeats, ", 20_000))
	for name, open := range map[string]func(io.Reader) (io.Reader, error){
		"gz": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }, "bgzf": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"lz4": func(r io.Reader) (io.Reader, error) { return lz4.NewReader(r), nil }, "xz": func(r io.Reader) (io.Reader, error) { return xz.NewReader(r) },
		"bzip2": func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r, nil) }, "": func(r io.Reader) (io.Reader, error) { return r, nil },
	} {
		for _, level := range []int{-1, 1, 9} {
			var b bytes.Buffer
			w, err := archive.Compressor(&b, name, level)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(text)
			if err := w.Close(); err != nil {
				t.Errorf("%s %d: %v", name, level, err)
			}
			r, err := open(&b)
			if err != nil {
				t.Errorf("%s %d: %v", name, level, err)
				continue
			}
			if back, err := io.ReadAll(r); err != nil || !bytes.Equal(back, text) {
				t.Errorf("%s %d: %d bytes back, %v", name, level, len(back), err)
			}
		}
	}
}

func TestProcess(t *testing.T) {
	t.Chdir(t.TempDir())
	os.Mkdir("a", 0o755)
	os.Mkdir("b", 0o755)
	for _, name := range []string{"a/one", "a/two", "b/one"} {
		if err := os.WriteFile(name, []byte(name), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	b, r := kilntest.NewBuild(t)
	process := func(output string, files ...string) error {
		p := &PostProcessor{Output: output, CompressionLevel: -1}
		out, err := p.Process(t.Context(), b, &kiln.Artifact{Files: files})
		if err == nil && (len(out.Files) != 1 || out.Builder != "packer.post-processor.compress") {
			t.Errorf("%s: %+v", output, out)
		}
		return err
	}
	if err := process("out/{{.BuildName}}.tar.gz", "a/one", "a/two"); err != nil {
		t.Fatal(err)
	}
	if list, err := exec.Command("tar", "-tzf", "out/test.tar.gz").Output(); string(list) != "one\ntwo\n" {
		t.Errorf("got %q, %v", list, err)
	}
	if err := process("x.tar", "a/one", "b/one"); err == nil || !strings.Contains(err.Error(), "the same name") {
		t.Errorf("got %v", err)
	}
	if err := process("x.zip", "a/one", "b/one"); err != nil {
		t.Error(err)
	}
	if err := process("x.gz", "a/one", "a/two"); err == nil || !strings.Contains(err.Error(), "Can only have 1 input file") {
		t.Errorf("got %v", err)
	}
	if err := process("y.tar", "none"); err == nil {
		t.Error("a missing file was packed")
	}
	keep := func(kiln.Resource) bool { return true }
	if err := errors.Join(b.Close(t.Context()), b.Keep(keep)); err != nil || len(r.Balance()) != 0 {
		t.Errorf("%v, owned: %v", err, r.Balance())
	}
	if left, _ := os.ReadDir("."); len(left) != 4 {
		t.Errorf("left %v", left)
	}
}
