//go:build unix

package main

import (
	"errors"
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
	x, y, err := b.pair(nil, []string{*kiln, "validate", "small.json"},
		[]string{*packer, "validate", "small.json"})
	if err != nil {
		return err
	}
	row("validate a small template", x.wall, y.wall, "<= 0.2")
	fmt.Printf("%-58s %9dM %9dM %8.3f   %s\n", "  peak memory of the largest process", x.rss>>20, y.rss>>20,
		float64(x.rss)/float64(y.rss), "< 60M")
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

// fleet times a team's whole folder of templates, beside one of them with the peer,
// and the inspection of one very long template.
func (b *bench) fleet() error {
	const templates, builds, lines = 500, 50, 10_000
	var text, refs strings.Builder
	text.WriteString("variable \"v\" { default = \"x\" }\nlocals { a = upper(var.v) }\n")
	for i := range builds {
		fmt.Fprintf(&text, "source \"null\" \"s%d\" {\n  communicator = \"none\"\n}\n", i)
		fmt.Fprintf(&refs, "\"null.s%d\",", i)
	}
	fmt.Fprintf(&text, "build {\n  sources = [%s]\n  provisioner \"shell-local\" {\n"+
		"    inline = [\"echo ${local.a} ${source.name}\"]\n  }\n"+
		"  provisioner \"shell-local\" {\n    inline = [\"echo two\"]\n  }\n  post-processor \"manifest\" {}\n}\n",
		refs.String())
	for i := range templates {
		if err := b.write(fmt.Sprintf("fleet/t%03d.pkr.hcl", i), text.String()); err != nil {
			return err
		}
	}
	x, y, err := b.pair(nil, []string{*kiln, "validate", "-recursive", "fleet"},
		[]string{*packer, "validate", "fleet/t000.pkr.hcl"})
	if err != nil {
		return err
	}
	row("validate 500 templates of 50 builds; packer: one of them", x.wall, y.wall, "< 2s")
	fmt.Printf("%-58s %9dM %9dM %8s   %s\n", "  peak memory", x.rss>>20, y.rss>>20, "-", "< 200M")
	var long strings.Builder
	for i := range lines / 4 {
		fmt.Fprintf(&long, "source \"null\" \"s%d\" {\n  communicator = \"none\"\n}\n\n", i)
	}
	long.WriteString("build {\n  sources = [\"null.s1\"]\n}\n")
	if err := b.write("long.pkr.hcl", long.String()); err != nil {
		return err
	}
	if x, y, err = b.pair(nil, []string{*kiln, "inspect", "long.pkr.hcl"},
		[]string{*packer, "inspect", "long.pkr.hcl"}); err != nil {
		return err
	}
	row("inspect a template of 10,000 lines", x.wall, y.wall, "< 150ms")
	return nil
}

// folder times the check of one folder with many builds, beside that of a tenth of
// them: the ratio says how the cost grows.
func (b *bench) folder() error {
	write := func(dir string, builds int) error {
		var text strings.Builder
		for i := range builds {
			fmt.Fprintf(&text, "source \"null\" \"s%d\" {\n  communicator = \"none\"\n}\n", i)
			fmt.Fprintf(&text, "build {\n  name    = \"b%d\"\n  sources = [\"null.s%d\"]\n", i, i)
			text.WriteString("  provisioner \"shell-local\" {\n    inline = [\"echo ${source.name}\"]\n  }\n")
			fmt.Fprintf(&text, "  post-processor \"manifest\" {\n    output = \"m%d.json\"\n  }\n}\n", i)
		}
		return b.write(dir+"/t.pkr.hcl", text.String())
	}
	for _, aim := range []struct {
		builds    int
		time, rss string
	}{{1000, "< 0.3s", "< 100M"}, {10_000, "< 2s", "< 300M"}} {
		all, part := fmt.Sprintf("folder%d", aim.builds), fmt.Sprintf("folder%d", aim.builds/10)
		if err := errors.Join(write(all, aim.builds), write(part, aim.builds/10)); err != nil {
			return err
		}
		x, y, err := b.pair(nil, []string{*kiln, "validate", all}, []string{*kiln, "validate", part})
		if err != nil {
			return err
		}
		withMemory(
			fmt.Sprintf("validate %d builds; baseline: %d of them", aim.builds, aim.builds/10),
			x,
			y,
			aim.time,
			aim.rss,
		)
	}
	return nil
}

// withMemory prints the row of a command's time and that of its memory.
func withMemory(name string, x, y sample, time, rss string) {
	row(name, x.wall, y.wall, time)
	fmt.Printf(
		"%-58s %9dM %9dM %8.3f   %s\n",
		"  peak memory",
		x.rss>>20,
		y.rss>>20,
		float64(x.rss)/float64(y.rss),
		rss,
	)
}
