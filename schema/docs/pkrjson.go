package docs

// HCLSchema describes HCL2 templates in their JSON form, .pkr.json, in JSON Schema,
// 2020-12. Each block is an object, or a list of them, in one object for each of its labels;
// each value may be a text with an expression.
func HCLSchema(l Language, all []Component) (map[string]any, error) {
	all, err := documented(all, Builder, Provisioner, PostProcessor, DataSource)
	if err != nil {
		return nil, err
	}
	w := &hclSchema{all: all, defs: object{}}
	props := object{"//": true}
	for _, b := range l.Blocks {
		props[b.Name] = w.labelled(b, b.Labels)
	}
	return object{"$schema": draft, "title": "Packer template (HCL2 in JSON)", "type": "object", "properties": props,
		"additionalProperties": false, "$defs": w.defs}, nil
}

type hclSchema struct {
	all  []Component
	defs object // bodies of components, which several blocks have
}

// labelled is a block in an object for each of its labels.
func (w *hclSchema) labelled(b Syntax, labels []string) object {
	if len(labels) == 0 {
		return orList(w.body(b, nil))
	}
	o := object{"type": "object", "description": b.Description, "patternProperties": object{"^//$": true}}
	if b.Component == "" || len(labels) < len(b.Labels) {
		o["additionalProperties"] = w.labelled(b, labels[1:])
		return orList(o)
	}
	// The first label says which component it is; what is not known may be a plugin's.
	types := object{}
	for _, c := range w.all {
		if c.Kind == b.Component {
			types[c.Name] = w.typed(b, c, labels[1:])
		}
	}
	o["properties"], o["additionalProperties"] = types, orList(object{"type": "object"})
	return orList(o)
}

// typed is a block of one component, behind its other labels.
func (w *hclSchema) typed(b Syntax, c Component, labels []string) object {
	if len(labels) > 0 {
		return orList(object{"type": "object", "patternProperties": object{"^//$": true},
			"additionalProperties": w.typed(b, c, labels[1:])})
	}
	name := b.Name + " " + c.Name
	if w.defs[name] == nil {
		w.defs[name] = w.body(b, &c)
	}
	return orList(ref(name))
}

// body is what stands in a block.
func (w *hclSchema) body(b Syntax, c *Component) object {
	props := object{"//": true}
	if c != nil {
		props["dynamic"] = true
		for name, p := range strict.fields(c.Block.Fields) {
			props[name] = p
		}
	}
	for _, name := range b.Attributes {
		props[name] = object{}
		if about := b.About[name]; about != "" {
			props[name] = object{"description": about}
		}
	}
	if c != nil {
		for name, p := range strict.around(c.Around) {
			props[name] = p
		}
	}
	for _, sub := range b.Blocks {
		props[sub.Name] = w.labelled(sub, sub.Labels)
		props["dynamic"] = true
	}
	o := object{"type": "object", "description": b.Description, "properties": props}
	if !b.Open {
		o["additionalProperties"] = false
	}
	return o
}
