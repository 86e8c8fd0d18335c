package vbox

import (
	"context"
	"fmt"
	"os"
	"path"
	"strings"

	"kiln"
)

// downloads is where VirtualBox's own files are.
const downloads = "https://download.virtualbox.org/virtualbox/"

// GetAdditions finds the ISO of the guest additions, or has it downloaded.
func (m *Machine) GetAdditions(ctx context.Context) error {
	if m.Config.AdditionsMode == disable {
		return nil
	}
	version := string(m.Version.Additions())
	name := "VBoxGuestAdditions_" + version + ".iso"
	url, err := m.Build.Render(m.Config.AdditionsURL, map[string]any{"Version": version})
	if err != nil {
		return fmt.Errorf("Error preparing guest additions url: %w", err)
	}
	if url == "" {
		local, err := m.Program.Additions(ctx)
		if err == nil {
			// What VirtualBox brings is used as it is.
			m.additions, err = m.Build.Fetch(ctx, kiln.Remote{URL: local, Unchecked: true, For: "Guest additions"})
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		m.Build.Error("%v", err)
		url = downloads + version + "/" + name
	}
	sum := strings.ToLower(m.Config.AdditionsSum)
	if sum == "" {
		if sum, err = m.listedSum(ctx, version, name); err != nil {
			return err
		}
	}
	m.additions, err = m.Build.Fetch(ctx, kiln.Remote{
		URL: url, Checksum: "sha256:" + strings.TrimPrefix(sum, "sha256:"), Extension: "iso", For: "Guest additions",
	})
	return err
}

// listedSum finds the checksum of a file in VirtualBox's own list.
func (m *Machine) listedSum(ctx context.Context, version, name string) (string, error) {
	list, err := m.Build.Fetch(ctx, kiln.Remote{
		URL: downloads + version + "/SHA256SUMS", Unchecked: true, For: "Guest additions checksums",
	})
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return "", err
	}
	if sum := findSum(string(text), name); sum != "" {
		return sum, nil
	}
	return "", fmt.Errorf("The checksum for the file '%s' could not be found.", name)
}

// findSum finds the line of a file in a list of checksums.
func findSum(list, name string) string {
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) == 2 && strings.HasSuffix(strings.ToLower(f[1]), strings.ToLower(name)) {
			return strings.ToLower(f[0])
		}
	}
	return ""
}

// uploads brings what the machine is told to have into it.
func (m *Machine) uploads(ctx context.Context) error {
	if m.way.Guest().Shell == kiln.ShellNone {
		return nil
	}
	if to := m.Config.VersionFile; to != "" {
		m.Build.Say("Uploading VirtualBox version info (%s)", m.Version)
		err := m.way.Upload(ctx, &kiln.Upload{
			Destination: to, Content: strings.NewReader(string(m.Version)), Size: int64(len(m.Version)),
		})
		if err != nil {
			return fmt.Errorf("Error uploading VirtualBox version: %w", err)
		}
	}
	if m.Config.AdditionsMode != upload {
		return nil
	}
	to, err := m.Build.Render(m.Config.AdditionsPath, map[string]any{"Version": string(m.Version)})
	if err != nil {
		return fmt.Errorf("Error preparing guest additions path: %w", err)
	}
	m.Build.Say("Uploading VirtualBox guest additions ISO...")
	f, err := os.Open(m.additions)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if strings.HasSuffix(to, "/") {
		to = path.Join(to, info.Name())
	}
	err = m.way.Upload(ctx, &kiln.Upload{Destination: to, Content: f, Size: info.Size()})
	if err != nil {
		return fmt.Errorf("Error uploading guest additions: %w", err)
	}
	return nil
}
