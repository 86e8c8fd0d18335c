package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"kiln"
)

// An Accelerator is how the guest's instructions are run where a template does not say.
type Accelerator struct {
	Name string // kvm, or tcg: by the emulator alone
	Why  string // kvm is not used; empty where it is
}

// probing makes builds side by side wait for one answer.
var (
	probing  sync.Mutex
	answered = map[string]Accelerator{}
)

// Accelerate says what is worth using: kvm only if instructions of a real guest, run by
// the program, are as quick as they should be. A device that can be opened does not tell:
// where this machine is itself a guest, they may take a thousand times as long as without
// it. The answer is kept in the build's Home until this machine starts again.
func Accelerate(ctx context.Context, b *kiln.Build, program string) (Accelerator, error) {
	if why := unfit(program); why != "" {
		return Accelerator{"tcg", why}, nil
	}
	if runtime.GOARCH != "amd64" {
		return Accelerator{Name: "kvm"}, nil
	}
	probing.Lock()
	defer probing.Unlock()
	if a, ok := answered[program]; ok {
		return a, nil
	}
	note := noteOf(b.Home)
	a, ok := note.read(program)
	if !ok {
		var err error
		if a, err = probe(ctx, b, program); err != nil {
			return a, err
		}
		note.write(program, a)
	}
	answered[program] = a
	return a, nil
}

// ours are the emulators of each of our architectures.
var ours = map[string]string{
	"amd64": "x86_64 i386 kvm", "arm64": "aarch64 arm", "ppc64le": "ppc64", "s390x": "s390x", "riscv64": "riscv64",
}

// unfit says why kvm cannot be used, without asking a guest; "": it may be.
func unfit(program string) string {
	if runtime.GOOS != "linux" {
		return "kvm is on Linux only"
	}
	kind := program[strings.LastIndexAny(program, "-/")+1:]
	if strings.HasPrefix(filepath.Base(program), "qemu-system-") &&
		!strings.Contains(" "+ours[runtime.GOARCH]+" ", " "+kind+" ") {
		return fmt.Sprintf("this machine (%s) cannot run %s code by itself", runtime.GOARCH, kind)
	}
	device, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	switch {
	case errors.Is(err, os.ErrPermission):
		return "you may not use /dev/kvm: be in its group (kvm)"
	case errors.Is(err, os.ErrNotExist):
		return "there is no /dev/kvm: this machine has no hardware virtualization, or its kernel does not use it"
	case err != nil:
		return err.Error()
	}
	device.Close()
	return ""
}

const (
	turns      = 500_000         // of the probe's loop, each two instructions: a millisecond or two
	fastEnough = 2 * time.Second // for them, on a machine that is very busy
	startTime  = time.Minute     // for the emulator to begin
)

// probe lets a guest count, and takes the time that it needs.
func probe(ctx context.Context, b *kiln.Build, program string) (Accelerator, error) {
	dir, made, err := b.TempDir("kiln-probe-")
	if err != nil {
		return Accelerator{}, err
	}
	a, err := counted(ctx, b, program, dir)
	return a, errors.Join(err, b.Destroy(context.WithoutCancel(ctx), made))
}

func counted(ctx context.Context, b *kiln.Build, program, dir string) (Accelerator, error) {
	rom, log := filepath.Join(dir, "rom"), filepath.Join(dir, "log")
	if err := os.WriteFile(rom, probeROM(turns), 0o600); err != nil {
		return Accelerator{}, err
	}
	said := filepath.Join(dir, "said")
	var s Switches
	for _, one := range [][2]string{
		{"-accel", "kvm"}, {"-display", "none"}, {"-m", "16"}, {"-bios", rom}, {"-debugcon", "file:" + said},
	} {
		s.Add(one[0], one[1])
	}
	s = append(s, Switch{Name: "-nodefaults"}, Switch{Name: "-no-user-config"})
	starting, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("it did not begin in %s", startTime))
	defer cancel()
	m, err := Start(starting, b, Config{Program: program, Switches: s, Log: log})
	switch {
	case ctx.Err() != nil:
		return Accelerator{}, context.Cause(ctx)
	case err != nil:
		return Accelerator{"tcg", "the emulator does not start with kvm: " + err.Error()}, nil
	}
	a := Accelerator{Name: "kvm"}
	if !counts(ctx, said) {
		a = Accelerator{"tcg", fmt.Sprintf("a guest under kvm is far too slow here: it does not count to %d in %s",
			turns, fastEnough)}
	}
	// What cannot be ended, as the kernel does not let go of it, is in the journal.
	killing, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTime)
	defer cancel()
	if err := m.Kill(killing); err != nil || ctx.Err() != nil {
		return a, errors.Join(context.Cause(ctx), err)
	}
	return a, nil
}

