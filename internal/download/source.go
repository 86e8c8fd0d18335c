package download

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"kiln"
)

// Forms of addresses, see docs/compat/boot-and-media.md 6.3.
const (
	formFile = "file"
	formHTTP = "http"
	formS3   = "s3"
	formGCS  = "gcs"
	formGit  = "git"
	formHg   = "hg"
	formSMB  = "smb"
)

// A source is one address of a file.
type source struct {
	form   string
	text   string   // by which Packer names what it keeps of an address without a checksum
	name   string   // for messages: without what may be a secret
	path   string   // of formFile
	url    *url.URL // of all others, without what is told by the fields below
	packed string   // how the file is packed, such as "gz"; "": it is not
	sum    string   // the checksum that stands in the address
}

// forced is an address whose form is written in front of it.
var forced = regexp.MustCompile(`^([A-Za-z0-9]+)::(.*)$`)

// parse finds out where a file is: at an address, or at a path of this machine.
func parse(text string) (*source, error) {
	if text == "" {
		return nil, kiln.Invalid("url", "there is no address to download from")
	}
	s := &source{text: text}
	rest := text
	if m := forced.FindStringSubmatch(text); m != nil {
		s.form, rest = strings.ToLower(m[1]), m[2]
	}
	switch s.form {
	case "", formFile:
		if !strings.Contains(rest, "://") {
			return s.local(strings.TrimPrefix(rest, "file:"))
		}
	case "https":
		s.form = formHTTP
	case formHTTP, formS3, formGCS, formSMB, formHg:
	case formGit:
		rest = scpForm.ReplaceAllString(rest, "ssh://$1/$2")
	default:
		return nil, kiln.Invalid("url", "%s: there are no downloads by %s: use http, https, file, s3, gcs, git, "+
			"hg or smb", hidden(text), s.form)
	}
	scheme, after, _ := strings.Cut(rest, "://")
	u, err := url.Parse(strings.ToLower(scheme) + "://" + after)
	if err != nil {
		return nil, kiln.Invalid("url", "invalid address of a download: %v", withoutURL(err))
	}
	if s.form == "" {
		switch u.Scheme {
		case "http", "https":
			s.form = formHTTP
		case formFile, formSMB:
			s.form = u.Scheme
		default:
			return nil, kiln.Invalid("url", "there are no downloads by %s: use http, https, a file, or a form such "+
				"as s3::https://... or git::ssh://...", u.Scheme)
		}
	}
	s.url = u
	s.take()
	s.name = shown(u)
	if s.form != formHTTP && s.form != u.Scheme {
		s.name = s.form + "::" + s.name
	}
	if s.form == formFile {
		s.path, err = localPath(u)
		return s, err
	}
	return s, s.check()
}

// scpForm is how git writes addresses that ssh leads to.
var scpForm = regexp.MustCompile(`^([^/@:]+@[^/:]+):([^/].*)$`)

// hidden is a text that may hold a password, as far as it may be read by everybody.
func hidden(text string) string {
	text, _, _ = strings.Cut(text, "?")
	scheme, rest, ok := strings.Cut(text, "://")
	if i := strings.LastIndexByte(rest, '@'); ok && i >= 0 {
		return scheme + "://..." + rest[i:]
	}
	return text
}

// local is the source of a path.
func (s *source) local(p string) (*source, error) {
	s.form = formFile
	// What follows a question mark is for us, unless the file is called so.
	if plain, query, ok := strings.Cut(p, "?"); ok && !exists(p) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return nil, kiln.Invalid("url", "invalid query of %s: %v", plain, err)
		}
		p, s.url = plain, &url.URL{Path: filepath.ToSlash(plain), RawQuery: values.Encode()}
		s.take()
	} else {
		s.packed = packing(p)
	}
	s.path, s.name = p, p
	return s, nil
}

// take takes out of the query what is meant for whoever downloads.
func (s *source) take() {
	query := s.url.Query()
	s.sum = query.Get("checksum")
	switch how := query.Get("archive"); how {
	case "":
		s.packed = packing(s.url.Path)
	case "false", "0":
	default:
		s.packed = packing("x." + how)
	}
	query.Del("checksum")
	query.Del("archive")
	s.url.RawQuery = query.Encode()
}

// packings are the ends of names of packed files, longest first.
var packings = []string{
	"tar.bz2", "tar.gz", "tar.xz", "tar.zst", "tbz2", "tgz", "txz", "tzst", "tar",
	"bz2", "gz", "xz", "zst", "zip",
}

// packing is how a file of a name is packed.
func packing(name string) string {
	name = strings.ToLower(name)
	for _, kind := range packings {
		if strings.HasSuffix(name, "."+kind) {
			return kind
		}
	}
	return ""
}

// check reports what no server need be asked for.
func (s *source) check() error {
	switch {
	case s.url.Host == "" && s.url.Scheme != "file":
		return kiln.Invalid("url", "%q names no host", s.name)
	case s.form == formHTTP || s.form == formS3 || s.form == formGCS:
		if s.url.Scheme != "http" && s.url.Scheme != "https" {
			return kiln.Invalid("url", "%s: downloads by %s are by http or https", s.name, s.form)
		}
	case path.Base(s.url.Path) == "/" || path.Base(s.url.Path) == ".":
		return kiln.Invalid("url", "%s names no file", s.name)
	}
	return nil
}

// base is the name of the file itself.
func (s *source) base() string {
	if s.form == formFile {
		return filepath.Base(s.path)
	}
	if name := path.Base(s.url.Path); name != "/" && name != "." {
		return name
	}
	return s.url.Host
}

// localPath is the path that a file address means.
func localPath(u *url.URL) (string, error) {
	path := u.Path
	switch u.Host {
	case "", "localhost":
	case ".", "..":
		path = u.Host + path
	default:
		return "", kiln.Invalid("url", "%s names a file on another machine", u)
	}
	if runtime.GOOS == "windows" && len(path) > 2 && path[0] == '/' && path[2] == ':' {
		path = path[1:]
	}
	return filepath.FromSlash(path), nil
}

// shown is an address as it may be read by everybody: what stands before the host or
// behind the path may be a secret.
func shown(u *url.URL) string {
	plain := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return plain.String()
}

// checked is the address with the checksum that is wanted, as Packer shows it.
func (s *source) checked(want sum) string {
	if want.kind == "" {
		return s.name
	}
	return fmt.Sprintf("%s?checksum=%s", s.name, url.QueryEscape(want.String()))
}
