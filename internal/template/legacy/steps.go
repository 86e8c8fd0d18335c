package legacy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"kiln/internal/template"
)

// stepAttributes are what provisioners and post-processors have around their own
// options; only in this letter case.
var stepAttributes = map[template.On][]template.Attribute{
	template.OnProvisioner:   template.AttributesOf(template.JSON, template.OnProvisioner),
	template.OnPostProcessor: template.AttributesOf(template.JSON, template.OnPostProcessor),
}

// skips reports which names of a body are not the component's.
func skips(attributes []template.Attribute, more ...string) func(string) bool {
	return func(name string) bool {
		return slices.Contains(more, name) || strings.HasPrefix(name, "packer_") ||
			slices.ContainsFunc(attributes, func(a template.Attribute) bool { return a.Name == name })
	}
}

var (
	skipBuilder = skips(nil, "type", "name")
	skipStep    = map[template.On]func(string) bool{
		template.OnProvisioner:   skips(stepAttributes[template.OnProvisioner], "type"),
		template.OnPostProcessor: skips(stepAttributes[template.OnPostProcessor], "type"),
	}
)

func (j *parsed) readProvisioner(n *node, where string) *template.Step {
	if n.kind != '{' {
		j.errorf(n.rng, "%s: an object is required, got type '%s'", where, n.kindName())
		return nil
	}
	typ := n.exact("type")
	if typ == nil || typ.kind != 's' || typ.text == "" {
		j.errorf(start(n), "%s: Provisioner missing 'type'", where)
		return nil
	}
	s := newStep(n, template.KindProvisioner, template.OnProvisioner, typ.text, where)
	j.readAttributes(s, n, template.OnProvisioner)
	return s
}

func newStep(n *node, kind string, on template.On, typ, where string) *template.Step {
	return &template.Step{Kind: kind, Block: kind, Type: typ, Written: typ, TypeRange: start(n), Where: where,
		Body: body{n}, Range: n.rng, Skip: skipStep[on]}
}

// readAttributes reads what stands around a component's own options.
func (j *parsed) readAttributes(s *template.Step, n *node, on template.On) {
	for _, a := range stepAttributes[on] {
		if v := n.exact(a.Name); v != nil && v.kind != '0' {
			j.readAttribute(a, s, v)
		}
	}
	if len(s.Only) > 0 && len(s.Except) > 0 {
		j.late = append(j.late, template.ErrorfAt(n.exact("only").rng, "",
			"%s: only one of 'only' or 'except' may be specified", s.Where))
	}
}

// readAttribute reads one attribute, as its type asks for.
func (j *parsed) readAttribute(a template.Attribute, s *template.Step, n *node) {
	switch to := a.Field(s).(type) {
	case *string:
		if j.want(n, 's', s.Where+": "+a.Name) {
			*to = n.text
		}
	case *template.Names:
		*to = j.names(n, s.Where, a.Name)
	case *time.Duration:
		*to = j.duration(n, s.Where, a.Name)
		if err := a.Check(*to); err != nil && n.kind != '0' {
			j.errorf(n.rng, "%s: '%s': %v", s.Where, a.Name, err)
		}
	case *template.Count:
		if n.kind != 's' && n.kind != 'n' {
			j.errorf(n.rng, "%s: '%s' is a number, got type '%s'", s.Where, a.Name, n.kindName())
		}
		*to = template.Count{Text: n.text, Range: n.rng}
	case **bool:
		switch {
		case !a.Own && !j.want(n, 'b', s.Where+": '"+a.Name+"'"):
		case n.kind != 'b':
			j.errorf(n.rng, "%s: '%s' is true or false, got type '%s'", s.Where, a.Name, n.kindName())
		default:
			*to = &n.truth
		}
	case *template.Overrides:
		if j.want(n, '{', s.Where+": "+a.Name) {
			*to = template.Overrides{}
			for _, f := range n.fields {
				j.want(f.val, '{', s.Where+": "+a.Name+" '"+f.name+"'")
				(*to)[f.name] = template.Override{Value: f.val.cty(), Range: f.val.rng, Key: f.rng}
			}
		}
	}
}

func (j *parsed) names(n *node, where, key string) (refs template.Names) {
	refs = template.Names{}
	items := []*node{n}
	if n.kind == '[' {
		items = n.items
	}
	for _, item := range items {
		if item.kind != 's' {
			j.errorf(item.rng, "%s: '%s' is a list of builder names, got type '%s'", where, key,
				item.kindName())
			continue
		}
		refs[item.text] = item.rng
	}
	return refs
}

func (j *parsed) duration(n *node, where, key string) time.Duration {
	switch n.kind {
	case 's':
		if n.text == "" {
			return 0
		}
		d, err := time.ParseDuration(n.text)
		if err != nil {
			j.errorf(n.rng, "%s: error decoding '%s': %v. Write a number with a unit, such as \"30s\".",
				where, key, err)
		}
		return d
	case 'n':
		f, _ := n.cty().AsBigFloat().Int64()
		return time.Duration(f)
	}
	j.errorf(n.rng, "%s: error decoding '%s': a duration such as \"30s\" is required, got type '%s'", where,
		key, n.kindName())
	return 0
}

// readPostProcessors reads the list whose elements are names, objects or chains.
func (j *parsed) readPostProcessors(n *node) {
	for i, item := range n.items {
		switch item.kind {
		case 's', '{':
			if s := j.postProcessor(item, fmt.Sprintf("post-processor %d.%d", i+1, 1)); s != nil {
				j.chains = append(j.chains, []*template.Step{s})
			}
		case '[':
			var chain []*template.Step
			for k, sub := range item.items {
				where := fmt.Sprintf("post-processor %d.%d", i+1, k+1)
				switch sub.kind {
				case 's', '{':
					if s := j.postProcessor(sub, where); s != nil {
						chain = append(chain, s)
					}
				case '[':
					j.errorf(sub.rng, "%s: sequence not allowed to be nested in a sequence", where)
				default:
					j.errorf(sub.rng, "%s: unknown format: %s", where, sub.kindName())
				}
			}
			j.chains = append(j.chains, chain)
		default:
			j.errorf(item.rng, "post-processor %d: bad format: %s", i+1, item.kindName())
		}
	}
}

func (j *parsed) postProcessor(n *node, where string) *template.Step {
	if n.kind == 's' {
		s := newStep(&node{kind: '{', rng: n.rng}, template.KindPostProcessor, template.OnPostProcessor,
			n.text, where)
		s.Name = n.text
		return s
	}
	typ := n.exact("type")
	if typ == nil || typ.kind != 's' || typ.text == "" {
		j.errorf(start(n), "%s: type is required", where)
		return nil
	}
	s := newStep(n, template.KindPostProcessor, template.OnPostProcessor, typ.text, where)
	s.Name = typ.text
	j.readAttributes(s, n, template.OnPostProcessor)
	return s
}
