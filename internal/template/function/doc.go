package function

import _ "embed"

// Doc describes every function in a line: how it is called, two blanks, what it gives. An
// argument with a question mark may be left out.
//
//go:embed functions.txt
var Doc string
