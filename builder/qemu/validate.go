package qemu

import (
	"cmp"
	"errors"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"kiln"
)

// choices are the fields that take one of a few words, and what is said of others.
var choices = []struct {
	field string
	of    func(c *Builder) *string
	words []string
	wrong string
}{
	{"format", func(c *Builder) *string { return &c.Format }, []string{"qcow2", "raw"},
		"invalid format, only 'qcow2' or 'raw' are allowed"},
	{"disk_interface", func(c *Builder) *string { return &c.DiskInterface },
		[]string{"virtio", "ide", "sata", "scsi", "sd", "virtio-scsi"}, "unrecognized disk interface type"},
	{"disk_cache", func(c *Builder) *string { return &c.DiskCache },
		[]string{"writeback", "writethrough", "none", "unsafe", "directsync"}, "unrecognized disk cache type"},
	{"disk_discard", func(c *Builder) *string { return &c.DiskDiscard },
		[]string{"ignore", "unmap"}, "unrecognized disk discard type"},
	{"disk_detect_zeroes", func(c *Builder) *string { return &c.DetectZeroes },
		[]string{"off", "unmap", "on"}, "unrecognized disk detect zeroes setting"},
}

var accelerators = []string{"", "none", "kvm", "tcg", "xen", "hax", "hvf", "whpx"}

var sizes = regexp.MustCompile(`(?i)^[0-9]+[bkmgt]?$`)

// Validate reports all that is wrong, and fills in what follows from other fields.
func (c *Builder) Validate() error {
	c.fill()
	if c.SkipCache {
		c.ISO.Checksum = "none"
	}
	errs := []error{
		c.Config.Check(false), c.ISO.Check(), c.HTTP.Validate(), c.Floppy.Validate(), c.CD.Validate(),
		c.Boot.Check(), c.Ports.Check(true),
	}
	wrong := func(field, format string, args ...any) {
		errs = append(errs, kiln.Invalid(field, format, args...))
	}
	for _, one := range choices {
		if !slices.Contains(one.words, *one.of(c)) {
			wrong(one.field, "%s (known are %s)", one.wrong, strings.Join(one.words, ", "))
		}
	}
	if !slices.Contains(accelerators, c.Accelerator) {
		wrong("accelerator",
			"invalid accelerator, only 'kvm', 'tcg', 'xen', 'hax', 'hvf', 'whpx', or 'none' are allowed")
	}
	if !sizes.MatchString(c.DiskSize) {
		wrong("disk_size", "Invalid disk size.")
	}
	for _, size := range c.MoreDisks {
		if !sizes.MatchString(size) {
			errs = append(errs, kiln.Caution("disk_additional_size",
				"%q may not be a size that qemu-img takes: it takes digits and one of b, k, M, G and T", size))
		}
	}
	for _, one := range []struct {
		field string
		n     int
	}{{"cpus", c.CPUs}, {"sockets", c.Sockets}, {"cores", c.Cores}, {"threads", c.Threads}} {
		if one.n < 0 {
			wrong(one.field, "%s must be a positive number", one.field)
		}
	}
	if c.UseBacking && (!c.DiskImage || c.Format != "qcow2") {
		wrong("use_backing_file", "use_backing_file can only be enabled for QCOW2 images and when disk_image is true")
	}
	if c.SkipResize && !c.DiskImage {
		wrong("skip_resize_disk", "skip_resize_disk can only be used when disk_image is true")
	}
	if c.NetBridge != "" && runtime.GOOS != "linux" {
		wrong("net_bridge", "net_bridge is only supported in Linux based OSes")
	}
	errs = append(errs, c.checkScreen()...)
	errs = append(errs, c.checkArgs()...)
	return errors.Join(errs...)
}

// fill gives fields what they have where the template says nothing, or too little.
func (c *Builder) fill() {
	for _, one := range choices {
		*one.of(c) = cmp.Or(*one.of(c), one.words[0])
	}
	c.DiskSize = size(c.DiskSize)
	if c.Memory < leastMemory {
		c.Memory = usualMemory
	}
	if c.Format == "raw" {
		c.SkipCompaction, c.Compress = true, false
	}
	c.SkipCompaction = c.SkipCompaction || c.UseBacking
	if c.EFICode != "" || c.EFIVars != "" {
		c.EFI = true
	}
	if c.EFI {
		c.EFICode, c.EFIVars = cmp.Or(c.EFICode, usualEFICode), cmp.Or(c.EFIVars, usualEFIVars)
	}
	c.VNCPortMin, c.VNCPortMax = cmp.Or(c.VNCPortMin, firstVNC), cmp.Or(c.VNCPortMax, 6000)
}

// size is a size as qemu-img takes it.
func size(text string) string {
	if text == "" || text == "0" {
		return usualSize
	}
	if last := text[len(text)-1]; last >= '0' && last <= '9' {
		return text + "M"
	}
	return text
}

func (c *Builder) checkScreen() []error {
	var errs []error
	if c.VNCPortMin < firstVNC {
		errs = append(errs, kiln.Invalid("vnc_port_min", "vnc_port_min cannot be below 5900"))
	}
	if c.VNCPortMin > lastPort || c.VNCPortMax > lastPort {
		errs = append(errs, kiln.Invalid("vnc_port_max",
			"vmc_port_min and vnc_port_max must both be below 65535 to be valid TCP ports"))
	}
	if c.VNCPortMin > c.VNCPortMax {
		errs = append(errs, kiln.Invalid("vnc_port_min", "vnc_port_min must be less than vnc_port_max"))
	}
	if c.VNCUsePassword && len(c.VNCPassword) > passwordSize {
		errs = append(errs, kiln.Invalid("vnc_password",
			"Error finding VNC password: password length is longer than expected %d > %d", len(c.VNCPassword),
			passwordSize))
	}
	if c.VNCPassword != "" && !c.VNCUsePassword {
		errs = append(errs, kiln.Caution("vnc_password", "vnc_password has no effect without vnc_use_password"))
	}
	return errs
}

// checkArgs refuses rows that no command line can have.
func (c *Builder) checkArgs() []error {
	var errs []error
	for i, row := range c.Args {
		switch {
		case len(row) == 0:
			errs = append(errs, kiln.Invalid("qemuargs", "row %d is empty: it must begin with a switch", i+1))
		case row[0] == "-daemonize" || row[0] == "--daemonize":
			errs = append(errs, kiln.Invalid("qemuargs",
				"-daemonize is refused: an emulator that goes into the background could not be watched, and ended"))
		}
	}
	return errs
}
