package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"kiln"
	"kiln/driver/docker"
	"kiln/guest"
	"kiln/guest/tree"
)

// owner is the user whom uploads belong to, found out once.
type owner struct {
	mu       sync.Mutex
	known    bool
	uid, gid int
}

// ids are the numbers of the container's user: root where it has none.
func (c *Communicator) ids(ctx context.Context) (uid, gid int, err error) {
	c.owner.mu.Lock()
	defer c.owner.mu.Unlock()
	if !c.owner.known {
		// An error is not remembered: who was cancelled, by a timeout say, may be tried again.
		if c.owner.uid, c.owner.gid, err = c.findIDs(ctx); err != nil {
			return 0, 0, err
		}
		c.owner.known = true
	}
	return c.owner.uid, c.owner.gid, nil
}

func (c *Communicator) findIDs(ctx context.Context) (uid, gid int, err error) {
	info, err := c.engine.ContainerInspect(ctx, c.container, client.ContainerInspectOptions{})
	if err != nil {
		return 0, 0, err
	}
	user := info.Container.Config.User
	if user == "" || user == "root" || user == "0" {
		return 0, 0, nil
	}
	var out bytes.Buffer
	ask := &kiln.Cmd{Command: "id -u; id -g", Stdout: &limited{w: &out, left: mostSaid}}
	if err := c.run(ctx, ask, user, false); err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Fscan(&out, &uid, &gid); err != nil {
		return 0, 0, fmt.Errorf("numbers of user %s: %w", user, err)
	}
	return uid, gid, nil
}

// stat looks at a path in the container, through links.
func (c *Communicator) stat(ctx context.Context, name string) (mode fs.FileMode, resolved string, err error) {
	for range 10 {
		res, err := c.engine.ContainerStatPath(ctx, c.container, client.ContainerStatPathOptions{Path: name})
		if err != nil {
			return 0, name, err
		}
		if res.Stat.Mode&fs.ModeSymlink == 0 {
			return res.Stat.Mode, name, nil
		}
		name = res.Stat.LinkTarget
	}
	return 0, name, fmt.Errorf("%s: too many links", name)
}

// Upload puts a file or tree into the container.
func (c *Communicator) Upload(ctx context.Context, up *kiln.Upload) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	uid, gid := os.Getuid(), os.Getgid()
	if c.o.FixOwner {
		var err error
		if uid, gid, err = c.ids(ctx); err != nil {
			return err
		}
	}
	mtime := time.Now()
	if up.Content == nil {
		info, err := os.Stat(up.Source)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %w", kiln.ErrNotFound, err)
		}
		if err != nil {
			return err
		}
		if info.IsDir() {
			return c.uploadTree(ctx, up, uid, gid)
		}
		mtime = info.ModTime()
		if u, g, ok := tree.Owner(info); ok && !c.o.FixOwner {
			uid, gid = u, g
		}
	}
	content, size, mode, err := tree.Source(ctx, up)
	if err != nil {
		return err
	}
	defer content.Close()
	h := tree.Header("", mode, size, mtime, uid, gid)
	return c.uploadFile(ctx, up, tree.Reported(content, up.Progress), h)
}

// hasShell reports whether the container can bring to its place by itself what was put
// into it. In one that cannot, an upload that is cut off leaves what came of it.
func (c *Communicator) hasShell(ctx context.Context) bool {
	_, _, err := c.stat(ctx, "/bin/sh")
	return err == nil
}

