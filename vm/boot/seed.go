package boot

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"kiln"
	"kiln/media/cd"
)

// Seed is what cloud-init in the guest is told, by its data source NoCloud: a CD with the
// label cidata.
type Seed struct {
	// User is made and let in with Key, a line of authorized_keys; may be root, and must be a
	// [UserName]. Where it is empty nobody is made, and cloud-init only finds that there is
	// nothing to do.
	User string
	Key  string
	// Instance is a name of this machine: cloud-init does its work once for each.
	Instance string
}

// UserName reports whether a name is one that any system takes for a user.
func UserName(name string) bool { return userName.MatchString(name) }

var userName = regexp.MustCompile(`^[a-z_][a-z0-9_.-]{0,31}$`)

// make writes the CD and returns its path.
func (s *Seed) make(ctx context.Context, b *kiln.Build) (string, error) {
	disc := cd.Config{Label: "cidata", Content: map[string]string{
		"meta-data": fmt.Sprintf("instance-id: %s\n", s.Instance),
		"user-data": s.userData(),
	}}
	path, err := disc.Make(ctx, b)
	if err != nil {
		return "", fmt.Errorf("data for cloud-init: %w", err)
	}
	return path, nil
}

// userData changes as little of the image as it can: it is to be seen as it was captured.
func (s *Seed) userData() string {
	var t strings.Builder
	t.WriteString("#cloud-config\n" +
		"preserve_hostname: true\n" +
		"ssh_deletekeys: false\n" +
		"package_update: false\n" +
		"package_upgrade: false\n" +
		"resize_rootfs: false\n" +
		"growpart:\n  mode: 'off'\n")
	if s.User == "" {
		t.WriteString("users: []\n")
		return t.String()
	}
	fmt.Fprintf(&t, "users:\n  - name: %s\n", s.User)
	if s.User != "root" {
		t.WriteString("    sudo: ALL=(ALL) NOPASSWD:ALL\n    lock_passwd: true\n")
	}
	fmt.Fprintf(&t, "    ssh_authorized_keys:\n      - %s\n", s.Key)
	if s.User == "root" {
		t.WriteString("disable_root: false\n")
	}
	return t.String()
}
