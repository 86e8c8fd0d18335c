package download

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"kiln"
	"kiln/driver/process"
)

// A program of others that brings a file; what it says stands in the error.
func (f *fetch) program(ctx context.Context, dir string, env []string, name string, args ...string) error {
	if _, err := exec.LookPath(name); err != nil {
		return fmt.Errorf("the program %s is needed for it: %w", name, err)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), &out, &out
	err := process.Run(ctx, f.b, cmd)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		said := strings.TrimSpace(out.String())
		return fmt.Errorf("%s: %w: %s", name, err, hideUser(said[max(0, len(said)-1000):]))
	}
	return nil
}

var userInfo = regexp.MustCompile(`://[^/@\s]*@`)

// hideUser takes out of addresses in a text what stands before the host.
func hideUser(text string) string { return userInfo.ReplaceAllString(text, "://") }

// repository splits the address of a file in a repository: the file is its last element.
func repository(src *source) (address, file string, query url.Values) {
	u := *src.url
	query = u.Query()
	file = path.Base(u.Path)
	u.Path, u.RawPath, u.RawQuery, u.Fragment = path.Dir(u.Path), "", "", ""
	return u.String(), file, query
}

// inTemp makes a folder for as long as a function runs.
func (f *fetch) inTemp(ctx context.Context, run func(dir string) error) error {
	dir, r, err := f.b.TempDir("kiln-download-")
	if err == nil {
		err = run(dir)
	}
	return errors.Join(err, f.b.Destroy(context.WithoutCancel(ctx), r))
}

// optionLike refuses what a program would take for an option.
func optionLike(what, text string) error {
	if strings.HasPrefix(text, "-") {
		return kiln.Invalid("url", "%s %q begins with a dash", what, text)
	}
	return nil
}

// git brings a file of a git repository: ref, depth and sshkey may stand in the query.
func (f *fetch) git(src *source) func(context.Context, string) error {
	return func(ctx context.Context, to string) error {
		return f.inTemp(ctx, func(dir string) error {
			address, file, query := repository(src)
			ref := query.Get("ref")
			if err := optionLike("the ref", ref); err != nil {
				return err
			}
			env := []string{"GIT_TERMINAL_PROMPT=0"}
			if key := query.Get("sshkey"); key != "" {
				ssh, err := f.gitKey(dir, key)
				if err != nil {
					return err
				}
				env = append(env, ssh)
			}
			clone := []string{"clone", "--quiet", "--no-checkout"}
			if depth := query.Get("depth"); depth != "" {
				clone = append(clone, "--depth="+depth)
				if ref != "" {
					clone = append(clone, "--branch="+ref)
				}
			}
			tree := filepath.Join(dir, "tree")
			if err := f.program(ctx, dir, env, "git", append(clone, "--", address, tree)...); err != nil {
				return err
			}
			err := f.program(ctx, tree, env, "git", "checkout", "--quiet", cmp.Or(ref, "HEAD"), "--", file)
			if err != nil && ref != "" {
				// A branch that only the other side has.
				err = f.program(ctx, tree, env, "git", "checkout", "--quiet", "origin/"+ref, "--", file)
			}
			if err != nil {
				return err
			}
			return f.copy(ctx, filepath.Join(tree, file), to)
		})
	}
}

// gitKey writes the key of an address, and returns the setting that makes git use it.
func (f *fetch) gitKey(dir, key string) (string, error) {
	text, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(key, " ", "+"))
	if err != nil {
		return "", kiln.Invalid("url", "sshkey is not base64: %v", err)
	}
	f.b.Hide(string(text))
	path := filepath.Join(dir, "key")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", err
	}
	return "GIT_SSH_COMMAND=ssh -i " + path + " -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new", nil
}

// hg brings a file of a Mercurial repository: rev may stand in the query.
func (f *fetch) hg(src *source) func(context.Context, string) error {
	return func(ctx context.Context, to string) error {
		return f.inTemp(ctx, func(dir string) error {
			address, file, query := repository(src)
			if src.url.Scheme == formFile {
				address = src.url.Path[:len(src.url.Path)-len(file)-1]
			}
			rev := cmp.Or(query.Get("rev"), "tip")
			if err := errors.Join(optionLike("the revision", rev), optionLike("the repository", address)); err != nil {
				return err
			}
			tree := filepath.Join(dir, "tree")
			env := []string{"HGPLAIN=1"}
			err := f.program(ctx, dir, env, "hg", "clone", "--quiet", "--noupdate", "--", address, tree)
			if err != nil {
				return err
			}
			out := filepath.Join(dir, "out")
			err = f.program(ctx, tree, env, "hg", "cat", "--quiet", "--decode", "--rev="+rev, "--output="+out, "--",
				"path:"+file)
			if err != nil {
				return err
			}
			return f.copy(ctx, out, to)
		})
	}
}

// smb brings a file of a share by smbclient, which is told the password apart.
func (f *fetch) smb(src *source) func(context.Context, string) error {
	return func(ctx context.Context, to string) error {
		share, file, ok := strings.Cut(strings.TrimPrefix(src.url.Path, "/"), "/")
		if !ok || share == "" || strings.ContainsAny(file, "\"\\;\n") {
			return kiln.Invalid("url", "%s is not the address of a file: want smb://host/share/file", src.name)
		}
		args := []string{"//" + src.url.Hostname() + "/" + share}
		if p := src.url.Port(); p != "" {
			args = append(args, "--port="+p)
		}
		env := []string{}
		if user := src.url.User.Username(); user != "" {
			args = append(args, "--user="+user)
			password, _ := src.url.User.Password()
			env = append(env, "PASSWD="+password)
		} else {
			args = append(args, "--no-pass")
		}
		return f.inTemp(ctx, func(dir string) error {
			out := filepath.Join(dir, "out")
			get := fmt.Sprintf(`get "%s" "%s"`, strings.ReplaceAll(file, "/", `\`), out)
			if err := f.program(ctx, dir, env, "smbclient", append(args, "--command="+get)...); err != nil {
				return err
			}
			return f.copy(ctx, out, to)
		})
	}
}
