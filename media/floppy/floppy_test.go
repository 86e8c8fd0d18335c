package floppy

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"kiln"
	"kiln/kilntest"
	"kiln/media/files"
)

// read reads a disk: the content of each file by its path, "" for a folder with a slash
// at its end. It knows nothing of the code that writes.
func read(image []byte) (map[string]string, error) {
	le := binary.LittleEndian
	if len(image) != 1474560 || image[510] != 0x55 || image[511] != 0xaa {
		return nil, fmt.Errorf("not a disk")
	}
	sector, reserved := int(le.Uint16(image[11:])), int(le.Uint16(image[14:]))
	fats, perFAT, roots := int(image[16]), int(le.Uint16(image[22:])), int(le.Uint16(image[17:]))
	fat := image[reserved*sector:][:perFAT*sector]
	if second := image[(reserved+perFAT)*sector:][:perFAT*sector]; string(second) != string(fat) {
		return nil, fmt.Errorf("the two FATs differ")
	}
	root := image[(reserved+fats*perFAT)*sector:][:roots*32]
	data := image[(reserved+fats*perFAT)*sector+roots*32:]
	used := map[int]bool{}
	chain := func(cluster int) ([]byte, error) {
		var all []byte
		for cluster != 0 && cluster < 0xff8 {
			if used[cluster] || cluster < 2 {
				return nil, fmt.Errorf("cluster %d is used twice, or bad", cluster)
			}
			used[cluster] = true
			all = append(all, data[(cluster-2)*sector:][:sector]...)
			next := int(le.Uint16(fat[cluster*3/2:]))
			if cluster%2 == 1 {
				next >>= 4
			}
			cluster = next & 0xfff
		}
		return all, nil
	}
	all := map[string]string{}
	var folder func(at string, entries []byte) error
	folder = func(at string, entries []byte) error {
		var long []uint16
		for ; len(entries) >= 32 && entries[0] != 0; entries = entries[32:] {
			e := entries[:32]
			if e[11] == 0x0f {
				var part []uint16
				for _, p := range []int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30} {
					if u := le.Uint16(e[p:]); u != 0 && u != 0xffff {
						part = append(part, u)
					}
				}
				long = append(part, long...)
				continue
			}
			name := strings.TrimRight(string(e[:8]), " ")
			if ext := strings.TrimRight(string(e[8:11]), " "); ext != "" {
				name += "." + ext
			}
			if long != nil {
				name = string(utf16.Decode(long))
			}
			long = nil
			if e[11]&0x08 != 0 || name == "." || name == ".." {
				continue
			}
			content, err := chain(int(le.Uint16(e[26:])))
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if e[11]&0x10 != 0 {
				all[at+name+"/"] = ""
				if err := folder(at+name+"/", content); err != nil {
					return err
				}
				continue
			}
			size := int(le.Uint32(e[28:]))
			if size > len(content) {
				return fmt.Errorf("%s has %d bytes in clusters of %d", name, size, len(content))
			}
			if _, twice := all[at+name]; twice {
				return fmt.Errorf("%s is there twice", name)
			}
			all[at+name] = string(content[:size])
		}
		return nil
	}
	return all, folder("", root)
}

// sources are what the tests have on this machine.
var sources = map[string]string{
	"one.txt":                      "one",
	"answers/Autounattend.xml":     "<unattend/>",
	"answers/deep/second file.txt": strings.Repeat("second ", 300),
	"x/drivers/net/e1000.inf":      "net",
	"x/drivers/net/e1000.sys":      strings.Repeat("\x00\xff", 3000),
	"x/drivers/empty.cat":          "",
	"x/drivers/grüße.txt":          "ü",
}

var whole = Config{
	Files:   []string{"*.txt", "answers"},
	Dirs:    []string{"x/drivers", "one.txt", "x/none*"},
	Content: map[string]string{"deep/user-data": "#cloud-config\n", "ks.cfg": "text\n"},
	Label:   "OEMDRV",
}

var wholeFiles = map[string]string{
	"ONE.TXT":               "one",
	"Autounattend.xml":      "<unattend/>",
	"second file.txt":       strings.Repeat("second ", 300),
	"DRIVERS/":              "",
	"DRIVERS/NET/":          "",
	"DRIVERS/NET/E1000.INF": "net",
	"DRIVERS/NET/E1000.SYS": strings.Repeat("\x00\xff", 3000),
	"DRIVERS/EMPTY.CAT":     "",
	"DRIVERS/grüße.txt":     "ü",
	"user-data":             "#cloud-config\n",
	"KS.CFG":                "text\n",
}

