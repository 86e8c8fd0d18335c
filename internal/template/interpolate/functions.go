package interpolate

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/template"
	"time"
)

// ErrUnknownVariable is a user variable that has no value yet.
var ErrUnknownVariable = errors.New("variable not set")

func (c *Context) functions() template.FuncMap {
	f := template.FuncMap{
		"user": c.user, "env": c.env, "build": c.build,
		"build_name":     c.known(c.BuildName, "build_name not available"),
		"build_type":     c.known(c.BuildType, "build_type not available"),
		"template_dir":   c.known(c.TemplateDir, "template path not available"),
		"packer_version": func() string { return c.PackerVersion },
		"timestamp":      func() string { return fmt.Sprint(c.Start.UTC().Unix()) },
		"isotime":        c.isotime,
		"strftime":       func(format string) string { return Strftime(format, c.Start.UTC()) },
		"uuid":           c.uuid,
		"pwd":            c.pwd,
		"upper":          strings.ToUpper,
		"lower":          strings.ToLower,
		"split":          split,
		"replace":        func(old, with string, n int, s string) string { return strings.Replace(s, old, with, n) },
		"replace_all":    func(old, with, s string) string { return strings.ReplaceAll(s, old, with) },
		"sed": func(string, string) (string, error) {
			return "", errors.New("the function sed was removed: use replace or replace_all")
		},
		"vault": c.vault, "consul_key": c.consul,
		"aws_secretsmanager": c.aws, "aws_secretsmanager_raw": c.awsRaw,
	}
	if c.Clean != nil {
		f["clean_resource_name"] = c.Clean
	}
	return f
}

func (c *Context) uuid() string {
	if c.World == nil {
		return TimeUUID()
	}
	return c.World.Make(TimeUUID)
}

func (c *Context) pwd() (string, error) {
	if c.World == nil {
		return os.Getwd()
	}
	return c.World.Cwd(), nil
}

func (c *Context) known(value, otherwise string) func() (string, error) {
	return func() (string, error) {
		if value == "" {
			return "", errors.New(otherwise)
		}
		return value, nil
	}
}

func (c *Context) user(name string) (string, error) {
	if c.NoUser {
		return "", errors.New("the function user is for JSON templates: write var." + name)
	}
	value, ok := c.User[name]
	if c.SecretUser != nil && c.SecretUser(name) {
		c.touch()
	}
	if !ok && c.UserErr {
		return "", fmt.Errorf("%w: %s", ErrUnknownVariable, name)
	}
	return value, nil
}

func (c *Context) env(name string) (string, error) {
	if c.Env == nil {
		return "", errors.New("env vars are not allowed here: give the value to a user variable and use that")
	}
	return c.Env(name), nil
}

func (c *Context) build(key string) (string, error) {
	if c.Build == nil {
		return "", errors.New("the function build is not available here")
	}
	return c.Build(key)
}

func (c *Context) isotime(layout ...string) (string, error) {
	switch len(layout) {
	case 0:
		return c.Start.UTC().Format(time.RFC3339), nil
	case 1:
		return c.Start.UTC().Format(layout[0]), nil
	}
	return "", fmt.Errorf("too many values, 1 needed: %v", layout)
}

func split(s, sep string, n int) (string, error) {
	parts := strings.Split(s, sep)
	if n < 0 || n >= len(parts) {
		return "", fmt.Errorf("%q has no part %d when split at %q", s, n, sep)
	}
	return parts[n], nil
}

// layouts are the letters of strftime that are known, with Go's layouts.
var layouts = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'd': "02", 'H': "15", 'I': "03", 'L': ".000", 'm': "01",
	'M': "04", 'p': "PM", 'S': "05", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST",
}

// Strftime formats a time with the subset of C's letters that templates may use;
// others stay as they are.
func Strftime(format string, t time.Time) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		layout, ok := layouts[format[i]]
		switch {
		case format[i] == '%':
			b.WriteByte('%')
		case !ok:
			b.WriteString(format[i-1 : i+1])
		default:
			b.WriteString(t.Format(layout))
		}
	}
	return b.String()
}

// TimeUUID is a new identifier in the form of a UUID whose first 32 bits are Unix
// time.
func TimeUUID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return fmt.Sprintf("%08x-%x-%x-%x-%x", uint32(time.Now().Unix()), b[0:2], b[2:4], b[4:6], b[6:12])
}

func (c *Context) secret(name string, read func() (string, error)) (string, error) {
	if c.Secrets == nil {
		return "", fmt.Errorf("the function %s cannot be used here: give its value to a user variable and use that", name)
	}
	if name != "consul_key" {
		c.touch()
	}
	return read()
}

func (c *Context) vault(path, key string) (string, error) {
	return c.secret("vault", func() (string, error) { return c.Secrets.Vault(path, key) })
}

func (c *Context) consul(key string) (string, error) {
	return c.secret("consul_key", func() (string, error) { return c.Secrets.Consul(key) })
}

func (c *Context) aws(name string, key ...string) (string, error) {
	if len(key) > 1 {
		return "", errors.New("aws_secretsmanager takes a name and at most one key")
	}
	return c.secret("aws_secretsmanager", func() (string, error) { return c.Secrets.AWS(name, strings.Join(key, "")) })
}

func (c *Context) awsRaw(name string) (string, error) {
	return c.secret("aws_secretsmanager_raw", func() (string, error) { return c.Secrets.AWSRaw(name) })
}

// Functions are all functions, for lists of their names.
func Functions() template.FuncMap {
	c := &Context{Clean: func(s string) string { return s }}
	return c.functions()
}
