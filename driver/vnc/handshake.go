package vnc

import (
	"bufio"
	"bytes"
	"crypto/des"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// version is what we speak, and the least that a server must.
const version = "RFB 003.008\n"

// longest is how many bytes a text of a server may have.
const longest = 1 << 16

// The types of security that we can do.
const (
	none  = 1
	byVNC = 2
)

// names are what people call types of security.
var names = map[byte]string{
	none: "none", byVNC: "VNC password", 5: "RA2", 6: "RA2ne", 16: "Tight", 17: "Ultra", 18: "TLS",
	19: "VeNCrypt", 20: "SASL", 30: "Apple",
}

// handshake does all up to where keys can be sent.
func handshake(conn io.ReadWriter, password string) error {
	in := bufio.NewReader(conn)
	if err := agree(in, conn); err != nil {
		return err
	}
	if err := login(in, conn, password); err != nil {
		return err
	}
	if _, err := conn.Write([]byte{1}); err != nil { // others may be connected too
		return ended(err)
	}
	start := make([]byte, 24) // the screen's size and its pixels, which we do not look at
	if _, err := io.ReadFull(in, start); err != nil {
		return ended(err)
	}
	_, err := text(in, binary.BigEndian.Uint32(start[20:]))
	return err
}

// ended is an error of a connection in the midst of the handshake.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the server has ended the connection")
	}
	return err
}

// text reads what a server says in words.
func text(in io.Reader, length uint32) (string, error) {
	if length > longest {
		return "", fmt.Errorf("the server sends a text of %d bytes: is it a VNC server?", length)
	}
	words := make([]byte, length)
	if _, err := io.ReadFull(in, words); err != nil {
		return "", ended(err)
	}
	return string(words), nil
}

// reason reads why a server refuses us.
func reason(in io.Reader) (string, error) {
	var length uint32
	if err := binary.Read(in, binary.BigEndian, &length); err != nil {
		return "", ended(err)
	}
	words, err := text(in, length)
	return strconv.Quote(strings.TrimRight(words, "\x00")), err // QEMU sends the NUL too
}

var greet = regexp.MustCompile(`^RFB ([0-9]{3})\.([0-9]{3})\n$`)

// agree settles which version is spoken.
func agree(in *bufio.Reader, out io.Writer) error {
	if _, err := in.Peek(1); err != nil {
		return ended(err)
	}
	// Another kind of server may say less and then wait for us.
	first, err := in.Peek(min(in.Buffered(), len(version)))
	if err != nil {
		return err
	}
	if common := min(len(first), len("RFB ")); !bytes.Equal(first[:common], []byte(version[:common])) {
		return fmt.Errorf("not a VNC server: it begins with %q", first)
	}
	line := make([]byte, len(version))
	if _, err := io.ReadFull(in, line); err != nil {
		return ended(err)
	}
	m := greet.FindSubmatch(line)
	if m == nil {
		return fmt.Errorf("not a VNC server: it begins with %q", line)
	}
	major, _ := strconv.Atoi(string(m[1])) // three digits
	minor, _ := strconv.Atoi(string(m[2]))
	switch {
	case major < 3:
		return fmt.Errorf("unsupported major version, less than 3: %d", major)
	case major == 3 && minor < 8:
		return fmt.Errorf("unsupported minor version, less than 8: %d", minor)
	}
	if _, err := io.WriteString(out, version); err != nil {
		return ended(err)
	}
	return nil
}

// login gets us in, by the password where we have one and the server takes it.
func login(in io.Reader, out io.Writer, password string) error {
	count := make([]byte, 1)
	if _, err := io.ReadFull(in, count); err != nil {
		return ended(err)
	}
	if count[0] == 0 {
		why, err := reason(in)
		if err != nil {
			return err
		}
		return fmt.Errorf("the server refuses the connection: %s", why)
	}
	types := make([]byte, count[0])
	if _, err := io.ReadFull(in, types); err != nil {
		return ended(err)
	}
	choice, err := choose(types, password)
	if err != nil {
		return err
	}
	if _, err := out.Write([]byte{choice}); err != nil {
		return ended(err)
	}
	if choice == byVNC {
		if err := answer(in, out, password); err != nil {
			return err
		}
	}
	return admitted(in, choice)
}

// choose chooses a type of security among those that a server offers.
func choose(types []byte, password string) (byte, error) {
	switch {
	case password != "" && slices.Contains(types, byVNC):
		return byVNC, nil
	case slices.Contains(types, none):
		return none, nil
	case slices.Contains(types, byVNC):
		return 0, errors.New("the server wants a password, and none is given")
	}
	var offered []string
	for _, t := range types {
		name := names[t]
		if name == "" {
			name = "type " + strconv.Itoa(int(t))
		}
		offered = append(offered, name)
	}
	return 0, fmt.Errorf("the server lets nobody in without %s: no security or a VNC password can be used",
		strings.Join(offered, " or "))
}

// answer answers the server's challenge: DES under the password, whose bytes are turned
// round bit by bit.
func answer(in io.Reader, out io.Writer, password string) error {
	challenge := make([]byte, 2*des.BlockSize)
	if _, err := io.ReadFull(in, challenge); err != nil {
		return ended(err)
	}
	key := make([]byte, 8)
	copy(key, password)
	for i := range key {
		key[i] = bits.Reverse8(key[i])
	}
	cipher, err := des.NewCipher(key)
	if err != nil {
		return err
	}
	for at := 0; at < len(challenge); at += des.BlockSize {
		cipher.Encrypt(challenge[at:], challenge[at:])
	}
	if _, err := out.Write(challenge); err != nil {
		return ended(err)
	}
	return nil
}

// admitted reads whether the server lets us in.
func admitted(in io.Reader, choice byte) error {
	var result uint32
	if err := binary.Read(in, binary.BigEndian, &result); err != nil {
		return ended(err)
	}
	if result == 0 {
		return nil
	}
	why, err := reason(in)
	if err != nil {
		why = "no reason given" // some end the connection at once
	}
	if choice == byVNC {
		return fmt.Errorf("the server refuses the password: %s", why)
	}
	return fmt.Errorf("the server refuses the connection: %s", why)
}
