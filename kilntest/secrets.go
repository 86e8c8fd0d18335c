package kilntest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// Secrets is a server that answers as Vault, Consul and AWS Secrets Manager do.
type Secrets struct {
	Env   map[string]string // for the clients
	Asked atomic.Int64      // questions so far
}

// StartSecrets starts the server. It holds, in Vault, the secrets secret/data/v2 (KV
// version 2: password, n), secret/v1 (KV version 1: password), one that was deleted
// and one without a password; in Consul app/port and app/empty; in AWS plain, one and
// two.
func StartSecrets(t testing.TB) *Secrets {
	t.Helper()
	secrets := &Secrets{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secrets.Asked.Add(1)
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
	secrets.Env = map[string]string{
		"VAULT_ADDR":                  s.URL,
		"VAULT_TOKEN":                 "token",
		"VAULT_MAX_RETRIES":           "0",
		"CONSUL_HTTP_ADDR":            s.URL,
		"AWS_ENDPOINT_URL":            s.URL,
		"AWS_REGION":                  "us-east-1",
		"AWS_ACCESS_KEY_ID":           "id",
		"AWS_SECRET_ACCESS_KEY":       "key",
		"AWS_EC2_METADATA_DISABLED":   "true",
		"AWS_MAX_ATTEMPTS":            "1",
		"AWS_CONFIG_FILE":             "/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	}
	return secrets
}

func answerAWS(t testing.TB, w http.ResponseWriter, r *http.Request, target string) {
	var in struct{ SecretId string }
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil || target != "secretsmanager.GetSecretValue" ||
		!strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=id/") {
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
