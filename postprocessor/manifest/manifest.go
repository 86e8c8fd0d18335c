// Package manifest keeps a list of all artifacts in a JSON file, for scripts that
// come after the build.
package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"kiln"
	"kiln/driver/lock"
)

// PostProcessor adds the artifact to the manifest.
type PostProcessor struct {
	// Path of the manifest.
	Output string `kiln:"output,default=packer-manifest.json"`
	// Write base names of files only.
	StripPath bool `kiln:"strip_path"`
	// Leave out the time of the build.
	StripTime bool `kiln:"strip_time"`
	// Further values to write with the artifact.
	CustomData map[string]string `kiln:"custom_data,render=both"`
}

// Traits: the input is kept.
func (p *PostProcessor) Traits() kiln.Traits {
	return kiln.Traits{Keep: kiln.Keep{Default: true, Forced: true}}
}

// The file's form is Packer's, see docs/compat/post-processors.md 2. The order of keys counts.
type file struct {
	Builds  []json.RawMessage `json:"builds"`
	LastRun string            `json:"last_run_uuid"`
}

type entry struct {
	Name   string            `json:"name"`
	Type   string            `json:"builder_type"`
	Time   int64             `json:"build_time,omitempty"`
	Files  []artifactFile    `json:"files"`
	ID     string            `json:"artifact_id"`
	Run    string            `json:"packer_run_uuid"`
	Custom map[string]string `json:"custom_data"`
}

type artifactFile struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// Process adds the artifact. Builds that do so at one time wait for each other.
func (p *PostProcessor) Process(
	ctx context.Context,
	b *kiln.Build,
	in *kiln.Artifact,
) (*kiln.Artifact, error) {
	run, _ := b.Data()["PackerRunUUID"].(string)
	if run == "" {
		run = b.Run
	}
	e := entry{Name: b.Source, Type: b.Type, ID: in.ID, Run: run, Custom: p.CustomData}
	if !p.StripTime {
		e.Time = time.Now().Unix()
	}
	for _, name := range in.Files {
		f := artifactFile{Name: name}
		if info, err := os.Stat(name); err == nil {
			f.Size = info.Size()
		}
		if p.StripPath {
			f.Name = filepath.Base(name)
		}
		e.Files = append(e.Files, f)
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	path, err := filepath.Abs(p.Output)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make folder of the manifest: %w", err)
	}
	unlock, err := lock.Folder(ctx, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("lock the manifest: %w", err)
	}
	defer unlock()
	return in, p.update(ctx, b, path, run, text)
}

func (p *PostProcessor) update(ctx context.Context, b *kiln.Build, path, run string, entry []byte) error {
	var m file
	old, err := kiln.Written(path)
	switch {
	case err != nil:
		return fmt.Errorf("read the manifest: %w", err)
	case len(bytes.TrimSpace(old)) > 0:
		if err := json.Unmarshal(old, &m); err != nil {
			return fmt.Errorf("%s is no manifest: %w", path, err)
		}
	}
	if b.Force && m.LastRun != run {
		m = file{}
	}
	m.Builds, m.LastRun = append(m.Builds, entry), run
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	// A manifest tells of several builds: one that fails does not take it along.
	r, err := b.WriteFile(ctx, path, 0o664, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	return errors.Join(b.Release(r), b.Keep(r.Same))
}
