package boot

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kiln/kilntest"
)

// gpt is the head of a disk with partitions of these types.
func gpt(code bool, types ...[]byte) []byte {
	head := make([]byte, headSectors*sector)
	if code {
		head[0] = 0xeb
	}
	head[sector-2], head[sector-1] = 0x55, 0xaa
	copy(head[sector:], gptMark)
	binary.LittleEndian.PutUint64(head[sector+72:], 2)
	binary.LittleEndian.PutUint32(head[sector+80:], 128)
	binary.LittleEndian.PutUint32(head[sector+84:], 128)
	for i, kind := range types {
		copy(head[2*sector+128*i:], kind)
	}
	return head
}

func mbr(code bool, kind byte) []byte {
	head := make([]byte, headSectors*sector)
	if code {
		head[0] = 0xfa
	}
	head[tableAt+entrySize+typeAt] = kind
	head[sector-2], head[sector-1] = 0x55, 0xaa
	return head
}

// A disk is booted by EFI where nothing on it is for a BIOS.
func TestWantsEFI(t *testing.T) {
	linux := []byte(strings.Repeat("L", 16))
	for name, c := range map[string]struct {
		head []byte
		want bool
	}{
		"GPT with an EFI partition":     {gpt(false, linux, efiPartition), true},
		"and with one for a BIOS":       {gpt(false, biosPartition, efiPartition), false},
		"and with a program for a BIOS": {gpt(true, efiPartition), false},
		"GPT without one":               {gpt(false, linux), false},
		"MBR with an EFI partition":     {mbr(false, efiType), true},
		"and with a program":            {mbr(true, efiType), false},
		"MBR without":                   {mbr(false, 0x83), false},
		"nothing":                       {make([]byte, headSectors*sector), false},
		"a part of a sector":            {make([]byte, 100), false},
	} {
		if got := wantsEFI(c.head); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func FuzzWantsEFI(f *testing.F) {
	f.Add(gpt(false, efiPartition))
	f.Add(mbr(true, efiType))
	f.Fuzz(func(t *testing.T, head []byte) {
		if wantsEFI(head) && (len(head) < 2*sector || head[0] != 0) {
			t.Error("a disk with a program in its first sector wants EFI")
		}
		_ = hasBootSector(head)
	})
}

// Code and variables are of one size of flash memory.
func TestFirmwareFits(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, size int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	code, vars := file("code", 400), file("vars", 100)
	if !fits(code, vars, "", "") || !fits(code, vars, "", file("own", 100)) || !fits(code, vars, code, "") {
		t.Error("a pair that fits is refused")
	}
	if fits(code, vars, "", file("other", 50)) || fits(code, filepath.Join(dir, "no"), "", "") {
		t.Error("a pair that does not fit is taken")
	}
}

// What cloud-init is told changes as little as it can.
func TestSeed(t *testing.T) {
	all := []struct {
		seed      Seed
		has, lack string
	}{
		{Seed{User: "kiln", Key: "ssh-ed25519 AAA"}, "  - name: kiln\n    sudo: ALL=(ALL) NOPASSWD:ALL\n", "disable_root"},
		{Seed{User: "root", Key: "ssh-ed25519 AAA"}, "      - ssh-ed25519 AAA\ndisable_root: false\n", "sudo"},
		{Seed{}, "users: []\n", "ssh_authorized_keys"},
	}
	for _, c := range all {
		text := c.seed.userData()
		if !strings.HasPrefix(text, "#cloud-config\n") || !strings.Contains(text, c.has) ||
			strings.Contains(text, c.lack) || !strings.Contains(text, "preserve_hostname: true\n") {
			t.Errorf("%+v: %s", c.seed, text)
		}
	}
	for name, want := range map[string]bool{
		"kiln": true, "_a.b-c": true, "": false, "Root": false, "1a": false, "a b": false, "a\nb": false,
		strings.Repeat("a", 33): false,
	} {
		if UserName(name) != want {
			t.Errorf("%q is a user's name: %t", name, !want)
		}
	}
	b, _ := kilntest.NewBuild(t)
	if path, err := (&Seed{Instance: "i"}).make(t.Context(), b); err != nil || path == "" {
		t.Error(path, err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
