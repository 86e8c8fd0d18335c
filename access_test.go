package kiln_test

import (
	"slices"
	"testing"

	"kiln"
)

// Templates see the access as keys of the build's data; its secrets are hidden.
func TestAccess(t *testing.T) {
	var hidden []string
	b := kiln.NewBuild(kiln.Build{Name: "b"}, kiln.Host{Hide: func(s string) { hidden = append(hidden, s) }})
	b.Set("ID", "x")
	if data := b.Data(); len(data) != 1 || b.Access().Type != "" {
		t.Errorf("before connecting: %v, %+v", data, b.Access())
	}
	b.SetAccess(kiln.Access{Type: "winrm", Host: "h", Port: 5985, User: "u", Password: "pw", PrivateKey: "pem"})
	data := b.For("provisioner.x", 1).Data()
	for key, want := range map[string]any{"ID": "x", "ConnType": "winrm", "Host": "h", "Port": 5985, "User": "u",
		"Password": "pw", "WinRMPassword": "pw", "SSHPrivateKey": "pem", "SSHPublicKey": "", "SSHAgentAuth": false} {
		if data[key] != want {
			t.Errorf("%s is %v, not %v", key, data[key], want)
		}
	}
	if !slices.Contains(hidden, "pw") || !slices.Contains(hidden, "pem") {
		t.Errorf("hidden are %q", hidden)
	}
}
