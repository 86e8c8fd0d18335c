package kiln

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// CacheDir is the folder that Packer's users know: what is downloaded lies there under
// Packer's names, and below it the locks of ports, which Packer's processes look at too. It
// may not exist yet.
func CacheDir() (string, error) {
	for _, name := range []string{"KILN_CACHE_DIR", "PACKER_CACHE_DIR"} {
		if dir := os.Getenv(name); dir != "" {
			return filepath.Abs(dir)
		}
	}
	if runtime.GOOS == "windows" {
		return filepath.Abs("packer_cache")
	}
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Abs(filepath.Join(dir, "packer"))
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("no folder for downloads: set PACKER_CACHE_DIR or HOME")
	}
	return filepath.Join(home, ".cache", "packer"), nil
}
