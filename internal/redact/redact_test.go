package redact

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"kiln"
)

func TestRedactor(t *testing.T) {
	for _, secret := range []string{"s3cr3t", "pa ss'wo\"rd$x`y\\z", "line one\nline two\r\nthird",
		"ünïcödé-sécret", strings.Repeat("long-secret-", 20)} {
		var r Redactor
		r.Add(secret)
		quoted, _ := json.Marshal(secret)
		shown := []string{secret, strings.ReplaceAll(secret, "\r\n", "\n"), url.QueryEscape(secret),
			url.PathEscape(secret), string(quoted), fmt.Sprintf("%q", secret),
			fmt.Sprintf("%x", secret), "'" + strings.ReplaceAll(secret, "'", `'\''`) + "'",
			base64.StdEncoding.EncodeToString([]byte(secret)),
			base64.URLEncoding.EncodeToString([]byte(secret)),
			base64.StdEncoding.EncodeToString([]byte(secret + "\n")),
			base64.StdEncoding.EncodeToString([]byte("u:" + secret)),
			base64.StdEncoding.EncodeToString([]byte("user:" + secret + "@host"))}
		shown = append(shown, strings.Split(secret, "\n")...)
		for _, s := range shown {
			masked := r.mask("before " + s + " after")
			if !strings.Contains(masked, kiln.Masked) || strings.Contains(masked, s) {
				t.Errorf("%q shows in %q", s, masked)
			}
		}
		if got := r.mask("harmless text"); got != "harmless text" {
			t.Errorf("got %q", got)
		}
	}
}

func TestForms(t *testing.T) {
	const long = "correct-horse-battery-staple-0123456789"
	for _, c := range []struct{ secret, text, want string }{
		{"s3cr3t ", "key s3cr3t", "key <sensitive>"}, // its blank is lost at a line's end
		{" s3cr3t\n", "s3cr3t.", "<sensitive>."},
		{"s3cr3t", "czNjcjN0", "<sensitive>"},
		{"s3cr3t", "73 33 63 72 33 74", "<sensitive>"},
		{"s3cr3t", "0000000  73 33 63 72 33 74 0a", "0000000  <sensitive> 0a"},
		{"s3cr3t", "00000000: 7333 6372 3374 0a  s", "00000000: <sensitive> 0a  s"},
		{"s3cr3t", "73:33:63:72:33:74", "<sensitive>"},
		{"s3cr3t", `\x73\x33\x63\x72\x33\x74`, `\x<sensitive>`},
		{"s3cr3t", "0x73, 0x33, 0x63, 0x72, 0x33, 0x74", "0x<sensitive>"},
		{"s3cr3t", "%73%33%63%72%33%74", "%<sensitive>"},
		{"s3cr3t", "ab733363723374ff", "ab<sensitive>ff"},
		{"s3cr3t", "OMZWG4RTOQ======", "<sensitive>"},
		{"s3cr3t", "omzwg4rtoq", "<sensitive>"},
		{`a"${b}`, `"a\"$${b}"`, `"<sensitive>"`}, // as HCL writes it
		{"12345", "id 99123451", "id 99<sensitive>1"},
		// Short ones only as words; what is a word's end is not one.
		{"p", "p passes popp -p=p p_ p9 (p)", "<sensitive> passes popp -<sensitive>=<sensitive> p_ p9 (<sensitive>)"},
		{"1", "11 of 1, 1.5", "11 of <sensitive>, <sensitive>.5"},
		{"äöü", "äöü äöüß", "<sensitive> äöüß"},
		{"p", "cA== xxcA==", "<sensitive> xxcA=="},
		{"p", "2e702e70 61 70 2e", "2e702e70 61 70 2e"},
		// The lines of a long one that are in every text stay.
		{"{\n a: secret-a\n}\nfi\n", "fi } a: secret-a", "fi }<sensitive>"},
		// A document is taken apart.
		{`{"user":"x","list":[{"pw":"inner-word"}],"n":5}`, "x inner-word 5", "x <sensitive> 5"},
		{"[not json", "not json", "not json"},
		{"<sensitive>", "a <sensitive> b", "a <sensitive> b"},
		{"sensitive", "<sensitive> sensitive", "<sensitive> <sensitive>"},
	} {
		var r Redactor
		Given(c.secret, r.Add)
		if got := r.mask(c.text); got != c.want || r.mask(got) != got {
			t.Errorf("%q in %q: got %q, want %q", c.secret, c.text, got, c.want)
		}
	}
	// A dump is cut into lines anywhere.
	var r Redactor
	r.Add(long)
	for shift := range 16 {
		text := strings.Repeat(".", shift) + long
		var shown string
		for len(text) > 0 {
			n := min(16, len(text))
			shown += r.mask(fmt.Sprintf("% x\n", text[:n]))
			text = text[n:]
		}
		if digits := strings.Count(strings.ReplaceAll(shown, "2e", ""), " "); digits > 18 {
			t.Errorf("shift %d shows %q", shift, shown)
		}
	}
}

