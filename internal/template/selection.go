package template

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"kiln/schema"
)

// selection is -only or -except.
type selection struct {
	flag     string
	patterns []string
	res      []*regexp.Regexp // of the patterns; nil: they are exact names
}

// newSelection reads patterns, or names where they are none.
func newSelection(patterns []string, flag string, globs bool) (*selection, *hcl.Diagnostic) {
	s := &selection{flag: flag, patterns: patterns}
	for _, p := range patterns {
		if !globs {
			break
		}
		re, err := glob(p)
		if err != nil {
			return nil, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Invalid -" + flag + " pattern",
				Detail: fmt.Sprintf("%q: %v", p, err)}
		}
		s.res = append(s.res, re)
	}
	return s, nil
}

// match reports whether a name fits one of the patterns, and ifNone where there are
// none.
func (s *selection) match(name string, ifNone bool) bool {
	if len(s.patterns) == 0 {
		return ifNone
	}
	for i := range s.patterns {
		if s.fits(i, name) {
			return true
		}
	}
	return false
}

// fits reports whether a name fits pattern i.
func (s *selection) fits(i int, name string) bool {
	if s.res == nil {
		return s.patterns[i] == name
	}
	return s.res[i].MatchString(name)
}

// unmatched warns of patterns that fit nothing in the template: no build, and no
// post-processor where these can be left out.
func (s *selection) unmatched(spec *Spec) (diags hcl.Diagnostics) {
	if len(s.patterns) == 0 {
		return nil
	}
	builds := buildNames(spec)
	nothing, lists := "no build", []string{"The builds are: " + strings.Join(builds, ", ")}
	names := map[string]bool{}
	for _, name := range builds {
		names[name] = true
	}
	if s.flag == "except" {
		nothing = "no build and no post-processor"
		posts := postProcessorNames(spec)
		for _, name := range posts {
			names[name] = true
		}
		if len(posts) > 0 {
			lists = append(lists, "the post-processors: "+strings.Join(posts, ", "))
		}
	}
	for i, p := range s.patterns {
		fits := false
		for name := range names {
			fits = fits || s.fits(i, name)
		}
		if !fits {
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagWarning,
				Summary: fmt.Sprintf("-%s=%s fits %s", s.flag, p, nothing), Detail: strings.Join(lists, "; ")})
		}
	}
	return diags
}

// strangers warns of names in only and except of HCL2 steps that no build has: a step with
// such an only never runs. In JSON they are errors, which the parser reports. Secrets are not
// told.
func (s *Spec) strangers(secret func(string) bool) (diags hcl.Diagnostics) {
	if !s.Globs || s.Open {
		return nil
	}
	var known []string
	knows := map[string]bool{}
	for _, b := range s.Builds {
		if !knows[b.Only] {
			knows[b.Only] = true
			known = append(known, b.Only)
		}
	}
	told := map[hcl.Range]bool{}
	look := func(word string, names Names) {
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if rng := names[name]; !knows[name] && !told[rng] && !secret(name) {
				told[rng] = true
				hint := "They are: " + strings.Join(known[:min(len(known), 10)], ", ") + "."
				if more := len(known) - 10; more > 0 {
					hint = fmt.Sprintf("%s and %d more.", strings.TrimSuffix(hint, "."), more)
				}
				if near := schema.Suggest(name, known); near != "" {
					hint = fmt.Sprintf("Did you mean %q?", near)
				}
				diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagWarning, Subject: &rng,
					Summary: fmt.Sprintf("%q in %s is the name of no source that is built here", name, word),
					Detail:  hint})
			}
		}
	}
	for _, b := range s.Builds {
		steps := slices.Concat(b.Steps, slices.Concat(b.Chains...))
		if b.Cleanup != nil {
			steps = append(steps, b.Cleanup)
		}
		for _, step := range steps {
			look("only", step.Only)
			look("except", step.Except)
		}
	}
	return diags
}

func buildNames(spec *Spec) (names []string) {
	for _, b := range spec.Builds {
		if b.Builder != nil {
			names = append(names, b.Select)
		}
	}
	return names
}

// postProcessorNames are the names by which -except knows them, each once.
func postProcessorNames(spec *Spec) (names []string) {
	seen := map[string]bool{}
	for _, b := range spec.Builds {
		for _, chain := range b.Chains {
			for _, s := range chain {
				if !seen[s.called()] {
					seen[s.called()] = true
					names = append(names, s.called())
				}
			}
		}
	}
	return names
}

// glob is a pattern of docs/compat/templates.md 3.9 as a regular expression: * also fits dots.
func glob(pattern string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`(?s)^`)
	braces := 0
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			b.WriteString(`.*`)
		case '?':
			b.WriteString(`.`)
		case '{':
			braces++
			b.WriteString(`(?:`)
		case '}':
			if braces == 0 {
				return nil, fmt.Errorf("'}' without '{'")
			}
			braces--
			b.WriteString(`)`)
		case ',':
			if braces > 0 {
				b.WriteString(`|`)
			} else {
				b.WriteString(`,`)
			}
		case '[':
			end := strings.IndexByte(pattern[i:], ']')
			if end < 2 {
				return nil, fmt.Errorf("'[' without ']'")
			}
			set := pattern[i+1 : i+end]
			not := ""
			if set[0] == '!' {
				not, set = "^", set[1:]
			}
			b.WriteString("[" + not + strings.NewReplacer(`\`, `\\`, `[`, `\[`, `^`, `\^`).Replace(set) + "]")
			i += end
		case '\\':
			if i++; i == len(pattern) {
				return nil, fmt.Errorf("nothing after '\\'")
			}
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		default:
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	if braces > 0 {
		return nil, fmt.Errorf("'{' without '}'")
	}
	b.WriteString(`$`)
	return regexp.Compile(b.String())
}
