package qemu

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"kiln"
	"kiln/driver/local"
	"kiln/driver/lock"
	"kiln/driver/qemu"
)

// chain is what the machine stands on, and where its layers go.
type chain struct {
	store   store
	outside string // what a layer would not hold, in words; "": nothing known
	resumed int    // steps that the layer stands for
	steps   int    // of all
	on      *kept  // the layer that the disk stands on; nil: none
	work    string // folder of the disks that the machine works on; "": no layers are kept
	disks   int    // made there so far
	locked  func() // lets others remove what the machine stands on
	before  *running
	key     kiln.LayerKey // of the layer that the machine is to become when it is off
	took    time.Duration // the last checkpoint
}

// unheld says what of this template a layer would not hold; "": nothing is known.
func (c *Builder) unheld() string {
	login := c.Login()
	switch {
	case !c.converts():
		return "the disk is not converted when the machine is off, and would stand on its layers"
	case len(c.MoreDisks) > 0:
		return "the machine has several disks"
	case c.VTPM:
		return "the machine has a TPM"
	case c.SkipCache:
		return "what the machine starts from is not downloaded, so that nobody knows its content"
	case c.Communicator != "ssh":
		return "nothing can be run in the machine over SSH, to see what it does"
	case !login.Password && !login.KeyFile && !login.Agent:
		return "the machine lets in a key alone that is made for this build"
	}
	for _, text := range c.Boot.BootCommand {
		if strings.Contains(text, "SSHPublicKey") {
			return "the machine is given a key that is made for this build"
		}
	}
	return ""
}

// findLayer looks for the deepest layer of the machine.
func (m *machine) findLayer(ctx context.Context) (err error) {
	c := &m.chain
	if c.outside = m.cfg.unheld(); c.outside != "" {
		m.b.Layers("") // the reason is told where a layer would be kept
		return nil
	}
	if c.store, err = openStore(); err != nil {
		return err
	}
	content, err := c.store.content(ctx, m.iso)
	if err != nil {
		return fmt.Errorf("look at what the machine starts from: %w", err)
	}
	keys := m.b.Layers("disk " + content)
	if keys == nil {
		c.outside = "no layers are wanted"
		return nil
	}
	base, err := m.base()
	if err != nil {
		return err
	}
	c.steps = len(keys) - 1
	for n := len(keys) - 1; n > 0; n-- {
		if keys[n] == "" {
			continue
		}
		// What was shut down has done all, also what has to be done at the end alone.
		if l := c.store.find(keys[n], base); l != nil && (!l.Off || n == c.steps) {
			c.on, c.resumed = l, n
			return nil
		}
	}
	return nil
}

// base is the template's disk that the machine's stands on; "": it stands on none.
func (m *machine) base() (string, error) {
	if !m.cfg.DiskImage {
		return "", nil
	}
	return filepath.Abs(m.iso)
}

// holdable reports whether layers are kept, as far as is known.
func (m *machine) holdable() bool { return m.chain.outside == "" }

// FindLayer looks for the deepest layer, where what the machine starts from is here.
func (c *Builder) FindLayer(ctx context.Context, b *kiln.Build) (int, *kiln.Artifact, error) {
	m := &machine{cfg: c, b: b}
	if why := c.unheld(); why != "" {
		return 0, nil, errors.New(why)
	}
	m.iso = strings.TrimPrefix(c.ISO.Addresses()[0], "file://")
	if info, err := os.Stat(m.iso); err != nil || !info.Mode().IsRegular() {
		return 0, nil, errors.New("what the machine starts from is downloaded first")
	}
	if err := m.findLayer(ctx); err != nil {
		return 0, nil, err
	}
	last, err := m.lastThere()
	return m.chain.resumed, last, err
}

// lastThere is the artifact that this build made last, if that would be made again and is
// still there, where it would be put; nil: it is not.
func (m *machine) lastThere() (*kiln.Artifact, error) {
	last := m.b.Last(m.chain.resumed)
	if last == nil {
		return nil, nil
	}
	for _, part := range last.Parts() {
		if is, err := (local.Reaper{}).Stands(context.Background(), part); err != nil || !is {
			return nil, err
		}
	}
	return last, nil
}

// makeWork makes the folder of the disks, and takes hold of what they stand on.
func (m *machine) makeWork(ctx context.Context) error {
	c := &m.chain
	if err := os.MkdirAll(string(c.store), 0o700); err != nil {
		return err
	}
	work := filepath.Join(string(c.store), workPrefix+kiln.RandomName(12))
	_, err := local.MakeFolder(ctx, m.b, work, 0o700, func() {
		if c.locked != nil {
			c.locked()
		}
	})
	if err != nil {
		return fmt.Errorf("make a folder for the machine's disks: %w", err)
	}
	c.work = work
	if c.locked, err = lock.File(ctx, filepath.Join(work, lockFile)); err != nil {
		return err
	}
	return m.standOn(c.on)
}

