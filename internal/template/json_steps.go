package template

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// jsonStep is a provisioner or post-processor as it is written.
type jsonStep struct {
	node     *node
	typ      string
	name     string // of post-processors; default: the type
	where    string // "provisioner 2", for messages
	only     []nameRef
	except   []nameRef
	override *node
	pause    time.Duration
	timeout  time.Duration
	retries  *node
	keep     *bool
	noCache  bool
}

type nameRef struct {
	name string
	rng  hcl.Range
}

func (s *jsonStep) overrides() (refs []nameRef) {
	if s.override != nil {
		for _, f := range s.override.fields {
			refs = append(refs, nameRef{f.name, f.rng})
		}
	}
	return refs
}

// for_ tells whether the step belongs to a builder's build.
func (s *jsonStep) runsFor(raw string) bool {
	is := func(r nameRef) bool { return r.name == raw }
	if len(s.only) > 0 {
		return slices.ContainsFunc(s.only, is)
	}
	return !slices.ContainsFunc(s.except, is)
}

// provisionerKeys and postProcessorKeys are taken from a body before the component
// sees it; only in this letter case.
var (
	provisionerKeys   = []string{"type", "only", "except", "override", "pause_before", "timeout", "max_retries", "cache"}
	postProcessorKeys = []string{"type", "name", "only", "except", "keep_input_artifact"}
)

func (j *jsonTemplate) readProvisioner(n *node, where string) *jsonStep {
	if n.kind != '{' {
		j.errorf(n.rng, "%s: an object is required, got type '%s'", where, n.kindName())
		return nil
	}
	s := &jsonStep{node: n, where: where}
	typ := n.exact("type")
	if typ == nil || typ.kind != 's' || typ.text == "" {
		j.errorf(start(n), "%s: Provisioner missing 'type'", where)
		return nil
	}
	s.typ, s.name = typ.text, ""
	j.selection(s)
	if o := n.exact("override"); o != nil && o.kind != '0' {
		if j.want(o, '{', where+": override") {
			s.override = o
			for _, f := range o.fields {
				j.want(f.val, '{', where+": override '"+f.name+"'")
			}
		}
	}
	s.pause = j.duration(n.exact("pause_before"), where, "pause_before")
	s.timeout = j.duration(n.exact("timeout"), where, "timeout")
	if r := n.exact("max_retries"); r != nil && r.kind != '0' {
		if r.kind != 's' && r.kind != 'n' {
			j.errorf(r.rng, "%s: 'max_retries' is a number, got type '%s'", where, r.kindName())
		}
		s.retries = r
	}
	if c := n.exact("cache"); c != nil {
		s.noCache = c.kind == 'b' && !c.truth
		if c.kind != 'b' {
			j.errorf(c.rng, "%s: 'cache' is true or false, got type '%s'", where, c.kindName())
		}
	}
	return s
}

// selection reads only and except.
func (j *jsonTemplate) selection(s *jsonStep) {
	s.only = j.names(s.node.exact("only"), s.where, "only")
	s.except = j.names(s.node.exact("except"), s.where, "except")
	if len(s.only) > 0 && len(s.except) > 0 {
		j.late = append(j.late, errorf(s.node.exact("only").rng, "", "%s: only one of 'only' or 'except' may be specified", s.where))
	}
}

func (j *jsonTemplate) names(n *node, where, key string) (refs []nameRef) {
	if n == nil || n.kind == '0' {
		return nil
	}
	items := []*node{n}
	if n.kind == '[' {
		items = n.items
	}
	for _, item := range items {
		if item.kind != 's' {
			j.errorf(item.rng, "%s: '%s' is a list of builder names, got type '%s'", where, key, item.kindName())
			continue
		}
		refs = append(refs, nameRef{item.text, item.rng})
	}
	return refs
}

func (j *jsonTemplate) duration(n *node, where, key string) time.Duration {
	if n == nil || n.kind == '0' {
		return 0
	}
	switch n.kind {
	case 's':
		if n.text == "" {
			return 0
		}
		d, err := time.ParseDuration(n.text)
		if err != nil {
			j.errorf(n.rng, "%s: error decoding '%s': %v. Write a number with a unit, such as \"30s\".", where, key, err)
		}
		return d
	case 'n':
		f, _ := n.cty().AsBigFloat().Int64()
		return time.Duration(f)
	}
	j.errorf(n.rng, "%s: error decoding '%s': a duration such as \"30s\" is required, got type '%s'", where, key, n.kindName())
	return 0
}

// readPostProcessors reads the list whose elements are names, objects or chains.
func (j *jsonTemplate) readPostProcessors(n *node) {
	for i, item := range n.items {
		switch item.kind {
		case 's', '{':
			if s := j.postProcessor(item, fmt.Sprintf("post-processor %d.%d", i+1, 1)); s != nil {
				j.chains = append(j.chains, []*jsonStep{s})
			}
		case '[':
			var chain []*jsonStep
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

func (j *jsonTemplate) postProcessor(n *node, where string) *jsonStep {
	s := &jsonStep{node: n, where: where}
	if n.kind == 's' {
		s.typ, s.name = n.text, n.text
		s.node = &node{kind: '{', rng: n.rng}
		return s
	}
	typ := n.exact("type")
	if typ == nil || typ.kind != 's' || typ.text == "" {
		j.errorf(start(n), "%s: type is required", where)
		return nil
	}
	s.typ, s.name = typ.text, typ.text
	if name := n.exact("name"); name != nil && j.want(name, 's', where+": name") {
		s.name = name.text
	}
	j.selection(s)
	if k := n.exact("keep_input_artifact"); k != nil && k.kind != '0' {
		if j.want(k, 'b', where+": 'keep_input_artifact'") {
			s.keep = &k.truth
		}
	}
	return s
}

// skips tells which names of a body are not the component's.
func skips(keys []string) func(string) bool {
	return func(name string) bool { return slices.Contains(keys, name) || strings.HasPrefix(name, "packer_") }
}
