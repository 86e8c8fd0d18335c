// Package checksum writes the checksums of the artifact's files to files of their
// own.
package checksum

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"slices"

	"kiln"
)

// PostProcessor computes checksums.
type PostProcessor struct {
	// Which checksums.
	ChecksumTypes []string `kiln:"checksum_types,default=md5"`
	// Path of the checksum file, with {{.BuildName}}, {{.BuilderType}} and {{.ChecksumType}}; lines are added to one that exists.
	Output string `kiln:"output,default=packer_{{.BuildName}}_{{.BuilderType}}_{{.ChecksumType}}.checksum,render=run"`
}

var hashes = map[string]func() hash.Hash{
	"md5":    md5.New,
	"sha1":   sha1.New,
	"sha224": sha256.New224,
	"sha256": sha256.New,
	"sha384": sha512.New384,
	"sha512": sha512.New,
}

// Validate checks the types.
func (p *PostProcessor) Validate() error {
	var errs []error
	for _, t := range p.ChecksumTypes {
		if hashes[t] == nil {
			errs = append(
				errs,
				kiln.Invalid(
					"checksum_types",
					"Unrecognized checksum type: %s (known are md5, sha1, sha224, sha256, sha384, sha512)",
					t,
				),
			)
		}
	}
	return errors.Join(errs...)
}

// Traits: the input is kept.
func (p *PostProcessor) Traits() kiln.Traits {
	return kiln.Traits{Keep: kiln.Keep{Default: true, Forced: true}}
}

// Process reads each file once for all types.
func (p *PostProcessor) Process(
	ctx context.Context,
	b *kiln.Build,
	in *kiln.Artifact,
) (*kiln.Artifact, error) {
	out := &kiln.Artifact{
		Builder: "packer.post-processor.checksum",
		Files:   slices.Clone(in.Files),
		Text:    "Created artifact from files: ",
	}
	if len(in.Files) == 0 {
		b.Warn("the artifact %s has no files: no checksum is written. To sum what an earlier step wrote, such as "+
			"docker-save, name it with the post-processor artifice before this one.", in.ID)
	}
	sums := make([][]string, len(in.Files))
	for i, f := range in.Files {
		var err error
		if sums[i], err = sum(ctx, b, f, p.ChecksumTypes); err != nil {
			return nil, err
		}
	}
	var paths []string
	lines := map[string]string{} // by path: several types may share a file
	for t, name := range p.ChecksumTypes {
		vars := map[string]any{"BuildName": b.Source, "BuilderType": b.Type, "ChecksumType": name}
		for k, v := range in.Data {
			if _, ok := vars[k]; !ok {
				vars[k] = v
			}
		}
		path, err := b.Render(p.Output, vars)
		if err != nil {
			return nil, fmt.Errorf("output: %w", err)
		}
		if len(in.Files) > 0 && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
		for i, f := range in.Files {
			lines[path] += sums[i][t] + "\t" + filepath.Base(f) + "\n"
		}
	}
	for _, path := range paths {
		made, err := write(ctx, b, path, lines[path])
		if err != nil {
			return nil, fmt.Errorf("write checksums: %w", err)
		}
		out.Resources = append(out.Resources, made)
		if !slices.Contains(out.Files, path) {
			out.Files = append(out.Files, path)
		}
	}
	for i, f := range out.Files {
		if i > 0 {
			out.Text += ", "
		}
		out.Text += f
	}
	return out, nil
}

func sum(ctx context.Context, b *kiln.Build, path string, types []string) ([]string, error) {
	f, err := b.Open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("read artifact: %w", err)
	}
	defer f.Close()
	var all []hash.Hash
	var writers []io.Writer
	for _, t := range types {
		h := hashes[t]()
		all, writers = append(all, h), append(writers, h)
	}
	if _, err := io.Copy(io.MultiWriter(writers...), reader{ctx, f}); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var sums []string
	for _, h := range all {
		sums = append(sums, hex.EncodeToString(h.Sum(nil)))
	}
	return sums, nil
}

// reader stops when the build is cancelled.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// write appends lines to a file of checksums, as Packer does where it exists.
func write(ctx context.Context, b *kiln.Build, path, lines string) (kiln.Resource, error) {
	before, err := kiln.Written(path)
	if err != nil {
		return kiln.Resource{}, err
	}
	r, err := b.WriteFile(ctx, path, 0o666, func(w io.Writer) error {
		_, err := w.Write(append(before, lines...))
		return err
	})
	return r, errors.Join(err, b.Release(r))
}