// place runs a script of guest.Placing, as root.
func (c *Communicator) place(ctx context.Context, script string) error {
	var said bytes.Buffer
	out := &limited{w: &said, left: mostSaid}
	err := c.run(ctx, &kiln.Cmd{Command: script, Stdout: out, Stderr: out}, "0", false)
	if text := strings.TrimSpace(strings.ToValidUTF8(said.String(), "\uFFFD")); err != nil && text != "" {
		if _, ok := errors.AsType[*kiln.ExitError](err); ok {
			return errors.New(text)
		}
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// mostSaid is how much of what our own scripts say is kept, and most how long a list of
// names may be.
const (
	mostSaid  = 2000
	mostNames = 16 << 20
)

// limited passes on the beginning of what is written; past it where that is an error.
type limited struct {
	w    io.Writer
	left int
	past error
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if n < len(p) && l.past != nil {
		return 0, l.past
	}
	_, err := l.w.Write(p[:n])
	return len(p), err
}

func (c *Communicator) absolute(ctx context.Context, name string) (string, error) {
	if path.IsAbs(name) {
		return path.Clean(name), nil
	}
	info, err := c.engine.ContainerInspect(ctx, c.container, client.ContainerInspectOptions{})
	if err != nil {
		return "", err
	}
	return path.Join("/", info.Container.Config.WorkingDir, name), nil
}

func (c *Communicator) uploadFile(ctx context.Context, up *kiln.Upload, content io.Reader, h *tar.Header) error {
	dst, err := c.absolute(ctx, up.Destination)
	if err != nil {
		return err
	}
	mode := fs.FileMode(h.Mode).Perm()
	m, resolved, err := c.stat(ctx, dst)
	if err == nil {
		if m.IsDir() {
			return fmt.Errorf("%s: Is a directory: write it with a trailing slash to put the file into it", dst)
		}
		dst, mode = resolved, m.Perm() // what is there keeps its mode
	}
	p := guest.NewPlacing(dst)
	p.Literal, p.Owner = true, fmt.Sprintf("%d:%d", h.Uid, h.Gid)
	h.Name, h.Mode = path.Base(dst), int64(mode)
	parts := c.hasShell(ctx)
	if parts {
		h.Name, h.Mode = p.Part(), 0o600
	}
	in := tree.Ahead(ctx, func(w io.Writer) error {
		t := tar.NewWriter(w)
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(t, content); err != nil {
			return err
		}
		return t.Close()
	})
	defer in.Close()
	if err := c.put(ctx, path.Dir(dst), in); err != nil || !parts {
		return c.dropped(ctx, path.Join(path.Dir(dst), p.Part()), parts, err)
	}
	return c.place(ctx, p.FileHere(mode))
}

// put sends a tar stream. An error of its source wins over what it leads to.
func (c *Communicator) put(ctx context.Context, dir string, in io.Reader) error {
	src := &tree.Watched{R: in}
	_, err := c.engine.CopyToContainer(
		ctx,
		c.container,
		client.CopyToContainerOptions{DestinationPath: dir, Content: src},
	)
	if src.Err() != nil {
		return src.Err()
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case docker.Absent(err):
		return fmt.Errorf("folder %s: %w in the container: %w", dir, kiln.ErrNotFound, err)
	case docker.Gone(err):
		return fmt.Errorf("%w: %w", kiln.ErrConnectionLost, err)
	}
	return err
}

func (c *Communicator) uploadTree(ctx context.Context, up *kiln.Upload, uid, gid int) error {
	source, err := filepath.Abs(up.Source)
	if err != nil {
		return err
	}
	dst, err := c.absolute(ctx, up.Destination)
	if err != nil {
		return err
	}
	name, base := strings.TrimPrefix(dst, "/"), "/"
	mode, resolved, err := c.stat(ctx, dst)
	switch {
	case err == nil && !mode.IsDir():
		return fmt.Errorf("%s is a file in the container, not a folder", dst)
	case err == nil && up.ContentsOnly:
		base, name = resolved, ""
	case err == nil:
		base, name = resolved, filepath.Base(source)
	case !docker.Absent(err):
		return err
	}
	p := guest.NewPlacing(path.Join(base, name))
	p.Literal = true
	if c.o.FixOwner {
		p.Owner = fmt.Sprintf("%d:%d", uid, gid)
	}
	parts := c.hasShell(ctx)
	if parts {
		name = p.Part() + "/t"
	}
	in := tree.Ahead(ctx, func(w io.Writer) error {
		if parts {
			t := tar.NewWriter(w)
			h := tree.Header(p.Part(), fs.ModeDir|0o700, 0, time.Now(), 0, 0)
			if err := errors.Join(t.WriteHeader(h), t.Flush()); err != nil {
				return err
			}
		}
		return tree.Pack(ctx, w, source, tree.PackOptions{
			Name: name, UID: uid, GID: gid, Owners: !c.o.FixOwner, Progress: up.Progress,
		})
	})
	defer in.Close()
	if err := c.put(ctx, base, in); err != nil || !parts {
		return c.dropped(ctx, path.Join(base, p.Part()), parts, err)
	}
	return c.place(ctx, p.TreeHere(path.Join(base, p.Part()), ""))
}

// dropped removes what came of an upload that failed, if that is quickly done: it may be
// in a volume, which stays when the container goes.
func (c *Communicator) dropped(ctx context.Context, part string, parts bool, err error) error {
	if err == nil || !parts {
		return err
	}
	removeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), guest.RemoveTime)
	defer cancel()
	if rmErr := c.place(removeCtx, guest.Sh("rm -rf "+guest.Quote(part))); rmErr != nil && ctx.Err() == nil &&
		!errors.Is(rmErr, kiln.ErrConnectionLost) {
		err = fmt.Errorf("%w; %s may still be in the container: %w", err, part, rmErr)
	}
	return err
}

