package docker

import (
	"fmt"
	"net/netip"
	"os"
	"sort"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// runArgs are the arguments of a `docker run` as settings of the engine's API.
type runArgs struct {
	config  container.Config
	host    container.HostConfig
	network string
	image   string
}

// runFlags are the options of docker run that are understood. Those with a true
// take no value.
var runFlags = map[string]struct {
	boolean bool
	set     func(r *runArgs, v string) error
}{
	"detach":       {true, func(*runArgs, string) error { return nil }},
	"interactive":  {true, func(r *runArgs, v string) error { r.config.OpenStdin = v == "true"; return nil }},
	"tty":          {true, func(r *runArgs, v string) error { r.config.Tty = v == "true"; return nil }},
	"privileged":   {true, func(r *runArgs, v string) error { r.host.Privileged = v == "true"; return nil }},
	"init":         {true, func(r *runArgs, v string) error { t := v == "true"; r.host.Init = &t; return nil }},
	"read-only":    {true, func(r *runArgs, v string) error { r.host.ReadonlyRootfs = v == "true"; return nil }},
	"publish-all":  {true, func(r *runArgs, v string) error { r.host.PublishAllPorts = v == "true"; return nil }},
	"entrypoint":   {false, func(r *runArgs, v string) error { r.config.Entrypoint = []string{v}; return nil }},
	"env":          {false, (*runArgs).env},
	"volume":       {false, func(r *runArgs, v string) error { r.host.Binds = append(r.host.Binds, v); return nil }},
	"user":         {false, func(r *runArgs, v string) error { r.config.User = v; return nil }},
	"workdir":      {false, func(r *runArgs, v string) error { r.config.WorkingDir = v; return nil }},
	"hostname":     {false, func(r *runArgs, v string) error { r.config.Hostname = v; return nil }},
	"network":      {false, func(r *runArgs, v string) error { r.network = v; return nil }},
	"add-host":     {false, func(r *runArgs, v string) error { r.host.ExtraHosts = append(r.host.ExtraHosts, v); return nil }},
	"cap-add":      {false, func(r *runArgs, v string) error { r.host.CapAdd = append(r.host.CapAdd, v); return nil }},
	"cap-drop":     {false, func(r *runArgs, v string) error { r.host.CapDrop = append(r.host.CapDrop, v); return nil }},
	"device":       {false, func(r *runArgs, v string) error { r.host.Devices = append(r.host.Devices, device(v)); return nil }},
	"tmpfs":        {false, (*runArgs).tmpfs},
	"label":        {false, (*runArgs).label},
	"security-opt": {false, func(r *runArgs, v string) error { r.host.SecurityOpt = append(r.host.SecurityOpt, v); return nil }},
	"pid":          {false, func(r *runArgs, v string) error { r.host.PidMode = container.PidMode(v); return nil }},
	"ipc":          {false, func(r *runArgs, v string) error { r.host.IpcMode = container.IpcMode(v); return nil }},
	"cgroupns":     {false, func(r *runArgs, v string) error { r.host.CgroupnsMode = container.CgroupnsMode(v); return nil }},
	"runtime":      {false, func(r *runArgs, v string) error { r.host.Runtime = v; return nil }},
	"memory":       {false, func(r *runArgs, v string) (err error) { r.host.Memory, err = units.RAMInBytes(v); return err }},
	"shm-size":     {false, func(r *runArgs, v string) (err error) { r.host.ShmSize, err = units.RAMInBytes(v); return err }},
	"cpus":         {false, (*runArgs).cpus},
	"dns":          {false, (*runArgs).dns},
	"ulimit":       {false, (*runArgs).ulimit},
	"publish":      {false, (*runArgs).publish},
}

var shortFlags = map[byte]string{'d': "detach", 'i': "interactive", 't': "tty", 'e': "env", 'v': "volume", 'u': "user", 'w': "workdir",
	'h': "hostname", 'p': "publish", 'P': "publish-all", 'm': "memory", 'l': "label"}

// parseRun reads the arguments of docker run: options, the image, and the
// command.
func parseRun(args []string) (*runArgs, error) {
	r := &runArgs{}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return r, r.rest(args[i+1:])
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			return r, r.rest(args[i:])
		}
		used, err := r.option(arg, args[i+1:])
		if err != nil {
			return nil, err
		}
		i += used
	}
	return r, r.rest(nil)
}

func (r *runArgs) rest(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("run_command names no image: it ends with {{.Image}}, and perhaps a command")
	}
	r.image, r.config.Cmd = args[0], args[1:]
	return nil
}

