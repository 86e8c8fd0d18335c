package floppy

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// shortName is the name of 8 and 3 bytes that every entry has.
type shortName [11]byte

// extras are the signs that short names may have beside letters and digits.
const extras = "$%'-_@~`!(){}^#&"

// exact is the short name that is the whole name, in capitals.
func exact(name string) (s shortName, ok bool) {
	base, ext, dot := strings.Cut(name, ".")
	if base == "" || len(base) > 8 || len(ext) > 3 || dot && ext == "" {
		return s, false
	}
	if strings.ContainsFunc(base+ext, func(r rune) bool { return !plain(r) && (r < 'a' || r > 'z') }) {
		return s, false
	}
	return short(strings.ToUpper(base), strings.ToUpper(ext)), true
}

func plain(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r < 0x80 && strings.ContainsRune(extras, r)
}

func short(base, ext string) (s shortName) {
	copy(s[:], "           ")
	copy(s[:8], base)
	copy(s[8:], ext)
	return s
}

// abbreviated is a short name for a long one that is not taken: its beginning and a number.
func abbreviated(name string, taken map[shortName]bool) shortName {
	base, ext := strings.TrimLeft(name, ". "), ""
	if i := strings.LastIndexByte(base, '.'); i >= 0 {
		base, ext = base[:i], base[i+1:]
	}
	base, ext = allowed(base), allowed(ext)
	ext = ext[:min(len(ext), 3)]
	for n := 1; ; n++ {
		tail := fmt.Sprintf("~%d", n)
		s := short(base[:min(len(base), 8-len(tail))]+tail, ext)
		if !taken[s] {
			return s
		}
	}
}

// allowed is a text in capitals, with other signs than those of short names replaced.
func allowed(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '.':
			return -1
		case plain(r):
			return r
		}
		return '_'
	}, strings.ToUpper(text))
}

// checkName reports a name that cannot stand on the disk.
func checkName(name string) error {
	odd := func(r rune) bool { return r < ' ' || strings.ContainsRune(`\/:*?"<>|`, r) }
	if i := strings.IndexFunc(name, odd); i >= 0 {
		return fmt.Errorf("the name %q cannot stand on a floppy disk: it has the sign %q", name, name[i])
	}
	if len(utf16.Encode([]rune(name))) > maxName {
		return fmt.Errorf("the name %q cannot stand on a floppy disk: it has more than %d signs", name, maxName)
	}
	return nil
}

const (
	maxName  = 255 // UTF-16 units of a long name
	slotText = 13  // of those in one slot
	lastSlot = 0x40
	attrLong = 0x0f
)

// slots are the entries with the long name, which stand in front of that with the short one.
func slots(name string, s shortName) []byte {
	units := utf16.Encode([]rune(name))
	count := (len(units) + slotText - 1) / slotText
	if len(units)%slotText != 0 {
		units = append(units, 0)
	}
	for len(units) < count*slotText {
		units = append(units, 0xffff)
	}
	var all []byte
	for n := count; n > 0; n-- {
		part := units[(n-1)*slotText : n*slotText]
		slot := make([]byte, entrySize)
		slot[0] = byte(n)
		if n == count {
			slot[0] |= lastSlot
		}
		slot[11], slot[13] = attrLong, s.checksum()
		for i, u := range part {
			binary.LittleEndian.PutUint16(slot[unitPlace(i):], u)
		}
		all = append(all, slot...)
	}
	return all
}

// unitPlace is where a slot has its unit i: five, six and two of them stand together.
func unitPlace(i int) int {
	switch {
	case i < 5:
		return 1 + 2*i
	case i < 11:
		return 14 + 2*(i-5)
	}
	return 28 + 2*(i-11)
}

// checksum ties the slots of a long name to the short one.
func (s shortName) checksum() (sum byte) {
	for _, c := range s {
		sum = sum>>1 | sum<<7
		sum += c
	}
	return sum
}
