package vm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kiln"
	"kiln/kilntest"
	"kiln/media/port"
)

func TestHostPortsCheck(t *testing.T) {
	for _, c := range []struct {
		ports HostPorts
		want  string // errors and warnings, as far as they matter
	}{
		{HostPorts{}, ""},
		{HostPorts{Min: 2222, Max: 2222}, ""},
		{HostPorts{Min: 5000}, "host_port_min must be less than host_port_max"},
		{HostPorts{Min: -1}, "host_port_min must be positive"},
		{HostPorts{Max: 70000}, "host_port_max must be a port, at most 65535, not 70000"},
		{HostPorts{OldMax: 2000}, "ssh_host_port_max is deprecated and is being replaced by host_port_max. Please, update " +
			"your template to use host_port_max. In future versions of Packer, inclusion of ssh_host_port_max will error " +
			"your builds.\nhost_port_min must be less than host_port_max"},
		{HostPorts{Min: 9000, OldMin: 3000}, "ssh_host_port_min is deprecated"},
	} {
		err := c.ports.Check(true)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", c.ports, err, c.want)
		}
	}
	if err := (&HostPorts{OldMin: 3000}).Check(false); err != nil {
		t.Errorf("the old name is not to be warned of: %v", err)
	}
	if low, high := (&HostPorts{Min: 1, Max: 2, OldMin: 3, OldMax: 4}).ports(); low != 3 || high != 4 {
		t.Errorf("old names give %d to %d", low, high)
	}
}

// some is n ports in a row that are free now, as far as this test alone goes.
func some(t *testing.T, n int) port.Range {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		low := l.Addr().(*net.TCPAddr).Port
		all := []net.Listener{l}
		for i := 1; i < n; i++ {
			if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", low+i)); err != nil {
				break
			}
			all = append(all, l)
		}
		for _, l := range all {
			l.Close()
		}
		if len(all) == n {
			return port.Range{Low: low, High: low + n - 1, Address: "127.0.0.1", For: "the test", Fields: "min and max"}
		}
	}
	t.Fatal("no free ports")
	return port.Range{}
}

// A port is one build's alone until it is given back, though nobody listens on it.
func TestReserve(t *testing.T) {
	t.Setenv("PACKER_CACHE_DIR", t.TempDir())
	wanted := some(t, 3)
	seen := map[int]bool{}
	var last *Port
	for range 3 {
		b, _ := kilntest.NewBuild(t)
		p, err := Reserve(t.Context(), b, wanted)
		if err != nil {
			t.Fatal(err)
		}
		if seen[p.Number] || p.Number < wanted.Low || p.Number > wanted.High {
			t.Errorf("port %d of %v again", p.Number, seen)
		}
		seen[p.Number], last = true, p
	}
	// The fourth waits until one of them is given back.
	b, r := kilntest.NewBuild(t)
	got := make(chan *Port)
	go func() {
		p, err := Reserve(t.Context(), b, wanted)
		if err != nil {
			t.Error(err)
		}
		got <- p
	}()
	kilntest.Eventually(t, "it says that it waits", func() bool { return len(r.Texts(kiln.EventSay)) == 1 })
	if err := last.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := <-got; p == nil || p.Number != last.Number {
		t.Errorf("it got %v, want %d", p, last.Number)
	}
	if open := r.Balance(); len(open) != 1 || open[0].Kind != kiln.KindServer {
		t.Errorf("the journal has %v", open)
	}
	if err := b.Close(t.Context()); err != nil || len(r.Balance()) != 0 {
		t.Errorf("%v; the journal has %v", err, r.Balance())
	}
}

func TestNoneFree(t *testing.T) {
	t.Setenv("PACKER_CACHE_DIR", t.TempDir())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	number := l.Addr().(*net.TCPAddr).Port
	for _, c := range []struct{ address, want string }{
		{"127.0.0.1", fmt.Sprintf("Error finding port: all ports from %d to %[1]d on 127.0.0.1 are taken: "+
			"give more of them by host_port_min and host_port_max", number)},
		{"192.0.2.1", "Error finding port: listen tcp 192.0.2.1:"},
	} {
		b, r := kilntest.NewBuild(t)
		ports := HostPorts{Min: number, Max: number}
		if _, err := ports.Reserve(t.Context(), b, c.address); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
		if len(r.Balance()) != 0 {
			t.Errorf("the journal has %v", r.Balance())
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PACKER_CACHE_DIR", file)
	b, _ := kilntest.NewBuild(t)
	if _, err := Reserve(t.Context(), b, some(t, 1)); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a cache that is a file: %v", err)
	}
}

// TestMain lets the test program be a process that has a port until its input ends.
func TestMain(m *testing.M) {
	var low, high int
	if n, _ := fmt.Sscan(os.Getenv("VM_TEST_PORTS"), &low, &high); n == 2 {
		b := kiln.NewBuild(kiln.Build{Name: "child"}, kiln.Host{})
		p, err := (&HostPorts{Min: low, Max: high}).Reserve(context.Background(), b, "127.0.0.1")
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.Number)
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Another process has its ports until it ends, also where it is killed, whose lock stays.
func TestOtherProcess(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("PACKER_CACHE_DIR", cache)
	wanted := some(t, 1)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("VM_TEST_PORTS=%d %d", wanted.Low, wanted.High))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var number int
	if _, err := fmt.Fscan(out, &number); err != nil || number != wanted.Low {
		t.Fatalf("the other process has port %d: %v", number, err)
	}
	b, r := kilntest.NewBuild(t)
	got := make(chan error)
	go func() {
		_, err := Reserve(t.Context(), b, wanted)
		got <- err
	}()
	kilntest.Eventually(t, "it says that it waits", func() bool { return len(r.Texts(kiln.EventSay)) == 1 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		t.Errorf("the other process ended with %v", err)
	}
	if _, err := os.Stat(filepath.Join(cache, "port", fmt.Sprint(number))); err != nil {
		t.Error(err)
	}
}
