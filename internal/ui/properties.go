package ui

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf16"

	"kiln"
)

// Properties writes the artifacts of a run as a Java properties file, which a
// Jenkins job can copy and read: docs/events.md.
type Properties struct {
	Journal kiln.Journal // owns the file until it is complete; nil: nothing does
	path    string
	state   *runState
	run     string
}

// NewProperties makes a sink that writes path when it is closed, and at once as that
// of a failed run: what an earlier run wrote must not be taken for this one's, however
// it ends.
func NewProperties(path string) (*Properties, error) {
	if err := replaceable(path, "properties file", isProperties); err != nil {
		return nil, err
	}
	p := &Properties{path: path, state: newRunState()}
	return p, p.Close()
}

// SameProperties lists the builds whose values have the same keys as those of an
// earlier one: these are not written.
func SameProperties(builds []string) (clashes [][2]string) {
	first := map[string]string{}
	for _, name := range builds {
		key := propertyName(name)
		if other, ok := first[key]; ok {
			clashes = append(clashes, [2]string{other, name})
			continue
		}
		first[key] = name
	}
	return clashes
}

// Event notes one event.
func (p *Properties) Event(e kiln.Event) {
	p.state.event(e)
	if e.Run != "" {
		p.run = e.Run
	}
}

// Close writes the file. ARTIFACT_ID is that of the last artifact of the first
// build that has one.
func (p *Properties) Close() error {
	var b strings.Builder
	put := func(key, value string) { fmt.Fprintf(&b, "%s=%s\n", key, propertyValue(value)) }
	put("KILN_RUN", p.run)
	put("RESULT", string(cmp.Or(p.state.result, kiln.OutcomeFailed)))
	first := true
	written := map[string]bool{}
	for _, c := range p.state.states() {
		key := propertyName(c.name)
		if written[key] {
			continue
		}
		written[key] = true
		for i := len(c.artifacts) - 1; i >= 0; i-- {
			a := c.artifacts[i]
			if a == nil {
				continue
			}
			if first {
				put("ARTIFACT_ID", a.ID)
				first = false
			}
			name := key
			if i != len(c.artifacts)-1 {
				name = fmt.Sprintf("%s_%d", key, i)
			}
			put(name+"_ARTIFACT_ID", a.ID)
			if len(a.Tags) > 0 {
				put(name+"_TAGS", strings.Join(a.Tags, ","))
			}
			if len(a.Files) > 0 {
				put(name+"_FILES", strings.Join(a.Files, ","))
			}
			for pair := range strings.SplitSeq(a.ID, ",") {
				if region, ami, ok := strings.Cut(pair, ":"); ok && strings.HasPrefix(ami, "ami-") {
					put(name+"_AMI_"+propertyName(region), ami)
				}
			}
		}
	}
	if err := kiln.WriteOwned(p.Journal, p.path, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write properties file: %w", err)
	}
	return nil
}

// propertyName is a build's name as it can stand in a shell variable's.
func propertyName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, s)
}

func propertyValue(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == ' ' && i == 0:
			b.WriteString(`\ `)
		case r < 0x20 || r > 0x7e:
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04X`, u)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
