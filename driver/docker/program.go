package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/client"

	"kiln"
)

// Program is the option docker_path of the docker components. Kiln runs no program for
// them: it speaks to the engine that the program would speak to.
type Program struct {
	// The program whose engine is used: docker or podman, by name or by path. Podman's service listens where
	// CONTAINER_HOST says, or at its usual socket.
	Path string `kiln:"docker_path"`
}

// Check reports a program that is neither docker nor podman.
func (p *Program) Check() error {
	if _, err := p.name(); err != nil {
		return kiln.Invalid("docker_path", "%v", err)
	}
	return nil
}

// Open connects to the program's engine.
func (p *Program) Open(ctx context.Context) (*Engine, error) {
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	if name != "podman" {
		return Open(ctx, "")
	}
	host, err := podmanHost()
	if err != nil {
		return nil, err
	}
	engine, err := Open(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, startPodman)
	}
	return engine, nil
}

// name is what the program is: the last part of its path, or of what a link leads to.
func (p *Program) name() (string, error) {
	if p.Path == "" {
		return "docker", nil
	}
	paths := []string{p.Path}
	if found, err := exec.LookPath(p.Path); err == nil {
		if real, err := filepath.EvalSymlinks(found); err == nil {
			paths = append(paths, real)
		}
	}
	for _, path := range paths {
		switch name := strings.TrimSuffix(filepath.Base(filepath.ToSlash(path)), ".exe"); name {
		case "docker":
			return name, nil
		case "podman", "podman-remote":
			return "podman", nil
		}
	}
	return "", fmt.Errorf("%q is neither docker nor podman: no program is run, its engine is spoken to "+
		"(DOCKER_HOST names one)", p.Path)
}

const startPodman = "podman's service is started by `systemctl --user start podman.socket` (as root " +
	"without --user), by `podman machine start` on macOS and Windows, or anywhere by `podman system service --time=0 " +
	"unix:///PATH`, with CONTAINER_HOST=unix:///PATH in the environment"

// podmanHost is where podman's service listens.
func podmanHost() (string, error) {
	if host := os.Getenv("CONTAINER_HOST"); host != "" {
		if strings.HasPrefix(host, "ssh://") {
			return "", fmt.Errorf("CONTAINER_HOST is %s: an engine is not reached by ssh; forward the socket "+
				"(ssh -L PATH:/run/podman/podman.sock) and set CONTAINER_HOST=unix://PATH", host)
		}
		return host, nil
	}
	// Where podman runs in a machine of its own, it tells people to set this.
	if host := os.Getenv("DOCKER_HOST"); strings.Contains(host, "podman") {
		return host, nil
	}
	sockets := podmanSockets()
	for _, path := range sockets {
		info, err := os.Stat(path)
		if err == nil && info.Mode()&fs.ModeSocket != 0 {
			return "unix://" + path, nil
		}
	}
	if len(sockets) == 0 {
		return "", errors.New("podman: its service is not known here; " + startPodman)
	}
	return "", fmt.Errorf("podman: its service does not listen at %s; %s",
		strings.Join(sockets, " or "), startPodman)
}

// podmanSockets are the usual places, those of this user first.
func podmanSockets() []string {
	const ofRoot = "/run/podman/podman.sock"
	if runtime.GOOS != "linux" {
		return nil
	}
	if os.Getuid() == 0 {
		return []string{ofRoot}
	}
	dirs := []string{os.Getenv("XDG_RUNTIME_DIR"), "/run/user/" + strconv.Itoa(os.Getuid())}
	var paths []string
	for _, dir := range dirs {
		if path := filepath.Join(dir, "podman", "podman.sock"); dir != "" && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return append(paths, ofRoot)
}

// Podman reports whether the engine is podman's, which does some things in its own way.
func (e *Engine) Podman(ctx context.Context) (bool, error) {
	v, err := e.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return false, fmt.Errorf("ask for the engine's version: %w", err)
	}
	for _, c := range v.Components {
		if strings.HasPrefix(c.Name, "Podman") {
			return true, nil
		}
	}
	return false, nil
}
