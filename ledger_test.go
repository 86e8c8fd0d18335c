package kiln

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

// notes is a journal that remembers what it was told.
type notes struct {
	log  []string
	fail bool
}

func (n *notes) Own(_ string, r Resource) error {
	n.log = append(n.log, "own "+r.ID)
	if n.fail {
		return errors.New("disk full")
	}
	return nil
}

func (n *notes) Gone(_ string, r Resource) error {
	n.log = append(n.log, "gone "+r.ID)
	return nil
}

func (n *notes) Release(_ string, all ...Resource) error {
	for _, r := range all {
		n.log = append(n.log, "release "+r.ID)
	}
	return nil
}

// What is owned goes through the states that the ledger's comment lists, and the journal
// names it until its end.
func TestLedger(t *testing.T) {
	j := &notes{}
	b := NewBuild(Build{Name: "b"}, Host{Journal: j})
	var destroyed []string
	own := func(id string, err error) Resource {
		r := Resource{Owner: "x", Kind: "thing", ID: id, Attrs: map[string]string{"host": "h"}}
		if err := b.Own(r, func(context.Context) error { destroyed = append(destroyed, id); return err }); err != nil {
			t.Fatal(err)
		}
		return r
	}
	a, kept, lost := own("a", nil), own("kept", nil), own("lost", nil)
	moved, replaced, stuck := own("moved", nil), own("replaced", ErrReplaced), own("stuck", errors.New("no"))
	for _, r := range []Resource{kept, lost} {
		if err := b.Release(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Forget(moved); err != nil || b.Owns(moved) {
		t.Errorf("forgotten: %v", err)
	}
	elsewhere := kept
	elsewhere.Attrs = map[string]string{"host": "other"}
	if b.Owns(elsewhere) || !b.Owns(kept) {
		t.Error("a thing in another place is the same")
	}
	err := b.Close(t.Context())
	if left := Undestroyed(err); len(left) != 1 || !left[0].Same(stuck) {
		t.Errorf("left are %v", left)
	}
	if err := b.Settle(t.Context(), kept.Same); err != nil {
		t.Error(err)
	}
	if got := strings.Join(destroyed, " "); got != "stuck replaced a lost" {
		t.Errorf("destroyed %s", got)
	}
	want := []string{"gone moved", "gone replaced", "gone a", "release kept", "gone lost"}
	if got := j.log[6:]; !slices.Equal(got, want) {
		t.Errorf("the journal was told %q", got)
	}
	if open := b.Owned(); len(open) != 0 || b.Owns(a) || b.Owns(replaced) {
		t.Errorf("it still owns %v", open)
	}
	j.fail = true
	if err := b.Own(a, nil); err == nil || b.Owns(a) {
		t.Errorf("what could not be written down is owned: %v", err)
	}
}
