package template

import (
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"

	"kiln/internal/redact"
	"kiln/schema"
)

// public are the texts that stand in a template in clear.
type public struct {
	once  sync.Once
	find  func() map[string]bool
	texts map[string]bool
}

// Public tells, by a function that is called once at most, which texts stand in the
// template in clear: they are not hidden where a secret only chose among them.
func (o *Options) Public(find func() map[string]bool) { o.public.find = find }

func (p *public) has(text string) bool {
	p.once.Do(func() {
		if p.find != nil {
			p.texts = p.find()
		}
	})
	return p.texts[text]
}

// HideMade hides a text that an expression made of a secret, unless that hides nothing
// more: it holds the secret itself, or stands in the template in clear. Text of several
// lines is mostly a script or a file with a secret in it, and hiding each of its lines
// would hide half of what is printed: what functions made for it is hidden already.
func (o *Options) HideMade(text string) {
	if text == "" || strings.Contains(strings.TrimSpace(text), "\n") {
		return
	}
	if redact.Short(text) || strings.Contains(text, schema.Placeholder) || o.Secret(text) || o.public.has(text) {
		return
	}
	o.Hide(text)
}

// ShortSecret is the warning of a secret that cannot be hidden well.
func ShortSecret(rng hcl.Range, what string) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: what + " is too short to be hidden well",
		Subject: rng.Ptr(),
		Detail: "It has fewer than four characters, and is only masked where it stands as a word of its own: " +
			"anywhere else, half of all output would be masked."}
}
