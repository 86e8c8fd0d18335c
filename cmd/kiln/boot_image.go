package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kiln"
	"kiln/schema"
)

// bootImage is what a machine is to be started from.
type bootImage struct {
	path  string   // as it was given
	kind  string   // type of the builder that made it, or qemu
	files []string // of its disks, where QEMU boots it
	// booter starts it where QEMU cannot, from the artifact.
	booter   kiln.Booter
	artifact *kiln.Artifact
}

// maxManifest bounds what is read of a file that may be a manifest.
const maxManifest = 64 << 20

// readImage looks whether a path is that of an image or of a manifest.
func readImage(path, build string) (*bootImage, error) {
	m, err := readManifest(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("image %s: %w", path, kiln.ErrNotFound)
	case err != nil:
		return nil, err
	case m != nil:
		return m.image(path, build)
	case build != "":
		return nil, fmt.Errorf("-build names a build of a manifest, and %s is none", path)
	}
	return &bootImage{path: path, kind: "qemu", files: []string{path}}, nil
}

// bootManifest is a manifest, as far as it says where images are.
type bootManifest struct {
	Builds []manifestEntry `json:"builds"`
	Last   string          `json:"last_run_uuid"`
}

type manifestEntry struct {
	Name  string `json:"name"`
	Type  string `json:"builder_type"`
	ID    string `json:"artifact_id"`
	Run   string `json:"packer_run_uuid"`
	Files []struct {
		Name string `json:"name"`
	} `json:"files"`
}

// readManifest reads a manifest; nil: the file is none.
func readManifest(path string) (*bootManifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 64)
	n, err := f.Read(head)
	if err != nil || !bytes.HasPrefix(bytes.TrimSpace(head[:n]), []byte("{")) {
		return nil, nil // a folder, an empty file, a disk: others say what is wrong with it
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return nil, err
	}
	m := new(bootManifest)
	if err := json.Unmarshal(text, m); err != nil || m.Builds == nil {
		return nil, nil
	}
	return m, nil
}

// image picks the image of a build: the newest one of that name, or of the last run.
func (m *bootManifest) image(path, build string) (*bootImage, error) {
	newest := map[string]manifestEntry{}
	var names, last []string
	for _, e := range m.Builds {
		newest[e.Name] = e
		if !slices.Contains(names, e.Name) {
			names = append(names, e.Name)
		}
		if e.Run == m.Last && !slices.Contains(last, e.Name) {
			last = append(last, e.Name)
		}
	}
	if build == "" {
		if len(last) == 0 {
			last = names
		}
		switch len(last) {
		case 0:
			return nil, fmt.Errorf("the manifest %s names no image", path)
		case 1:
			build = last[0]
		default:
			return nil, fmt.Errorf("the manifest %s has several images: choose one by -build, which is one of %s",
				path, strings.Join(names, ", "))
		}
	}
	e, ok := newest[build]
	if !ok {
		hint := "it has " + strings.Join(names, ", ")
		if near := schema.Suggest(build, names); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return nil, fmt.Errorf("the manifest %s has no build %q: %s", path, build, hint)
	}
	return e.image(path)
}

// image is that of an entry.
func (e *manifestEntry) image(path string) (*bootImage, error) {
	from := &bootImage{path: path, kind: e.Type, artifact: &kiln.Artifact{ID: e.ID}}
	for _, f := range e.Files {
		name := f.Name
		if _, err := os.Stat(name); err != nil && !filepath.IsAbs(name) {
			// It may be named from where the build ran: beside the manifest.
			if beside := filepath.Join(filepath.Dir(path), name); exists(beside) {
				name = beside
			}
		}
		from.files = append(from.files, name)
	}
	if component := made(components().Builders, e.Type); component != nil && len(from.files) == 0 {
		from.booter, _ = component.(kiln.Booter)
		configure(component)
	}
	if from.booter == nil && len(from.files) == 0 {
		return nil, fmt.Errorf("the manifest's image %s of builder %s is no file of this machine: it cannot be "+
			"started here", e.ID, e.Type)
	}
	return from, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// configure gives a component what it has where a template says nothing.
func configure(component any) {
	schema.Defaults(component)
	if o, ok := component.(interface {
		Offer(map[string]kiln.Connector)
	}); ok {
		connectors := map[string]kiln.Connector{}
		for name, newConnector := range components().Communicators {
			connectors[name] = newConnector()
			schema.Defaults(connectors[name])
		}
		o.Offer(connectors)
	}
}
