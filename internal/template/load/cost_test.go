package load

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shapes are templates of n builds each.
var shapes = map[string]func(n int) string{
	"blocks": func(n int) string { return blocks(n, func(int) string { return "local.l" }) },
	"artifacts": func(n int) string {
		return blocks(n, func(i int) string {
			if i%10 == 0 {
				return "local.l"
			}
			return fmt.Sprintf("artifact.b%d.s%d.id", i-1, i-1)
		})
	},
	"matrix": func(n int) string {
		return fmt.Sprintf(`
source "fake" "s" { matrix = { a = range(%d), b = range(10) } }
build {
  name    = "b"
  sources = ["fake.s"]
  provisioner "fake" { text = "${source.name}" }
}`, n/10)
	},
}

// blocks are n sources, each with a build block whose step refers to something.
func blocks(n int, ref func(i int) string) string {
	var b strings.Builder
	b.WriteString("locals { l = \"x\" }\n")
	for i := range n {
		fmt.Fprintf(&b, "source \"fake\" \"s%d\" { text = \"t\" }\n", i)
		fmt.Fprintf(&b, "build {\n name = \"b%d\"\n sources = [\"fake.s%d\"]\n", i, i)
		fmt.Fprintf(&b, " provisioner \"fake\" { text = \"${%s} ${source.name}\" }\n post-processor \"fake\" {}\n}\n", ref(i))
	}
	return b.String()
}

// check does what validate does, and returns the number of builds.
func check(t testing.TB, dir string) int {
	tpl, diags := Template(t.Context(), testOptions(dir))
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	builds, diags := tpl.Builds(t.Context())
	for _, b := range builds {
		diags = append(diags, b.Check()...)
	}
	if diags.HasErrors() {
		t.Fatal(diags[:1])
	}
	return len(builds)
}

func folder(t testing.TB, text string) string {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "t.pkr.hcl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Eight times as many builds take about eight times as long: what is the same for
// all of them is made once.
func TestCostGrowsWithTheWork(t *testing.T) {
	for name, shape := range shapes {
		took := func(n int) time.Duration {
			dir := folder(t, shape(n))
			best := time.Hour
			for range 3 {
				start := time.Now()
				if got := check(t, dir); got != n {
					t.Fatalf("%s: %d builds of %d", name, got, n)
				}
				best = min(best, time.Since(start))
			}
			return best
		}
		small, large := took(300), took(2400)
		if large > 24*small+50*time.Millisecond {
			t.Errorf("%s: 300 builds in %v, 2400 in %v", name, small, large)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	for name, shape := range shapes {
		for _, n := range []int{1000, 10000} {
			dir := folder(b, shape(n))
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					check(b, dir)
				}
			})
		}
	}
}
