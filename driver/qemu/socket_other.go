//go:build !unix

package qemu

import (
	"errors"
	"net"
	"os"
)

func socketPair() (net.Conn, *os.File, error) {
	return nil, nil, errors.New("this version runs no emulator on this system")
}