// counts waits for the guest's word that it has counted.
func counts(ctx context.Context, said string) bool {
	ctx, cancel := context.WithTimeout(ctx, fastEnough)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		if text, err := os.ReadFile(said); err == nil && len(text) > 0 {
			return true
		}
		if kiln.Sleep(ctx, pause) != nil {
			return false
		}
	}
}

// probeROM is firmware that counts down from n, and says so on the port at which QEMU's
// debug console is. It counts in protected mode: real mode is emulated by some processors'
// kvm.
func probeROM(n uint32) []byte {
	const tables = 0x100 // where the descriptors are
	rom := make([]byte, 64<<10)
	code := []byte{
		0xfa,                                                     // cli
		0x66, 0x2e, 0x0f, 0x01, 0x16, tables & 0xff, tables >> 8, // lgdt cs:[tables]
		0x0f, 0x20, 0xc0, // mov eax, cr0
		0x0c, 0x01, // or al, 1
		0x0f, 0x22, 0xc0, // mov cr0, eax
		0x66, 0xea, 0x18, 0x00, 0xff, 0xff, 0x08, 0x00, // jmp 8:0xffff0018
		0xb9, byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), // mov ecx, n
		0x49, 0x75, 0xfd, // dec ecx; jnz -1
		0xb0, '.', 0xe6, 0xe9, // mov al, '.'; out 0xe9, al
		0xf4, 0xeb, 0xfd, // hlt; jmp -1
	}
	copy(rom, code)
	copy(rom[tables:], []byte{
		0x0f, 0x00, 0x08, 0x01, 0xff, 0xff, 0, 0, // limit, address 0xffff0108
		0, 0, 0, 0, 0, 0, 0, 0,
		0xff, 0xff, 0, 0, 0, 0x9a, 0xcf, 0, // all memory, to run
	})
	copy(rom[0xfff0:], []byte{0xe9, 0x0d, 0x00}) // where the processor begins: jmp 0
	return rom
}

// note is the file with the answers of this start of the machine.
type note struct{ path, boot string }

type noted struct {
	Boot    string                 `json:"boot"`
	Answers map[string]Accelerator `json:"answers"` // by the program's file
}

func noteOf(home string) note {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || home == "" {
		return note{}
	}
	return note{filepath.Join(home, "accelerator.json"), strings.TrimSpace(string(boot))}
}

// key tells a program from another of the same name, or a newer one.
func key(program string) string {
	path, err := exec.LookPath(program)
	if err != nil {
		return program
	}
	mark, err := kiln.Mark(path)
	if err != nil {
		return path
	}
	return path + " " + mark
}

func (n note) load() noted {
	var all noted
	if text, err := os.ReadFile(n.path); err != nil || json.Unmarshal(text, &all) != nil || all.Boot != n.boot {
		return noted{Boot: n.boot, Answers: map[string]Accelerator{}}
	}
	return all
}

func (n note) read(program string) (Accelerator, bool) {
	if n.path == "" {
		return Accelerator{}, false
	}
	a, ok := n.load().Answers[key(program)]
	return a, ok && a.Name != ""
}

// write keeps an answer; where that fails the next run asks again.
func (n note) write(program string, a Accelerator) {
	if n.path == "" {
		return
	}
	all := n.load()
	all.Answers[key(program)] = a
	if text, err := json.Marshal(all); err == nil {
		_ = kiln.WriteFile(n.path, append(text, '\n'), 0o600)
	}
}
