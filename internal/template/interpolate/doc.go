package interpolate

import _ "embed"

// Doc describes every function of {{ }} text in a line: how it is called, two blanks, what
// it gives.
//
//go:embed functions.txt
var Doc string
