package ssh

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync/atomic"

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
	file, size, mode, err := tree.Source(ctx, up)
	if err != nil {
		return err
	}
	defer file.Close()
	command := guest.NewPlacing(up.Destination).File(`scp -t "$f"`, size, mode)
	return c.scp(ctx, command, func(w *scpWriter) error {
		return w.file("file", 0o600, size, tree.Reported(file, up.Progress))
	})
}

// scpWriter sends the messages of the protocol, and counts those that are answered.
type scpWriter struct {
	*bufio.Writer
	due *atomic.Int64
}

func (w *scpWriter) say(format string, args ...any) {
	w.due.Add(1)
	fmt.Fprintf(w, format+"\n", args...) // an error comes back at the end, by Flush
}

func (w *scpWriter) file(name string, mode fs.FileMode, size int64, content io.Reader) error {
	if strings.ContainsAny(name, "\n") {
		return fmt.Errorf("scp cannot send a file whose name has a line break: %q", name)
	}
	w.say("C%04o %d %s", mode.Perm(), size, name)
	n, err := io.Copy(w, io.LimitReader(content, size))
	if err != nil {
		return err
	}
	if n < size {
		return fmt.Errorf("%s became smaller while it was read", name)
	}
	w.due.Add(1)
	return w.WriteByte(0)
}

func (c *client) scpTree(ctx context.Context, up *kiln.Upload) error {
	// What the protocol does not know, links of both kinds, is made by a script that the
	// tree brings along.
	script, err := linksOf(ctx, up.Source)
	if err != nil {
		return err
	}
	receive := `scp -rt "$t"`
	if script != "" {
		receive += ` && (cd "$t" && . ./` + scpLinks + `) && rm "$t/` + scpLinks + `"`
	}
	command, err := placeTree(up, receive)
	if err != nil {
		return err
	}
	return c.scp(ctx, command, func(w *scpWriter) error {
		if script != "" {
			err := w.file(scpLinks, 0o600, int64(len(script)), strings.NewReader(script))
			if err != nil {
				return err
			}
		}
		return w.tree(ctx, up)
	})
}

// scpLinks is the name of the script, which no file of a tree has.
const scpLinks = ".kiln-links-2vq7yt5ph4"

// linksOf writes the script that makes the links of a tree; "" where it has none.
func linksOf(ctx context.Context, source string) (string, error) {
	var b strings.Builder
	err := tree.Walk(ctx, source, func(e tree.Entry) error {
		name := guest.Quote("./" + e.Name)
		switch {
		case e.Link != "":
			fmt.Fprintf(&b, "ln -s -- %s %s || exit 1\n", guest.Quote(e.Link), name)
		case e.Same != "":
			fmt.Fprintf(&b, "ln -- %s %s || exit 1\n", guest.Quote("./"+e.Same), name)
		}
		return nil
	})
	return b.String(), err
}

// tree sends what is in a folder, less its links.
func (w *scpWriter) tree(ctx context.Context, up *kiln.Upload) error {
	var in []string // the folders that are begun and not ended
	done := int64(0)
	err := tree.Walk(ctx, up.Source, func(e tree.Entry) error {
		if e.Name == "." || e.Link != "" || e.Same != "" {
			return nil
		}
		dir, base := path.Split(e.Name)
		for len(in) > 0 && in[len(in)-1]+"/" != dir {
			w.say("E")
			in = in[:len(in)-1]
		}
		if e.Info.IsDir() {
			if strings.Contains(base, "\n") {
				return fmt.Errorf("scp cannot send a folder whose name has a line break: %q", e.Name)
			}
			w.say("D%04o 0 %s", e.Info.Mode().Perm(), base)
			in = append(in, e.Name)
			return nil
		}
		f, err := tree.Open(ctx, e.File)
		if err != nil {
			return err
		}
		before := done
		content := tree.Reported(f, func(n int64) {
			if done = before + n; up.Progress != nil {
				up.Progress(done)
			}
		})
		return errors.Join(w.file(base, e.Info.Mode(), e.Info.Size(), content), f.Close())
	})
	for range in {
		w.say("E")
	}
	return err
}

// scp runs the remote side and the sender beside each other.
func (c *client) scp(ctx context.Context, command string, send func(*scpWriter) error) error {
	answers, answered := io.Pipe()
	verdict := make(chan error, 1)
	var due atomic.Int64
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		err := scpAnswers(answers, &due)
		answers.CloseWithError(err)
		verdict <- err
		if errors.Is(err, errTalk) {
			cancel()
		}
	}()
	in := tree.Ahead(ctx, func(w io.Writer) error {
		buf := &scpWriter{bufio.NewWriterSize(w, copySize), &due}
		if err := send(buf); err != nil {
			return err
		}
		return buf.Flush()
	})
	defer in.Close()
	err := c.send(ctx, command, in, answered)
	answered.Close()
	said := <-verdict
	switch {
	case errors.Is(said, errTalk):
		return said
	case missing(err):
		return fmt.Errorf(
			"SCP failed to start. This usually means that SCP is not properly installed on the remote system: %w",
			err,
		)
	case said != nil && ctx.Err() == nil:
		return said
	}
	return err
}

// scpAnswers reads the receiver's answers: a zero for each message that was good, and
// one at the beginning.
func scpAnswers(r io.Reader, due *atomic.Int64) error {
	in := bufio.NewReaderSize(r, mostTalk)
	for got := int64(0); ; got++ {
		b, err := in.ReadByte()
		switch {
		case err != nil:
			return nil // the exit code tells the rest
		case got > due.Load():
			return fmt.Errorf("%w: scp answers what was not asked", errTalk)
		case b == 0:
			continue
		}
		text, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("%w: a message of scp has no end", errTalk)
		}
		return scpError(text)
	}
}

// scpError is what scp says of an error.
func scpError(text []byte) error {
	said := strings.TrimSpace(strings.TrimPrefix(string(text), "scp: "))
	return fmt.Errorf("scp: %s", strings.ToValidUTF8(said, "\uFFFD"))
}

// scpDownload brings one file with scp.
func (c *client) scpDownload(ctx context.Context, down *kiln.Download) error {
	toRemote, fromHere := io.Pipe()
	fromRemote, toHere := io.Pipe()
	result := make(chan error, 1)
	go func() {
		err := scpReceive(bufio.NewReaderSize(fromRemote, mostTalk), fromHere, down)
		fromHere.Close()
		fromRemote.Close()
		result <- err
	}()
	command := sourceFile(down.Source, `scp -f "$f"`)
	err := c.fetch(ctx, command, toHere, toRemote)
	toHere.Close()
	toRemote.Close()
	got := <-result
	if err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return explained(err, down.Source)
	}
	return got
}

func scpReceive(in *bufio.Reader, out io.Writer, down *kiln.Download) error {
	if _, err := out.Write([]byte{0}); err != nil {
		return err
	}
	line, err := in.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("scp sent no message: %w", err)
	}
	if line[0] == 1 || line[0] == 2 {
		return scpError(line[1:])
	}
	head := string(line)
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
