package docker

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
)

// flag is one option of docker run.
type flag struct {
	boolean bool // takes no value
	set     func(r *runArgs, v string) error
	since   string // version of the engine's API that knows it first
	ignored string // why it has no effect, which is said
	refused string // why it cannot be used
}

// runFlags are the options of docker run, each once.
var runFlags = map[string]flag{
	// How the container runs.
	"entrypoint":   value(func(r *runArgs, v string) { r.config.Entrypoint = []string{v} }),
	"user":         text(func(r *runArgs) *string { return &r.config.User }),
	"workdir":      text(func(r *runArgs) *string { return &r.config.WorkingDir }),
	"hostname":     text(func(r *runArgs) *string { return &r.config.Hostname }),
	"domainname":   text(func(r *runArgs) *string { return &r.config.Domainname }),
	"stop-signal":  text(func(r *runArgs) *string { return &r.config.StopSignal }),
	"stop-timeout": number(func(r *runArgs, n int) { r.config.StopTimeout = &n }),
	"interactive":  yes(func(r *runArgs, on bool) { r.config.OpenStdin = on }),
	"tty":          yes(func(r *runArgs, on bool) { r.config.Tty = on }),
	"init":         yes(func(r *runArgs, on bool) { r.host.Init = &on }),
	"env":          {set: (*runArgs).env},
	"env-file":     {set: (*runArgs).envFile},
	"label":        {set: (*runArgs).label},
	"label-file":   {set: (*runArgs).labelFile},
	"annotation":   since("1.43", pairs(func(r *runArgs) *map[string]string { return &r.host.Annotations })),
	"group-add":    many(func(r *runArgs) *[]string { return &r.host.GroupAdd }),
	"restart":      {set: (*runArgs).restart},
	"runtime":      text(func(r *runArgs) *string { return &r.host.Runtime }),
	"platform": {set: func(r *runArgs, v string) error {
		r.platform = v
		_, err := platform(v)
		return err
	}},

	// What it may do.
	"privileged":         yes(func(r *runArgs, on bool) { r.host.Privileged = on }),
	"cap-add":            many(func(r *runArgs) *[]string { return &r.host.CapAdd }),
	"cap-drop":           many(func(r *runArgs) *[]string { return &r.host.CapDrop }),
	"security-opt":       {set: (*runArgs).securityOpt},
	"sysctl":             pairs(func(r *runArgs) *map[string]string { return &r.host.Sysctls }),
	"device":             {set: (*runArgs).device},
	"gpus":               {set: (*runArgs).gpus},
	"device-cgroup-rule": many(func(r *runArgs) *[]string { return &r.host.DeviceCgroupRules }),

	// Namespaces.
	"pid":           text(func(r *runArgs) *container.PidMode { return &r.host.PidMode }),
	"ipc":           text(func(r *runArgs) *container.IpcMode { return &r.host.IpcMode }),
	"uts":           text(func(r *runArgs) *container.UTSMode { return &r.host.UTSMode }),
	"userns":        text(func(r *runArgs) *container.UsernsMode { return &r.host.UsernsMode }),
	"cgroupns":      text(func(r *runArgs) *container.CgroupnsMode { return &r.host.CgroupnsMode }),
	"cgroup-parent": text(func(r *runArgs) *string { return &r.host.CgroupParent }),

	// Files.
	"volume":        {set: (*runArgs).volume},
	"mount":         {set: (*runArgs).mount},
	"tmpfs":         {set: (*runArgs).tmpfs},
	"volumes-from":  many(func(r *runArgs) *[]string { return &r.host.VolumesFrom }),
	"volume-driver": text(func(r *runArgs) *string { return &r.host.VolumeDriver }),
	"read-only":     yes(func(r *runArgs, on bool) { r.host.ReadonlyRootfs = on }),
	"shm-size":      size(func(r *runArgs) *int64 { return &r.host.ShmSize }),
	"storage-opt":   pairs(func(r *runArgs) *map[string]string { return &r.host.StorageOpt }),

	// Network.
	"network":       {set: (*runArgs).network},
	"network-alias": many(func(r *runArgs) *[]string { return &r.first.Aliases }),
	"ip":            {set: (*runArgs).ip},
	"ip6":           {set: (*runArgs).ip},
	"link-local-ip": {set: (*runArgs).linkLocal},
	"mac-address":   since("1.44", flag{set: (*runArgs).mac}),
	"link":          many(func(r *runArgs) *[]string { return &r.host.Links }),
	"add-host":      {set: (*runArgs).addHost},
	"dns":           {set: (*runArgs).dns},
	"dns-search":    many(func(r *runArgs) *[]string { return &r.host.DNSSearch }),
	"dns-option":    many(func(r *runArgs) *[]string { return &r.host.DNSOptions }),
	"publish":       {set: (*runArgs).publish},
	"publish-all":   yes(func(r *runArgs, on bool) { r.host.PublishAllPorts = on }),
	"expose":        {set: (*runArgs).expose},

	// Limits.
	"memory":             size(func(r *runArgs) *int64 { return &r.host.Memory }),
	"memory-reservation": size(func(r *runArgs) *int64 { return &r.host.MemoryReservation }),
	"memory-swap":        size(func(r *runArgs) *int64 { return &r.host.MemorySwap }),
	"memory-swappiness":  number(func(r *runArgs, n int64) { r.host.MemorySwappiness = &n }),
	"oom-kill-disable":   yes(func(r *runArgs, on bool) { r.host.OomKillDisable = &on }),
	"oom-score-adj":      number(func(r *runArgs, n int) { r.host.OomScoreAdj = n }),
	"pids-limit":         number(func(r *runArgs, n int64) { r.host.PidsLimit = &n }),
	"cpus":               {set: (*runArgs).cpus},
	"cpu-shares":         number(func(r *runArgs, n int64) { r.host.CPUShares = n }),
	"cpu-period":         number(func(r *runArgs, n int64) { r.host.CPUPeriod = n }),
	"cpu-quota":          number(func(r *runArgs, n int64) { r.host.CPUQuota = n }),
	"cpu-rt-period":      number(func(r *runArgs, n int64) { r.host.CPURealtimePeriod = n }),
	"cpu-rt-runtime":     number(func(r *runArgs, n int64) { r.host.CPURealtimeRuntime = n }),
	"cpuset-cpus":        text(func(r *runArgs) *string { return &r.host.CpusetCpus }),
	"cpuset-mems":        text(func(r *runArgs) *string { return &r.host.CpusetMems }),
	"ulimit":             {set: (*runArgs).ulimit},
	"blkio-weight":       number(func(r *runArgs, n uint16) { r.host.BlkioWeight = n }),
	"blkio-weight-device": {set: func(r *runArgs, v string) error {
		path, n, err := rate(v, func(s string) (uint64, error) { return strconv.ParseUint(s, 10, 16) })
		w := &blkiodev.WeightDevice{Path: path, Weight: uint16(n)}
		r.host.BlkioWeightDevice = append(r.host.BlkioWeightDevice, w)
		return err
	}},
	"device-read-bps":   throttle(inBytes, func(r *runArgs) *devices { return &r.host.BlkioDeviceReadBps }),
	"device-write-bps":  throttle(inBytes, func(r *runArgs) *devices { return &r.host.BlkioDeviceWriteBps }),
	"device-read-iops":  throttle(inNumber, func(r *runArgs) *devices { return &r.host.BlkioDeviceReadIOps }),
	"device-write-iops": throttle(inNumber, func(r *runArgs) *devices { return &r.host.BlkioDeviceWriteIOps }),

	// Health and logs.
	"health-cmd":            value(func(r *runArgs, v string) { r.health().Test = []string{"CMD-SHELL", v} }),
	"health-retries":        number(func(r *runArgs, n int) { r.health().Retries = n }),
	"health-interval":       period(func(r *runArgs, d time.Duration) { r.health().Interval = d }),
	"health-timeout":        period(func(r *runArgs, d time.Duration) { r.health().Timeout = d }),
	"health-start-period":   period(func(r *runArgs, d time.Duration) { r.health().StartPeriod = d }),
	"health-start-interval": since("1.44", period(startInterval)),
	"no-healthcheck": yes(func(r *runArgs, on bool) {
		if on {
			r.health().Test = []string{"NONE"}
		}
	}),
	"log-driver": text(func(r *runArgs) *string { return &r.host.LogConfig.Type }),
	"log-opt":    pairs(func(r *runArgs) *map[string]string { return &r.host.LogConfig.Config }),

	// What a build does by itself.
	"detach": {boolean: true},
	"quiet":  {boolean: true},
	"rm":     {boolean: true, ignored: "the container is removed by the build, when the image is made"},
	"name": {ignored: "the container gets a name of the build, so that a clean-up finds it; " +
		"build.ID is the container's id"},
	"sig-proxy":             {boolean: true, ignored: "nothing is attached to the container"},
	"detach-keys":           {ignored: "nothing is attached to the container"},
	"disable-content-trust": {boolean: true, set: contentTrust},

	// What makes no sense.
	"attach":          {refused: "nothing is attached to the container; its output is in the engine's log"},
	"cidfile":         {refused: "the container's id is build.ID, for a shell-local provisioner"},
	"pull":            {refused: "the option pull of the builder says whether the image is pulled"},
	"help":            {boolean: true, refused: "run_command is for a container"},
	"kernel-memory":   {refused: "engines no longer have this limit"},
	"use-api-socket":  {boolean: true, refused: "it would put the logins of this machine into the container"},
	"isolation":       {refused: onlyWindows},
	"cpu-count":       {refused: onlyWindows},
	"cpu-percent":     {refused: onlyWindows},
	"io-maxbandwidth": {refused: onlyWindows},
	"io-maxiops":      {refused: onlyWindows},
}

