package kiln

import "embed"

// Sources are the source files of the components and of what they share. Their comments are what
// `kiln explain` and the reference pages say of each option, so that there is one
// text only.
//
//go:embed builder communicator datasource driver media provisioner postprocessor vm
var Sources embed.FS
