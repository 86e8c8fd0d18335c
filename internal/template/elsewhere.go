package template

import (
	"fmt"
	"slices"
	"strings"

	"kiln/schema"
)

// noPlugins ends what is said of what a plugin brings.
const noPlugins = "it comes with a plugin, and plugins cannot run here yet"

// elsewhere is the table of single components that Packer or one of its plugins has, and this
// version has not, with what there is to say of each beside that. Families of them are in plugins and core.
var elsewhere = map[string]string{
	"vagrant-cloud": "it uploads boxes. The post-processor vagrant makes them; the command `vagrant cloud " +
		"publish` uploads one",
	"vagrant-registry": "it uploads boxes. The post-processor vagrant makes them; HCP's own programs upload one",
	"vsphere": "it uploads to vSphere. In its place, shell-local can call govc or ovftool with the artifact's " +
		"files",
	"vsphere-template": "it works on a vCenter server. In its place, shell-local can call `govc " +
		"vm.markastemplate`",
	"amazon-import":        uploads + "`aws s3 cp` and `aws ec2 import-image`",
	"digitalocean-import":  uploads + "`doctl compute image create`",
	"googlecompute-import": uploads + "`gcloud compute images create --source-uri`",
	"googlecompute-export": "it works on Google's machines. In its place, shell-local can call `gcloud " +
		"compute images export`",
	"alicloud-import":    uploads + "`aliyun ecs ImportImage`",
	"exoscale-import":    uploads + "`exo compute instance-template register`",
	"huaweicloud-import": uploads + "the provider's program",
	"ucloud-import":      uploads + "the provider's program",
	"yandex-export":      "it works on Yandex's machines. In its place, shell-local can call the program yc",
	"yandex-import":      uploads + "`yc compute image create --source-uri`",

	"hyperv-iso": serves("hyperv"), "hyperv-vmcx": serves("hyperv"),
	"nutanix":       serves("nutanix"),
	"parallels-iso": serves("parallels"), "parallels-pvm": serves("parallels"), "parallels-ipsw": serves("parallels"),
	"parallels-macvm": serves("parallels"),
	"proxmox":         serves("proxmox"), "proxmox-iso": serves("proxmox"), "proxmox-clone": serves("proxmox"),
	"utm-iso": serves("utm"), "utm-utm": serves("utm"), "utm-cloud": serves("utm"),
	"vmware-iso": serves("vmware"), "vmware-vmx": serves("vmware"),
	"vsphere-iso": serves("vsphere"), "vsphere-clone": serves("vsphere"), "vsphere-supervisor": serves("vsphere"),
	"xenserver-iso": serves("xenserver"), "xenserver-xva": serves("xenserver"),
}

// serves says of a builder of virtual machines whose plugin will make them here.
func serves(plugin string) string {
	return "the plugin " + plugin + " that Packer uses will serve once they do"
}

// uploads begins what is said of those that bring a disk to a provider.
const uploads = "it uploads images to its provider. In its place, shell-local can call "

// Beginnings, up to a dash, of components that Packer has in plugins, and of those that it has
// itself.
var (
	plugins = []string{"alicloud", "amazon", "ansible", "azure", "chef", "cloudstack", "digitalocean",
		"exoscale", "googlecompute", "hcloud", "huaweicloud", "hyperone", "hyperv", "inspec", "jdcloud", "linode",
		"lxc", "lxd", "ncloud", "nutanix", "oneandone", "openstack", "oracle", "outscale", "parallels", "profitbricks", "proxmox",
		"puppet", "qemu", "salt", "scaleway", "tencentcloud", "triton", "ucloud", "upcloud", "vagrant",
		"virtualbox", "vmware", "vsphere", "vultr", "yandex"}
	core = []string{"powershell", "windows", "hcp", "provenance"}
)

// ElsewhereType says of a type that Packer has, and this version has not, why; "": it is no such.
func ElsewhereType(typ string) string {
	of := func(prefix string) bool { return typ == prefix || strings.HasPrefix(typ, prefix+"-") }
	switch {
	case elsewhere[typ] != "":
		return typ + " is known, but not part of this version: " + noPlugins + "; " + elsewhere[typ]
	case slices.ContainsFunc(core, of):
		return typ + " is known, but not part of this version"
	case slices.ContainsFunc(plugins, of):
		return typ + " is known, but not part of this version: " + noPlugins
	}
	return ""
}

// UnknownType says of a type that no component has what it is. Noun is what it should be.
func UnknownType(noun, typ string, known []string) string {
	if elsewhere[typ] != "" {
		return fmt.Sprintf("The %s %s.", noun, ElsewhereType(typ))
	}
	if near := schema.Suggest(typ, known); near != "" {
		return fmt.Sprintf("The %s %s is unknown. Did you mean to use %q?", noun, typ, near)
	}
	if why := ElsewhereType(typ); why != "" {
		return fmt.Sprintf("The %s %s.", noun, why)
	}
	return fmt.Sprintf("The %s %s is unknown by Packer, and is likely part of a plugin that is not installed. "+
		"The command explain lists the components that are built in.", noun, typ)
}