// Download brings a file or tree from the container.
func (c *Communicator) Download(ctx context.Context, down *kiln.Download) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	src := strings.TrimSuffix(down.Source, "/")
	if !down.Tree {
		return c.downloadFile(ctx, down)
	}
	if !guest.IsPattern(src) {
		return c.downloadTree(ctx, src, down, down.ContentsOnly)
	}
	var out bytes.Buffer
	err := c.run(
		ctx,
		&kiln.Cmd{
			Command: fmt.Sprintf(
				`for f in %s; do if [ -e "$f" ] || [ -L "$f" ]; then printf '%%s\0' "$f"; fi; done`,
				guest.QuotePattern(src),
			),
			Stdout: &limited{&out, mostNames, errors.New("the names that fit have no end")},
		},
		"0",
		false,
	)
	if err != nil {
		return err
	}
	matches := strings.Split(strings.TrimSuffix(out.String(), "\x00"), "\x00")
	if out.Len() == 0 {
		return fmt.Errorf("%s: %w in the container", down.Source, kiln.ErrNotFound)
	}
	for _, m := range matches {
		if err := c.downloadTree(ctx, m, down, false); err != nil {
			return err
		}
	}
	return nil
}

func (c *Communicator) downloadTree(
	ctx context.Context,
	src string,
	down *kiln.Download,
	contents bool,
) error {
	abs, err := c.absolute(ctx, src)
	if err != nil {
		return err
	}
	if mode, resolved, err := c.stat(ctx, abs); err == nil && mode.IsDir() && contents {
		abs = resolved
	}
	res, err := c.engine.CopyFromContainer(ctx, c.container, client.CopyFromContainerOptions{SourcePath: abs})
	if docker.Absent(err) {
		return fmt.Errorf("%s: %w in the container", src, kiln.ErrNotFound)
	}
	if err != nil {
		return err
	}
	defer res.Content.Close()
	strip := ""
	if contents {
		if !res.Stat.Mode.IsDir() {
			return fmt.Errorf("%s is no folder", src)
		}
		strip = path.Base(abs)
	}
	return tree.Unpack(ctx, res.Content, down.Destination, strip, down.Progress)
}

func (c *Communicator) downloadFile(ctx context.Context, down *kiln.Download) error {
	src, err := c.absolute(ctx, down.Source)
	if err != nil {
		return err
	}
	mode, resolved, err := c.stat(ctx, src)
	if docker.Absent(err) {
		return fmt.Errorf("%s: %w in the container", down.Source, kiln.ErrNotFound)
	}
	if err != nil {
		return err
	}
	if mode.IsDir() {
		return fmt.Errorf("%s is a folder: write it with a trailing slash to download what is in it", down.Source)
	}
	res, err := c.engine.CopyFromContainer(
		ctx,
		c.container,
		client.CopyFromContainerOptions{SourcePath: resolved},
	)
	if err != nil {
		return err
	}
	defer res.Content.Close()
	t := tar.NewReader(res.Content)
	if _, err := t.Next(); err != nil {
		return fmt.Errorf("read %s: %w", down.Source, err)
	}
	_, err = io.Copy(down.Writer, tree.Reported(t, down.Progress))
	return err
}
