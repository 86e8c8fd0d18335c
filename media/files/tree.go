package files

import (
	"fmt"
	"slices"
	"strings"
)

// A Node is a folder or a file of a medium.
type Node struct {
	Name     string
	File     *File // nil: a folder
	Children []*Node
	byName   map[string]*Node
}

// Conflict decides about a file that is put where another one is: the old one, or an
// error.
type Conflict func(path string, old, now *File) (*File, error)

// Later lets the later file win.
func Later(_ string, _, now *File) (*File, error) { return now, nil }

// Put puts a file, or a folder for nil, at a path with slashes below n; "." and "" are n
// itself. Folders on the way are made. Fold makes one of names that are the same on the medium.
func (n *Node) Put(path string, f *File, fold func(string) string, conflict Conflict) error {
	if path == "." || path == "" {
		return nil
	}
	at := n
	parts := strings.Split(path, "/")
	for i, name := range parts {
		var file *File
		if i == len(parts)-1 {
			file = f
		}
		next := at.byName[fold(name)]
		switch {
		case next == nil:
			next = &Node{Name: name, File: file}
			at.add(fold(name), next)
		case (next.File == nil) != (file == nil):
			return fmt.Errorf("%s is both a file and a folder", strings.Join(parts[:i+1], "/"))
		case file != nil:
			var err error
			if next.File, err = conflict(path, next.File, file); err != nil {
				return err
			}
		}
		at = next
	}
	return nil
}

func (n *Node) add(key string, child *Node) {
	if n.byName == nil {
		n.byName = map[string]*Node{}
	}
	n.byName[key] = child
	n.Children = append(n.Children, child)
}

// Sort puts all folders into the order of names, so that the same files make the same
// medium.
func (n *Node) Sort() {
	slices.SortFunc(n.Children, func(a, b *Node) int { return strings.Compare(a.Name, b.Name) })
	for _, c := range n.Children {
		c.Sort()
	}
}