// TestWrapped wraps the base64 of texts with a secret anywhere in them.
func TestWrapped(t *testing.T) {
	const secret = "correct-horse-battery-staple-0123456789"
	var r Redactor
	r.Add(secret)
	for shift := range 90 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("~", shift) + secret + strings.Repeat("~", 40)))
		for _, width := range []int{64, 76} {
			hidden := make([]bool, len(text))
			for at := 0; at < len(text); at += width {
				for _, s := range r.known.spans(text[at:min(len(text), at+width)], edge) {
					for i := s.from; i < s.to; i++ {
						hidden[at+i] = true
					}
				}
			}
			shown := ""
			for i := range len(secret) {
				from, to := (shift+i)*8/6, ((shift+i+1)*8+5)/6
				if !slices.Contains(hidden[from:to], true) {
					shown += secret[i : i+1]
				}
			}
			if len(shown) > 4 {
				t.Errorf("shift %d, width %d shows %q", shift, width, shown)
			}
		}
	}
}

// What is made of secrets is told where it says more than these.
func TestMade(t *testing.T) {
	for _, c := range []struct {
		text, want     string
		secrets, clear []string
	}{
		{"x s3cr3t!", "", []string{"s3cr3t"}, []string{"x ", "%s!"}},
		{"S3CR3T", "S3CR3T", []string{"s3cr3t"}, nil},
		{"s3cr3t-Word", "s3cr3t-Word", []string{"Word"}, nil},
		{"a-word", "", []string{"s3cr3t"}, []string{"an a-word"}},
		{"key\nfi\nKEY-two\na-word", "KEY-two", []string{"key"}, []string{"a-word"}},
		{"one\nTWO-", "TWO-", []string{"one\ntwo-"}, nil},
	} {
		if got := strings.Join(Made(c.text, c.secrets, c.clear), "|"); got != c.want {
			t.Errorf("%q: got %q", c.text, got)
		}
	}
}

func TestOverlap(t *testing.T) {
	var r Redactor
	for _, s := range []string{"abcdef", "defghi", "ghijkl"} {
		r.Add(s)
	}
	if got := r.mask("xabcdefghijkly abcdefghi abcdefg"); got != "x<sensitive>y <sensitive> <sensitive>g" {
		t.Errorf("got %q", got)
	}
}

func TestShort(t *testing.T) {
	for s, want := range map[string]bool{"": false, "  ": false, "p": true, " abc\n": true, "abcd": false, "äöü": true} {
		if Short(s) != want {
			t.Errorf("%q: %t", s, !want)
		}
	}
}

// BenchmarkAdd adds many secrets, of which each is looked for before the next.
func BenchmarkAdd(b *testing.B) {
	for b.Loop() {
		var r Redactor
		for i := range 1000 {
			s := fmt.Sprintf("secret-number-%04d", i)
			if r.Holds(s) {
				b.Fatal(s)
			}
			r.Add(s)
		}
	}
}
