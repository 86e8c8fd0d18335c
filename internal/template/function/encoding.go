package function

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"net/url"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/ianaindex"
)

func encodings() map[string]function.Function {
	return map[string]function.Function{
		"base64encode": text("str", func(s string) (string, error) { return base64.StdEncoding.EncodeToString([]byte(s)), nil }),
		"base64decode": text("str", func(s string) (string, error) {
			b, err := base64.StdEncoding.DecodeString(s)
			if err != nil {
				return "", fmt.Errorf("failed to decode base64 data %q", s)
			}
			if !utf8.Valid(b) {
				return "", fmt.Errorf("the result of decoding the provided string is not valid UTF-8")
			}
			return string(b), nil
		}),
		"base64gzip": text("str", func(s string) (string, error) {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			if _, err := z.Write([]byte(s)); err != nil {
				return "", err
			}
			if err := z.Close(); err != nil {
				return "", err
			}
			return base64.StdEncoding.EncodeToString(b.Bytes()), nil
		}),
		"urlencode": text("str", func(s string) (string, error) { return url.QueryEscape(s), nil }),
		"textencodebase64": text2("string", "encoding", func(s, name string) (cty.Value, error) {
			enc, err := charset(name)
			if err != nil {
				return cty.NilVal, err
			}
			out, err := enc.NewEncoder().String(s)
			if err != nil {
				return cty.NilVal, fmt.Errorf("the given string contains characters that cannot be represented in %s", name)
			}
			return cty.StringVal(base64.StdEncoding.EncodeToString([]byte(out))), nil
		}, cty.String),
		"textdecodebase64": text2("source", "encoding", func(s, name string) (cty.Value, error) {
			enc, err := charset(name)
			if err != nil {
				return cty.NilVal, err
			}
			b, err := base64.StdEncoding.DecodeString(s)
			if err != nil {
				return cty.NilVal, fmt.Errorf("the given value is no valid base64: %w", err)
			}
			out, err := enc.NewDecoder().Bytes(b)
			if err != nil || bytes.ContainsRune(out, utf8.RuneError) {
				return cty.NilVal, fmt.Errorf("the given string contains symbols that are not defined for %s", name)
			}
			return cty.StringVal(string(out)), nil
		}, cty.String),
	}
}

func charset(name string) (encoding.Encoding, error) {
	enc, err := ianaindex.IANA.Encoding(name)
	if err != nil || enc == nil {
		return nil, fmt.Errorf("%q is not a supported IANA encoding name or alias", name)
	}
	return enc, nil
}
