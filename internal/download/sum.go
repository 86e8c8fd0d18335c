package download

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"kiln"
)

// sum is the checksum that a content must have; zero: none is known.
type sum struct{ kind, digits string }

var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New,
	"": sha256.New, // of what is not checked nobody looks at it
}

func (s sum) new() hash.Hash { return hashes[s.kind]() }

// of reads a file and returns the sum that it has.
func (s sum) of(ctx context.Context, b *kiln.Build, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	h := s.new()
	told := &progress{b: b, name: filepath.Base(path), total: info.Size()}
	if _, err := io.Copy(h, &reader{ctx, f, told}); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (s sum) mismatch(name, got string) error {
	return fmt.Errorf("checksums did not match for %s: expected %s, got %s (%s)", name, s.digits, got, s.kind)
}

// progress tells how far a file is, at most ten times a second and at its end.
type progress struct {
	b           *kiln.Build
	name        string
	done, total int64
	last        time.Time
}

func (p *progress) add(n int) {
	p.done += int64(n)
	if now := time.Now(); now.Sub(p.last) > 100*time.Millisecond || p.done == p.total && n > 0 {
		p.last = now
		p.b.Emit(kiln.Event{Kind: kiln.EventProgress, Text: p.name, Done: p.done, Total: p.total})
	}
}

// reader reads until its context ends.
type reader struct {
	ctx  context.Context
	r    io.Reader
	told *progress // may be nil
}

func (r *reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	n, err := r.r.Read(p)
	if r.told != nil {
		r.told.add(n)
	}
	return n, err
}
