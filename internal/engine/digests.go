package engine

import (
	"strings"

	"kiln/internal/template"
	"kiln/schema"
)

// Options are keyed hashes of the options of a component, by name, so that two runs can
// be compared in what is secret or known only while a build runs. Of the latter the
// text counts.
func (h *Hasher) Options(c *template.Component) map[string]string {
	component, _ := c.Decode(nil)
	all := map[string]string{}
	for _, v := range schema.Values(component) {
		all[v.Field.Name] = h.Sum(v.Text)
	}
	for _, u := range c.Unknown() {
		name, _, _ := strings.Cut(u.Option, ".")
		all[name] = h.Sum(all[name], u.Text, u.Given)
	}
	return all
}
