// Package secrets reads secrets for templates from Vault, Consul and AWS Secrets
// Manager, through their own clients. Each is asked once for each secret.
package secrets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	consul "github.com/hashicorp/consul/api"
	vault "github.com/hashicorp/vault/api"
)

// limit bounds one question.
const limit = 30 * time.Second

// Services are the three services, found by the environment that their clients
// read.
type Services struct {
	// Context ends every question; functions of templates are given none.
	Context context.Context
	// Hide, if set, is called with every secret of Vault and AWS. What Consul holds
	// is not taken for secret: it is a store of settings.
	Hide func(string)

	mu    sync.Mutex
	known map[[3]string]answer
}

type answer struct {
	text string
	err  error
}

// once answers from memory where it can.
func (s *Services) once(service, a, b string, ask func(ctx context.Context) (string, error)) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := [3]string{service, a, b}
	if have, ok := s.known[id]; ok {
		return have.text, have.err
	}
	ctx, cancel := context.WithTimeout(s.Context, limit)
	defer cancel()
	text, err := ask(ctx)
	if s.known == nil {
		s.known = map[[3]string]answer{}
	}
	s.known[id] = answer{text, err}
	if err == nil && service != "consul" {
		s.hide(text)
	}
	return text, err
}

func (s *Services) hide(secret string) {
	if s.Hide != nil {
		s.Hide(secret)
	}
}

// Vault reads a field of a secret, of version 2 of the KV engine or else of version
// 1. VAULT_ADDR and VAULT_TOKEN say where and as whom.
func (s *Services) Vault(path, key string) (string, error) {
	return s.once("vault", path, key, func(ctx context.Context) (string, error) {
		if os.Getenv("VAULT_TOKEN") == "" {
			return "", errors.New("Must set VAULT_TOKEN env var in order to use vault template function")
		}
		c, err := vault.NewClient(vault.DefaultConfig())
		if err != nil {
			return "", fmt.Errorf("Error getting Vault client: %w", err)
		}
		secret, err := c.Logical().ReadWithContext(ctx, path)
		if err != nil {
			return "", fmt.Errorf("Error reading vault secret: %w", err)
		}
		if secret == nil {
			return "", fmt.Errorf("Vault Secret does not exist at the given path: %s", path)
		}
		fields := secret.Data
		if inner, ok := fields["data"].(map[string]any); ok {
			fields = inner
		} else if _, isV2 := fields["metadata"]; isV2 && fields["data"] == nil {
			return "", fmt.Errorf("Vault data was empty at the given path: %s", path)
		}
		v, ok := fields[key]
		if !ok || v == nil {
			return "", fmt.Errorf("Vault path does not contain the requested key: %s has no %s", path, key)
		}
		return text(v), nil
	})
}

// Consul reads a key of the KV store. CONSUL_HTTP_ADDR and its like say where.
func (s *Services) Consul(key string) (string, error) {
	return s.once("consul", key, "", func(ctx context.Context) (string, error) {
		c, err := consul.NewClient(consul.DefaultConfig())
		if err != nil {
			return "", fmt.Errorf("error getting consul client: %w", err)
		}
		pair, _, err := c.KV().Get(key, (&consul.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return "", fmt.Errorf("error reading consul key: %w", err)
		}
		if pair == nil {
			return "", fmt.Errorf("key does not exist at the given path: %s", key)
		}
		if len(pair.Value) == 0 {
			return "", fmt.Errorf("value is empty at path %s", key)
		}
		return string(pair.Value), nil
	})
}

// AWSRaw reads a secret of AWS Secrets Manager as it is.
func (s *Services) AWSRaw(name string) (string, error) {
	return s.once("aws", name, "", func(ctx context.Context) (string, error) {
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return "", fmt.Errorf("AWS settings: %w", err)
		}
		out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx,
			&secretsmanager.GetSecretValueInput{SecretId: &name})
		if err != nil {
			return "", fmt.Errorf("read secret %s: %w", name, err)
		}
		switch {
		case out.SecretString != nil:
			return *out.SecretString, nil
		case len(out.SecretBinary) > 0:
			return string(out.SecretBinary), nil
		}
		return "", fmt.Errorf("the secret %s is empty", name)
	})
}

// AWS reads a value of a secret of AWS Secrets Manager: plain text as it is, of a
// JSON object the key, which may be empty where there is only one.
func (s *Services) AWS(name, key string) (string, error) {
	whole, err := s.AWSRaw(name)
	if err != nil {
		return "", err
	}
	var fields map[string]any
	dec := json.NewDecoder(bytes.NewReader([]byte(whole)))
	dec.UseNumber()
	if err := dec.Decode(&fields); err != nil || fields == nil {
		return whole, nil
	}
	v, ok := fields[key]
	switch {
	case key == "" && len(fields) == 1:
		for _, v = range fields {
		}
	case key == "":
		return "", fmt.Errorf("the secret %s has %d keys: name the one that is meant", name, len(fields))
	case !ok:
		return "", fmt.Errorf("the secret %s has no key %q", name, key)
	}
	out := text(v)
	if n, ok := v.(json.Number); ok {
		out, _, _ = strings.Cut(n.String(), ".") // as Packer prints it
	}
	s.hide(out)
	return out, nil
}

// text is a JSON value as text.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case nil:
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
