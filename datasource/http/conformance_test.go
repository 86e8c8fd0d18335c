package http

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"kiln"
	"kiln/kilntest"
)

func TestConformance(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
		}
		fmt.Fprint(w, "answer")
	}))
	t.Cleanup(s.Close)
	at := func(path string) func() kiln.DataSource {
		return func() kiln.DataSource { return &DataSource{URL: s.URL + path, Method: http.MethodGet} }
	}
	kilntest.TestDataSource(t, kilntest.DataSourceOptions{New: at("/"), Slow: at("/slow")})
}
