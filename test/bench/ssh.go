//go:build unix

package main

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"kiln/kilntest"
)

// server is a real sshd on a loopback port.
type server struct {
	port int
	key  string
	args []string
	cmd  *exec.Cmd
}

func (b *bench) server() (*server, error) {
	dir := filepath.Join(b.dir, "sshd")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		return nil, err
	}
	for _, name := range []string{"host", "key"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			continue
		}
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
			filepath.Join(dir, name)).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ssh-keygen: %w: %s", err, out)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{port: ln.Addr().(*net.TCPAddr).Port, key: filepath.Join(dir, "key")}
	ln.Close()
	config := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/key.pub\n"+
		"StrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\nUseDNS no\nMaxSessions 40\n"+
		"Subsystem sftp internal-sftp\n", s.port, dir, dir)
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	s.args = []string{"-D", "-e", "-f", filepath.Join(dir, "config")}
	return s, nil
}

func (s *server) start() error {
	s.cmd = exec.Command("/usr/sbin/sshd", s.args...)
	return s.cmd.Start()
}

func (s *server) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *server) wait() error {
	for range 500 {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err == nil {
			return conn.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("sshd does not listen")
}

// template is one that both programs run.
func (s *server) template(port int, provisioners string) string {
	return fmt.Sprintf(
		`{"builders":[{"type":"null","ssh_host":"127.0.0.1","ssh_port":%d,"ssh_username":"root","ssh_private_key_file":%q}],"provisioners":[%s]}`,
		port,
		s.key,
		provisioners,
	)
}

// sshCommand is the plain tool for the same connection.
func (s *server) sshCommand(port int) string {
	return fmt.Sprintf("ssh -p %d -i %s -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o "+
		"LogLevel=ERROR -o IdentitiesOnly=yes root@127.0.0.1", port, s.key)
}

func (b *bench) ssh() error {
	s, err := b.server()
	if err != nil {
		return err
	}
	if err := s.start(); err != nil {
		return err
	}
	defer s.stop()
	if err := s.wait(); err != nil {
		return err
	}
	relay, err := kilntest.NewRelay(fmt.Sprintf("127.0.0.1:%d", s.port), 5*time.Millisecond)
	if err != nil {
		return err
	}
	defer relay.Close()
	if err := b.input(); err != nil {
		return err
	}
	for _, path := range []struct {
		name string
		port int
	}{{"loopback", s.port}, {"relay of 10 ms", relay.Port()}} {
		if err := b.steps(s, path.name, path.port); err != nil {
			return err
		}
		if err := b.tree(s, path.name, path.port); err != nil {
			return err
		}
	}
	return b.large(s)
}

// steps times twenty scripts that do nothing, less a build without any.
func (b *bench) steps(s *server, name string, port int) error {
	step := `{"type":"shell","inline":["true"]}`
	if err := b.write("none.json", s.template(port, "")); err != nil {
		return err
	}
	if err := b.write("twenty.json", s.template(port, strings.TrimSuffix(strings.Repeat(step+",", 20),
		","))); err != nil {
		return err
	}
	none1, none2, err := b.pair(nil, []string{*kiln, "build", "none.json"},
		[]string{*packer, "build", "none.json"})
	if err != nil {
		return err
	}
	all1, all2, err := b.pair(nil, []string{*kiln, "build", "twenty.json"},
		[]string{*packer, "build", "twenty.json"})
	if err != nil {
		return err
	}
	row("a shell step running true, over SSH, "+name, (all1.wall-none1.wall)/20, (all2.wall-none2.wall)/20,
		"<= 0.25")
	return nil
}

func (b *bench) input() error {
	for i := range 2000 {
		if err := b.write(fmt.Sprintf("tree/f%d", i), strings.Repeat(string(rune('a'+i%26)), 4096)); err != nil {
			return err
		}
	}
	big := make([]byte, 256<<20)
	if _, err := rand.Read(big); err != nil {
		return err
	}
	return b.write("big.bin", string(big))
}

// tree times 2,000 files of 4 KiB: the whole build beside the plain tools on the
// same path, and beside Packer.
func (b *bench) tree(s *server, name string, port int) error {
	to := filepath.Join(b.dir, "guest")
	clear := func() error {
		if err := os.RemoveAll(to); err != nil {
			return err
		}
		return os.Mkdir(to, 0o755)
	}
	if err := b.write("tree.json",
		s.template(port, fmt.Sprintf(`{"type":"file","source":"tree","destination":%q}`, to))); err != nil {
		return err
	}
	plain := []string{"sh", "-c", fmt.Sprintf("tar -cf - tree | %s 'tar -xf - -C %s'", s.sshCommand(port), to)}
	x, y, err := b.pair(clear, []string{*kiln, "build", "tree.json"}, plain)
	if err != nil {
		return err
	}
	row("2,000 files of 4 KiB up, beside tar | ssh tar x, "+name, x.wall, y.wall, "<= 1.3")
	keep := *rounds
	*rounds = 1 // Packer takes half a minute over the relay
	_, z, err := b.pair(clear, nil, []string{*packer, "build", "tree.json"})
	*rounds = keep
	if err != nil {
		return err
	}
	row("  the same beside packer, "+name, x.wall, z.wall, "relay: <= 0.1")
	return nil
}

// large times one file of 256 MiB.
func (b *bench) large(s *server) error {
	to := filepath.Join(b.dir, "big.copy")
	clear := func() error { os.Remove(to); return nil }
	if err := b.write("big.json",
		s.template(s.port, fmt.Sprintf(`{"type":"file","source":"big.bin","destination":%q}`, to))); err != nil {
		return err
	}
	plain := []string{"sh", "-c", fmt.Sprintf("%s 'cat > %s' <big.bin", s.sshCommand(s.port), to)}
	x, y, err := b.pair(clear, []string{*kiln, "build", "big.json"}, plain)
	if err != nil {
		return err
	}
	row("one file of 256 MiB up, beside ssh cat >, loopback", x.wall, y.wall, "<= 1.1")
	return nil
}

// ready times how long after it begins to listen a server is noticed.
func (b *bench) ready() error {
	s, err := b.server()
	if err != nil {
		return err
	}
	if err := b.write("ready.json", s.template(s.port, "")); err != nil {
		return err
	}
	var late []sample
	for range *rounds {
		done := make(chan error, 1)
		var end time.Time
		go func() {
			_, err := b.once(*kiln, "build", "ready.json")
			end = time.Now()
			done <- err
		}()
		time.Sleep(1500 * time.Millisecond)
		if err := s.start(); err != nil {
			return err
		}
		if err := s.wait(); err != nil {
			return err
		}
		listening := time.Now()
		err := <-done
		s.stop()
		if err != nil {
			return err
		}
		late = append(late, sample{wall: end.Sub(listening)})
	}
	// The same with the server there from the start: what the build takes anyway.
	if err := s.start(); err != nil {
		return err
	}
	defer s.stop()
	if err := s.wait(); err != nil {
		return err
	}
	x, _, err := b.pair(nil, []string{*kiln, "build", "ready.json"}, nil)
	if err != nil {
		return err
	}
	fmt.Printf("%-58s %10s %10s %8s   %s\n", "a ready sshd is noticed after",
		max(0, median(late).wall-x.wall).Round(time.Millisecond), "-", "-", "< 200ms")
	return nil
}
