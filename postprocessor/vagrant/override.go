package vagrant

// Overrides are other values of options, by provider.
type Overrides struct {
	// For AWS.
	AWS *Override `kiln:"aws"`
	// For Azure.
	Azure *Override `kiln:"azure"`
	// For DigitalOcean.
	DigitalOcean *Override `kiln:"digitalocean"`
	// For Docker.
	Docker *Override `kiln:"docker"`
	// For the files of the builder file.
	File *Override `kiln:"file"`
	// For Google Compute Engine.
	Google *Override `kiln:"google"`
	// For Hyper-V.
	HyperV *Override `kiln:"hyperv"`
	// For libvirt, of the builder qemu.
	Libvirt *Override `kiln:"libvirt"`
	// For LXC.
	LXC *Override `kiln:"lxc"`
	// For Parallels.
	Parallels *Override `kiln:"parallels"`
	// For Scaleway.
	Scaleway *Override `kiln:"scaleway"`
	// For VirtualBox.
	VirtualBox *Override `kiln:"virtualbox"`
	// For VMware.
	VMware *Override `kiln:"vmware"`
}

// Override has the options of the post-processor, for one provider.
type Override struct {
	// Path of the box.
	Output *string `kiln:"output,render=run"`
	// From 1 (fast) to 9 (small); 0: not compressed at all; -1: as gzip does by itself.
	CompressionLevel *int `kiln:"compression_level"`
	// Files that are put into the box, in place of those for other providers.
	Include []string `kiln:"include,file"`
	// File whose text is added to the box's Vagrantfile.
	VagrantfileTemplate *string `kiln:"vagrantfile_template,file"`
	// The build makes that file.
	VagrantfileTemplateGenerated *bool `kiln:"vagrantfile_template_generated"`
	// The box's architecture.
	Architecture *string `kiln:"architecture"`
}

// of are the options for one provider; nil: there are none.
func (o *Overrides) of(provider string) *Override {
	return map[string]*Override{
		"aws": o.AWS, "azure": o.Azure, "digitalocean": o.DigitalOcean, "docker": o.Docker, "file": o.File,
		"google": o.Google, "hyperv": o.HyperV, "libvirt": o.Libvirt, "lxc": o.LXC, "parallels": o.Parallels,
		"scaleway": o.Scaleway, "virtualbox": o.VirtualBox, "vmware": o.VMware,
	}[provider]
}

// with is the post-processor as it is for one provider.
func (p *PostProcessor) with(provider string) *PostProcessor {
	c, o := *p, p.Override.of(provider)
	if o == nil {
		return &c
	}
	set(&c.Output, o.Output)
	set(&c.CompressionLevel, o.CompressionLevel)
	set(&c.VagrantfileTemplate, o.VagrantfileTemplate)
	set(&c.VagrantfileTemplateGenerated, o.VagrantfileTemplateGenerated)
	set(&c.Architecture, o.Architecture)
	if o.Include != nil {
		c.Include = o.Include
	}
	return &c
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}
