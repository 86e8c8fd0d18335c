package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pkg/sftp"

	"kiln"
	"kiln/guest"
	"kiln/guest/tree"
)

// withSFTP runs f with an SFTP client on a session of its own.
func (c *client) withSFTP(ctx context.Context, f func(context.Context, *sftpClient) error) error {
	s, err := c.open(ctx)
	if err != nil {
		return &kiln.StartError{Err: err}
	}
	defer s.Close()
	ctx, w := watch(ctx, c.d.stall)
	defer w.stop()
	// A request that waits for its answer ends with the session, but where the server does
	// not end it too, with the connection alone.
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		s.Close()
		timer := time.NewTimer(endWait)
		defer timer.Stop()
		select {
		case <-ended:
		case <-timer.C:
			s.link.Close()
		}
	})
	defer stop()
	go func() { _ = s.outcome() }() // requests of the server must be answered
	ok, err := answered(ctx, c.d.answer, func() (bool, error) {
		return s.SendRequest("subsystem", true, []byte("\x00\x00\x00\x04sftp"))
	}, func(bool) {})
	if err != nil || !ok {
		return &kiln.StartError{Err: errors.Join(errors.New("the server has no sftp subsystem"), err)}
	}
	over := watchedSession{s, w}
	cl, err := sftp.NewClientPipe(over, over, sftp.UseConcurrentWrites(true), sftp.UseConcurrentReads(true))
	mine := &sftpClient{Client: cl, w: w, c: c, made: map[string]kiln.Resource{}}
	if err == nil {
		err = f(ctx, mine)
		stop()
		cl.Close()
	} else {
		err = fmt.Errorf("start sftp: %w", err)
	}
	close(ended)
	mine.removeParts(ctx)
	switch why := w.why(ctx); {
	case why != nil:
		return why
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !s.link.alive():
		return fmt.Errorf("%w: %w", kiln.ErrConnectionLost, err)
	}
	return err
}

// sftpClient is a client whose transfers are watched.
type sftpClient struct {
	*sftp.Client
	w    *watchdog
	c    *client
	made map[string]kiln.Resource // folders of parts that are still on the machine
}

func (c *client) sftpUpload(ctx context.Context, up *kiln.Upload) error {
	isTree, err := checkSource(up)
	if err != nil {
		return err
	}
	dst, err := c.atHome(ctx, up.Destination)
	if err != nil {
		return err
	}
	return c.withSFTP(ctx, func(ctx context.Context, cl *sftpClient) error {
		if isTree {
			return cl.putTree(ctx, up, dst)
		}
		content, size, mode, err := tree.Source(ctx, up)
		if err != nil {
			return err
		}
		defer content.Close()
		return cl.putOne(dst, tree.Reported(content, up.Progress), size, mode)
	})
}

// atHome resolves a leading ~ and the like, which the shell would do.
func (c *client) atHome(ctx context.Context, name string) (string, error) {
	home, rest := guest.SplitHome(name)
	if home == "" {
		return name, nil
	}
	var out shortText
	err := c.fetch(ctx, guest.Sh("printf %s "+guest.QuotePath(home+"/")), &out, nil)
	dir := strings.TrimRight(out.String(), "/")
	switch {
	case err == nil && path.IsAbs(dir):
		return dir + rest, nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case strings.HasPrefix(home, "~") && home != "~":
		return "", fmt.Errorf("%s: there is no such user on the machine, or no shell that knows", home)
	}
	// A server for files alone: one begins in the user's home there.
	return "." + rest, nil
}

// shortText is an answer of which nobody expects much.
type shortText struct{ bytes.Buffer }

func (s *shortText) Write(p []byte) (int, error) {
	if s.Len()+len(p) > mostTalk {
		return 0, errTalk
	}
	return s.Buffer.Write(p)
}

// putOne puts one file. Until it is whole it is in a folder of its own, that nobody else
// may look into.
func (cl *sftpClient) putOne(dst string, content io.Reader, size int64, mode fs.FileMode) error {
	dst, was, err := cl.existing(dst)
	if err != nil {
		return err
	}
	if was != nil && was.IsDir() {
		return fmt.Errorf("%s: Is a directory: write it with a trailing slash to put the file into it", dst)
	}
	if was != nil && was.Mode().IsRegular() {
		// It may be replaced only where it may be written to, as with the other ways.
		f, err := cl.OpenFile(dst, os.O_WRONLY)
		if err != nil {
			return fmt.Errorf("open %s on the machine: %w", dst, err)
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("open %s on the machine: %w", dst, err)
		}
	}
	part, done, err := cl.parts(path.Dir(dst))
	if was != nil && (err != nil || !was.Mode().IsRegular()) {
		// What there is may be written to, the folder around it may not.
		done()
		return cl.write(dst, os.O_WRONLY|os.O_TRUNC, content, size)
	}
	if err != nil {
		return err
	}
	defer done()
	return cl.put(path.Join(part, "file"), dst, was, content, size, mode)
}