const onlyWindows = "it is for Windows containers, which this version does not make"

// otherNames are old names and spellings.
var otherNames = map[string]string{"net": "network", "net-alias": "network-alias", "dns-opt": "dns-option"}

var shortFlags = map[byte]string{
	'a': "attach", 'c': "cpu-shares", 'd': "detach", 'e': "env", 'h': "hostname", 'i': "interactive",
	'm': "memory", 'l': "label", 'P': "publish-all", 'p': "publish", 'q': "quiet", 't': "tty", 'u': "user",
	'v': "volume",
	'w': "workdir",
}

func since(version string, f flag) flag {
	f.since = version
	return f
}

func value(set func(r *runArgs, v string)) flag {
	return flag{set: func(r *runArgs, v string) error { set(r, v); return nil }}
}

func text[T ~string](at func(r *runArgs) *T) flag {
	return value(func(r *runArgs, v string) { *at(r) = T(v) })
}

func many(at func(r *runArgs) *[]string) flag {
	return value(func(r *runArgs, v string) { *at(r) = append(*at(r), v) })
}

func yes(set func(r *runArgs, on bool)) flag {
	return flag{boolean: true, set: func(r *runArgs, v string) error {
		on, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", v)
		}
		set(r, on)
		return nil
	}}
}

func pairs(at func(r *runArgs) *map[string]string) flag {
	return flag{set: func(r *runArgs, v string) error {
		name, val, given := strings.Cut(v, "=")
		if !given || name == "" {
			return fmt.Errorf("%q is not of the form NAME=VALUE", v)
		}
		if *at(r) == nil {
			*at(r) = map[string]string{}
		}
		(*at(r))[name] = val
		return nil
	}}
}

