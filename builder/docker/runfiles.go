package docker

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
)

// volume reads [SOURCE:]TARGET[:OPTIONS]. A source that begins with a dot is a folder
// beside the template's caller; another one without a slash at its head is the name of a
// volume.
func (r *runArgs) volume(v string) error {
	source, target, given := strings.Cut(v, ":")
	if !given {
		if !path.IsAbs(v) {
			return fmt.Errorf("volume %q: a path in the container is absolute", v)
		}
		if r.config.Volumes == nil {
			r.config.Volumes = map[string]struct{}{}
		}
		r.config.Volumes[v] = struct{}{}
		return nil
	}
	if source == "" || target == "" {
		return fmt.Errorf("volume %q is not of the form [SOURCE:]TARGET[:OPTIONS]", v)
	}
	source, err := absolute(source)
	r.host.Binds = append(r.host.Binds, source+":"+target)
	return err
}

func absolute(source string) (string, error) {
	if !strings.HasPrefix(source, ".") {
		return source, nil
	}
	return filepath.Abs(source)
}

func (r *runArgs) tmpfs(v string) error {
	path, options, _ := strings.Cut(v, ":")
	if r.host.Tmpfs == nil {
		r.host.Tmpfs = map[string]string{}
	}
	r.host.Tmpfs[path] = options
	return nil
}

// fields reads a line of comma separated NAME[=VALUE].
func fields(line string, each func(name, value string, given bool) error) error {
	words, err := csv.NewReader(strings.NewReader(line)).Read()
	if err != nil {
		return fmt.Errorf("%q is not a list of NAME=VALUE", line)
	}
	for _, w := range words {
		name, value, given := strings.Cut(w, "=")
		if err := each(strings.ToLower(strings.TrimSpace(name)), value, given); err != nil {
			return err
		}
	}
	return nil
}

// mount reads what --mount takes.
func (r *runArgs) mount(v string) error {
	m := mount.Mount{Type: mount.TypeVolume}
	err := fields(v, func(name, value string, given bool) error { return r.mountField(&m, name, value, given) })
	switch {
	case err != nil:
		return err
	case m.Target == "":
		return fmt.Errorf("%q has no target", v)
	case m.Type == mount.TypeBind && m.Source == "":
		return fmt.Errorf("%q has no source", v)
	case m.VolumeOptions != nil && m.Type != mount.TypeVolume,
		m.BindOptions != nil && m.Type != mount.TypeBind,
		m.TmpfsOptions != nil && m.Type != mount.TypeTmpfs,
		m.ImageOptions != nil && m.Type != mount.TypeImage:
		return fmt.Errorf("%q has an option of another type of mount than %s", v, m.Type)
	}
	if m.Type == mount.TypeBind {
		if m.Source, err = absolute(m.Source); err != nil {
			return err
		}
	}
	if m.Type == mount.TypeImage {
		r.newer = append(r.newer, need{"a mount of an image", "1.48"})
	}
	r.host.Mounts = append(r.host.Mounts, m)
	return nil
}

func (r *runArgs) mountField(m *mount.Mount, name, value string, given bool) (err error) {
	on := func() (b bool) {
		if b = true; given {
			if b, err = strconv.ParseBool(value); err != nil {
				err = fmt.Errorf("%s: %q is neither true nor false", name, value)
			}
		}
		return b
	}
	switch name {
	case "readonly", "ro":
		m.ReadOnly = on()
		return err
	case "volume-nocopy":
		made(&m.VolumeOptions).NoCopy = on()
		return err
	case "bind-nonrecursive":
		made(&m.BindOptions).NonRecursive = on()
		return err
	}
	if !given {
		return fmt.Errorf("%q has no value", name)
	}
	switch name {
	case "type":
		m.Type = mount.Type(strings.ToLower(value))
	case "source", "src":
		m.Source = value
	case "target", "dst", "destination":
		m.Target = value
	case "consistency":
		m.Consistency = mount.Consistency(strings.ToLower(value))
	case "bind-propagation":
		made(&m.BindOptions).Propagation = mount.Propagation(strings.ToLower(value))
	case "bind-recursive":
		return r.recursive(made(&m.BindOptions), value)
	case "image-subpath":
		made(&m.ImageOptions).Subpath = value
	case "tmpfs-size":
		made(&m.TmpfsOptions).SizeBytes, err = units.RAMInBytes(value)
	case "tmpfs-mode":
		var mode uint64
		mode, err = strconv.ParseUint(value, 8, 32)
		made(&m.TmpfsOptions).Mode = os.FileMode(mode)
	default:
		return r.volumeField(m, name, value)
	}
	return err
}

