//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// qmp speaks to a guest's process.
type qmp struct {
	conn net.Conn
	in   *bufio.Reader
}

// dial connects to a process and waits until it takes commands. The path of a socket may
// be longer than the system takes: it is named from its folder.
func dial(path string) (*qmp, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	short := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	conn, err := net.Dial("unix", short)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	q := &qmp{conn: conn, in: bufio.NewReader(conn)}
	if _, err := q.in.ReadString('\n'); err != nil { // the greeting
		q.close()
		return nil, err
	}
	if err := q.do("qmp_capabilities", nil); err != nil {
		q.close()
		return nil, err
	}
	return q, nil
}

func (q *qmp) close() { q.conn.Close() }

// do gives a command and waits for its answer.
func (q *qmp) do(command string, args any) error {
	call := map[string]any{"execute": command}
	if args != nil {
		call["arguments"] = args
	}
	if err := json.NewEncoder(q.conn).Encode(call); err != nil {
		return err
	}
	for {
		line, err := q.in.ReadString('\n')
		if err != nil {
			if command == "quit" {
				return nil // it has done so
			}
			return err
		}
		var answer struct {
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		if err := json.Unmarshal([]byte(line), &answer); err != nil {
			return err
		}
		switch {
		case answer.Error != nil:
			return fmt.Errorf("%s: %s", command, answer.Error.Desc)
		case answer.Return != nil:
			return nil
		}
	}
}
