package guest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kiln"
)

// Vars writes the variables of a script as a shell reads them: those that the build
// gives every script (see [kiln.Build.GuestVars]), then a list of KEY=VALUE, then a
// map; later ones win; sorted by name. Format is a printf format for name and value.
// A quote in a value is escaped, as every format is expected to put single quotes
// around values. Data is what the build generated; nil: all so far.
func Vars(b *kiln.Build, data map[string]any, list []string, env map[string]string, format string) string {
	all := b.GuestVars(data)
	for _, kv := range list {
		name, value, _ := strings.Cut(kv, "=")
		all[name] = value
	}
	maps.Copy(all, env)
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&out, format, name, strings.ReplaceAll(all[name], "'", `'"'"'`))
	}
	return out.String()
}
