package docker

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client/pkg/versions"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// runArgs are the arguments of a `docker run` as settings of the engine's API.
type runArgs struct {
	config   container.Config
	host     container.HostConfig
	networks []attachment
	image    string
	platform string

	first   network.EndpointSettings // what options of their own say of the first network
	files   []string                 // variables of files, which --env goes before
	newer   []need                   // what not every engine knows
	ignored []string                 // options without effect, each with the reason

	// check is set where the text is only checked: what is known later stands in it as
	// {{ }}, and files may not be there yet.
	check bool
}

// need is an option that engines know since a version of their API.
type need struct{ option, version string }

// parseRun reads the arguments of docker run: options, the image, and the
// command.
func parseRun(args []string) (*runArgs, error) {
	r := &runArgs{}
	return r, r.parse(args)
}

// checkRun reads them as far as they can be known before the build runs.
func checkRun(args []string) (*runArgs, error) {
	r := &runArgs{check: true}
	return r, r.parse(args)
}

func (r *runArgs) parse(args []string) error {
	i := 0
	for ; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			i++
			break
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			break
		}
		used, err := r.option(arg, args[i+1:])
		if err != nil {
			return err
		}
		i += used
	}
	if i >= len(args) {
		return errors.New("run_command names no image: it ends with {{.Image}}, and perhaps a command")
	}
	r.image, r.config.Cmd = args[i], args[i+1:]
	r.config.Env = append(r.files, r.config.Env...)
	return r.join()
}

// option reads one option and tells how many arguments behind it it took.
func (r *runArgs) option(arg string, rest []string) (used int, err error) {
	if !strings.HasPrefix(arg, "--") {
		return r.short(arg[1:], rest)
	}
	name, value, given := strings.Cut(arg[2:], "=")
	f, err := flagOf(name, "--"+name)
	if err != nil {
		return 0, err
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
	return used, r.use(f, "--"+name, value)
}

// short reads one or several short options, such as -dit or -eNAME=VALUE.
func (r *runArgs) short(letters string, rest []string) (used int, err error) {
	for i := 0; i < len(letters); i++ {
		shown := "-" + string(letters[i])
		f, err := flagOf(shortFlags[letters[i]], shown)
		if err != nil {
			return 0, err
		}
		value, given := strings.CutPrefix(letters[i+1:], "=")
		if f.boolean && !given {
			if err := r.use(f, shown, "true"); err != nil {
				return 0, err
			}
			continue
		}
		if value == "" && !given {
			if len(rest) == 0 {
				return 0, fmt.Errorf("the option %q needs a value", shown)
			}
			value, used = rest[0], 1
		}
		return used, r.use(f, shown, value)
	}
	return 0, nil
}

// flagOf is the option of a name, or why there is none.
func flagOf(name, shown string) (flag, error) {
	if other, ok := otherNames[name]; ok {
		name = other
	}
	f, ok := runFlags[name]
	switch {
	case !ok:
		return f, fmt.Errorf("the option %q of docker run is not understood; those that are: %s",
			shown, flagNames())
	case f.refused != "":
		return f, fmt.Errorf("the option %q of docker run cannot be used: %s", shown, f.refused)
	}
	return f, nil
}

// use sets an option.
func (r *runArgs) use(f flag, shown, value string) error {
	if f.ignored != "" {
		text := fmt.Sprintf("the option %s of run_command has no effect: %s", shown, f.ignored)
		r.ignored = append(r.ignored, text)
	}
	if f.since != "" {
		r.newer = append(r.newer, need{shown, f.since})
	}
	if f.set == nil || r.check && strings.Contains(value, "{{") {
		return nil
	}
	if err := f.set(r, value); err != nil {
		return fmt.Errorf("the option %q: %w", shown, err)
	}
	return nil
}

func flagNames() string {
	var names []string
	for name, f := range runFlags {
		if f.refused == "" {
			names = append(names, "--"+name)
		}
	}
	sort.Strings(names)
	return strings.Join(names, " ")
}

// known reports what an engine with this version of the API would silently leave out.
func (r *runArgs) known(version string) error {
	for _, n := range r.newer {
		if versions.LessThan(version, n.version) {
			return fmt.Errorf("run_command: %s needs an engine with API %s or newer; this one has %s",
				n.option, n.version, version)
		}
	}
	return nil
}

// env sets a variable: NAME=VALUE, or NAME alone for the value that it has here. One that
// has none here has none in the container either, even if the image sets it.
func (r *runArgs) env(v string) error {
	text, err := variable(v)
	if text == "" {
		text = v
	}
	r.config.Env = append(r.config.Env, text)
	return err
}

// variable is NAME=VALUE; "" is one that has no value here.
func variable(v string) (string, error) {
	name, _, given := strings.Cut(v, "=")
	if name == "" {
		return "", fmt.Errorf("%q names no variable", v)
	}
	if given {
		return v, nil
	}
	value, ok := os.LookupEnv(name)
	if !ok {
		return "", nil
	}
	return name + "=" + value, nil
}

func (r *runArgs) envFile(path string) error {
	return r.lines(path, func(line string) error {
		name, _, _ := strings.Cut(line, "=")
		if strings.ContainsAny(name, " \t") {
			return fmt.Errorf("the name of variable %q holds a blank", name)
		}
		text, err := variable(line)
		if text != "" {
			r.files = append(r.files, text)
		}
		return err
	})
}

func (r *runArgs) label(v string) error {
	name, value, _ := strings.Cut(v, "=")
	if r.config.Labels == nil {
		r.config.Labels = map[string]string{}
	}
	r.config.Labels[name] = value
	return nil
}

// labelFile reads labels; as with docker run, a line without a value says nothing.
func (r *runArgs) labelFile(path string) error {
	return r.lines(path, func(line string) error {
		if !strings.Contains(line, "=") {
			return nil
		}
		return r.label(line)
	})
}

// lines reads a file with an entry in each line. A line that begins with # is a comment.
func (r *runArgs) lines(path string, each func(string) error) error {
	if r.check {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for n, line := range strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n") {
		line = strings.TrimLeft(strings.TrimSuffix(line, "\r"), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		if err := each(line); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n+1, err)
		}
	}
	return nil
}

func (r *runArgs) cpus(v string) error {
	n, err := strconv.ParseFloat(v, 64)
	if err != nil || !(n > 0 && n < 1<<20) {
		return fmt.Errorf("invalid number of processors %q", v)
	}
	r.host.NanoCPUs = int64(n * 1e9)
	return nil
}

func (r *runArgs) restart(v string) error {
	name, count, given := strings.Cut(v, ":")
	p := container.RestartPolicy{Name: container.RestartPolicyMode(name)}
	if given {
		var err error
		if p.MaximumRetryCount, err = strconv.Atoi(count); err != nil {
			return fmt.Errorf("invalid number of restarts %q", count)
		}
	}
	r.host.RestartPolicy = p
	return container.ValidateRestartPolicy(p)
}

// securityOpt gives the engine the text of a seccomp profile, as it cannot read our
// files.
func (r *runArgs) securityOpt(v string) error {
	if v == "systempaths=unconfined" {
		r.host.MaskedPaths, r.host.ReadonlyPaths = []string{}, []string{}
		return nil
	}
	profile, ok := strings.CutPrefix(v, "seccomp=")
	if ok && !slices.Contains([]string{"unconfined", "builtin"}, profile) && !r.check {
		text, err := os.ReadFile(profile)
		if err != nil {
			return fmt.Errorf("seccomp profile: %w", err)
		}
		v = "seccomp=" + string(text)
	}
	r.host.SecurityOpt = append(r.host.SecurityOpt, v)
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