// made makes the disk of a configuration and returns its image's path.
func made(t *testing.T, c Config) (*kiln.Build, *kilntest.Recorder, string) {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	b, r := kilntest.NewBuild(t)
	path, err := c.Make(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return b, r, path
}

func content(t *testing.T, path string) map[string]string {
	t.Helper()
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all, err := read(image)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestDisk(t *testing.T) {
	kilntest.WorkIn(t, sources)
	b, r, path := made(t, whole)
	if diff := cmp.Diff(wholeFiles, content(t, path)); diff != "" {
		t.Error(diff)
	}
	said := strings.Join(r.Texts(kiln.EventSay), "\n")
	for _, want := range []string{
		"Creating floppy disk...", "Copying files flatly from floppy_files", "Copying file: one.txt",
		"Copying directory: answers", "Adding file: answers/Autounattend.xml", "Done copying files from floppy_files",
		"Resulting paths from floppy_dirs : [x/drivers one.txt]", "Recursively copying : x/drivers",
		"Done copying files from floppy_content",
	} {
		if !strings.Contains(said, filepath.FromSlash(want)) {
			t.Errorf("it did not say %q, but\n%s", want, said)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the image is %v, %v", info, err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil || len(r.Balance()) != 0 {
		t.Errorf("the image stays when the build has ended: %v", r.Balance())
	}
}

func TestNothingWanted(t *testing.T) {
	c := Config{Label: "longer than it may be"}
	if _, r, path := made(t, c); path != "" || r.Owns() != 0 {
		t.Errorf("it made %q", path)
	}
}

// The same files make the same disk, bit by bit.
func TestSameDisk(t *testing.T) {
	disk := func(names ...string) []byte {
		root := &files.Node{}
		for _, n := range names {
			if err := root.Put(n, files.Content([]byte(n), time.Unix(1, 0)), fold, files.Later); err != nil {
				t.Fatal(err)
			}
		}
		image, err := format(root, "x", time.Unix(1700000000, 0))
		if err != nil {
			t.Fatal(err)
		}
		return image
	}
	if string(disk("a b", "c", "d/e")) != string(disk("d/e", "c", "a b")) {
		t.Error("the disks differ")
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ long, short string }{
		{"one.txt", "ONE     TXT"}, {"A", "A          "}, {"a-b_c.~1", "A-B_C   ~1 "}, {"12345678.123", "12345678123"},
		{"user-data", "USER-D~1   "}, {"Autounattend.xml", "AUTOUN~1XML"}, {".bashrc", "BASHRC~1   "},
		{"a.b.c", "AB~1    C  "}, {"a b.txt", "AB~1    TXT"}, {"one.conf", "ONE~1   CON"}, {"grüße", "GR__E~1    "},
		{"a.", "A~1        "}, {"ı", "I~1        "}, {"...", "~1         "}, {"a+b.txt", "A_B~1   TXT"},
	} {
		names, err := shortNames(&files.Node{Children: []*files.Node{{Name: c.long}}})
		if err != nil || string(names[0][:]) != c.short {
			t.Errorf("%q is %q, want %q (%v)", c.long, names[0], c.short, err)
		}
	}
	many := &files.Node{}
	for i := range 20 {
		many.Children = append(many.Children, &files.Node{Name: fmt.Sprintf("long name %d", i)})
	}
	many.Children = append(many.Children, &files.Node{Name: "LONGNA~1"})
	names, err := shortNames(many)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(names, func(a, b shortName) int { return strings.Compare(string(a[:]), string(b[:])) })
	if got := len(slices.Compact(names)); got != 21 {
		t.Errorf("21 names have %d short ones", got)
	}
}

func TestRefused(t *testing.T) {
	kilntest.WorkIn(t, map[string]string{
		"a/x.txt": "1", "b/x.txt": "2", "c/x.txt": "1", "a/long name": "1", "b/LONG name": "2", "odd/a:b": "",
		"ring/a": "",
		"big":    strings.Repeat("x", 1500000), "half/1": strings.Repeat("x", 800000),
		"half/2": strings.Repeat("x", 800000),
	})
	if err := os.Symlink("../ring", "ring/loop"); err != nil {
		t.Fatal(err)
	}
	many := map[string]string{}
	for i := range 120 {
		many[fmt.Sprintf("a long name %d", i)] = ""
	}
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Files: []string{"missing"}}, "Bad Floppy disk file 'missing': "},
		{Config{Dirs: []string{"missing"}}, "Bad Floppy disk directory 'missing': "},
		{Config{Files: []string{"a["}}, "Bad Floppy disk file 'a[': "},
		{Config{Content: map[string]string{"x/": ""}}, `"x/" is not the name of a file`},
		{Config{Files: []string{"a"}, Label: "123456789"}, "must be 8 bytes or less"},
		{Config{Files: []string{"a/x.txt", "b/x.txt"}}, "name already exists: x.txt"},
		{Config{Files: []string{"a/*", "b/*"}}, "name already exists: "},
		{Config{Files: []string{"odd"}}, `the name "a:b" cannot stand on a floppy disk`},
		{Config{Files: []string{"big"}}, "FAT FULL: big does not fit"},
		{Config{Dirs: []string{"half"}}, "FAT FULL: half/2 does not fit"},
		{Config{Content: many}, "room for 224 entries"},
		{Config{Dirs: []string{"ring"}}, "leads back"},
		{Config{Files: []string{os.DevNull}}, "neither a file nor a folder"},
	} {
		b, r := kilntest.NewBuild(t)
		err := c.config.Validate()
		if err == nil {
			_, err = c.config.Make(t.Context(), b)
		}
		if err == nil || !strings.Contains(err.Error(), filepath.FromSlash(c.want)) {
			t.Errorf("%.100v: %v, want %q", c.config, err, c.want)
		}
		if left := r.Balance(); len(left) != 0 {
			t.Errorf("%v is left", left)
		}
	}
	same := Config{
		Files: []string{"a/x.txt", "c/x.txt"}, Dirs: []string{"a/*"}, Content: map[string]string{"LONG NAME": "new"},
	}
	if _, _, path := made(t, same); content(t, path)["X.TXT"] != "1" || content(t, path)["long name"] != "new" {
		t.Errorf("there is %v", content(t, path))
	}
}