// standOn notes what the machine stands on, so that nobody removes it.
func (m *machine) standOn(l *kept) error {
	c := &m.chain
	c.on = l
	if l == nil {
		return nil
	}
	if err := kiln.WriteFile(filepath.Join(c.work, standsFile), []byte(l.Name), 0o600); err != nil {
		return err
	}
	if !c.store.whole(l) || c.store.read(l.Name) == nil {
		return fmt.Errorf("the layer %s was removed meanwhile: build again", l.Key)
	}
	return nil
}

// nextDisk is the path of a further disk that the machine works on.
func (m *machine) nextDisk() string {
	m.chain.disks++
	return filepath.Join(m.chain.work, "disk-"+strconv.Itoa(m.chain.disks)+".qcow2")
}

// resumeDisk makes the main disk on the layer's.
func (m *machine) resumeDisk(ctx context.Context) error {
	_, err := qemu.Img(ctx, m.b, "create", "-f", "qcow2", "-b", m.chain.store.disk(m.chain.on.Name), "-F", "qcow2",
		m.mainDisk())
	if err != nil {
		return fmt.Errorf("make a disk on the layer: %w", err)
	}
	return nil
}

// Resumed is the number of steps that the layer stands for.
func (m *machine) Resumed() int { return m.chain.resumed }

// usualOverhead is what a checkpoint takes on a machine that is emulated without hardware.
const usualOverhead = 1500 * time.Millisecond

// Overhead is that of a look at what goes on in the guest and of a short pause, of which the
// last one tells.
func (m *machine) Overhead() time.Duration { return cmp.Or(m.chain.took, usualOverhead) }

// Checkpoint keeps the disk as it is now. Behind the last step the machine is shut down
// anyway, and its disk is kept when that is done.
func (m *machine) Checkpoint(ctx context.Context, key kiln.LayerKey, last bool) error {
	if m.chain.outside != "" {
		return fmt.Errorf("%s: %w", m.chain.outside, kiln.ErrNotKept)
	}
	if last {
		m.chain.key = key
		return nil
	}
	begin := time.Now()
	if err := m.while(ctx, func(ctx context.Context) error { return m.checkpoint(ctx, key) }); err != nil {
		return err
	}
	m.chain.took = time.Since(begin)
	return nil
}

func (m *machine) checkpoint(ctx context.Context, key kiln.LayerKey) error {
	device, size, err := m.device(ctx)
	if err != nil {
		return err
	}
	// What is written is on the disk when this returns.
	if err := m.quiet(ctx); err != nil {
		return err
	}
	part, err := m.newPart(ctx, key, false)
	if err != nil {
		return err
	}
	old, next := m.mainDisk(), m.nextDisk()
	if _, err := qemu.Img(ctx, m.b, "create", "-u", "-f", "qcow2", "-b", m.chain.store.disk(part.layer.Name),
		"-F", "qcow2", next, strconv.FormatInt(size, 10)); err != nil {
		return fmt.Errorf("make a disk on the layer: %w", err)
	}
	if err := m.snapshot(ctx, device, next, part); err != nil {
		return err
	}
	// The machine works on the new disk from here on: there is no way back.
	m.disk = next
	if err := m.publish(context.WithoutCancel(ctx), part, old); err != nil {
		m.lose(fmt.Errorf("the disk was not put into its place, and the machine cannot go on: %w", err))
		return m.why()
	}
	return nil
}

// device is how the emulator calls the main disk, and its size. What else it writes to a
// layer would not hold.
func (m *machine) device(ctx context.Context) (name string, size int64, err error) {
	if m.vm.Monitor == nil {
		return "", 0, errEnded
	}
	out, err := m.vm.Monitor.Execute(ctx, "query-block", nil)
	if err != nil {
		return "", 0, err
	}
	var all []struct {
		Device   string
		Inserted *struct {
			File     string
			ReadOnly bool `json:"ro"`
			Image    struct {
				Size int64 `json:"virtual-size"`
			}
		}
	}
	if err := json.Unmarshal(out, &all); err != nil {
		return "", 0, err
	}
	for _, one := range all {
		switch in := one.Inserted; {
		case in == nil || in.ReadOnly || in.File == m.floppy && m.floppy != "" || same(in.File, m.efiVars):
		case same(fileOf(in.File), m.mainDisk()) && name == "":
			name, size = one.Device, in.Image.Size
		default:
			return "", 0, fmt.Errorf("the machine writes to %s too: %w", fileOf(in.File), kiln.ErrNotKept)
		}
	}
	if name == "" {
		return "", 0, fmt.Errorf("the machine has another disk than the template's: %w", kiln.ErrNotKept)
	}
	return name, size, nil
}

