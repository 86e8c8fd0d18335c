//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience is how long a guest's process may take for what it does at once as a rule.
const patience = 60 * time.Second

func startVM(r *registry, args []string) error {
	g, names, err := flags{
		values: []string{"type", "putenv"}, short: map[string]string{"-E": "putenv"}, max: 1,
	}.parse(args)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return usage("at least one VM name or uuid required")
	}
	if g.has("type") {
		if err := oneOf("frontend type", g.get("type"), "gui", "sdl", "headless", "separate"); err != nil {
			return err
		}
	}
	m, err := r.mutable(names[0])
	if err != nil {
		return err
	}
	fmt.Printf("Waiting for VM %q to power on...\n", m.Name)
	if err := m.start(); err != nil {
		return refuse(failed, "%v", err)
	}
	m.become("running")
	fmt.Printf("VM %q has been successfully started.\n", m.Name)
	return nil
}

// alive reports whether the guest's process is there: as long as it lives it holds a lock.
func (m *machine) alive() bool {
	f, err := os.OpenFile(m.in("alive"), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

func (m *machine) in(name string) string { return filepath.Join(m.Dir, name) }

// start starts the guest's process, which goes on when this one ends.
func (m *machine) start() error {
	command, err := m.command()
	if err != nil {
		return err
	}
	alive, err := os.OpenFile(m.in("alive"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer alive.Close()
	if err := syscall.Flock(int(alive.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("lock %s: %w", alive.Name(), err)
	}
	log, err := os.Create(m.in("qemu.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	_ = os.Remove(m.in("qmp")) // of the last start
	command.Stdout, command.Stderr = log, log
	command.ExtraFiles = []*os.File{alive}
	command.Dir = m.Dir // the path of a socket is short
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	deadline := time.Now().Add(patience)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		if q, err := dial(m.in("qmp")); err == nil {
			q.close()
			return nil
		}
		select {
		case <-ended:
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("The virtual machine '%s' has terminated unexpectedly during startup: %s",
				m.Name, strings.TrimSpace(string(text)))
		case <-time.After(pause):
		}
		if time.Now().After(deadline) {
			return errors.Join(errors.New("the guest's process does not answer"), command.Process.Kill())
		}
	}
}

// command is what runs the guest.
func (m *machine) command() (*exec.Cmd, error) {
	if os.Getenv("STANDIN_GUEST") != "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		var rules []string
		for _, r := range m.Rules {
			rules = append(rules, r.String())
		}
		cmd := exec.Command(self, guestWord, m.in("qmp"))
		cmd.Env = append(os.Environ(), "STANDIN_RULES="+strings.Join(rules, " "))
		return cmd, nil
	}
	args, err := m.qemu()
	if err != nil {
		return nil, err
	}
	return exec.Command("qemu-system-x86_64", args...), nil
}

// off ends the guest's process as pulling the plug does.
func (m *machine) off() error {
	deadline := time.Now().Add(patience)
	for pause := 5 * time.Millisecond; m.alive(); pause = min(2*pause, 100*time.Millisecond) {
		// One that has only just been started listens a moment later.
		q, err := dial(m.in("qmp"))
		if err == nil {
			err = q.do("quit", nil)
			q.close()
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("the guest of '%s' does not end", m.Name), err)
		}
		time.Sleep(pause)
	}
	m.become("poweroff")
	return nil
}

func controlVM(r *registry, args []string) error {
	if len(args) < 2 {
		return usage("Not enough parameters")
	}
	m, err := r.machine(args[0])
	if err != nil {
		return err
	}
	if !m.running() {
		return &fault{text: fmt.Sprintf("Machine '%s' is not currently running.", m.Name)}
	}
	word, rest := args[1], args[2:]
	if len(rest) > 0 && word != "keyboardputscancode" && word != "keyboardputstring" {
		return usage("Invalid parameter '%s'", rest[0])
	}
	switch word {
	case "poweroff":
		return m.off()
	case "acpipowerbutton":
		return m.tell("system_powerdown", nil)
	case "reset":
		return m.tell("system_reset", nil)
	case "pause":
		if m.State != "running" {
			return refuse(wrongState, "Invalid machine state: Paused (must be Running)")
		}
		m.become("paused")
		return m.tell("stop", nil)
	case "resume":
		if m.State != "paused" {
			return refuse(wrongState, "Machine in invalid state 5 -- Running")
		}
		m.become("running")
		return m.tell("cont", nil)
	case "keyboardputscancode":
		return m.typeCodes(r, rest)
	case "keyboardputstring":
		return usage("text is not typed here: give scan codes")
	}
	return usage("Invalid parameter '%s'", word)
}

func (m *machine) tell(command string, args any) error {
	q, err := dial(m.in("qmp"))
	if err != nil {
		return refuse(failed, "the guest of '%s' does not answer: %v", m.Name, err)
	}
	defer q.close()
	return q.do(command, args)
}
