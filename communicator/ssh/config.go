// Package ssh leads into a machine over SSH: commands, and files as one tar stream
// over one session.
package ssh

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"kiln"
)

// Config is what a template may say about SSH: docs/compat/communicators.md 3.
type Config struct {
	// Address of the machine; most builders know it themselves.
	Host string `kiln:"ssh_host"`
	// Port of the SSH server.
	Port int `kiln:"ssh_port,default=22"`
	// User to log in as.
	Username string `kiln:"ssh_username"`
	// Password, also the answer to every question of the server.
	Password string `kiln:"ssh_password,sensitive"`
	// Name of a key pair that the cloud knows already.
	KeyPairName string `kiln:"ssh_keypair_name"`
	// Name of the key pair that is made for the build.
	TemporaryKeyPairName string `kiln:"temporary_key_pair_name"`
	// Kind of the key that is made for the build; ed25519 by default where a builder makes one, rsa where a
	// cloud asks for it.
	TemporaryKeyPairType string `kiln:"temporary_key_pair_type,oneof=rsa|dsa|ecdsa|ed25519"`
	// Length of that key in bits.
	TemporaryKeyPairBits int `kiln:"temporary_key_pair_bits"`
	// Ciphers to offer, instead of the usual ones.
	Ciphers []string `kiln:"ssh_ciphers"`
	// Key exchange algorithms to offer, instead of the usual ones.
	KeyExchange []string `kiln:"ssh_key_exchange_algorithms"`
	// Take the temporary key out of the machine's authorized keys before it is captured.
	ClearAuthorizedKeys bool `kiln:"ssh_clear_authorized_keys"`
	// File of the private key.
	PrivateKeyFile string `kiln:"ssh_private_key_file"`
	// File of a certificate for the key.
	CertificateFile string `kiln:"ssh_certificate_file"`
	// Run commands under a pseudo terminal.
	PTY bool `kiln:"ssh_pty"`
	// How long to wait for the machine's SSH server; 5 minutes by default.
	Timeout time.Duration `kiln:"ssh_timeout"`
	// Old name of ssh_timeout, which it overrides.
	WaitTimeout time.Duration `kiln:"ssh_wait_timeout"`
	// Use the keys of the local agent.
	AgentAuth bool `kiln:"ssh_agent_auth"`
	// Do not give the machine access to the local agent.
	DisableAgentForwarding bool `kiln:"ssh_disable_agent_forwarding"`
	// How often the server may refuse the login before that is final, each time but the last for at least 7
	// seconds; 10 by default, without a limit where ssh_timeout is set.
	HandshakeAttempts int `kiln:"ssh_handshake_attempts"`
	// A host to connect through.
	BastionHost string `kiln:"ssh_bastion_host"`
	// Port of the bastion.
	BastionPort int `kiln:"ssh_bastion_port"`
	// Use the keys of the local agent for the bastion.
	BastionAgentAuth bool `kiln:"ssh_bastion_agent_auth"`
	// User on the bastion.
	BastionUsername string `kiln:"ssh_bastion_username"`
	// Password on the bastion.
	BastionPassword string `kiln:"ssh_bastion_password,sensitive"`
	// Ask for the answers to the bastion's questions at the terminal.
	BastionInteractive bool `kiln:"ssh_bastion_interactive"`
	// File of the private key for the bastion; by default the machine's.
	BastionPrivateKeyFile string `kiln:"ssh_bastion_private_key_file"`
	// File of a certificate for the bastion's key.
	BastionCertificateFile string `kiln:"ssh_bastion_certificate_file"`
	// How files go: one tar stream by default, or what is named here.
	FileTransferMethod string `kiln:"ssh_file_transfer_method,oneof=scp|sftp|tar"`
	// A SOCKS5 proxy to connect through, or an HTTP one where it begins with http://.
	ProxyHost string `kiln:"ssh_proxy_host"`
	// Port of the proxy; 1080 by default.
	ProxyPort int `kiln:"ssh_proxy_port"`
	// User at the proxy.
	ProxyUsername string `kiln:"ssh_proxy_username"`
	// Password at the proxy.
	ProxyPassword string `kiln:"ssh_proxy_password,sensitive"`
	// How often to ask whether the machine is still there; negative: never.
	KeepAliveInterval time.Duration `kiln:"ssh_keep_alive_interval,default=5s"`
	// End a connection on which nothing moves for so long; 0: never.
	ReadWriteTimeout time.Duration `kiln:"ssh_read_write_timeout"`
	// REMOTE_PORT:HOST:PORT: a port of the machine that leads to an address here.
	RemoteTunnels []string `kiln:"ssh_remote_tunnels"`
	// LOCAL_PORT:HOST:PORT: a port here that leads to an address the machine reaches.
	LocalTunnels []string `kiln:"ssh_local_tunnels"`
	// Key material that builders hand over inside Packer.
	PublicKey []int `kiln:"ssh_public_key,refused=it is for the inside of Packer; use ssh_private_key_file"`
	// Key material that builders hand over inside Packer.
	PrivateKey []int `kiln:"ssh_private_key,refused=it is for the inside of Packer; use ssh_private_key_file"`
}

