//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kiln/kilntest"
)

// try runs a command of the program and returns what it said of its failure; "": none.
func try(t *testing.T, v *kilntest.VirtualBox, line string) string {
	t.Helper()
	cmd := exec.Command("VBoxManage", strings.Fields(line)...)
	cmd.Dir = v.Home
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		return err.Error() + ": " + errs.String()
	}
	if errs.Len() > 0 {
		t.Errorf("%s: succeeds and says %s", line, &errs)
	}
	return ""
}

// What it refuses, in the order in which it is told; an empty text: it does it.
func TestRefuses(t *testing.T) {
	v := kilntest.UseVirtualBox(t, "none")
	for _, name := range []string{"a.iso", "a.img", "a.txt"} {
		if err := os.WriteFile(filepath.Join(v.Home, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ line, want string }{
		{"", "No command specified"},
		{"makevm", "Invalid command 'makevm'"},
		{"createvm --ostype Debian_64", "exit status 2: VBoxManage: error: Parameter --name is required"},
		{"createvm --name m --ostype Plan9 --register", "Guest OS type 'Plan9' is invalid"},
		{"createvm --name m --register --size 3", "Unknown option: --size"},
		{"createvm --name m --ostype Debian_64 --register", ""},
		{"createvm --name m --register", "VBOX_E_FILE_ERROR"},
		{"modifyvm absent --cpus 1", "VBOX_E_OBJECT_NOT_FOUND"},
		{"modifyvm m --cpus 0", "Invalid cpus"},
		{"modifyvm m --chipset i440", "Invalid chipset 'i440'"},
		{"modifyvm m --audio none", "Unknown option: --audio"},
		{"modifyvm m --memory 8 --frob on", "Unknown option: --frob"},
		{"modifyvm m --natpf1 a,tcp,127.0.0.1,1,,22", ""},
		{"modifyvm m --natpf1 a,tcp,127.0.0.1,2,,22", "A NAT rule of this name already exists"},
		{"modifyvm m --natpf1 b,tcp,127.0.0.1,1,,22", "A NAT rule for this host port"},
		{"modifyvm m --natpf1 delete b", "VBOX_E_OBJECT_NOT_FOUND"},
		{"modifyvm m --natpf1 delete a", ""},
		{"createhd --filename m.vdi", "Parameter --size is required"},
		{"createhd --filename m.vdi --size 10 --format VDI --variant Standard", ""},
		{"createhd --filename m.vdi --size 10", "already exists"},
		{"storageattach m --storagectl IDE --port 0 --device 0 --type hdd --medium m.vdi", "Could not find a controller named 'IDE'"},
		{"storagectl m --name IDE --add ide --controller LsiLogic", "Invalid --controller"},
		{"storagectl m --name IDE --add ide", ""},
		{"storagectl m --name IDE --add ide", "already exists"},
		{"storageattach m --storagectl IDE --port 2 --device 0 --type hdd --medium m.vdi", "Invalid port or device"},
		{"storageattach m --storagectl IDE --port 0 --device 0 --medium m.vdi", "--type must be specified"},
		{"storageattach m --storagectl IDE --port 0 --device 0 --type dvddrive --medium m.vdi", "is no medium for a device"},
		{"storageattach m --storagectl IDE --port 0 --device 0 --type hdd --medium m.vdi", ""},
		{"storageattach m --storagectl IDE --port 0 --device 1 --type dvddrive --medium absent.iso", "VERR_FILE_NOT_FOUND"},
		{"storageattach m --storagectl IDE --port 0 --device 1 --type dvddrive --medium a.txt", "VERR_NOT_SUPPORTED"},
		{"storageattach m --storagectl IDE --port 0 --device 1 --type dvddrive --medium none", "No storage device attached"},
		{"storageattach m --storagectl IDE --port 0 --device 1 --type fdd --medium a.img", "takes no device of type fdd"},
		{"storagectl m --name SATA --add sata --portcount 1", ""},
		{"storagectl m --name SATA2 --add sata --portcount 31", "Invalid port count"},
		{"storagectl m --name Floppy --remove", "Could not find a storage controller named 'Floppy'"},
		{"closemedium disk m.vdi --delete", "VBOX_E_OBJECT_IN_USE"},
		{"controlvm m poweroff", "is not currently running"},
		{"snapshot m restore a", "Could not find a snapshot named 'a'"},
		{"startvm m --type window", "Invalid frontend type 'window'"},
		{"startvm m --type headless", ""},
		{"startvm m --type headless", "VBOX_E_INVALID_OBJECT_STATE"},
		{"modifyvm m --cpus 1", "VBOX_E_INVALID_OBJECT_STATE"},
		{"export m --output m.ovf", "VBOX_E_INVALID_OBJECT_STATE"},
		{"unregistervm m --delete", "VBOX_E_INVALID_OBJECT_STATE"},
		{"controlvm m keyboardputscancode 1c 9", "is not a valid scancode"},
		{"controlvm m keyboardputscancode 1c 9c", ""},
		{"controlvm m acpipowerbutton now", "Invalid parameter 'now'"},
		{"controlvm m poweroff", ""},
		{"export m", "Missing --output argument"},
		{"export m --output m.ovf --product x", "requires preceding --vsys"},
		{"export m --output m.ovf --options frob", "Invalid value 'frob'"},
		{"export m --output m.ovf --manifest", ""},
		{"export m --output m.ovf", "already exists"},
		{"import absent.ova", "Appliance read failed"},
		{"import m.ovf --vmname n", "requires preceding --vsys"},
		{"import m.ovf --vsys 0 --vmname m", "already exists"},
		{"import m.ovf --vsys 0 --vmname n", ""},
		{"unregistervm n --delete", ""},
		{"unregistervm m", ""},
		{"closemedium disk m.vdi --delete", "Could not find an open medium"},
	} {
		got := try(t, v, c.line)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.line, got, c.want)
		}
	}
	t.Setenv("STANDIN_VERSION", "6.1.50r161033")
	for _, line := range []string{
		"createvm --name old --register", "modifyvm old --nat-localhostreachable1 on", "modifyvm old --audio-driver none",
		"storagectl old --name S --add sata --sataportcount 1",
	} {
		want := "Unknown option"
		if strings.HasPrefix(line, "createvm") {
			want = ""
		}
		if got := try(t, v, line); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("6.1: %s: %q, want %q", line, got, want)
		}
	}
	if got := try(t, v, "modifyvm old --audio none"); got != "" {
		t.Errorf("6.1: --audio: %s", got)
	}
}

// Calls side by side lose nothing.
func TestSideBySide(t *testing.T) {
	v := kilntest.UseVirtualBox(t, "none")
	const count = 8
	ended := make(chan string, count)
	for n := range count {
		go func() { ended <- try(t, v, "createvm --register --name m"+string(rune('0'+n))) }()
	}
	for range count {
		if err := <-ended; err != "" {
			t.Error(err)
		}
	}
	if all := strings.Count(v.Manage("list", "vms"), "\n"); all != count {
		t.Errorf("of %d machines there are %d", count, all)
	}
}

func TestKeys(t *testing.T) {
	got := keyEvents([]byte{0x2a, 0x1e, 0x9e, 0xaa, 0xe0, 0x48, 0xe0, 0xc8, 0x00, 0x80, 0x1c, 0x9c})
	want := []keyEvent{
		{0x2a, true}, {0x1e, true}, {0x1e, false}, {0x2a, false}, {0xc8, true}, {0xc8, false}, {0x1c, true}, {0x1c, false},
	}
	if !slices.Equal(got, want) {
		t.Errorf("the events are %v", got)
	}
}
