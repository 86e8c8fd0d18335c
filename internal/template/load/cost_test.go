package load

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
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
	"locals": func(n int) string {
		var b strings.Builder
		b.WriteString("locals {\n l0 = 0\n")
		for i := range n {
			fmt.Fprintf(&b, " l%d = local.l%d + 1\n", i+1, i)
		}
		fmt.Fprintf(&b, "}\nsource \"fake\" \"s\" { number = local.l%d }\nbuild { sources = [\"fake.s\"] }\n",
			n)
		return b.String()
	},
	// Each build makes another text of a secret.
	"secrets": func(n int) string {
		return "variable \"pw\" {\n sensitive = true\n default = \"s3cr3t-Word\"\n}\n" +
			blocks(n, func(i int) string { return fmt.Sprintf("sha256(\"${var.pw}-%d\")} ${var.pw", i) })
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

// Eight times as many builds need about eight times the memory: what is the same for
// all of them is made once. (The time is a row of the benchmark.)
func TestCostGrowsWithTheWork(t *testing.T) {
	for name, shape := range shapes {
		cost := func(n int) uint64 {
			dir := folder(t, shape(n))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if got := check(t, dir); n != got && name != "locals" {
				t.Fatalf("%s: %d builds of %d", name, got, n)
			}
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		little, much := cost(300), cost(2400)
		// The square would be 64 times.
		if much > 16*little {
			t.Errorf("%s: 300 builds need %d bytes, 2400 need %d", name, little, much)
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
