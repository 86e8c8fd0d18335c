package fix

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// renames are fixers that give an option of builders another name.
func renames(name string, match func(string) bool, pairs ...string) Fixer {
	var about []string
	for i := 0; i < len(pairs); i += 2 {
		about = append(about, pairs[i]+" becomes "+pairs[i+1])
	}
	return Fixer{name, strings.Join(about, ", "), func(d *document) {
		each(d.builders, match, func(o object) {
			for i := 0; i < len(pairs); i += 2 {
				rename(o, pairs[i], pairs[i+1])
			}
		})
	}}
}

// retypes are fixers that give a builder another type.
func retypes(name, from, to string) Fixer {
	return Fixer{name, fmt.Sprintf("the builder %s becomes %s", from, to), func(d *document) {
		found := false
		each(d.builders, is(from), func(o object) { o["type"], found = to, true })
		if !found || from != "virtualbox" {
			return
		}
		for _, p := range d.provisioners {
			if o, ok := p["override"].(object); ok {
				if _, there := o[from]; there {
					rename(o, from, to)
				}
			}
		}
	}}
}

// drops are fixers that take an option of builders away.
func drops(name string, match func(string) bool, option string) Fixer {
	return Fixer{name, option + " is dropped", func(d *document) {
		each(d.builders, match, func(o object) { delete(o, option) })
	}}
}

// Fixers are all rewrites, in the order in which they are applied: a later one may
// stand on what an earlier one did.
func Fixers() []Fixer {
	amazon, parallels := begins("amazon-"), is("parallels-iso", "parallels-pvm")
	return []Fixer{
		{"iso-md5", "iso_md5 becomes iso_checksum with its type", isoMD5},
		{"createtime", "{{ .CreateTime }} becomes {{timestamp}}", createTime},
		{"virtualbox-gaattach", "guest_additions_attach becomes guest_additions_mode", guestAdditions},
		{"pp-vagrant-override", "the vagrant post-processor's options for a provider move under override", vagrantOverride},
		retypes("virtualbox-rename", "virtualbox", "virtualbox-iso"),
		retypes("vmware-rename", "vmware", "vmware-iso"),
		drops("parallels-headless", parallels, "headless"),
		{"parallels-deprecations", "parallels_tools_host_path is dropped, guest_os_distribution becomes guest_os_type", func(d *document) {
			each(d.builders, parallels, func(o object) {
				delete(o, "parallels_tools_host_path")
				rename(o, "guest_os_distribution", "guest_os_type")
			})
		}},
		renames("sshkeypath", everything, "ssh_key_path", "ssh_private_key_file"),
		renames("sshdisableagent", everything, "ssh_disable_agent", "ssh_disable_agent_forwarding"),
		renames("scaleway-access-key", is("scaleway"), "access_key", "organization_id"),
		{"manifest-filename", "the manifest post-processor's filename becomes output", func(d *document) {
			each(d.postProcessors, is("manifest"), func(o object) { rename(o, "filename", "output") })
		}},
		renames("amazon-shutdown_behavior", amazon, "shutdown_behaviour", "shutdown_behavior"),
		renames("amazon-enhanced-networking", amazon, "enhanced_networking", "ena_support"),
		{"amazon-private-ip", "ssh_private_ip becomes ssh_interface", privateIP},
		{"amazon-temp-sec-cidrs", "temporary_security_group_source_cidr becomes a list", func(d *document) {
			each(d.builders, amazon, func(o object) {
				if v, ok := o["temporary_security_group_source_cidr"]; ok {
					o["temporary_security_group_source_cidr"] = []any{v}
					rename(o, "temporary_security_group_source_cidr", "temporary_security_group_source_cidrs")
				}
			})
		}},
		{"docker-email", "login_email is dropped", dockerEmail},
		{"docker-tag-tags", "docker-tag's tag becomes a part of tags", dockerTags},
		{"powershell-escapes", "back-quote escapes of passwords and variables are dropped", powershellEscapes},
		{"vmware-compaction", "a disk on ESX that is not thin is not compacted", vmwareCompaction},
		drops("hyperv-deprecations", is("hyperv-iso"), "vhd_temp_path"),
		renames("hyperv-vmxc-typo", is("hyperv-vmcx"), "clone_from_vmxc_path", "clone_from_vmcx_path"),
		renames("hyperv-cpu-and-ram", is("hyperv-iso", "hyperv-vmcx"), "cpu", "cpus", "ram_size", "memory"),
		{"clean-image-name", "clean_image_name and clean_ami_name become clean_resource_name", cleanNames},
		drops("spot-price-auto-product", is("amazon-ebs", "amazon-ebssurrogate", "amazon-ebsvolume", "amazon-instance"), "spot_price_auto_product"),
		{"qemu-disk-size", "a disk_size without unit becomes one in megabytes", qemuDiskSize},
		{"galaxy-command", "ansible-local's galaxycommand becomes galaxy_command", func(d *document) {
			each(d.provisioners, is("ansible-local"), func(o object) { rename(o, "galaxycommand", "galaxy_command") })
		}},
		renames("comm-config", begins("virtualbox"), "ssh_host_port_min", "host_port_min", "ssh_host_port_max", "host_port_max", "ssh_skip_nat_mapping", "skip_nat_mapping"),
		renames("ssh-wait-timeout", everything, "ssh_wait_timeout", "ssh_timeout"),
		{"vsphere-iso-net-disk", "network and disk options become elements of network_adapters and storage", vsphere},
		{"iso-checksum-type-and-url", "iso_checksum_type and iso_checksum_url become a part of iso_checksum", isoChecksum},
		renames("qemu-host-port", is("qemu"), "ssh_host_port_min", "host_port_min", "ssh_host_port_max", "host_port_max"),
		{"azure-exclude_from_latest", "exlude_from_latest gets its missing letter", azureExclude},
		retypes("proxmox-type", "proxmox", "proxmox-iso"),
	}
}

