package floppy

import (
	"encoding/binary"
	"fmt"
	"time"

	"kiln/media/files"
)

// The geometry of a 1.44 MB disk: 80 tracks of 18 sectors on each of 2 sides.
const (
	sectorSize  = 512
	sectors     = 2880
	fatSectors  = 9
	fatCopies   = 2
	rootEntries = 224
	entrySize   = 32
	mediaByte   = 0xf0

	rootStart    = (1 + fatCopies*fatSectors) * sectorSize
	dataStart    = rootStart + rootEntries*entrySize
	clusters     = sectors - dataStart/sectorSize // of one sector each
	firstCluster = 2
	endOfChain   = 0xfff

	attrLabel  = 0x08
	attrFolder = 0x10
	attrFile   = 0x20

	// capacity is the room for content where all of it is one file.
	capacity = clusters * sectorSize
)

// bootCode gives the turn to the next device, for machines that try the floppy disk first.
var bootCode = []byte{0xcd, 0x18, 0xeb, 0xfe} // int 18h; for ever

// A disk is being written.
type disk struct {
	image []byte
	next  int // the first free cluster
	made  time.Time
}

// format makes a disk with all that is below root, whose files have been read.
func format(root *files.Node, label string, made time.Time) ([]byte, error) {
	root.Sort()
	d := &disk{image: make([]byte, sectors*sectorSize), next: firstCluster, made: made}
	if count := need(root); count > clusters {
		return nil, fmt.Errorf("FAT FULL: the files take %d bytes, and the disk has room for %d",
			count*sectorSize, capacity)
	}
	d.boot(label)
	d.link(0, 0xf00|mediaByte)
	d.link(1, endOfChain)

	labelEntry := d.entry(short(label[:min(len(label), 8)], label[min(len(label), 8):]), attrLabel, 0, 0, made)
	entries, err := d.folder(root, labelEntry, 0)
	if err != nil {
		return nil, err
	}
	if len(entries) > rootEntries*entrySize {
		return nil, fmt.Errorf("the root of the disk has room for %d entries, and its files take %d "+
			"(a long name takes several): put some into a folder by floppy_dirs", rootEntries, len(entries)/entrySize)
	}
	copy(d.image[rootStart:], entries)
	copy(d.image[(1+fatSectors)*sectorSize:], d.image[sectorSize:(1+fatSectors)*sectorSize])
	return d.image, nil
}

// need is the number of clusters of all that is below a folder.
func need(n *files.Node) (count int) {
	for _, c := range n.Children {
		if c.File != nil {
			count += clustersOf(len(c.File.Text))
			continue
		}
		count += clustersOf(entriesOf(c)*entrySize) + need(c)
	}
	return count
}

func clustersOf(size int) int { return (size + sectorSize - 1) / sectorSize }

// entriesOf is the number of entries of a folder that is not the root.
func entriesOf(n *files.Node) int {
	count := 2 // itself and the one above
	for _, c := range n.Children {
		count++
		if _, ok := exact(c.Name); !ok {
			count += len(slots(c.Name, shortName{})) / entrySize
		}
	}
	return count
}

// boot writes the boot sector, with the BIOS parameter block.
func (d *disk) boot(label string) {
	s := d.image[:sectorSize]
	le := binary.LittleEndian
	copy(s, []byte{0xeb, 0x3c, 0x90}) // jump to the code
	copy(s[3:11], label+"        ")
	le.PutUint16(s[11:], sectorSize)
	s[13] = 1               // sectors in a cluster
	le.PutUint16(s[14:], 1) // this sector
	s[16] = fatCopies
	le.PutUint16(s[17:], rootEntries)
	le.PutUint16(s[19:], sectors)
	s[21] = mediaByte
	le.PutUint16(s[22:], fatSectors)
	le.PutUint16(s[24:], 18) // sectors of a track
	le.PutUint16(s[26:], 2)  // sides
	s[38] = 0x29             // what follows is there
	le.PutUint32(s[39:], uint32(d.made.Unix()))
	copy(s[43:54], label+"           ")
	copy(s[54:62], "FAT12   ")
	copy(s[62:], bootCode)
	s[510], s[511] = 0x55, 0xaa
}

