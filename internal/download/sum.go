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

// String is the sum as it is written; "" for none.
func (s sum) String() string {
	if s.kind == "" {
		return ""
	}
	return s.kind + ":" + s.digits
}

var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New,
}

// new is a hash of the sum's kind. What is not checked is not hashed.
func (s sum) new() hash.Hash {
	if s.kind == "" {
		return unchecked{}
	}
	return hashes[s.kind]()
}

// unchecked is a hash of nothing.
type unchecked struct{}

func (unchecked) Write(p []byte) (int, error) { return len(p), nil }
func (unchecked) Sum(b []byte) []byte         { return b }
func (unchecked) Reset()                      {}
func (unchecked) Size() int                   { return 0 }
func (unchecked) BlockSize() int              { return 1 }

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
	if _, err := hashAll(ctx, h, f, told); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// What is read at once, and how much of it may be ahead of what is hashed.
const (
	blockSize = 1 << 20
	ahead     = 4
)

// hashAll reads to the end beside hashing, and returns how much that was. Told may be nil.
func hashAll(ctx context.Context, h hash.Hash, r io.Reader, told *progress) (size int64, err error) {
	type block struct {
		p   []byte
		err error
	}
	free, full := make(chan []byte, ahead), make(chan block, ahead)
	for range ahead {
		free <- make([]byte, blockSize)
	}
	go func() {
		defer close(full)
		for p := range free {
			n, err := io.ReadFull(r, p)
			full <- block{p[:n], err}
			if err != nil {
				return
			}
		}
	}()
	for b := range full {
		h.Write(b.p)
		size += int64(len(b.p))
		if told != nil {
			told.add(len(b.p))
		}
		if b.err == io.EOF || b.err == io.ErrUnexpectedEOF {
			return size, nil
		}
		if err = b.err; err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			close(free)
			for range full { // the reader may be in the middle of a block, and r is the caller's
			}
			return size, err
		}
		free <- b.p[:blockSize]
	}
	return size, nil
}

// mismatch is that a content is not the one that is wanted; of says which it is, unless
// that is clear.
func (s sum) mismatch(of, got string) error {
	if of != "" {
		of = " for " + of
	}
	return &mismatchError{fmt.Sprintf("checksums did not match%s: expected %s, got %s (%s)",
		of, s.digits, got, s.kind)}
}

type mismatchError struct{ text string }

func (e *mismatchError) Error() string { return e.text }

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