func number[T int | int64 | uint16](set func(r *runArgs, n T)) flag {
	return flag{set: func(r *runArgs, v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || int64(T(n)) != n {
			return fmt.Errorf("invalid number %q", v)
		}
		set(r, T(n))
		return nil
	}}
}

// size reads a number of bytes, such as 64m; -1 is without a limit.
func size(at func(r *runArgs) *int64) flag {
	return flag{set: func(r *runArgs, v string) (err error) {
		if v == "-1" {
			*at(r) = -1
			return nil
		}
		*at(r), err = units.RAMInBytes(v)
		return err
	}}
}

func period(set func(r *runArgs, d time.Duration)) flag {
	return flag{set: func(r *runArgs, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 {
			return fmt.Errorf("invalid duration %q", v)
		}
		set(r, d)
		return nil
	}}
}

func startInterval(r *runArgs, d time.Duration) { r.health().StartInterval = d }

func (r *runArgs) health() *container.HealthConfig {
	if r.config.Healthcheck == nil {
		r.config.Healthcheck = &container.HealthConfig{}
	}
	return r.config.Healthcheck
}

type devices = []*blkiodev.ThrottleDevice

// throttle reads PATH:RATE.
func throttle(number func(string) (uint64, error), at func(r *runArgs) *devices) flag {
	return flag{set: func(r *runArgs, v string) error {
		path, n, err := rate(v, number)
		*at(r) = append(*at(r), &blkiodev.ThrottleDevice{Path: path, Rate: n})
		return err
	}}
}

func rate(v string, number func(string) (uint64, error)) (path string, n uint64, err error) {
	path, text, given := strings.Cut(v, ":")
	if !given || !strings.HasPrefix(path, "/dev/") {
		return "", 0, fmt.Errorf("%q is not of the form /dev/NAME:NUMBER", v)
	}
	n, err = number(text)
	return path, n, err
}

func inBytes(v string) (uint64, error) {
	n, err := units.RAMInBytes(v)
	return uint64(n), err
}

func inNumber(v string) (uint64, error) { return strconv.ParseUint(v, 10, 64) }

func contentTrust(_ *runArgs, v string) error {
	if on, err := strconv.ParseBool(v); err != nil || !on {
		return fmt.Errorf("signatures of images are not verified")
	}
	return nil
}
