package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"kiln"
	"kiln/communicator"
	"kiln/communicator/ssh"
	"kiln/internal/home"
	"kiln/internal/journal"
	"kiln/internal/template/interpolate"
	"kiln/schema"
	"kiln/vm/boot"
)

type bootFlags struct {
	build     string // of a manifest
	user      string
	key       string
	password  string
	scripts   texts
	keep      bool
	timeout   time.Duration
	cloudInit bool

	memory        int
	cpus          int
	cpuModel      string
	machineType   string
	accelerator   choice
	efi           optionalBool
	efiCode       string
	efiVars       string
	diskInterface choice
	netDevice     string
	program       string
}

// accelerators are those of the emulator; "": what is worth using here.
var accelerators = []string{"", "kvm", "tcg", "xen", "hax", "hvf", "whpx", "none"}

func (f *bootFlags) define(fs *flag.FlagSet) {
	f.accelerator = choice{"", accelerators}
	f.diskInterface = choice{"virtio", []string{"virtio", "virtio-scsi", "ide", "scsi", "sata"}}
	fs.StringVar(&f.user, "ssh-username", "",
		"log in as `USER`; root where a key or password is given, else kiln, whom cloud-init makes")
	fs.StringVar(&f.key, "ssh-private-key-file", "", "a key that the image lets in, `FILE`")
	fs.StringVar(&f.password, "ssh-password", "", "the user's `PASSWORD` in the image")
	fs.BoolVar(&f.cloudInit, "cloud-init", true, "give the guest a CD with data for cloud-init")
	fs.Var(&f.scripts, "script", "run the script in `FILE` in the guest; may be repeated")
	fs.BoolVar(&f.keep, "keep", false, "leave the machine running, and say how to connect and to end it")
	fs.DurationVar(&f.timeout, "timeout", 5*time.Minute, "wait no longer than `DURATION` for SSH")
	fs.StringVar(&f.build, "build", "", "of a manifest, the image of the build `NAME`")
	fs.IntVar(&f.memory, "memory", 1024, "memory in `MIB`")
	fs.IntVar(&f.cpus, "cpus", 2, "number `N` of processors")
	fs.StringVar(&f.cpuModel, "cpu-model", "", "kind of processor, a `NAME` that QEMU knows")
	fs.StringVar(&f.machineType, "machine-type", "pc", "kind of machine, a `NAME` that QEMU knows, such as q35")
	fs.Var(&f.accelerator, "accelerator", "run instructions by `NAME`: kvm, tcg, xen, hax, hvf, whpx or none;\n"+
		"default kvm where a guest is quick with it, else tcg")
	fs.Var(&f.efi, "efi", "boot by EFI, or with =false by BIOS; default: as the disk looks")
	fs.StringVar(&f.efiCode, "efi-firmware-code", "", "the EFI firmware's `FILE`")
	fs.StringVar(&f.efiVars, "efi-firmware-vars", "", "the `FILE` of the EFI firmware's variables, which is copied")
	fs.Var(&f.diskInterface, "disk-interface", "attach the disks as `KIND`: virtio, virtio-scsi, ide, scsi or sata;\n"+
		"default virtio")
	fs.StringVar(&f.netDevice, "net-device", "virtio-net", "kind of network card, a `NAME` that QEMU knows")
	fs.StringVar(&f.program, "qemu-binary", "qemu-system-x86_64", "the emulator: a `NAME` on PATH, or a path")
}

