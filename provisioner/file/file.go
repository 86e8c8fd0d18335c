// Package file moves files between this machine and the guest, in both
// directions.
package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"kiln"
	"kiln/guest"
)

// Provisioner uploads or downloads files and folders.
type Provisioner struct {
	// A path to copy from: local for an upload, on the guest for a download. A folder with a trailing slash means what is in it; one without means the folder itself.
	Source string `kiln:"source,file,render=both"`
	// Several paths to copy from.
	Sources []string `kiln:"sources,file,render=both"`
	// Text to upload instead of a file; it gets mode 0600.
	Content string `kiln:"content"`
	// The path to copy to. A trailing slash means a folder.
	Destination string `kiln:"destination,render=both"`
	// Which way.
	Direction string `kiln:"direction,default=upload,oneof=upload|download"`
	// The source is made during the build: it need not exist when the template is checked.
	Generated bool `kiln:"generated"`
}

// Validate reports all that is wrong.
func (p *Provisioner) Validate() error {
	var errs []error
	if p.Destination == "" {
		errs = append(errs, kiln.Invalid("destination", "Destination must be specified."))
	}
	sources := p.sources()
	switch {
	case p.Content != "" && len(sources) > 0:
		errs = append(errs, kiln.Invalid("content", "source(s) conflicts with content"))
	case p.Content != "" && p.Direction == "download":
		errs = append(errs, kiln.Invalid("content", "content can only be uploaded"))
	case p.Content != "" && strings.HasSuffix(p.Destination, "/"):
		errs = append(
			errs,
			kiln.Invalid("destination", "content needs a file name: %q is a folder", p.Destination),
		)
	}
	for _, s := range sources {
		if p.Direction != "upload" || p.Generated {
			continue
		}
		if _, err := os.Stat(s); err != nil {
			field := "sources"
			if s == p.Source {
				field = "source"
			}
			errs = append(errs, kiln.Invalid(field, "Bad source '%s': %v", s, err))
		}
	}
	return errors.Join(errs...)
}

// sources are all paths to copy from: source comes last.
func (p *Provisioner) sources() []string {
	all := append([]string(nil), p.Sources...)
	if p.Source != "" {
		all = append(all, p.Source)
	}
	return all
}

// Traits: the effect of a download is on this machine.
func (p *Provisioner) Traits() kiln.Traits {
	return kiln.Traits{Outside: p.Direction == "download", NoScript: true}
}

// Provision copies.
func (p *Provisioner) Provision(ctx context.Context, b *kiln.Build, c kiln.Communicator) error {
	if p.Content != "" {
		return p.text(ctx, b, c)
	}
	for _, source := range p.sources() {
		var err error
		if p.Direction == "download" {
			err = p.download(ctx, b, c, source)
		} else {
			err = p.upload(ctx, b, c, source)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// text uploads the content. Scripts that read the output know it as a file of this name,
// which does not exist here.
func (p *Provisioner) text(ctx context.Context, b *kiln.Build, c kiln.Communicator) error {
	name := filepath.Join(os.TempDir(), fmt.Sprintf("pkr-file-content%d", rand.Uint32()))
	b.Say("Uploading %s => %s", name, p.Destination)
	err := c.Upload(ctx, &kiln.Upload{
		Destination: p.Destination, Content: strings.NewReader(p.Content), Size: int64(len(p.Content)), Mode: 0o600,
	})
	return failed(ctx, b, "Upload", "upload content to "+p.Destination, err)
}

// failed shows an error as scripts know it, and adds what was tried. An error of a local
// file names that already.
func failed(ctx context.Context, b *kiln.Build, what, tried string, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	b.Error("%s failed: %v", what, err)
	if local, ok := err.(*fs.PathError); ok {
		return local
	}
	return fmt.Errorf("%s: %w", tried, err)
}

func (p *Provisioner) upload(ctx context.Context, b *kiln.Build, c kiln.Communicator, source string) error {
	b.Say("Uploading %s => %s", source, p.Destination)
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	up := &kiln.Upload{Destination: p.Destination, Source: source}
	total := int64(0)
	if info.IsDir() {
		up.ContentsOnly = strings.HasSuffix(source, "/")
	} else {
		total = info.Size()
		if strings.HasSuffix(p.Destination, "/") {
			up.Destination = p.Destination + filepath.Base(source)
		}
	}
	if kiln.IsPipe(source) {
		text, err := b.ReadFile(ctx, source)
		if err != nil {
			return fmt.Errorf("read source: %w", err)
		}
		total = int64(len(text))
		up.Source, up.Content, up.Size, up.Mode = "", bytes.NewReader(text), total, info.Mode().Perm()
	}
	up.Progress = progress(b, filepath.Base(source), total)
	return failed(ctx, b, "Upload", fmt.Sprintf("upload %s to %s", source, up.Destination), c.Upload(ctx, up))
}

// progress sends an event at most ten times a second.
func progress(b *kiln.Build, name string, total int64) func(int64) {
	var last time.Time
	return func(done int64) {
		if now := time.Now(); now.Sub(last) > 100*time.Millisecond {
			last = now
			b.Emit(kiln.Event{Kind: kiln.EventProgress, Text: name, Done: done, Total: total})
		}
	}
}

func (p *Provisioner) download(ctx context.Context, b *kiln.Build, c kiln.Communicator, source string) error {
	tree := strings.HasSuffix(source, "/") || guest.IsPattern(source)
	target := p.Destination
	folder := path.Dir(target)
	if strings.HasSuffix(target, "/") {
		folder = target
		if !tree {
			target += path.Base(source)
		}
	}
	b.Say("Downloading %s => %s", source, target)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make folder for the download: %w", err)
	}
	down := &kiln.Download{Source: source, Progress: progress(b, path.Base(source), 0)}
	if !tree {
		return fetch(ctx, b, c, down, target)
	}
	down.Tree, down.Destination, down.ContentsOnly = true, filepath.Join(p.Destination, folderName(source)), true
	return failed(ctx, b, "Download", "download "+source, c.Download(ctx, down))
}

// folderName is the name of a folder on the guest, under which what is in it goes into the
// destination; "" for a pattern, and where the path does not say the name.
func folderName(source string) string {
	home, rest := guest.SplitHome(source)
	if guest.IsPattern(source) || home != "" && strings.Trim(rest, "/") == "" {
		return ""
	}
	switch name := path.Base(source); name {
	case "/", ".", "..":
		return ""
	default:
		return name
	}
}

// fetch brings one file.
func fetch(
	ctx context.Context,
	b *kiln.Build,
	c kiln.Communicator,
	down *kiln.Download,
	target string,
) error {
	made, err := b.WriteFile(ctx, target, 0o666, func(w io.Writer) error {
		down.Writer = w
		return c.Download(ctx, down)
	})
	if err != nil {
		return failed(ctx, b, "Download", fmt.Sprintf("download %s to %s", down.Source, target), err)
	}
	// What was downloaded stays, whatever becomes of the build.
	return errors.Join(b.Release(made), b.Keep(made.Same))
}