// Alone asks for an address and a way to log in.
func (c *Config) Alone() error {
	var errs []error
	if c.Host == "" {
		errs = append(errs, kiln.Invalid("ssh_host", "ssh_host must be specified"))
	}
	if c.Password == "" && c.PrivateKeyFile == "" && !c.AgentAuth {
		errs = append(errs, kiln.Invalid("ssh_username",
			"one of ssh_password, ssh_private_key_file and ssh_agent_auth must be specified"))
	}
	return errors.Join(errs...)
}

// Traits: nothing has to be known to tell where a part of a transfer was left.
func (c *Config) Traits() kiln.Traits { return kiln.Traits{ReapsAlone: true} }

// Reap names a part that a crash may have left on a machine that is not ours: the way to
// it ended with the build.
func (c *Config) Reap(context.Context, kiln.Resource) error { return kiln.ErrOutOfReach }

// Owned finds nothing: each part is written down before it is made.
func (c *Config) Owned(context.Context, string, kiln.Resource) ([]kiln.Resource, error) {
	return nil, nil
}

// Terminal reports whether commands run under a pseudo terminal.
func (c *Config) Terminal() bool { return c.PTY }

// Validate reports all that is wrong, and fills in what follows from other fields.
func (c *Config) Validate() error {
	var errs []error
	if c.Username == "" {
		errs = append(errs, kiln.Invalid("ssh_username", "An ssh_username must be specified"))
	}
	errs = append(errs, c.checkKeys()...)
	if c.BastionHost != "" && c.ProxyHost != "" {
		errs = append(errs, kiln.Invalid("ssh_proxy_host",
			"please specify either ssh_bastion_host or ssh_proxy_host, not both"))
	}
	if c.BastionHost != "" {
		c.BastionPort = or(c.BastionPort, 22)
		if c.BastionPrivateKeyFile == "" && c.PrivateKeyFile != "" {
			c.BastionPrivateKeyFile = c.PrivateKeyFile
			if c.BastionCertificateFile == "" {
				c.BastionCertificateFile = c.CertificateFile
			}
		}
		if c.BastionPassword == "" && c.BastionPrivateKeyFile == "" && !c.BastionAgentAuth {
			errs = append(errs, kiln.Invalid("ssh_bastion_host",
				"ssh_bastion_password, ssh_bastion_private_key_file or ssh_bastion_agent_auth must be specified"))
		}
	}
	if c.ProxyHost != "" {
		c.ProxyPort = or(c.ProxyPort, 1080)
	}
	if c.WaitTimeout != 0 {
		c.Timeout = c.WaitTimeout
		c.HandshakeAttempts = or(c.HandshakeAttempts, 10)
	}
	if c.Timeout == 0 && c.HandshakeAttempts == 0 {
		c.Timeout, c.HandshakeAttempts = 5*time.Minute, 10
	}
	for field, list := range map[string][]string{
		"ssh_remote_tunnels": c.RemoteTunnels, "ssh_local_tunnels": c.LocalTunnels,
	} {
		for _, t := range list {
			if _, _, err := parseTunnel(t); err != nil {
				errs = append(errs, kiln.Invalid(field, "%v", err))
			}
		}
	}
	return errors.Join(append(errs, c.checkAlgorithms()...)...)
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

func (c *Config) checkKeys() (errs []error) {
	for _, k := range []struct{ field, path, certField, cert string }{
		{"ssh_private_key_file", c.PrivateKeyFile, "ssh_certificate_file", c.CertificateFile},
		{"ssh_bastion_private_key_file", c.BastionPrivateKeyFile, "ssh_bastion_certificate_file", c.BastionCertificateFile},
	} {
		if k.path != "" {
			if _, err := signer(k.path, k.cert); err != nil {
				field := k.field
				if errors.Is(err, errCertificate) {
					field = k.certField
				}
				errs = append(errs, kiln.Invalid(field, "%s is invalid: %v", field, err))
			}
		} else if k.cert != "" {
			errs = append(errs, kiln.Invalid(k.certField, "%s needs %s", k.certField, k.field))
		}
	}
	bits, kind := c.TemporaryKeyPairBits, c.TemporaryKeyPairType
	switch {
	case kind == "dsa":
		errs = append(errs, kiln.Invalid("temporary_key_pair_type",
			"dsa keys are refused by all current SSH servers and not made any more: use ed25519, ecdsa or rsa"))
	case bits != 0 && (kind == "" || kind == "rsa") && bits < 1024:
		errs = append(errs, kiln.Invalid("temporary_key_pair_bits",
			"an rsa key has at least 1024 bits, not %d", bits))
	case bits != 0 && kind == "ecdsa" && bits != 256 && bits != 384 && bits != 521:
		errs = append(errs, kiln.Invalid("temporary_key_pair_bits",
			"an ecdsa key has 256, 384 or 521 bits, not %d", bits))
	}
	return errs
}

func (c *Config) checkAlgorithms() (errs []error) {
	supported, insecure := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms()
	for _, a := range []struct {
		field       string
		given, know []string
	}{
		{"ssh_ciphers", c.Ciphers, append(supported.Ciphers, insecure.Ciphers...)},
		{"ssh_key_exchange_algorithms", c.KeyExchange, append(supported.KeyExchanges, insecure.KeyExchanges...)},
	} {
		for _, name := range a.given {
			if !slices.Contains(a.know, name) && name != "curve25519-sha256@libssh.org" {
				errs = append(errs, kiln.Invalid(a.field,
					"unknown algorithm %q; known are %s", name, strings.Join(a.know, ", ")))
			}
		}
	}
	return errs
}

var errCertificate = errors.New("certificate")

// signer reads a private key, with its certificate if there is one.
func signer(keyFile, certFile string) (ssh.Signer, error) {
	text, err := os.ReadFile(expand(keyFile))
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(text)
	if _, ok := errors.AsType[*ssh.PassphraseMissingError](err); ok {
		return nil, fmt.Errorf(
			"%s is encrypted: use a key without a passphrase, or the agent with ssh_agent_auth", keyFile)
	}
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", keyFile, err)
	}
	if certFile == "" {
		return key, nil
	}
	return withCertificate(key, certFile)
}

