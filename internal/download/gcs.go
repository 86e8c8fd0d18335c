package download

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"kiln"
)

// googleStorage is where Google's storage is.
const googleStorage = "https://storage.googleapis.com"

// gcs makes the requests of a way ones to Google's storage: the address is that of the
// bucket and the object, https://www.googleapis.com/storage/v1/BUCKET/OBJECT.
func (w *way) gcs(ctx context.Context, s *Store) error {
	_, rest, ok := strings.Cut(w.url.Path, "/storage/")
	_, rest, ok2 := strings.Cut(rest, "/") // the version of their interface
	bucket, object, ok3 := strings.Cut(rest, "/")
	if !ok || !ok2 || !ok3 || object == "" || !strings.HasSuffix(w.url.Hostname(), "googleapis.com") {
		return kiln.Invalid("url", "%s is not the address of an object: want "+
			"gcs::https://www.googleapis.com/storage/v1/BUCKET/OBJECT", w.name)
	}
	at := s.google
	if emulator := os.Getenv("STORAGE_EMULATOR_HOST"); emulator != "" {
		if at = emulator; !strings.Contains(emulator, "://") {
			at = "http://" + emulator
		}
	}
	query := url.Values{"alt": {"media"}}
	if generation := cmp.Or(w.url.Query().Get("generation"), w.url.Fragment); generation != "" {
		query.Set("generation", generation)
	}
	u, err := url.Parse(strings.TrimSuffix(at, "/") + "/storage/v1/b/" + url.PathEscape(bucket) + "/o/" +
		url.PathEscape(object) + "?" + query.Encode())
	if err != nil {
		return err
	}
	w.url = u
	tokens, err := googleTokens(ctx)
	w.anonymous = err // a bucket that anybody may read needs none
	w.sign = func(_ context.Context, r *http.Request) error {
		if tokens == nil {
			return nil
		}
		token, err := tokens.Token()
		if err != nil {
			return &programError{err}
		}
		token.SetAuthHeader(r)
		return nil
	}
	return nil
}

// googleTokens is how Google knows the user. The error says why it does not.
func googleTokens(ctx context.Context) (oauth2.TokenSource, error) {
	if token := os.Getenv("GOOGLE_OAUTH_ACCESS_TOKEN"); token != "" {
		return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}), nil
	}
	found, err := google.FindDefaultCredentials(ctx, "https://www.googleapis.com/auth/devstorage.read_only")
	if err != nil {
		return nil, err
	}
	return found.TokenSource, nil
}
