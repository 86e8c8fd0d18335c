package fix

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// pairs are the root's parts before and after, one or more for each fixer.
var pairs = []struct{ fixer, before, after string }{
	{"iso-md5", `"builders":[{"type":"x","iso_md5":"ab"}]`, `"builders":[{"type":"x","iso_checksum":"md5:ab"}]`},
	{"createtime", `"builders":[{"type":"t","ami_name":"a {{ .CreateTime }}","snapshot_name":"{{.CreateTime}}","other":"{{.CreateTime}}"}]`, `"builders":[{"type":"t","ami_name":"a {{timestamp}}","snapshot_name":"{{timestamp}}","other":"{{.CreateTime}}"}]`},
	{"virtualbox-gaattach", `"builders":[{"type":"virtualbox","guest_additions_attach":true}]`, `"builders":[{"type":"virtualbox-iso","guest_additions_mode":"attach"}]`},
	{"virtualbox-gaattach", `"builders":[{"type":"virtualbox","guest_additions_attach":false}]`, `"builders":[{"type":"virtualbox-iso","guest_additions_mode":"upload"}]`},
	{"pp-vagrant-override", `"post-processors":[[{"type":"vagrant","aws":{"a":1},"vmware":{"b":2},"output":"x"}]]`, `"post-processors":[[{"type":"vagrant","override":{"aws":{"a":1},"vmware":{"b":2}},"output":"x"}]]`},
	{"virtualbox-rename", `"builders":[{"type":"virtualbox"}],"provisioners":[{"type":"shell","override":{"virtualbox":{"a":1}}}]`, `"builders":[{"type":"virtualbox-iso"}],"provisioners":[{"type":"shell","override":{"virtualbox-iso":{"a":1}}}]`},
	{"vmware-rename", `"builders":[{"type":"vmware"}]`, `"builders":[{"type":"vmware-iso"}]`},
	{"parallels-headless", `"builders":[{"type":"parallels-iso","headless":true},{"type":"qemu","headless":true}]`, `"builders":[{"type":"parallels-iso"},{"type":"qemu","headless":true}]`},
	{"parallels-deprecations", `"builders":[{"type":"parallels-pvm","parallels_tools_host_path":"p","guest_os_distribution":"d"}]`, `"builders":[{"type":"parallels-pvm","guest_os_type":"d"}]`},
	{"sshkeypath", `"builders":[{"type":"t","ssh_key_path":"k"},{"type":"t","ssh_key_path":"k","ssh_private_key_file":"new"}]`, `"builders":[{"type":"t","ssh_private_key_file":"k"},{"type":"t","ssh_private_key_file":"new"}]`},
	{"sshdisableagent", `"builders":[{"type":"t","ssh_disable_agent":true}]`, `"builders":[{"type":"t","ssh_disable_agent_forwarding":true}]`},
	{"scaleway-access-key", `"builders":[{"type":"scaleway","access_key":"k"},{"type":"amazon-ebs","access_key":"k"}]`, `"builders":[{"type":"scaleway","organization_id":"k"},{"type":"amazon-ebs","access_key":"k"}]`},
	{"manifest-filename", `"post-processors":["x",{"type":"manifest","filename":"f"}]`, `"post-processors":["x",{"type":"manifest","output":"f"}]`},
	{"amazon-shutdown_behavior", `"builders":[{"type":"amazon-ebs","shutdown_behaviour":"stop"}]`, `"builders":[{"type":"amazon-ebs","shutdown_behavior":"stop"}]`},
	{"amazon-enhanced-networking", `"builders":[{"type":"amazon-ebs","enhanced_networking":true}]`, `"builders":[{"type":"amazon-ebs","ena_support":true}]`},
	{"amazon-private-ip", `"builders":[{"type":"amazon-ebs","ssh_private_ip":true},{"type":"amazon-ebs","ssh_private_ip":"false"},{"type":"amazon-ebs","ssh_private_ip":true,"ssh_interface":"x"}]`, `"builders":[{"type":"amazon-ebs","ssh_interface":"private_ip"},{"type":"amazon-ebs","ssh_interface":"public_ip"},{"type":"amazon-ebs","ssh_interface":"x","ssh_private_ip":true}]`},
	{"amazon-temp-sec-cidrs", `"builders":[{"type":"amazon-ebs","temporary_security_group_source_cidr":"10.0.0.0/8"}]`, `"builders":[{"type":"amazon-ebs","temporary_security_group_source_cidrs":["10.0.0.0/8"]}]`},
	{"docker-email", `"builders":[{"type":"docker","login_email":"e"}],"post-processors":[{"type":"docker-push","login_email":"e"}]`, `"builders":[{"type":"docker"}],"post-processors":[{"type":"docker-push"}]`},
	{"docker-email", `"builders":[{"type":"docker","login_email":"e"}]`, `"builders":[{"type":"docker","login_email":"e"}]`},
	{"docker-tag-tags", `"post-processors":[{"type":"docker-tag","tag":"a,b","tags":["b","c"]},{"type":"docker-tag","tag":["x"]}]`, `"post-processors":[{"type":"docker-tag","tags":["a","b","c"]},{"type":"docker-tag","tags":["x"]}]`},
	{"powershell-escapes", "\"provisioners\":[{\"type\":\"powershell\",\"elevated_password\":\"a`$b\",\"environment_vars\":[\"x=`'y`'\"]}]", "\"provisioners\":[{\"type\":\"powershell\",\"elevated_password\":\"a$b\",\"environment_vars\":[\"x='y'\"]}]"},
	{"vmware-compaction", `"builders":[{"type":"vmware-iso","remote_type":"esx5"},{"type":"vmware-iso","remote_type":"esx5","disk_type_id":"thin"},{"type":"vmware-iso"}]`, `"builders":[{"type":"vmware-iso","remote_type":"esx5","disk_type_id":"zeroedthick","skip_compaction":true},{"type":"vmware-iso","remote_type":"esx5","disk_type_id":"thin"},{"type":"vmware-iso"}]`},
	{"hyperv-deprecations", `"builders":[{"type":"hyperv-iso","vhd_temp_path":"p"}]`, `"builders":[{"type":"hyperv-iso"}]`},
	{"hyperv-vmxc-typo", `"builders":[{"type":"hyperv-vmcx","clone_from_vmxc_path":"p"}]`, `"builders":[{"type":"hyperv-vmcx","clone_from_vmcx_path":"p"}]`},
	{"hyperv-cpu-and-ram", `"builders":[{"type":"hyperv-iso","cpu":2,"ram_size":512}]`, `"builders":[{"type":"hyperv-iso","cpus":2,"memory":512}]`},
	{"clean-image-name", `"builders":[{"type":"t","ami_name":"{{isotime | clean_ami_name}}","tags":{"n":"{{clean_image_name x}}"}}]`, `"builders":[{"type":"t","ami_name":"{{isotime | clean_resource_name}}","tags":{"n":"{{clean_resource_name x}}"}}]`},
	{"spot-price-auto-product", `"builders":[{"type":"amazon-ebs","spot_price_auto_product":"x"}]`, `"builders":[{"type":"amazon-ebs"}]`},
	{"qemu-disk-size", `"builders":[{"type":"qemu","disk_size":40960},{"type":"qemu","disk_size":"10G"},{"type":"qemu","disk_size":"512"}]`, `"builders":[{"type":"qemu","disk_size":"40960M"},{"type":"qemu","disk_size":"10G"},{"type":"qemu","disk_size":"512"}]`},
	{"galaxy-command", `"provisioners":[{"type":"ansible-local","galaxycommand":"g"}]`, `"provisioners":[{"type":"ansible-local","galaxy_command":"g"}]`},
	{"comm-config", `"builders":[{"type":"virtualbox-ovf","ssh_host_port_min":1,"ssh_host_port_max":2,"ssh_skip_nat_mapping":true}]`, `"builders":[{"type":"virtualbox-ovf","host_port_min":1,"host_port_max":2,"skip_nat_mapping":true}]`},
	{"ssh-wait-timeout", `"builders":[{"type":"t","ssh_wait_timeout":"5m"}]`, `"builders":[{"type":"t","ssh_timeout":"5m"}]`},
	{"vsphere-iso-net-disk", `"builders":[{"type":"vsphere-iso","network":"n","networkCard":"c","disk_size":10,"disk_thin_provisioned":true}]`, `"builders":[{"type":"vsphere-iso","network_adapters":[{"network":"n","network_card":"c"}],"storage":[{"disk_size":10,"disk_thin_provisioned":true}]}]`},
	{"iso-checksum-type-and-url", `"builders":[{"type":"t","iso_checksum":"ab","iso_checksum_type":"sha256"},{"type":"t","iso_checksum_url":"http://x","iso_checksum_type":"md5"},{"type":"t","iso_checksum_type":"none"}]`, `"builders":[{"type":"t","iso_checksum":"sha256:ab"},{"type":"t","iso_checksum":"file:http://x"},{"type":"t","iso_checksum":"none"}]`},
	{"qemu-host-port", `"builders":[{"type":"qemu","ssh_host_port_min":1,"ssh_host_port_max":2}]`, `"builders":[{"type":"qemu","host_port_min":1,"host_port_max":2}]`},
	{"azure-exclude_from_latest", `"builders":[{"type":"azure-chroot","shared_image_destination":{"exlude_from_latest":true}}]`, `"builders":[{"type":"azure-chroot","shared_image_destination":{"exclude_from_latest":true}}]`},
	{"proxmox-type", `"builders":[{"type":"proxmox"}]`, `"builders":[{"type":"proxmox-iso"}]`},
}

