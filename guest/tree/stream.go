package tree

import (
	"context"
	"io"
)

// Ahead runs a function that writes a stream, ahead of the one who reads it by up
// to a few megabytes, so that reading files and sending them overlap. Reading
// after the function failed gives its error. Close makes the function stop.
func Ahead(ctx context.Context, write func(io.Writer) error) io.ReadCloser {
	ctx, cancel := context.WithCancel(ctx)
	a := &ahead{chunks: make(chan []byte, 16), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		w := &chunkWriter{ctx: ctx, out: a.chunks, buf: make([]byte, 0, chunkSize)}
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
	chunks chan []byte
	cancel context.CancelFunc
	done   chan struct{}
	rest   []byte
	err    error // of the writer, once chunks is closed
}

func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		chunk, ok := <-a.chunks
		if !ok {
			if a.err != nil {
				return 0, a.err
			}
			return 0, io.EOF
		}
		a.rest = chunk
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
		chunk, ok := <-a.chunks
		if !ok {
			return total, a.err
		}
		a.rest = chunk
	}
}

// Close stops the writer and waits for it.
func (a *ahead) Close() error {
	a.cancel()
	for range a.chunks {
		// Let the writer see that it is to stop.
	}
	<-a.done
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
