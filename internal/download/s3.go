package download

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	signer "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go/logging"
)

// emptyHash is the SHA-256 of no content, which is what a GET sends.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// s3Region is the region in the name of one of Amazon's hosts: s3.REGION.amazonaws.com, with
// a dash in place of the first dot, and with a bucket in front of it.
var s3Region = regexp.MustCompile(`(?:^|\.)s3(?:[.-](?:dualstack\.)?([a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?$`)

// s3 makes the requests of a way ones that Amazon, or who speaks its language, accepts. The
// object is loaded as any other file is, so that it is resumed like one.
func (w *way) s3(ctx context.Context) error {
	query := w.url.Query()
	region := query.Get("region")
	if m := s3Region.FindStringSubmatch(w.url.Hostname()); m != nil && region == "" {
		region = m[1]
	}
	if region == "" || region == "external-1" {
		region = "us-east-1"
	}
	var options []func(*config.LoadOptions) error
	if profile := query.Get("aws_profile"); profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	if id := query.Get("aws_access_key_id"); id != "" {
		options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(
			id, query.Get("aws_access_key_secret"), query.Get("aws_access_token"))))
	}
	version := query.Get("version")
	for _, ours := range []string{
		"region", "aws_profile", "aws_access_key_id", "aws_access_key_secret", "aws_access_token", "version",
	} {
		query.Del(ours)
	}
	if version != "" {
		query.Set("versionId", version)
	}
	u := *w.url
	u.RawQuery, u.RawPath = query.Encode(), s3Path(u.Path)
	w.url = &u
	options = append(options, config.WithRegion(region), config.WithLogger(logging.Nop{}))
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return err
	}
	sign := signer.NewSigner(func(o *signer.SignerOptions) { o.DisableURIPathEscaping = true })
	w.sign = func(ctx context.Context, r *http.Request) error {
		if w.anonymous != nil {
			return nil
		}
		keys, err := cfg.Credentials.Retrieve(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			w.anonymous = err // a bucket that anybody may read needs none
			return nil
		}
		r.Header.Set("X-Amz-Content-Sha256", emptyHash)
		return sign.SignHTTP(ctx, keys, r, emptyHash, "s3", region, time.Now())
	}
	return nil
}

// s3Path escapes a path as the signature has it: all but letters, digits, and -._~/.
func s3Path(p string) string {
	parts := strings.Split(p, "/")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(part), "+", "%20")
	}
	return strings.Join(parts, "/")
}
