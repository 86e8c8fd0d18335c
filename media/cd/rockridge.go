package cd

import (
	"encoding/binary"
	"time"

	"kiln/media/files"
)

// Rock Ridge tells what POSIX knows of a file in the part of its record that is free for
// such use, as fields of SUSP: two letters, length, version, data.

// continuation is what has no room in records.
type continuation []byte

// add keeps fields, and returns the field that leads to them. They do not go across
// blocks.
func (c *continuation) add(fields []byte) []byte {
	if left := blockSize - len(*c)%blockSize; len(fields) > left {
		*c = append(*c, make([]byte, left)...)
	}
	at := len(*c)
	*c = append(*c, fields...)
	var data []byte
	data = both32(data, uint32(morePlace+at/blockSize))
	data = both32(data, uint32(at%blockSize))
	data = both32(data, uint32(len(fields)))
	return field("CE", data)
}

func field(name string, data []byte) []byte {
	return append([]byte{name[0], name[1], byte(4 + len(data)), 1}, data...)
}

// both32 appends a number in both byte orders.
func both32(to []byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.LittleEndian.AppendUint32(to, n), n)
}

func both16(to []byte, n uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.LittleEndian.AppendUint16(to, n), n)
}

const (
	modeFolder  = 0o040555
	modeFile    = 0o100444
	modeProgram = 0o100555

	maxRecord   = 254 // an even number that one byte holds
	linkLength  = 28  // of the field CE
	maxNameData = 250 // of a name in one field
)

// posix are the fields PX and TF. All belongs to root and nobody writes to it, whoever
// the files belong to here.
func posix(n *files.Node, made time.Time) []byte {
	mode, links, changed := uint32(modeFolder), uint32(2), made
	if n.File == nil {
		for _, c := range n.Children {
			if c.File == nil {
				links++
			}
		}
	} else {
		mode, links, changed = modeFile, 1, n.File.Time
		if n.File.Exec {
			mode = modeProgram
		}
	}
	var data []byte
	for _, v := range []uint32{mode, links, 0, 0} { // user and group 0
		data = both32(data, v)
	}
	const modifyAccessChange = 0x0e
	times := []byte{modifyAccessChange}
	for range 3 {
		times = append(times, recordTime(changed)...)
	}
	return append(field("PX", data), field("TF", times)...)
}

// use are the fields of an entry whose name in the plain tree has the given length.
func (img *image) use(n *files.Node, idLength int) []byte {
	fields := posix(n, img.made)
	name := nameFields(n.Name)
	if even(recordHead+idLength)+len(fields)+len(name) <= maxRecord {
		return append(fields, name...)
	}
	return append(fields, img.more.add(name)...)
}

// nameFields are the real name of a file; a long one takes two fields.
func nameFields(name string) (all []byte) {
	const goesOn = 1
	for len(name) > maxNameData {
		all = append(all, field("NM", append([]byte{goesOn}, name[:maxNameData]...))...)
		name = name[maxNameData:]
	}
	return append(all, field("NM", append([]byte{0}, name...))...)
}

// folderUse are the fields of the entries of a folder for itself and for the one above. The
// very first entry says that there is Rock Ridge at all.
func (img *image) folderUse(f *folder) {
	f.self, f.above = posix(f.node, img.made), posix(f.parent.node, img.made)
	if f.parent != f {
		return
	}
	first := field("SP", []byte{0xbe, 0xef, 0})
	f.self = append(append(first, f.self...), img.more.add(extension())...)
}

// extension is the field ER, whose texts are those of the standard.
func extension() []byte {
	const (
		id   = "RRIP_1991A"
		what = "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS"
		from = "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY " +
			"VOLUME DESCRIPTOR FOR CONTACT INFORMATION."
	)
	return field("ER", append([]byte{byte(len(id)), byte(len(what)), byte(len(from)), 1}, id+what+from...))
}