func isoMD5(d *document) {
	each(d.builders, everything, func(o object) {
		if v, ok := o["iso_md5"]; ok {
			delete(o, "iso_md5")
			o["iso_checksum"], o["iso_checksum_type"] = v, "md5"
		}
	})
}

var createTimeCall = regexp.MustCompile(`(?i)\{\{\s*\.CreateTime\s*\}\}`)

func createTime(d *document) {
	each(d.builders, everything, func(o object) {
		for _, key := range []string{"ami_name", "bundle_prefix", "snapshot_name"} {
			if s, ok := o[key].(string); ok {
				o[key] = createTimeCall.ReplaceAllString(s, "{{timestamp}}")
			}
		}
	})
}

func guestAdditions(d *document) {
	each(d.builders, is("virtualbox"), func(o object) {
		if attach, ok := o["guest_additions_attach"].(bool); ok {
			delete(o, "guest_additions_attach")
			o["guest_additions_mode"] = map[bool]string{true: "attach", false: "upload"}[attach]
		}
	})
}

func vagrantOverride(d *document) {
	each(d.postProcessors, is("vagrant"), func(o object) {
		override, _ := o["override"].(object)
		for _, provider := range []string{"aws", "digitalocean", "virtualbox", "vmware"} {
			v, ok := o[provider].(object)
			if !ok {
				continue
			}
			if override == nil {
				override = object{}
				o["override"] = override
			}
			delete(o, provider)
			override[provider] = v
		}
	})
}

func privateIP(d *document) {
	each(d.builders, begins("amazon-"), func(o object) {
		v, ok := o["ssh_private_ip"]
		if !ok {
			return
		}
		private, isBool := v.(bool)
		if s, isText := v.(string); isText && (s == "true" || s == "false") {
			private, isBool = s == "true", true
		}
		if !isBool {
			return
		}
		if _, there := o["ssh_interface"]; !there {
			delete(o, "ssh_private_ip")
			o["ssh_interface"] = map[bool]string{true: "private_ip", false: "public_ip"}[private]
		}
	})
}

func dockerEmail(d *document) {
	if len(d.postProcessors) == 0 {
		return
	}
	for _, o := range slices.Concat(d.builders, d.postProcessors) {
		delete(o, "login_email")
	}
}

func dockerTags(d *document) {
	each(d.postProcessors, is("docker-tag"), func(o object) {
		old, ok := o["tag"]
		if !ok {
			return
		}
		var tags []any
		add := func(v any) {
			for _, tag := range list(v) {
				if !slices.Contains(tags, tag) {
					tags = append(tags, tag)
				}
			}
		}
		add(old)
		add(o["tags"])
		delete(o, "tag")
		o["tags"] = tags
	})
}

