package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"kiln/internal/template"
	"kiln/internal/template/hcl2"
)

// validateAll validates every template below a folder, several at a time, and says
// of each whether it is valid.
func (p *program) validateAll(ctx context.Context, f *validateFlags, root string) error {
	found, modules, err := templatesBelow(ctx, root)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("there is no template below %s: files named .pkr.hcl or .pkr.json, or JSON files with "+
			"builders.", root)
	}
	type outcome struct {
		text string
		err  error
		done bool
	}
	outcomes := make([]outcome, len(found))
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				// One program each: its own output, its own secrets.
				var out bytes.Buffer
				one := newProgram(p.in, &out, p.errs)
				one.name, one.start, one.machine = p.name, p.start, p.machine
				flags := *f
				flags.syntaxOnly = f.syntaxOnly || found[i].module
				err := one.validate(ctx, &flags, found[i].path)
				one.report(err)
				one.flush()
				outcomes[i] = outcome{out.String(), err, true}
			}
		})
	}
	for i := range found {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	failed := 0
	for i, o := range outcomes {
		switch path := found[i].path; {
		case !o.done: // interrupted
		case o.err == nil && found[i].module:
			p.say("%s: valid, as far as a module can be told without its inputs", path)
		case o.err == nil && strings.HasPrefix(o.text, validText):
			p.say("%s: valid", path)
		default:
			if o.err != nil {
				failed++
			}
			p.say("%s:", path)
			fmt.Fprint(p.out, o.text)
		}
	}
	for _, dir := range modules {
		p.say("%s: a module, validated with the templates that use it", dir)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.say("%d of %d templates are valid.", len(found)-failed, len(found))
	if failed > 0 {
		return errReported
	}
	return nil
}

// foundTemplate is something to validate.
type foundTemplate struct {
	path   string
	module bool // it is a module that no template here uses
}

// foundFolder is a folder that holds templates, or is one.
type foundFolder struct {
	dir     string
	paths   []string // of its templates
	module  bool     // it has what modules have, and no build
	modules []string // real paths of the folders that it has as modules
}

// templatesBelow finds the templates at or below a path. Folders that others of them have as
// modules are listed apart: they are validated with these.
func templatesBelow(
	ctx context.Context, root string,
) (found []foundTemplate, modules []string, err error) {
	if info, err := os.Stat(root); err == nil && !info.IsDir() {
		return []foundTemplate{{path: root}}, nil, nil
	}
	var dirs []string
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if !e.IsDir() {
			return nil
		}
		if name := e.Name(); path != root && strings.HasPrefix(name, ".") {
			return filepath.SkipDir
		}
		dirs = append(dirs, path)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	folders, err := foldersOf(ctx, dirs)
	used := usedFolders(folders)
	for _, f := range folders {
		if used[realPath(f.dir)] {
			modules = append(modules, f.dir)
			continue
		}
		for _, path := range f.paths {
			found = append(found, foundTemplate{path, f.module})
		}
	}
	return found, modules, err
}

// foldersOf reads folders, several at a time, and returns those that hold templates.
func foldersOf(ctx context.Context, dirs []string) (folders []*foundFolder, err error) {
	all, errs := make([]*foundFolder, len(dirs)), make([]error, len(dirs))
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				all[i], errs[i] = templatesIn(dirs[i])
			}
		})
	}
	for i := range dirs {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	for _, f := range all {
		if f != nil && len(f.paths) > 0 {
			folders = append(folders, f)
		}
	}
	return folders, errors.Join(append(errs, ctx.Err())...)
}

// usedFolders are the real paths of the folders that are modules of others, directly or by
// way of modules. Folders that are modules of each other only are none: nobody else would
// validate them.
func usedFolders(folders []*foundFolder) map[string]bool {
	at, named := map[string]*foundFolder{}, map[string]bool{}
	for _, f := range folders {
		at[realPath(f.dir)] = f
		for _, m := range f.modules {
			named[m] = true
		}
	}
	used := map[string]bool{}
	var use func(f *foundFolder)
	use = func(f *foundFolder) {
		for _, m := range f.modules {
			if next := at[m]; next != nil && !used[m] {
				used[m] = true
				use(next)
			}
		}
	}
	for _, f := range folders {
		if !named[realPath(f.dir)] {
			use(f)
		}
	}
	return used
}

// realPath is a path without links, or the path where that cannot be told.
func realPath(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real
	}
	return abs
}

// templatesIn finds the templates of a folder. Where every HCL2 file has a build block, each
// is a template; otherwise the folder is one. Other JSON files are templates if they have
// builders.
func templatesIn(dir string) (*foundFolder, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	f := &foundFolder{dir: dir}
	var native []string
	alone, builds := true, false
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() || strings.HasSuffix(path, ".pkrvars.json") ||
			!template.IsHCL(path) && !strings.HasSuffix(path, ".json") {
			continue
		}
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
			continue // a pipe would keep us until somebody writes to it
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if !template.IsHCL(path) {
			if bytes.Contains(text, []byte(`"builders"`)) {
				f.paths = append(f.paths, path)
			}
			continue
		}
		native = append(native, path)
		outline := hcl2.OutlineOf(path, text)
		alone, builds = alone && outline.Build, builds || outline.Build
		f.module = f.module || outline.Shares
		for _, m := range outline.Modules {
			if !filepath.IsAbs(m) {
				m = filepath.Join(dir, m)
			}
			f.modules = append(f.modules, realPath(m))
		}
	}
	// A mixed folder of JSON templates and a module is rare, and then a template.
	f.module = f.module && !builds && len(f.paths) == 0
	if len(native) > 0 && !alone {
		f.paths = append(f.paths, dir)
		return f, nil
	}
	f.paths = append(f.paths, native...)
	slices.Sort(f.paths)
	return f, nil
}
