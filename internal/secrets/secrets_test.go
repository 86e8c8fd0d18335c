package secrets

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// serve answers as Vault, Consul and AWS Secrets Manager do, and counts the
// questions.
func serve(t *testing.T) *int {
	t.Helper()
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if target := r.Header.Get("X-Amz-Target"); target != "" {
			answerAWS(t, w, r, target)
			return
		}
		body, ok := map[string]string{
			"/v1/secret/data/v2":    `{"data":{"data":{"password":"hush2","n":5.5},"metadata":{"version":1}}}`,
			"/v1/secret/v1":         `{"data":{"password":"hush1"}}`,
			"/v1/secret/data/gone":  `{"data":{"data":null,"metadata":{"deletion_time":"x"}}}`,
			"/v1/kv/app/port":       `[{"Key":"app/port","Value":"ODA4MA=="}]`,
			"/v1/kv/app/empty":      `[{"Key":"app/empty","Value":null}]`,
			"/v1/secret/data/wrong": `{"data":{"data":{"other":"x"}}}`,
		}[r.URL.Path]
		switch {
		case strings.HasPrefix(r.URL.Path, "/v1/secret") && r.Header.Get("X-Vault-Token") != "token":
			http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
		case !ok:
			http.Error(w, `{"errors":[]}`, http.StatusNotFound)
		default:
			fmt.Fprint(w, body)
		}
	}))
	t.Cleanup(s.Close)
	for k, v := range map[string]string{"VAULT_ADDR": s.URL, "VAULT_TOKEN": "token", "VAULT_MAX_RETRIES": "0", "CONSUL_HTTP_ADDR": s.URL, "AWS_ENDPOINT_URL": s.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "id",
		"AWS_SECRET_ACCESS_KEY": "key", "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"} {
		t.Setenv(k, v)
	}
	return &asked
}

func answerAWS(t *testing.T, w http.ResponseWriter, r *http.Request, target string) {
	var in struct{ SecretId string }
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil || target != "secretsmanager.GetSecretValue" || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=id/") {
		t.Errorf("%s %s: %v", target, body, err)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	text, ok := map[string]string{"plain": "hush", "one": `{"a":"hush-a"}`, "two": `{"a":"hush-a","n":7.0,"l":[1]}`}[in.SecretId]
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"ResourceNotFoundException","message":"no such secret"}`)
		return
	}
	json.NewEncoder(w).Encode(map[string]string{"Name": in.SecretId, "SecretString": text})
}

func TestServices(t *testing.T) {
	asked := serve(t)
	var hidden []string
	s := &Services{Hide: func(text string) { hidden = append(hidden, text) }}
	for _, c := range []struct {
		name, want string
		ask        func() (string, error)
	}{
		{"KV 2", "hush2", func() (string, error) { return s.Vault("secret/data/v2", "password") }},
		{"a number", "5.5", func() (string, error) { return s.Vault("secret/data/v2", "n") }},
		{"KV 1", "hush1", func() (string, error) { return s.Vault("secret/v1", "password") }},
		{"no such path", "!does not exist", func() (string, error) { return s.Vault("secret/none", "x") }},
		{"deleted", "!was empty", func() (string, error) { return s.Vault("secret/data/gone", "x") }},
		{"no such key", "!does not contain the requested key", func() (string, error) { return s.Vault("secret/data/wrong", "x") }},
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
		if want, bad := strings.CutPrefix(c.want, "!"); bad && (err == nil || !strings.Contains(err.Error(), want)) || !bad && (err != nil || got != c.want) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	before := *asked
	if _, err := s.Vault("secret/data/v2", "password"); err != nil || *asked != before {
		t.Errorf("asked again: %v", err)
	}
	if all := strings.Join(hidden, " "); !strings.Contains(all, "hush2") || !strings.Contains(all, "hush-a") || strings.Contains(all, "8080") {
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
