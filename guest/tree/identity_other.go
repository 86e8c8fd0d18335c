//go:build !unix

package tree

import "io/fs"

// Identity is not known here: each name is a file of its own.
func Identity(fs.FileInfo) string { return "" }
