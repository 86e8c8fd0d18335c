// Package interpolate renders the {{ }} text of templates: Go's text/template
// with Packer's functions (docs/compat/templates.md 2.7).
package interpolate

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"kiln/internal/template/outside"
	"kiln/schema"
)

// Context is what text may refer to. What is left zero is refused or empty, as
// each field says.
type Context struct {
	User    map[string]string // user variables
	UserErr bool              // an unknown user variable is an error; otherwise it is empty
	NoUser  bool              // `user` is refused, as in HCL2

	Env           func(name string) string // nil: refused
	BuildName     string                   // "": refused
	BuildType     string
	TemplateDir   string // "": refused
	PackerVersion string
	Start         time.Time // of the program
	// Build answers the `build` function. Nil: refused.
	Build func(key string) (string, error)
	// Data is dot. A missing key prints <no value>.
	Data map[string]any
	// Missing gives the text for a key that Data does not have; nil: <no value>.
	Missing func(key string) string
	// Secrets answers vault, consul_key and aws_secretsmanager. Nil: refused.
	Secrets Secrets
	// World gives random values and the working directory. Nil: the machine does.
	World *outside.World
	// Hiding, where it is set, hides what functions make of secrets.
	*Hiding
	// Touched, where it is set, is called when a secret goes into the text.
	Touched func()
	// SecretUser reports whether a user variable is a secret, or made of one; nil: none is.
	SecretUser func(name string) bool
	// Clean is the builder's clean_resource_name. Nil: not defined.
	Clean func(string) string
}

// Secrets reads secrets from the services that hold them.
type Secrets interface {
	Vault(path, key string) (string, error)
	Consul(key string) (string, error)
	AWS(name, key string) (string, error)
	AWSRaw(name string) (string, error)
}

// Limits on what a text may grow to, so that no template can take the machine.
const (
	maxOutput = 64 << 20
	maxPasses = 100
)

// Render renders text once.
func Render(text string, c *Context) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	t, err := parsed(text, c)
	if err != nil {
		return "", fmt.Errorf("%w in:\n\n%s", err, text)
	}
	var out limited
	if err := t.Execute(&out, c.dot(t)); err != nil {
		return "", fmt.Errorf("%w in:\n\n%s", reason(err), text)
	}
	return out.String(), nil
}

// RenderStable renders text again and again until it no longer changes.
func RenderStable(text string, c *Context) (string, error) {
	for range maxPasses {
		out, err := Render(text, c)
		if err != nil || out == text {
			return out, err
		}
		text = out
	}
	return "", fmt.Errorf("text still changes after it was rendered %d times", maxPasses)
}

// Check reports whether text can be parsed, without rendering it.
func Check(text string, c *Context) error {
	if !strings.Contains(text, "{{") {
		return nil
	}
	if _, err := parsed(text, c); err != nil {
		return fmt.Errorf("%w in:\n\n%s", err, text)
	}
	return nil
}

// bareName is a call whose argument lacks its quotes.
var bareName = regexp.MustCompile(`\{\{\s*(user|env|build)\s+\pL`)

var userCall = regexp.MustCompile("{{\\s*user\\s+`([^`]*)`\\s*}}")

// Users lists the names in the calls {{ user `name` }} of text.
func Users(text string) []string {
	var names []string
	for _, m := range userCall.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

func parsed(text string, c *Context) (*template.Template, error) {
	t, err := template.New("root").Funcs(c.watched(text)).Parse(text)
	if err != nil {
		return nil, c.hinted(text, reason(err))
	}
	return t, nil
}

// hinted adds what was meant to the error of text that cannot be parsed.
func (c *Context) hinted(text string, err error) error {
	_, rest, _ := strings.Cut(err.Error(), `function "`)
	name, _, unknown := strings.Cut(rest, `" not defined`)
	if !unknown {
		return err
	}
	if bareName.MatchString(text) {
		return fmt.Errorf("%w (a name stands in back quotes: {{user `name`}})", err)
	}
	if near := schema.Suggest(name, slices.Sorted(maps.Keys(c.functions()))); near != "" {
		return fmt.Errorf("%w (did you mean %q?)", err, near)
	}
	return err
}

// dot is Data with an entry for each missing key that the text asks for and
// Missing knows.
func (c *Context) dot(t *template.Template) any {
	if c.Missing == nil {
		return c.Data
	}
	data := map[string]any{}
	for k, v := range c.Data {
		data[k] = v
	}
	for _, key := range fields(t.Root) {
		if _, ok := data[key]; !ok {
			data[key] = c.Missing(key)
		}
	}
	return data
}

// fields lists the first names of all .Name and .Name.Other in a template.
func fields(n parse.Node) (names []string) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, sub := range n.Nodes {
				names = append(names, fields(sub)...)
			}
		}
	case *parse.ActionNode:
		names = fields(n.Pipe)
	case *parse.PipeNode:
		if n != nil {
			for _, cmd := range n.Cmds {
				names = append(names, fields(cmd)...)
			}
		}
	case *parse.CommandNode:
		for _, arg := range n.Args {
			names = append(names, fields(arg)...)
		}
	case *parse.FieldNode:
		names = n.Ident[:1]
	case *parse.IfNode:
		names = append(append(fields(n.Pipe), fields(n.List)...), fields(n.ElseList)...)
	case *parse.RangeNode:
		names = append(append(fields(n.Pipe), fields(n.List)...), fields(n.ElseList)...)
	case *parse.WithNode:
		names = append(append(fields(n.Pipe), fields(n.List)...), fields(n.ElseList)...)
	}
	return names
}

// limited collects output up to a limit.
type limited struct{ strings.Builder }

var errTooLong = errors.New("the text becomes too long")

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxOutput {
		return 0, errTooLong
	}
	return l.Builder.Write(p)
}

var _ io.Writer = (*limited)(nil)

var place = regexp.MustCompile(`^template: root:\d+(:\d+)?: (executing "root" at <.*>: )?(error calling \w+: )?`)

// reason takes the words about text/template's inside off an error.
func reason(err error) error {
	if e, ok := errors.AsType[template.ExecError](err); ok {
		if inner := errors.Unwrap(e.Err); inner != nil && strings.HasPrefix(e.Err.Error(), "template: ") {
			return &shortError{place.ReplaceAllString(e.Err.Error(), ""), err}
		}
	}
	return &shortError{place.ReplaceAllString(err.Error(), ""), err}
}

type shortError struct {
	text string
	err  error
}

func (e *shortError) Error() string { return e.text }
func (e *shortError) Unwrap() error { return e.err }
