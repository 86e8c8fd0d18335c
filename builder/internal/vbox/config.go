// Package vbox has what the builders of VirtualBox's machines share: their options, and the
// steps from a machine that exists to what is exported of it. The facts are in
// docs/compat/builders-local.md, V1 to V8.
package vbox

import (
	"cmp"
	"errors"
	"slices"

	"kiln"
	"kiln/communicator"
	"kiln/media/bootcommand"
	"kiln/media/cd"
	"kiln/media/floppy"
	"kiln/media/httpd"
	"kiln/vm"
)

// Config is what a template may say to each of the builders.
type Config struct {
	communicator.Config `kiln:",squash"`

	Boot     bootcommand.Config `kiln:",squash"`
	HTTP     httpd.Config       `kiln:",squash"`
	Floppy   floppy.Config      `kiln:",squash"`
	CD       cd.Config          `kiln:",squash"`
	Ports    vm.HostPorts       `kiln:",squash"`
	Output   vm.OutputDirectory `kiln:",squash"`
	Shutdown vm.FullShutdown    `kiln:",squash"`

	// Old name of skip_nat_mapping.
	OldSkipNAT bool `kiln:"ssh_skip_nat_mapping"`
	// Name of what is exported, without an extension; the machine's name by default.
	OutputFilename string `kiln:"output_filename,late"`
	// What is exported: ovf, a descriptor with a file for each disk, or ova, all in one file.
	Format string `kiln:"format,default=ovf,late"`
	// Further arguments of the export, such as --manifest.
	ExportOpts []string `kiln:"export_opts,late"`
	// Show no window.
	Headless bool `kiln:"headless"`
	// Address of this machine that the remote desktop listens on.
	VRDPAddress string `kiln:"vrdp_bind_address,default=127.0.0.1"`
	// The lowest port of the remote desktop.
	VRDPMin int `kiln:"vrdp_port_min,default=5900"`
	// The highest port of the remote desktop.
	VRDPMax int `kiln:"vrdp_port_max,default=6000"`
	// Commands of VBoxManage to run before the machine starts, each a list of arguments. {{ .Name }},
	// {{ .HTTPIP }} and {{ .HTTPPort }} are known.
	VBoxManage [][]string `kiln:"vboxmanage,render=run"`
	// The same after the machine was shut down, before it is exported.
	VBoxManagePost [][]string `kiln:"vboxmanage_post,render=run,late"`
	// File of the guest that is told VirtualBox's version; an empty name: none is.
	VersionFile string `kiln:"virtualbox_version_file,default=.vbox_version"`
	// What becomes of the ISO of the guest additions: it is uploaded, attached, or not used (disable).
	AdditionsMode string `kiln:"guest_additions_mode,default=upload"`
	// Where a machine gets the ISO that is attached: ide, sata or virtio.
	AdditionsInterface string `kiln:"guest_additions_interface"`
	// Path in the guest that the ISO is uploaded to. {{ .Version }} is VirtualBox's.
	AdditionsPath string `kiln:"guest_additions_path,default=VBoxGuestAdditions.iso,render=run"`
	// Checksum of the ISO that guest_additions_url names.
	AdditionsSum string `kiln:"guest_additions_sha256"`
	// Path or address of the ISO; by default the one that VirtualBox brings, else it is downloaded.
	AdditionsURL string `kiln:"guest_additions_url,render=run"`
	// Old form of guest_additions_mode.
	AdditionsAttach bool `kiln:"guest_additions_attach,refused=it is guest_additions_mode now; see the command fix"`
	// Leave the machine in VirtualBox when the build has succeeded.
	KeepRegistered bool `kiln:"keep_registered,late"`
	// Export nothing.
	SkipExport bool `kiln:"skip_export,late"`
}

// Ways of bringing the guest additions.
const (
	disable = "disable"
	attach  = "attach"
	upload  = "upload"
)

var modes = []string{disable, attach, upload}

// defaults are what holds where nothing is said, also in a value that no template made.
func (c *Config) defaults() {
	c.Format = cmp.Or(c.Format, "ovf")
	c.AdditionsMode = cmp.Or(c.AdditionsMode, upload)
	c.VRDPAddress = cmp.Or(c.VRDPAddress, "127.0.0.1")
	c.VRDPMin, c.VRDPMax = cmp.Or(c.VRDPMin, 5900), cmp.Or(c.VRDPMax, 6000)
}

// Check reports all that is wrong, and fills in what follows from other fields. Alike is the
// interface of the ISO that guest additions go beside.
func (c *Config) Check(alike string) error {
	c.defaults()
	c.AdditionsInterface = cmp.Or(c.AdditionsInterface, alike)
	errs := []error{
		c.Config.Check(false), c.Boot.Check(), c.HTTP.Validate(), c.Floppy.Validate(), c.CD.Validate(),
		c.Ports.Check(false),
	}
	if c.Format != "ovf" && c.Format != "ova" {
		errs = append(errs, kiln.Invalid("format", "invalid format, only 'ovf' or 'ova' are allowed"))
	}
	if c.VRDPMin > c.VRDPMax {
		errs = append(errs, kiln.Invalid("vrdp_port_min", "vrdp_port_min must be less than vrdp_port_max"))
	}
	if c.VRDPMin < 0 || c.VRDPMax > 65535 {
		errs = append(errs, kiln.Invalid("vrdp_port_max",
			"vrdp_port_min and vrdp_port_max must be ports, from 1 to 65535"))
	}
	if !slices.Contains(modes, c.AdditionsMode) {
		errs = append(errs, kiln.Invalid("guest_additions_mode",
			"guest_additions_mode is invalid. Must be one of: %v", modes))
	}
	if c.Communicator == "none" {
		if c.AdditionsMode == upload {
			errs = append(errs, kiln.Invalid("guest_additions_mode",
				"communicator must not be 'none' when guest_additions_mode = 'upload'."))
		}
		if c.VersionFile != "" {
			errs = append(errs, kiln.Invalid("virtualbox_version_file",
				"virtualbox_version_file has to be an empty string when communicator = 'none'."))
		}
	}
	return errors.Join(append(errs, c.Shutdown.Check())...)
}

// Traits: what is needed to destroy a resource is all in it.
func (c *Config) Traits() kiln.Traits { return kiln.Traits{ReapsAlone: true} }

// forwarded reports whether a port of this machine leads to the guest.
func (c *Config) forwarded() bool {
	return c.Communicator != "none" && !c.Ports.SkipNATMapping && !c.OldSkipNAT
}
