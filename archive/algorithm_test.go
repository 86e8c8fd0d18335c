package archive

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ulikunitz/xz"
)

// mixed is text of some length that compresses, but not everywhere.
func mixed(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, size)
	for i := 0; i < size; {
		n := min(size-i, 1+r.IntN(100_000))
		if r.IntN(2) == 0 {
			for j := range text[i : i+n] {
				text[i+j] = byte(r.Uint32())
			}
		} else {
			for j := range text[i : i+n] {
				text[i+j] = "some words of no meaning "[j%25]
			}
		}
		i += n
	}
	return text
}

// pack compresses text, written in pieces of no regular size.
func pack(t *testing.T, algorithm string, level int, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := Compressor(&out, algorithm, level)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; len(text) > 0; n = 3*n + 1 {
		n = min(n, len(text))
		if _, err := w.Write(text[:n]); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestPlainTools reads what was compressed with the programs that everybody has, for sizes around
// those of blocks. The number of cores must not show.
func TestPlainTools(t *testing.T) {
	for algorithm, c := range map[string]struct {
		program string
		sizes   []int
	}{
		"gz": {"gzip", []int{0, 1, 1_500_000}}, "bgzf": {"gzip", []int{0, 1, 32 * 0xff00, 32*0xff00 + 1}},
		"bzip2": {"bzip2", []int{0, 1, 300_000}}, "xz": {"xz", []int{0, 1, 300_000}},
	} {
		for _, size := range c.sizes {
			text := mixed(size)
			packed := pack(t, algorithm, -1, text)
			cmd := exec.Command(c.program, "-dc")
			cmd.Stdin = bytes.NewReader(packed)
			if back, err := cmd.Output(); err != nil || !bytes.Equal(back, text) {
				t.Errorf("%s, %d bytes: %d came back, %v", algorithm, size, len(back), err)
			}
			was := runtime.GOMAXPROCS(1)
			if one := pack(t, algorithm, -1, text); !bytes.Equal(one, packed) {
				t.Errorf("%s, %d bytes: with one core other bytes come out", algorithm, size)
			}
			runtime.GOMAXPROCS(was)
		}
	}
}

// TestStreams reads several streams of xz in a row, which are far larger in earnest.
func TestStreams(t *testing.T) {
	for _, size := range []int{0, 50_000, 50_001, 120_000} {
		text := mixed(size)
		var out bytes.Buffer
		w := newStreams(&out, 50_000, func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) })
		_, err := w.Write(text)
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("xz", "-dc")
		cmd.Stdin = &out
		if back, err := cmd.Output(); err != nil || !bytes.Equal(back, text) {
			t.Errorf("%d bytes: %d came back, %v", size, len(back), err)
		}
	}
}

func TestDeflate(t *testing.T) {
	for _, size := range []int{0, 1, 1 << 20, 1<<20 + 1, 5_000_000} {
		text := mixed(size)
		var out bytes.Buffer
		w := newDeflate(&out, -1)
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if back, err := io.ReadAll(flate.NewReader(&out)); err != nil || !bytes.Equal(back, text) {
			t.Errorf("%d bytes: %d came back, %v", size, len(back), err)
		}
	}
}

// TestZip has unzip's view of an archive, and that of Go.
func TestZip(t *testing.T) {
	t.Chdir(t.TempDir())
	texts := map[string][]byte{"a/one": mixed(3_000_000), "b/one": nil, "two": []byte("two")}
	var files []string
	for _, name := range []string{"a/one", "b/one", "two"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, texts[name], 0o644)); err != nil {
			t.Fatal(err)
		}
		files = append(files, name)
	}
	copyFile := func(w io.Writer, path string) error {
		_, err := w.Write(texts[path])
		return err
	}
	var out bytes.Buffer
	if err := WriteZip(&out, files, copyFile); err != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil || len(r.File) != 3 {
		t.Fatalf("%v", err)
	}
	for _, f := range r.File {
		e, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := io.ReadAll(e); err != nil || !bytes.Equal(back, texts[f.Name]) {
			t.Errorf("%s: %d bytes came back, %v", f.Name, len(back), err)
		}
	}
	failed := errors.New("it cannot be read")
	if err := WriteZip(io.Discard, files, func(io.Writer, string) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
}

// full is a disk with room for a number of bytes.
type full int

var errFull = errors.New("no space left")

func (f *full) Write(p []byte) (int, error) {
	if *f -= full(len(p)); *f < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// TestFullDisk writes until nothing more fits, which whoever writes hears of soon. Bzip2 and xz are as bgzf, and slow.
func TestFullDisk(t *testing.T) {
	for _, algorithm := range []string{"gz", "bgzf", "lz4", ""} {
		room := full(1 << 20)
		w, err := Compressor(&room, algorithm, -1)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.NewChaCha8([32]byte{1})
		block := make([]byte, 1<<20)
		var failed error
		written := 0
		for ; failed == nil && written < 256<<20; written += len(block) {
			r.Read(block)
			_, failed = w.Write(block)
		}
		if err := errors.Join(failed, w.Close()); !errors.Is(err, errFull) || written == 256<<20 {
			t.Errorf("%s: after %d bytes: %v", algorithm, written, err)
		}
	}
}

func TestEntries(t *testing.T) {
	entry := func(name, text string, size int64) Entry {
		return Entry{Name: name, Mode: 0o640, Size: size, Open: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader([]byte(text))), nil
		}}
	}
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := WriteEntries(out, []Entry{entry("a/b", "text", 4), entry("c", "", 0)}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same entries give other bytes")
	}
	cmd := exec.Command("tar", "-tvf", "-", "--utc", "--full-time")
	cmd.Stdin = &first
	if list, err := cmd.Output(); err != nil || !bytes.Contains(list, []byte("-rw-r----- root/root         4 1980-01-01 00:00:00 a/b\n")) {
		t.Errorf("%v\n%s", err, list)
	}
	for _, size := range []int64{3, 5} {
		if err := WriteEntries(io.Discard, []Entry{entry("x", "text", size)}); err == nil {
			t.Errorf("a file of 4 bytes was packed as one of %d", size)
		}
	}
}
