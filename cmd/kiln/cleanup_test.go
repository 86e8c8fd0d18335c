package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kiln"
)

// asProgram is the variable with which the test program is kiln itself, with the
// components of these tests.
const asProgram = "KILN_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	components = func() kiln.Components {
		c := builtIn()
		c.Builders["safe"] = func() kiln.Builder { return new(safe) }
		return c
	}
	os.Exit(run(os.Args))
}

// safe makes a file in a place that opens with a token only.
type safe struct {
	Token string `kiln:"token,required,sensitive"`
	Place string `kiln:"place,required"`
	Crash bool   `kiln:"crash"`
}

func (s *safe) open() error {
	want, err := os.ReadFile(filepath.Join(s.Place, "token"))
	if err != nil {
		return err
	}
	if s.Token != string(want) {
		return fmt.Errorf("%w: wrong token", kiln.ErrDenied)
	}
	return nil
}

func (s *safe) Start(_ context.Context, b *kiln.Build) (kiln.Machine, error) {
	r := kiln.Resource{Owner: "builder.safe", Kind: "thing", ID: "thing-" + b.Run}
	if err := b.Own(r, func(ctx context.Context) error { return s.Reap(ctx, r) }); err != nil {
		return nil, err
	}
	if err := errors.Join(s.open(), os.WriteFile(filepath.Join(s.Place, r.ID), nil, 0o600)); err != nil {
		return nil, err
	}
	if s.Crash {
		os.Exit(137)
	}
	return nil, errors.New("it makes nothing")
}

func (s *safe) Reap(_ context.Context, r kiln.Resource) error {
	if err := s.open(); err != nil {
		return err
	}
	err := os.Remove(filepath.Join(s.Place, r.ID))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (s *safe) Owned(context.Context, string, kiln.Resource) ([]kiln.Resource, error) {
	return nil, nil
}

// A component that needs a secret is cleaned up after by another process with what the
// run kept and the secret given again, and not without it.
func TestCleanupWithSecret(t *testing.T) {
	home, place, dir := t.TempDir(), t.TempDir(), t.TempDir()
	const secret = "open-sesame-4711"
	template := fmt.Sprintf(`
variable "token" { sensitive = true }
variable "crash" { default = false }
source "safe" "x" {
  token = var.token
  place = %q
  crash = var.crash
}
build { sources = ["safe.x"] }
`, place)
	for name, text := range map[string]string{filepath.Join(place, "token"): secret, filepath.Join(dir, "t.pkr.hcl"): template} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kilnAs := func(args ...string) (string, error) {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), asProgram+"=1", "KILN_HOME="+home)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	things := func() int {
		found, _ := filepath.Glob(filepath.Join(place, "thing-*"))
		return len(found)
	}
	// In the same process: by the configured component.
	if out, err := kilnAs("build", "-var", "token="+secret, "t.pkr.hcl"); err == nil || things() != 0 {
		t.Fatalf("%v, %d things are left: %s", err, things(), out)
	}
	if out, _ := kilnAs("build", "-var", "token="+secret, "-var", "crash=true", "t.pkr.hcl"); things() != 1 {
		t.Fatalf("%d things are left: %s", things(), out)
	}
	// Nothing of what was given before is needed any more.
	if err := os.Remove(filepath.Join(dir, "t.pkr.hcl")); err != nil {
		t.Fatal(err)
	}
	out, err := kilnAs("cleanup")
	if err == nil || things() != 1 || !strings.Contains(out, `The value of the variable "token" is needed again`) {
		t.Errorf("without the token: %v, %d things are left: %s", err, things(), out)
	}
	if out, err = kilnAs("cleanup", "-var", "token=another-word"); err == nil || things() != 1 || !strings.Contains(out, "wrong token") {
		t.Errorf("with a wrong token: %v, %d things are left: %s", err, things(), out)
	}
	if out, err = kilnAs("cleanup", "-var", "tokn="+secret); err == nil ||
		!strings.Contains(out, "-var tokn: no template of these runs has such a variable: did you mean \"token\"?") {
		t.Errorf("with a variable that there is not: %v: %s", err, out)
	}
	if out, err = kilnAs("cleanup", "last", "-var", "token="+secret); err != nil || things() != 0 {
		t.Errorf("with the token: %v, %d things are left: %s", err, things(), out)
	}
	if out, err = kilnAs("cleanup"); err != nil || !strings.Contains(out, "Nothing to clean up.") {
		t.Errorf("afterwards: %v: %s", err, out)
	}
	err = filepath.WalkDir(home, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s holds the secret: %s", path, text)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