// existing finds what is there already, through links; nil: nothing is.
func (cl *sftpClient) existing(name string) (string, fs.FileInfo, error) {
	if real, err := cl.RealPath(name); err == nil {
		name = real // on some servers even of what does not exist
	}
	info, err := cl.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return name, nil, nil
	}
	if err != nil {
		return name, nil, fmt.Errorf("look at %s on the machine: %w", name, err)
	}
	return name, info, nil
}

// parts makes a folder for what is not whole yet; done takes it away.
func (cl *sftpClient) parts(folder string) (part string, done func(), err error) {
	part = path.Join(folder, ".kiln-part-"+kiln.RandomName(16))
	if err = cl.own(part); err != nil {
		return "", func() {}, err
	}
	done = func() {
		// There are no files in it, unless the transfer was cut off.
		if err := cl.RemoveDirectory(part); err == nil || errors.Is(err, fs.ErrNotExist) {
			cl.forget(part)
		}
	}
	if err = cl.Mkdir(part); err != nil {
		if _, answered := errors.AsType[*sftp.StatusError](err); answered {
			cl.forget(part)
		}
		return "", func() {}, fmt.Errorf("make a folder in %s on the machine: %w", folder, err)
	}
	if err = cl.Chmod(part, 0o700); err != nil {
		done()
		return "", func() {}, fmt.Errorf("close %s on the machine to others: %w", part, err)
	}
	return part, done, nil
}

// own writes a folder down that is about to be made on a machine which stays.
func (cl *sftpClient) own(part string) error {
	r := kiln.Resource{Owner: "communicator.ssh", Kind: "folder", ID: guest.On(cl.c.d.b, part)}
	cl.made[part] = r
	if !guest.Stays(cl.c.d.b) {
		return nil
	}
	return cl.c.d.b.Own(r, func(ctx context.Context) error { return cl.c.removeTree(ctx, part) })
}

func (cl *sftpClient) forget(part string) {
	// A journal that cannot be written to says so when the build ends.
	_ = cl.c.d.b.Forget(cl.made[part])
	delete(cl.made, part)
}

// removeParts takes away what the end of a transfer has left, if that is quickly done.
// Else it stays owned, and the end of the build names it.
func (cl *sftpClient) removeParts(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), guest.RemoveTime)
	defer cancel()
	for part := range cl.made {
		if cl.c.removeTree(ctx, part) == nil {
			cl.forget(part)
		}
	}
}

func (c *client) removeTree(ctx context.Context, name string) error {
	err := c.run(ctx, &kiln.Cmd{Command: guest.Sh("rm -rf -- " + guest.Quote(name))}, false)
	if err != nil {
		return fmt.Errorf("remove %s from the machine: %w", name, err)
	}
	return nil
}

// put writes a part, and moves it to its name when it is whole. What was there passes on
// its mode, and its owner where the server lets us.
func (cl *sftpClient) put(
	part, dst string, was fs.FileInfo, content io.Reader, size int64, mode fs.FileMode,
) error {
	err := cl.write(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, content, size)
	if err == nil {
		if was != nil {
			mode = was.Mode()
			if st, ok := was.Sys().(*sftp.FileStat); ok {
				_ = cl.Chown(part, int(st.UID), int(st.GID))
			}
		}
		err = cl.Chmod(part, mode.Perm())
	}
	if err == nil {
		err = cl.move(part, dst)
	}
	if err != nil {
		_ = cl.Remove(part)
		return fmt.Errorf("write %s on the machine: %w", dst, err)
	}
	return nil
}

// move gives a file its name, in place of what has it. Old servers need that out of the way.
func (cl *sftpClient) move(part, dst string) error {
	if _, ok := cl.HasExtension("posix-rename@openssh.com"); ok {
		return cl.PosixRename(part, dst)
	}
	if err := cl.Remove(dst); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return cl.Rename(part, dst)
}

func (cl *sftpClient) write(name string, flags int, content io.Reader, size int64) error {
	out, err := cl.OpenFile(name, flags)
	if err != nil {
		return fmt.Errorf("open %s on the machine: %w", name, err)
	}
	n, err := out.ReadFrom(cl.w.reader(io.LimitReader(content, size)))
	if err == nil && n != size {
		err = fmt.Errorf("read %d bytes where %d were expected", n, size)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("write %s on the machine: %w", name, err)
	}
	return nil
}

