package bootcommand

import (
	"fmt"
	"strings"
	"testing"
)

// encodings are both encodings of a boot command: what a VNC server is told, + for down
// and - for up, and the scan codes; a wait is a bar.
func encodings(t *testing.T, text string) (events, codes string) {
	t.Helper()
	actions, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var e, c []string
	for _, a := range actions {
		if a.Kind == Wait {
			e, c = append(e, "|"), append(c, "|")
		}
		for _, k := range KeyEvents(a) {
			sign := "-"
			if k.Down {
				sign = "+"
			}
			e = append(e, fmt.Sprintf("%s%04X", sign, k.Keysym))
		}
		for _, code := range ScanCodes(a) {
			c = append(c, fmt.Sprintf("%02x", code))
		}
	}
	return strings.Join(e, " "), strings.Join(c, " ")
}

// Every row of docs/compat/boot-and-media.md 1.3.
func TestSpecialKeys(t *testing.T) {
	rows := []struct{ name, keysym, makes, breaks string }{
		{"bs", "FF08", "0e", "8e"}, {"del", "FFFF", "e0 53", "e0 d3"},
		{"enter", "FF0D", "1c", "9c"}, {"return", "FF0D", "1c", "9c"},
		{"esc", "FF1B", "01", "81"}, {"tab", "FF09", "0f", "8f"}, {"spacebar", "0020", "39", "b9"},
		{"up", "FF52", "e0 48", "e0 c8"}, {"down", "FF54", "e0 50", "e0 d0"},
		{"left", "FF51", "e0 4b", "e0 cb"}, {"right", "FF53", "e0 4d", "e0 cd"},
		{"insert", "FF63", "e0 52", "e0 d2"}, {"menu", "FF67", "e0 5d", "e0 dd"},
		{"home", "FF50", "e0 47", "e0 c7"}, {"end", "FF57", "e0 4f", "e0 cf"},
		{"pageUp", "FF55", "e0 49", "e0 c9"}, {"pageDown", "FF56", "e0 51", "e0 d1"},
		{"f11", "FFC8", "57", "d7"}, {"f12", "FFC9", "58", "d8"},
		{"leftShift", "FFE1", "2a", "aa"}, {"rightShift", "FFE2", "36", "b6"},
		{"leftCtrl", "FFE3", "1d", "9d"}, {"rightCtrl", "FFE4", "e0 1d", "e0 9d"},
		{"leftAlt", "FFE9", "38", "b8"}, {"rightAlt", "FFEA", "e0 38", "e0 b8"},
		{"leftSuper", "FFEB", "e0 5b", "e0 db"}, {"rightSuper", "FFEC", "e0 5c", "e0 dc"},
		{"leftCommand", "FFE9", "e0 5b", "e0 db"}, {"rightCommand", "FFEA", "e0 5c", "e0 dc"},
		{"leftOption", "FFE7", "38", "b8"}, {"rightOption", "FFE8", "e0 38", "e0 b8"},
	}
	for i := range 10 {
		rows = append(rows, struct{ name, keysym, makes, breaks string }{
			fmt.Sprintf("f%d", i+1), fmt.Sprintf("%04X", 0xffbe+i), fmt.Sprintf("%02x", 0x3b+i),
			fmt.Sprintf("%02x", 0xbb+i)})
	}
	if len(rows) != len(Keys()) {
		t.Errorf("the table has %d keys, and there are %d", len(rows), len(Keys()))
	}
	for _, r := range rows {
		for text, want := range map[string][2]string{
			"<" + r.name + ">":                  {"+" + r.keysym + " -" + r.keysym, r.makes + " " + r.breaks},
			"<" + strings.ToUpper(r.name) + ">": {"+" + r.keysym + " -" + r.keysym, r.makes + " " + r.breaks},
			"<" + r.name + "On>":                {"+" + r.keysym, r.makes},
			"<" + r.name + "oFF>":               {"-" + r.keysym, r.breaks},
		} {
			if events, codes := encodings(t, text); events != want[0] || codes != want[1] {
				t.Errorf("%s: got %s and %s, want %s", text, events, codes, want)
			}
		}
	}
}

