package kilntest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// SSHD is a real SSH server on a loopback port, with a host key and a client key
// of its own.
type SSHD struct {
	Port    int
	User    string
	KeyFile string // private key of the client
	Dir     string

	t    testing.TB
	args []string
	cmd  *exec.Cmd
}

const sshdPath = "/usr/sbin/sshd"

// StartSSHD starts a server. Further lines go into its configuration.
func StartSSHD(t testing.TB, lines ...string) *SSHD {
	t.Helper()
	s := NewSSHD(t, lines...)
	s.Start()
	return s
}

// NewSSHD prepares a server and does not start it.
func NewSSHD(t testing.TB, lines ...string) *SSHD {
	t.Helper()
	_, err := os.Stat(sshdPath)
	Require(t, "sshd", err)
	dir := t.TempDir()
	s := &SSHD{User: "root", Dir: dir, KeyFile: filepath.Join(dir, "key"), t: t, Port: FreePort(t)}
	for _, name := range []string{"host", "key"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name)).CombinedOutput(); err != nil {
			Require(t, "sshd", fmt.Errorf("ssh-keygen: %w: %s", err, out))
		}
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		Require(t, "sshd", err)
	}
	pub, err := os.ReadFile(s.KeyFile + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	s.write("authorized", string(pub))
	s.write(
		"config",
		strings.Join(
			append(
				[]string{
					"Port " + strconv.Itoa(s.Port),
					"ListenAddress 127.0.0.1",
					"HostKey " + filepath.Join(dir, "host"),
					"AuthorizedKeysFile " + filepath.Join(
						dir,
						"authorized",
					),
					"StrictModes no",
					"UsePAM no",
					"PermitRootLogin yes",
					"PidFile none",
					"MaxSessions 40",
					"MaxStartups 200",
					"UseDNS no",
					"Subsystem sftp internal-sftp",
				},
				lines...),
			"\n",
		)+"\n",
	)
	s.args = []string{"-D", "-e", "-f", filepath.Join(dir, "config")}
	t.Cleanup(s.Stop)
	return s
}

func (s *SSHD) write(name, text string) {
	if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// Start starts the server and waits until it listens.
func (s *SSHD) Start() {
	s.t.Helper()
	s.Launch()
	Eventually(s.t, "sshd listens", func() bool {
		conn, err := net.Dial("tcp", s.Addr())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// Launch starts the server and does not wait.
func (s *SSHD) Launch() {
	s.t.Helper()
	s.cmd = exec.Command(sshdPath, s.args...)
	s.cmd.SysProcAttr = endWithUs()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// Addr is where it listens.
func (s *SSHD) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// Stop ends the server with all its connections.
func (s *SSHD) Stop() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	s.KillConnections()
	s.cmd.Process.Kill()
	s.cmd.Wait()
	s.cmd = nil
}

// KillConnections kills the processes that serve connections, and leaves the
// server.
func (s *SSHD) KillConnections() {
	// All of them are looked up first: children of one that died get another
	// parent. What they run is left to end by itself.
	pids := children(strconv.Itoa(s.cmd.Process.Pid))
	for _, pid := range pids {
		pids = append(pids, children(pid)...)
	}
	for _, pid := range pids {
		n, err := strconv.Atoi(pid)
		if err != nil {
			continue
		}
		if p, err := os.FindProcess(n); err == nil {
			_ = p.Kill() // it may have ended by itself
		}
	}
}

// children lists the sshd processes that a process started.
func children(pid string) []string {
	out, _ := exec.Command("pgrep", "-P", pid, "-x", "sshd").Output()
	return strings.Fields(string(out))
}

// FreePort is a port of the loopback interface on which nobody listens.
func FreePort(t testing.TB) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}
