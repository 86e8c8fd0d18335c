package shelllocal

import (
	"testing"

	"kiln"
	"kiln/kilntest"
	"kiln/schema"
)

func TestConformance(t *testing.T) {
	inline := func(line string) func() kiln.PostProcessor {
		return func() kiln.PostProcessor {
			p := new(PostProcessor)
			p.Inline = []string{line}
			schema.Defaults(p)
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			return p
		}
	}
	kilntest.TestPostProcessor(t, kilntest.PostProcessorOptions{New: inline("echo out; echo err >&2"), Slow: inline("sleep 60")})
}
