// Package winrm will lead into Windows machines, and is not in this version.
// Its options are known, so that a template which uses them is refused by name.
package winrm

import (
	"context"
	"time"

	"kiln"
)

// Config is what a template may say about WinRM.
type Config struct {
	// User of a Windows machine.
	Username string `kiln:"winrm_username,refused=WinRM is not in this version"`
	// Password of a Windows machine.
	Password string `kiln:"winrm_password,refused=WinRM is not in this version"`
	// Address of a Windows machine.
	Host string `kiln:"winrm_host,refused=WinRM is not in this version"`
	// Do not use a proxy.
	NoProxy bool `kiln:"winrm_no_proxy,refused=WinRM is not in this version"`
	// Port of a Windows machine.
	Port int `kiln:"winrm_port,refused=WinRM is not in this version"`
	// How long to wait for a Windows machine.
	Timeout time.Duration `kiln:"winrm_timeout,refused=WinRM is not in this version"`
	// Use HTTPS.
	UseSSL bool `kiln:"winrm_use_ssl,refused=WinRM is not in this version"`
	// Do not check certificates.
	Insecure bool `kiln:"winrm_insecure,refused=WinRM is not in this version"`
	// Use NTLM.
	UseNTLM bool `kiln:"winrm_use_ntlm,refused=WinRM is not in this version"`
}

var errNotYet = kiln.Invalid("communicator", "WinRM is not in this version")

// Validate refuses the communicator, whatever its options.
func (c *Config) Validate() error { return errNotYet }

// Alone has nothing to add to that.
func (c *Config) Alone() error { return nil }

// Connect is never reached: Validate refuses.
func (c *Config) Connect(context.Context, *kiln.Build, kiln.Target) (kiln.Communicator, error) {
	return nil, errNotYet
}
