//go:build unix

package qemu

import (
	"net"
	"os"
	"syscall"
)

// socketPair makes a line between two processes that has no name: nothing of it is left
// when they end.
func socketPair() (ours net.Conn, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, err
	}
	mine := os.NewFile(uintptr(fds[0]), "monitor")
	theirs = os.NewFile(uintptr(fds[1]), "monitor")
	ours, err = net.FileConn(mine)
	mine.Close() // FileConn has a copy
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}
