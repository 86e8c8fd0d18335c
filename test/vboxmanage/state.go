//go:build unix

package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kiln/driver/lock"
)

// registry is all that VirtualBox knows of a user.
type registry struct {
	Machines  []*machine
	Media     []*medium
	ExtraData map[string]string
	Folder    string // of new machines

	dir    string
	unlock func()
}

type machine struct {
	Name, UUID, OSType string
	Dir                string // where its settings are
	config
	ExtraData map[string]string
	Guest     map[string]string // guest properties
	Shared    map[string]string // shared folders: name to path
	Snapshots []*snapshot       // in the order in which they were taken
	Current   string            // UUID of the current snapshot
	State     string            // poweroff, running, paused, saved
	Changed   time.Time         // when the state became that
	Busy      int               // process that works on it; 0: none
	Linger    int               // how many calls yet find it locked after it went off
}

// config is what a snapshot keeps, beside the disks.
type config struct {
	Settings    map[string]string // of modifyvm, and of createvm
	Controllers []*controller
	Rules       []rule // of the first card's NAT
}

type controller struct {
	Name, Bus, Chip string
	Ports           int
	Slots           map[string]*slot // "PORT-DEVICE"
}

// slot is a device that is attached, with what is in it.
type slot struct {
	Type   string // hdd, dvddrive, fdd
	Medium string // path; empty: nothing is in the drive
	Flags  map[string]string
}

type medium struct {
	Path, UUID, Kind, Format string
	Size                     int64 // MiB
}

type rule struct {
	Name, Proto, HostIP, HostPort, GuestIP, GuestPort string
}

func (r rule) String() string {
	return strings.Join([]string{r.Name, r.Proto, r.HostIP, r.HostPort, r.GuestIP, r.GuestPort}, ",")
}

type snapshot struct {
	Name, UUID, Parent, Description string
	Config                          config
	Disks                           map[string]string // path of a disk to its copy
}

// home is the folder of the registry.
func home() string {
	if dir := os.Getenv("VBOX_USER_HOME"); dir != "" {
		return dir
	}
	user, _ := os.UserHomeDir()
	return filepath.Join(user, ".config", "VirtualBox")
}

// open reads the registry and keeps other calls out until it is closed.
func open() (*registry, error) {
	r := &registry{dir: home()}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, err
	}
	return r, r.load()
}

// load locks the registry and reads it.
func (r *registry) load() error {
	unlock, err := lock.File(context.Background(), filepath.Join(r.dir, "lock"))
	if err != nil {
		return err
	}
	fresh := &registry{dir: r.dir, unlock: unlock}
	text, err := os.ReadFile(r.path())
	if err == nil {
		err = json.Unmarshal(text, fresh)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		unlock()
		return fmt.Errorf("registry %s: %w", r.path(), err)
	}
	if fresh.ExtraData == nil {
		fresh.ExtraData = map[string]string{}
	}
	user, _ := os.UserHomeDir()
	fresh.Folder = cmp.Or(fresh.Folder, filepath.Join(user, "VirtualBox VMs"))
	*r = *fresh
	for _, m := range r.Machines {
		m.look()
	}
	return nil
}

func (r *registry) path() string { return filepath.Join(r.dir, "VirtualBox.json") }

// save writes the registry, whole or not at all.
func (r *registry) save() error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	part := r.path() + "-" + strconv.Itoa(os.Getpid())
	if err := os.WriteFile(part, text, 0o600); err != nil {
		return err
	}
	return os.Rename(part, r.path())
}

func (r *registry) close() {
	if r.unlock != nil {
		r.unlock()
		r.unlock = nil
	}
}

// working does what takes long, with the registry open to other calls and the machine
// locked to them.
func (r *registry) working(m *machine, work func() error) error {
	m.Busy = os.Getpid()
	if err := r.save(); err != nil {
		return err
	}
	uuid := m.UUID
	r.close()
	err := work()
	if loadErr := r.load(); loadErr != nil {
		return errors.Join(err, loadErr)
	}
	if now := r.byUUID(uuid); now != nil {
		now.Busy = 0
		err = errors.Join(err, r.save())
	}
	return err
}

func newUUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails, see its documentation
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// look finds out whether a running machine has gone off by itself.
func (m *machine) look() {
	if (m.State == "running" || m.State == "paused") && !m.alive() {
		m.become("poweroff")
		m.Linger, _ = strconv.Atoi(os.Getenv("STANDIN_LINGER"))
	}
	if !m.running() && m.alive() {
		m.become("running") // who started it was killed before that was written down
	}
	if m.Busy != 0 && ended(m.Busy) {
		m.Busy = 0 // it died at its work
	}
}

// ended reports whether a process has ended, also where nobody has asked for that yet.
func ended(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, ok := strings.Cut(string(text), ") ")
	return err == nil && ok && strings.HasPrefix(rest, "Z")
}

func (m *machine) become(state string) { m.State, m.Changed = state, time.Now().UTC() }

func (m *machine) running() bool { return m.State == "running" || m.State == "paused" }

func (r *registry) byUUID(uuid string) *machine {
	for _, m := range r.Machines {
		if m.UUID == uuid {
			return m
		}
	}
	return nil
}

// machine finds a machine by its name or UUID.
func (r *registry) machine(name string) (*machine, error) {
	for _, m := range r.Machines {
		if m.Name == name || m.UUID == strings.Trim(name, "{}") {
			return m, nil
		}
	}
	return nil, refuse(notFound, "Could not find a registered machine named '%s'", name)
}

// mutable finds a machine that may be changed: nothing holds it.
func (r *registry) mutable(name string) (*machine, error) {
	m, err := r.machine(name)
	if err != nil {
		return nil, err
	}
	if m.Linger > 0 {
		m.Linger--
		if err := r.save(); err != nil {
			return nil, err
		}
		return nil, m.isLocked()
	}
	if m.running() || m.Busy != 0 {
		return nil, m.isLocked()
	}
	return m, nil
}

func (m *machine) isLocked() error {
	return refuse(locked, "The machine '%s' is already locked for a session (or being unlocked)", m.Name)
}

// medium finds a medium by its path or UUID.
func (r *registry) medium(name string) *medium {
	abs, err := filepath.Abs(name)
	if err != nil {
		abs = name
	}
	for _, m := range r.Media {
		if m.Path == abs || m.UUID == strings.Trim(name, "{}") {
			return m
		}
	}
	return nil
}

// user names the machine that a medium is attached to; nil: none.
func (r *registry) user(path string) *machine {
	for _, m := range r.Machines {
		for _, c := range m.Controllers {
			for _, s := range c.Slots {
				if s.Medium == path {
					return m
				}
			}
		}
	}
	return nil
}

// forget takes media out of the registry that nothing is attached to any more.
func (r *registry) forget(path string) {
	r.Media = slices.DeleteFunc(r.Media, func(m *medium) bool { return m.Path == path })
}

// injected answers with a fault that a test wants.
func injected(args []string) error {
	path := os.Getenv("STANDIN_FAULTS")
	if path == "" {
		return nil
	}
	unlock, err := lock.File(context.Background(), path+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, line := range lines {
		fields := strings.SplitN(line, "\t", 3)
		if len(fields) < 3 {
			continue
		}
		left, err := strconv.Atoi(fields[0])
		if err != nil || left == 0 {
			continue
		}
		if ok, err := regexp.MatchString(fields[1], strings.Join(args, " ")); err != nil || !ok {
			continue
		}
		lines[i] = fmt.Sprintf("%d\t%s\t%s", left-1, fields[1], fields[2])
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			return err
		}
		return &fault{text: fields[2]}
	}
	return nil
}
