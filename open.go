package kiln

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Glob lists the files that a path of a template names, in which the wildcards *, ? and
// [...] may stand: none where nothing fits. A path that is one as it stands, wildcard or
// not, names itself where nothing else fits.
func Glob(path string) ([]string, error) {
	if !strings.ContainsAny(path, "*?[") {
		return []string{path}, nil
	}
	found, err := filepath.Glob(path)
	if len(found) > 0 {
		return found, err
	}
	if _, statErr := os.Lstat(path); statErr == nil {
		return []string{path}, nil
	}
	return nil, err
}

// Open opens a local file for reading and waits no longer for that than ctx lasts: a
// named pipe keeps the caller until somebody writes to it, a file system whose server
// is gone for ever. Who may meet a pipe uses [Build.Open].
func Open(ctx context.Context, path string) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	got := make(chan opened, 1)
	go func() {
		f, err := os.Open(path)
		got <- opened{f, err}
	}()
	select {
	case o := <-got:
		return o.f, o.err
	case <-ctx.Done():
		// Nothing ends the call itself. Whenever it returns, nobody wants its file.
		go func() {
			if o := <-got; o.err == nil {
				o.f.Close()
			}
		}()
		return nil, fmt.Errorf("open %s: %w", path, context.Cause(ctx))
	}
}

// IsPipe reports whether a path leads to a pipe: a named one, or one that was handed
// over as /dev/fd/N, as a shell does for <(command). What is in it can be read once.
func IsPipe(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&fs.ModeNamedPipe != 0
}

// Pipes are the pipes that a run has read. Each is read once and whole, whatever number
// of builds and tries want it: two that read from one pipe would each get a part.
type Pipes struct {
	mu   sync.Mutex
	read map[string]*pipe
}

type pipe struct {
	done chan struct{}
	text []byte
	err  error
}

// get returns the content of the pipe at path.
func (p *Pipes) get(ctx context.Context, path string, info fs.FileInfo) ([]byte, error) {
	p.mu.Lock()
	if p.read == nil {
		p.read = map[string]*pipe{}
	}
	key := inode(info)
	if key == "" {
		key = path
	}
	one := p.read[key]
	if one == nil {
		one = &pipe{done: make(chan struct{})}
		p.read[key] = one
		go func() {
			one.text, one.err = os.ReadFile(path)
			close(one.done)
		}()
	}
	p.mu.Unlock()
	select {
	case <-one.done:
		return one.text, one.err
	case <-ctx.Done():
		return nil, fmt.Errorf("read the pipe %s: %w", path, context.Cause(ctx))
	}
}

// Open opens a local file that a template names, as [Open] does. A pipe is read once in
// a run, to its end, and then given to all that open it.
func (b *Build) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	info, err := stat(ctx, path)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		return Open(ctx, path)
	}
	text, err := b.pipes().get(ctx, path, info)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(text)), nil
}

// ReadFile reads a local file that a template names, opened by [Build.Open].
func (b *Build) ReadFile(ctx context.Context, path string) ([]byte, error) {
	f, err := b.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func (b *Build) pipes() *Pipes {
	if b.host.Pipes != nil {
		return b.host.Pipes
	}
	return &b.state.pipes
}

// stat looks at what a path leads to, for no longer than ctx lasts.
func stat(ctx context.Context, path string) (fs.FileInfo, error) {
	type looked struct {
		info fs.FileInfo
		err  error
	}
	got := make(chan looked, 1)
	go func() {
		info, err := os.Stat(path)
		got <- looked{info, err}
	}()
	select {
	case l := <-got:
		return l.info, l.err
	case <-ctx.Done():
		return nil, fmt.Errorf("look at %s: %w", path, context.Cause(ctx))
	}
}
