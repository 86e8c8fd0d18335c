// Package qemu runs virtual machines with QEMU, as several components do: which
// accelerator is worth using, the command line, the process with its console and its
// monitor, disks by qemu-img, and a TPM by swtpm. The facts are in
// docs/compat/builders-local.md Q4 to Q9.
package qemu
