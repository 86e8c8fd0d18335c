package ssh

import (
	"strings"

	"golang.org/x/crypto/ssh"

	"kiln/communicator"
)

// Login says by what the template logs in.
func (c *Config) Login() communicator.Login {
	return communicator.Login{Password: c.Password != "", KeyFile: c.PrivateKeyFile != "", Agent: c.AgentAuth}
}

// GuestPort is the port of the SSH server.
func (c *Config) GuestPort() int { return or(c.Port, 22) }

// User is who logs in.
func (c *Config) User() string { return c.Username }

// FileKey is the public half of the key of ssh_private_key_file, without a comment.
func (c *Config) FileKey() (string, error) {
	key, err := signer(c.PrivateKeyFile, "")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey()))), nil
}

// NewKey makes a key, see [NewKeyPair].
func (c *Config) NewKey(kind string, bits int, comment string) (private, public string, err error) {
	pair, err := NewKeyPair(kind, bits, comment)
	if err != nil {
		return "", "", err
	}
	return pair.Private, pair.Public, nil
}
