package kiln

import (
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ScriptVars are the variables of a script that runs for a build: those that
// every script gets, then a list of KEY=VALUE, then a map; later ones win.
func ScriptVars(b *Build, data map[string]any, list []string, env map[string]string) map[string]string {
	all := map[string]string{"PACKER_BUILD_NAME": b.Source, "PACKER_BUILDER_TYPE": b.Type}
	for name, key := range map[string]string{"PACKER_HTTP_ADDR": "PackerHTTPAddr", "PACKER_HTTP_IP": "PackerHTTPIP", "PACKER_HTTP_PORT": "PackerHTTPPort"} {
		if v, ok := data[key]; ok && !strings.HasPrefix(fmt.Sprint(v), "ERR_") {
			all[name] = fmt.Sprint(v)
		}
	}
	for _, kv := range list {
		name, value, _ := strings.Cut(kv, "=")
		all[name] = value
	}
	for name, value := range env {
		all[name] = value
	}
	return all
}

// RandomName is n random characters that can stand in any name: lower-case
// letters and digits.
func RandomName(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, see its documentation
	for i := range b {
		b[i] = letters[b[i]%32]
	}
	return string(b)
}

// ProcessResource names a running process so that it can be told from a later one
// with the same number. It leads a process group; what is left of that when it
// has ended itself is known by the run's identifier in the environment.
func ProcessResource(pid int) (Resource, error) {
	start, err := ProcessStart(pid)
	return Resource{Kind: KindProcess, ID: strconv.Itoa(pid), Attrs: map[string]string{"start": start, "run": os.Getenv(RunVariable)}}, err
}

// RunVariable is the environment variable with the run's identifier, which every
// child process inherits.
const RunVariable = "PACKER_RUN_UUID"

// ProcessStart is when a process started, in the kernel's own count (field 22 of
// /proc/PID/stat), which tells two processes with the same number apart.
func ProcessStart(pid int) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The second field is the program's name in brackets and may hold anything.
	rest := string(text)
	if i := strings.LastIndex(rest, ") "); i >= 0 {
		rest = rest[i+2:]
	}
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return "", fmt.Errorf("/proc/%d/stat has an unknown form", pid)
	}
	return fields[19], nil
}
