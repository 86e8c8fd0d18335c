package interpolate

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/template"

	"kiln/internal/redact"
)

// Hiding is what text needs to hide what functions make of secrets. There are no marks
// on the texts that functions are given: a secret is known by what it is.
type Hiding struct {
	Hide   func(text string)      // is told what is to be hidden
	Secret func(text string) bool // reports whether a text holds a secret that is hidden
}

// touch says that a secret went into the text.
func (c *Context) touch() {
	if c.Touched != nil {
		c.Touched()
	}
}

// watched are the functions that a text may use, where those that it does use tell what
// they make of secrets, those of text/template too.
func (c *Context) watched(text string) template.FuncMap {
	all := c.functions()
	if c.Hiding == nil {
		return all
	}
	for name, f := range builtins {
		if all[name] == nil {
			all[name] = f
		}
	}
	for name, f := range all {
		if !unwatched[name] && strings.Contains(text, name) {
			all[name] = c.watch(f)
		}
	}
	return all
}

// unwatched are functions that are given names, and no text to change.
var unwatched = map[string]bool{"user": true, "env": true, "build": true, "vault": true, "consul_key": true,
	"aws_secretsmanager": true, "aws_secretsmanager_raw": true}

// builtins are the functions of text/template that make new text of text.
var builtins = template.FuncMap{
	"html": template.HTMLEscaper, "js": template.JSEscaper, "urlquery": template.URLQueryEscaper,
	"print": fmt.Sprint, "println": fmt.Sprintln, "printf": fmt.Sprintf, "slice": slice,
}

func slice(item any, at ...int) (any, error) {
	v := reflect.Indirect(reflect.ValueOf(item))
	if !v.IsValid() || !slices.Contains([]reflect.Kind{reflect.String, reflect.Slice, reflect.Array}, v.Kind()) {
		return nil, errors.New("slice of a value that is neither text nor a list")
	}
	from, to := 0, v.Len()
	switch len(at) {
	case 0:
	case 1:
		from = at[0]
	case 2:
		from, to = at[0], at[1]
	default:
		return nil, errors.New("slice takes at most two places")
	}
	if from < 0 || from > to || to > v.Len() {
		return nil, fmt.Errorf("slice: %d to %d is not within 0 to %d", from, to, v.Len())
	}
	return v.Slice(from, to).Interface(), nil
}

// watch is a function that tells what it makes of secrets.
func (c *Context) watch(f any) any {
	v := reflect.ValueOf(f)
	if v.Type().NumIn() == 0 {
		return f
	}
	return reflect.MakeFunc(v.Type(), func(args []reflect.Value) []reflect.Value {
		var out []reflect.Value
		if v.Type().IsVariadic() {
			out = v.CallSlice(args)
		} else {
			out = v.Call(args)
		}
		c.made(args, out[0])
		return out
	}).Interface()
}

// made hides a text that a function made, if any argument holds a secret.
func (c *Context) made(args []reflect.Value, out reflect.Value) {
	var secrets, clear []string
	for _, arg := range args {
		if text := fmt.Sprint(arg.Interface()); c.Secret(text) {
			secrets = append(secrets, text)
		} else {
			clear = append(clear, text)
		}
	}
	if len(secrets) == 0 {
		return
	}
	c.touch()
	for _, line := range redact.Made(fmt.Sprint(out.Interface()), secrets, clear) {
		c.Hide(line)
	}
}
