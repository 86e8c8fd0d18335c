package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"kiln"
	"kiln/communicator"
	"kiln/driver/qemu"
	"kiln/driver/vnc"
	"kiln/media/bootcommand"
	"kiln/vm"
)

// machine is a running emulator, and what was made for it.
type machine struct {
	cfg  *Builder
	b    *kiln.Build
	name string

	iso, floppy, cd string // files that it starts from
	accelerator     string
	output          *vm.Output
	tpm             string // socket
	efiVars         string // its own
	httpIP          string
	httpPort        int
	guestPort       int      // that the communicator wants; 0: none
	hostPort        int      // of this machine that leads there
	forwarded       *vm.Port // the same, where it was looked for
	screen          *vm.Port
	password        string // of the screen
	qmp             string // socket for others
	key             communicator.Key
	clearKey        bool // take it out of the guest again

	disk  string // that it writes to, where that is not the image
	chain chain
	last  *kiln.Artifact // what was made last, where that would be made again; nil: it is not

	vm    *qemu.Machine
	begun chan struct{} // closed when vm is set
	way   kiln.Communicator

	mu     sync.Mutex
	broken error // what makes the machine useless
}

// told looks out for what no guest can go on after.
func (m *machine) told(e qemu.Event) {
	if e.Name != "BLOCK_IO_ERROR" {
		return
	}
	var data struct {
		NoSpace   bool   `json:"nospace"`
		Reason    string `json:"reason"`
		Operation string `json:"operation"`
		Action    string `json:"action"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil || data.Action != "stop" {
		return // the guest hears of it, and decides
	}
	err := fmt.Errorf("the machine was stopped, as a disk of it could not be used (%s: %s)", data.Operation, data.Reason)
	if data.NoSpace {
		err = fmt.Errorf("the machine was stopped, as there is no space left for its disk in %s (%s)", m.output.Path,
			data.Reason)
	}
	m.lose(err)
}

// lose gives a machine up that is of no use any more.
func (m *machine) lose(err error) {
	m.mu.Lock()
	first := m.broken == nil
	if first {
		m.broken = err
	}
	m.mu.Unlock()
	if first {
		m.b.Error("%v", err)
		// It would wait for ever, and all that waits for it.
		go func() {
			<-m.begun
			_ = m.vm.Kill(context.Background())
		}()
	}
}

// why is why the machine cannot be used any more; nil: it is not known.
func (m *machine) why() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.broken
}

// errEnded is the end of a machine that was to go on.
var errEnded = errors.New("the machine went off before it could be connected to")

// ended is the error of a machine that went off.
func (m *machine) ended() error {
	if err := m.why(); err != nil {
		return err
	}
	if err := m.vm.Wait(context.Background()); err != nil {
		return m.vm.Explain(err)
	}
	return m.vm.Explain(errEnded)
}

// while does what takes time as long as the machine runs.
func (m *machine) while(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-m.vm.Done():
			cancel(errEnded)
		case <-done:
		}
	}()
	err := do(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errEnded) {
		return m.ended()
	}
	return err
}

// typeAt types the boot command.
func (m *machine) typeAt(ctx context.Context) error {
	if m.chain.on != nil {
		return nil // that was done before its layer was kept
	}
	err := m.while(ctx, func(ctx context.Context) error {
		if err := m.cfg.Boot.WaitForBoot(ctx, m.b); err != nil || m.cfg.Boot.Silent() {
			return err
		}
		addr := net.JoinHostPort(m.cfg.VNCAddress, strconv.Itoa(m.screen.Number))
		m.b.Say("Connecting to VM via VNC (%s)", addr)
		client, err := vnc.Dial(ctx, addr, m.password)
		if err != nil {
			return err
		}
		pace := qemu.NewPace(ctx, m.vm)
		key := func(ctx context.Context, keysym uint32, down bool) error {
			if err := pace.Taken(ctx); err != nil {
				return err
			}
			if err := client.Key(ctx, keysym, down); err != nil {
				return err
			}
			return pace.Given(ctx)
		}
		err = m.cfg.Boot.Run(ctx, m.b, key, bootcommand.Vars{
			HTTPIP: m.httpIP, HTTPPort: m.httpPort, Name: m.name, SSHPublicKey: m.publicKey(),
		})
		// All is typed when it has been read.
		if closeErr := client.Close(ctx); err == nil && ctx.Err() == nil {
			err = closeErr
		}
		return err
	})
	if err != nil && ctx.Err() == nil && m.vm.Running() {
		return m.vm.Explain(err)
	}
	return err
}

func (m *machine) publicKey() string {
	if m.key.Public == "" {
		return ""
	}
	return m.key.Public + "\n"
}

// Connect waits until the machine lets us in. One that need not run is not waited for.
func (m *machine) Connect(ctx context.Context) (kiln.Communicator, error) {
	if m.vm == nil {
		return m.later(), nil
	}
	if _, err := m.enter(ctx); err != nil {
		return m.way, err
	}
	return m.way, m.remember(ctx)
}

func (m *machine) enter(ctx context.Context) (kiln.Communicator, error) {
	switch {
	case m.guestPort == 0:
		m.b.Say("No communicator is configured -- skipping StepWaitGuestAddress")
	case m.cfg.NetBridge == "":
		m.b.Say("Not using a NetBridge -- skipping StepWaitGuestAddress")
	default:
		m.b.Say("Waiting for the guest address to become available in the %s network bridge...", m.cfg.NetBridge)
	}
	target := kiln.Target{
		Host: func(context.Context) (string, error) { return "127.0.0.1", nil },
		Port: m.hostPort, Keys: m.key.Privates(), Public: m.key.Public,
	}
	if m.cfg.NetBridge != "" {
		target.Host, target.Port = m.guestIP, m.guestPort
	}
	err := m.connect(ctx, target)
	return m.way, err
}

func (m *machine) connect(ctx context.Context, target kiln.Target) error {
	if m.guestPort == 0 { // there is nothing to wait for, and it may be off already
		var err error
		m.way, err = m.cfg.Config.Connect(ctx, m.b, target)
		return err
	}
	err := m.while(ctx, func(ctx context.Context) (err error) {
		m.way, err = m.cfg.Config.Connect(ctx, m.b, target)
		return err
	})
	if err != nil && ctx.Err() == nil && m.vm.Running() {
		return m.vm.Explain(err)
	}
	return err
}

// Capture shuts the machine down; its disks are the artifact.
func (m *machine) Capture(ctx context.Context) (*kiln.Artifact, error) {
	if m.last != nil {
		return m.last, nil
	}
	if err := m.turnOff(ctx); err != nil {
		return nil, err
	}
	if err := m.compact(ctx); err != nil {
		return nil, err
	}
	files, all, err := m.output.Release()
	if err != nil {
		return nil, err
	}
	if m.cfg.DropEFIVars && m.efiVars != "" {
		files = slices.DeleteFunc(files, func(f string) bool { return filepath.Clean(f) == filepath.Clean(m.efiVars) })
	}
	return &kiln.Artifact{
		Builder: "transcend.qemu", ID: "VM", Text: "VM files in directory: " + m.output.Path,
		Files: files, Resources: all, Data: m.b.Data(),
		Labels: map[string]string{
			"diskName": m.name, "diskType": m.cfg.Format, "diskSize": m.cfg.DiskSize, "domainType": m.accelerator,
		},
	}, nil
}

// turnOff ends the machine as an image: its disks are free when it returns.
func (m *machine) turnOff(ctx context.Context) error {
	if m.vm == nil { // it was off when its layer was kept
		m.disk = m.chain.store.disk(m.chain.on.Name)
		return m.copyEFIVars(ctx)
	}
	if m.clearKey {
		if err := m.key.Forget(ctx, m.b, m.way); err != nil {
			return err
		}
	}
	if err := m.shutDown(ctx); err != nil {
		return err
	}
	return m.keepOff(ctx)
}

// shutDown ends the machine: its disks are free when it returns.
func (m *machine) shutDown(ctx context.Context) error {
	err := m.cfg.Shutdown.Run(ctx, m.b, m.way, vm.Power{Off: m.vm.Done(), Halt: m.vm.Quit})
	switch {
	case m.why() != nil:
		return m.why()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return m.vm.Explain(err)
	}
	// Halting it has ended its process and all that is known of it.
	if err := m.vm.Wait(ctx); err != nil && m.cfg.Shutdown.Command != "" {
		return m.vm.Explain(err)
	}
	return nil
}
