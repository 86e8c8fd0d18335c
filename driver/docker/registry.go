package docker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"

	"kiln"
)

// Login is how to log in to a registry. It goes with each call to the engine, so
// that builds side by side share no login.
type Login struct {
	// Log in to the registry before pulling or pushing.
	Use bool `kiln:"login,origin"`
	// User at the registry.
	Username string `kiln:"login_username,origin"`
	// Password at the registry.
	Password string `kiln:"login_password,sensitive,origin"`
	// The registry; Docker Hub by default.
	Server string `kiln:"login_server,origin"`
	// Log in to Amazon ECR.
	ECR bool `kiln:"ecr_login,refused=logging in to Amazon ECR needs Amazon's SDK, which is not in this version; use login with the user AWS and the password that the command aws ecr get-login-password prints"`
	// Access key for ECR.
	AccessKey string `kiln:"aws_access_key,refused=it is for ecr_login, which is not in this version"`
	// Secret key for ECR.
	SecretKey string `kiln:"aws_secret_key,refused=it is for ecr_login, which is not in this version"`
	// Session token for ECR.
	Token string `kiln:"aws_token,refused=it is for ecr_login, which is not in this version"`
	// Profile for ECR.
	Profile string `kiln:"aws_profile,refused=it is for ecr_login, which is not in this version"`
	// Use the public ECR.
	PublicECR bool `kiln:"aws_force_use_public_ecr,refused=it is for ecr_login, which is not in this version"`
}

// Check reports what is wrong.
func (l *Login) Check() error {
	if l.Use && (l.Username == "") != (l.Password == "") {
		return kiln.Invalid("login_password", "login_username and login_password go together")
	}
	return nil
}

// Header is the login in the form that the engine takes with a call for an image.
// Without a login in the template it is what `docker login` has stored.
func (l *Login) Header(image string) (string, error) {
	auth := registry.AuthConfig{Username: l.Username, Password: l.Password, ServerAddress: l.Server}
	if !l.Use || l.Username == "" {
		auth = stored(server(image))
	}
	text, err := json.Marshal(auth)
	return base64.URLEncoding.EncodeToString(text), err
}

// server is the registry of an image's name.
func server(image string) string {
	first, _, more := strings.Cut(image, "/")
	if more && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return first
	}
	return "https://index.docker.io/v1/"
}

// stored reads the docker command line's login; one in a helper program is not
// looked for.
func stored(server string) (auth registry.AuthConfig) {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return auth
		}
		dir = filepath.Join(home, ".docker")
	}
	var config struct {
		Auths map[string]struct{ Auth string }
	}
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil || json.Unmarshal(text, &config) != nil {
		return auth
	}
	pair, err := base64.StdEncoding.DecodeString(config.Auths[server].Auth)
	if user, password, ok := strings.Cut(string(pair), ":"); err == nil && ok {
		auth.Username, auth.Password, auth.ServerAddress = user, password, server
	}
	return auth
}

// Follow shows the messages of a long call of the engine and returns its error.
func Follow(b *kiln.Build, what string, messages iter.Seq2[jsonstream.Message, error]) error {
	layers := map[string]jsonstream.Progress{}
	var last time.Time
	for m, err := range messages {
		if err != nil {
			return err
		}
		if m.Error != nil {
			return errors.New(m.Error.Message)
		}
		if text := strings.TrimSpace(m.Stream); text != "" {
			b.Say("%s", text)
		}
		if m.Progress == nil || m.Progress.Total == 0 {
			continue
		}
		layers[m.ID] = *m.Progress
		if now := time.Now(); now.Sub(last) > 100*time.Millisecond {
			last = now
			var done, total int64
			for _, p := range layers {
				done, total = done+p.Current, total+p.Total
			}
			b.Emit(kiln.Event{Kind: kiln.EventProgress, Text: what, Done: done, Total: total})
		}
	}
	return nil
}

// Messages reads the messages of a call whose result is only a stream.
func Messages(ctx context.Context, dec *json.Decoder) iter.Seq2[jsonstream.Message, error] {
	return func(yield func(jsonstream.Message, error) bool) {
		for dec.More() {
			var m jsonstream.Message
			err := dec.Decode(&m)
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			if err != nil {
				err = fmt.Errorf("read the engine's answer: %w", err)
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}
