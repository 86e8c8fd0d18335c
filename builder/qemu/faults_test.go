package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"kiln"
	"kiln/communicator/ssh"
	"kiln/kilntest"
)

// over changes a brief builder to one that connects over SSH, and waits so long for it.
func over(c *Builder, timeout time.Duration) {
	way := c.Connectors["ssh"].(*ssh.Config)
	way.Username, way.Password, way.Timeout = "root", "x", timeout
	c.Communicator = "ssh"
}

// bake makes a build and ends it as the engine does.
func bake(t *testing.T, c *Builder) (*kiln.Artifact, *kilntest.Recorder, error) {
	t.Helper()
	b, r := kilntest.NewBuild(t)
	a, err := func() (*kiln.Artifact, error) {
		m, err := c.Start(t.Context(), b)
		if err != nil {
			return nil, err
		}
		way, err := m.Connect(t.Context())
		if err != nil {
			return nil, err
		}
		defer way.Close()
		return m.Capture(t.Context())
	}()
	if closeErr := b.Close(t.Context()); closeErr != nil {
		t.Error(closeErr)
	}
	if open := r.Balance(); err != nil && len(open) != 0 {
		t.Errorf("the journal has %v", open)
	}
	return a, r, err
}

// What goes wrong with a machine is told with what is known of it, and leaves nothing.
func TestFaults(t *testing.T) {
	dir := bench(t)
	if err := os.WriteFile("empty.raw", make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	for name, c := range map[string]struct {
		change func(c *Builder)
		want   []string
	}{
		"no SSH": {func(c *Builder) {
			c.Firmware = "./silent"
			over(c, time.Second)
		}, []string{"Timeout waiting for SSH", "(the machine runs)", "last lines of the serial console", "I am up"}},
		"a disk that does not boot": {func(c *Builder) {
			c.Firmware, c.DiskImage, c.SkipResize, c.ISO.URL, c.Memory = "", true, true, "empty.raw", 32
			over(c, time.Second)
		}, []string{"Timeout waiting for SSH", "nothing was written to the serial console"}},
		"off too early": {func(c *Builder) { over(c, time.Hour) },
			[]string{"the machine went off before it could be connected to", "(the emulator has ended)", "hello"}},
		"it does not go off": {func(c *Builder) { c.Firmware, c.Shutdown.Timeout = "./silent", time.Second },
			[]string{"Failed to shutdown", "(the machine runs)", "I am up"}},
		"no such card": {func(c *Builder) { c.NetDevice = "no-such-card" },
			[]string{"Error launching VM: Qemu failed to start: qemu-system-x86_64: exit status 1:",
				"'no-such-card' is not a valid device model name"}},
		"no emulator": {func(c *Builder) { c.Binary = "qemu-system-nope" },
			[]string{`Failed creating Qemu driver: exec: "qemu-system-nope": executable file not found in $PATH`}},
		"no firmware": {func(c *Builder) { c.EFI, c.EFICode, c.EFIVars = true, "/nowhere/code", "/nowhere/vars" },
			[]string{"cannot be used: stat /nowhere/"}},
		"VNC port taken": {func(c *Builder) { c.VNCPortMin, c.VNCPortMax = port, port },
			[]string{"Error finding port", "vnc_port_min and vnc_port_max", fmt.Sprint(port)}},
		"shrinking": {func(c *Builder) {
			c.DiskImage, c.ISO.URL, c.DiskSize = true, "empty.raw", "64K"
		}, []string{"Error creating hard drive: QemuImg error: ", "--shrink"}},
		"no screen": {func(c *Builder) {
			c.VNCUsePassword = false
			c.Boot.BootCommand, c.Boot.BootWait, c.Firmware = []string{"a"}, -1, "./silent"
			c.Args = append(c.Args, []string{"-vnc", "none"})
		}, []string{"Error connecting to VNC: ", "(the machine runs)"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := brief(t)
			c.change(b)
			_ = b.Validate() // some of it is what it refuses
			_, _, err := bake(t, b)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if all := left(t, dir); len(all) != 1 || !strings.HasSuffix(all[0], "empty.raw") {
				t.Errorf("left: %v", all)
			}
		})
	}
}

// A folder that is there is left alone.
func TestOutputExists(t *testing.T) {
	bench(t)
	if err := os.MkdirAll("output-test/mine", 0o755); err != nil {
		t.Fatal(err)
	}
	_, r, err := bake(t, brief(t))
	if err == nil || !strings.Contains(err.Error(), "Output directory 'output-test' already exists. It must not exist.") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat("output-test/mine"); err != nil || r.Owns() != 0 {
		t.Errorf("%v, %d things were owned before that was seen", err, r.Owns())
	}
}

// Where a program takes the port between our look and the emulator's, another one is found.
func TestPortTakenMeanwhile(t *testing.T) {
	bench(t)
	c := brief(t)
	over(c, time.Hour)
	c.Firmware = "./silent"
	if c.Boot.DisableVNC = true; c.Ports.Min == 0 {
		c.Ports.Min, c.Ports.Max = 2222, 4444
	}
	b, r := kilntest.NewBuild(t)
	var taken net.Listener
	defer func() {
		if taken != nil {
			taken.Close()
		}
	}()
	r.OnOwn = func(_ int, res kiln.Resource) error {
		said := r.Texts(kiln.EventSay)
		for _, line := range said {
			var port int
			// All addresses are what the emulator takes the port on.
			if n, _ := fmt.Sscanf(line, "Found port for communicator (SSH, WinRM, etc): %d.", &port); n == 1 && taken == nil {
				taken, _ = net.Listen("tcp", fmt.Sprintf(":%d", port))
			}
		}
		return nil
	}
	m, err := c.Start(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(r.Texts(kiln.EventSay), "\n")
	if taken == nil || !strings.Contains(said, "A port was taken by another program meanwhile") ||
		strings.Count(said, "Found port for communicator") != 2 {
		t.Errorf("%v; it said %s", taken, said)
	}
	if got := m.(*machine).hostPort; taken != nil && got == taken.Addr().(*net.TCPAddr).Port {
		t.Errorf("it has the port %d", got)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Eight at once: each has ports, files and a screen of its own.
func TestEightAtOnce(t *testing.T) {
	dir := bench(t)
	type result struct {
		m   *machine
		err error
	}
	results := make(chan result)
	for n := range 8 {
		go func() {
			c := brief(t)
			over(c, time.Hour)
			c.Firmware, c.Output.Directory = "./silent", fmt.Sprintf("out%d", n)
			b, _ := kilntest.NewBuild(t)
			m, err := c.Start(context.Background(), b)
			if err != nil {
				results <- result{err: err}
				return
			}
			results <- result{m: m.(*machine)}
		}()
	}
	seen := map[string]bool{}
	var errs []error
	var all []*machine
	for range 8 {
		r := <-results
		if errs = append(errs, r.err); r.err != nil {
			continue
		}
		all = append(all, r.m)
		for _, one := range []string{
			fmt.Sprint("port ", r.m.hostPort), fmt.Sprint("port ", r.m.screen.Number), fmt.Sprint("port ", r.m.httpPort),
			r.m.cd, r.m.floppy, r.m.tpm, r.m.mainDisk(), r.m.qmp,
		} {
			if seen[one] {
				t.Errorf("two have %s", one)
			}
			seen[one] = true
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	for _, m := range all {
		if !m.vm.Running() {
			t.Errorf("%s has ended", m.output.Path)
		}
		if err := m.b.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if found := left(t, dir); len(found) != 0 {
		t.Errorf("left: %v", found)
	}
}