// Every row of docs/compat/boot-and-media.md 1.2, and the sentences of 1.4.
func TestEncodings(t *testing.T) {
	for _, c := range []struct{ text, events, codes string }{
		{"a", "+0061 -0061", "1e 9e"},
		{"A", "+FFE1 +0041 -0041 -FFE1", "2a 1e 9e aa"},
		{"<wait>", "|", "|"},
		{"<wait5>x<wait1m30s>", "| +0078 -0078 |", "| 2d ad |"},
		{"<fOn>", "+0066", "21"},
		{"<fOff>", "-0066", "a1"},
		{"<AOn>", "+FFE1 +0041", "2a 1e"},
		{"<AOff>", "-0041 -FFE1", "9e aa"},
		{"<<on>", "+FFE1 +003C", "2a 33"},
		{"<éOn>", "+00E9", "00"},
		{"<éOff>", "-00E9", "80"},
		{"<leftCtrlOn>c<leftCtrlOff>", "+FFE3 +0063 -0063 -FFE3", "1d 2e ae 9d"},
		{"<leftShiftOn>a1<leftShiftOff>", "+FFE1 +0061 -0061 +0031 -0031 -FFE1", "2a 1e 9e 02 82 aa"},
		{"<leftCtrl>", "+FFE3 -FFE3", "1d 9d"},
		{"<wait1.5>", "+FFE1 +003C -003C -FFE1 +0077 -0077 +0061 -0061 +0069 -0069 +0074 -0074 +0031 -0031 " +
			"+002E -002E +0035 -0035 +FFE1 +003E -003E -FFE1",
			"2a 33 b3 aa 11 91 1e 9e 17 97 14 94 02 82 34 b4 06 86 2a 34 b4 aa"},
		{"\n", "+000A -000A", "00 80"},
		{"\t", "+0009 -0009", "00 80"},
		{"é", "+00E9 -00E9", "00 80"},
		{"É", "+FFE1 +00C9 -00C9 -FFE1", "2a 00 80 aa"},
		{"€", "+20AC -20AC", "00 80"},
	} {
		if events, codes := encodings(t, c.text); events != c.events || codes != c.codes {
			t.Errorf("%q: got %s and %s\nwant %s and %s", c.text, events, codes, c.events, c.codes)
		}
	}
}

// The keys of a US keyboard, as it is printed on them.
func TestCharacters(t *testing.T) {
	for code, key := range map[int]string{
		0x02: "1!", 0x03: "2@", 0x04: "3#", 0x05: "4$", 0x06: "5%", 0x07: "6^", 0x08: "7&", 0x09: "8*", 0x0a: "9(",
		0x0b: "0)", 0x0c: "-_", 0x0d: "=+", 0x10: "qQ", 0x11: "wW", 0x12: "eE", 0x13: "rR", 0x14: "tT", 0x15: "yY",
		0x16: "uU", 0x17: "iI", 0x18: "oO", 0x19: "pP", 0x1a: "[{", 0x1b: "]}", 0x1e: "aA", 0x1f: "sS", 0x20: "dD",
		0x21: "fF", 0x22: "gG", 0x23: "hH", 0x24: "jJ", 0x25: "kK", 0x26: "lL", 0x27: ";:", 0x28: `'"`, 0x29: "`~",
		0x2b: `\|`, 0x2c: "zZ", 0x2d: "xX", 0x2e: "cC", 0x2f: "vV", 0x30: "bB", 0x31: "nN", 0x32: "mM", 0x33: ",<",
		0x34: ".>", 0x35: "/?", 0x39: " ",
	} {
		for i, c := range key {
			events, codes := encodings(t, string(c))
			plain, press := fmt.Sprintf("+%04X -%04X", c, c), fmt.Sprintf("%02x %02x", code, code+0x80)
			if i == 1 {
				plain, press = "+FFE1 "+plain+" -FFE1", "2a "+press+" aa"
			}
			if events != plain || codes != press {
				t.Errorf("%c: got %s and %s, want %s and %s", c, events, codes, plain, press)
			}
		}
	}
}