// list is a value as a list: a text is split at its commas.
func list(v any) []any {
	switch v := v.(type) {
	case string:
		var parts []any
		for part := range strings.SplitSeq(v, ",") {
			parts = append(parts, part)
		}
		return parts
	case []any:
		// What is not text could not be compared with others.
		return slices.DeleteFunc(slices.Clone(v), func(item any) bool { _, ok := item.(string); return !ok })
	}
	return nil
}

var powershellUnescape = strings.NewReplacer("`$", "$", "`\"", `"`, "``", "`", "`'", "'")

func powershellEscapes(d *document) {
	each(d.provisioners, is("powershell"), func(o object) {
		for _, key := range []string{"elevated_user", "elevated_password"} {
			if s, ok := o[key].(string); ok {
				o[key] = powershellUnescape.Replace(s)
			}
		}
		if vars, ok := o["environment_vars"].([]any); ok {
			for i, v := range vars {
				if s, ok := v.(string); ok {
					vars[i] = powershellUnescape.Replace(s)
				}
			}
		}
	})
}

func vmwareCompaction(d *document) {
	each(d.builders, is("vmware-iso"), func(o object) {
		if o["remote_type"] != "esx5" {
			return
		}
		disk, _ := o["disk_type_id"].(string)
		if disk == "" {
			disk = "zeroedthick"
			o["disk_type_id"] = disk
		}
		if disk != "thin" {
			o["skip_compaction"] = true
		}
	})
}

var oldClean = strings.NewReplacer("clean_image_name", "clean_resource_name", "clean_ami_name", "clean_resource_name")

func cleanNames(d *document) {
	for _, o := range d.builders {
		for key, v := range o {
			switch v := v.(type) {
			case string:
				o[key] = oldClean.Replace(v)
			case object:
				for sub, text := range v {
					if s, ok := text.(string); ok {
						v[sub] = oldClean.Replace(s)
					}
				}
			}
		}
	}
}

func qemuDiskSize(d *document) {
	each(d.builders, is("qemu"), func(o object) {
		if n, ok := o["disk_size"].(float64); ok {
			o["disk_size"] = fmt.Sprintf("%vM", int64(n))
		}
	})
}

func vsphere(d *document) {
	move := func(o object, list string, pairs ...string) {
		element := object{}
		for i := 0; i < len(pairs); i += 2 {
			if v, ok := o[pairs[i]]; ok {
				element[pairs[i+1]] = v
				delete(o, pairs[i])
			}
		}
		if len(element) == 0 {
			return
		}
		have, _ := o[list].([]any)
		if len(have) > 0 {
			if first, ok := have[0].(object); ok {
				for k, v := range element {
					if _, there := first[k]; !there {
						first[k] = v
					}
				}
				return
			}
		}
		o[list] = append([]any{element}, have...)
	}
	each(d.builders, is("vsphere-iso"), func(o object) {
		move(o, "network_adapters", "network", "network", "networkCard", "network_card", "network_card", "network_card")
		move(o, "storage", "disk_size", "disk_size", "disk_thin_provisioned", "disk_thin_provisioned", "disk_eagerly_scrub", "disk_eagerly_scrub")
	})
}

func isoChecksum(d *document) {
	each(d.builders, everything, func(o object) {
		url, hasURL := o["iso_checksum_url"].(string)
		kind, hasKind := o["iso_checksum_type"].(string)
		sum, hasSum := o["iso_checksum"].(string)
		delete(o, "iso_checksum_url")
		delete(o, "iso_checksum_type")
		switch {
		case hasURL && url != "":
			o["iso_checksum"] = "file:" + url
		case hasKind && kind == "none":
			o["iso_checksum"] = "none"
		case hasKind && hasSum && kind != "":
			o["iso_checksum"] = kind + ":" + sum
		}
	})
}

func azureExclude(d *document) {
	each(d.builders, is("azure-chroot"), func(o object) {
		if dest, ok := o["shared_image_destination"].(object); ok {
			rename(dest, "exlude_from_latest", "exclude_from_latest")
		}
	})
}
