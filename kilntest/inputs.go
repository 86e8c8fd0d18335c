package kilntest

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"kiln"
	"kiln/internal/engine"
	"kiln/schema"
)

// TestLayerInputs changes every field of a provisioner, every file that it names and
// every variable that its scripts are given, one at a time, and fails where the inputs
// of its layer key stay the same.
func TestLayerInputs(t *testing.T, make func() kiln.Provisioner) {
	t.Helper()
	l := inputsTest{t: t, make: make, h: engine.NewHasher([]byte("key")), b: guestBuild(t, nil)}
	st := schema.Of(make())
	for _, f := range st.Fields {
		if f.Refused == "" {
			l.field(f)
		}
	}
	l.variables()
}

type inputsTest struct {
	t    *testing.T
	make func() kiln.Provisioner
	h    *engine.Hasher
	b    *kiln.Build
}

// guestBuild is a build that gives scripts the usual variables, each with a value.
func guestBuild(t *testing.T, change func(id *kiln.Build, data map[string]any)) *kiln.Build {
	id := kiln.Build{Run: "run", Name: "test", Source: "source", Type: "type", Dir: t.TempDir()}
	data := map[string]any{"PackerHTTPAddr": "1.2.3.4:5", "PackerHTTPIP": "1.2.3.4", "PackerHTTPPort": 5}
	if change != nil {
		change(&id, data)
	}
	b := kiln.NewBuild(id, kiln.Host{})
	for k, v := range data {
		b.Set(k, v)
	}
	return b
}

func (l *inputsTest) sum(p kiln.Provisioner, b *kiln.Build) string {
	l.t.Helper()
	in, err := l.h.Step("test", p, b)
	if err != nil {
		l.t.Fatal(err)
	}
	return fmt.Sprint(in)
}

// field gives a field a value, and its files another content.
func (l *inputsTest) field(f *schema.Field) {
	l.t.Helper()
	plain, changed := l.make(), l.make()
	fv := schema.Place(changed, f)
	paths := fill(l.t, fv)
	before, after := l.sum(plain, l.b), l.sum(changed, l.b)
	if before == after {
		l.t.Errorf("%s: another value, and the layer key stays the same", f.Name)
	}
	if !f.File {
		return
	}
	for _, path := range paths {
		for _, change := range []struct {
			what string
			do   func() error
		}{
			{"made", func() error { return os.WriteFile(path, []byte("a"), 0o644) }},
			{"changed", func() error { return os.WriteFile(path, []byte("b"), 0o644) }},
			{"made executable", func() error { return os.Chmod(path, 0o755) }},
			{"made a link to another file", func() error {
				if err := os.WriteFile(path+".to", []byte("c"), 0o755); err != nil {
					return err
				}
				return relink(path+".to", path)
			}},
			{"a link whose file changed", func() error { return os.WriteFile(path+".to", []byte("d"), 0o755) }},
			{"made a folder", func() error {
				return firstError(os.Remove(path), os.Mkdir(path, 0o755), os.WriteFile(filepath.Join(path, "in"), []byte("a"), 0o644))
			}},
			{"a folder in which a file changed", func() error { return os.WriteFile(filepath.Join(path, "in"), []byte("b"), 0o644) }},
			{"a folder with a link that leads out of it", func() error {
				return firstError(os.WriteFile(path+".out", []byte("a"), 0o644), os.Symlink(path+".out", filepath.Join(path, "out")))
			}},
			{"a folder with a link to a file that changed", func() error {
				return os.WriteFile(path+".out", []byte("b"), 0o644)
			}},
			{"made a link to a folder", func() error { return firstError(os.Rename(path, path+".dir"), os.Symlink(path+".dir", path)) }},
			{"a link to a folder in which a file changed", func() error {
				return os.WriteFile(filepath.Join(path, "in"), []byte("c"), 0o644)
			}},
		} {
			before := l.sum(changed, l.b)
			if err := change.do(); err != nil {
				l.t.Fatal(err)
			}
			if l.sum(changed, l.b) == before && change.what != "made a link to a folder" {
				l.t.Errorf("%s: its file was %s, and the layer key stays the same", f.Name, change.what)
			}
		}
	}
}

// variables changes what scripts are given.
func (l *inputsTest) variables() {
	l.t.Helper()
	p := l.make()
	if kiln.TraitsOf(p).NoScript {
		return
	}
	before := l.sum(p, l.b)
	given := l.b.GuestVars(nil)
	for _, change := range []func(id *kiln.Build, data map[string]any){
		func(id *kiln.Build, _ map[string]any) { id.Source = "x" },
		func(id *kiln.Build, _ map[string]any) { id.Type = "x" },
		func(_ *kiln.Build, data map[string]any) { data["PackerHTTPAddr"] = "x" },
		func(_ *kiln.Build, data map[string]any) { data["PackerHTTPIP"] = "x" },
		func(_ *kiln.Build, data map[string]any) { data["PackerHTTPPort"] = "x" },
	} {
		b := guestBuild(l.t, change)
		name := ""
		for k, v := range b.GuestVars(nil) {
			if given[k] != v {
				name = k
				delete(given, k)
			}
		}
		if l.sum(p, b) == before {
			l.t.Errorf("the variable %s changed, and the layer key stays the same", name)
		}
	}
	if len(given) > 0 {
		l.t.Errorf("this suite does not change the variables %v: make it", given)
	}
}

// fill gives a value that is neither zero nor a default, and returns the paths in it.
func fill(t *testing.T, v reflect.Value) (paths []string) {
	t.Helper()
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		v.SetInt(int64(1234 * time.Hour))
	case v.Kind() == reflect.String:
		path := filepath.Join(t.TempDir(), "file")
		v.SetString(path)
		return []string{path}
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	case v.CanInt():
		v.SetInt(4321)
	case v.CanFloat():
		v.SetFloat(43.21)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return fill(t, v.Elem())
	case v.Kind() == reflect.Slice:
		item := reflect.New(v.Type().Elem()).Elem()
		paths = fill(t, item)
		v.Set(reflect.Append(reflect.MakeSlice(v.Type(), 0, 1), item))
	case v.Kind() == reflect.Map:
		key, item := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key)
		paths = fill(t, item)
		m := reflect.MakeMap(v.Type())
		m.SetMapIndex(key, item)
		v.Set(m)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				paths = append(paths, fill(t, v.Field(i))...)
			}
		}
	default:
		t.Fatalf("a field of kind %s: %s", v.Kind(), "the suite cannot fill it")
	}
	return paths
}

func relink(to, path string) error { return firstError(os.Remove(path), os.Symlink(to, path)) }

func firstError(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}
