package ssh

import (
	"bufio"
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

// scpUpload speaks the classic protocol of scp: docs/compat/communicators.md 3.5. The answers
// are read beside the sending, so that a tree does not cost a round trip a file.
func (c *client) scpUpload(ctx context.Context, up *kiln.Upload) error {
	isTree, err := checkSource(up)
	if err != nil {
		return err
	}
	if isTree {
		return c.scpTree(ctx, up)
	}
	file, size, mode, err := tree.Source(up)
	if err != nil {
		return err
	}
	defer file.Close()
	var content io.Reader = file
	if size < 0 {
		// The protocol names the size first.
		text, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		content, size = strings.NewReader(string(text)), int64(len(text))
	}
	return c.scp(ctx, "scp -t "+guest.Quote(up.Destination), func(w *bufio.Writer) error {
		return scpFile(w, path.Base(up.Destination), mode, size, tree.Reported(content, up.Progress))
	})
}

func scpFile(w *bufio.Writer, name string, mode fs.FileMode, size int64, content io.Reader) error {
	if strings.ContainsAny(name, "\n") {
		return fmt.Errorf("scp cannot send a file whose name has a line break: %q", name)
	}
	fmt.Fprintf(w, "C%04o %d %s\n", mode.Perm(), size, name)
	n, err := io.Copy(w, io.LimitReader(content, size))
	if err != nil {
		return err
	}
	if n < size {
		return fmt.Errorf("%s became smaller while it was read", name)
	}
	return w.WriteByte(0)
}

func (c *client) scpTree(ctx context.Context, up *kiln.Upload) error {
	source, err := filepath.Abs(up.Source)
	if err != nil {
		return err
	}
	dst := guest.Quote(up.Destination)
	command := fmt.Sprintf("mkdir -p -- %s && scp -rt %s", dst, dst)
	if !up.ContentsOnly {
		// Into a folder that exists goes the tree's own folder; otherwise it gets
		// this name.
		command = fmt.Sprintf(
			`d=%s; if [ -d "$d" ]; then d="$d"/%s; fi; mkdir -p -- "$d" && exec scp -rt "$d"`,
			dst,
			guest.Quote(filepath.Base(source)),
		)
	}
	var links []string
	err = c.scp(ctx, command, func(w *bufio.Writer) error { return scpDir(ctx, w, source, "", &links) })
	if err != nil || len(links) == 0 {
		return err
	}
	return c.makeLinks(ctx, up, source, links)
}

// scpDir sends what is in a folder. Links, which the protocol does not know, are
// collected.
func scpDir(ctx context.Context, w *bufio.Writer, dir, rel string, links *[]string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		file, name := filepath.Join(dir, e.Name()), path.Join(rel, e.Name())
		info, err := e.Info()
		if err != nil {
			return err
		}
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			*links = append(*links, name)
		case info.IsDir():
			if strings.Contains(e.Name(), "\n") {
				return fmt.Errorf("scp cannot send a folder whose name has a line break: %q", name)
			}
			fmt.Fprintf(w, "D%04o 0 %s\n", info.Mode().Perm(), e.Name())
			if err := scpDir(ctx, w, file, name, links); err != nil {
				return err
			}
			fmt.Fprint(w, "E\n")
		case info.Mode().IsRegular():
			f, err := os.Open(file)
			if err != nil {
				return err
			}
			err = scpFile(w, e.Name(), info.Mode(), info.Size(), f)
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is neither file, folder nor link and cannot be uploaded", file)
		}
	}
	return nil
}

// makeLinks makes the links of a tree that scp brought.
func (c *client) makeLinks(ctx context.Context, up *kiln.Upload, source string, links []string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "d=%s\n", guest.Quote(up.Destination))
	if !up.ContentsOnly {
		base := guest.Quote(filepath.Base(source))
		fmt.Fprintf(&b, "if [ -d \"$d\"/%s ]; then d=\"$d\"/%s; fi\n", base, base)
	}
	for _, l := range links {
		target, err := os.Readlink(filepath.Join(source, filepath.FromSlash(l)))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "ln -sfn -- %s \"$d\"/%s || exit 1\n", guest.Quote(target), guest.Quote(l))
	}
	return c.stream(ctx, "sh", strings.NewReader(b.String()))
}