func TestCancelled(t *testing.T) {
	kilntest.WorkIn(t, sources)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b, r := kilntest.NewBuild(t)
	if _, err := whole.Make(ctx, b); err == nil || len(r.Balance()) != 0 {
		t.Errorf("it ended with %v and left %v", err, r.Balance())
	}
}

// mtools and fsck.fat read it as we mean it.
func TestIndependentReaders(t *testing.T) {
	_, err := exec.LookPath("mcopy")
	kilntest.Require(t, "mtools", err)
	kilntest.WorkIn(t, sources)
	_, _, path := made(t, whole)
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "MTOOLS_NO_VFAT=0", "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	if label := run("mlabel", "-s", "-i", path, "::"); !strings.Contains(label, "OEMDRV") {
		t.Errorf("the label is %q", label)
	}
	listed := strings.Split(strings.TrimSpace(run("mdir", "-/", "-b", "-i", path, "::")), "\n")
	var want []string
	for name := range wholeFiles {
		want = append(want, "::/"+name)
	}
	lower := func(names []string) []string {
		for i := range names {
			names[i] = strings.ToLower(names[i])
		}
		slices.Sort(names)
		return names
	}
	if diff := cmp.Diff(lower(want), lower(listed)); diff != "" {
		t.Error(diff)
	}
	if long := run("mdir", "-i", path, "::"); !strings.Contains(long, "Autounattend.xml") {
		t.Errorf("mdir shows no long name:\n%s", long)
	}
	for _, name := range slices.Sorted(maps.Keys(wholeFiles)) {
		if strings.HasSuffix(name, "/") {
			continue
		}
		out := filepath.Join(t.TempDir(), "out")
		run("mcopy", "-n", "-i", path, "::/"+name, out)
		if got, err := os.ReadFile(out); err != nil || string(got) != wholeFiles[name] {
			t.Errorf("mcopy reads %.50q of %s (%v)", got, name, err)
		}
	}
	fsck, err := exec.LookPath("fsck.fat")
	if err != nil {
		fsck, err = exec.LookPath("/usr/sbin/fsck.fat")
	}
	kilntest.Require(t, "fsck.fat", err)
	for _, label := range []string{"OEMDRV", "packer", ""} {
		c := whole
		c.Label = label
		_, _, path := made(t, c)
		if out := run(fsck, "-n", path); strings.Count(out, "\n") != 2 {
			t.Errorf("fsck.fat says\n%s", out)
		}
	}
}

// Whatever the names are: what is written is what is read, or the name is refused.
func FuzzDisk(f *testing.F) {
	for _, names := range []string{"a", "a/b\nlong name.txt", "user-data\nmeta-data", "x/y/z/\x00", "é\n\xff", "A\na"} {
		f.Add(names, "text")
	}
	f.Fuzz(func(t *testing.T, names, text string) {
		root := &files.Node{}
		want := map[string]string{}
		for name := range strings.SplitSeq(names, "\n") {
			name, err := files.Clean(name)
			if err != nil {
				continue
			}
			if root.Put(name, files.Content([]byte(text), time.Unix(0, 0)), fold, files.Later) == nil {
				want[fold(name)] = text
			}
		}
		image, err := format(root, "fuzz", time.Unix(0, 0))
		if err != nil {
			return
		}
		all, err := read(image)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for name, text := range all {
			if !strings.HasSuffix(name, "/") {
				found++
			}
			if !strings.HasSuffix(name, "/") && want[fold(name)] != text {
				t.Errorf("%q is read as %q, want %q", name, text, want[fold(name)])
			}
		}
		if found != len(want) {
			t.Errorf("%d files are read, want %d: %v", found, len(want), all)
		}
	})
}
