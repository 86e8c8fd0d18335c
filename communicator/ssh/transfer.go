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

// withOutput adds what the machine said to an error.
func withOutput(err error, stderr *bytes.Buffer) error {
	text := strings.TrimSpace(stderr.String())
	if err == nil || text == "" {
		return err
	}
	const most = 2000
	if len(text) > most {
		text = text[len(text)-most:]
	}
	return fmt.Errorf("%w: %s", err, text)
}

// limitedBuffer keeps what a remote program complains about, as far as is useful.
type limitedBuffer struct{ bytes.Buffer }

func (l *limitedBuffer) Write(p []byte) (int, error) {
	if l.Len() < 64<<10 {
		l.Buffer.Write(p)
	}
	return len(p), nil
}

// stream runs a command that reads a stream. An error of the stream's source wins
// over the remote one that it leads to.
func (c *client) stream(ctx context.Context, command string, in io.Reader) error {
	var stderr limitedBuffer
	src := &tree.Watched{R: in}
	err := c.run(ctx, &kiln.Cmd{Command: command, Stdin: src, Stderr: &stderr}, false)
	if src.Err() != nil {
		return src.Err()
	}
	return withOutput(err, &stderr.Buffer)
}

// catUpload streams one file. It is written under a name of its own and moved to
// its place when it is complete and of the right length.
func (c *client) catUpload(ctx context.Context, up *kiln.Upload) error {
	file, size, mode, err := tree.Source(up)
	if err != nil {
		return err
	}
	defer file.Close()
	var content io.Reader = file
	in := tree.Ahead(ctx, func(w io.Writer) error {
		n, err := io.CopyBuffer(
			struct{ io.Writer }{w},
			tree.Reported(content, up.Progress),
			make([]byte, copySize),
		)
		if err == nil && size >= 0 && n != size {
			err = fmt.Errorf("read %d bytes where %d were expected", n, size)
		}
		return err
	})
	defer in.Close()
	dst := guest.Quote(up.Destination)
	check := ""
	if size >= 0 {
		// A lost connection must not leave half a file that looks like a whole one.
		check = fmt.Sprintf(` && [ "$(wc -c <"$f")" -eq %d ]`, size)
	}
	command := fmt.Sprintf(`d=%s; if [ -d "$d" ]; then echo "$d is a folder" >&2; exit 1; fi; f="$d"; `+
		`if [ ! -e "$d" ]; then f="$d.kiln-part"; fi; `+
		`cat >"$f"%s && chmod %04o "$f" || { c=$?; [ "$f" = "$d" ] || rm -f "$f"; exit $c; }; [ "$f" = "$d" ] || mv -f "$f" "$d"`, dst, check, mode.Perm())
	return c.stream(ctx, command, in)
}

// tarUpload streams a tree.
func (c *client) tarUpload(ctx context.Context, up *kiln.Upload) error {
	source, err := filepath.Abs(up.Source)
	if err != nil {
		return err
	}
	name := "."
	into := ""
	if up.ContentsOnly {
		name = ""
	} else {
		into = fmt.Sprintf(`if [ -d "$d" ]; then d="$d"/%s; fi; `, guest.Quote(filepath.Base(source)))
	}
	in := tree.Ahead(ctx, func(w io.Writer) error {
		return tree.Pack(ctx, w, source, tree.PackOptions{Name: name, Progress: up.Progress})
	})
	defer in.Close()
	command := fmt.Sprintf(
		`command -v tar >/dev/null || exit %d; d=%s; %smkdir -p -- "$d" && exec tar -xpof - -C "$d"`,
		codeNotFound,
		guest.Quote(up.Destination),
		into,
	)
	return c.stream(ctx, command, in)
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
	src := guest.Quote(down.Source)
	var stderr limitedBuffer
	out := &counting{w: down.Writer, f: down.Progress}
	command := fmt.Sprintf(
		`f=%s; [ -e "$f" ] || exit %d; [ -d "$f" ] && exit %d; cat "$f"`,
		src,
		codeAbsent,
		codeIsDir,
	)
	err := c.run(ctx, &kiln.Cmd{Command: command, Stdout: out, Stderr: &stderr}, false)
	if out.err != nil {
		return out.err
	}
	return explained(err, down.Source, &stderr.Buffer)
}

// explained gives our exit codes their meaning.
func explained(err error, source string, stderr *bytes.Buffer) error {
	var exit *kiln.ExitError
	if errors.As(err, &exit) {
		switch exit.Code {
		case codeAbsent:
			return fmt.Errorf("%s: %w on the machine", source, kiln.ErrNotFound)
		case codeIsDir:
			return fmt.Errorf("%s is a folder: write it with a trailing slash to download what is in it", source)
		}
	}
	return withOutput(err, stderr)
}

// counting passes output on and remembers the receiver's error.
type counting struct {
	w    io.Writer
	f    func(int64)
	done int64
	err  error
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.done += int64(n)
	if err != nil {
		c.err = err
	} else if c.f != nil {
		c.f(c.done)
	}
	return n, err
}

// tarDownload streams a tree, or all that a pattern names.
func (c *client) tarDownload(ctx context.Context, down *kiln.Download) error {
	r, w := io.Pipe()
	var stderr limitedBuffer
	strip := "."
	var command string
	src := strings.TrimSuffix(down.Source, "/")
	switch {
	case guest.IsPattern(src):
		// Each match goes by its own name, and so as an archive of its own.
		command = fmt.Sprintf(`n=0; for f in %s; do [ -e "$f" ] || [ -L "$f" ] || continue; n=1; `+
			`d=$(dirname -- "$f"; echo .); b=$(basename -- "$f"; echo .); tar -cf - -C "${d%%??}" -- "./${b%%??}" || exit 1; done; [ $n = 1 ] || exit %d`, guest.QuotePattern(src), codeAbsent)
	case down.ContentsOnly:
		command = fmt.Sprintf(
			`d=%s; [ -d "$d" ] || exit %d; exec tar -cf - -C "$d" .`,
			guest.Quote(src+"/"),
			codeAbsent,
		)
	default:
		command = fmt.Sprintf(
			`d=%s; [ -e "$d" ] || exit %d; exec tar -cf - -C %s -- %s`,
			guest.Quote(src),
			codeAbsent,
			guest.Quote(path.Dir(src)),
			guest.Quote("./"+path.Base(src)),
		)
	}
	unpacked := make(chan error, 1)
	go func() {
		err := tree.Unpack(ctx, r, down.Destination, strip, down.Progress)
		r.CloseWithError(err)
		unpacked <- err
	}()
	err := c.run(ctx, &kiln.Cmd{Command: command, Stdout: w, Stderr: &stderr}, false)
	w.CloseWithError(err)
	unpackErr := <-unpacked
	if err = explained(err, down.Source, &stderr.Buffer); err != nil {
		return err
	}
	return unpackErr
}
