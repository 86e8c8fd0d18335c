package secrets

import (
	"strings"
	"testing"

	"kiln/kilntest"
)

func TestServices(t *testing.T) {
	fake := kilntest.StartSecrets(t)
	for k, v := range fake.Env {
		t.Setenv(k, v)
	}
	var hidden []string
	s := &Services{Context: t.Context(), Hide: func(text string) { hidden = append(hidden, text) }}
	for _, c := range []struct {
		name, want string
		ask        func() (string, error)
	}{
		{"KV 2", "hush2", func() (string, error) { return s.Vault("secret/data/v2", "password") }},
		{"a number", "5.5", func() (string, error) { return s.Vault("secret/data/v2", "n") }},
		{"KV 1", "hush1", func() (string, error) { return s.Vault("secret/v1", "password") }},
		{"no such path", "!does not exist", func() (string, error) { return s.Vault("secret/none", "x") }},
		{"deleted", "!was empty", func() (string, error) { return s.Vault("secret/data/gone", "x") }},
		{"no such key", "!does not contain the requested key",
			func() (string, error) { return s.Vault("secret/data/wrong", "x") }},
		{"consul", "8080", func() (string, error) { return s.Consul("app/port") }},
		{"consul, empty", "!value is empty", func() (string, error) { return s.Consul("app/empty") }},
		{"consul, absent", "!does not exist", func() (string, error) { return s.Consul("app/none") }},
		{"aws, plain", "hush", func() (string, error) { return s.AWS("plain", "any") }},
		{"aws, only key", "hush-a", func() (string, error) { return s.AWS("one", "") }},
		{"aws, key", "hush-a", func() (string, error) { return s.AWS("two", "a") }},
		{"aws, number", "7", func() (string, error) { return s.AWS("two", "n") }},
		{"aws, list", "[1]", func() (string, error) { return s.AWS("two", "l") }},
		{"aws, which key", "!has 3 keys", func() (string, error) { return s.AWS("two", "") }},
		{"aws, no such key", "!has no key", func() (string, error) { return s.AWS("two", "z") }},
		{"aws, raw", `{"a":"hush-a"}`, func() (string, error) { return s.AWSRaw("one") }},
		{"aws, absent", "!no such secret", func() (string, error) { return s.AWSRaw("none") }},
	} {
		got, err := c.ask()
		if want, bad := strings.CutPrefix(c.want, "!"); bad &&
			(err == nil || !strings.Contains(err.Error(), want)) || !bad && (err != nil || got != c.want) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	before := fake.Asked.Load()
	if _, err := s.Vault("secret/data/v2", "password"); err != nil || fake.Asked.Load() != before {
		t.Errorf("asked again: %v", err)
	}
	if all := strings.Join(hidden, " "); !strings.Contains(all, "hush2") || !strings.Contains(all, "hush-a") ||
		strings.Contains(all, "8080") {
		t.Errorf("hidden: %q", hidden)
	}
	t.Setenv("VAULT_TOKEN", "")
	if _, err := s.Vault("x", "y"); err == nil || !strings.Contains(err.Error(), "VAULT_TOKEN") {
		t.Errorf("no token: %v", err)
	}
	t.Setenv("VAULT_TOKEN", "other")
	if _, err := s.Vault("secret/v1", "z"); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("another token: %v", err)
	}
}
