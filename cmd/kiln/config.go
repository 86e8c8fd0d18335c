package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// checkConfig reads Packer's core configuration file, see docs/compat/cli.md 12. Nothing in it
// matters to Kiln, which asks nobody for updates; what Packer refuses in it is
// refused here too, so that a job that is set up wrongly shows it.
func checkConfig(env func(string) string) error {
	path := env("PACKER_CONFIG")
	if path == "" {
		dir := env("PACKER_CONFIG_DIR")
		if dir == "" {
			dir = env("HOME")
		}
		if dir == "" {
			return nil
		}
		path = filepath.Join(dir, ".packerconfig")
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var c map[string]json.RawMessage
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, key := range []string{"builders", "provisioners", "post-processors"} {
		var components map[string]string
		if raw, ok := c[key]; !ok {
			continue
		} else if err := json.Unmarshal(raw, &components); err != nil {
			return fmt.Errorf("%s: %s: %w", path, key, err)
		}
		if len(components) > 0 {
			return fmt.Errorf("%s names %s (%s): components can no longer be added there; plugins are installed "+
				"with init or plugins install",
				path, key, strings.Join(slices.Sorted(maps.Keys(components)), ", "))
		}
	}
	return nil
}
