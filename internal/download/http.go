package download

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"kiln"
)

// maxRedirects is how often a server may send us elsewhere.
const maxRedirects = 10

// newClient makes a client that takes bytes as they are stored, so that lengths and
// ranges mean what they say.
func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true
	return &http.Client{Transport: transport, CheckRedirect: redirect}
}

// redirectError is a server that sends us where we do not go.
type redirectError struct{ why string }

func (e *redirectError) Error() string { return e.why }

func redirect(r *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= maxRedirects:
		return &redirectError{fmt.Sprintf("stopped after %d redirects", maxRedirects)}
	case r.URL.Scheme != "http" && r.URL.Scheme != "https":
		return &redirectError{fmt.Sprintf("redirected to a %s address", r.URL.Scheme)}
	case r.URL.Scheme == "http" && via[0].URL.Scheme == "https":
		return &redirectError{
			"redirected from https to " + shown(r.URL) + ", which anybody could change on its way",
		}
	}
	return nil
}

// statusError is an answer that is not the file.
type statusError struct {
	status int
	after  time.Duration // when the server wants to be asked again
}

func (e *statusError) Error() string {
	return fmt.Sprintf("bad response code: %d %s", e.status, http.StatusText(e.status))
}

// Is gives the refusals their kind.
func (e *statusError) Is(target error) bool {
	switch e.status {
	case http.StatusNotFound, http.StatusGone:
		return target == kiln.ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return target == kiln.ErrDenied
	}
	return false
}

// errStalled is a connection that brings nothing.
var errStalled = errors.New("the server sends nothing any more")

// permanent reports whether trying again cannot help: the answer was definite, or the
// fault is on this machine.
func permanent(err error) bool {
	var status *statusError
	var dns *net.DNSError
	if errors.As(err, &status) {
		switch status.status {
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
			return false
		}
		return status.status < 500 || status.status == http.StatusNotImplemented
	}
	if errors.As(err, &dns) {
		return dns.IsNotFound
	}
	if program, ok := errors.AsType[*programError](err); ok && program != nil {
		return true
	}
	var redirected *redirectError
	var certificate *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	var file *fs.PathError
	var link *os.LinkError
	return errors.As(err, &redirected) || errors.As(err, &certificate) || errors.As(err, &notTLS) ||
		errors.As(err, &file) || errors.As(err, &link)
}

func retryAfter(err error) time.Duration {
	var status *statusError
	if errors.As(err, &status) {
		return status.after
	}
	return 0
}