func TestFixers(t *testing.T) {
	names := map[string]bool{}
	for _, f := range Fixers() {
		names[f.Name] = false
	}
	for _, c := range pairs {
		if _, ok := names[c.fixer]; !ok {
			t.Errorf("there is no fixer %s", c.fixer)
		}
		names[c.fixer] = true
		got, err := Fix([]byte("{" + c.before + "}"))
		if err != nil {
			t.Errorf("%s: %v", c.fixer, err)
			continue
		}
		var g, w object
		if err := json.Unmarshal(got, &g); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte("{"+c.after+"}"), &w); err != nil {
			t.Fatal(err)
		}
		if _, ok := w["builders"]; !ok {
			w["builders"] = nil
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("%s: got %s", c.fixer, got)
		}
		again, err := Fix(got)
		if err != nil || !slices.Equal(again, got) {
			t.Errorf("%s: a second run changes it: %s %v", c.fixer, again, err)
		}
	}
	for name, tested := range names {
		if !tested {
			t.Errorf("the fixer %s has no test", name)
		}
	}
	if len(names) != 34 {
		t.Errorf("%d fixers", len(names))
	}
}

func TestOutput(t *testing.T) {
	got, err := Fix([]byte(`{"z":"<a>&","a":1}`))
	want := "{\n  \"a\": 1,\n  \"builders\": null,\n  \"z\": \"<a>\\u0026\"\n}\n"
	if err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	for text, want := range map[string]string{
		"{\n\"a\":}":                  "line 2",
		`[]`:                          "cannot unmarshal",
		`{"builders":{}}`:             "builders is a list",
		`{"builders":[1]}`:            "element 1 is no object",
		`{"post-processors":{"a":1}}`: "post-processors is a list",
		`null`:                        "not null",
		`{} {}`:                       "there is more",
	} {
		if _, err := Fix([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzFix(f *testing.F) {
	for _, c := range pairs {
		f.Add([]byte("{" + c.before + "}"))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if out, err := Fix(text); err == nil && !json.Valid(out) {
			t.Fatalf("%q becomes %q", text, out)
		}
	})
}
