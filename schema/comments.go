package schema

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"reflect"
	"strings"
)

// Documented describes the component v with the doc comments of its source: its
// block, whose fields have their Doc, and the comment of its package. Sources is the
// tree of the module's source files, whose package paths begin with module.
func Documented(sources fs.FS, module string, v any) (block *Block, about string, err error) {
	rv := reflect.Indirect(reflect.ValueOf(v))
	reader := commentReader{sources: sources, module: module, packages: map[string]*parsed{}}
	p, err := reader.load(rv.Type().PkgPath())
	if err != nil {
		return nil, "", err
	}
	comments := map[string]string{} // of each field, by its present name
	if err := reader.fields(rv.Type(), comments, ""); err != nil {
		return nil, "", err
	}
	b := bind(rv)
	for _, at := range b.offers {
		for _, t := range offered(rv.FieldByIndex(at)) {
			if err := reader.fields(t, comments, ""); err != nil {
				return nil, "", err
			}
		}
	}
	block, err = b.documented(comments, "")
	return block, p.doc, err
}

// documented is a copy of the block whose fields have their comments.
func (b *Block) documented(comments map[string]string, prefix string) (*Block, error) {
	var fields []*Field
	for _, f := range b.Fields {
		c := *f
		c.Doc = comments[prefix+f.Name]
		if f.Block != nil {
			var err error
			if c.Block, err = f.Block.documented(comments, prefix+f.Name+"."); err != nil {
				return nil, err
			}
		}
		fields = append(fields, &c)
	}
	return NewBlock(fields...)
}

type parsed struct {
	doc     string
	structs map[string]*ast.StructType
}

type commentReader struct {
	sources  fs.FS
	module   string
	packages map[string]*parsed
}

func (r *commentReader) load(pkgPath string) (*parsed, error) {
	if p := r.packages[pkgPath]; p != nil {
		return p, nil
	}
	p := &parsed{structs: map[string]*ast.StructType{}}
	r.packages[pkgPath] = p
	dir := strings.TrimPrefix(strings.TrimPrefix(pkgPath, r.module), "/")
	if dir == "" {
		dir = "."
	}
	names, err := fs.Glob(r.sources, path.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := fs.ReadFile(r.sources, name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text,
			parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if file.Doc != nil {
			p.doc = file.Doc.Text()
		}
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				if ts, ok := spec.(*ast.TypeSpec); ok {
					if st, ok := ts.Type.(*ast.StructType); ok {
						p.structs[ts.Name.Name] = st
					}
				}
			}
		}
	}
	return p, nil
}

// fields collects the comments of t's fields, those of nested blocks with the
// block's name and a dot before.
func (r *commentReader) fields(t reflect.Type, out map[string]string, prefix string) error {
	p, err := r.load(t.PkgPath())
	if err != nil {
		return err
	}
	comments := map[string]string{}
	if st := p.structs[t.Name()]; st != nil {
		for _, f := range st.Fields.List {
			text := f.Doc.Text()
			if text == "" {
				text = f.Comment.Text()
			}
			for _, name := range f.Names {
				comments[name.Name] = text
			}
		}
	}
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, ok := sf.Tag.Lookup("kiln")
		if !ok || tag == "-" || tag == ",offered" {
			continue
		}
		if tag == ",squash" {
			if err := r.fields(sf.Type, out, prefix); err != nil {
				return err
			}
			continue
		}
		name, _, _ := strings.Cut(tag, ",")
		out[prefix+name] = comments[sf.Name]
		elem := sf.Type
		for elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice {
			elem = elem.Elem()
		}
		if elem.Kind() == reflect.Struct {
			if err := r.fields(elem, out, prefix+name+"."); err != nil {
				return err
			}
		}
	}
	return nil
}
