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

	"github.com/pkg/sftp"

	"kiln"
	"kiln/guest/tree"
)

// withSFTP runs f with an SFTP client on a session of its own.
func (c *client) withSFTP(ctx context.Context, f func(*sftp.Client) error) error {
	s, err := c.open(ctx)
	if err != nil {
		return &kiln.StartError{Err: err}
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	go func() { _ = s.outcome() }() // requests of the server must be answered
	ok, err := s.SendRequest("subsystem", true, []byte("\x00\x00\x00\x04sftp"))
	if err != nil || !ok {
		return &kiln.StartError{Err: errors.Join(errors.New("the server has no sftp subsystem"), err)}
	}
	cl, err := sftp.NewClientPipe(s, s, sftp.UseConcurrentWrites(true), sftp.UseConcurrentReads(true))
	if err != nil {
		return fmt.Errorf("start sftp: %w", err)
	}
	defer cl.Close()
	err = f(cl)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && !s.link.alive() {
		return fmt.Errorf("%w: %w", kiln.ErrConnectionLost, err)
	}
	return err
}

func (c *client) sftpUpload(ctx context.Context, up *kiln.Upload) error {
	isTree, err := checkSource(up)
	if err != nil {
		return err
	}
	return c.withSFTP(ctx, func(cl *sftp.Client) error {
		if isTree {
			return sftpTree(ctx, cl, up)
		}
		if up.Content != nil {
			mode := up.Mode
			if mode == 0 {
				mode = 0o644
			}
			return sftpPut(cl, up.Destination, tree.Reported(up.Content, up.Progress), mode)
		}
		return sftpFile(cl, up.Destination, up.Source, up.Progress)
	})
}

func sftpFile(cl *sftp.Client, dst, src string, progress func(int64)) error {
	f, err := os.Open(src)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return sftpPut(cl, dst, tree.Reported(f, progress), info.Mode())
}

func sftpPut(cl *sftp.Client, dst string, content io.Reader, mode fs.FileMode) error {
	out, err := cl.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("open %s on the machine: %w", dst, err)
	}
	_, err = out.ReadFrom(content)
	if err == nil {
		err = out.Chmod(mode.Perm())
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("write %s on the machine: %w", dst, err)
	}
	return nil
}

func sftpTree(ctx context.Context, cl *sftp.Client, up *kiln.Upload) error {
	source, err := filepath.Abs(up.Source)
	if err != nil {
		return err
	}
	dst := strings.TrimSuffix(up.Destination, "/")
	if info, err := cl.Stat(up.Destination); err == nil && info.IsDir() && !up.ContentsOnly {
		dst = path.Join(dst, filepath.Base(source))
	}
	if err := cl.MkdirAll(dst); err != nil {
		return fmt.Errorf("make folder %s on the machine: %w", dst, err)
	}
	return filepath.WalkDir(source, func(file string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}
		to := path.Join(dst, filepath.ToSlash(rel))
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(file)
			if err != nil {
				return err
			}
			_ = cl.Remove(to) // one that is in the way, if any
			return cl.Symlink(target, to)
		case info.IsDir():
			if rel == "." {
				if up.ContentsOnly {
					return nil
				}
			} else if err := cl.MkdirAll(to); err != nil {
				return fmt.Errorf("make folder %s on the machine: %w", to, err)
			}
			return cl.Chmod(to, info.Mode().Perm())
		case info.Mode().IsRegular():
			return sftpFile(cl, to, file, up.Progress)
		}
		return fmt.Errorf("%s is neither file, folder nor link and cannot be uploaded", file)
	})
}

func (c *client) sftpDownload(ctx context.Context, down *kiln.Download) error {
	return c.withSFTP(ctx, func(cl *sftp.Client) error {
		f, err := cl.Open(down.Source)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w on the machine", down.Source, kiln.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("open %s on the machine: %w", down.Source, err)
		}
		defer f.Close()
		if _, err := f.WriteTo(&counting{w: down.Writer, f: down.Progress}); err != nil {
			return fmt.Errorf("read %s on the machine: %w", down.Source, err)
		}
		return nil
	})
}
