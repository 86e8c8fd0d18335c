package template

import (
	"strings"
	"testing"
)

func TestUnknownType(t *testing.T) {
	known := []string{"virtualbox-iso", "vagrant", "docker-import", "compress", "shell-local"}
	for typ, want := range map[string]string{
		"vagrant-cloud":       "not part of this version: it comes with a plugin, and plugins cannot run here yet; it uploads boxes",
		"vagrant-registry":    "it uploads boxes",
		"vsphere":             "it uploads to vSphere",
		"vsphere-template":    "works on a vCenter",
		"amazon-import":       "aws ec2 import-image",
		"yandex-import":       "it uploads images to its provider",
		"vsphere-iso":         "plugins cannot run here yet; the plugin vsphere that Packer uses will serve once they do.",
		"vmware-vmx":          "plugins cannot run here yet; the plugin vmware that Packer uses will serve once they do.",
		"vmware-esx":          "plugins cannot run here yet.",
		"provenance":          "provenance is known, but not part of this version.",
		"compres":             `Did you mean to use "compress"?`,
		"something-of-my-own": "unknown by Packer",
	} {
		if got := UnknownType("post-processor", typ, known); !strings.Contains(got, want) {
			t.Errorf("%s: %s", typ, got)
		}
	}
	for typ, why := range elsewhere {
		if strings.HasSuffix(why, ".") {
			t.Errorf("%s: the reason ends with a full stop, which is added", typ)
		}
	}
}
