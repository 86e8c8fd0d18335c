package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"kiln"
	"kiln/driver/docker"
)

// owner is how this component's resources are found again.
const owner = "builder.docker"

// Start finds the image and makes the container. It is started at once, unless a kept
// layer already holds what every step would do; and not made before something has to run
// in it, where the image that was made last is that of the layer.
func (c *Builder) Start(ctx context.Context, b *kiln.Build) (kiln.Machine, error) {
	engine, err := c.Open(ctx)
	if err != nil {
		return nil, err
	}
	m := &machine{cfg: c, b: b, engine: engine}
	if err := m.share(); err != nil {
		return nil, err
	}
	image := c.Image
	if c.Build != nil {
		if image, err = m.bootstrap(ctx); err != nil {
			return nil, err
		}
		if c.Pull {
			b.Say("The image was built just now: it is not pulled")
		}
	} else if c.Pull {
		if err := m.pull(ctx, image); err != nil {
			return nil, err
		}
	}
	source, err := engine.ImageInspect(ctx, image)
	if docker.Absent(err) {
		hint := ""
		if !c.Pull && c.Build == nil {
			hint = fmt.Sprintf("; `docker pull %s` brings it, or pull = true", image)
		}
		return nil, fmt.Errorf("image %s: %w on the engine (pull is %t)%s", image, kiln.ErrNotFound, c.Pull, hint)
	}
	if err != nil {
		return nil, fmt.Errorf("look at image %s: %w", image, err)
	}
	m.source = source.InspectResponse
	b.Set("SourceImageSha256", source.ID)
	if len(source.RepoDigests) > 0 {
		b.Set("SourceImageDigest", source.RepoDigests[0])
	}
	if err := m.findLayer(ctx); err != nil {
		return nil, err
	}
	if m.last, err = m.lastThere(ctx); err != nil || m.last != nil {
		m.sayLast()
		return m, err
	}
	begin := time.Now()
	if err := m.create(ctx); err != nil {
		return m, err
	}
	if m.chain.resumed > 0 && m.chain.resumed == m.chain.steps && c.Communicator == "docker" {
		return m, nil // nothing may have to run in it
	}
	err = m.ready(ctx)
	m.made = time.Since(begin)
	return m, err
}

// lastThere is the artifact that this build made last, if that would be made again and
// is still there; nil: it is not.
func (m *machine) lastThere(ctx context.Context) (*kiln.Artifact, error) {
	last := m.b.Last(m.chain.resumed)
	if last == nil || m.cfg.Communicator != "docker" {
		return nil, nil
	}
	switch {
	case m.cfg.Commit:
		_, err := m.engine.ImageInspect(ctx, last.ID)
		if docker.Absent(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("look at the last image: %w", err)
		}
	case m.cfg.ExportPath != "" && !written(m.cfg.ExportPath, last):
		return nil, nil
	}
	return last, nil
}

// sayLast tells, and gives to templates, what is known of an artifact that is kept.
func (m *machine) sayLast() {
	if m.last == nil {
		return
	}
	what := ""
	switch {
	case m.cfg.Commit:
		what = ": its image is kept"
	case m.cfg.ExportPath != "":
		what = ": its file is kept"
	}
	m.b.Say("Nothing changed since the last build%s", what)
	for key, value := range m.last.Data {
		m.b.Set(key, value)
	}
}

// written reports whether a path leads to the very file that an artifact holds.
func written(path string, a *kiln.Artifact) bool {
	path, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return false
	}
	mark, err := kiln.Mark(path)
	return err == nil && slices.ContainsFunc(a.Resources, func(r kiln.Resource) bool {
		return r.Kind == kiln.KindFile && r.ID == path && r.Mark == mark
	})
}

