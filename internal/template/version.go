package template

import (
	"fmt"
	"strings"

	goversion "github.com/hashicorp/go-version"
)

// VersionAtLeast reports whether a version is not below another.
func VersionAtLeast(have, want string) (bool, error) {
	h, err := goversion.NewVersion(have)
	if err != nil {
		return false, err
	}
	w, err := goversion.NewVersion(want)
	if err != nil {
		return false, err
	}
	return h.GreaterThanOrEqual(w), nil
}

// VersionFits reports whether a version, without its pre-release, meets constraints
// such as ">= 1.2, < 2".
func VersionFits(have, constraints string) (bool, error) {
	if strings.TrimSpace(constraints) == "" {
		return false, fmt.Errorf("the constraint is empty")
	}
	c, err := goversion.NewConstraint(constraints)
	if err != nil {
		return false, err
	}
	h, err := goversion.NewVersion(have)
	if err != nil {
		return false, err
	}
	return c.Check(h.Core()), nil
}
