package template

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"kiln/internal/redact"
	"kiln/internal/template/outside"
)

// Bundle is all that another process needs to make the same builds without reading
// the template's files, as plain data. It holds no secret.
type Bundle struct {
	Version       int           `json:"version"`
	Path          string        `json:"path"` // as it was given
	Name          string        `json:"name,omitempty"`
	Dir           string        `json:"dir"`
	Format        Format        `json:"format"`
	ConfigType    string        `json:"config_type,omitempty"`
	Outside       outside.Notes `json:"outside"` // files, environment, random values
	Start         time.Time     `json:"start"`
	Only          []string      `json:"only,omitempty"`
	Except        []string      `json:"except,omitempty"`
	Sequential    bool          `json:"sequential,omitempty"`
	EvaluateData  bool          `json:"evaluate_data,omitempty"`
	PackerVersion string        `json:"packer_version,omitempty"`
	KilnVersion   string        `json:"kiln_version,omitempty"`

	Variables map[string]Value  `json:"variables,omitempty"`
	Secrets   map[string]string `json:"secrets,omitempty"` // variables whose values are asked for again, and where they had them from
	Data      map[string]Value  `json:"data,omitempty"`    // results of data sources, by module and name

	secret func(text string) bool
}

// Value is a value with its type, both as JSON.
type Value struct {
	From string          `json:"from,omitempty"` // where a variable has it from
	Type json.RawMessage `json:"type,omitempty"`
	JSON json.RawMessage `json:"value"`
}

// bundleVersion counts up when a bundle of before cannot be read any more.
const bundleVersion = 1

// Prepared are the options with what they leave to the loader.
func (o Options) Prepared() Options {
	hide, known, short, secret := o.Hide, new(redact.Redactor), new(redact.Redactor), o.Secret
	o.Hide = func(text string) {
		if redact.Short(text) {
			short.Add(text)
		} else {
			known.Add(text)
		}
		if hide != nil {
			hide(text)
		}
	}
	o.Secret = func(text string) bool {
		return known.Holds(text) || short.Holds(text) || secret != nil && secret(text)
	}
	o.Plain = known.Holds
	o.public = &public{}
	if o.World == nil {
		o.World = outside.New()
	}
	return o
}

// Bundle is the template with all that was read and computed for its builds. Builds
// is called before.
func (t *Template) Bundle() (*Bundle, error) {
	for _, b := range t.built {
		if diags := b.Check(); diags.HasErrors() {
			return nil, fmt.Errorf("bundle %s: %s", t.Path, diags[0].Summary)
		}
	}
	o := t.options
	b := &Bundle{Version: bundleVersion, Path: t.Path, Name: o.Name, Dir: t.Dir, Format: t.Format,
		ConfigType: o.ConfigType,
		Outside: o.World.Notes(
			o.Secret,
		), Start: o.Start, Only: o.Only, Except: o.Except, Sequential: o.Sequential,
		EvaluateData: o.EvaluateData, PackerVersion: o.PackerVersion, KilnVersion: o.KilnVersion,
		Variables: map[string]Value{}, Secrets: map[string]string{}, Data: map[string]Value{}, secret: o.Secret}
	t.lang.Bundle(b)
	return b, nil
}

// SetVariable adds the value of a variable. One that is sensitive, or holds a
// secret, is asked for again.
func (b *Bundle) SetVariable(name string, v Value, sensitive bool) {
	if sensitive || b.secret(string(v.JSON)) || b.secret(v.text()) {
		b.Secrets[name] = v.From
		return
	}
	b.Variables[name] = v
}

// SetData adds the result of a data source, unless it holds a secret.
func (b *Bundle) SetData(name string, v Value) {
	if !b.secret(string(v.JSON)) && !b.secret(v.text()) {
		b.Data[name] = v
	}
}

// text is the value's text, where it is one: JSON writes some characters otherwise.
func (v Value) text() string {
	var all any
	if json.Unmarshal(v.JSON, &all) != nil {
		return ""
	}
	return fmt.Sprint(all)
}

// Options are the options that load the template again from the bundle: those that
// it was loaded with, and of o the rest.
func (b *Bundle) Options(o Options) (Options, Diagnostics) {
	if b.Version != bundleVersion {
		return o, Errorf("The plan cannot be read",
			fmt.Sprintf("It has version %d, and this version reads version %d. Make it anew.",
				b.Version, bundleVersion))
	}
	o.Path, o.Name, o.ConfigType, o.Start, o.Only, o.Except = b.Path, b.Name, b.ConfigType, b.Start, b.Only, b.Except
	o.Sequential, o.EvaluateData, o.PackerVersion, o.KilnVersion = b.Sequential, b.EvaluateData, b.PackerVersion, b.KilnVersion
	o.World, o.From = outside.Again(&b.Outside), b
	return o, nil
}

// Lacks reports whether a value of the environment was secret and is not in environ.
func (b *Bundle) Lacks(name string, environ []string) bool {
	return b.Outside.Answers["env "+name].Secret && outside.Lookup(environ, name) == ""
}

// Missing is the diagnostic of a variable whose value is not in the bundle and was
// not given again. Env are values of the environment that would do.
func (b *Bundle) Missing(name string, env ...string) *hcl.Diagnostic {
	ways := fmt.Sprintf("-var '%s=...' or a -var-file", name)
	if b.Format == HCL2 {
		ways = fmt.Sprintf("-var '%s=...', a -var-file or PKR_VAR_%s", name, name)
	}
	if len(env) > 0 {
		ways += ", or set " + strings.Join(env, " and ") + " in the environment"
	}
	return &hcl.Diagnostic{Severity: hcl.DiagError,
		Summary: fmt.Sprintf("The value of the variable %q is needed again", name),
		Detail:  "It is secret, so it was not written down. Give it with " + ways + "."}
}
