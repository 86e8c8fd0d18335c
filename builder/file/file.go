// Package file makes an artifact of one file, without any machine.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"kiln"
)

// Builder writes a file.
type Builder struct {
	// Path of the file to make. Folders on the way are made too.
	Target string `kiln:"target,required"`
	// A file to copy.
	Source string `kiln:"source,file"`
	// Text to write.
	Content string `kiln:"content"`
}

// Validate reports all that is wrong.
func (f *Builder) Validate() error {
	var errs []error
	if f.Target == "" {
		errs = append(errs, kiln.Invalid("target", "Must specify the target file"))
	}
	if f.Source != "" && f.Content != "" {
		errs = append(errs, kiln.Invalid("content", "Cannot specify source file AND content"))
	}
	return errors.Join(errs...)
}

// Start writes the file.
func (f *Builder) Start(ctx context.Context, b *kiln.Build) (kiln.Machine, error) {
	target, err := filepath.Abs(f.Target)
	if err != nil {
		return nil, err
	}
	if f.Source == "" && f.Content == "" {
		b.Warn("Warning: both source file and contents are blank; target will have no content")
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return nil, fmt.Errorf("make folder of the target: %w", err)
	}
	// Written beside the target and then moved there: a file of that name from
	// before stays until the new one is complete.
	part := kiln.Resource{Kind: kiln.KindFile, ID: target + ".kiln-" + kiln.RandomName(8)}
	if err := b.Own(part, kiln.RemoveFile(part.ID)); err != nil {
		return nil, err
	}
	if err := f.write(b, part.ID); err != nil {
		return nil, err
	}
	final := kiln.Resource{Kind: kiln.KindFile, ID: target}
	if _, err := os.Lstat(target); errors.Is(err, fs.ErrNotExist) {
		if err := b.Own(final, kiln.RemoveFile(target)); err != nil {
			return nil, err
		}
	}
	if err := os.Rename(part.ID, target); err != nil {
		return nil, fmt.Errorf("move file to its target: %w", err)
	}
	return &machine{f.Target, final, b}, b.Destroy(ctx, part)
}

func (f *Builder) write(b *kiln.Build, path string) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make target file: %w", err)
	}
	if f.Source == "" {
		_, err = io.WriteString(out, f.Content)
		return errors.Join(err, out.Close())
	}
	in, err := os.Open(f.Source)
	if err != nil {
		return errors.Join(fmt.Errorf("open source: %w", err), out.Close())
	}
	defer in.Close()
	b.Say("Copying %s to %s", f.Source, f.Target)
	n, err := io.Copy(out, in)
	if info, statErr := in.Stat(); err == nil && statErr == nil {
		err = out.Chmod(info.Mode().Perm())
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copy source: %w", err)
	}
	b.Say("Copied %d bytes", n)
	return nil
}

// machine is the file, which cannot be worked on.
type machine struct {
	target string
	file   kiln.Resource
	b      *kiln.Build
}

// Connect gives a communicator on which everything is an error.
func (m *machine) Connect(context.Context) (kiln.Communicator, error) { return nowhere{}, nil }

// Capture gives the file away.
func (m *machine) Capture(context.Context) (*kiln.Artifact, error) {
	return &kiln.Artifact{Builder: "packer.file", ID: "File", Text: "Stored file: " + m.target, Files: []string{m.target}}, m.b.Release(m.file)
}

// nowhere is the way into a machine that does not exist.
type nowhere struct{}

var errNowhere = errors.New("the file builder makes no machine: only provisioners that run locally can be used with it")

func (nowhere) Run(context.Context, *kiln.Cmd) error           { return errNowhere }
func (nowhere) Upload(context.Context, *kiln.Upload) error     { return errNowhere }
func (nowhere) Download(context.Context, *kiln.Download) error { return errNowhere }
func (nowhere) Close() error                                   { return nil }
