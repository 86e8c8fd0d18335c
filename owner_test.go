//go:build unix

package kiln

import (
	"io/fs"
	"strings"
	"testing"
)

func TestCheckOwner(t *testing.T) {
	for name, c := range map[string]struct {
		owner, me int
		mode      fs.FileMode
		want      string // empty: it is accepted
	}{
		"one's own":                      {1000, 1000, 0o700, ""},
		"one's own that others may read": {1000, 1000, 0o755, ""},
		"root's, used by root":           {0, 0, 0o755, ""},
		"a user's, used by root":         {54321, 0, 0o700, "root would act on what that user wrote: run this as #54321 (sudo -u '#54321'"},
		"root's, used by a user":         {0, 54321, 0o755, "belongs to root, and you are #54321: set KILN_HOME to a folder of your own"},
		"another user's":                 {1, 54321, 0o777, `sudo chown -R 54321 "/h"`},
		"a group's":                      {1000, 1000, 0o2775, `others may write /h (its mode is 0775): chmod -R go-w "/h"`},
		"everybody's":                    {0, 0, fs.ModeSticky | 0o777, "others may write /h"},
	} {
		err := checkOwner("/h", c.owner, c.me, c.mode)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
