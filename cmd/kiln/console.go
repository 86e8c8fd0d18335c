package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"kiln/internal/line"
	"kiln/internal/redact"
	"kiln/internal/template"
)

var consoleCommand = &command{
	name: "console", usage: "[options] [TEMPLATE]", synopsis: "evaluate expressions of a template",
	about: "Evaluates what is typed with the variables and locals of a template: an expression\n" +
		"for HCL2, text with {{ }} for JSON and without a template, where -config-type=hcl2 asks for\n" +
		"expressions. Words: variables, help, exit. At a terminal there\n" +
		"is a history (arrow keys), which is kept between sessions but for lines that begin with\n" +
		"a blank, and completion (tab); Ctrl-C clears the line. Otherwise the result of the last\n" +
		"line of standard input is printed.",
	run: runConsole,
}

func runConsole(ctx context.Context, p *program, c *call) error {
	var f templateFlags
	if err := c.parse(p, f.define, 0, 1); err != nil {
		return err
	}
	path := ""
	if len(c.args) > 0 {
		path = c.args[0]
	}
	o := f.options(ctx, p, path)
	o.EvaluateData = true
	t, err := p.load(ctx, o)
	if err != nil {
		return err
	}
	_, _ = t.Builds(ctx) // what cannot be resolved stays unknown
	s := &console{p: p, t: t}
	if in, ok := p.in.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		return s.interactive(in)
	}
	return s.piped()
}

// console is one session.
type console struct {
	p *program
	t *template.Template
}

const consoleHelp = `Type an expression to see its value. Besides expressions there are:

variables   all variables and their values
help        this text
exit        leave; so does Ctrl-D`

// answer evaluates a line.
func (s *console) answer(line string) (text string, failed, leave bool) {
	switch strings.TrimSpace(line) {
	case "":
		return "", false, false
	case "exit":
		return "", false, true
	case "help":
		return consoleHelp, false, false
	case "variables":
		return s.t.Dump(), false, false
	}
	text, diags := s.t.Eval(line)
	if len(diags) > 0 {
		var b strings.Builder
		diags.Write(&b, template.WriteOptions{})
		text = strings.TrimRight(b.String()+text, "\n")
	}
	return text, diags.HasErrors(), false
}

// piped answers every line and prints the last answer.
func (s *console) piped() error {
	in := bufio.NewReader(s.p.in)
	last, failed := "", false
	for {
		line, err := in.ReadString('\n')
		if strings.TrimSpace(line) != "" {
			text, bad, leave := s.answer(strings.TrimRight(line, "\r\n"))
			if leave {
				break
			}
			last, failed = text, bad
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return fmt.Errorf("read standard input: %w", err)
			}
			break
		}
	}
	if last != "" {
		s.p.say("%s", last)
	}
	if failed {
		return errReported
	}
	return nil
}

// interactive reads lines with a history and completion.
func (s *console) interactive(in *os.File) error {
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return err
	}
	defer term.Restore(int(in.Fd()), state)
	e := line.New(in, keys{s.p.out})
	e.Prompt = "> "
	e.Width = func() int {
		if width, _, err := term.GetSize(int(in.Fd())); err == nil && width > 0 {
			return width
		}
		return 80
	}
	words := append(s.t.Words(), "variables", "help", "exit")
	e.Complete = func(before string) (string, []string) { return complete(words, before) }
	h := s.p.openHistory()
	e.History = h.lines
	for {
		text, err := e.ReadLine()
		if err != nil {
			return nil // Ctrl-D, or a terminal that went away
		}
		answer, _, leave := s.answer(text)
		e.History = h.add(text) // now that it is known what of it is a secret
		if leave {
			return nil
		}
		if answer != "" {
			fmt.Fprintf(keys{s.p.out}, "%s\r\n", strings.ReplaceAll(answer, "\n", "\r\n"))
		}
	}
}

// keys shows each key as it is typed: one that a secret begins with, too.
type keys struct{ out *redact.Stream }

func (k keys) Write(p []byte) (int, error) {
	n, err := k.out.Write(p)
	return n, errors.Join(err, k.out.Flush())
}

// complete extends the last word of a line as far as the known words agree.
func complete(words []string, line string) (string, []string) {
	start := strings.LastIndexAny(line, " ,([+*/%!&|<>=?:") + 1
	if i := strings.LastIndex(line, "{{"); i >= 0 && !strings.Contains(line[i:], "}}") {
		start = i
	}
	word := line[start:]
	if word == "" {
		return line, nil
	}
	var fit []string
	for _, w := range words {
		if strings.HasPrefix(w, word) && !slices.Contains(fit, w) {
			fit = append(fit, w)
		}
	}
	if len(fit) == 0 {
		return line, nil
	}
	common := fit[0]
	for _, w := range fit {
		for !strings.HasPrefix(w, common) {
			common = common[:len(common)-1]
		}
	}
	return line[:start] + common, fit
}