// scp runs the remote side and the sender beside each other.
func (c *client) scp(ctx context.Context, command string, send func(*bufio.Writer) error) error {
	answers, answered := io.Pipe()
	verdict := make(chan error, 1)
	go func() {
		err := scpAnswers(answers)
		answers.CloseWithError(err)
		verdict <- err
	}()
	in := tree.Ahead(ctx, func(w io.Writer) error {
		buf := bufio.NewWriterSize(w, copySize)
		if err := send(buf); err != nil {
			return err
		}
		return buf.Flush()
	})
	defer in.Close()
	var stderr limitedBuffer
	src := &tree.Watched{R: in}
	err := c.run(ctx, &kiln.Cmd{Command: command, Stdin: src, Stdout: answered, Stderr: &stderr}, false)
	answered.Close()
	said := <-verdict
	switch {
	case src.Err() != nil:
		return src.Err()
	case missing(err):
		return fmt.Errorf(
			"SCP failed to start. This usually means that SCP is not properly installed on the remote system: %w",
			err,
		)
	case said != nil:
		return said
	}
	return withOutput(err, &stderr.Buffer)
}

// scpAnswers reads the receiver's answers: a zero for each message that was good.
func scpAnswers(r io.Reader) error {
	in := bufio.NewReader(r)
	for {
		b, err := in.ReadByte()
		if err != nil {
			return nil // the exit code tells the rest
		}
		if b == 0 {
			continue
		}
		text, _ := in.ReadString('\n')
		return fmt.Errorf("scp: %s", strings.TrimSpace(strings.TrimPrefix(text, "scp: ")))
	}
}

// scpDownload brings one file with scp.
func (c *client) scpDownload(ctx context.Context, down *kiln.Download) error {
	toRemote, fromHere := io.Pipe()
	fromRemote, toHere := io.Pipe()
	result := make(chan error, 1)
	go func() {
		err := scpReceive(bufio.NewReader(fromRemote), fromHere, down)
		fromHere.Close()
		fromRemote.CloseWithError(errors.New("done"))
		result <- err
	}()
	var stderr limitedBuffer
	src := guest.Quote(down.Source)
	command := fmt.Sprintf(
		`[ -e %s ] || exit %d; [ -d %s ] && exit %d; scp -f %s`,
		src,
		codeAbsent,
		src,
		codeIsDir,
		src,
	)
	err := c.run(ctx, &kiln.Cmd{Command: command, Stdin: toRemote, Stdout: toHere, Stderr: &stderr}, false)
	toHere.Close()
	toRemote.Close()
	got := <-result
	if err = explained(err, down.Source, &stderr.Buffer); err != nil {
		return err
	}
	return got
}

func scpReceive(in *bufio.Reader, out io.Writer, down *kiln.Download) error {
	if _, err := out.Write([]byte{0}); err != nil {
		return err
	}
	head, err := in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("scp sent nothing: %w", err)
	}
	if head[0] == 1 || head[0] == 2 {
		return fmt.Errorf("scp: %s", strings.TrimSpace(head[1:]))
	}
	var mode uint32
	var size int64
	if n, err := fmt.Sscanf(head, "C%o %d", &mode, &size); n != 2 || size < 0 {
		return fmt.Errorf("scp: strange message %q: %w", head, err)
	}
	if _, err := out.Write([]byte{0}); err != nil {
		return err
	}
	w := &counting{w: down.Writer, f: down.Progress}
	if _, err := io.CopyN(w, in, size); err != nil {
		return fmt.Errorf("receive %s: %w", down.Source, err)
	}
	if b, err := in.ReadByte(); err != nil || b != 0 {
		return fmt.Errorf("receive %s: the machine met an error", down.Source)
	}
	_, err = out.Write([]byte{0})
	return err
}