// link sets what follows a cluster in the first FAT, which has 12 bits for each.
func (d *disk) link(cluster, next int) {
	at := d.image[sectorSize+cluster*3/2:]
	if cluster%2 == 0 {
		at[0], at[1] = byte(next), at[1]&0xf0|byte(next>>8)
		return
	}
	at[0], at[1] = at[0]&0x0f|byte(next<<4), byte(next>>4)
}

// take takes clusters for so many bytes and returns the first; 0: none.
func (d *disk) take(size int) int {
	count := clustersOf(size)
	if count == 0 {
		return 0
	}
	first := d.next
	for c := first; c < first+count-1; c++ {
		d.link(c, c+1)
	}
	d.link(first+count-1, endOfChain)
	d.next += count
	return first
}

func (d *disk) write(cluster int, data []byte) {
	if cluster != 0 {
		copy(d.image[dataStart+(cluster-firstCluster)*sectorSize:], data)
	}
}

// folder writes all that is below a folder and returns its entries, after those that
// begin it. Cluster is its own; 0 for the root.
func (d *disk) folder(n *files.Node, begin []byte, cluster int) ([]byte, error) {
	names, err := shortNames(n)
	if err != nil {
		return nil, err
	}
	entries := begin
	for i, c := range n.Children {
		if _, ok := exact(c.Name); !ok {
			entries = append(entries, slots(c.Name, names[i])...)
		}
		if c.File != nil {
			first := d.take(len(c.File.Text))
			d.write(first, c.File.Text)
			entries = append(entries, d.entry(names[i], attrFile, first, len(c.File.Text), c.File.Time)...)
			continue
		}
		first := d.take(entriesOf(c) * entrySize)
		self := d.entry(short(".", ""), attrFolder, first, 0, d.made)
		above := d.entry(short("..", ""), attrFolder, cluster, 0, d.made)
		below, err := d.folder(c, append(self, above...), first)
		if err != nil {
			return nil, err
		}
		d.write(first, below)
		entries = append(entries, d.entry(names[i], attrFolder, first, 0, d.made)...)
	}
	return entries, nil
}

// shortNames are those of a folder's children. One that is the whole name is given first.
func shortNames(n *files.Node) ([]shortName, error) {
	names, taken := make([]shortName, len(n.Children)), map[shortName]bool{}
	for i, c := range n.Children {
		if err := checkName(c.Name); err != nil {
			return nil, err
		}
		if s, ok := exact(c.Name); ok {
			names[i], taken[s] = s, true
		}
	}
	for i, c := range n.Children {
		if names[i] == (shortName{}) {
			names[i] = abbreviated(c.Name, taken)
			taken[names[i]] = true
		}
	}
	return names, nil
}

func (d *disk) entry(name shortName, attr byte, cluster, size int, t time.Time) []byte {
	e := make([]byte, entrySize)
	le := binary.LittleEndian
	copy(e, name[:])
	e[11] = attr
	day, clock := dosTime(t)
	le.PutUint16(e[14:], clock) // made
	le.PutUint16(e[16:], day)
	le.PutUint16(e[18:], day)   // last read
	le.PutUint16(e[22:], clock) // changed
	le.PutUint16(e[24:], day)
	le.PutUint16(e[26:], uint16(cluster))
	le.PutUint32(e[28:], uint32(size))
	return e
}

// dosTime is a time as FAT has it, in UTC, as nobody knows the guest's zone.
func dosTime(t time.Time) (day, clock uint16) {
	t = t.UTC()
	switch {
	case t.Year() < 1980:
		t = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	case t.Year() > 2107:
		t = time.Date(2107, 12, 31, 23, 59, 58, 0, time.UTC)
	}
	return uint16((t.Year()-1980)<<9 | int(t.Month())<<5 | t.Day()),
		uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2)
}
