package cd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kiln"
	"kiln/kilntest"
	"kiln/media/files"
)

var (
	long80  = strings.Repeat("long80-", 11) + ".sys"
	long250 = strings.Repeat("é", 120) + ".document"
	big     = strings.Repeat("0123456789abcdef", 5000)
)

var sources = map[string]string{
	"user-data":                       "#cloud-config\n",
	"x/drivers/net/e1000.inf":         "net",
	"x/drivers/" + long80:             "80",
	"x/drivers/" + long250:            "250",
	"x/drivers/empty":                 "",
	"x/drivers/.hidden":               "hidden",
	"scripts/run.sh":                  "#!/bin/sh\n",
	"scripts/a b.txt":                 "spaces",
	"tree/deep/1/2/3/4/5/6/7/8/9/ten": "ten",
	"tree/Case":                       "upper",
	"tree/case":                       "lower",
	"tree/big":                        big,
	"other/file":                      "other",
}

// whole has what cannot be told of by a key of sources.
func everything(t *testing.T) Config {
	t.Helper()
	kilntest.WorkIn(t, sources)
	for _, err := range []error{
		os.Chmod("scripts/run.sh", 0o750), os.Mkdir("x/drivers/nothing", 0o755),
		os.Symlink("../../user-data", "x/drivers/led"), os.Symlink("../other", "scripts/folder"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return Config{
		Files: []string{"user-d*", "./x/drivers", "scripts/", "tree/*", "none*"},
		Content: map[string]string{
			"meta-data": "instance-id: x\n", "/a/b/c.txt": "abc", "user-data": "#cloud-config\nnew\n",
		},
		Label: "cidata",
	}
}

func wholeFiles() map[string]string {
	all := map[string]string{
		"user-data": "#cloud-config\nnew\n", "meta-data": "instance-id: x\n", "a/": "", "a/b/": "", "a/b/c.txt": "abc",
		"drivers/": "", "drivers/net/": "", "drivers/net/e1000.inf": "net", "drivers/" + long80: "80",
		"drivers/" + long250: "250", "drivers/empty": "", "drivers/.hidden": "hidden", "drivers/nothing/": "",
		"drivers/led": "#cloud-config\n",
		"run.sh":      "#!/bin/sh\n", "a b.txt": "spaces", "folder/": "", "folder/file": "other",
		"Case": "upper", "case": "lower", "big": big,
	}
	deep := "deep/"
	for i := 1; i <= 9; i++ {
		all[deep] = ""
		deep += fmt.Sprintf("%d/", i)
	}
	all[deep] = ""
	all[deep+"ten"] = "ten"
	return all
}

// jolietName is a name as Joliet has it where it is too long for that.
func jolietName(name string) string {
	return strings.ReplaceAll(name, long250, strings.Repeat("é", 94)+".document")
}

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

func content(t *testing.T, path string) disc {
	t.Helper()
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := read(image)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestImage(t *testing.T) {
	b, r, path := made(t, everything(t))
	d := content(t, path)
	if diff := cmp.Diff(wholeFiles(), d.rock); diff != "" {
		t.Errorf("Rock Ridge: %s", diff)
	}
	want := map[string]string{}
	for name, text := range wholeFiles() {
		want[jolietName(name)] = text
	}
	if diff := cmp.Diff(want, d.joliet); diff != "" {
		t.Errorf("Joliet: %s", diff)
	}
	if d.label != "cidata" || d.jolietLabel != "cidata" {
		t.Errorf("the labels are %q and %q", d.label, d.jolietLabel)
	}
	for name, mode := range map[string]uint32{"run.sh": modeProgram, "user-data": modeFile, "drivers/": modeFolder} {
		if d.modes[name] != mode {
			t.Errorf("the mode of %s is %o", name, d.modes[name])
		}
	}
	said := []string{"Creating CD disk...", "Done copying paths from CD_dirs"}
	if got := r.Texts(kiln.EventSay); !slices.Equal(got, said) {
		t.Errorf("it said %q", got)
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

// Each form of a folder: docs/compat/boot-and-media.md 4.
func TestForms(t *testing.T) {
	kilntest.WorkIn(t, map[string]string{"a/dir/sub/file": "x"})
	abs, err := filepath.Abs("a/dir")
	if err != nil {
		t.Fatal(err)
	}
	for form, want := range map[string]string{
		"a": "a/dir/sub/file", "a/dir": "dir/sub/file", "a/dir/": "sub/file", "a/dir/*": "sub/file",
		"./a":     "a/dir/sub/file",
		"./a/dir": "dir/sub/file", "./a/dir/": "sub/file", "./a/": "dir/sub/file", abs: "dir/sub/file",
		abs + "/":    "sub/file",
		"a/../a/dir": "dir/sub/file", ".": "a/dir/sub/file", "a/dir/sub/file": "file", "a/*/sub": "sub/file",
	} {
		_, _, path := made(t, Config{Files: []string{form}})
		if got := content(t, path).rock; got[want] != "x" {
			t.Errorf("%s gives %v, want %s", form, got, want)
		}
	}
}

func TestNothingWanted(t *testing.T) {
	if _, r, path := made(t, Config{Label: strings.Repeat("x", 99)}); path != "" || r.Owns() != 0 {
		t.Errorf("it made %q", path)
	}
}

func TestRefused(t *testing.T) {
	kilntest.WorkIn(t, map[string]string{"ring/a": "", "file": ""})
	if err := os.Symlink("../ring", "ring/loop"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Files: []string{"missing"}}, "Bad CD disk file 'missing': "},
		{Config{Files: []string{""}}, "Bad CD disk file '': "},
		{Config{Files: []string{"a["}}, "Bad CD disk file 'a[': "},
		{Config{Content: map[string]string{"..": ""}}, `".." is not the name of a file`},
		{Config{Files: []string{"file"}, Label: strings.Repeat("x", 33)}, "must be 32 bytes or less"},
		{Config{Content: map[string]string{"a": "", "a/b": ""}}, "a is both a file and a folder"},
		{Config{Files: []string{"ring"}}, "leads back"},
		{Config{Files: []string{os.DevNull}}, "neither a file nor a folder"},
	} {
		b, r := kilntest.NewBuild(t)
		err := c.config.Validate()
		if err == nil {
			_, err = c.config.Make(t.Context(), b)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.config, err, c.want)
		}
		if left := r.Balance(); len(left) != 0 {
			t.Errorf("%v is left", left)
		}
	}
}

// laidOut lays out files of the given names.
func laidOut(t *testing.T, section int64, texts map[string]string) *image {
	t.Helper()
	root := &files.Node{}
	for name, text := range texts {
		if err := root.Put(name, files.Content([]byte(text), time.Unix(1600000000, 0)), same, files.Later); err != nil {
			t.Fatal(err)
		}
	}
	img, err := layOut(root, "a label that is long", time.Unix(1700000000, 0), section)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// A file that changes while it is copied is no CD with half of it.
func TestChanged(t *testing.T) {
	kilntest.WorkIn(t, map[string]string{"file": "1234"})
	for _, size := range []int64{3, 5} {
		root := &files.Node{}
		if err := root.Put("x", &files.File{Path: "file", Size: size}, same, files.Later); err != nil {
			t.Fatal(err)
		}
		img, err := layOut(root, "x", time.Now(), sectionSize)
		if err != nil {
			t.Fatal(err)
		}
		if err := img.writeTo(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "was changed") {
			t.Errorf("it ended with %v", err)
		}
	}
}

func TestCancelled(t *testing.T) {
	c := everything(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b, r := kilntest.NewBuild(t)
	if _, err := c.Make(ctx, b); err == nil || len(r.Balance()) != 0 {
		t.Errorf("it ended with %v and left %v", err, r.Balance())
	}
	if err := laidOut(t, sectionSize, map[string]string{"a": "b"}).writeTo(ctx, io.Discard); err == nil {
		t.Error("it was written")
	}
}

func imageOf(t *testing.T, img *image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := img.writeTo(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// golden is the digest of an image that the independent readers below were content with.
const golden = "fde4979acb869a4aa881d792a552fae8aa8f2dbd9128b5a18e7472f8ade6e053"

// The same files make the same CD, bit by bit.
func TestGolden(t *testing.T) {
	sum := sha256.Sum256(imageOf(t, laidOut(t, sectionSize, map[string]string{
		"one.txt": "1", "b/" + long80: "2", "b/c/": "", "b/c/" + long250: big, "a b": "",
	})))
	if got := fmt.Sprintf("%x", sum); got != golden {
		t.Errorf("the digest is %s", got)
	}
}

// Names that come to the same one in a tree are told apart, however many there are.
func TestManyNames(t *testing.T) {
	texts := map[string]string{}
	for i := range 3000 {
		texts[fmt.Sprintf("%s%d.conf", strings.Repeat("n", 110), i)] = fmt.Sprint(i)
	}
	d, err := read(imageOf(t, laidOut(t, sectionSize, texts)))
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(d.rock, texts) || len(d.plain) != 3000 || len(d.joliet) != 3000 {
		t.Errorf("%d, %d and %d names", len(d.rock), len(d.plain), len(d.joliet))
	}
}

// A file longer than a record can tell of has several.
func TestSections(t *testing.T) {
	texts := map[string]string{"big": big, "exact": big[:3*blockSize], "after": "x"}
	d, err := read(imageOf(t, laidOut(t, blockSize, texts)))
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(d.rock, texts) || !maps.Equal(d.joliet, texts) {
		t.Error("it is not what was written")
	}
	huge := &files.Node{}
	size := int64(9) << 30
	if err := huge.Put("huge", &files.File{Path: "x", Size: size}, same, files.Later); err != nil {
		t.Fatal(err)
	}
	img, err := layOut(huge, "x", time.Now(), sectionSize)
	if err != nil {
		t.Fatal(err)
	}
	if img.blocks < size/blockSize || bytes.Count(img.records(img.trees[0].folders[0]), []byte("HUGE.;1")) != 3 {
		t.Errorf("9 GiB have %d blocks", img.blocks)
	}
}

// xorriso and isoinfo read it as we mean it.
func TestIndependentReaders(t *testing.T) {
	for _, tool := range []string{"xorriso", "isoinfo"} {
		_, err := exec.LookPath(tool)
		kilntest.Require(t, tool, err)
	}
	_, _, path := made(t, everything(t))
	// One with sections, which real images have from 4 GiB on.
	sections := filepath.Join(t.TempDir(), "sections.iso")
	inSections := imageOf(t, laidOut(t, blockSize, map[string]string{"big": big}))
	if err := os.WriteFile(sections, inSections, 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	extracted := func(image, by string) map[string]string {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "out")
		run("xorriso", "-read_fs", by, "-osirrox", "on", "-indev", image, "-extract", "/", dir)
		defer run("chmod", "-R", "u+w", dir)
		return below(t, dir)
	}
	if diff := cmp.Diff(wholeFiles(), extracted(path, "nojoliet")); diff != "" {
		t.Errorf("xorriso by Rock Ridge: %s", diff)
	}
	want := map[string]string{}
	for name, text := range wholeFiles() {
		want[jolietName(name)] = text
	}
	if diff := cmp.Diff(want, extracted(path, "norock")); diff != "" {
		t.Errorf("xorriso by Joliet: %s", diff)
	}
	if got := extracted(sections, "any")["big"]; got != big {
		t.Errorf("xorriso reads %d bytes of %d in sections", len(got), len(big))
	}
	for _, flag := range []string{"-R", "-J"} {
		if listed := run("isoinfo", "-f", flag, "-i", path); !strings.Contains(listed, "/drivers/"+long80) {
			t.Errorf("isoinfo %s lists\n%s", flag, listed)
		}
	}
	if got := run("isoinfo", "-R", "-i", path, "-x", "/user-data"); got != "#cloud-config\nnew\n" {
		t.Errorf("isoinfo reads %q by Rock Ridge", got)
	}
	if got := run("isoinfo", "-J", "-i", path, "-x", "/a b.txt"); got != "spaces" {
		t.Errorf("isoinfo reads %q by Joliet", got)
	}
	if got := run("isoinfo", "-i", path, "-x", "/META_DATA.;1"); got != "instance-id: x\n" {
		t.Errorf("isoinfo reads %q by the plain name", got)
	}
	for _, want := range []string{
		"Volume id: cidata\n", "Rock Ridge signatures version 1 found", "Joliet with UCS level 3 found",
	} {
		if got := run("isoinfo", "-d", "-i", path); !strings.Contains(got, want) {
			t.Errorf("isoinfo does not say %q but\n%s", want, got)
		}
	}
}

// below is what is below a folder.
func below(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			all[name+"/"] = ""
			return nil
		}
		text, err := os.ReadFile(path)
		all[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Whatever the names are: what is written is what is read.
func FuzzImage(f *testing.F) {
	for _, names := range []string{
		"a", "a/b\nlong name.txt", "user-data\nmeta-data", "x/y/z/\x00", "é\n\xff", "A\na", "a\na.\n.a",
		"😀😀😀" + long250, "a*\na?\na:b", strings.Repeat("d/", 30) + "f",
	} {
		f.Add(names, "text", "label")
	}
	f.Fuzz(func(t *testing.T, names, text, label string) {
		root := &files.Node{}
		want := map[string]string{}
		for name := range strings.SplitSeq(names, "\n") {
			name, err := files.Clean(name)
			if err != nil || len(name) > 200 {
				continue
			}
			if root.Put(name, files.Content([]byte(text), time.Unix(0, 0)), same, files.Later) == nil {
				want[name] = text
			}
		}
		img, err := layOut(root, label, time.Unix(0, 0), sectionSize)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := img.writeTo(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		d, err := read(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for _, all := range []map[string]string{d.rock, d.joliet, d.plain} {
			maps.DeleteFunc(all, func(name, _ string) bool { return strings.HasSuffix(name, "/") })
			if len(all) != len(want) {
				t.Errorf("it has %q, want %q", all, want)
			}
		}
		if !maps.Equal(want, d.rock) {
			t.Errorf("it has %q, want %q", d.rock, want)
		}
	})
}
