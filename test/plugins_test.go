package test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// pluginMirror is a command of stories: it makes a mirror with the versions given
// of the plugin example.com/acme/foo, a script that describes itself, and a
// development version of it as the file bin-foo. Where HANG names a file, the plugin writes its
// process into it and says nothing.
func pluginMirror(ts *testscript.TestScript, _ bool, versions []string) {
	root := ts.MkAbs("mirror/example.com/acme/packer-plugin-foo")
	put := func(path string, text []byte, mode os.FileMode) {
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
		ts.Check(os.WriteFile(path, text, mode))
	}
	program := func(version string) []byte {
		return fmt.Appendf(nil, "#!/bin/sh\n"+
			`[ -z "$HANG" ] || { echo $$ >"$HANG"; exec sleep 98764; }`+"\necho '{\"version\":%q,\"api_version\":\"x5.0\"}'\n", version)
	}
	system := runtime.GOOS + "_" + runtime.GOARCH
	var index []string
	for _, v := range versions {
		var archive bytes.Buffer
		z := zip.NewWriter(&archive)
		w, err := z.Create("packer-plugin-foo_v" + v + "_x5.0_" + system)
		ts.Check(err)
		_, err = w.Write(program(v))
		ts.Check(err)
		ts.Check(z.Close())
		base := filepath.Join(root, v, "packer-plugin-foo_"+v+"_")
		put(base+system+".zip", archive.Bytes(), 0o644)
		put(base+"SHA256SUMS", fmt.Appendf(nil, "%x  packer-plugin-foo_%s_%s.zip\n%[1]x  packer-plugin-foo_%[2]s_plan9_arm64.zip\n",
			sha256.Sum256(archive.Bytes()), v, system), 0o644)
		put(base+"manifest.json", []byte(`{"metadata":{"protocol_version":"5.0"}}`), 0o644)
		index = append(index, fmt.Sprintf("%q:{}", v))
	}
	put(filepath.Join(root, "index.json"), []byte(`{"versions":{`+strings.Join(index, ",")+`}}`), 0o644)
	put(ts.MkAbs("bin-foo"), program("2.0.0-dev"), 0o755)
}
