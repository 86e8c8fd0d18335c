package hcl2

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"kiln/internal/template"
)

// jsonBody is a body in JSON syntax. The parser of that syntax cannot take a marked value
// for the name of an attribute; here it is an error as any other.
type jsonBody struct{ hcl.Body }

func (b jsonBody) Content(s *hcl.BodySchema) (*hcl.BodyContent, hcl.Diagnostics) {
	content, diags := b.Body.Content(s)
	return jsonContent(content), diags
}

func (b jsonBody) PartialContent(s *hcl.BodySchema) (*hcl.BodyContent, hcl.Body, hcl.Diagnostics) {
	content, rest, diags := b.Body.PartialContent(s)
	return jsonContent(content), jsonBody{rest}, diags
}

func (b jsonBody) JustAttributes() (hcl.Attributes, hcl.Diagnostics) {
	attrs, diags := b.Body.JustAttributes()
	return jsonAttributes(attrs), diags
}

func jsonContent(content *hcl.BodyContent) *hcl.BodyContent {
	if content == nil {
		return nil
	}
	content.Attributes = jsonAttributes(content.Attributes)
	for _, blk := range content.Blocks {
		blk.Body = jsonBody{blk.Body}
	}
	return content
}

func jsonAttributes(attrs hcl.Attributes) hcl.Attributes {
	for _, attr := range attrs {
		attr.Expr = jsonExpression{attr.Expr}
	}
	return attrs
}

type jsonExpression struct{ hcl.Expression }

// UnwrapExpression lets hcl see lists and maps in the expression.
func (e jsonExpression) UnwrapExpression() hcl.Expression { return e.Expression }

func (e jsonExpression) Value(ctx *hcl.EvalContext) (v cty.Value, diags hcl.Diagnostics) {
	defer func() {
		if r := recover(); r != nil {
			v = cty.DynamicVal
			diags = append(diags, template.ErrorAt(e.Range(), "Invalid name of an attribute",
				"A name is shown, and cannot be made of a secret. nonsensitive() says that a value is none."))
		}
	}()
	return e.Expression.Value(ctx)
}
