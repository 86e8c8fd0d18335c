package docker

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"kiln"
	"kiln/driver/docker"
	"kiln/kilntest"
)

func TestParseRun(t *testing.T) {
	r, err := parseRun([]string{
		"-dit", "--entrypoint=/bin/sh", "-e", "A=b", "-v/a:/b", "--network", "host", "-m", "64m",
		"--device=/dev/x:/dev/y:r", "-p", "127.0.0.1:80:8080", "-h=box", "--", "image", "-c", "true",
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.image != "image" || strings.Join(r.config.Cmd, " ") != "-c true" || !r.config.Tty ||
		!r.config.OpenStdin || r.config.Env[0] != "A=b" || r.host.Binds[0] != "/a:/b" ||
		r.host.NetworkMode != "host" ||
		r.host.Memory != 64<<20 || r.host.Devices[0].CgroupPermissions != "r" || len(r.host.PortBindings) != 1 ||
		r.config.Hostname != "box" {
		t.Errorf("got %+v", r)
	}
	r, err = parseRun(strings.Fields("-i=false -t=true --init=false image"))
	if err != nil || r.config.OpenStdin || !r.config.Tty || *r.host.Init {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestParseRunRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"-d":                            "names no image",
		"-x image":                      `"-x"`,
		"--whatever image":              `"--whatever" of docker run is not understood; those that are: --add-host`,
		"--env":                         "needs a value",
		"-m":                            "needs a value",
		"-m much image":                 `the option "-m"`,
		"--tty=perhaps image":           `"perhaps" is neither true nor false`,
		"--attach=stdout image":         "nothing is attached to the container",
		"-a stdout image":               `"-a" of docker run cannot be used`,
		"--cidfile=x image":             "build.ID",
		"--pull=always image":           "the option pull of the builder",
		"--isolation=hyperv image":      "Windows containers",
		"--disable-content-trust=false": "signatures of images are not verified",
		"--restart=sometimes image":     "unknown policy 'sometimes'",
		"--restart=on-failure:x image":  `invalid number of restarts "x"`,
		"--mount=type=bind,target=/a x": "has no source",
		"--mount=type=tmpfs x":          "has no target",
		"--mount=target=/a,color=red x": `"color" is not an option of a mount`,
		"--mount=type=tmpfs,target=/a,volume-nocopy x": "another type of mount",
		"--sysctl=x image":                               "NAME=VALUE",
		"--volume=rel image":                             "a path in the container is absolute",
		"--publish=1-3:1-2 image":                        "not as many ports",
		"--device=/dev/a:/dev/b:z image":                 "HOST[:CONTAINER][:PERMISSIONS]",
		"--env-file=/no/such/file image":                 "no such file",
		"--network=name=a,ip=1.2.3.4 --ip=1.2.3.5 image": "cannot be used together",
		"--stop-timeout=soon image":                      `invalid number "soon"`,
		"--blkio-weight=70000 image":                     `invalid number "70000"`,
		"--add-host=name image":                          "NAME:ADDRESS",
		"--device-read-bps=/dev/x image":                 "/dev/NAME:NUMBER",
		"--gpus=color=red image":                         `"color" is none of`,
	} {
		if _, err := parseRun(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

// What is not known yet is not looked at.
func TestCheckRun(t *testing.T) {
	for _, args := range []string{
		"--env-file=/no/such/file --security-opt=seccomp=/no/such/file image", "-m {{.Memory}} {{.Image}}",
	} {
		if _, err := checkRun(strings.Fields(args)); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
	b := Builder{Image: "a", Commit: true, RunCommand: strings.Fields("-d --platform=linux/arm64 {{.Image}}")}
	if err := b.Validate(); err != nil || b.Platform != "linux/arm64" {
		t.Errorf("platform %q, %v", b.Platform, err)
	}
	b.Platform = "linux/386"
	if err := b.Validate(); err == nil || !strings.Contains(err.Error(), "run_command says linux/arm64") {
		t.Errorf("got %v", err)
	}
}

// An engine that is too old for an option would leave it out without a word.
func TestRunOptionsOfNewerEngines(t *testing.T) {
	for args, want := range map[string]string{
		"--mac-address=02:42:ac:11:00:02 image":               "--mac-address needs an engine with API 1.44",
		"--network=a --network=b image":                       "more than one --network needs",
		"--mount=type=image,source=a,target=/a image":         "a mount of an image needs",
		"--annotation=a=b image":                              "--annotation needs an engine with API 1.43",
		"--network=name=a,mac-address=02:42:ac:11:00:2 image": "",
	} {
		r, err := parseRun(strings.Fields(args))
		if want == "" {
			if err == nil {
				t.Errorf("%s is accepted", args)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", args, err)
		} else if err := r.known("1.41"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		} else if err := r.known("1.50"); err != nil {
			t.Error(err)
		}
	}
}

// runLines are options as one container may have them together.
var runLines = []string{
	"-dit --entrypoint=/bin/sh",
	"-e A=b -e FROM_HOST -e UNSET_HERE --env-file=env.txt --label a=b -l c --label-file=labels.txt",
	"-u 1000:1000 -w /tmp -h box --domainname example.org --stop-signal=SIGINT --stop-timeout=3 --init",
	"--group-add 5 --group-add users --restart=on-failure:3 --sysctl net.ipv4.ip_forward=1",
	"--privileged --pid=host --ipc=host --uts=host --userns=host --cgroup-parent=/kiln",
	"--cap-add SYS_ADMIN --cap-drop=ALL --security-opt seccomp=seccomp.json --security-opt no-new-privileges",
	"--security-opt systempaths=unconfined --security-opt=seccomp=unconfined",
	"--device /dev/null --device=/dev/null:/dev/nothing --device=/dev/zero:r --device=/dev/zero:/dev/none:rw",
	"--device-cgroup-rule=c,1:*,r --gpus=all",
	`--gpus="device=0,1",driver=nvidia,capabilities=compute`,
	"-v /tmp:/a:ro -v VOLUME:/b --volume=/c --tmpfs /d:size=1m,mode=700 --tmpfs=/e --read-only",
	"--mount type=bind,source=/tmp,target=/a,readonly,bind-propagation=rslave --shm-size=16m",
	"--mount type=tmpfs,destination=/b,tmpfs-size=2m,tmpfs-mode=1770",
	"--mount type=volume,src=VOLUME,dst=/c,volume-nocopy,volume-label=a=b,volume-driver=local",
	"--mount type=bind,src=/tmp,dst=/f,bind-nonrecursive --volumes-from OTHER:ro",
	"--network NETWORK --network-alias one --network-alias=two --ip 10.213.77.9 --link OTHER:friend",
	"--network name=NETWORK,alias=three,driver-opt=a=b",
	"--network=none", "--net=host", "--network=container:OTHER",
	"--link OTHER --add-host a:1.2.3.4 --add-host=b:host-gateway --dns 9.9.9.9 --dns-search a.example",
	"--dns-option=ndots:2 --dns-opt=rotate --expose 80 --expose=90-92/udp -P",
	"-p 80 -p 127.0.0.1:8080:80/tcp -p [::1]:9000:90 -p 7000-7002:70-72 -p 6000-6010:60/udp",
	"-m 64m --memory-swap=-1 --memory-reservation=32m --memory-swappiness=5 --oom-score-adj=7 --pids-limit 77",
	"--oom-kill-disable -m 64m --cpus=0.5 -c 3 --cpuset-cpus=0 --cpuset-mems=0 --ulimit nofile=64:128",
	"--cpu-period=50000 --cpu-quota=20000 --blkio-weight=300 --ulimit nproc=70",
	"--device-read-bps=/dev/zero:1m --device-write-bps=/dev/zero:2m",
	"--device-read-iops=/dev/zero:10 --device-write-iops=/dev/zero:20 --blkio-weight-device=/dev/zero:200",
	"--health-cmd=true --health-interval=3s --health-retries=4 --health-timeout=5s --health-start-period=6s",
	"--no-healthcheck --log-driver=json-file --log-opt max-size=1m --log-opt=max-file=2",
	"--runtime=runc --entrypoint= --volume-driver=local -v VOLUME:/x -q --sig-proxy=false",
}

// Each option reaches the engine as the docker command line's does: two containers that
// are made with it, one of either, are set up alike.
func TestRunOptionsReachTheEngine(t *testing.T) {
	kilntest.Docker(t)
	t.Chdir(t.TempDir())
	t.Setenv("FROM_HOST", "seen here")
	write(t, "env.txt", "\ufeffFIRST=1\n# a comment\nA=of the file\n\n  E= f \nFROM_HOST\n")
	write(t, "labels.txt", "l=m\nn\n")
	write(t, "seccomp.json", `{"defaultAction":"SCMP_ACT_ALLOW"}`)
	name := "kilnrun-" + kiln.RandomName(8)
	run(t, "docker", "network", "create", "--subnet=10.213.77.0/24", name)
	t.Cleanup(func() { exec.Command("docker", "network", "rm", name).Run() })
	run(t, "docker", "create", "--name", name+"-other", kilntest.BusyboxImage)
	made := []string{name + "-other"}
	t.Cleanup(func() {
		exec.Command("docker", append([]string{"rm", "-f", "-v"}, made...)...).Run()
		exec.Command("docker", "volume", "rm", name).Run()
	})
	engine, err := docker.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	for _, line := range runLines {
		line = strings.NewReplacer("NETWORK", name, "OTHER", name+"-other", "VOLUME", name).Replace(line)
		var args []string
		for _, word := range strings.Fields(line) {
			args = append(args, strings.Replace(word, "=c,1:*,r", "=c 1:* r", 1))
		}
		t.Run(line, func(t *testing.T) {
			id := kiln.RandomName(8)
			theirs, ours := name+"-theirs-"+id, name+"-ours-"+id
			made = append(made, theirs, ours)
			plain := slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "-q" })
			if plain[0] == "-dit" {
				plain[0] = "-it"
			}
			plain = slices.DeleteFunc(plain, func(a string) bool { return strings.HasPrefix(a, "--sig-proxy") })
			plain = append([]string{"create", "--name", theirs}, plain...)
			run(t, "docker", append(plain, kilntest.BusyboxImage, "x")...)
			r, err := parseRun(append(slices.Clone(args), kilntest.BusyboxImage, "x"))
			if err != nil {
				t.Fatal(err)
			}
			r.config.Image = r.image
			if err := r.known(engine.ClientVersion()); err != nil {
				t.Fatal(err)
			}
			if _, err := engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
				Name: ours, Config: &r.config, HostConfig: &r.host, NetworkingConfig: r.networking(),
			}); err != nil {
				t.Fatal(err)
			}
			want, got := setUp(t, theirs), setUp(t, ours)
			for part := range want {
				for key := range want[part] {
					if empty(want[part][key]) && empty(got[part][key]) {
						continue
					}
					if !reflect.DeepEqual(want[part][key], got[part][key]) {
						t.Errorf("%s.%s is %v, want %v", part, key, got[part][key], want[part][key])
					}
				}
			}
		})
	}
}

// setUp is what a container was made with.
func setUp(t *testing.T, container string) map[string]map[string]any {
	t.Helper()
	var all []struct {
		Config, HostConfig map[string]any
		NetworkSettings    struct{ Networks map[string]map[string]any }
	}
	text := strings.ReplaceAll(run(t, "docker", "inspect", container), container, "NAME")
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	c := all[0]
	for _, key := range []string{"AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"} {
		delete(c.Config, key) // of `docker create`, which may be started attached
	}
	if host, _ := c.Config["Hostname"].(string); len(host) == 12 {
		delete(c.Config, "Hostname") // the container's id
	}
	delete(c.HostConfig, "ConsoleSize")
	for _, list := range []any{c.Config["Env"], c.HostConfig["Binds"]} {
		words, _ := list.([]any)
		// The docker command line has no order of its own for them.
		slices.SortFunc(words, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	if p, _ := c.HostConfig["RestartPolicy"].(map[string]any); p["Name"] == "" {
		p["Name"] = "no"
	}
	out := map[string]map[string]any{"Config": c.Config, "HostConfig": c.HostConfig}
	for name, n := range c.NetworkSettings.Networks {
		for key := range n {
			if !slices.Contains([]string{"Aliases", "DriverOpts", "IPAMConfig", "Links"}, key) {
				delete(n, key)
			}
		}
		aliases, _ := n["Aliases"].([]any)
		n["Aliases"] = slices.DeleteFunc(aliases, func(a any) bool { s, _ := a.(string); return len(s) == 12 })
		out["network "+name] = n
	}
	return out
}

// empty reports whether a setting says nothing: which form that has differs between
// versions of the docker command line.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return v == false || v == 0.0 || v == -1.0
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	var complaint strings.Builder
	cmd := exec.Command(program, args...)
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", program, args, err, complaint.String())
	}
	return string(out)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Clean(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func FuzzParseRun(f *testing.F) {
	f.Add("-d -i -t --entrypoint=/bin/sh -- image")
	for _, line := range runLines {
		f.Add(line + " image")
	}
	f.Fuzz(func(t *testing.T, text string) {
		// A mistake is an error; nothing panics.
		if r, err := checkRun(strings.Fields(text)); err == nil {
			r.networking()
		}
	})
}
