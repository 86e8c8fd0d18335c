package bootcommand

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"kiln"
)

// Config is what a template may say about typing at a machine's first start. A builder that
// types scan codes has it as a field with kiln:",squash", and calls Check in its Validate.
type Config struct {
	// Keys to type when the machine has started: text, special keys such as <enter>, and waits such as <wait5>.
	// The elements are joined with nothing between them. {{ .HTTPIP }}, {{ .HTTPPort }}, {{ .Name }} and
	// {{ .SSHPublicKey }} are known.
	BootCommand []string `kiln:"boot_command,render=run"`
	// How long to wait after the machine's start before typing: 10s where nothing is said, negative not at all.
	BootWait time.Duration `kiln:"boot_wait"`
	// Pause after each group of scan codes; 100ms by default. Builders that type over VNC accept it without
	// effect.
	GroupInterval time.Duration `kiln:"boot_keygroup_interval"`
}

// VNCConfig is the same for a builder that types over VNC.
type VNCConfig struct {
	Config `kiln:",squash"`
	// Boot commands with what they are for, [command, description], which is shown.
	BootSteps [][]string `kiln:"boot_steps,render=run"`
	// Pause after each key that goes down or up. By default it is 10ms, and longer where the guest is slow.
	KeyInterval time.Duration `kiln:"boot_key_interval"`
	// Do not connect over VNC, type nothing, and do not wait for the boot.
	DisableVNC bool `kiln:"disable_vnc"`
}

// Vars are what the text of a boot command can use, beside the build's data.
type Vars struct {
	HTTPIP       string
	HTTPPort     int // 0: nothing is served
	Name         string
	SSHPublicKey string
}

// text is the boot command that is typed.
func (c *Config) text() string { return strings.Join(c.BootCommand, "") }

// Check reports all that is wrong with the text as the template has it: what its {{ }}
// are is known when it is typed.
func (c *Config) Check() error {
	return invalid("boot_command", c.text())
}

// Check reports all that is wrong.
func (c *VNCConfig) Check() error {
	errs := []error{c.Config.Check()}
	if len(c.BootCommand) > 0 && c.DisableVNC {
		errs = append(errs, kiln.Invalid("disable_vnc", "A boot command cannot be used when vnc is disabled."))
	}
	if len(c.BootCommand) > 0 && len(c.BootSteps) > 0 {
		errs = append(errs, kiln.Invalid("boot_steps", "boot_command and boot_steps cannot be used together"))
	}
	if len(c.BootSteps) > 0 && c.DisableVNC {
		errs = append(errs, kiln.Caution("boot_steps", "boot_steps are not typed when vnc is disabled"))
	}
	for _, step := range c.BootSteps {
		if len(step) > 0 {
			errs = append(errs, invalid("boot_steps", step[0]))
		}
	}
	return errors.Join(errs...)
}

// invalid is all that is wrong with a boot command of a field.
func invalid(field, text string) error {
	_, err := Parse(text)
	var errs []error
	for _, e := range kiln.Errors(err) {
		errs = append(errs, kiln.Invalid(field, "%w", e))
	}
	return errors.Join(errs...)
}

// Silent reports whether there is nothing to type.
func (c *Config) Silent() bool { return len(c.BootCommand) == 0 }

// Silent reports whether there is nothing to type: then nobody needs to connect.
func (c *VNCConfig) Silent() bool { return c.DisableVNC || c.Config.Silent() && len(c.BootSteps) == 0 }

// WaitForBoot waits as long as the machine needs before it can be typed at. Where nothing
// is typed, it waits only if the template says so: connecting waits for the machine anyway.
func (c *Config) WaitForBoot(ctx context.Context, b *kiln.Build) error {
	return c.waitForBoot(ctx, b, c.Silent())
}

// WaitForBoot is that of [Config].
func (c *VNCConfig) WaitForBoot(ctx context.Context, b *kiln.Build) error {
	if c.DisableVNC {
		return nil
	}
	return c.waitForBoot(ctx, b, c.Silent())
}

// bootWait is how long to wait for the boot where the template says nothing.
const bootWait = 10 * time.Second

func (c *Config) waitForBoot(ctx context.Context, b *kiln.Build, silent bool) error {
	d := c.BootWait
	if d == 0 && !silent {
		d = bootWait
	}
	if d <= 0 {
		return nil
	}
	b.Say("Waiting %s for boot...", d)
	return kiln.Sleep(ctx, d)
}

// Run types the boot command by scan codes that send sends.
func (c *Config) Run(
	ctx context.Context, b *kiln.Build, send func(ctx context.Context, codes []string) error, v Vars,
) error {
	b.Say("Typing the boot command...")
	return Type(ctx, b, ByScanCodes(send, interval(c.GroupInterval, usualInterval)), c.text(), v)
}

// Run types the boot command, or the steps one after the other, with the key events that
// key sends. Under -debug it stops after each step.
func (c *VNCConfig) Run(
	ctx context.Context, b *kiln.Build, key func(ctx context.Context, keysym uint32, down bool) error, v Vars,
) error {
	b.Say("Typing the boot commands over VNC...")
	typist := OverVNC(key, interval(c.KeyInterval, usualVNCInterval))
	if len(c.BootSteps) == 0 {
		return Type(ctx, b, typist, c.text(), v)
	}
	for _, step := range c.BootSteps {
		if len(step) == 0 {
			continue
		}
		description := ""
		if len(step) > 1 && step[1] != "" {
			description = step[1]
			b.Say("Typing boot command for: %s", description)
		}
		if err := Type(ctx, b, typist, step[0], v); err != nil {
			return err
		}
		if err := pause(ctx, b, description); err != nil {
			return err
		}
	}
	return nil
}

// pause waits for the enter key under -debug. Where nobody can be asked it does not wait.
func pause(ctx context.Context, b *kiln.Build, description string) error {
	if !b.Debug {
		return nil
	}
	_, err := b.Ask(ctx, fmt.Sprintf("Pausing after boot step %q. Press enter to continue.", description))
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Type renders a boot command and types it. Keys that it holds and does not release stay
// held.
func Type(ctx context.Context, b *kiln.Build, t Typist, text string, v Vars) error {
	text, err := b.Render(text, map[string]any{
		"HTTPIP": v.HTTPIP, "HTTPPort": v.HTTPPort, "Name": v.Name, "SSHPublicKey": v.SSHPublicKey,
	})
	if err != nil {
		return fmt.Errorf("Error preparing boot command: %w", err)
	}
	actions, err := Parse(text)
	if err != nil {
		return fmt.Errorf("Error generating boot command: %w", err)
	}
	if err := play(ctx, t, actions); err != nil {
		return fmt.Errorf("Error running boot command: %w", err)
	}
	return nil
}

// What holds where nobody says anything: after a group of scan codes, and after a key over
// VNC. Whoever sends keys over VNC sees to it that the guest keeps up.
const (
	usualInterval    = 100 * time.Millisecond
	usualVNCInterval = 10 * time.Millisecond
)

// interval is the pause after what is typed: what the template says, else the
// environment, where one that cannot be read says nothing.
func interval(field, usual time.Duration) time.Duration {
	if field > 0 {
		return field
	}
	text, ok := os.LookupEnv("KILN_KEY_INTERVAL")
	if !ok {
		text = os.Getenv("PACKER_KEY_INTERVAL")
	}
	if d, err := time.ParseDuration(text); err == nil {
		return d
	}
	return usual
}
