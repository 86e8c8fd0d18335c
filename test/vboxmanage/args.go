//go:build unix

package main

import (
	"slices"
	"strings"
)

// flags reads options of the form --name VALUE or --name=VALUE, and those of bools,
// which have no value. Short names stand for long ones: "-o" for "--output". What is
// none of them is returned, at most max of it.
type flags struct {
	values []string          // names of those with a value
	bools  []string          // names of those without
	short  map[string]string // other names
	max    int               // number of words that are no options
}

// given are the options of a call, each with its values in order.
type given map[string][]string

func (g given) has(name string) bool { return len(g[name]) > 0 }

// get is the last value of an option.
func (g given) get(name string) string {
	if all := g[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

func (f flags) parse(args []string) (given, []string, error) {
	got := given{}
	var words []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		if !strings.HasPrefix(a, "-") || a == "-" {
			if words = append(words, a); len(words) > f.max {
				return nil, nil, usage("Invalid parameter '%s'", a)
			}
			continue
		}
		name, value, joined := strings.Cut(a, "=")
		if long, ok := f.short[name]; ok {
			name = long
		}
		name = strings.TrimPrefix(name, "--")
		switch {
		case slices.Contains(f.bools, name) && !joined:
			got[name] = append(got[name], "on")
		case !slices.Contains(f.values, name):
			return nil, nil, usage("Unknown option: %s", a)
		case joined:
			got[name] = append(got[name], value)
		case i+1 == len(args):
			return nil, nil, usage("Missing argument to '%s'", a)
		default:
			i++
			got[name] = append(got[name], args[i])
		}
	}
	return got, words, nil
}

// first takes the word off that a call must begin with.
func first(args []string, what string) (string, []string, error) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return "", nil, usage("%s expected", what)
	}
	return args[0], args[1:], nil
}

// oneOf checks a value of an option.
func oneOf(option, value string, allowed ...string) error {
	for _, a := range allowed {
		if strings.EqualFold(a, value) {
			return nil
		}
	}
	return usage("Invalid %s '%s'", option, value)
}
