package template

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hcled"
)

// Severity tells an error from a warning.
type Severity string

// Severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Diagnostic is one problem of a template, a variable file or a command line.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	Summary  string   `json:"summary"`
	Detail   string   `json:"detail,omitempty"`
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`    // from 1; 0: no position
	Column   int      `json:"column,omitempty"`  // from 1
	Context  string   `json:"context,omitempty"` // such as: source null "x"
	Excerpt  string   `json:"excerpt,omitempty"` // the line shown
	Marked   int      `json:"marked,omitempty"`  // number of columns that are to blame
}

// Diagnostics are problems in the order in which they stand in the files.
type Diagnostics []Diagnostic

// HasErrors reports whether any of them is an error.
func (ds Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == Error })
}

// Errorf is a list with one error that has no position.
func Errorf(summary, detail string) Diagnostics {
	return Diagnostics{{Severity: Error, Summary: summary, Detail: detail}}
}

// Tidy sorts diagnostics by their place and leaves out those that say the same.
func (ds Diagnostics) Tidy() Diagnostics {
	out := slices.Clone(ds)
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if (a.File == "") != (b.File == "") {
			return a.File != ""
		}
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
	var tidied Diagnostics
	seen := map[Diagnostic]bool{}
	for _, d := range out {
		if !seen[d] {
			seen[d] = true
			tidied = append(tidied, d)
		}
	}
	return tidied
}

// WriteOptions says how diagnostics are shown.
type WriteOptions struct {
	Width int // columns at which details are wrapped; 0: 80
}

// Write shows diagnostics in the layout of docs/compat/cli.md 1.5, with a mark under what is
// to blame.
func (ds Diagnostics) Write(w io.Writer, o WriteOptions) {
	if o.Width == 0 {
		o.Width = 80
	}
	for _, d := range ds {
		label := "Error"
		if d.Severity == Warning {
			label = "Warning"
		}
		fmt.Fprintf(w, "%s: %s\n\n", label, d.Summary)
		if d.File != "" {
			fmt.Fprintf(w, "  on %s line %d", d.File, d.Line)
			if d.Context != "" {
				fmt.Fprintf(w, ", in %s", d.Context)
			}
			fmt.Fprintln(w, ":")
			if d.Excerpt != "" {
				fmt.Fprintf(w, "%4d: %s\n", d.Line, strings.ReplaceAll(d.Excerpt, "\t", " "))
				fmt.Fprintf(w, "      %s%s\n", strings.Repeat(" ", max(0, d.Column-1)), strings.Repeat("^",
					max(1, d.Marked)))
			}
			fmt.Fprintln(w)
		}
		if d.Detail != "" {
			for line := range strings.SplitSeq(strings.TrimRight(d.Detail, "\n"), "\n") {
				fmt.Fprintln(w, wrapText(line, o.Width))
			}
			fmt.Fprintln(w)
		}
	}
}

func wrapText(line string, width int) string {
	if len(line) <= width || strings.HasPrefix(line, " ") {
		return line
	}
	var b strings.Builder
	n := 0
	for i, word := range strings.Split(line, " ") {
		if i > 0 {
			if n+1+utf8.RuneCountInString(word) > width {
				b.WriteByte('\n')
				n = 0
			} else {
				b.WriteByte(' ')
				n++
			}
		}
		b.WriteString(word)
		n += utf8.RuneCountInString(word)
	}
	return b.String()
}

// Texts are the texts of all files that diagnostics may point into.
type Texts struct {
	text  map[string][]byte
	hcl   map[string][]*hcl.File
	quiet map[string]bool
}

// NewTexts is empty.
func NewTexts() *Texts {
	return &Texts{text: map[string][]byte{}, hcl: map[string][]*hcl.File{}, quiet: map[string]bool{}}
}

// Add adds a file by the name that diagnostics have for it.
func (s *Texts) Add(name string, text []byte) { s.text[name] = text }

// Quiet says that no line of a file is shown: one that gives variables their values holds
// secrets, and where it cannot be read, nobody knows which.
func (s *Texts) Quiet(name string) { s.quiet[name] = true }

// Parsed adds the parts that a file was parsed to, which say in which block a place is.
func (s *Texts) Parsed(name string, parts []*hcl.File) { s.hcl[name] = parts }

// Slice is the text at a place; "": it is not known.
func (s *Texts) Slice(rng hcl.Range) string {
	text := s.text[rng.Filename]
	if !rng.CanSliceBytes(text) {
		return ""
	}
	return string(rng.SliceBytes(text))
}

// Convert gives hcl's diagnostics our form, with the line they are about.
func (s *Texts) Convert(in hcl.Diagnostics) Diagnostics {
	var out Diagnostics
	for _, d := range in {
		if d == nil {
			continue
		}
		n := Diagnostic{Severity: Error, Summary: d.Summary, Detail: d.Detail}
		if d.Severity == hcl.DiagWarning {
			n.Severity = Warning
		}
		if d.Subject != nil && d.Subject.Filename != "" {
			n = s.locate(n, *d.Subject)
		}
		out = append(out, n)
	}
	return out
}

func (s *Texts) locate(d Diagnostic, rng hcl.Range) Diagnostic {
	d.File, d.Line, d.Column = rng.Filename, rng.Start.Line, rng.Start.Column
	if !strings.HasSuffix(rng.Filename, ".json") {
		for _, f := range s.hcl[rng.Filename] {
			d.Context = cmp.Or(d.Context, hcled.ContextString(f, rng.Start.Byte))
		}
	}
	if s.quiet[rng.Filename] {
		return d
	}
	d.Excerpt = LineAt(s.text[rng.Filename], rng.Start.Line)
	switch {
	case rng.End.Line == rng.Start.Line:
		d.Marked = max(1, rng.End.Column-rng.Start.Column)
	default:
		d.Marked = max(1, utf8.RuneCountInString(d.Excerpt)-rng.Start.Column+1)
	}
	const longest = 400
	if len(d.Excerpt) > longest {
		d.Excerpt, d.Marked = strings.ToValidUTF8(d.Excerpt[:longest], "")+"...", min(d.Marked, 80)
		if d.Column > longest {
			d.Excerpt = ""
		}
	}
	return d
}

// LineAt is the line of a text with a number, from 1.
func LineAt(text []byte, n int) string {
	for i := 1; ; i++ {
		line, rest, more := bytes.Cut(text, []byte{'\n'})
		if i == n {
			return strings.ToValidUTF8(strings.TrimRight(string(line), "\r"), "\uFFFD")
		}
		if !more {
			return ""
		}
		text = rest
	}
}

// ErrorAt is an error at a place.
func ErrorAt(rng hcl.Range, summary, detail string) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: rng.Ptr()}
}

// ErrorfAt is an error at a place, with a formatted detail.
func ErrorfAt(rng hcl.Range, summary, format string, args ...any) *hcl.Diagnostic {
	return ErrorAt(rng, summary, fmt.Sprintf(format, args...))
}

// Display is a path as it is shown: relative paths stay as the user gave them.
func Display(path string) string { return filepath.ToSlash(path) }

// Diagnose is an error about a file's text, where it has places, in our form.
func Diagnose(name string, text []byte, err error) (Diagnostics, bool) {
	var diags hcl.Diagnostics
	if !errors.As(err, &diags) {
		return nil, false
	}
	s := NewTexts()
	s.Add(name, text)
	return s.Convert(diags).Tidy(), true
}
