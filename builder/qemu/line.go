package qemu

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"kiln"
	"kiln/driver/qemu"
	"kiln/media/port"
)

// screens are the ports that the screen may be shown on.
func (m *machine) screens() port.Range {
	return port.Range{
		Low: m.cfg.VNCPortMin, High: m.cfg.VNCPortMax, Address: m.cfg.VNCAddress,
		For: "the machine's screen (VNC)", Fields: "vnc_port_min and vnc_port_max",
	}
}

// maxSocket is how long the path of a socket may be.
const maxSocket = 107

// qmpSocket is where others find the emulator's monitor; "": nowhere.
func (m *machine) qmpSocket() (string, error) {
	if !m.cfg.QMPEnable && m.cfg.NetBridge == "" && !m.cfg.VNCUsePassword {
		return "", nil
	}
	path := m.cfg.QMPSocket
	if path == "" {
		path = filepath.Join(m.output.Path, m.name+".monitor")
	}
	if len(path) <= maxSocket {
		return path, nil
	}
	if m.cfg.QMPEnable {
		return "", kiln.Invalid("qmp_socket_path", "the path of the QMP socket has %d bytes, and may have %d: %s",
			len(path), maxSocket, path)
	}
	return "", nil // nobody asked for it, and we have a line of our own
}

// commandLine is that of the emulator, with what the template puts in the place of it.
func (m *machine) commandLine() (qemu.Switches, error) {
	h, err := m.hardware()
	if err != nil {
		return nil, err
	}
	if len(m.cfg.Args) == 0 {
		return qemu.Override(h.Switches(), nil, h.NetDevice)
	}
	m.b.Say("Overriding default Qemu arguments with qemuargs template option...")
	vars := map[string]any{
		"HTTPIP": m.httpIP, "HTTPPort": m.httpPort, "HTTPDir": m.cfg.HTTP.Directory,
		"HTTPContent": m.cfg.HTTP.Content, "OutputDir": m.output.Path, "Name": m.name, "SSHHostPort": m.hostPort,
	}
	if m.cfg.NetBridge != "" {
		vars["SSHHostPort"] = 0
	}
	var rows [][]string
	for _, row := range m.cfg.Args {
		row = slices.Clone(row)
		for i := range row {
			if row[i], err = m.b.Render(row[i], vars); err != nil {
				return nil, fmt.Errorf("Error processing QemuArgs: %w", err)
			}
		}
		rows = append(rows, row)
	}
	return qemu.Override(h.Switches(), rows, h.NetDevice)
}

// hardware is the machine as the fields describe it.
func (m *machine) hardware() (*qemu.Hardware, error) {
	c := m.cfg
	qmp, err := m.qmpSocket()
	if err != nil {
		return nil, err
	}
	m.qmp = qmp
	h := &qemu.Hardware{
		Name: m.name, MachineType: c.MachineType, Accelerator: m.accelerator, Memory: c.Memory, CPUModel: c.CPUModel,
		CPUs: c.CPUs, Sockets: c.Sockets, Cores: c.Cores, Threads: c.Threads,
		Disks: m.diskPaths(),
		Disk: qemu.DiskKind{
			Interface: c.DiskInterface, Cache: c.DiskCache, Discard: c.DiskDiscard, DetectZeroes: c.DetectZeroes,
			Format: c.Format,
		},
		CDs: m.cds(), CDDrive: c.CDInterface, Floppy: m.floppy,
		BIOS: c.Firmware, Pflash: c.UsePflash, EFICode: c.EFICode, EFIVars: m.efiVars,
		Network: m.network(), NetDevice: c.NetDevice, Display: c.display(), VGA: c.VGA,
		VNC: fmt.Sprintf("%s:%d", c.VNCAddress, m.screen.Number-firstVNC),
		QMP: m.qmp, TPM: m.tpm, TPMDevice: c.TPMDevice,
	}
	if c.VNCUsePassword {
		h.VNC += ",password"
	}
	switch {
	case c.EFI:
	case c.DiskImage || m.chain.on != nil:
		h.Boot = "c"
	default:
		h.Boot = "once=d"
	}
	return h, nil
}

// display is the kind of window; "": nothing is said of it.
func (c *Builder) display() string {
	switch {
	case c.Headless:
		return ""
	case c.Display != "" && c.Display != "none":
		return c.Display
	case c.UseDefaultDisplay:
		return ""
	}
	return "gtk"
}

// network is how the card is connected.
func (m *machine) network() string {
	switch {
	case m.cfg.NetBridge != "":
		return "bridge,id=user.0,br=" + qemu.File(m.cfg.NetBridge)
	case m.guestPort == 0:
		return "user,id=user.0"
	}
	return fmt.Sprintf("user,id=user.0,hostfwd=tcp::%d-:%d", m.hostPort, m.guestPort)
}

// cds are the CDs in the drives: the installer's first.
func (m *machine) cds() []string {
	var all []string
	if !m.cfg.DiskImage {
		all = append(all, m.iso)
	}
	if m.cd != "" {
		all = append(all, m.cd)
	}
	return all
}

// announce says what is started, and where it can be looked at.
func (m *machine) announce() {
	if m.accelerator == "none" {
		m.b.Say("WARNING: The VM will be started with no hardware acceleration.\n" +
			"The installation may take considerably longer to finish.\n")
	}
	if m.cfg.DiskImage {
		m.b.Say("Starting VM, booting disk image")
	} else {
		m.b.Say("Starting VM, booting from CD-ROM")
	}
	if !m.cfg.Headless {
		return
	}
	how, with := "via VNC without a password to", ""
	if m.cfg.VNCUsePassword {
		how, with = "via VNC to", fmt.Sprintf(" with\nthe password: %s", m.password)
	}
	m.b.Say("The VM will be run headless, without a GUI. If you want to\nview the screen of the VM, connect %s\n"+
		"vnc://%s:%d%s", how, m.cfg.VNCAddress, m.screen.Number, with)
}

// monitor tells the emulator what its command line cannot say.
func (m *machine) monitor(ctx context.Context) error {
	if m.qmp != "" {
		m.b.Say("QMP socket at: %s", m.qmp)
	}
	if !m.cfg.VNCUsePassword || m.vm.Monitor == nil {
		return nil
	}
	err := m.vm.Monitor.SetVNCPassword(ctx, m.password)
	select {
	case <-m.vm.Monitor.Gone():
		return nil // it has ended, which is no matter of its screen
	default:
	}
	if err != nil {
		return fmt.Errorf("set the password of the screen: %w", err)
	}
	return nil
}
