// Package http reads a value from a web server, once for each run.
package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"kiln"
)

// DataSource makes one request.
type DataSource struct {
	// Address to ask.
	URL string `kiln:"url,required"`
	// Method of the request.
	Method string `kiln:"method,default=GET"`
	// Headers of the request.
	Headers map[string]string `kiln:"request_headers"`
	// Body of the request.
	Body string `kiln:"request_body"`
}

// Output is the result.
type Output struct {
	// The address that was asked.
	URL string `kiln:"url"`
	// Body of the answer.
	Body string `kiln:"body"`
	// Headers of the answer.
	Headers map[string]string `kiln:"request_headers"`
}

var methods = []string{"HEAD", "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}

// Validate reports all that is wrong.
func (d *DataSource) Validate() error {
	var errs []error
	if u, err := url.Parse(d.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" {
		errs = append(errs, kiln.Invalid("url", "%q is no http or https address", d.URL))
	}
	if !slices.Contains(methods, d.Method) {
		errs = append(
			errs,
			kiln.Invalid("method", "the method is one of %s, not %q", strings.Join(methods, ", "), d.Method),
		)
	}
	return errors.Join(errs...)
}

const (
	timeout = time.Minute
	maxBody = 64 << 20
)

// Read makes the request. An answer other than 2xx is an error.
func (d *DataSource) Read(ctx context.Context) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, d.Method, d.URL, strings.NewReader(d.Body))
	if err != nil {
		return nil, err
	}
	for k, v := range d.Headers {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("Error making http request: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("HTTP request error. Response code: %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err == nil && len(body) > maxBody {
		err = fmt.Errorf("it is larger than %d MiB", maxBody>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	out := Output{URL: d.URL, Body: string(body), Headers: map[string]string{}}
	for k, v := range resp.Header {
		out.Headers[k] = strings.Join(v, ", ")
	}
	return out, nil
}

// Traits: what Read gives.
func (d *DataSource) Traits() kiln.Traits {
	return kiln.Traits{Shape: Output{Headers: map[string]string{}}}
}
