package boot

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"kiln/driver/qemu"
)

// firmwares are where systems keep EFI firmware and its variables. Both of a pair are for
// flash memory of one size.
var firmwares = []struct{ code, vars string }{
	{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
	{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
	{"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},
	{"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
	{"/usr/share/edk2-ovmf/x64/OVMF_CODE.fd", "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd"},
	{"/opt/homebrew/share/qemu/edk2-x86_64-code.fd", "/opt/homebrew/share/qemu/edk2-i386-vars.fd"},
	{"/usr/local/share/qemu/edk2-x86_64-code.fd", "/usr/local/share/qemu/edk2-i386-vars.fd"},
}

// firmware gives the machine EFI firmware where the image wants it.
func (m *Machine) firmware(ctx context.Context, image *Image, h *qemu.Hardware) error {
	efi := m.cfg.EFICode != "" || image.EFIVars != ""
	if m.cfg.EFI != nil {
		efi = *m.cfg.EFI
	} else if !efi {
		head, err := m.head(ctx, h.Disks[0])
		if err != nil {
			return err
		}
		efi = wantsEFI(head)
	}
	if !efi {
		return nil
	}
	code, vars := m.cfg.EFICode, m.cfg.EFIVars
	if vars == "" {
		vars = image.EFIVars
	}
	for _, pair := range firmwares {
		if code != "" && vars != "" {
			break
		}
		if fits(pair.code, pair.vars, code, vars) {
			code, vars = or(code, pair.code), or(vars, pair.vars)
		}
	}
	if code == "" || vars == "" {
		return fmt.Errorf("the machine is to boot by EFI, and no firmware for it is found here: install OVMF " +
			"(Debian: ovmf; Fedora: edk2-ovmf), or say where it is by -efi-firmware-code and -efi-firmware-vars")
	}
	own := filepath.Join(m.dir, efiVars)
	if err := copyFile(vars, own); err != nil {
		return fmt.Errorf("EFI variables: %w", err)
	}
	h.EFICode, h.EFIVars = code, own
	return nil
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// fits reports whether a pair of firmware is there, and what is given already can be used
// with it.
func fits(pairCode, pairVars, code, vars string) bool {
	c, err := os.Stat(pairCode)
	if err != nil {
		return false
	}
	v, err := os.Stat(pairVars)
	if err != nil {
		return false
	}
	same := func(given string, size int64) bool {
		info, err := os.Stat(given)
		return given == "" || err == nil && info.Size() == size
	}
	return same(code, c.Size()) && same(vars, v.Size())
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// headSectors are read of a disk: the partition table of any kind is among them.
const headSectors = 40

// head reads the beginning of a disk as the guest sees it.
func (m *Machine) head(ctx context.Context, overlay string) ([]byte, error) {
	file := filepath.Join(m.dir, "head.raw")
	_, err := qemu.Img(ctx, m.b, "dd", "-f", "qcow2", "-O", "raw", fmt.Sprintf("bs=%d", sector),
		fmt.Sprintf("count=%d", headSectors), "if="+overlay, "of="+file)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// hasBootSector reports whether a disk that begins so could boot: by the mark of a boot
// sector, or a partition table.
func hasBootSector(head []byte) bool {
	return len(head) >= sector && head[sector-2] == 0x55 && head[sector-1] == 0xaa ||
		len(head) >= sector+8 && string(head[sector:sector+8]) == gptMark
}

const (
	gptMark   = "EFI PART"
	bootCode  = 440 // bytes of the first sector that are a program
	tableAt   = 446 // of the first sector: four partitions
	entrySize = 16
	typeAt    = 4 // of a partition's entry
	efiType   = 0xef
)

// The types of partitions in a GPT, as they are stored.
var (
	efiPartition  = []byte("\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b")
	biosPartition = []byte("Hah!IdontNeedEFI")
)

// wantsEFI reports whether a disk can boot by EFI only: it has a partition for that, and no
// program for a BIOS.
func wantsEFI(head []byte) bool {
	if len(head) < 2*sector {
		return false
	}
	if bytes.ContainsFunc(head[:bootCode], func(r rune) bool { return r != 0 }) {
		return false
	}
	efi, bios := false, false
	if string(head[sector:sector+len(gptMark)]) == gptMark {
		for _, kind := range gptTypes(head) {
			efi = efi || bytes.Equal(kind, efiPartition)
			bios = bios || bytes.Equal(kind, biosPartition)
		}
		return efi && !bios
	}
	for i := range 4 {
		efi = efi || head[tableAt+i*entrySize+typeAt] == efiType
	}
	return efi
}

// gptTypes are the types of the partitions as far as their entries are in the head.
func gptTypes(head []byte) (types [][]byte) {
	const at, count, size = sector + 72, sector + 80, sector + 84
	first := binary.LittleEndian.Uint64(head[at:]) * sector
	step := uint64(binary.LittleEndian.Uint32(head[size:]))
	n := uint64(binary.LittleEndian.Uint32(head[count:]))
	if step < 16 || step > 4096 || first > uint64(len(head)) {
		return nil
	}
	for i := range min(n, 128) {
		entry := first + i*step
		if entry+16 > uint64(len(head)) {
			break
		}
		types = append(types, head[entry:entry+16])
	}
	return types
}
