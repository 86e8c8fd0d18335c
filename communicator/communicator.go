// Package communicator is what builders that connect to their machines share: the
// template chooses a communicator, and its connector does the rest.
package communicator

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"kiln"
)

// usual is the communicator where neither template nor builder says another.
const usual = "ssh"

// Config is embedded by every builder that connects to its machine.
type Config struct {
	// The way into the machine: one of the communicators, or what the builder adds.
	Communicator string `kiln:"communicator"`
	// Connect once, wait so long, and connect again: for machines that restart after their first start.
	PauseBeforeConnecting time.Duration `kiln:"pause_before_connecting"`
	// Connectors are those that the program lists, by the name of their
	// communicator. Their options are accepted whichever is chosen.
	Connectors map[string]kiln.Connector `kiln:",offered"`
}

// Offer gives the builder the connectors to choose among.
func (c *Config) Offer(connectors map[string]kiln.Connector) { c.Connectors = connectors }

// Check reports all that is wrong with what connects. The own kinds are those that
// the builder connects with itself; the first of them is its default. Alone says
// that the builder knows neither the machine's address nor a way to log in.
func (c *Config) Check(alone bool, own ...string) error {
	if c.Communicator == "" {
		c.Communicator = append(own, usual)[0]
	}
	if slices.Contains(own, c.Communicator) {
		return nil
	}
	connector := c.Connectors[c.Communicator]
	if connector == nil {
		known := append(own, slices.Sorted(maps.Keys(c.Connectors))...)
		return kiln.Invalid("communicator",
			"Communicator type %s is invalid (known are %s)", c.Communicator, strings.Join(known, ", "))
	}
	var missing error
	if alone {
		missing = connector.Alone()
	}
	return errors.Join(missing, connector.Validate())
}

// Terminal reports whether the template asks for a pseudo terminal, which a
// builder's own communicators follow too.
func (c *Config) Terminal() bool {
	for _, connector := range c.Connectors {
		if t, ok := connector.(interface{ Terminal() bool }); ok && t.Terminal() {
			return true
		}
	}
	return false
}

// Connect connects to a machine with the communicator that was chosen.
func (c *Config) Connect(ctx context.Context, b *kiln.Build, t kiln.Target) (kiln.Communicator, error) {
	connector := c.Connectors[c.Communicator]
	if connector == nil {
		return nil, kiln.Invalid("communicator", "Communicator type %s is invalid", c.Communicator)
	}
	way, err := connector.Connect(ctx, b, t)
	if err != nil || c.PauseBeforeConnecting <= 0 || way.Guest().Shell == kiln.ShellNone {
		return way, err
	}
	// The machine answers; what it says of the end of a first connection does not matter.
	_ = way.Close()
	b.Say("Pausing %s before connecting...", c.PauseBeforeConnecting)
	if err := kiln.Sleep(ctx, c.PauseBeforeConnecting); err != nil {
		return nil, err
	}
	return connector.Connect(ctx, b, t)
}
