//go:build unix

package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"
)

// keyTime is what the guest's keyboard gets for each code: it has room for a few only,
// and loses the rest.
const keyTime = 10 * time.Millisecond

// A keyEvent is a key that goes down or up, by QEMU's number of it: the code of set 1,
// with bit 7 set for those that begin with e0.
type keyEvent struct {
	number int
	down   bool
}

// keyEvents reads scan codes of set 1. Code 0 is no key.
func keyEvents(codes []byte) (events []keyEvent) {
	extended := 0
	for _, c := range codes {
		if c == 0xe0 {
			extended = 0x80
			continue
		}
		if number := int(c & 0x7f); number != 0 {
			events = append(events, keyEvent{number | extended, c < 0x80})
		}
		extended = 0
	}
	return events
}

// typeCodes types scan codes at the machine.
func (m *machine) typeCodes(r *registry, words []string) error {
	if len(words) == 0 {
		return usage("Missing argument to 'keyboardputscancode'")
	}
	var codes []byte
	for _, w := range words {
		b, err := hex.DecodeString(w)
		if err != nil || len(b) != 1 {
			return usage("Error: '%s' is not a valid scancode", w)
		}
		codes = append(codes, b...)
	}
	if err := m.record(words); err != nil {
		return err
	}
	// Typing takes its time, in which others may ask.
	r.close()
	q, err := dial(m.in("qmp"))
	if err != nil {
		return refuse(failed, "Could not send all scan codes to the virtual keyboard: %v", err)
	}
	defer q.close()
	for _, e := range keyEvents(codes) {
		event := map[string]any{"type": "key", "data": map[string]any{
			"down": e.down, "key": map[string]any{"type": "number", "data": e.number},
		}}
		if err := q.do("input-send-event", map[string]any{"events": []any{event}}); err != nil {
			return refuse(failed, "Could not send all scan codes to the virtual keyboard: %v", err)
		}
		time.Sleep(keyTime)
	}
	return r.load()
}

// record keeps what was typed beside the machine, for tests.
func (m *machine) record(words []string) error {
	f, err := os.OpenFile(m.in("keys"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, strings.Join(words, " "))
	return err
}
