package cd

import (
	"fmt"
	"slices"
	"time"

	"kiln/media/files"
)

// An ISO 9660 image has two trees of the same files: one with the names that the standard
// allows and, by Rock Ridge, those that the files really have, and one by Joliet with names
// in UCS-2. First all places are reckoned, then it is written from beginning to end:
//
//	16 blocks that are not ours, 3 descriptors, what has no room in records,
//	two path tables of each tree, the folders of each tree, the content of the files
const (
	blockSize   = 2048
	systemArea  = 16
	descriptors = 3
	morePlace   = systemArea + descriptors

	// sectionSize is how much of a file one record can tell of, in whole blocks: a longer
	// one has several.
	sectionSize = 0xffffffff / blockSize * blockSize
	maxBlocks   = 0xffffffff
	maxFolders  = 0xffff // what a path table can tell of
)

// An image is where everything is.
type image struct {
	label   string
	made    time.Time
	section int64 // sectionSize; less in tests

	trees  [2]*tree // plain and Joliet
	more   continuation
	files  []*extent // in the order in which they are written
	blocks int64     // the length of it all
}

// A tree is one of the two trees.
type tree struct {
	joliet  bool
	folders []*folder // as in the path table
	tableL  int64     // blocks of its path tables: low byte first,
	tableM  int64     // and high byte first
}

// A folder is one of a tree.
type folder struct {
	node    *files.Node
	parent  *folder
	id      []byte
	number  int // in the path table, from 1
	entries []*entry
	place   int64 // block
	size    int64 // in bytes, whole blocks
	self    []byte
	above   []byte // what Rock Ridge says of the entries for itself and for the one above
}

// An entry is a file or a folder in a folder.
type entry struct {
	ident  ident
	id     []byte
	folder *folder // nil: a file
	extent *extent
	use    []byte // what Rock Ridge says of it
}

// An extent is the content of a file.
type extent struct {
	file  *files.File
	place int64
}

func blocksOf(size int64) int64 { return (size + blockSize - 1) / blockSize }

// layOut reckons where everything is.
func layOut(root *files.Node, label string, made time.Time, section int64) (*image, error) {
	root.Sort()
	img := &image{label: label, made: made, section: section}
	extents := map[*files.Node]*extent{}
	for i, joliet := range []bool{false, true} {
		t, err := img.tree(root, joliet, extents)
		if err != nil {
			return nil, err
		}
		img.trees[i] = t
	}
	next := int64(morePlace)
	take := func(size int64) (place int64) {
		place, next = next, next+blocksOf(size)
		return place
	}
	take(int64(len(img.more)))
	for _, t := range img.trees {
		t.tableL, t.tableM = take(t.tableSize()), take(t.tableSize())
	}
	for _, t := range img.trees {
		for _, f := range t.folders {
			f.size = int64(len(img.records(f))) // places do not change it
			f.place = take(f.size)
		}
	}
	for _, e := range img.files {
		if e.file.Size > 0 {
			e.place = take(e.file.Size)
		}
	}
	if img.blocks = next; next > maxBlocks {
		return nil, fmt.Errorf("the files take %d bytes, and a CD has room for %d", next*blockSize,
			int64(maxBlocks)*blockSize)
	}
	return img, nil
}

// tree names everything in one of the trees, level by level.
func (img *image) tree(root *files.Node, joliet bool, extents map[*files.Node]*extent) (*tree, error) {
	top := &folder{node: root, id: []byte{0}, number: 1}
	top.parent = top
	t := &tree{joliet: joliet, folders: []*folder{top}}
	for i := 0; i < len(t.folders); i++ {
		f := t.folders[i]
		if !joliet {
			img.folderUse(f)
		}
		for j, name := range idents(f.node.Children, joliet) {
			n := f.node.Children[j]
			e := &entry{ident: name, id: name.bytes(joliet)}
			if !joliet {
				e.use = img.use(n, len(e.id))
			}
			if n.File == nil {
				e.folder = &folder{node: n, parent: f, id: e.id}
			} else if e.extent = extents[n]; e.extent == nil {
				e.extent = &extent{file: n.File}
				extents[n] = e.extent
				img.files = append(img.files, e.extent)
			}
			f.entries = append(f.entries, e)
		}
		slices.SortFunc(f.entries, func(a, b *entry) int { return a.ident.compare(b.ident) })
		for _, e := range f.entries {
			if e.folder != nil {
				t.folders = append(t.folders, e.folder)
				e.folder.number = len(t.folders)
			}
		}
		if len(t.folders) > maxFolders {
			return nil, fmt.Errorf("a CD has room for %d folders, and there are more", maxFolders)
		}
	}
	return t, nil
}

func (t *tree) tableSize() (size int64) {
	for _, f := range t.folders {
		size += int64(8 + len(f.id) + len(f.id)%2)
	}
	return size
}
