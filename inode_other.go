//go:build !unix

package kiln

import "io/fs"

// inode is empty: the time, which has the file system's full resolution, and the size
// tell files apart.
func inode(fs.FileInfo) string { return "" }
