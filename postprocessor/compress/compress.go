// Package compress packs the artifact's files into one archive or compressed
// file.
package compress

import (
	"archive/tar"
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"kiln"
)

// PostProcessor packs files.
type PostProcessor struct {
	// Path of the result, with {{.BuildName}} and {{.BuilderType}}. Its extension says how it is packed: tar, zip, gz, bgzf, lz4, bzip2, xz, or tar.gz and so on; anything else is tar.gz.
	Output string `kiln:"output,default=packer_{{.BuildName}}_{{.BuilderType}},render=run"`
	// The extension, where output has none that says it.
	Format string `kiln:"format"`
	// From 1 (fast) to 9 (small), for gz, bgzf, lz4 and bzip2.
	CompressionLevel int `kiln:"compression_level,default=-1"`
}

// Validate checks the level.
func (p *PostProcessor) Validate() error {
	if p.CompressionLevel < -1 {
		return kiln.Invalid("compression_level", "compression_level is from 1 to 9, or -1 for the default, not %d", p.CompressionLevel)
	}
	p.CompressionLevel = min(p.CompressionLevel, 9)
	if p.CompressionLevel == 0 {
		p.CompressionLevel = -1
	}
	return nil
}

var extension = regexp.MustCompile(`\.([a-z0-9]+)`)

// form finds out how to pack from the name as the template writes it: the last two
// extensions count (post-processors.md 4).
func (p *PostProcessor) form() (archive, algorithm string) {
	name := p.Output
	if p.Format != "" {
		name += "." + p.Format
	}
	found := extension.FindAllStringSubmatch(name, -1)
	last, before := "", ""
	if n := len(found); n > 0 {
		last = found[n-1][1]
		if n > 1 {
			before = found[n-2][1]
		}
	}
	switch last {
	case "zip":
		return "zip", ""
	case "tar":
		return "tar", ""
	case "gz", "lz4", "bgzf", "xz", "bzip2":
		if before == "tar" {
			return "tar", last
		}
		return "", last
	}
	return "tar", "gz"
}

// Process packs the files.
func (p *PostProcessor) Process(ctx context.Context, b *kiln.Build, in *kiln.Artifact) (*kiln.Artifact, error) {
	vars := map[string]any{"BuildName": b.Source, "BuilderType": b.Type}
	for k, v := range in.Data {
		if _, ok := vars[k]; !ok {
			vars[k] = v
		}
	}
	target, err := b.Render(p.Output, vars)
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	archive, algorithm := p.form()
	if archive == "" && len(in.Files) != 1 {
		return nil, fmt.Errorf("Can only have 1 input file when not using tar/zip. Found %d files: %v", len(in.Files), in.Files)
	}
	if archive == "tar" {
		if err := distinct(in.Files); err != nil {
			return nil, err
		}
	}
	abs, err := filepath.Abs(target)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(abs), 0o755); err != nil {
		return nil, fmt.Errorf("make folder of the archive: %w", err)
	}
	b.Say("Packing %d file(s) into %s", len(in.Files), target)
	if err := p.pack(ctx, b, abs, archive, algorithm, in.Files); err != nil {
		return nil, err
	}
	return &kiln.Artifact{Builder: "packer.post-processor.compress", Files: []string{target}, Text: "compressed artifacts in: " + target}, nil
}

// distinct refuses files whose names are the same within the archive.
func distinct(files []string) error {
	seen := map[string]string{}
	for _, f := range files {
		if other, ok := seen[filepath.Base(f)]; ok {
			return fmt.Errorf("%s and %s would have the same name in the archive: use zip, which keeps paths", other, f)
		}
		seen[filepath.Base(f)] = f
	}
	return nil
}

// pack writes to a name beside the target, and moves it there when complete.
func (p *PostProcessor) pack(ctx context.Context, b *kiln.Build, target, archive, algorithm string, files []string) error {
	part := kiln.Resource{Kind: kiln.KindFile, ID: target + ".kiln-" + kiln.RandomName(8)}
	if err := b.Own(part, kiln.RemoveFile(part.ID)); err != nil {
		return err
	}
	out, err := os.OpenFile(part.ID, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("make archive: %w", err)
	}
	err = p.stream(ctx, b, out, archive, algorithm, files)
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("pack %s: %w", target, err)
	}
	final := kiln.Resource{Kind: kiln.KindFile, ID: target}
	if _, err := os.Lstat(target); errors.Is(err, os.ErrNotExist) {
		if err := b.Own(final, kiln.RemoveFile(target)); err != nil {
			return err
		}
	}
	if err := os.Rename(part.ID, target); err != nil {
		return fmt.Errorf("move archive to its place: %w", err)
	}
	return errors.Join(b.Destroy(ctx, part), b.Release(final))
}

func (p *PostProcessor) stream(ctx context.Context, b *kiln.Build, out io.Writer, archive, algorithm string, files []string) error {
	w, err := compressor(out, algorithm, p.CompressionLevel)
	if err != nil {
		return err
	}
	copyFile := func(dst io.Writer, path string) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(dst, &counted{ctx: ctx, r: f, b: b, name: filepath.Base(path)})
		return err
	}
	switch archive {
	case "tar":
		err = writeTar(w, files, copyFile)
	case "zip":
		err = writeZip(w, files, copyFile)
	default:
		err = copyFile(w, files[0])
	}
	return errors.Join(err, w.Close())
}

func writeTar(w io.Writer, files []string, copyFile func(io.Writer, string) error) error {
	t := tar.NewWriter(w)
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		h, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		h.Name, h.Format = filepath.Base(path), tar.FormatGNU
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if err := copyFile(t, path); err != nil {
			return err
		}
	}
	return t.Close()
}

func writeZip(w io.Writer, files []string, copyFile func(io.Writer, string) error) error {
	z := zip.NewWriter(w)
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		h, err := zip.FileInfoHeader(info)
		if err != nil {
			return err
		}
		h.Name, h.Method = strings.TrimLeft(filepath.ToSlash(path), "/"), zip.Deflate
		entry, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if err := copyFile(entry, path); err != nil {
			return err
		}
	}
	return z.Close()
}

// counted tells of progress, and stops when the build is cancelled.
type counted struct {
	ctx  context.Context
	r    io.Reader
	b    *kiln.Build
	name string
	done int64
	told int64
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.done += int64(n)
	if c.done-c.told > 16<<20 {
		c.told = c.done
		c.b.Emit(kiln.Event{Kind: kiln.EventProgress, Text: c.name, Done: c.done})
	}
	return n, err
}