// volumeField reads what only mounts of volumes have.
func (r *runArgs) volumeField(m *mount.Mount, name, value string) error {
	switch name {
	case "volume-subpath":
		made(&m.VolumeOptions).Subpath = value
		r.newer = append(r.newer, need{"volume-subpath", "1.45"})
	case "volume-label":
		label, text, _ := strings.Cut(value, "=")
		put(&made(&m.VolumeOptions).Labels, label, text)
	case "volume-driver":
		made(&made(&m.VolumeOptions).DriverConfig).Name = value
	case "volume-opt":
		option, text, _ := strings.Cut(value, "=")
		put(&made(&made(&m.VolumeOptions).DriverConfig).Options, option, text)
	default:
		return fmt.Errorf("%q is not an option of a mount", name)
	}
	return nil
}

func (r *runArgs) recursive(o *mount.BindOptions, value string) error {
	switch value {
	case "enabled":
		return nil
	case "disabled":
		o.NonRecursive = true
		return nil
	case "writable":
		o.ReadOnlyNonRecursive = true
	case "readonly":
		o.ReadOnlyForceRecursive = true
	default:
		return fmt.Errorf("bind-recursive is enabled, disabled, writable or readonly, not %q", value)
	}
	r.newer = append(r.newer, need{"bind-recursive=" + value, "1.44"})
	return nil
}

// made is what a pointer leads to, which is made if it leads nowhere.
func made[T any](p **T) *T {
	if *p == nil {
		*p = new(T)
	}
	return *p
}

func put(m *map[string]string, name, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[name] = value
}

// device reads HOST[:CONTAINER][:PERMISSIONS], or the name of a device that a driver
// describes, such as vendor.com/class=name.
func (r *runArgs) device(v string) error {
	vendor, name, _ := strings.Cut(v, "=")
	if name != "" && !path.IsAbs(v) && strings.Contains(vendor, "/") {
		r.newer = append(r.newer, need{"a device of a driver (" + v + ")", "1.44"})
		r.host.DeviceRequests = append(r.host.DeviceRequests,
			container.DeviceRequest{Driver: "cdi", DeviceIDs: []string{v}})
		return nil
	}
	d, err := deviceMapping(v)
	r.host.Devices = append(r.host.Devices, d)
	return err
}

func deviceMapping(v string) (container.DeviceMapping, error) {
	parts := strings.Split(v, ":")
	d := container.DeviceMapping{PathOnHost: parts[0], CgroupPermissions: "rwm"}
	switch {
	case len(parts) == 2 && permissions(parts[1]):
		d.CgroupPermissions = parts[1]
	case len(parts) == 2:
		d.PathInContainer = parts[1]
	case len(parts) == 3 && permissions(parts[2]):
		d.PathInContainer, d.CgroupPermissions = parts[1], parts[2]
	case len(parts) != 1:
		return d, fmt.Errorf("device %q is not of the form HOST[:CONTAINER][:PERMISSIONS]", v)
	}
	if d.PathInContainer == "" {
		d.PathInContainer = d.PathOnHost
	}
	if d.PathOnHost == "" {
		return d, errors.New("a device has a path on the host")
	}
	return d, nil
}

// permissions reports whether a text has letters of r, w and m, each once.
func permissions(s string) bool {
	for i, c := range s {
		if !strings.ContainsRune("rwm", c) || strings.ContainsRune(s[:i], c) {
			return false
		}
	}
	return s != ""
}

// gpus reads what --gpus takes: all, a number, or fields.
func (r *runArgs) gpus(v string) error {
	d := container.DeviceRequest{Capabilities: [][]string{{"gpu"}}, Options: map[string]string{}}
	counted := false
	err := fields(v, func(name, value string, given bool) (err error) {
		if !given {
			name, value = "count", name
		}
		switch name {
		case "count":
			counted = true
			if d.Count = -1; value != "all" {
				if d.Count, err = strconv.Atoi(value); err != nil {
					return fmt.Errorf("invalid number of devices %q", value)
				}
			}
		case "driver":
			d.Driver = value
		case "device":
			d.DeviceIDs = strings.Split(value, ",")
		case "capabilities":
			d.Capabilities = [][]string{append(strings.Split(value, ","), "gpu")}
		case "options":
			return fields(value, func(name, value string, _ bool) error { d.Options[name] = value; return nil })
		default:
			return fmt.Errorf("%q is none of count, driver, device, capabilities, options", name)
		}
		return nil
	})
	if !counted && d.DeviceIDs == nil {
		d.Count = 1
	}
	r.host.DeviceRequests = append(r.host.DeviceRequests, d)
	return err
}

func (r *runArgs) ulimit(v string) error {
	u, err := units.ParseUlimit(v)
	r.host.Ulimits = append(r.host.Ulimits, u)
	return err
}
