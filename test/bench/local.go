package main

import (
	"fmt"
	"strings"
)

// validate times the check of a small template.
func (b *bench) validate() error {
	err := b.write("small.json", `{"variables":{"x":"1"},"builders":[{"type":"null","communicator":"none"}],
 "provisioners":[{"type":"shell-local","inline":["echo {{user `+"`x`"+`}}"]}],"post-processors":["manifest"]}`)
	if err != nil {
		return err
	}
	x, y, err := b.pair(nil, []string{*kiln, "validate", "small.json"}, []string{*packer, "validate", "small.json"})
	if err != nil {
		return err
	}
	row("validate a small template", x.wall, y.wall, "<= 0.2")
	fmt.Printf("%-58s %9dM %9dM %8.3f   %s\n", "  peak memory of the largest process", x.rss>>20, y.rss>>20, float64(x.rss)/float64(y.rss), "< 60M")
	return nil
}

// nullBuilds times a hundred builds that do nothing.
func (b *bench) nullBuilds() error {
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf(`{"type":"null","name":"n%d","communicator":"none"}`, i))
	}
	if err := b.write("many.json", `{"builders":[`+strings.Join(names, ",")+`]}`); err != nil {
		return err
	}
	x, y, err := b.pair(nil, []string{*kiln, "build", "many.json"}, []string{*packer, "build", "many.json"})
	if err != nil {
		return err
	}
	row("100 null builds side by side", x.wall, y.wall, "<= 0.2")
	return nil
}
