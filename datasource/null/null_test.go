package null

import (
	"testing"

	"kiln"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	kilntest.TestDataSource(t, kilntest.DataSourceOptions{
		New: func() kiln.DataSource { return &DataSource{Input: "value"} },
	})
}
