package tree

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"kiln"
)

// Open opens a local file for reading, but does not wait for longer than ctx allows: a
// pipe opens when somebody writes to it, and a file of a server that is gone never. The
// file is closed when ctx ends, which ends a read that waits.
func Open(ctx context.Context, name string) (io.ReadCloser, error) {
	f, _, err := open(ctx, name)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// opened is a file that is closed at the latest when its context ends.
type opened struct {
	*os.File
	stop func() bool
}

func (o opened) Close() error {
	o.stop()
	return o.File.Close()
}

func open(ctx context.Context, name string) (io.ReadCloser, fs.FileInfo, error) {
	type result struct {
		f    *os.File
		info fs.FileInfo
		err  error
	}
	got := make(chan result, 1)
	go func() {
		f, err := os.Open(name)
		if err != nil {
			got <- result{err: err}
			return
		}
		info, err := f.Stat()
		if err != nil {
			err = errors.Join(err, f.Close())
		}
		got <- result{f, info, err}
	}()
	select {
	case r := <-got:
		if r.err != nil {
			return nil, nil, r.err
		}
		return opened{r.f, context.AfterFunc(ctx, func() { r.f.Close() })}, r.info, nil
	case <-ctx.Done():
		go func() {
			if r := <-got; r.err == nil {
				r.f.Close()
			}
		}()
		return nil, nil, ctx.Err()
	}
}

// Source opens what an upload of one file sends: its content or the file it names, with
// the size, and the mode that it will have where there is none of its name yet. What a
// pipe gives is read to its end first: nobody could tell otherwise whether all arrived.
func Source(ctx context.Context, up *kiln.Upload) (
	content io.ReadCloser, size int64, mode fs.FileMode, err error,
) {
	const usual = 0o644
	if up.Content != nil {
		if mode = up.Mode; mode == 0 {
			mode = usual
		}
		return io.NopCloser(up.Content), up.Size, mode, nil
	}
	f, info, err := open(ctx, up.Source)
	if err != nil {
		return nil, 0, 0, err
	}
	if mode, size = info.Mode().Perm(), info.Size(); mode == 0 {
		mode = usual
	}
	if info.Mode().IsRegular() {
		return f, size, mode, nil
	}
	whole, size, err := spool(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, 0, 0, err
	}
	return whole, size, mode, nil
}

// spool keeps a stream in a file without a name, or with one where a file must have one
// as long as it is open.
func spool(r io.Reader) (io.ReadCloser, int64, error) {
	f, err := os.CreateTemp("", "kiln-pipe-*")
	if err != nil {
		return nil, 0, err
	}
	s := spooled{f, os.Remove(f.Name()) != nil}
	size, err := io.Copy(f, r)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, errors.Join(err, s.Close())
	}
	return s, size, nil
}

type spooled struct {
	*os.File
	named bool
}

func (s spooled) Close() error {
	err := s.File.Close()
	if s.named {
		err = errors.Join(err, os.Remove(s.Name()))
	}
	return err
}
