package tree

import (
	"context"
	"io"
)

// Ahead runs a function that writes a stream, ahead of the one who reads it by up
// to a few megabytes, so that reading files and sending them overlap. Reading
// after the function failed gives its error. Close makes the function stop.
func Ahead(ctx context.Context, write func(io.Writer) error) io.ReadCloser {
	mine, cancel := context.WithCancel(ctx)
	a := &ahead{ctx: ctx, chunks: make(chan []byte, 16), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		w := &chunkWriter{ctx: mine, out: a.chunks, buf: make([]byte, 0, chunkSize)}
		err := write(w)
		if err == nil {
			err = w.flush()
		}
		a.err = err
		close(a.chunks)
	}()
	return a
}

const chunkSize = 256 << 10

type ahead struct {
	ctx    context.Context
	chunks chan []byte
	cancel context.CancelFunc
	done   chan struct{}
	rest   []byte
	err    error // of the writer, once chunks is closed
}

func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if err := a.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// WriteTo saves a copy.
func (a *ahead) WriteTo(w io.Writer) (total int64, err error) {
	for {
		for len(a.rest) > 0 {
			n, err := w.Write(a.rest)
			total += int64(n)
			a.rest = a.rest[n:]
			if err != nil {
				return total, err
			}
		}
		if err := a.next(); err == io.EOF {
			return total, nil
		} else if err != nil {
			return total, err
		}
	}
}

// next takes a chunk. It does not wait for a writer that hears no more: one that reads
// from a file server which is gone.
func (a *ahead) next() error {
	select {
	case chunk, ok := <-a.chunks:
		switch {
		case ok:
			a.rest = chunk
		case a.err != nil:
			return a.err
		default:
			return io.EOF
		}
		return nil
	case <-a.ctx.Done():
		return a.ctx.Err()
	}
}

// Close stops the writer and waits for it, as long as the context allows.
func (a *ahead) Close() error {
	a.cancel()
	select {
	case <-a.done:
	case <-a.ctx.Done():
	}
	return nil
}

type chunkWriter struct {
	ctx context.Context
	out chan<- []byte
	buf []byte
}

func (w *chunkWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		take := min(len(p), cap(w.buf)-len(w.buf))
		w.buf, p = append(w.buf, p[:take]...), p[take:]
		if len(w.buf) == cap(w.buf) {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (w *chunkWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	select {
	case <-w.ctx.Done():
		return w.ctx.Err()
	case w.out <- w.buf:
	}
	w.buf = make([]byte, 0, chunkSize)
	return nil
}
