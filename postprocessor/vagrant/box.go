package vagrant

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kiln"
	"kiln/archive"
)

// contents are what a provider wants to have in its box.
type contents struct {
	files       []archive.Entry
	metadata    map[string]any
	vagrantfile string // its part of the Vagrantfile
}

// work is the making of one box.
type work struct {
	ctx context.Context
	b   *kiln.Build
	in  *kiln.Artifact
}

// file is an entry with the content of a local file.
func (w *work) file(path, name string) (archive.Entry, error) {
	info, err := os.Stat(path)
	if err != nil {
		return archive.Entry{}, err
	}
	if !info.Mode().IsRegular() {
		return archive.Entry{}, fmt.Errorf("%s cannot go into a box: it is not a file", path)
	}
	return archive.Entry{Name: name, Mode: info.Mode(), Size: info.Size(), Open: func() (io.ReadCloser, error) {
		f, err := kiln.Open(w.ctx, path)
		if err != nil {
			return nil, err
		}
		return w.progress(f, path), nil
	}}, nil
}

// progress is f, which tells of progress as it is read.
func (w *work) progress(f io.ReadCloser, path string) io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{archive.Progress(w.ctx, w.b, filepath.Base(path), f), f}
}

// text is an entry with a given content.
func text(name string, content []byte) archive.Entry {
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	return archive.Entry{Name: name, Mode: 0o644, Size: int64(len(content)), Open: open}
}

// flat are entries with the content of files, under their base names.
func (w *work) flat(files []string) ([]archive.Entry, error) {
	var all []archive.Entry
	for _, path := range files {
		e, err := w.file(path, filepath.Base(path))
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// entries are all entries of a box, in the order of their names. Of two with one name, what the
// provider wants wins over what the template includes; metadata that is included stays.
func (p *PostProcessor) entries(w *work, x *contents, vars map[string]any) ([]archive.Entry, error) {
	all := map[string]archive.Entry{}
	included, err := w.flat(p.Include)
	if err != nil {
		return nil, fmt.Errorf("include: %w", err)
	}
	for _, e := range included {
		if _, twice := all[e.Name]; twice {
			return nil, fmt.Errorf("include: two files would be %s in the box", e.Name)
		}
		all[e.Name] = e
	}
	vagrantfile, err := p.vagrantfile(w, x.vagrantfile, vars)
	if err != nil {
		return nil, err
	}
	own := append(slices.Clone(x.files), text("Vagrantfile", vagrantfile))
	names := map[string]bool{}
	for _, e := range own {
		if names[e.Name] {
			return nil, fmt.Errorf("two files of the artifact would be %s in the box", e.Name)
		}
		names[e.Name] = true
		if _, included := all[e.Name]; included {
			w.b.Warn("the included %s is not in the box: one of its own has this name", e.Name)
		}
		all[e.Name] = e
	}
	if _, included := all["metadata.json"]; !included {
		m := maps.Clone(x.metadata)
		m["architecture"] = p.Architecture
		line, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		all["metadata.json"] = text("metadata.json", append(line, '\n'))
	}
	return slices.SortedFunc(maps.Values(all), func(a, b archive.Entry) int {
		return slices.Compare(strings.Split(a.Name, "/"), strings.Split(b.Name, "/"))
	}), nil
}

// vagrantfile is the box's Vagrantfile: the provider's part, and then the template's.
func (p *PostProcessor) vagrantfile(w *work, own string, vars map[string]any) ([]byte, error) {
	custom := ""
	if p.VagrantfileTemplate != "" {
		text, err := w.b.ReadFile(w.ctx, p.VagrantfileTemplate)
		if err != nil {
			return nil, fmt.Errorf("vagrantfile_template: %w", err)
		}
		if custom, err = w.b.Render(string(text), vars); err != nil {
			return nil, fmt.Errorf("vagrantfile_template %s: %w", p.VagrantfileTemplate, err)
		}
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "# What the provider needs for this box.\n%s\n", own)
	fmt.Fprintf(&out, "# What the template of the image adds, if anything.\n%s", custom)
	return out.Bytes(), nil
}

// configure is a Vagrantfile with some lines for one provider.
func configure(provider string, lines ...string) string {
	var s strings.Builder
	s.WriteString("Vagrant.configure(\"2\") do |config|\n")
	fmt.Fprintf(&s, "  config.vm.provider :%s do |%[1]s, override|\n", provider)
	for _, l := range lines {
		fmt.Fprintf(&s, "    %s\n", l)
	}
	s.WriteString("  end\nend\n")
	return s.String()
}

// ruby is text as a string of Ruby's.
func ruby(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `#`, `\#`, "\n", `\n`).Replace(text) + `"`
}

// under is the path of a file within a folder, with forward slashes; "" if it is not in it.
func under(dir, path string) string {
	rel, err := filepath.Rel(dir, path)
	if err != nil || !fs.ValidPath(filepath.ToSlash(rel)) || rel == "." {
		return ""
	}
	return filepath.ToSlash(rel)
}
