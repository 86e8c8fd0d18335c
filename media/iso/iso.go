// Package iso is the file that a machine starts from: an installer's ISO, or a disk.
package iso

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"kiln"
)

// Config is what a template may say about the file: docs/compat/boot-and-media.md 5. A
// builder holds it with kiln:",squash", calls Check in its Validate, and Get in its Start.
type Config struct {
	// The ISO or disk image to start from: a path, or an address to download it from.
	URL string `kiln:"iso_url,origin"`
	// Several addresses of the same file, which are tried in their order.
	URLs []string `kiln:"iso_urls,origin"`
	// What the content of the file must be: md5:HEX, sha1:HEX, sha256:HEX or sha512:HEX, the digits alone,
	// file: and the path or address of a list of checksums, or none.
	Checksum string `kiln:"iso_checksum,origin"`
	// Where to put what is downloaded: a file, or, where the name has no extension, a folder. By default it is
	// the cache.
	TargetPath string `kiln:"iso_target_path,origin"`
	// How the name of what is downloaded ends.
	TargetExtension string `kiln:"iso_target_extension,origin,default=iso"`
}

// usualExtension is the extension where the template gives none.
const usualExtension = "iso"

// Check reports all that is wrong. A list of checksums is read by Get.
func (c *Config) Check() error {
	var errs []error
	switch {
	case c.URL != "" && len(c.URLs) > 0:
		errs = append(errs, kiln.Invalid("iso_url", "Only one of iso_url or iso_urls must be specified"))
	case c.URL == "" && len(c.URLs) == 0:
		errs = append(errs, kiln.Invalid("iso_url", "One of iso_url or iso_urls must be specified"))
	}
	return errors.Join(append(errs, c.checkSum())...)
}

func (c *Config) checkSum() error {
	switch {
	case c.Checksum == "":
		return kiln.Invalid("iso_checksum", "A checksum must be specified")
	case c.Checksum == "none":
		return kiln.Caution("iso_checksum", "A checksum of 'none' was specified. Since ISO files are so big,\n"+
			"a checksum is highly recommended.")
	case strings.HasSuffix(strings.ToLower(c.Checksum), ".iso"):
		return kiln.Invalid("iso_checksum", "Error parsing checksum: .iso is not a valid checksum ending")
	case c.listed():
		return nil
	}
	r := c.remote()
	_, _, err := r.Sum()
	if wrong, ok := errors.AsType[*kiln.FieldError](err); ok {
		wrong.Field = "iso_checksum"
	}
	return err
}

// listed reports whether the checksum stands in a list.
func (c *Config) listed() bool {
	return len(c.Checksum) > 5 && strings.EqualFold(c.Checksum[:5], "file:")
}

// Addresses are those of the file, in the order in which they are tried.
func (c *Config) Addresses() []string {
	if c.URL != "" {
		return []string{c.URL}
	}
	return c.URLs
}

func (c *Config) remote() kiln.Remote {
	r := kiln.Remote{
		Checksum: c.Checksum, Unchecked: true, For: "ISO", Target: c.TargetPath,
		Extension: strings.ToLower(cmp.Or(strings.TrimPrefix(c.TargetExtension, "."), usualExtension)),
	}
	if all := c.Addresses(); len(all) > 0 {
		r.URL, r.Mirrors = all[0], all[1:]
	}
	return r
}

// Get returns the path of the file on this machine, checked. What is here already is used
// where it is; the rest is downloaded, unless an earlier build has.
func (c *Config) Get(ctx context.Context, b *kiln.Build) (path string, err error) {
	return b.Fetch(ctx, c.remote())
}

// Sum returns what the content of the file must be, as kind:digits in lower case, reading the
// list of checksums where one is named; "" where nothing is checked. It does not look at the
// file.
func (c *Config) Sum(ctx context.Context, b *kiln.Build) (string, error) {
	return b.Checksum(ctx, c.remote())
}
