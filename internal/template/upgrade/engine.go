package upgrade

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"
	"text/template/parse"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// Marks around what becomes an HCL2 expression, while the rest is still text.
const (
	open   = "\x01"
	closed = "\x02"
)

// engine turns {{ }} text into HCL2 templates.
type engine struct {
	locals  map[string]bool // variables that have become locals
	used    map[string]bool // user variables that were asked for
	stamp   bool            // {{timestamp}} was seen
	secrets []string        // arguments of aws_secretsmanager, each joined by a zero byte
	notes   map[string]bool // for a comment before the block: what must be looked at
	skipped []string        // options that HCL2 cannot have
	foreign bool            // a function other than env was seen
	// What a text is part of: only the default of a variable may ask for the environment,
	// and an override is evaluated where source and build are not known.
	inDefault, inOverride bool
	environ               map[string]bool // names that are asked for elsewhere than in a default
}

// byHand are the functions that HCL2 has in another form, with that form. They are
// left as they are, which works in HCL2 too.
var byHand = map[string]string{
	"upper": "upper(var.example)", "lower": "lower(var.example)", "split": "split(separator, string)[index]",
	"replace": "replace(string, substring, replacement) or regex_replace(string, pattern, replacement)", "replace_all": "replace(string, substring, replacement)",
	"clean_resource_name": "regex_replace(string, pattern, replacement), or a validation of the variable",
}

var errByHand = errors.New("left as it is")

// quoted is a text of the template as an HCL2 expression.
func (e *engine) quoted(text string) string {
	return quote(e.convert(text))
}

// convert replaces every action that has a form in HCL2 by marked expressions.
func (e *engine) convert(text string) string {
	var b strings.Builder
	for text != "" {
		before, rest, ok := strings.Cut(text, "{{")
		b.WriteString(strings.NewReplacer(open, "", closed, "").Replace(before))
		if !ok {
			break
		}
		n := actionEnd(rest)
		if n < 0 {
			e.note("could not parse: " + firstLine("{{"+rest))
			b.WriteString("{{" + rest)
			break
		}
		b.WriteString(e.action("{{" + rest[:n]))
		text = rest[n:]
	}
	return b.String()
}

// actionEnd is the length of an action's rest, with its closing braces; -1: none.
func actionEnd(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '`', '"', '\'':
			quote := s[i]
			for i++; i < len(s) && s[i] != quote; i++ {
				if s[i] == '\\' && quote != '`' {
					i++
				}
			}
		case '}':
			if strings.HasPrefix(s[i:], "}}") {
				return i + 2
			}
		}
	}
	return -1
}

// action converts one {{ }}.
func (e *engine) action(src string) string {
	if strings.HasPrefix(src, "{{-") || strings.HasSuffix(src, "-}}") {
		return e.kept(src) // it trims what stands around it
	}
	tree := parse.New("hcl2_upgrade")
	tree.Mode = parse.SkipFuncCheck
	if _, err := tree.Parse(src, "", "", map[string]*parse.Tree{}); err != nil {
		return e.kept(src) // if, range, end and the like
	}
	if len(tree.Root.Nodes) != 1 {
		return e.kept(src)
	}
	action, ok := tree.Root.Nodes[0].(*parse.ActionNode)
	if !ok || len(action.Pipe.Decl) > 0 {
		return e.kept(src)
	}
	t, err := template.New("hcl2_upgrade").Funcs(e.functions()).Parse(src)
	if err != nil {
		e.note("could not parse: " + err.Error())
		return src
	}
	dot := map[string]string{}
	for _, name := range fields(action.Pipe) {
		dot[name] = "{{ ." + name + " }}"
	}
	var out bytes.Buffer
	if err := t.Execute(&out, dot); err != nil {
		if !errors.Is(err, errByHand) {
			e.note("could not convert: " + src)
		}
		return e.kept(src)
	}
	return out.String()
}

func fields(n parse.Node) (names []string) {
	switch n := n.(type) {
	case *parse.PipeNode:
		for _, cmd := range n.Cmds {
			for _, arg := range cmd.Args {
				names = append(names, fields(arg)...)
			}
		}
	case *parse.FieldNode:
		names = n.Ident[:1]
	}
	return names
}

var inner = regexp.MustCompile("\\b(user|build|template_dir)\\b(?:\\s+(?:`([^`]*)`|\"([^\"\\\\]*)\"))?")

// kept is an action that stays what it is; what HCL2 refuses inside it is given as
// a text that HCL2 fills in first.
func (e *engine) kept(src string) string {
	return inner.ReplaceAllStringFunc(src, func(call string) string {
		m := inner.FindStringSubmatch(call)
		switch name := m[2] + m[3]; {
		case m[1] == "template_dir":
			return "`" + open + "path.root" + closed + "`"
		case name == "":
			return call
		case m[1] == "build":
			return "`" + open + "build." + named(name) + closed + "`"
		default:
			return "`" + open + e.variable(name) + closed + "`"
		}
	})
}

