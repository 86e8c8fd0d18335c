package cd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
)

// A disc is what an image has, as an independent reader sees it: the content of each
// file, and "" for a folder with a slash at its end.
type disc struct {
	label, jolietLabel     string
	rock, joliet, plain    map[string]string
	modes                  map[string]uint32
	tableRock, tableJoliet int // folders in the path tables
}

// read reads an image, by nothing of what writes it.
func read(image []byte) (d disc, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the image cannot be read: %v", p)
		}
	}()
	le := binary.LittleEndian
	both := func(b []byte) int {
		if le.Uint32(b) != binary.BigEndian.Uint32(b[4:]) {
			panic("a number is not the same in both orders")
		}
		return int(le.Uint32(b))
	}
	d.rock, d.joliet, d.plain = map[string]string{}, map[string]string{}, map[string]string{}
	d.modes = map[string]uint32{}
	for i := 16; ; i++ {
		desc := image[i*2048:][:2048]
		if string(desc[1:6]) != "CD001" {
			return d, errors.New("no descriptor")
		}
		if desc[0] == 255 {
			return d, nil
		}
		if both(desc[80:])*2048 != len(image) {
			return d, fmt.Errorf("it has %d blocks, not %d", len(image)/2048, both(desc[80:]))
		}
		r := reader9660{image: image, joliet: desc[0] == 2, d: &d}
		if err := r.folder("", "", "", both(desc[158:]), both(desc[166:])); err != nil {
			return d, err
		}
		count, err := r.tables(desc)
		if err != nil {
			return d, err
		}
		if r.joliet {
			d.jolietLabel, d.tableJoliet = strings.TrimRight(ucs2(desc[40:72]), " "), count
		} else {
			d.label, d.tableRock = strings.TrimRight(string(desc[40:72]), " "), count
		}
	}
}

func ucs2(b []byte) string {
	var units []uint16
	for ; len(b) > 1; b = b[2:] {
		units = append(units, binary.BigEndian.Uint16(b))
	}
	return string(utf16.Decode(units))
}

type reader9660 struct {
	image  []byte
	joliet bool
	d      *disc
	seen   map[int]bool // places of folders
}

// tables reads both path tables and returns the number of folders, all of which must be
// those that the tree has.
func (r *reader9660) tables(desc []byte) (count int, err error) {
	le, be := binary.LittleEndian, binary.BigEndian
	size := int(le.Uint32(desc[132:]))
	low := r.image[int(le.Uint32(desc[140:]))*2048:][:size]
	high := r.image[int(be.Uint32(desc[148:]))*2048:][:size]
	for len(low) > 0 {
		count++
		n, parent := int(low[0]), int(le.Uint16(low[6:]))
		place := int(le.Uint32(low[2:]))
		if place != int(be.Uint32(high[2:])) || parent != int(be.Uint16(high[6:])) || parent > count {
			return count, errors.New("the path tables differ")
		}
		if !r.seen[place] {
			return count, fmt.Errorf("no folder is at %d", place)
		}
		low, high = low[8+n+n%2:], high[8+n+n%2:]
	}
	if count != len(r.seen) {
		return count, fmt.Errorf("%d folders, and %d in the path table", len(r.seen), count)
	}
	return count, nil
}

// folder reads a folder and all below it.
func (r *reader9660) folder(at, plainAt, last string, place, size int) error {
	if r.seen == nil {
		r.seen = map[int]bool{}
	}
	if r.seen[place] {
		return fmt.Errorf("folder %d is there twice", place)
	}
	r.seen[place] = true
	le := binary.LittleEndian
	data := r.image[place*2048:][:size]
	part := ""
	for i := 0; i < len(data); {
		n := int(data[i])
		if n == 0 { // the rest of the block is empty
			i = (i/2048 + 1) * 2048
			continue
		}
		rec := data[i:][:n]
		if i/2048 != (i+n-1)/2048 {
			return fmt.Errorf("a record of %s goes across blocks", at)
		}
		i += n
		extent, length, flags, nameLen := int(le.Uint32(rec[2:])), int(le.Uint32(rec[10:])), rec[25], int(rec[32])
		id := string(rec[33:][:nameLen])
		use := rec[33+nameLen+(nameLen+1)%2:]
		if id == "\x00" || id == "\x01" {
			continue
		}
		if r.joliet {
			id = ucs2([]byte(id))
		}
		id = strings.TrimSuffix(id, ";1")
		if part == "" && id <= last && !strings.Contains(id+last, ".") {
			return fmt.Errorf("%q stands behind %q", id, last)
		}
		last = id
		name, mode := id, uint32(0)
		if !r.joliet {
			var err error
			if name, mode, err = r.rockRidge(use); err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
		}
		if flags&2 != 0 {
			r.put(at+name+"/", plainAt+id+"/", "", mode)
			if err := r.folder(at+name+"/", plainAt+id+"/", "", extent, length); err != nil {
				return err
			}
			continue
		}
		part += string(r.image[extent*2048:][:length])
		if flags&0x80 == 0 {
			if !r.put(at+name, plainAt+id, part, mode) {
				return fmt.Errorf("%s%s (%s) is there twice", at, name, id)
			}
			part = ""
		}
	}
	return nil
}

func (r *reader9660) put(name, plain, text string, mode uint32) bool {
	all := r.d.joliet
	if !r.joliet {
		all = r.d.rock
		r.d.modes[name] = mode
		if _, twice := r.d.plain[plain]; twice {
			return false
		}
		r.d.plain[plain] = text
	}
	_, twice := all[name]
	all[name] = text
	return !twice
}

func (r *reader9660) rockRidge(use []byte) (name string, mode uint32, err error) {
	le := binary.LittleEndian
	found := ""
	for len(use) > 3 {
		n := int(use[2])
		f := use[:n]
		use = use[n:]
		found += string(f[:2]) + " "
		switch string(f[:2]) {
		case "NM":
			name += string(f[5:])
		case "PX":
			mode = le.Uint32(f[4:])
		case "CE":
			block, offset, length := int(le.Uint32(f[4:])), int(le.Uint32(f[12:])), int(le.Uint32(f[20:]))
			if offset+length > 2048 {
				return name, mode, errors.New("a continuation goes across blocks")
			}
			use = r.image[block*2048+offset:][:length]
		}
	}
	if name == "" || mode == 0 || !strings.Contains(found, "TF") {
		return name, mode, fmt.Errorf("it has only %s", found)
	}
	return name, mode, nil
}
