package communicator

import (
	"context"
	"regexp"
	"strings"

	"kiln"
)

// A Login is by what the template logs in to the machine over SSH.
type Login struct {
	Password bool // there is one
	KeyFile  bool // there is the file of a private key
	Agent    bool // the keys are those of the local agent
}

// loginer is a connector that can say how it logs in, and make a key for it.
type loginer interface {
	Login() Login
	// FileKey is the public half of the key of the template's file.
	FileKey() (string, error)
	// NewKey makes a key: its PEM, and the line of authorized_keys that ends with comment.
	NewKey(kind string, bits int, comment string) (private, public string, err error)
}

// Login is by what the template logs in over SSH, whatever communicator is chosen.
func (c *Config) Login() Login {
	if l, ok := c.Connectors[usual].(loginer); ok {
		return l.Login()
	}
	return Login{}
}

// GuestPort is the port of the guest that the chosen communicator connects to; 0: it
// connects to none.
func (c *Config) GuestPort() int {
	if p, ok := c.Connectors[c.Communicator].(interface{ GuestPort() int }); ok {
		return p.GuestPort()
	}
	return 0
}

// A Key is what a machine is told of who will log in.
type Key struct {
	Public  string // a line of authorized_keys; empty: there is none
	Private string // PEM, where it was made for the build
	Comment string // that the line of such a key ends with
}

// Privates are the private keys for [kiln.Target].
func (k Key) Privates() []string {
	if k.Private == "" {
		return nil
	}
	return []string{k.Private}
}

// FileKey is the public half of the key that the template names.
func (c *Config) FileKey() (Key, error) {
	l, ok := c.Connectors[usual].(loginer)
	if !ok {
		return Key{}, nil
	}
	public, err := l.FileKey()
	return Key{Public: public}, err
}

// NewKey makes a key for the build, of a type such as ecdsa and, where bits are 0, of its
// usual length.
func (c *Config) NewKey(b *kiln.Build, kind string, bits int, comment string) (Key, error) {
	l, ok := c.Connectors[usual].(loginer)
	if !ok {
		return Key{}, nil
	}
	private, public, err := l.NewKey(kind, bits, comment)
	b.Hide(private)
	return Key{Public: public, Private: private, Comment: comment}, err
}

// Forget takes a key that was made for the build out of the files of the machine that let
// it in. That it cannot is told and no error, as the machine may have none.
func (k Key) Forget(ctx context.Context, b *kiln.Build, way kiln.Communicator) error {
	if k.Private == "" || k.Comment == "" || way.Guest().Shell != kiln.ShellPOSIX {
		return nil
	}
	b.Say("Trying to remove ephemeral keys from authorized_keys files")
	comment := strings.ReplaceAll(regexp.QuoteMeta(k.Comment), "/", `\/`)
	for _, command := range []string{
		`sed -i.bak '/ ` + comment + `$/d' ~/.ssh/authorized_keys; rm ~/.ssh/authorized_keys.bak`,
		`sudo sed -i.bak '/ ` + comment + `$/d' /root/.ssh/authorized_keys; ` +
			`sudo rm /root/.ssh/authorized_keys.bak`,
	} {
		// There may be no such file, and no sudo.
		_ = way.Run(ctx, &kiln.Cmd{Command: command})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}
