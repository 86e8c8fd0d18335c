// Package bootcommand types what a machine's boot menu and installer are told: the
// language of boot_command, and the keys as VNC servers and PC keyboards want them.
// The facts are in docs/compat/boot-and-media.md 1.
package bootcommand

import (
	"strings"
	"time"
	"unicode"
)

// Kind is what an action does.
type Kind int

// Kinds of actions.
const (
	Press   Kind = iota // press a key and release it
	Hold                // press a key
	Release             // release a key
	Wait                // let time pass
)

// An Action is one element of a boot command.
type Action struct {
	Kind Kind
	Key  string        // name of a special key as in [Keys]; empty: a character
	Char rune          // the character
	For  time.Duration // how long to wait; never negative
}

// String is the action as a boot command says it.
func (a Action) String() string {
	key := a.Key
	if key == "" {
		key = string(a.Char)
	}
	switch {
	case a.Kind == Wait:
		return "<wait" + a.For.String() + ">"
	case a.Kind == Hold:
		return "<" + key + "On>"
	case a.Kind == Release:
		return "<" + key + "Off>"
	case a.Key == "":
		return key
	}
	return "<" + key + ">"
}

// shifted are the signs that a US keyboard has on the shift level.
const shifted = `~!@#$%^&*()_+{}|:"<>?`

// needsShift reports whether a character is typed with shift held.
func needsShift(c rune) bool { return unicode.IsUpper(c) || strings.ContainsRune(shifted, c) }
