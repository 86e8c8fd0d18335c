package bootcommand

// A KeyEvent is what a VNC server is told of a key.
type KeyEvent struct {
	Down   bool
	Keysym uint32
}

// KeyEvents are the events of an action for a VNC server; none for a wait. A character is
// the keysym of its code point, with shift around it where a US keyboard needs that.
func KeyEvents(a Action) []KeyEvent {
	if a.Kind == Wait {
		return nil
	}
	keys := []uint32{uint32(a.Char)}
	if key, ok := find(a.Key); ok {
		keys = []uint32{key.keysym}
	} else if needsShift(a.Char) {
		keys = []uint32{shiftKeysym, uint32(a.Char)}
	}
	var all []KeyEvent
	if a.Kind != Release {
		for _, k := range keys {
			all = append(all, KeyEvent{true, k})
		}
	}
	if a.Kind != Hold {
		for i := range keys { // what was pressed last is released first
			all = append(all, KeyEvent{false, keys[len(keys)-1-i]})
		}
	}
	return all
}

// ScanCodes are the codes of an action for a PC keyboard, PC-XT set 1; none for a wait. A
// character that a US keyboard does not have is code 0, which does nothing.
func ScanCodes(a Action) []byte {
	if a.Kind == Wait {
		return nil
	}
	keys := [][]byte{{charScan(a.Char)}}
	if key, ok := find(a.Key); ok {
		keys = [][]byte{key.scan}
	} else if needsShift(a.Char) {
		keys = [][]byte{{shiftScan}, keys[0]}
	}
	var all []byte
	if a.Kind != Release {
		for _, k := range keys {
			all = append(all, k...)
		}
	}
	if a.Kind != Hold {
		for i := range keys {
			k := keys[len(keys)-1-i]
			all = append(all, k[:len(k)-1]...)
			all = append(all, k[len(k)-1]+0x80)
		}
	}
	return all
}