func (e *engine) variable(name string) string {
	e.used[name], e.foreign = true, true
	if e.locals[name] {
		return "local." + named(name)
	}
	return "var." + named(name)
}

var unnamed = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// named is a variable's name as HCL2 can have it.
func named(name string) string {
	if identifier.MatchString(name) {
		return name
	}
	return "_" + unnamed.ReplaceAllString(name, "_")
}

func (e *engine) note(text string) { e.notes[text] = true }

// functions gives each of Packer's functions its HCL2 form, in marks.
func (e *engine) functions() template.FuncMap {
	expr := func(format string, args ...any) string { return open + fmt.Sprintf(format, args...) + closed }
	is := func(text string) func() string { return func() string { e.foreign = true; return expr("%s", text) } }
	f := template.FuncMap{
		"user": func(name string) string { return expr("%s", e.variable(name)) },
		"env": func(name string) string {
			if e.inDefault {
				return expr("env(%s)", quote(name))
			}
			e.environ[name] = true
			return expr("var.%s", envVariable(name))
		},
		"build": func(key string) string {
			e.foreign = true
			if e.inOverride {
				return "{{ ." + key + " }}"
			}
			return expr("build.%s", named(key))
		},
		"build_name": e.ofSource("name"), "build_type": e.ofSource("type"),
		"timestamp": func() string { e.stamp, e.foreign = true, true; return expr("local.timestamp") },
		"isotime": func(layout ...string) (string, error) {
			e.foreign = true
			switch len(layout) {
			case 0:
				return expr("timestamp()"), nil
			case 1:
				e.note("legacy_isotime takes a layout of Go; formatdate is HCL2's own function")
				return expr("legacy_isotime(%s)", quote(layout[0])), nil
			}
			return "", errors.New("isotime takes one layout")
		},
		"strftime": func(format string) string {
			e.foreign = true
			e.note("legacy_strftime takes a format of strftime; formatdate is HCL2's own function")
			return expr("legacy_strftime(%s)", quote(format))
		},
		"template_dir": is("path.root"), "pwd": is("path.cwd"),
		"packer_version": is("packer.version"), "uuid": is("uuidv4()"),
		"vault":      func(path, key string) string { e.foreign = true; return expr("vault(%s, %s)", quote(path), quote(key)) },
		"consul_key": func(key string) string { e.foreign = true; return expr("consul_key(%s)", quote(key)) },
		"aws_secretsmanager_raw": func(name string) string {
			e.foreign = true
			return expr("aws_secretsmanager_raw(%s)", quote(name))
		},
		"aws_secretsmanager": e.secret,
	}
	for name, form := range byHand {
		f[name] = func(...any) (string, error) {
			e.foreign = true
			e.note(name + " stays as it is; HCL2 has " + form)
			return "", errByHand
		}
	}
	f["sed"] = func(...string) (string, error) { return "", errors.New("sed was removed") }
	return f
}

// ofSource is the name or the type of the source: HCL2 knows both, and the engine in
// an override does.
func (e *engine) ofSource(what string) func() string {
	return func() string {
		e.foreign = true
		if e.inOverride {
			return "{{build_" + what + "}}"
		}
		return open + "source." + what + closed
	}
}

// envVariable is the variable that stands for an environment variable in locals.
func envVariable(name string) string { return named("env_" + name) }

// secret is a data source for a secret of AWS, the same for the same arguments.
func (e *engine) secret(name string, key ...string) (string, error) {
	e.foreign = true
	if len(key) > 1 {
		return "", errors.New("aws_secretsmanager takes a name and at most one key")
	}
	id := name + "\x00" + strings.Join(key, "")
	n := 0
	for i, have := range e.secrets {
		if have == id {
			n = i + 1
		}
	}
	if n == 0 {
		e.secrets = append(e.secrets, id)
		n = len(e.secrets)
	}
	return fmt.Sprintf("%sdata.amazon-secretsmanager.autogenerated_%d.value%s", open, n, closed), nil
}

// quote is a text as an HCL2 template: marked expressions are interpolated, all
// else is literal.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for {
		before, rest, ok := strings.Cut(text, open)
		lit := literal(before)
		if ok && (strings.HasSuffix(before, "$") || strings.HasSuffix(before, "%")) {
			// Before ${ it would be an escape.
			lit = lit[:len(lit)-1] + `${"` + before[len(before)-1:] + `"}`
		}
		b.WriteString(lit)
		if !ok {
			break
		}
		expr, after, _ := strings.Cut(rest, closed)
		b.WriteString("${" + expr + "}")
		text = after
	}
	b.WriteByte('"')
	return b.String()
}

func literal(text string) string {
	s := string(hclwrite.TokensForValue(cty.StringVal(text)).Bytes())
	return strings.TrimSuffix(strings.TrimPrefix(s, `"`), `"`)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
