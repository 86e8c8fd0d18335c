package kiln

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestRedactor(t *testing.T) {
	for _, secret := range []string{"s3cr3t", "pa ss'wo\"rd$x`y\\z", "line one\nline two\r\nthird", "ünïcödé-sécret", strings.Repeat("long-secret-", 20)} {
		var r Redactor
		r.Add(secret)
		quoted, _ := json.Marshal(secret)
		shown := []string{secret, strings.ReplaceAll(secret, "\r\n", "\n"), url.QueryEscape(secret), url.PathEscape(secret), string(quoted), fmt.Sprintf("%q", secret),
			fmt.Sprintf("%x", secret), "'" + strings.ReplaceAll(secret, "'", `'\''`) + "'", base64.StdEncoding.EncodeToString([]byte(secret)),
			base64.URLEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret + "\n")),
			base64.StdEncoding.EncodeToString([]byte("u:" + secret)), base64.StdEncoding.EncodeToString([]byte("user:" + secret + "@host"))}
		shown = append(shown, strings.Split(secret, "\n")...)
		for _, s := range shown {
			masked := r.Mask("before " + s + " after")
			if !strings.Contains(masked, Masked) || strings.Contains(masked, s) {
				t.Errorf("%q shows in %q", s, masked)
			}
		}
		if got := r.Mask("harmless text"); got != "harmless text" {
			t.Errorf("got %q", got)
		}
	}
}

func TestSecretHidesItself(t *testing.T) {
	s := Secret("x1y2")
	text, err := json.Marshal(struct{ S Secret }{s})
	if all := fmt.Sprintf("%v %s %q %#v %s %v", s, s, s, s, text, err); strings.Contains(all, "x1y2") {
		t.Errorf("it shows: %s", all)
	}
}

func TestLineWriter(t *testing.T) {
	var lines []string
	w := &LineWriter{Line: func(s string) { lines = append(lines, s) }}
	for _, s := range []string{"one\ntw", "o  \n\n10%\r50%\r100%\nbad \xff", "\nrest"} {
		fmt.Fprint(w, s)
	}
	w.Close()
	if got := strings.Join(lines, "|"); got != "one|two||100%|bad \uFFFD|rest" {
		t.Errorf("got %q", got)
	}
}
