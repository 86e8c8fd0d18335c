// Package compress packs the artifact's files into one archive or compressed
// file.
package compress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"runtime"

	"kiln"
	"kiln/archive"
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
		return kiln.Invalid(
			"compression_level",
			"compression_level is from 1 to 9, or -1 for the default, not %d",
			p.CompressionLevel,
		)
	}
	p.CompressionLevel = min(p.CompressionLevel, 9)
	if p.CompressionLevel == 0 {
		p.CompressionLevel = -1
	}
	return nil
}

var extension = regexp.MustCompile(`\.([a-z0-9]+)`)

// form finds out how to pack from the name as the template writes it: the last two
// extensions count (docs/compat/post-processors.md 4).
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
func (p *PostProcessor) Process(
	ctx context.Context,
	b *kiln.Build,
	in *kiln.Artifact,
) (*kiln.Artifact, error) {
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
	form, algorithm := p.form()
	if form == "" && len(in.Files) != 1 {
		return nil, fmt.Errorf(
			"Can only have 1 input file when not using tar/zip. Found %d files: %v",
			len(in.Files),
			in.Files,
		)
	}
	if form == "tar" {
		if err := distinct(in.Files); err != nil {
			return nil, err
		}
	}
	if len(in.Files) == 0 {
		b.Warn("the artifact %s has no files: the archive is empty. To pack what an earlier step wrote, such as "+
			"docker-save, name it with the post-processor artifice before this one.", in.ID)
	}
	say(b, form, algorithm, target, in.Files)
	made, err := b.WriteFile(ctx, target, 0o666, func(w io.Writer) error {
		return p.stream(ctx, b, w, form, algorithm, in.Files)
	})
	if err != nil {
		return nil, fmt.Errorf("pack %s: %w", target, err)
	}
	b.Say("Archive %s completed", target)
	return &kiln.Artifact{
		Builder: "packer.post-processor.compress", Files: []string{target}, Resources: []kiln.Resource{made},
		Text: "compressed artifacts in: " + target,
	}, b.Release(made)
}

// say tells what is done, in the words that scripts look for.
func say(b *kiln.Build, form, algorithm, target string, files []string) {
	name := algorithm
	switch algorithm {
	case "gz":
		name = "pgzip"
	case "":
		name = "no compression"
	}
	if algorithm != "" {
		b.Say("Using %s compression with %d cores for %s", name, runtime.GOMAXPROCS(0), target)
	}
	switch form {
	case "tar":
		b.Say("Tarring %s with %s", target, name)
	case "zip":
		b.Say("Zipping %s", target)
	default:
		b.Say("Archiving %s with %s", files[0], name)
	}
}

// distinct refuses files whose names are the same within the archive.
func distinct(files []string) error {
	seen := map[string]string{}
	for _, f := range files {
		if other, ok := seen[filepath.Base(f)]; ok {
			return fmt.Errorf(
				"%s and %s would have the same name in the archive: use zip, which keeps paths",
				other,
				f,
			)
		}
		seen[filepath.Base(f)] = f
	}
	return nil
}

func (p *PostProcessor) stream(
	ctx context.Context,
	b *kiln.Build,
	out io.Writer,
	form, algorithm string,
	files []string,
) error {
	w, err := archive.Compressor(out, algorithm, p.CompressionLevel)
	if err != nil {
		return err
	}
	copyFile := func(dst io.Writer, path string) error {
		f, err := b.Open(ctx, path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(dst, archive.Progress(ctx, b, filepath.Base(path), f))
		return err
	}
	switch form {
	case "tar":
		err = archive.WriteTar(w, files, copyFile)
	case "zip":
		err = archive.WriteZip(w, files, copyFile)
	default:
		err = copyFile(w, files[0])
	}
	return errors.Join(err, w.Close())
}
