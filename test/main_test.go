package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"kiln/kilntest"
)

// program is the path of the program under test, built once. With -race the
// program is built with it too.
var program string

// examples is the folder of the examples.
var examples string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kiln-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if examples, err = filepath.Abs("../examples"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	program = filepath.Join(dir, "kiln")
	args := []string{"build", "-o", program}
	if raceFlag != "" {
		args = append(args, raceFlag)
	}
	if out, err := exec.Command("go", append(args, "kiln/cmd/kiln")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build kiln: %v\n%s", err, out)
		return 1
	}
	if err := os.Symlink(program, filepath.Join(dir, "packer")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return m.Run()
}

// TestScripts runs the stories. A story in docker_*.txtar needs an engine, one in
// ssh_*.txtar gets a server, one in virtualbox_*.txtar what stands in for VirtualBox, and
// one in virtualbox_ssh*.txtar a server that may stand for its machines.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			tt, ok := env.T().(testing.TB)
			if !ok {
				return fmt.Errorf("no testing.TB")
			}
			env.Values[theTest] = tt
			env.Setenv("KILN_HOME", filepath.Join(env.WorkDir, ".home"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("KILN_CACHE", "all")
			env.Setenv("TMPDIR", filepath.Join(env.WorkDir, ".tmp"))
			env.Setenv("GORACE", "exitcode=66 atexit_sleep_ms=0")
			if err := os.MkdirAll(filepath.Join(env.WorkDir, ".tmp"), 0o755); err != nil {
				return err
			}
			name := filepath.Base(tt.Name())
			if strings.HasPrefix(name, "docker_") {
				kilntest.Docker(tt)
				env.Setenv("IMAGE", kilntest.BusyboxImage)
				env.Setenv("EXAMPLES", examples)
				env.Defer(func() {
					prune := exec.Command(program, "cache", "prune", "-all")
					prune.Env = append(os.Environ(), "KILN_HOME="+filepath.Join(env.WorkDir, ".home"))
					_ = prune.Run() // what is left takes room, and nothing else
				})
			}
			if strings.HasPrefix(name, "docker_push") {
				env.Setenv("PKR_VAR_registry", kilntest.StartRegistry(tt))
				env.Setenv("PKR_VAR_password", kilntest.RegistryPassword)
			}
			if strings.HasPrefix(name, "docker_podman") {
				env.Setenv("CONTAINER_HOST", kilntest.StartPodman(tt))
			}
			if strings.HasPrefix(name, "services_") {
				for k, v := range kilntest.StartSecrets(tt).Env {
					env.Setenv(k, v)
				}
			}
			if strings.HasPrefix(name, "virtualbox_") {
				for k, v := range kilntest.NewVirtualBox(tt).Env {
					env.Setenv(k, v)
				}
			}
			if strings.HasPrefix(name, "ssh_") || strings.HasPrefix(name, "virtualbox_ssh") {
				home := filepath.Join(env.WorkDir, "remote-home")
				if err := os.Mkdir(home, 0o755); err != nil {
					return err
				}
				s := kilntest.StartSSHD(tt, "SetEnv HOME="+home)
				env.Setenv("PKR_VAR_port", strconv.Itoa(s.Port))
				env.Setenv("PKR_VAR_key", s.KeyFile)
				env.Setenv("SSH_PORT", strconv.Itoa(s.Port))
				env.Setenv("SSH_KEY", s.KeyFile)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"pluginmirror": pluginMirror, "disk": diskCommand},
		Condition: func(cond string) (bool, error) {
			return cond == "long" && os.Getenv("KILN_TEST_LONG") != "" || cond == "race" && raceFlag != "" || cond == "root" && os.Geteuid() == 0, nil
		},
	})
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
