package kilntest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// The login that a registry of StartRegistry asks for.
const (
	RegistryUser     = "robot"
	RegistryPassword = "hush-registry-password"
)

// StartRegistry serves an image registry on a loopback port, in memory, that
// asks for a login, and gives its host:port. The engine speaks plain HTTP to a
// loopback registry.
func StartRegistry(t testing.TB) string {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != RegistryUser || password != RegistryPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="kiln"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}
