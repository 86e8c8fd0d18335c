package upgrade

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"
)

// labelled is what the name of a source can be.
var labelled = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// build writes the one build block.
func (c *converter) build() string {
	if len(c.sources) == 0 && len(c.in.Steps) == 0 && len(c.chains) == 0 && c.in.Cleanup == nil {
		return "" // variables only: they belong to other files
	}
	return c.annotated(buildNote, c.section(func(w *writer) {
		w.block("build", func() {
			if c.in.Description != "" {
				w.line("description = %s\n", quote(c.in.Description))
			}
			var names []string
			for _, s := range c.sources {
				names = append(names, fmt.Sprintf("source.%s.%s", s.typ, s.name))
			}
			w.attribute("sources", names)
			for _, step := range c.in.Steps {
				w.b.WriteString("\n")
				w.b.WriteString(c.inner(func(in *writer) { c.step(in, "provisioner", step) }))
			}
			if c.in.Cleanup != nil {
				w.b.WriteString("\n")
				w.b.WriteString(c.inner(func(in *writer) { c.step(in, "error-cleanup-provisioner", c.in.Cleanup) }))
			}
			for _, chain := range c.chains {
				w.b.WriteString("\n")
				w.b.WriteString(c.inner(func(in *writer) { c.chain(in, chain) }))
			}
		})
	}))
}

// inner is a section inside another, whose notes are kept apart.
func (c *converter) inner(write func(*writer)) string {
	outer := c.notes
	s := c.section(write)
	c.notes = outer
	return s
}

// step writes a provisioner.
func (c *converter) step(w *writer, block string, step object) {
	body := maps.Clone(step)
	typ, _ := body["type"].(string)
	delete(body, "type")
	for _, key := range []string{"only", "except"} {
		c.names(body, key)
	}
	for _, key := range []string{"pause_before", "timeout"} {
		if d, ok := duration(body[key]); ok && d > 0 {
			body[key] = d.String()
		} else {
			delete(body, key)
		}
	}
	switch n := body["max_retries"].(type) {
	case string:
		if n == "" {
			delete(body, "max_retries")
		}
	case float64:
		body["max_retries"] = fmt.Sprint(int64(n))
	}
	override, _ := body["override"].(object)
	delete(body, "override")
	w.block(block+" "+quote(typ), func() {
		w.body(body, c.Struct("provisioner", typ))
		if len(override) > 0 {
			w.inOverride = true
			w.attribute("override", c.overrides(override))
			w.inOverride = false
		}
	})
}

// names gives the builders in only and except their names in HCL2.
func (c *converter) names(body object, key string) {
	v, ok := body[key]
	if !ok {
		return
	}
	var names []any
	switch v := v.(type) {
	case string:
		names = append(names, c.sourceName(v))
	case []any:
		for _, item := range v {
			if s, ok := item.(string); ok {
				names = append(names, c.sourceName(s))
			}
		}
	}
	delete(body, key)
	if len(names) > 0 {
		body[key] = names
	}
}

func (c *converter) sourceName(raw string) string {
	for _, s := range c.sources {
		if s.raw == raw {
			return s.typ + "." + s.name
		}
	}
	return raw
}

func (c *converter) overrides(o object) object {
	out := object{}
	for _, s := range c.sources {
		if v, ok := o[s.raw]; ok {
			out[s.name] = v
		}
	}
	return out
}

func duration(v any) (time.Duration, bool) {
	switch v := v.(type) {
	case string:
		d, err := time.ParseDuration(v)
		return d, err == nil
	case float64:
		return time.Duration(v), true
	}
	return 0, false
}

// chain writes post-processors that follow one another.
func (c *converter) chain(w *writer, chain []object) {
	if len(chain) == 1 {
		c.postProcessor(w, chain[0])
		return
	}
	w.block("post-processors", func() {
		for _, pp := range chain {
			c.postProcessor(w, pp)
		}
	})
}

func (c *converter) postProcessor(w *writer, pp object) {
	body := maps.Clone(pp)
	typ, _ := body["type"].(string)
	delete(body, "type")
	for _, key := range []string{"only", "except"} {
		c.names(body, key)
	}
	keep, set := body["keep_input_artifact"]
	delete(body, "keep_input_artifact")
	w.block("post-processor "+quote(typ), func() {
		if set && keep != nil {
			w.attribute("keep_input_artifact", keep)
		}
		w.body(body, c.Struct("post-processor", typ))
	})
}

// comment makes the lines of a text comments.
func comment(text string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	return b.String()
}

// What the annotations say.
var (
	fileNote = comment(`
Made from a JSON template by hcl2_upgrade. Read it once before you rely on it.
Blocks may be moved to other files of the same folder whose names end in .pkr.hcl;
the folder is then the template.

Text between double braces is still rendered by the template engine, after HCL2
has evaluated the expressions around it.`)
	packerNote   = comment("Which version and which plugins the template needs.")
	variableNote = comment("Inputs. JSON knows only strings; number, bool, list(string) and more are possible here.")
	localNote    = comment("Values that are computed. In JSON they were variables whose value called a function.")
	secretNote   = comment("Secrets that are read from AWS Secrets Manager.")
	filterNote   = comment("Source images that are looked up; several sources may share one.")
	sourceNote   = comment("Sources: each is a machine that an image is made of, used by a build block.")
	buildNote    = comment("A build runs provisioners and post-processors on each of its sources.")
)
