//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	vocabulary "kiln"
	"kiln/internal/download"
)

// isoSize is that of the file whose checksum is measured: no sparse one, as reading it is
// part of the work.
const isoSize = 4 << 30

// checksum times the check of a file on this machine beside sha256sum, and that of one that
// was checked before, which Packer reads again in each build.
func (b *bench) checksum() error {
	path := filepath.Join(b.dir, "x.iso")
	if err := writeRandom(path, isoSize); err != nil {
		return err
	}
	defer os.Remove(path)
	out, err := exec.Command("sha256sum", path).Output()
	if err != nil {
		return err
	}
	digits, _, ok := bytes.Cut(out, []byte(" "))
	if _, err := hex.DecodeString(string(digits)); err != nil || !ok {
		return errors.New("sha256sum gives no checksum")
	}
	var first, again, plain []sample
	for range min(*rounds, 3) { // a round takes half a minute
		store := download.New(filepath.Join(b.dir, "notes"), filepath.Join(b.dir, "cache"))
		for _, into := range []*[]sample{&first, &again} {
			begin := time.Now()
			_, err := store.Fetch(context.Background(), vocabulary.NewBuild(vocabulary.Build{}, vocabulary.Host{}),
				vocabulary.Remote{URL: path, Checksum: "sha256:" + string(digits), For: "ISO"})
			if err != nil {
				return err
			}
			*into = append(*into, sample{wall: time.Since(begin)})
		}
		s, err := b.once("sha256sum", path)
		if err != nil {
			return err
		}
		plain = append(plain, s)
		if err := os.RemoveAll(filepath.Join(b.dir, "notes")); err != nil {
			return err
		}
	}
	row("checksum of a 4 GiB file; baseline: sha256sum", median(first).wall, median(plain).wall, "<= 1.0")
	row("ISO that is here and was checked; baseline: sha256sum", median(again).wall, median(plain).wall,
		"no second hash")
	return nil
}

// writeRandom writes a file that no file system can make shorter, and dates it back: one that
// is new is read again.
func writeRandom(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{}), size)
	old := time.Now().Add(-time.Hour)
	return errors.Join(err, f.Close(), os.Chtimes(path, old, old))
}
