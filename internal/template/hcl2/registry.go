package hcl2

import (
	"fmt"
	"regexp"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

var registrySchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "bucket_name"},
	{Name: "description"}, {Name: "bucket_labels"}, {Name: "build_labels"},
	{Name: "channels"}, {Name: "labels"}}}

var bucketName = regexp.MustCompile(`^[A-Za-z0-9-]{3,36}$`)

// maxRegistryText is the longest description of a bucket, in characters.
const maxRegistryText = 255

// checkRegistry checks an hcp_packer_registry block, and says that builds are not
// sent there.
func (sc *scope) checkRegistry(blk *hcl.Block, ctx *hcl.EvalContext, inside bool) hcl.Diagnostics {
	content, diags := blk.Body.Content(registrySchema)
	m := meta{content.Attributes, ctx, &diags}
	m.into("bucket_name", cty.String, func(v cty.Value) error {
		if name := v.AsString(); !bucketName.MatchString(name) {
			return fmt.Errorf("%q has to be 3 to 36 letters, digits and dashes", name)
		}
		return nil
	})
	m.into("description", cty.String, func(v cty.Value) error {
		if n := utf8.RuneCountInString(v.AsString()); n > maxRegistryText {
			return fmt.Errorf("it has %d characters, %d are allowed", n, maxRegistryText)
		}
		return nil
	})
	for _, name := range []string{"bucket_labels", "build_labels", "labels"} {
		m.into(name, cty.Map(cty.String), func(cty.Value) error { return nil })
	}
	m.into("channels", cty.List(cty.String), func(v cty.Value) error {
		_, err := convert.Convert(v, cty.List(cty.String))
		return err
	})
	warn := func(summary, detail string) {
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: summary, Detail: detail,
			Subject: blk.DefRange.Ptr()})
	}
	if inside {
		warn("Build block level hcp_packer_registry is deprecated",
			"The block stands at the root of the template.")
	}
	if content.Attributes["labels"] != nil {
		warn("Deprecated option labels", "It is called bucket_labels now.")
	}
	warn(
		"Builds are not sent to HCP Packer",
		"This version has no connection to HCP Packer. The images are made, and nothing is registered there.",
	)
	return diags
}
