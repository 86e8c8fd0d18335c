// Package file makes an artifact of one file, without any machine.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

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
	if f.Source == "" && f.Content == "" {
		errs = append(errs, kiln.Caution(
			"content", "Both source file and contents are blank; target will have no content"))
	}
	return errors.Join(errs...)
}

// Start writes the file.
func (f *Builder) Start(ctx context.Context, b *kiln.Build) (kiln.Machine, error) {
	var in io.Reader = strings.NewReader(f.Content)
	mode := fs.FileMode(0o600)
	if f.Source != "" {
		source, err := b.Open(ctx, f.Source)
		if err != nil {
			return nil, err // it names the file, in words that users know
		}
		defer source.Close()
		in = source
		if info, err := os.Stat(f.Source); err == nil {
			mode = info.Mode().Perm()
		}
	}
	made, err := b.WriteFile(ctx, f.Target, mode, func(w io.Writer) error { return f.write(b, w, in) })
	if err != nil {
		return nil, fmt.Errorf("make target file: %w", err)
	}
	return &machine{f.Target, made, b}, nil
}

func (f *Builder) write(b *kiln.Build, w io.Writer, in io.Reader) error {
	if f.Source != "" {
		b.Say("Copying %s to %s", f.Source, f.Target)
	}
	n, err := io.Copy(w, in)
	if err != nil {
		return fmt.Errorf("copy source: %w", err)
	}
	if f.Source != "" {
		b.Say("Copied %d bytes", n)
	}
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
	return &kiln.Artifact{
		Builder: "packer.file", ID: "File", Text: "Stored file: " + m.target,
		Files: []string{m.target}, Resources: []kiln.Resource{m.file},
	}, m.b.Release(m.file)
}

// nowhere is the way into a machine that does not exist.
type nowhere struct{}

var errNowhere = errors.New(
	"the file builder makes no machine: only provisioners that run locally can be used with it",
)

func (nowhere) Run(context.Context, *kiln.Cmd) error           { return errNowhere }
func (nowhere) Upload(context.Context, *kiln.Upload) error     { return errNowhere }
func (nowhere) Download(context.Context, *kiln.Download) error { return errNowhere }
func (nowhere) Guest() kiln.Guest                              { return kiln.Guest{} }
func (nowhere) Close() error                                   { return nil }
