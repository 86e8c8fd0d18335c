package qemu

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"kiln/kilntest"
)

// needEmulator skips a test where QEMU is not installed.
func needEmulator(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath(Program)
	kilntest.Require(t, "qemu", err)
}

// The probe's firmware runs: with the emulator alone it counts and says so.
func TestProbeROM(t *testing.T) {
	needEmulator(t)
	rom := filepath.Join(t.TempDir(), "rom")
	if err := os.WriteFile(rom, probeROM(1000), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), Program, "-accel", "tcg", "-nodefaults", "-no-user-config",
		"-display", "none", "-m", "16", "-bios", rom, "-debugcon", "stdio")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 1)
	if _, err := out.Read(said); err != nil || said[0] != '.' {
		t.Errorf("the guest says %q, %v", said, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// The probe comes to an answer on every machine, leaves nothing, and is asked once.
func TestAccelerate(t *testing.T) {
	needEmulator(t)
	t.Setenv("TMPDIR", t.TempDir())
	b, r := kilntest.NewBuild(t)
	a, err := Accelerate(t.Context(), b, Program)
	if err != nil {
		t.Fatal(err)
	}
	if a.Name != "kvm" && (a.Name != "tcg" || a.Why == "") {
		t.Errorf("got %+v", a)
	}
	t.Logf("this machine: %+v", a)
	if open := r.Balance(); len(open) != 0 {
		t.Errorf("left: %v", open)
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	owns := r.Owns()
	for range 2 {
		if again, err := Accelerate(t.Context(), b, Program); err != nil || again != a {
			t.Errorf("asked again: %+v, %v", again, err)
		}
		clear(answered) // as another process
	}
	if unfit(Program) == "" && r.Owns() != owns {
		t.Error("a guest was asked again")
	}
}

func TestUnfit(t *testing.T) {
	for _, program := range []string{"qemu-system-sparc", "/opt/bin/qemu-system-m68k"} {
		if why := unfit(program); why == "" {
			t.Errorf("%s under kvm", program)
		}
	}
}