// withoutURL takes the address out of an error, which holds all of it.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// once makes one request and adds what it brings to the part.
func (l *load) once(ctx context.Context) error {
	if l.at().bring != nil {
		return l.brought(ctx)
	}
	if !l.resumable() && l.size > 0 {
		if err := l.restart(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(l.stallTime(), func() { cancel(errStalled) })
	defer watch.Stop()
	resp, err := l.ask(ctx)
	if err == nil {
		defer resp.Body.Close()
		var again bool
		if again, err = l.accept(resp); again && err == nil {
			resp.Body.Close()
			if err := l.restart(); err != nil {
				return err
			}
			return l.once(ctx)
		}
	}
	if err == nil && !l.kept {
		err = l.receive(resp.Body, watch)
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// stallTime is how long a connection may bring nothing: less where there is another source.
func (l *load) stallTime() time.Duration {
	if len(l.ways) > 1 || !l.patient {
		return l.stall / 3
	}
	return l.stall
}

// ask sends the request: for the rest of a part, else for the file if it is not the one
// that is here already.
func (l *load) ask(ctx context.Context) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.at().url.String(), nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	if l.resumable() {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", l.size))
		if v := l.validator(); v != "" {
			r.Header.Set("If-Range", v)
		}
	} else if l.unchanged() {
		if l.notes.ETag != "" {
			r.Header.Set("If-None-Match", l.notes.ETag)
		} else {
			r.Header.Set("If-Modified-Since", l.notes.LastModified)
		}
	}
	if sign := l.at().sign; sign != nil {
		if err := sign(ctx, r); err != nil {
			return nil, err
		}
	}
	resp, err := l.client.Do(r)
	if err != nil {
		return nil, withoutURL(err)
	}
	return resp, nil
}

// unchanged reports whether an unchecked file is here, as it was loaded, and the server
// can be asked whether it still is what it has.
func (l *load) unchanged() bool {
	if l.want.kind != "" || l.validator() == "" || l.notes.Mark == "" {
		return false
	}
	mark, err := kiln.Mark(l.target)
	return err == nil && mark == l.notes.Mark
}

// accept looks at what the server sends. Again says that it is not the rest of our part, so
// that the whole has to be asked for.
func (l *load) accept(resp *http.Response) (again bool, err error) {
	now := notes{
		Source: digest(l.at().url.String()), Total: max(resp.ContentLength, 0),
		ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified"),
	}
	status := resp.StatusCode
	if l.size == 0 &&
		(status == http.StatusPartialContent || status == http.StatusRequestedRangeNotSatisfiable) {
		return false, &statusError{status: status} // no range was asked for
	}
	switch status {
	case http.StatusOK:
		if l.size > 0 {
			if err := l.restart(); err != nil {
				return false, err
			}
		}
		if l.kept = l.foreign(resp.ContentLength); l.kept {
			if now.Mark, err = kiln.Mark(l.target); err != nil {
				return false, err
			}
		}
	case http.StatusRequestedRangeNotSatisfiable:
		return true, nil
	case http.StatusPartialContent:
		start, total, ok := contentRange(resp.Header.Get("Content-Range"))
		if !ok || start != l.size || !l.same(now) {
			return true, nil
		}
		now.Total, l.resumed = total, true
	case http.StatusNotModified:
		if l.kept = l.unchanged(); l.kept {
			return false, nil
		}
		return false, &statusError{status: status}
	default:
		return false, &statusError{status, waitWanted(resp.Header.Get("Retry-After"))}
	}
	l.notes, l.told.total, l.told.done = now, now.Total, l.size
	return false, l.write(l.target, l.want, l.notes)
}

// foreign reports whether an unchecked file is here that somebody else loaded, and that is
// as long as what the server has: Packer looks no further, and neither do we.
func (l *load) foreign(length int64) bool {
	if l.want.kind != "" || l.packed != "" || length <= 0 || l.read(l.target, l.want).Mark != "" {
		return false
	}
	info, err := os.Stat(l.target)
	return err == nil && info.Mode().IsRegular() && info.Size() == length
}

// same reports whether the server's file is still the one that the part is of, as far as
// it can be told before the checksum.
func (l *load) same(now notes) bool {
	if l.notes.Source != now.Source {
		return l.want.kind != ""
	}
	if l.want.kind != "" && now.ETag == "" && now.LastModified == "" {
		return true
	}
	return now.ETag == l.notes.ETag && now.LastModified == l.notes.LastModified
}

// contentRange reads "bytes 5-9/10". A total that is not known is 0.
func contentRange(text string) (start, total int64, ok bool) {
	span, of, ok := strings.Cut(strings.TrimPrefix(text, "bytes "), "/")
	first, _, ok2 := strings.Cut(span, "-")
	start, err := strconv.ParseInt(first, 10, 64)
	if of != "*" {
		var err2 error
		total, err2 = strconv.ParseInt(of, 10, 64)
		err = errors.Join(err, err2)
	}
	return start, total, ok && ok2 && err == nil
}

// waitWanted reads a Retry-After, which is bounded: a server may not stop a build.
func waitWanted(text string) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return min(max(time.Duration(seconds)*time.Second, 0), time.Minute)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(time.Until(at), 0), time.Minute)
	}
	return 0
}

// receive adds the body to the part.
func (l *load) receive(body io.Reader, watch *time.Timer) error {
	buf := make([]byte, blockSize)
	for {
		n, err := body.Read(buf)
		watch.Reset(l.stall)
		if n > 0 {
			if _, err := l.part.Write(buf[:n]); err != nil {
				return err
			}
			l.hash.Write(buf[:n])
			l.size += int64(n)
			l.told.add(n)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("the connection ended after %d bytes: %w", l.size, err)
		}
	}
	if l.notes.Total > 0 && l.size != l.notes.Total {
		return fmt.Errorf("the server sent %d of %d bytes", l.size, l.notes.Total)
	}
	return nil
}
