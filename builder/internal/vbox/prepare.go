package vbox

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// guestIP is this machine's address as a guest behind VirtualBox's NAT knows it.
const guestIP = "10.0.2.2"

// Media makes what is put beside the machine: the floppy disk, the CD.
func (m *Machine) Media(ctx context.Context) (err error) {
	if m.floppy, err = m.Config.Floppy.Make(ctx, m.Build); err != nil {
		return err
	}
	m.cd, err = m.Config.CD.Make(ctx, m.Build)
	return err
}

// Serve starts the HTTP server.
func (m *Machine) Serve(ctx context.Context) (err error) {
	m.httpPort, err = m.Config.HTTP.Start(ctx, m.Build, guestIP)
	return err
}

// Key finds the key by which the machine is logged in to, or makes one.
func (m *Machine) Key(ctx context.Context) (err error) {
	b, c := m.Build, m.Config
	switch l := c.Login(); {
	case l.Password:
		return nil
	case l.KeyFile:
		b.Say("Using existing SSH private key for the communicator...")
		m.key, err = c.FileKey()
		return err
	case l.Agent:
		b.Say("Using local SSH Agent to authenticate connections for the communicator...")
		return nil
	}
	b.Say("Creating ephemeral key pair for SSH communicator...")
	if m.key, err = c.NewKey(b, "ecdsa", 0, "packer_"+newUUID()); err != nil {
		return fmt.Errorf("Error creating ephemeral key pair: %w", err)
	}
	b.Say("Created ephemeral SSH key pair for communicator")
	if !b.Debug {
		return nil
	}
	path := b.Source + ".pem"
	b.Say("Saving communicator private key for debug purposes: %s", path)
	_, err = b.WriteFile(ctx, path, 0o600, func(w io.Writer) error {
		_, err := io.WriteString(w, m.key.Private)
		return err
	})
	return err
}

func newUUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails, see its documentation
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Quiet keeps VirtualBox's windows from asking somebody who is not there.
func (m *Machine) Quiet(ctx context.Context) error {
	for _, set := range [][2]string{
		{"GUI/RegistrationData", "triesLeft=0"},
		{"GUI/SuppressMessages", "confirmInputCapture,remindAboutAutoCapture,remindAboutMouseIntegrationOff," +
			"remindAboutMouseIntegrationOn,remindAboutWrongColorDepth"},
		{"GUI/UpdateDate", fmt.Sprintf("1 d, %d-01-01, stable", time.Now().Year()+1)},
		{"GUI/UpdateCheckCount", "60"},
	} {
		if err := m.do(ctx, "Error configuring VirtualBox to suppress messages",
			"setextradata", "global", set[0], set[1]); err != nil {
			return err
		}
	}
	return nil
}

// fileName is a name for a file that stands for a text.
func fileName(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:]) + ".lock"
}

// copyFile copies a file into a folder of ours, with what it is to be called there.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return err
}

// resolved is the path that a link leads to.
func resolved(path string) (string, error) {
	to, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("Error resolving symlink for ISO: %w", err)
	}
	return to, nil
}
