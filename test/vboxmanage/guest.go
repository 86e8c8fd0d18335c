//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// guestWord makes the program the process that takes QEMU's place.
const guestWord = "standin-guest"

// guestMain is a machine without a system: it answers as QEMU does, goes off when the
// power button is pressed, and leads forwarded ports to STANDIN_GUEST if that is an
// address.
func guestMain(socket string) int {
	if err := os.Chdir(filepath.Dir(socket)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	target := os.Getenv("STANDIN_GUEST")
	for _, text := range strings.Fields(os.Getenv("STANDIN_RULES")) {
		f := strings.Split(text, ",")
		listener, err := net.Listen("tcp", net.JoinHostPort(f[2], f[3]))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		go relay(listener, target)
	}
	control, err := net.Listen("unix", filepath.Base(socket))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	off := make(chan bool)
	go func() {
		for {
			conn, err := control.Accept()
			if err != nil {
				return
			}
			go answer(conn, off)
		}
	}()
	<-off
	return 0
}

// answer answers the commands of one connection.
func answer(conn net.Conn, off chan<- bool) {
	defer conn.Close()
	if _, err := io.WriteString(conn, `{"QMP": {}}`+"\n"); err != nil {
		return
	}
	in := bufio.NewScanner(conn)
	for in.Scan() {
		var call struct{ Execute string }
		if json.Unmarshal(in.Bytes(), &call) != nil {
			return
		}
		if _, err := io.WriteString(conn, `{"return": {}}`+"\n"); err != nil {
			return
		}
		if call.Execute == "quit" || call.Execute == "system_powerdown" {
			off <- true
		}
	}
}

// relay leads connections to an address; one that is none takes them and says nothing.
func relay(listener net.Listener, target string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			to, err := net.Dial("tcp", target)
			if err != nil {
				return
			}
			defer to.Close()
			go func() {
				_, _ = io.Copy(to, conn)
				to.Close()
			}()
			_, _ = io.Copy(conn, to)
		}()
	}
}