// fileOf is the file of a disk, which the emulator describes where what it stands on was moved.
func fileOf(name string) string {
	text, described := strings.CutPrefix(name, "json:")
	if !described {
		return name
	}
	var image struct {
		File struct{ Filename string }
	}
	if err := json.Unmarshal([]byte(text), &image); err != nil || image.File.Filename == "" {
		return name
	}
	return image.File.Filename
}

// same reports whether two paths name one file.
func same(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// part is a layer that is being made.
type part struct {
	layer  kept
	folder kiln.Resource
}

func (m *machine) newPart(ctx context.Context, key kiln.LayerKey, off bool) (*part, error) {
	base, err := m.base()
	if err != nil {
		return nil, err
	}
	p := &part{layer: kept{
		Name: string(key) + "." + kiln.RandomName(8), Key: key, Base: base, Created: time.Now(), Off: off,
		Guest: m.way.Guest(), EFI: m.efiVars != "",
	}}
	if m.chain.on != nil {
		p.layer.On = m.chain.on.Name
	}
	p.folder, err = local.MakeFolder(ctx, m.b, filepath.Join(string(m.chain.store), "part-"+kiln.RandomName(12)),
		0o700, nil)
	return p, err
}

// snapshot lets the machine go on on another disk, and keeps what belongs to the old one. The
// machine stands still meanwhile.
func (m *machine) snapshot(ctx context.Context, device, next string, p *part) (err error) {
	q := m.vm.Monitor
	if err := q.Stop(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Continue(context.WithoutCancel(ctx))) }()
	if err := m.keepEFI(p); err != nil {
		return err
	}
	_, err = q.Execute(ctx, "blockdev-snapshot-sync", map[string]string{
		"device": device, "snapshot-file": next, "format": "qcow2", "mode": "existing",
	})
	return err
}

// keepEFI keeps the machine's EFI variables with a layer.
func (m *machine) keepEFI(p *part) error {
	if m.efiVars == "" {
		return nil
	}
	text, err := os.ReadFile(m.efiVars)
	if err == nil {
		err = os.WriteFile(filepath.Join(p.folder.ID, layerEFI), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep the EFI variables: %w", err)
	}
	return nil
}

// publish puts a disk that nobody writes to any more into the layer, which is whole from then on.
func (m *machine) publish(ctx context.Context, p *part, disk string) error {
	text, err := json.Marshal(p.layer)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(p.folder.ID, layerFile), text, 0o600); err != nil {
		return err
	}
	if err := os.Rename(disk, filepath.Join(p.folder.ID, layerDisk)); err != nil {
		return err
	}
	if err := os.Rename(p.folder.ID, filepath.Join(string(m.chain.store), p.layer.Name)); err != nil {
		return err
	}
	if err := m.b.Forget(p.folder); err != nil {
		return err
	}
	return errors.Join(m.standOn(&p.layer), m.removeOld(ctx, &p.layer))
}

// removeOld removes older layers of the same key, as far as nothing stands on them.
func (m *machine) removeOld(ctx context.Context, l *kept) error {
	all, err := m.chain.store.all()
	if err != nil {
		return err
	}
	for _, old := range all {
		if old.Key != l.Key || old.Name == l.Name {
			continue
		}
		if err := m.chain.store.remove(ctx, old, all); err != nil && !errors.Is(err, kiln.ErrConflict) {
			return err
		}
	}
	return nil
}

// keepOff keeps the disk of a machine that is off as a layer, from which it is converted.
func (m *machine) keepOff(ctx context.Context) error {
	if m.chain.key == "" {
		return nil
	}
	p, err := m.newPart(ctx, m.chain.key, true)
	if err == nil {
		err = m.keepEFI(p)
	}
	if err != nil {
		return fmt.Errorf("keep the layer after the last step: %w", err)
	}
	if err := m.publish(context.WithoutCancel(ctx), p, m.mainDisk()); err != nil {
		return fmt.Errorf("keep the layer after the last step: %w", err)
	}
	m.disk = m.chain.store.disk(p.layer.Name)
	return nil
}
