package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
)

const greeting = `{"QMP": {"version": {}, "capabilities": ["oob"]}}` + "\n"

// monitor answers each command by the function; what it returns is sent as it is.
func monitor(t *testing.T, greeting string, answer func(command, id string) string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer theirs.Close()
		if _, err := theirs.Write([]byte(greeting)); err != nil {
			return
		}
		lines := bufio.NewScanner(theirs)
		for lines.Scan() {
			var m struct{ Execute, ID string }
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				t.Errorf("%s: %v", lines.Bytes(), err)
			}
			text := answer(m.Execute, m.ID)
			if text == "" {
				return
			}
			if _, err := theirs.Write([]byte(text)); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		ours.Close()
		<-ended
	})
	return ours
}

func TestQMP(t *testing.T) {
	var events []string
	conn := monitor(t, greeting, func(command, id string) string {
		switch command {
		case "qmp_capabilities", "stop":
			return `{"event": "STOP", "timestamp": {}}` + "\n" + `{"return": {}, "id": "` + id + `"}` + "\n"
		case "query-status":
			return `{"id": "999", "return": "nobody asked"}` + "\n" + `{"id": "` + id + `", "return": {"running": true}}` + "\n"
		case "quit":
			return ""
		}
		return `{"id": "` + id + `", "error": {"class": "CommandNotFound", "desc": "The command nope has not been found"}}` + "\n"
	})
	q, err := NewQMP(t.Context(), conn, func(e Event) { events = append(events, e.Name) })
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if got, err := q.Execute(t.Context(), "query-status", nil); err != nil || string(got) != `{"running": true}` {
		t.Errorf("%s %v", got, err)
	}
	if err := q.SetVNCPassword(t.Context(), "x"); err == nil ||
		err.Error() != "QMP change-vnc-password: The command nope has not been found" {
		t.Errorf("%v", err)
	}
	if err := q.Quit(t.Context()); err == nil {
		t.Error("no answer came, and no error")
	}
	<-q.Gone()
	if err := q.Continue(t.Context()); err == nil {
		t.Error("nobody is there, and no error")
	}
	q.Close()
	if got := strings.Join(events, " "); got != "STOP STOP" {
		t.Errorf("events %s", got)
	}
}

// What is no monitor, or one that does not answer, ends the wait.
func TestQMPStrangers(t *testing.T) {
	for _, says := range []string{"SSH-2.0-x\r\n", "[]\n", "{\"QMP\": {}", `{"return": {}}` + "\n"} {
		conn := monitor(t, says, func(string, string) string { return "" })
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("enough")
		if strings.HasPrefix(says, "{") { // it waits for more
			go cancel(why)
		}
		if _, err := NewQMP(ctx, conn, nil); err == nil {
			conn.Close()
			t.Errorf("%q is a monitor", says)
		}
		cancel(nil)
	}
}

func FuzzQMP(f *testing.F) {
	f.Add(greeting + `{"return": {}, "id": "1"}` + "\n")
	f.Add(greeting + `{"event": "RESET", "data": {"guest": true}}` + "\n" + `{"error": {"desc": "x"}, "id": "1"}`)
	f.Fuzz(func(t *testing.T, says string) {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Write([]byte(says))
			_, _ = bufio.NewReader(theirs).ReadString('\n')
			theirs.Close()
		}()
		q, err := NewQMP(t.Context(), ours, nil)
		if err == nil {
			if !strings.Contains(says, "QMP") {
				t.Errorf("%q is a monitor", says)
			}
			q.Close()
		}
		theirs.Close()
	})
}
