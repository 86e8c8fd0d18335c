package qemu

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// usage is how long a thread has run, and whether it waits for something to do.
func usage(thread int) (ran time.Duration, idle bool, err error) {
	// A thread can be looked at as a process can.
	dir := "/proc/" + strconv.Itoa(thread)
	text, err := os.ReadFile(dir + "/schedstat")
	if err != nil {
		return 0, false, err
	}
	first, _, _ := bytes.Cut(text, []byte(" "))
	n, err := strconv.ParseInt(string(first), 10, 64)
	if err != nil {
		return 0, false, err
	}
	text, err = os.ReadFile(dir + "/stat")
	if err != nil {
		return 0, false, err
	}
	// The name before the state is in brackets, and may have any in it.
	at := bytes.LastIndexByte(text, ')')
	if at < 0 || at+2 >= len(text) {
		return 0, false, fmt.Errorf("%s/stat cannot be read", dir)
	}
	return time.Duration(n), text[at+2] != 'R', nil
}
