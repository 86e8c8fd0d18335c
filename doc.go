// Package kiln is the vocabulary of the bakery: what a builder, a machine, a
// communicator, a provisioner, a post-processor and an artifact are, and what
// each may expect of the others. It imports the standard library only, so that
// everything else may import it.
//
// A build is one path: a Builder starts a Machine, the machine is connected to,
// provisioners change it, it is captured as an Artifact, and post-processors
// turn that artifact into others. Whatever is made outside the process on that
// way is owned through [Build.Own] before it is made.
package kiln
