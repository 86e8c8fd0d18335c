package tree

import "io"

// Reported is a reader that tells how much was read so far. Told may be nil.
func Reported(r io.Reader, told func(done int64)) io.Reader { return &reported{r: r, told: told} }

type reported struct {
	r    io.Reader
	told func(int64)
	done int64
}

func (r *reported) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.done += int64(n)
	if r.told != nil && n > 0 {
		r.told(r.done)
	}
	return n, err
}

// Watched is a reader that remembers the error of its source: where a stream's
// source fails, that error is the cause of what the receiver says.
type Watched struct {
	R   io.Reader
	err error
}

func (w *Watched) Read(p []byte) (int, error) {
	n, err := w.R.Read(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

// Err is the source's error; nil where it ended well.
func (w *Watched) Err() error {
	if w.err == io.EOF {
		return nil
	}
	return w.err
}