var bootCommand = &command{
	name: "boot", usage: "[options] IMAGE [-- COMMAND [ARGUMENT...]]", synopsis: "start a captured image and run commands in it",
	about: "Starts a captured disk in QEMU, waits for SSH, runs what is given, and takes it all\n" +
		"down. The image is not changed: what the machine writes is thrown away. The exit\n" +
		"code is the command's; without one it says whether the image starts.\n" +
		"IMAGE is a disk (qcow2, raw, vmdk, vdi, vhd), an OVA or OVF, a vagrant box, a folder\n" +
		"with one of these, or a manifest of builds, whose Docker images are run as well.\n" +
		"A COMMAND of one word is a line for the guest's shell.",
	run: func(ctx context.Context, p *program, c *call) error {
		p.aside = true // standard output is the command's
		var f bootFlags
		var words []string
		if i := slices.Index(c.args, "--"); i >= 0 {
			words, c.args = c.args[i+1:], c.args[:i]
		}
		if err := c.parse(p, f.define, 1, 1); err != nil {
			return err
		}
		if err := f.check(); err != nil {
			return err
		}
		return p.boot(ctx, &f, c.args[0], words)
	},
}

// check refuses what cannot be meant.
func (f *bootFlags) check() error {
	var errs []error
	if f.user != "" && !boot.UserName(f.user) && f.cloudInit && !f.loggedIn() {
		errs = append(errs, fmt.Errorf("-ssh-username: cloud-init cannot make a user of the name %q", f.user))
	}
	if !f.cloudInit && !f.loggedIn() {
		errs = append(errs, errors.New("without cloud-init nobody is let in but by what is in the image: "+
			"give -ssh-private-key-file or -ssh-password"))
	}
	if f.cpus < 1 {
		errs = append(errs, fmt.Errorf("-cpus: a machine has 1 processor or more, not %d", f.cpus))
	}
	if f.memory < 16 {
		errs = append(errs, fmt.Errorf("-memory: it is in MiB, and %d are too few", f.memory))
	}
	if f.timeout <= 0 {
		errs = append(errs, fmt.Errorf("-timeout: %s is no time in which a machine could start", f.timeout))
	}
	for _, script := range f.scripts {
		if info, err := os.Stat(script); err != nil {
			errs = append(errs, fmt.Errorf("-script: %w", err))
		} else if info.IsDir() {
			errs = append(errs, fmt.Errorf("-script: %s is a folder", script))
		}
	}
	return errors.Join(errs...)
}

// loggedIn reports whether the image lets us in by something that is given.
func (f *bootFlags) loggedIn() bool { return f.key != "" || f.password != "" }

// bootCloseTime bounds taking a machine down.
const bootCloseTime = time.Minute

// boot starts an image, runs what is to run in it, and takes it down.
func (p *program) boot(ctx context.Context, f *bootFlags, path string, words []string) error {
	dir, err := home.Open()
	if err != nil {
		return err
	}
	from, err := readImage(path, f.build)
	if err != nil {
		return err
	}
	p.redactor.Add(f.password)
	ctx, hard, stop := p.signals(ctx)
	defer stop()
	run := runID(p.start)
	j := journal.New(filepath.Join(dir, "journal"), run, from.path)
	b := kiln.NewBuild(
		kiln.Build{Run: run, Name: "boot", Source: "boot", Type: from.kind, Component: "boot", Home: dir},
		kiln.Host{Emit: p.bootEvent, Journal: j, Hide: p.redactor.Add, Render: renderPlain},
	)
	machine, err := p.startImage(ctx, b, f, from)
	if err == nil {
		err = p.useMachine(ctx, b, f, machine, words)
	}
	kept := f.keep && machine != nil && ctx.Err() == nil
	if kept {
		err = errors.Join(err, machine.sayKept(p, b))
	} else {
		closing, cancel := context.WithTimeout(context.WithoutCancel(hard), bootCloseTime)
		stopClosing := context.AfterFunc(hard, cancel)
		closeErr := b.Close(closing)
		stopClosing()
		cancel()
		if closeErr != nil {
			closeErr = fmt.Errorf("%w; `%s cleanup %s` tries again", closeErr, p.name, run)
		}
		err = errors.Join(err, closeErr)
	}
	if closeErr := j.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("journal: %w", closeErr))
	}
	return err
}

