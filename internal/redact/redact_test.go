package redact

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
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
