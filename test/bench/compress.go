//go:build unix

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// compress times how a large file is packed, beside the program that everybody has.
func (b *bench) compress() error {
	const size, chunk = 512 << 20, 64 << 10
	in, err := os.Create(filepath.Join(b.dir, "large"))
	if err != nil {
		return err
	}
	// A third of it does not compress, as on a disk.
	r := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, chunk)
	for n := 0; n < size && err == nil; n += chunk {
		for i := range text {
			switch {
			case n/chunk%3 == 0:
				text[i] = byte(r.Uint32())
			case i%8 < 5:
				text[i] = "words that stand on a disk, again and again"[(i*7+n)%43]
			default:
				text[i] = "abcdefgh"[r.IntN(8)]
			}
		}
		_, err = in.Write(text)
	}
	if err = errors.Join(err, in.Close()); err != nil {
		return err
	}
	for _, c := range []struct{ output, baseline, aim string }{
		{"packed.gz", "gzip -c large >base.gz", "<= 1/cores"},
		{"packed.zip", "gzip -c large >base.gz", "<= 1/cores"},
		{"packed.bgzf", "gzip -c large >base.gz", "<= 1/cores"},
	} {
		err := b.write("compress.pkr.hcl", fmt.Sprintf(`source "null" "x" { communicator = "none" }
build {
  sources = ["null.x"]
  post-processors {
    post-processor "artifice" { files = ["large"] }
    post-processor "compress" {
      output              = %q
      keep_input_artifact = true
    }
  }
}
`, c.output))
		if err != nil {
			return err
		}
		x, y, err := b.pair(nil, []string{*kiln, "build", "compress.pkr.hcl"}, []string{"sh", "-c", c.baseline})
		if err != nil {
			return err
		}
		row("compress 512 MiB to "+c.output+"; baseline: gzip", x.wall, y.wall, c.aim)
	}
	return nil
}