// bootEvent shows what happens, beside what the command prints.
func (p *program) bootEvent(e kiln.Event) {
	switch {
	case e.Text == "":
	case e.Kind == kiln.EventProgress:
		if len(e.Data) > 1 { // how far the way in has been found
			p.say("  %s", e.Text)
		}
	default:
		p.say("%s", e.Text)
	}
}

// renderPlain renders {{ }} text that is the program's own.
func renderPlain(_ *kiln.Build, text string, vars map[string]any) (string, error) {
	return interpolate.RenderStable(text, &interpolate.Context{Data: vars})
}

// booted is a machine that was started from an image.
type booted struct {
	kiln.Booted
	vm      *boot.Machine // nil: it is none of QEMU's
	user    string
	keyFile string // by which a person gets in
	kept    *ssh.KeyPair
}

// startImage starts a machine from an image.
func (p *program) startImage(ctx context.Context, b *kiln.Build, f *bootFlags, from *bootImage) (*booted, error) {
	if from.booter != nil {
		machine, err := from.booter.Boot(ctx, b, from.artifact)
		if err != nil {
			return nil, err
		}
		return &booted{Booted: machine}, nil
	}
	image, err := boot.Find(ctx, b, from.files...)
	if err != nil {
		return nil, err
	}
	c := boot.Config{
		Program: f.program, MachineType: f.machineType, Accelerator: f.accelerator.value, CPUModel: f.cpuModel,
		CPUs: f.cpus, Memory: f.memory, DiskInterface: f.diskInterface.value, NetDevice: f.netDevice,
		EFICode: f.efiCode, EFIVars: f.efiVars, Lasting: f.keep,
	}
	if f.efi.set {
		c.EFI = &f.efi.value
	}
	m := &booted{user: f.user, keyFile: f.key}
	if m.user == "" {
		if m.user = "kiln"; f.loggedIn() {
			m.user = "root"
		}
	}
	if f.cloudInit {
		c.Seed = &boot.Seed{Instance: "kiln-" + b.Run}
		if !f.loggedIn() {
			if m.kept, err = ssh.NewKeyPair("", 0, "kiln-boot"); err != nil {
				return nil, err
			}
			c.Seed.User, c.Seed.Key = m.user, m.kept.Public
			c.Keys = []string{m.kept.Private}
		}
	}
	way, err := f.way(m.user)
	if err != nil {
		return nil, err
	}
	c.Connect = way.Connect
	if m.vm, err = boot.Start(ctx, b, image, c); err != nil {
		return nil, err
	}
	m.Booted = m.vm
	return m, nil
}

// way is how the guest is connected to.
func (f *bootFlags) way(user string) (*communicator.Config, error) {
	c := new(ssh.Config)
	schema.Defaults(c)
	c.Username, c.Password, c.PrivateKeyFile, c.Timeout = user, f.password, f.key, f.timeout
	if f.loggedIn() {
		// Who is in the image already is there when its server is.
		c.HandshakeAttempts = 10
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &communicator.Config{Communicator: "ssh", Connectors: map[string]kiln.Connector{"ssh": c}}, nil
}

// sayKept tells how to get into a machine that goes on, and how to end it.
func (m *booted) sayKept(p *program, b *kiln.Build) error {
	p.say("The machine goes on.")
	if m.vm != nil {
		if m.kept != nil {
			m.keyFile = filepath.Join(m.vm.Dir(), "key")
			if err := os.WriteFile(m.keyFile, []byte(m.kept.Private), 0o600); err != nil {
				return fmt.Errorf("keep the key: %w", err)
			}
		}
		p.say("  connect:      %s", m.vm.Login(m.user, m.keyFile))
		p.say("  its console:  %s", m.vm.Console())
	}
	p.say("  take it down: %s cleanup %s", p.name, b.Run)
	p.say("(%s cleanup without a run's name takes it down as well.)", p.name)
	return nil
}
