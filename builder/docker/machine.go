package docker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"kiln"
	way "kiln/communicator/docker"
	"kiln/driver/docker"
)

// machine is a container.
type machine struct {
	cfg    *Builder
	b      *kiln.Build
	engine *docker.Engine

	source   image.InspectResponse // the image that the template names
	from     string                // the image or layer that the container is made of
	resumed  int                   // steps that the layer stands for
	steps    int                   // of all
	shared   string                // folder on the host
	name, id string
	hostname string
	ip       string

	mu      sync.Mutex
	running bool
}

func (m *machine) short() string { return m.id[:min(12, len(m.id))] }

func randomHex() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails, see its documentation
	return hex.EncodeToString(b)
}

// Connect gives the way into the container.
func (m *machine) Connect(ctx context.Context) (kiln.Communicator, error) {
	if m.cfg.Communicator != "docker" {
		return m.cfg.Config.Connect(ctx, m.b, kiln.Target{Host: func(context.Context) (string, error) {
			if m.ip == "" {
				return "", errNoAddress
			}
			return m.ip, nil
		}})
	}
	m.b.Say("Using docker communicator to connect: %s", m.ip)
	m.b.SetAccess(kiln.Access{Type: "docker", Host: m.ip})
	return way.New(m.engine, m.name, way.Options{User: m.cfg.ExecUser, Terminal: m.cfg.Terminal(), FixOwner: m.cfg.FixUploadOwner, Ready: m.ready}), nil
}

// Resumed is the number of steps that the layer stands for.
func (m *machine) Resumed() int { return m.resumed }

// layerRepository is the name under which layers are kept on the engine.
const layerRepository = "kiln-layer"

func layerName(key kiln.LayerKey) string { return layerRepository + ":" + string(key) }

// Checkpoint keeps the container's state as a layer.
func (m *machine) Checkpoint(ctx context.Context, key kiln.LayerKey) error {
	r := m.resource("layer", string(key))
	r.Attrs["container"] = m.name
	if _, err := m.engine.ImageInspect(ctx, layerName(key)); err == nil {
		return nil // another run kept the same state meanwhile
	}
	if err := m.b.Own(r, func(ctx context.Context) error { return m.cfg.Reap(ctx, r) }); err != nil {
		return err
	}
	// The container is paused meanwhile, which is also how a clean-up sees that a
	// commit is under way.
	_, err := m.engine.ContainerCommit(ctx, m.name, client.ContainerCommitOptions{Reference: layerName(key), Comment: "kiln layer"})
	if err != nil {
		return fmt.Errorf("commit layer: %w", err)
	}
	return m.b.Release(r)
}

// Capture commits, exports or discards the container.
func (m *machine) Capture(ctx context.Context) (*kiln.Artifact, error) {
	switch {
	case m.cfg.Commit:
		return m.commit(ctx)
	case m.cfg.ExportPath != "":
		return m.export(ctx)
	}
	return &kiln.Artifact{Builder: "packer.docker", ID: "Container", Text: "Exported Docker file: "}, nil
}

func (m *machine) commit(ctx context.Context) (*kiln.Artifact, error) {
	m.b.Say("Committing the container")
	message := m.cfg.Message
	pending := m.resource("commit", m.name)
	pending.Attrs["hostname"] = m.hostname
	if message == "" {
		message = "kiln run " + m.b.Run
		pending.Attrs["comment"] = message
	}
	if err := m.b.Own(pending, func(ctx context.Context) error { return m.cfg.Reap(ctx, pending) }); err != nil {
		return nil, err
	}
	config, changes := m.changes()
	res, err := m.engine.ContainerCommit(ctx, m.name, client.ContainerCommitOptions{Comment: message, Author: m.cfg.Author, Config: config, Changes: changes})
	if err != nil {
		return nil, fmt.Errorf("commit the container: %w", err)
	}
	made := m.resource("image", res.ID)
	if err := m.b.Own(made, func(ctx context.Context) error { return removeImage(ctx, m.engine, res.ID) }); err != nil {
		return nil, err
	}
	if err := m.b.Forget(pending); err != nil {
		return nil, err
	}
	m.b.Say("Image ID: %s", res.ID)
	m.b.Set("ImageSha256", res.ID)
	return &kiln.Artifact{Builder: "packer.post-processor.docker-import", ID: res.ID, Text: "Imported Docker image: " + res.ID,
		Resources: []kiln.Resource{made}, Data: m.b.Data()}, m.b.Release(made)
}

// changes are the template's, over a configuration that gives the image the
// entrypoint and command back which the run replaced.
func (m *machine) changes() (*container.Config, []string) {
	// An empty list is not the same as none: none would mean the container's.
	config := &container.Config{Entrypoint: []string{}}
	if cfg := m.source.Config; cfg != nil {
		config.Entrypoint, config.Cmd = append(config.Entrypoint, cfg.Entrypoint...), cfg.Cmd
	}
	set := map[string]bool{}
	for _, c := range m.cfg.Changes {
		word, _, _ := strings.Cut(strings.TrimSpace(c), " ")
		set[strings.ToUpper(word)] = true
	}
	changes := m.cfg.Changes
	if set["ENTRYPOINT"] && !set["CMD"] && len(config.Cmd) > 0 {
		// A new entrypoint alone would take the command away.
		changes = append(slices.Clone(changes), "CMD "+list(config.Cmd))
	}
	return config, changes
}

func list(words []string) string {
	if len(words) == 0 {
		return "[]"
	}
	text, err := json.Marshal(words)
	if err != nil {
		return "[]"
	}
	return string(text)
}

// export writes the container's files.
func (m *machine) export(ctx context.Context) (*kiln.Artifact, error) {
	m.b.Say("Exporting the container")
	made, err := m.b.WriteFile(ctx, m.cfg.ExportPath, 0o666, func(w io.Writer) error { return m.exportTo(ctx, w) })
	if err != nil {
		return nil, fmt.Errorf("export the container: %w", err)
	}
	return &kiln.Artifact{
		Builder: "packer.docker", ID: "Container", Text: "Exported Docker file: " + m.cfg.ExportPath,
		Files: []string{m.cfg.ExportPath}, Resources: []kiln.Resource{made}, Data: m.b.Data(),
	}, m.b.Release(made)
}

func (m *machine) exportTo(ctx context.Context, w io.Writer) error {
	res, err := m.engine.ContainerExport(ctx, m.name, client.ContainerExportOptions{})
	if err != nil {
		return err
	}
	defer res.Close()
	_, err = io.Copy(w, res)
	return err
}
