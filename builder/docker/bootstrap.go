package docker

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/moby/client"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"kiln"
	"kiln/driver/docker"
	"kiln/guest/tree"
)

// dockerfileName is the Dockerfile's name within what is sent to the engine, so
// that it may stand outside of the folder.
const dockerfileName = ".kiln.Dockerfile"

// bootstrap builds the Dockerfile, and gives the name of the image that came of
// it. The name is ours and goes with the build; the image stays if something is
// made of it.
func (m *machine) bootstrap(ctx context.Context) (string, error) {
	cfg := m.cfg.Build
	name := "kiln-build:" + kiln.RandomName(12)
	r := m.resource("tag", name)
	if err := m.b.Own(r, func(ctx context.Context) error { return removeImage(ctx, m.engine, name) }); err != nil {
		return "", err
	}
	m.b.Say("Building base image from %s", cfg.Path)
	in := tree.Ahead(ctx, func(w io.Writer) error { return cfg.send(ctx, w) })
	defer in.Close()
	o := client.ImageBuildOptions{
		Tags:        []string{name},
		Dockerfile:  dockerfileName,
		Remove:      true,
		ForceRemove: true,
		PullParent:  cfg.Pull == nil || *cfg.Pull,
		BuildArgs:   map[string]*string{},
	}
	for k, v := range cfg.Arguments {
		o.BuildArgs[k] = &v
	}
	text := cfg.Platform
	if text == "" {
		text = m.cfg.Platform
	}
	if text != "" {
		p, err := platform(text)
		if err != nil {
			return "", err
		}
		o.Platforms = []ocispec.Platform{*p}
	}
	res, err := m.engine.ImageBuild(ctx, in, o)
	if err == nil {
		err = docker.Follow(m.b, "build", docker.Messages(ctx, json.NewDecoder(res.Body)))
		err = errors.Join(err, res.Body.Close())
	}
	if err != nil {
		return "", fmt.Errorf("build %s: %w", cfg.Path, err)
	}
	return name, nil
}

// send writes the folder, less what .dockerignore names, and the Dockerfile.
func (cfg *Bootstrap) send(ctx context.Context, w io.Writer) error {
	if cfg.Compress {
		z := gzip.NewWriter(w)
		defer z.Close()
		w = z
	}
	t := tar.NewWriter(w)
	ignore, err := cfg.ignored()
	if err != nil {
		return err
	}
	skip := func(name string, folder bool) (bool, error) {
		skip, err := ignore.MatchesOrParentMatches(filepath.FromSlash(name))
		if err == nil && skip && folder && !ignore.Exclusions() {
			err = fs.SkipDir
		}
		return skip, err
	}
	err = tree.WalkAsIs(ctx, cfg.Dir, skip, func(e tree.Entry) error {
		if e.Name == "." {
			return nil
		}
		return tree.WriteEntry(ctx, t, e, e.Name, 0, 0)
	})
	if err != nil {
		return err
	}
	text, err := os.ReadFile(cfg.Path)
	if err != nil {
		return err
	}
	info, err := os.Stat(cfg.Path)
	if err != nil {
		return err
	}
	if err := t.WriteHeader(tree.Header(dockerfileName, 0o644, int64(len(text)), info.ModTime(), 0, 0)); err != nil {
		return err
	}
	if _, err := t.Write(text); err != nil {
		return err
	}
	return t.Close()
}

func (cfg *Bootstrap) ignored() (*patternmatcher.PatternMatcher, error) {
	f, err := os.Open(filepath.Join(cfg.Dir, ".dockerignore"))
	if errors.Is(err, fs.ErrNotExist) {
		return patternmatcher.New(nil)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	patterns, err := ignorefile.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf(".dockerignore: %w", err)
	}
	return patternmatcher.New(patterns)
}
