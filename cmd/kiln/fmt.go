package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"

	"kiln/internal/template"
	"kiln/internal/template/format"
)

type fmtFlags struct{ check, diff, write, recursive bool }

func (f *fmtFlags) define(fs *flag.FlagSet) {
	fs.BoolVar(&f.check, "check", false, "change nothing; exit code 3 if a file would change")
	fs.BoolVar(&f.diff, "diff", false, "show what changes")
	fs.BoolVar(&f.write, "write", true, "write the files")
	fs.BoolVar(&f.recursive, "recursive", false, "also the folders inside a folder")
}

var fmtCommand = &command{
	name: "fmt", usage: "[options] PATH...", synopsis: "put HCL2 files into the canonical layout",
	about: "Formats files named .pkr.hcl and .pkrvars.hcl, and those in folders, and prints\n" +
		"the name of each that changes. PATH - formats standard input to standard output.",
	run: runFmt,
}

func runFmt(_ context.Context, p *program, c *call) error {
	var f fmtFlags
	if err := c.parse(p, f.define, 1, -1); err != nil {
		return err
	}
	bad, changed := false, 0
	problem := func(name string, text []byte, err error) {
		bad = true
		if diags, ok := template.Diagnose(name, text, err); ok {
			_ = p.show(diags) // that it failed is noted
			err = nil
		}
		p.report(wordedf("encountered an error while formatting %s%s", name, suffix(err)))
	}
	j := p.owning("")
	defer j.close(p)
	o := format.Options{Write: f.write && !f.check, Diff: f.diff, Recursive: f.recursive, Out: p.out,
		Problem: problem, Journal: j}
	for _, path := range c.args {
		n, err := 0, error(nil)
		if path == "-" {
			n, err = p.formatStdin(f.check, problem)
		} else {
			n, err = o.Path(path)
		}
		changed += n
		if err != nil {
			bad = true
			p.report(err)
		}
	}
	switch {
	case bad:
		return errReported
	case f.check && changed > 0:
		return errUnformatted
	}
	return nil
}

func suffix(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprintf(": %v", err)
}

// formatStdin prints the formatted input; with check only where nothing changes.
func (p *program) formatStdin(check bool, problem func(string, []byte, error)) (int, error) {
	text, err := io.ReadAll(p.in)
	if err != nil {
		return 0, err
	}
	out, err := format.Source("<stdin>", text)
	if err != nil {
		problem("<stdin>", text, err)
		return 0, nil
	}
	changed := 0
	if !bytes.Equal(out, text) {
		changed = 1
	}
	if !check || changed == 0 {
		_, err = p.out.Write(out)
	}
	return changed, err
}