func withCertificate(key ssh.Signer, file string) (ssh.Signer, error) {
	text, err := os.ReadFile(expand(file))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCertificate, err)
	}
	pub, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", errCertificate, file, err)
	}
	cert, ok := pub.(*ssh.Certificate)
	if !ok {
		return nil, fmt.Errorf("%w %s is a plain public key", errCertificate, file)
	}
	now := uint64(time.Now().Unix())
	if now < cert.ValidAfter || cert.ValidBefore != ssh.CertTimeInfinity && now >= cert.ValidBefore {
		return nil, fmt.Errorf("%w %s is not valid now", errCertificate, file)
	}
	s, err := ssh.NewCertSigner(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", errCertificate, file, err)
	}
	return s, nil
}

// expand replaces a leading ~ by the home folder.
func expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}

// parseTunnel reads PORT:HOST:PORT.
func parseTunnel(text string) (listen, dial string, err error) {
	port, rest, ok := strings.Cut(text, ":")
	i := strings.LastIndexByte(rest, ':')
	if !ok || i <= 0 {
		return "", "", fmt.Errorf("error parsing tunnel %q: it has the form PORT:HOST:PORT", text)
	}
	for _, p := range []string{port, rest[i+1:]} {
		if n, err := strconv.Atoi(p); err != nil || n < 0 || n > 65535 {
			return "", "", fmt.Errorf("error parsing tunnel %q: %q is not a port", text, p)
		}
	}
	return "localhost:" + port, rest, nil
}
