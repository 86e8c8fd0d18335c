package template

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// selection is -only or -except.
type selection struct {
	flag     string
	patterns []string
	res      []*regexp.Regexp // of the patterns; nil: they are exact names
	matched  []bool           // which of them fitted something
}

// newSelection reads patterns, or names where they are none.
func newSelection(patterns []string, flag string, globs bool) (*selection, *hcl.Diagnostic) {
	s := &selection{flag: flag, patterns: patterns, matched: make([]bool, len(patterns))}
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
	if s.res == nil {
		return slices.Contains(s.patterns, name)
	}
	found := false
	for i, re := range s.res {
		if re.MatchString(name) {
			found, s.matched[i] = true, true
		}
	}
	return found
}

// unmatched warns of patterns that fit no build.
func (s *selection) unmatched(builds []*BuildSpec) (diags hcl.Diagnostics) {
	var names []string
	for _, b := range builds {
		names = append(names, b.Name)
	}
	for i, p := range s.patterns {
		if !s.matched[i] {
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagWarning,
				Summary: fmt.Sprintf("-%s=%s fits no build", s.flag, p),
				Detail:  fmt.Sprintf("The builds are: %s", strings.Join(names, ", "))})
		}
	}
	return diags
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
