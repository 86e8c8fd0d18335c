package template

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// selection keeps which patterns of -only and -except matched something.
type selection struct {
	all     []string // names of all builds
	matched []string // patterns that fitted
}

// match tells whether a name fits one of the patterns. Without patterns the answer
// is empty.
func (s *selection) match(patterns []string, name string, empty bool) (bool, *hcl.Diagnostic) {
	if len(patterns) == 0 {
		return empty, nil
	}
	found := false
	for _, p := range patterns {
		re, err := glob(p)
		if err != nil {
			flag := "-except"
			if empty {
				flag = "-only"
			}
			return false, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Invalid " + flag + " pattern", Detail: fmt.Sprintf("%q: %v", p, err)}
		}
		if re.MatchString(name) {
			found = true
			if !slices.Contains(s.matched, p) {
				s.matched = append(s.matched, p)
			}
		}
	}
	return found, nil
}

// unmatched warns of patterns that fit nothing.
func (s *selection) unmatched(patterns []string, flag string) (diags hcl.Diagnostics) {
	for _, p := range patterns {
		if !slices.Contains(s.matched, p) {
			diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: fmt.Sprintf("-%s=%s fits no build", flag, p),
				Detail: fmt.Sprintf("The builds are: %s", strings.Join(s.all, ", "))})
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
