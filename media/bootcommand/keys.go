package bootcommand

import "strings"

// special is a key that has a name.
type special struct {
	name   string
	keysym uint32 // X keysym
	scan   []byte // code of PC-XT set 1 when it is pressed
}

// specials are the keys of docs/compat/boot-and-media.md 1.3.
var specials = []special{
	{"bs", 0xff08, []byte{0x0e}},
	{"del", 0xffff, []byte{0xe0, 0x53}},
	{"enter", 0xff0d, []byte{0x1c}},
	{"return", 0xff0d, []byte{0x1c}},
	{"esc", 0xff1b, []byte{0x01}},
	{"tab", 0xff09, []byte{0x0f}},
	{"spacebar", 0x0020, []byte{0x39}},
	{"insert", 0xff63, []byte{0xe0, 0x52}},
	{"home", 0xff50, []byte{0xe0, 0x47}},
	{"end", 0xff57, []byte{0xe0, 0x4f}},
	{"pageUp", 0xff55, []byte{0xe0, 0x49}},
	{"pageDown", 0xff56, []byte{0xe0, 0x51}},
	{"up", 0xff52, []byte{0xe0, 0x48}},
	{"down", 0xff54, []byte{0xe0, 0x50}},
	{"left", 0xff51, []byte{0xe0, 0x4b}},
	{"right", 0xff53, []byte{0xe0, 0x4d}},
	{"menu", 0xff67, []byte{0xe0, 0x5d}},
	{"f1", 0xffbe, []byte{0x3b}},
	{"f2", 0xffbf, []byte{0x3c}},
	{"f3", 0xffc0, []byte{0x3d}},
	{"f4", 0xffc1, []byte{0x3e}},
	{"f5", 0xffc2, []byte{0x3f}},
	{"f6", 0xffc3, []byte{0x40}},
	{"f7", 0xffc4, []byte{0x41}},
	{"f8", 0xffc5, []byte{0x42}},
	{"f9", 0xffc6, []byte{0x43}},
	{"f10", 0xffc7, []byte{0x44}},
	{"f11", 0xffc8, []byte{0x57}},
	{"f12", 0xffc9, []byte{0x58}},
	{"leftShift", shiftKeysym, []byte{shiftScan}},
	{"rightShift", 0xffe2, []byte{0x36}},
	{"leftCtrl", 0xffe3, []byte{0x1d}},
	{"rightCtrl", 0xffe4, []byte{0xe0, 0x1d}},
	{"leftAlt", 0xffe9, []byte{0x38}},
	{"rightAlt", 0xffea, []byte{0xe0, 0x38}},
	{"leftSuper", 0xffeb, []byte{0xe0, 0x5b}},
	{"rightSuper", 0xffec, []byte{0xe0, 0x5c}},
	// On a VNC server these are what a Mac's keyboard sends, on a PC's keyboard what is
	// in their place.
	{"leftCommand", 0xffe9, []byte{0xe0, 0x5b}},
	{"rightCommand", 0xffea, []byte{0xe0, 0x5c}},
	{"leftOption", 0xffe7, []byte{0x38}},
	{"rightOption", 0xffe8, []byte{0xe0, 0x38}},
}

// The left shift key, which is held for characters of the shift level.
const (
	shiftKeysym = 0xffe1
	shiftScan   = 0x2a
)

// Keys are the names of all special keys. Letter case does not matter in a template.
func Keys() []string {
	names := make([]string, len(specials))
	for i, k := range specials {
		names[i] = k.name
	}
	return names
}

// named are the special keys by their names in lower case.
var named = func() map[string]special {
	all := map[string]special{}
	for _, k := range specials {
		all[strings.ToLower(k.name)] = k
	}
	return all
}()

// find finds a special key by its name in any letter case.
func find(name string) (special, bool) {
	key, ok := named[strings.ToLower(name)]
	return key, ok
}

// rows are the keys of a US keyboard that have characters, without and with shift; the
// codes of a row count up from its first.
var rows = []struct {
	first byte
	chars string // ASCII: each byte is a key
}{
	{0x02, `1234567890-=`}, {0x02, `!@#$%^&*()_+`},
	{0x10, `qwertyuiop[]`}, {0x10, `QWERTYUIOP{}`},
	{0x1e, "asdfghjkl;'`"}, {0x1e, `ASDFGHJKL:"~`},
	{0x2b, `\zxcvbnm,./`}, {0x2b, `|ZXCVBNM<>?`},
	{0x39, ` `},
}

// charScan is the code of the key that has a character; 0, which no key has, where
// there is none.
func charScan(c rune) byte {
	for _, row := range rows {
		if i := strings.IndexRune(row.chars, c); i >= 0 {
			return row.first + byte(i)
		}
	}
	return 0
}
