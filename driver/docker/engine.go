// Package docker drives a Docker engine: the connection, logins to registries,
// and the names of what the docker components hand to each other.
package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// Engine is a connection to a Docker engine.
type Engine struct {
	*client.Client
	Host string // its address, which holds no secret
}

// Open connects to the engine at host, or for "" to the one that the environment
// names: DOCKER_HOST, else the current context, else the usual socket.
func Open(ctx context.Context, host string) (*Engine, error) {
	if host == "" {
		host = os.Getenv("DOCKER_HOST")
	}
	if host == "" {
		var err error
		if host, err = contextHost(); err != nil {
			return nil, err
		}
	}
	if host == "" {
		host = client.DefaultDockerHost
	}
	if rest, ok := strings.CutPrefix(host, "ssh://"); ok {
		return nil, fmt.Errorf("docker engine at %s: engines behind ssh:// are not in this version. Forward its "+
			"socket with `ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock %s` and set "+
			"DOCKER_HOST=unix:///tmp/docker.sock", host, sshDestination(rest))
	}
	c, err := client.New(
		client.WithTLSClientConfigFromEnv(),
		client.WithHost(host),
		client.WithAPIVersionFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("docker engine: %w: it is written as unix:///PATH or tcp://HOST:PORT", err)
	}
	if _, err := c.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		c.Close()
		hint := ""
		if strings.Contains(err.Error(), "permission denied") {
			hint = ". Run as a user who may write the socket (`sudo usermod -aG docker USER`, and log in again)"
		}
		return nil, fmt.Errorf("docker engine at %s does not answer: %w%s", host, err, hint)
	}
	return &Engine{c, host}, nil
}

// sshDestination is the user, host and port of an address as arguments of ssh.
func sshDestination(address string) string {
	destination, _, _ := strings.Cut(address, "/")
	if at := strings.LastIndexByte(destination, ':'); at >= 0 {
		return "-p " + destination[at+1:] + " " + destination[:at]
	}
	return destination
}

// contextHost reads the address of the context that the docker command line uses.
func contextHost() (string, error) {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", nil
		}
		dir = filepath.Join(home, ".docker")
	}
	name := os.Getenv("DOCKER_CONTEXT")
	if name == "" {
		var config struct{ CurrentContext string }
		text, err := os.ReadFile(filepath.Join(dir, "config.json"))
		if err != nil || json.Unmarshal(text, &config) != nil {
			return "", nil
		}
		name = config.CurrentContext
	}
	if name == "" || name == "default" {
		return "", nil
	}
	sum := sha256.Sum256([]byte(name))
	var meta struct {
		Endpoints struct {
			Docker struct{ Host string } `json:"docker"`
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "contexts", "meta", hex.EncodeToString(sum[:]), "meta.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no docker context %q: `docker context ls` lists them", name)
	}
	if err == nil {
		err = json.Unmarshal(text, &meta)
	}
	if err != nil {
		return "", fmt.Errorf("docker context %q: %w", name, err)
	}
	return meta.Endpoints.Docker.Host, nil
}

// Absent reports whether an error says that the thing does not exist.
func Absent(err error) bool { return errdefs.IsNotFound(err) }

// Gone reports whether an error says that the engine cannot be reached.
func Gone(err error) bool {
	return client.IsErrConnectionFailed(err) || errors.Is(err, os.ErrDeadlineExceeded)
}
