// Package communicator chooses the way into a machine that a template asks for.
package communicator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"kiln"
	"kiln/communicator/none"
	"kiln/communicator/ssh"
)

// notYet is why WinRM's options are refused.
const notYet = "WinRM is not in this version of Kiln"

// Config is what every builder that connects to its machine can be told.
type Config struct {
	// The way into the machine: ssh, none, or what the builder adds.
	Communicator string `kiln:"communicator"`
	// Connect once, wait so long, and connect again: for machines that restart after their first start.
	PauseBeforeConnecting time.Duration `kiln:"pause_before_connecting"`
	ssh.Config            `kiln:",squash"`
	WinRM                 `kiln:",squash"`
}

// WinRM are the options of Windows machines, which are known and refused.
type WinRM struct {
	// User of a Windows machine.
	WinRMUsername string `kiln:"winrm_username,refused=WinRM is not in this version of Kiln"`
	// Password of a Windows machine.
	WinRMPassword string `kiln:"winrm_password,refused=WinRM is not in this version of Kiln"`
	// Address of a Windows machine.
	WinRMHost string `kiln:"winrm_host,refused=WinRM is not in this version of Kiln"`
	// Do not use a proxy.
	WinRMNoProxy bool `kiln:"winrm_no_proxy,refused=WinRM is not in this version of Kiln"`
	// Port of a Windows machine.
	WinRMPort int `kiln:"winrm_port,refused=WinRM is not in this version of Kiln"`
	// How long to wait for a Windows machine.
	WinRMTimeout time.Duration `kiln:"winrm_timeout,refused=WinRM is not in this version of Kiln"`
	// Use HTTPS.
	WinRMUseSSL bool `kiln:"winrm_use_ssl,refused=WinRM is not in this version of Kiln"`
	// Do not check certificates.
	WinRMInsecure bool `kiln:"winrm_insecure,refused=WinRM is not in this version of Kiln"`
	// Use NTLM.
	WinRMUseNTLM bool `kiln:"winrm_use_ntlm,refused=WinRM is not in this version of Kiln"`
}

// Check reports all that is wrong. The kinds are those that the builder adds to
// ssh and none; the first of them is its default. HostKnown says that the builder
// finds the address itself.
func (c *Config) Check(hostKnown bool, kinds ...string) error {
	if c.Communicator == "" {
		c.Communicator = append(kinds, "ssh")[0]
	}
	switch {
	case c.Communicator == "ssh":
		if c.Host == "" && !hostKnown {
			return kiln.Invalid("ssh_host", "ssh_host must be specified")
		}
		return c.Config.Check()
	case c.Communicator == "winrm":
		return kiln.Invalid("communicator", "%s", notYet)
	case c.Communicator == "none" || slices.Contains(kinds, c.Communicator):
		return nil
	}
	return kiln.Invalid("communicator", "Communicator type %s is invalid (known are %s)", c.Communicator, strings.Join(append(kinds, "ssh", "none"), ", "))
}

// Target is the machine: where it is, once that is known, and the keys the builder
// gave it. Public is the public half of the first key.
type Target struct {
	Host   func(ctx context.Context) (string, error)
	Port   int
	Keys   []string
	Public string
}

// Connect connects to a machine with ssh or none, and gives templates what they
// may know of the connection. ssh_host overrides the builder's address.
func (c *Config) Connect(ctx context.Context, b *kiln.Build, t Target) (kiln.Communicator, error) {
	if c.Communicator == "none" {
		return none.Communicator{}, nil
	}
	if c.Host != "" {
		t.Host = func(context.Context) (string, error) { return c.Host, nil }
	}
	port := c.Port
	if t.Port != 0 {
		port = t.Port
	}
	target := ssh.Target{Host: t.Host, Port: func(context.Context) (int, error) { return port, nil }, Keys: t.Keys}
	way, err := ssh.Connect(ctx, b, &c.Config, target)
	if err != nil {
		return nil, err
	}
	if c.PauseBeforeConnecting > 0 {
		way.Close()
		b.Say("Pausing %s before connecting...", c.PauseBeforeConnecting)
		timer := time.NewTimer(c.PauseBeforeConnecting)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
		}
		if way, err = ssh.Connect(ctx, b, &c.Config, target); err != nil {
			return nil, err
		}
	}
	host, err := t.Host(ctx)
	if err != nil {
		way.Close()
		return nil, fmt.Errorf("address of the machine: %w", err)
	}
	a := kiln.Access{Type: c.Communicator, Host: strings.Trim(host, "[]"), Port: port, User: c.Username, Password: c.Password,
		PublicKey: t.Public, PrivateKeyFile: c.PrivateKeyFile, AgentAuth: c.AgentAuth}
	if len(t.Keys) > 0 {
		a.PrivateKey = t.Keys[0]
	}
	b.SetAccess(a)
	return way, nil
}