// option reads one option and tells how many arguments behind it it took.
func (r *runArgs) option(arg string, rest []string) (used int, err error) {
	if !strings.HasPrefix(arg, "--") {
		return r.short(arg[1:], rest)
	}
	name, value, given := strings.Cut(arg[2:], "=")
	if name == "net" {
		name = "network"
	}
	f, ok := runFlags[name]
	if !ok {
		return 0, fmt.Errorf("the option %q of docker run is not understood; those that are: %s", "--"+name, flagNames())
	}
	if !given {
		switch {
		case f.boolean:
			value = "true"
		case len(rest) == 0:
			return 0, fmt.Errorf("the option %q needs a value", arg)
		default:
			value, used = rest[0], 1
		}
	}
	if err := f.set(r, value); err != nil {
		return 0, fmt.Errorf("the option %q: %w", arg, err)
	}
	return used, nil
}

// short reads one or several short options, such as -dit or -eNAME=VALUE.
func (r *runArgs) short(letters string, rest []string) (used int, err error) {
	for i := 0; i < len(letters); i++ {
		name := shortFlags[letters[i]]
		f, ok := runFlags[name]
		if !ok {
			return 0, fmt.Errorf("the option \"-%c\" of docker run is not understood; those that are: %s", letters[i], flagNames())
		}
		if f.boolean {
			if err := f.set(r, "true"); err != nil {
				return 0, err
			}
			continue
		}
		value := strings.TrimPrefix(letters[i+1:], "=")
		if value == "" {
			if len(rest) == 0 {
				return 0, fmt.Errorf("the option \"-%c\" needs a value", letters[i])
			}
			value, used = rest[0], 1
		}
		if err := f.set(r, value); err != nil {
			return 0, fmt.Errorf("the option \"-%c\": %w", letters[i], err)
		}
		return used, nil
	}
	return 0, nil
}

func flagNames() string {
	var names []string
	for name := range runFlags {
		names = append(names, "--"+name)
	}
	sort.Strings(names)
	return strings.Join(names, " ")
}

func device(v string) container.DeviceMapping {
	parts := strings.SplitN(v, ":", 3)
	d := container.DeviceMapping{PathOnHost: parts[0], PathInContainer: parts[0], CgroupPermissions: "rwm"}
	if len(parts) > 1 {
		d.PathInContainer = parts[1]
	}
	if len(parts) > 2 {
		d.CgroupPermissions = parts[2]
	}
	return d
}

func (r *runArgs) tmpfs(v string) error {
	path, options, _ := strings.Cut(v, ":")
	if r.host.Tmpfs == nil {
		r.host.Tmpfs = map[string]string{}
	}
	r.host.Tmpfs[path] = options
	return nil
}

func (r *runArgs) label(v string) error {
	name, value, _ := strings.Cut(v, "=")
	if r.config.Labels == nil {
		r.config.Labels = map[string]string{}
	}
	r.config.Labels[name] = value
	return nil
}

// env sets a variable: NAME=VALUE, or NAME alone for the value that it has here.
func (r *runArgs) env(v string) error {
	if !strings.Contains(v, "=") {
		value, ok := os.LookupEnv(v)
		if !ok {
			return nil
		}
		v += "=" + value
	}
	r.config.Env = append(r.config.Env, v)
	return nil
}

func (r *runArgs) cpus(v string) error {
	var n float64
	if _, err := fmt.Sscanf(v, "%g", &n); err != nil || n <= 0 {
		return fmt.Errorf("%q is no number of processors", v)
	}
	r.host.NanoCPUs = int64(n * 1e9)
	return nil
}

func (r *runArgs) dns(v string) error {
	addr, err := netip.ParseAddr(v)
	r.host.DNS = append(r.host.DNS, addr)
	return err
}

func (r *runArgs) ulimit(v string) error {
	u, err := units.ParseUlimit(v)
	r.host.Ulimits = append(r.host.Ulimits, u)
	return err
}

// publish reads [[IP:]HOSTPORT:]PORT[/PROTO].
func (r *runArgs) publish(v string) error {
	parts := strings.Split(v, ":")
	port, err := network.ParsePort(parts[len(parts)-1])
	if err != nil {
		return err
	}
	binding := network.PortBinding{}
	if len(parts) > 1 {
		binding.HostPort = parts[len(parts)-2]
	}
	if len(parts) > 2 {
		if binding.HostIP, err = netip.ParseAddr(strings.Join(parts[:len(parts)-2], ":")); err != nil {
			return err
		}
	}
	if r.host.PortBindings == nil {
		r.host.PortBindings, r.config.ExposedPorts = network.PortMap{}, network.PortSet{}
	}
	r.config.ExposedPorts[port] = struct{}{}
	r.host.PortBindings[port] = append(r.host.PortBindings[port], binding)
	return nil
}

// platform reads os/arch[/variant].
func platform(text string) (*ocispec.Platform, error) {
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return nil, fmt.Errorf("%q is no platform: it has the form os/arch[/variant], such as linux/arm64", text)
	}
	p := &ocispec.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p, nil
}
