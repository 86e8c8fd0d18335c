package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"kiln"
	"kiln/guest"
	"kiln/guest/tree"
)

// Exit codes of our own remote command lines.
const (
	codeAbsent   = 66
	codeIsDir    = 67
	codeNotFound = 127 // of the shell: no such program
)

// Upload puts a file or tree on the machine.
func (c *client) Upload(ctx context.Context, up *kiln.Upload) error {
	switch c.d.cfg.FileTransferMethod {
	case "scp":
		return c.scpUpload(ctx, up)
	case "sftp":
		return c.sftpUpload(ctx, up)
	}
	isTree, err := checkSource(up)
	if err != nil {
		return err
	}
	if !isTree {
		return c.catUpload(ctx, up)
	}
	if !c.lacksTar() {
		err := c.tarUpload(ctx, up)
		if !missing(err) {
			return err
		}
		c.mu.Lock()
		c.noTar = true
		c.mu.Unlock()
	}
	// A machine without tar: what it has instead.
	err = c.scpUpload(ctx, up)
	if missing(err) {
		return c.sftpUpload(ctx, up)
	}
	return err
}

func (c *client) lacksTar() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.noTar
}

// checkSource reports whether the source is a tree; false for a stream.
func checkSource(up *kiln.Upload) (bool, error) {
	if up.Content != nil {
		return false, nil
	}
	info, err := os.Stat(up.Source)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("%w: %w", kiln.ErrNotFound, err)
		}
		return false, err
	}
	return info.IsDir(), nil
}

func missing(err error) bool {
	var exit *kiln.ExitError
	return errors.As(err, &exit) && exit.Code == codeNotFound
}

// catUpload streams one file.
func (c *client) catUpload(ctx context.Context, up *kiln.Upload) error {
	file, size, mode, err := tree.Source(ctx, up)
	if err != nil {
		return err
	}
	defer file.Close()
	in := tree.Ahead(ctx, func(w io.Writer) error {
		n, err := io.CopyBuffer(
			struct{ io.Writer }{w},
			tree.Reported(file, up.Progress),
			make([]byte, copySize),
		)
		if err == nil && n != size {
			err = fmt.Errorf("read %d bytes where %d were expected", n, size)
		}
		return err
	})
	defer in.Close()
	return c.send(ctx, guest.NewPlacing(up.Destination).File(`cat >"$f"`, size, mode), in, nil)
}

// tarUpload streams a tree.
func (c *client) tarUpload(ctx context.Context, up *kiln.Upload) error {
	in := tree.Ahead(ctx, func(w io.Writer) error {
		return tree.Pack(ctx, w, up.Source, tree.PackOptions{Progress: up.Progress})
	})
	defer in.Close()
	command, err := placeTree(up, `tar -xpof - -C "$t"`)
	if err != nil {
		return err
	}
	return c.send(ctx, command, in, nil)
}

// placeTree is the command line that takes a tree by the command receive.
func placeTree(up *kiln.Upload, receive string) (string, error) {
	if up.ContentsOnly {
		return guest.NewPlacing(up.Destination).Tree(receive, "", 0), nil
	}
	source, err := filepath.Abs(up.Source)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(source)
	if err != nil {
		return "", err
	}
	return guest.NewPlacing(up.Destination).Tree(receive, filepath.Base(source), info.Mode()), nil
}

// Download brings a file or tree from the machine.
func (c *client) Download(ctx context.Context, down *kiln.Download) error {
	switch {
	case c.d.cfg.FileTransferMethod == "sftp" && !down.Tree:
		return c.sftpDownload(ctx, down)
	case c.d.cfg.FileTransferMethod == "scp" && !down.Tree:
		return c.scpDownload(ctx, down)
	case down.Tree:
		return c.tarDownload(ctx, down)
	}
	out := &counting{w: down.Writer, f: down.Progress}
	return explained(c.fetch(ctx, sourceFile(down.Source, `cat <"$f"`), out, nil), down.Source)
}

// sourceFile is the command line that sends the file "$f" by the command send.
func sourceFile(path, send string) string {
	return guest.Sh(fmt.Sprintf(`f=%s; [ -e "$f" ] || exit %d; [ -d "$f" ] && exit %d; %s`,
		guest.QuotePath(path), codeAbsent, codeIsDir, send))
}

// explained gives our exit codes their meaning.
func explained(err error, source string) error {
	var exit *kiln.ExitError
	if errors.As(err, &exit) {
		switch exit.Code {
		case codeAbsent:
			return fmt.Errorf("%s: %w on the machine", source, kiln.ErrNotFound)
		case codeIsDir:
			return fmt.Errorf("%s is a folder: write it with a trailing slash to download what is in it", source)
		}
	}
	return err
}

// counting passes output on and tells how much it was.
type counting struct {
	w    io.Writer
	f    func(int64)
	done int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.done += int64(n)
	if err == nil && c.f != nil {
		c.f(c.done)
	}
	return n, err
}

// tarDownload streams a tree, or all that a pattern names.
func (c *client) tarDownload(ctx context.Context, down *kiln.Download) error {
	r, w := io.Pipe()
	strip := "."
	var command string
	src := strings.TrimSuffix(down.Source, "/")
	switch {
	case guest.IsPattern(src):
		// Each match goes by its own name, and so as an archive of its own.
		command = guest.Sh(fmt.Sprintf(`n=0
for f in %s; do
	[ -e "$f" ] || [ -L "$f" ] || continue
	n=1
	d=$(dirname -- "$f"; echo .)
	b=$(basename -- "$f"; echo .)
	tar -cf - -C "${d%%??}" -- "./${b%%??}" || exit 1
done
[ $n = 1 ] || exit %d
`, guest.QuotePathPattern(src), codeAbsent))
	case down.ContentsOnly:
		command = guest.Sh(fmt.Sprintf(`d=%s; [ -d "$d" ] || exit %d; exec tar -cf - -C "$d" .`,
			guest.QuotePath(src+"/"), codeAbsent))
	default:
		command = guest.Sh(fmt.Sprintf(`d=%s; [ -e "$d" ] || exit %d; exec tar -cf - -C %s -- %s`,
			guest.QuotePath(src), codeAbsent,
			guest.QuotePath(path.Dir(src)), guest.Quote("./"+path.Base(src))))
	}
	unpacked := make(chan error, 1)
	go func() {
		err := tree.Unpack(ctx, r, down.Destination, strip, down.Progress)
		r.CloseWithError(err)
		unpacked <- err
	}()
	err := c.fetch(ctx, command, w, nil)
	w.CloseWithError(err)
	unpackErr := <-unpacked
	if err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return explained(err, down.Source)
	}
	return unpackErr
}
