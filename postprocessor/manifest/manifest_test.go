package manifest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kiln"
	"kiln/kilntest"
)

func TestForm(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("a<b>.img", []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	b, _ := kilntest.NewBuild(t)
	b.Set("PackerRunUUID", "uuid-1")
	p := &PostProcessor{Output: "out/m.json", StripTime: true, CustomData: map[string]string{"k": "v&w"}}
	if _, err := p.Process(t.Context(), b, &kiln.Artifact{ID: "id", Files: []string{"a<b>.img"}}); err != nil {
		t.Fatal(err)
	}
	p.StripPath, p.CustomData = true, nil
	if _, err := p.Process(t.Context(), b, &kiln.Artifact{ID: "two"}); err != nil {
		t.Fatal(err)
	}
	const want = `{
  "builds": [
    {
      "name": "test",
      "builder_type": "test",
      "files": [
        {
          "name": "a\u003cb\u003e.img",
          "size": 5
        }
      ],
      "artifact_id": "id",
      "packer_run_uuid": "uuid-1",
      "custom_data": {
        "k": "v\u0026w"
      }
    },
    {
      "name": "test",
      "builder_type": "test",
      "files": null,
      "artifact_id": "two",
      "packer_run_uuid": "uuid-1",
      "custom_data": null
    }
  ],
  "last_run_uuid": "uuid-1"
}`
	have, err := os.ReadFile("out/m.json")
	if err != nil || string(have) != want {
		t.Errorf("%v, got\n%s", err, have)
	}
	if info, err := os.Stat("out/m.json"); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// -force in another run begins anew.
	b.Force = true
	b.Set("PackerRunUUID", "uuid-2")
	if _, err := p.Process(t.Context(), b, &kiln.Artifact{ID: "three"}); err != nil {
		t.Fatal(err)
	}
	if have, _ := os.ReadFile("out/m.json"); strings.Contains(string(have), "uuid-1") {
		t.Errorf("old entries are there:\n%s", have)
	}
}

// Builds side by side lose no entry.
func TestSideBySide(t *testing.T) {
	output := filepath.Join(t.TempDir(), "m.json")
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			b, _ := kilntest.NewBuild(t)
			if _, err := (&PostProcessor{Output: output}).Process(t.Context(), b, &kiln.Artifact{ID: "x"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var m file
	text, err := os.ReadFile(output)
	if err != nil || json.Unmarshal(text, &m) != nil || len(m.Builds) != 30 {
		t.Errorf("%d entries, %v", len(m.Builds), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(output)); len(left) != 1 {
		t.Errorf("left %v", left)
	}
}
