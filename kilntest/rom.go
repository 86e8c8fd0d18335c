package kilntest

import (
	"os"
	"testing"
)

// ROM writes firmware for a PC that is a guest in itself, for tests that need a machine and
// no system: it says something on the first serial line, and then starts anew or stops
// there for good.
func ROM(t testing.TB, path, says string, restarts bool) {
	t.Helper()
	code := []byte{0xfa, 0xba, 0xf8, 0x03} // cli; mov dx, 0x3f8
	for _, c := range []byte(says) {
		code = append(code, 0xb0, c, 0xee) // mov al, c; out dx, al
	}
	if restarts {
		code = append(code, 0xb0, 0xfe, 0xe6, 0x64) // mov al, 0xfe; out 0x64, al
	}
	code = append(code, 0xf4, 0xeb, 0xfd) // hlt; jmp -1
	rom := make([]byte, 64<<10)
	copy(rom, code)
	copy(rom[0xfff0:], []byte{0xe9, 0x0d, 0x00}) // where the processor begins: jmp 0
	if err := os.WriteFile(path, rom, 0o600); err != nil {
		t.Fatal(err)
	}
}
