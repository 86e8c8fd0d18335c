package archive

import (
	"bytes"
	"io"
	"runtime"
	"sync"
)

// blocks cuts what is written to it into blocks of one size, has as many of them compressed side by side as
// there are cores, and writes the results in order. What comes out depends on what is written alone, not
// on the number of cores.
type blocks struct {
	out  io.Writer
	size int
	// compress compresses one block into dst. Before is the end of the block before it, at most keep bytes.
	compress func(dst *bytes.Buffer, block, before []byte, last bool) error
	keep     int

	block  []byte
	before []byte
	queue  chan chan *compressed // in order
	done   chan error
	spare  sync.Pool // of blocks

	mu     sync.Mutex
	failed error
}

// compressed is a block that was compressed.
type compressed struct {
	bytes.Buffer
	err error
}

// start begins to write. Close ends it, also after an error.
func (w *blocks) start() *blocks {
	// One block a core is being compressed, and as many wait to be written.
	w.queue = make(chan chan *compressed, 2*runtime.GOMAXPROCS(0)-1)
	w.done = make(chan error)
	w.block = w.empty()
	go func() {
		var failed error
		for next := range w.queue {
			c := <-next
			if failed == nil {
				failed = c.err
			}
			if failed == nil {
				_, failed = w.out.Write(c.Bytes())
			}
			w.fail(failed)
		}
		w.done <- failed
	}()
	return w
}

// fail remembers the first error, for the next Write.
func (w *blocks) fail(err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil {
		w.failed = err
	}
}

func (w *blocks) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

func (w *blocks) empty() []byte {
	if b, ok := w.spare.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, w.size)
}

// Write collects whole blocks.
func (w *blocks) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		// A full one waits for more, as the last block is compressed as such.
		if len(w.block) == w.size {
			if err := w.err(); err != nil {
				return 0, err
			}
			w.send(false)
		}
		take := min(len(p), w.size-len(w.block))
		w.block, p = append(w.block, p[:take]...), p[take:]
	}
	return n, nil
}

// send has the block compressed.
func (w *blocks) send(last bool) {
	block, before := w.block, w.before
	if w.keep > 0 {
		w.before = bytes.Clone(block[max(0, len(block)-w.keep):])
	}
	next := make(chan *compressed, 1)
	w.queue <- next
	if !last {
		w.block = w.empty()
	}
	go func() {
		c := new(compressed)
		c.err = w.compress(&c.Buffer, block, before, last)
		next <- c
		w.spare.Put(&block)
	}()
}

// Close writes the last block, which may be empty, and waits for all.
func (w *blocks) Close() error {
	w.send(true)
	close(w.queue)
	return <-w.done
}
