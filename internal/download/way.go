package download

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	"kiln"
)

// way makes a source ready to be asked.
func (f *fetch) way(ctx context.Context, src *source) (*way, error) {
	w := &way{source: src, url: src.url}
	if src.url != nil {
		if password, ok := src.url.User.Password(); ok {
			f.b.Hide(password)
		}
	}
	switch src.form {
	case formHTTP:
		w.sign = netrc
	case formS3:
		return w, w.s3(ctx)
	case formGCS:
		return w, w.gcs(ctx, f.Store)
	case formGit:
		w.bring = f.git(src)
	case formHg:
		w.bring = f.hg(src)
	case formSMB:
		w.bring = f.smb(src)
	default:
		return nil, kiln.Invalid("url", "there are no downloads by %s", src.form)
	}
	return w, nil
}

// brought brings what is no web address, whole, and reads what it is.
func (l *load) brought(ctx context.Context) error {
	if err := l.restart(); err != nil {
		return err
	}
	if err := l.at().bring(ctx, l.part.Name()); err != nil {
		return &programError{err}
	}
	// A program may have put another file in its place.
	if err := l.part.Close(); err != nil {
		return err
	}
	var err error
	if l.part, err = os.OpenFile(l.target+partSuffix, os.O_RDWR, 0o644); err != nil {
		return err
	}
	if info, err := l.part.Stat(); err == nil {
		l.told.total = info.Size()
	}
	l.size, err = hashAll(ctx, l.hash, l.part, &l.told)
	l.notes = notes{Source: digest(l.at().text), Total: l.size}
	return err
}

// programError is what a program said that cannot be told from a definite refusal.
type programError struct{ error }

func (e *programError) Unwrap() error { return e.error }

// copy copies a file of this machine.
func (f *fetch) copy(ctx context.Context, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, &reader{ctx, in}); err != nil {
		out.Close()
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return out.Close()
}

// netrc logs in where the address does not and the user's ~/.netrc knows the host.
func netrc(_ context.Context, r *http.Request) error {
	if r.URL.User != nil {
		return nil
	}
	if login, password, ok := netrcOf(r.URL.Hostname()); ok {
		r.SetBasicAuth(login, password)
	}
	return nil
}
