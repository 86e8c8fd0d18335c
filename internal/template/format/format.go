// Package format puts HCL2 files into the canonical layout.
package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/rogpeppe/go-internal/diff"

	"kiln"
)

// Source gives text the canonical layout, which is that of hclwrite: formatting its
// result again changes nothing. Text that is no HCL is an error with places, for
// template.Diagnose.
func Source(name string, text []byte) ([]byte, error) {
	if _, diags := hclsyntax.ParseConfig(text, name, hcl.InitialPos); diags.HasErrors() {
		return nil, diags
	}
	// One pass is nearly always enough; where an expression moves another, the next
	// pass finds it.
	const most = 8
	for range most {
		next := hclwrite.Format(text)
		if bytes.Equal(next, text) {
			break
		}
		text = next
	}
	return text, nil
}

// Options says what to do with files that change.
type Options struct {
	Write     bool // put the new text into the file
	Diff      bool // print what changes
	Recursive bool // enter folders inside a folder
	Out       io.Writer
	// Problem tells of a file that cannot be formatted. The others go on.
	Problem func(name string, text []byte, err error)
	// Journal owns what is not yet the new text; nil: nothing does.
	Journal kiln.Journal
}

// Path formats a file, or the files of a folder, and prints the name of each that
// changes. It returns how many do.
func (o Options) Path(path string) (changed int, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if !info.IsDir() {
		if !ours(path) {
			return 0, fmt.Errorf("file %s is not a HCL file", path)
		}
		return o.file(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		sub := filepath.Join(path, e.Name())
		n := 0
		switch {
		case ignored(e.Name()):
		case e.IsDir() && o.Recursive:
			n, err = o.Path(sub)
		case !e.IsDir() && ours(sub):
			n, err = o.file(sub)
		}
		changed += n
		if err != nil {
			o.Problem(sub, nil, err)
		}
	}
	return changed, nil
}

func ours(path string) bool {
	return strings.HasSuffix(path, ".pkr.hcl") || strings.HasSuffix(path, ".pkrvars.hcl")
}

// ignored names are those of editors and hidden files.
func ignored(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") ||
		strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#")
}

func (o Options) file(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	out, err := Source(path, text)
	if err != nil {
		o.Problem(path, text, err)
		return 0, nil
	}
	if bytes.Equal(out, text) {
		return 0, nil
	}
	if _, err := fmt.Fprintln(o.Out, path); err != nil {
		return 1, err
	}
	if o.Write {
		if err := o.replace(path, out); err != nil {
			return 1, fmt.Errorf("write %s: %w", path, err)
		}
	}
	if o.Diff {
		_, err = o.Out.Write(Diff(path, text, out))
	}
	return 1, err
}

// replace writes a file so that it is the old or the new one, whatever happens. A
// link stays one.
func (o Options) replace(path string, text []byte) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(real)
	if err != nil {
		return err
	}
	err = kiln.WriteOwned(o.Journal, real, text, info.Mode().Perm())
	if errors.Is(err, fs.ErrPermission) {
		return os.WriteFile(real, text, info.Mode().Perm())
	}
	return err
}

// Diff is a unified diff of a file's old and new text.
func Diff(path string, before, after []byte) []byte {
	out := diff.Diff(
		filepath.ToSlash(filepath.Join("old", path)),
		before,
		filepath.ToSlash(filepath.Join("new", path)),
		after,
	)
	_, rest, _ := bytes.Cut(out, []byte("\n")) // a line that only names the two
	return rest
}
