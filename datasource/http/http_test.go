package http

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"context"
)

func TestRead(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Add("X-Many", "a")
		w.Header().Add("X-Many", "b")
		switch r.URL.Path {
		case "/created":
			w.WriteHeader(http.StatusCreated)
		case "/gone":
			w.WriteHeader(http.StatusGone)
		case "/slow":
			<-r.Context().Done()
		}
		fmt.Fprintf(w, "%s %s %s", r.Method, r.Header.Get("X-In"), body)
	}))
	defer s.Close()
	d := &DataSource{URL: s.URL + "/created", Method: "POST", Headers: map[string]string{"X-In": "in"}, Body: "text"}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	got, err := d.Read(t.Context())
	out, ok := got.(Output)
	if err != nil || !ok || out.Body != "POST in text" || out.Headers["X-Many"] != "a, b" || out.URL != d.URL {
		t.Errorf("%+v, %v", got, err)
	}
	d = &DataSource{URL: s.URL + "/gone", Method: "GET"}
	if _, err := d.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "HTTP request error. Response code: 410") {
		t.Errorf("gone: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	d.URL = s.URL + "/slow"
	if _, err := d.Read(ctx); err == nil {
		t.Error("a cancelled request succeeds")
	}
	s.Close()
	if _, err := d.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "Error making http request") {
		t.Errorf("no server: %v", err)
	}
}

func TestValidate(t *testing.T) {
	for _, d := range []*DataSource{{URL: "x", Method: "GET"}, {URL: "ftp://x", Method: "GET"}, {URL: "http://x", Method: "get"}, {URL: "http://%", Method: "GET"}} {
		if d.Validate() == nil {
			t.Errorf("%+v is taken", d)
		}
	}
}
