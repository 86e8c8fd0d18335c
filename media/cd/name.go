package cd

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"kiln/media/files"
)

// An ident is the name of a file or folder in a tree, in UTF-16.
type ident struct {
	base, ext []uint16
	dot       bool // between the two
	folder    bool
}

// What names may be long. Joliet's own limit is 64, but what reads it takes 103, which
// mkisofs offers as -joliet-long; drivers for Windows have such names.
const (
	maxPlain       = 30 // and the dot
	maxPlainFolder = 31
	maxJoliet      = 103
	maxPlainExt    = 8
	maxJolietExt   = 30
)

// version ends the name of each file in the plain tree. The usual tools leave it out in
// Joliet's.
const version = ";1"

// idents are the names of a folder's children in a tree, no two of which are the same.
// One that need not be changed is given first.
func idents(children []*files.Node, joliet bool) []ident {
	all := make([]ident, len(children))
	taken, numbers := map[string]bool{}, map[string]int{}
	var changed []int
	for i, c := range children {
		all[i] = wish(c.Name, c.File == nil, joliet)
		if fits := all[i].cut(joliet, ""); !taken[fits.key()] && fits.key() == all[i].key() {
			taken[fits.key()] = true
			continue
		}
		changed = append(changed, i)
	}
	for _, i := range changed {
		first := all[i].cut(joliet, "")
		for now := first; ; {
			if !taken[now.key()] {
				all[i] = now
				taken[now.key()] = true
				break
			}
			numbers[first.key()]++
			now = all[i].cut(joliet, fmt.Sprintf("_%d", numbers[first.key()]))
		}
	}
	return all
}

// wish is the name that would be if there were room, and it were the only one.
func wish(name string, folder, joliet bool) ident {
	id := ident{folder: folder, dot: !folder && !joliet} // in the plain tree each file has one
	base, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 && (!folder || joliet) {
		base, ext, id.dot = name[:i], name[i+1:], true
	}
	id.base, id.ext = units(base, joliet), units(ext, joliet)
	return id
}

// units are a part of a name in the signs that a tree allows.
func units(text string, joliet bool) []uint16 {
	if joliet {
		return utf16.Encode([]rune(strings.Map(func(r rune) rune {
			if r < ' ' || strings.ContainsRune(`*/:;?\`, r) {
				return '_'
			}
			return r
		}, text)))
	}
	return utf16.Encode([]rune(strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(text))))
}

// cut is the name with no more signs than there is room for, and tail at the end of its base.
func (d ident) cut(joliet bool, tail string) ident {
	room, extRoom := maxPlain, maxPlainExt
	switch {
	case joliet:
		room, extRoom = maxJoliet-1, maxJolietExt
	case d.folder:
		room = maxPlainFolder
	}
	if tail == "" && len(d.base)+len(d.ext) <= room {
		return d
	}
	if len(d.base)+len(d.ext)+len(tail) > room {
		d.ext = whole(d.ext[:min(len(d.ext), extRoom)])
	}
	d.base = whole(d.base[:min(len(d.base), room-len(d.ext)-len(tail))])
	d.base = slices.Concat(d.base, utf16.Encode([]rune(tail)))
	return d
}

// whole drops the first half of a sign whose second half was cut off.
func whole(text []uint16) []uint16 {
	if n := len(text); n > 0 && text[n-1] >= 0xd800 && text[n-1] < 0xdc00 {
		return text[:n-1]
	}
	return text
}

// key is the same for names that are the same.
func (d ident) key() string { return string(utf16.Decode(d.text())) }

func (d ident) text() []uint16 {
	if !d.dot {
		return d.base
	}
	return slices.Concat(d.base, []uint16{'.'}, d.ext)
}

// compare is the order of the standard: of the bases, then of what is behind the dot.
func (d ident) compare(o ident) int {
	return cmp.Or(slices.Compare(d.base, o.base), slices.Compare(d.ext, o.ext))
}

// bytes are the name as its tree has it.
func (d ident) bytes(joliet bool) (all []byte) {
	text := d.text()
	if !d.folder && !joliet {
		text = slices.Concat(text, utf16.Encode([]rune(version)))
	}
	for _, u := range text {
		if joliet {
			all = binary.BigEndian.AppendUint16(all, u)
		} else {
			all = append(all, byte(u))
		}
	}
	return all
}