// share makes the folder that host and container share.
func (m *machine) share() error {
	m.b.Say("Creating a temporary directory for sharing data...")
	dir, _, err := m.b.TempDir("packer-docker-")
	m.shared = dir
	if err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

var imageID = regexp.MustCompile(`^(sha256:)?[0-9a-f]{12,64}$`)

// pull pulls the image. One that is named by its id cannot be pulled, and is there
// or is not.
func (m *machine) pull(ctx context.Context, image string) error {
	if imageID.MatchString(image) {
		if _, err := m.engine.ImageInspect(ctx, image); err == nil {
			m.b.Say("The image is named by its id and is on the engine: it is not pulled")
			return nil
		}
	}
	m.b.Say("Pulling Docker image: %s", image)
	auth, err := m.cfg.Login.Header(image)
	if err != nil {
		return err
	}
	o := client.ImagePullOptions{RegistryAuth: auth}
	if m.cfg.Platform != "" {
		p, err := platform(m.cfg.Platform)
		if err != nil {
			return err
		}
		o.Platforms = []ocispec.Platform{*p}
	}
	res, err := m.engine.ImagePull(ctx, image, o)
	if err == nil {
		defer res.Close()
		err = docker.Follow(m.b, image, res.JSONMessages(ctx))
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		hint := ""
		if _, local := m.engine.ImageInspect(ctx, image); local == nil {
			hint = " (the engine has an image of this name: set pull = false to use it)"
		}
		return fmt.Errorf("Error pulling Docker image %s: %w%s", image, err, hint)
	}
	return nil
}

// create makes the container under a name that we chose.
func (m *machine) create(ctx context.Context) error {
	args, err := m.args(m.chain.from)
	if err != nil {
		return err
	}
	if args.config.Hostname == "" && args.named() {
		if m.hostname == "" {
			// Same form as the engine's own default, and the same in a container that
			// takes this one's place.
			m.hostname = randomHex()
		}
		args.config.Hostname = m.hostname
	}
	args.host.Binds = append(args.host.Binds, m.shared+":"+m.cfg.ContainerDir)
	first := m.name == "" // not a container that takes another one's place
	m.name = "kiln-" + m.b.Run + "-" + kiln.RandomName(8)
	r := m.resource("container", m.name)
	id := ""
	m.setContainer(r)
	if err := m.b.Own(r, func(ctx context.Context) error {
		if id == "" {
			return m.cfg.Reap(ctx, r) // creation may still be in flight
		}
		if m.isContainer(r) {
			m.b.Say("Killing the container: %s", m.short())
		}
		return removeContainer(ctx, m.engine, r.ID)
	}); err != nil {
		return err
	}
	if first {
		for _, text := range args.ignored {
			m.b.Warn("Warning: %s", text)
		}
	}
	m.b.Say("Starting docker container...")
	o := client.ContainerCreateOptions{
		Name: m.name, Config: &args.config, HostConfig: &args.host, NetworkingConfig: args.networking(),
	}
	if m.cfg.Platform != "" {
		if o.Platform, err = platform(m.cfg.Platform); err != nil {
			return err
		}
	}
	res, err := m.engine.ContainerCreate(ctx, o)
	if docker.Absent(err) && first && m.chain.from != m.source.ID {
		// The layer was pruned since it was looked at.
		m.chain.from, m.chain.resumed, m.chain.covered = m.source.ID, 0, false
		m.chain.size, m.chain.depth = m.source.Size, len(m.source.RootFS.Layers)
		o.Config.Image = m.source.ID
		res, err = m.engine.ContainerCreate(ctx, o)
	}
	if err != nil {
		return fmt.Errorf("create container: %w", err)
	}
	m.id, id = res.ID, res.ID
	for _, w := range res.Warnings {
		m.b.Warn("Warning: %s", w)
	}
	m.b.Say("Container ID: %s", m.id)
	m.b.Set("ID", m.id)
	return nil
}

// args are the settings of docker run with what the fields add, for a container of an
// image.
func (m *machine) args(image string) (*runArgs, error) {
	// What the arguments see is the name that the template gives, as with Packer: the
	// layer that the container is made of must show nowhere.
	name := m.cfg.Image
	if name == "" {
		name = m.source.ID
	}
	var words []string
	for _, w := range m.cfg.RunCommand {
		text, err := m.b.Render(w, map[string]any{"Image": name})
		if err != nil {
			return nil, fmt.Errorf("run_command: %w", err)
		}
		words = append(words, text)
	}
	r, err := parseRun(words)
	if err != nil {
		return nil, err
	}
	r.config.Image = r.image
	if r.image == name {
		r.config.Image = image
	}
	r.host.Privileged = r.host.Privileged || m.cfg.Privileged
	r.host.CapAdd = append(r.host.CapAdd, m.cfg.CapAdd...)
	r.host.CapDrop = append(r.host.CapDrop, m.cfg.CapDrop...)
	for _, d := range m.cfg.Device {
		if err := r.device(d); err != nil {
			return nil, fmt.Errorf("device: %w", err)
		}
	}
	for _, t := range m.cfg.Tmpfs {
		if err := r.tmpfs(t); err != nil {
			return nil, err
		}
	}
	for _, host := range slices.Sorted(maps.Keys(m.cfg.Volumes)) {
		if err := r.volume(host + ":" + m.cfg.Volumes[host]); err != nil {
			return nil, fmt.Errorf("volumes: %w", err)
		}
	}
	if m.cfg.Runtime != "" {
		r.host.Runtime = m.cfg.Runtime
	}
	return r, r.known(m.engine.ClientVersion())
}

// setContainer says which container is worked on now: one that another has replaced is
// removed beside the next steps.
func (m *machine) setContainer(r kiln.Resource) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.container = r
}

func (m *machine) isContainer(r kiln.Resource) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.container.Same(r)
}

func (m *machine) setRunning(is bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = is
}

func (m *machine) isRunning() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.running
}

// ready starts the container if it was created but not started.
// It makes one where none was made yet.
func (m *machine) ready(ctx context.Context) error {
	m.starting.Lock()
	defer m.starting.Unlock()
	if m.isRunning() {
		return nil
	}
	if m.name == "" {
		if err := m.create(ctx); err != nil {
			return err
		}
		m.docker.Switch(m.name)
	}
	if _, err := m.engine.ContainerStart(ctx, m.name, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("start container: %w", err)
	}
	m.setRunning(true)
	info, err := m.engine.ContainerInspect(ctx, m.name, client.ContainerInspectOptions{})
	if err != nil {
		return fmt.Errorf("look at container: %w", err)
	}
	m.ip = address(info.Container)
	if !info.Container.State.Running {
		return fmt.Errorf(
			"the container ended at once (exit code %d): the image must keep running under run_command %s",
			info.Container.State.ExitCode,
			strings.Join(m.cfg.RunCommand, " "),
		)
	}
	return m.remember(ctx)
}

func address(info container.InspectResponse) string {
	if info.NetworkSettings == nil {
		return ""
	}
	for _, n := range info.NetworkSettings.Networks {
		if n != nil && n.IPAddress.IsValid() {
			return n.IPAddress.String()
		}
	}
	return ""
}

func (m *machine) resource(kind, id string) kiln.Resource {
	return kiln.Resource{Owner: owner, Kind: kind, ID: id, Attrs: map[string]string{"host": m.engine.Host}}
}

var errNoAddress = errors.New("the container has no address: its network mode gives it none")
