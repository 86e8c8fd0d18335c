package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"kiln/internal/template"
)

// validateAll validates every template below a folder, several at a time, and says
// of each whether it is valid.
func (p *program) validateAll(ctx context.Context, f *validateFlags, root string) error {
	paths, err := templatesBelow(root)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fmt.Errorf("there is no template below %s: files named .pkr.hcl or .pkr.json, or JSON files with "+
			"builders.", root)
	}
	type outcome struct {
		text string
		err  error
	}
	outcomes := make([]outcome, len(paths))
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				// One program each: its own output, its own secrets.
				var out bytes.Buffer
				one := newProgram(p.in, &out, p.errs)
				one.name, one.start, one.machine = p.name, p.start, p.machine
				err := one.validate(ctx, f, paths[i])
				one.report(err)
				one.flush()
				outcomes[i] = outcome{out.String(), err}
			}
		})
	}
	for i := range paths {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	failed := 0
	for i, o := range outcomes {
		if o.err == nil && strings.HasPrefix(o.text, validText) {
			p.say("%s: valid", paths[i])
			continue
		}
		if o.err != nil {
			failed++
		}
		p.say("%s:", paths[i])
		fmt.Fprint(p.out, o.text)
	}
	p.say("%d of %d templates are valid.", len(paths)-failed, len(paths))
	if failed > 0 || ctx.Err() != nil {
		return errReported
	}
	return nil
}

// templatesBelow finds templates. Where every HCL2 file of a folder has a build
// block, each is a template; otherwise the folder is one. Other JSON files are
// templates if they have builders.
func templatesBelow(root string) ([]string, error) {
	var all []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !e.IsDir() {
			return nil
		}
		if name := e.Name(); path != root && strings.HasPrefix(name, ".") {
			return filepath.SkipDir
		}
		found, err := templatesIn(path)
		all = append(all, found...)
		return err
	})
	return all, err
}

func templatesIn(dir string) (all []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var hcl []string
	alone := true
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case e.IsDir() || strings.HasSuffix(path, ".pkrvars.json"):
		case template.IsHCL(path):
			hcl = append(hcl, path)
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			alone = alone && hasBuild(path, text)
		case strings.HasSuffix(path, ".json"):
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			if bytes.Contains(text, []byte(`"builders"`)) {
				all = append(all, path)
			}
		}
	}
	if len(hcl) > 0 && !alone {
		return append(all, dir), nil
	}
	all = append(all, hcl...)
	slices.Sort(all)
	return all, nil
}

// hasBuild reports whether a file looks as if it had a build block.
func hasBuild(path string, text []byte) bool {
	if strings.HasSuffix(path, ".json") {
		return bytes.Contains(text, []byte(`"build"`))
	}
	for line := range bytes.Lines(text) {
		word, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte("{"))
		if string(bytes.TrimSpace(word)) == "build" && (len(rest) > 0 || bytes.Contains(line, []byte("{"))) {
			return true
		}
	}
	return false
}
