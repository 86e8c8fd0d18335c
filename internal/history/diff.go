package history

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Change is one thing that two runs differ in.
type Change struct {
	Where string `json:"where"` // build and step; empty: the run
	What  string `json:"what"`
	Old   string `json:"old,omitempty"`
	New   string `json:"new,omitempty"`
}

// A step's time counts as changed from these on.
const (
	timeRatio   = 1.25
	timeSeconds = 0.25
)

// Diff lists what changed from one run to another: what was asked for first, then
// how it went.
func Diff(a, b *Record) []Change {
	d := &differ{all: []Change{}}
	d.text("", "template", a.Template, b.Template)
	d.text("", "kiln", a.Kiln, b.Kiln)
	d.text("", "command", strings.Join(a.Command, " "), strings.Join(b.Command, " "))
	d.text("", "result", shown(a.Result), shown(b.Result))
	d.seconds("", a.Seconds, b.Seconds)
	for _, old := range a.Builds {
		if find(b.Builds, old.Name) == nil {
			d.add(old.Name, "build", "there", "gone")
		}
	}
	for _, now := range b.Builds {
		old := find(a.Builds, now.Name)
		if old == nil {
			d.add(now.Name, "build", "", "new")
			continue
		}
		d.build(old, now)
	}
	return d.all
}

func find(all []*Build, name string) *Build {
	for _, b := range all {
		if b.Name == name {
			return b
		}
	}
	return nil
}

func shown(result string) string {
	if result == "" {
		return "did not end"
	}
	return result
}

type differ struct{ all []Change }

func (d *differ) add(where, what, old, now string) {
	d.all = append(d.all, Change{where, what, old, now})
}

func (d *differ) text(where, what, old, now string) {
	if old != now {
		d.add(where, what, old, now)
	}
}

func (d *differ) seconds(where string, old, now float64) {
	low, high := min(old, now), max(old, now)
	if high-low >= timeSeconds && (low == 0 || high/low >= timeRatio) {
		change := ""
		if old >= timeSeconds {
			change = fmt.Sprintf(" (%+.0f%%)", math.Round((now/old-1)*100))
		}
		d.add(where, "time", fmt.Sprintf("%.2fs", old), fmt.Sprintf("%.2fs%s", now, change))
	}
}

func (d *differ) build(old, now *Build) {
	d.text(now.Name, "builder", old.Type, now.Type)
	d.settings(now.Name, old.Settings, now.Settings)
	d.hidden(now.Name, old.Settings, now.Settings, old.Digests, now.Digests)
	for i := range max(len(old.Steps), len(now.Steps)) {
		switch {
		case i >= len(now.Steps):
			d.add(fmt.Sprintf("%s, step %d", now.Name, i+1), "step", old.Steps[i].Component, "gone")
		case i >= len(old.Steps):
			d.add(fmt.Sprintf("%s, step %d", now.Name, i+1), "step", "", now.Steps[i].Component)
		default:
			d.step(fmt.Sprintf("%s, step %d (%s)", now.Name, i+1, now.Steps[i].Component), old.Steps[i], now.Steps[i])
		}
	}
	d.text(now.Name, "result", shown(old.Result), shown(now.Result))
	d.text(now.Name, "error", old.Error, now.Error)
	d.text(now.Name, "artifacts", strings.Join(old.Artifacts, ", "), strings.Join(now.Artifacts, ", "))
	d.seconds(now.Name, old.Seconds, now.Seconds)
}

func (d *differ) step(where string, old, now *Step) {
	d.text(where, "component", old.Component, now.Component)
	d.settings(where, old.Settings, now.Settings)
	d.hidden(where, old.Settings, now.Settings, old.Digests, now.Digests)
	for _, name := range union(old.Inputs, now.Inputs) {
		// Settings are compared as such; what is left is the content of files.
		if file, ok := strings.CutPrefix(name, "file "); ok && old.Inputs[name] != now.Inputs[name] {
			d.add(where, "content of "+file, short(old.Inputs[name]), short(now.Inputs[name]))
		}
	}
	d.text(where, "layer", old.Layer, now.Layer)
	d.text(where, "error", old.Error, now.Error)
	d.seconds(where, old.Seconds, now.Seconds)
}

func short(hash string) string { return hash[:min(12, len(hash))] }

func (d *differ) settings(where string, old, now map[string]any) {
	for _, name := range union(old, now) {
		d.text(where, name, value(old, name), value(now, name))
	}
}

// hidden tells of options that are shown alike though they differ: of secrets.
func (d *differ) hidden(where string, old, now map[string]any, before, after Digests) {
	if before == nil || after == nil {
		return // of a version that kept none
	}
	for _, name := range union(before, after) {
		shown := value(now, name)
		if before[name] == after[name] || value(old, name) != shown {
			continue
		}
		d.add(where, name, shown, shown+" (another one: what is hidden differs)")
	}
}

func union[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func value(m map[string]any, name string) string {
	v, ok := m[name]
	if !ok {
		return ""
	}
	if m, ok := v.(map[string]any); ok && len(m) == 1 {
		if text, ok := m[Expression].(string); ok {
			return text
		}
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}