// putTree puts a tree, each file of it whole.
func (cl *sftpClient) putTree(ctx context.Context, up *kiln.Upload, dst string) error {
	source, err := filepath.Abs(up.Source)
	if err != nil {
		return err
	}
	if info, err := cl.Stat(dst); err == nil && info.IsDir() && !up.ContentsOnly {
		dst = path.Join(dst, filepath.Base(source))
	}
	// A new tree gets its name when all of it is there.
	_, err = cl.Stat(dst)
	fresh, at := errors.Is(err, fs.ErrNotExist), dst
	if fresh {
		at = path.Dir(path.Clean(dst))
	}
	if err := cl.MkdirAll(at); err != nil {
		return fmt.Errorf("make folder %s on the machine: %w", at, err)
	}
	part, done, err := cl.parts(at)
	if err != nil {
		return err
	}
	defer done()
	if !fresh {
		return cl.fill(ctx, up, source, sftpTree{dst: dst, part: path.Join(part, "file")})
	}
	t := sftpTree{dst: path.Join(part, "tree"), part: path.Join(part, "file"), fresh: true}
	if err = cl.Mkdir(t.dst); err == nil {
		if err = cl.fill(ctx, up, source, t); err == nil {
			err = cl.Rename(t.dst, path.Clean(dst))
		}
		if err == nil && !up.ContentsOnly {
			info, statErr := os.Stat(source)
			if err = statErr; err == nil {
				err = cl.Chmod(dst, info.Mode().Perm())
			}
		}
	}
	if err != nil {
		_ = cl.RemoveAll(t.dst) // what is left of it is in a folder that is closed
		return fmt.Errorf("make %s on the machine: %w", dst, err)
	}
	return nil
}

// fill puts what is in a tree into a folder that is there.
func (cl *sftpClient) fill(ctx context.Context, up *kiln.Upload, source string, t sftpTree) error {
	t.cl, t.up = cl, up
	if err := tree.Walk(ctx, source, func(e tree.Entry) error { return t.add(ctx, e) }); err != nil {
		return err
	}
	// Modes of folders come last: one may forbid to write to it.
	for _, e := range slices.Backward(t.folders) {
		if err := cl.Chmod(path.Join(t.dst, e.Name), e.Info.Mode().Perm()); err != nil {
			return fmt.Errorf("set the mode of %s on the machine: %w", path.Join(t.dst, e.Name), err)
		}
	}
	return nil
}

// sftpTree is a tree on its way.
type sftpTree struct {
	cl        *sftpClient
	up        *kiln.Upload
	dst, part string
	fresh     bool // there is nothing in dst yet
	folders   []tree.Entry
	done      int64
}

func (t *sftpTree) add(ctx context.Context, e tree.Entry) error {
	to := path.Join(t.dst, e.Name)
	switch {
	case e.Name == ".":
		return nil
	case e.Link != "":
		_ = t.cl.Remove(to) // one that is in the way, if any
		return t.cl.Symlink(e.Link, to)
	case e.Info.IsDir():
		if !t.fresh {
			if info, err := t.cl.Stat(to); err == nil && info.IsDir() {
				return nil
			}
		}
		if err := t.cl.Mkdir(to); err != nil {
			return fmt.Errorf("make folder %s on the machine: %w", to, err)
		}
		t.folders = append(t.folders, e)
		return nil
	case e.Same != "":
		_ = t.cl.Remove(to)
		if err := t.cl.Link(path.Join(t.dst, e.Same), to); err == nil {
			return nil
		}
		// A server that knows no hard links gets the file again.
	}
	f, err := tree.Open(ctx, e.File)
	if err != nil {
		return err
	}
	defer f.Close()
	var was fs.FileInfo
	if !t.fresh {
		if to, was, err = t.cl.existing(to); err != nil {
			return err
		}
	}
	before := t.done
	content := tree.Reported(f, func(n int64) {
		if t.done = before + n; t.up.Progress != nil {
			t.up.Progress(t.done)
		}
	})
	return t.cl.put(t.part, to, was, content, e.Info.Size(), e.Info.Mode())
}

func (c *client) sftpDownload(ctx context.Context, down *kiln.Download) error {
	src, err := c.atHome(ctx, down.Source)
	if err != nil {
		return err
	}
	return c.withSFTP(ctx, func(_ context.Context, cl *sftpClient) error {
		f, err := cl.Open(src)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w on the machine", down.Source, kiln.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("open %s on the machine: %w", down.Source, err)
		}
		defer f.Close()
		if _, err := f.WriteTo(&watchedWriter{cl.w, &counting{w: down.Writer, f: down.Progress}}); err != nil {
			return fmt.Errorf("read %s on the machine: %w", down.Source, err)
		}
		return nil
	})
}
