// Package null gives back what it is given: for trying templates.
package null

import (
	"context"

	"kiln"
)

// DataSource gives its input back.
type DataSource struct {
	// The value.
	Input string `kiln:"input,required"`
}

// Output is the result.
type Output struct {
	// The value that was given.
	Output string `kiln:"output"`
}

// Validate refuses an empty value.
func (d *DataSource) Validate() error {
	if d.Input == "" {
		return kiln.Invalid("input", "The `input` must be specified")
	}
	return nil
}

// Read gives the value back.
func (d *DataSource) Read(ctx context.Context) (any, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return Output{d.Input}, nil
}

// Traits: what Read gives.
func (d *DataSource) Traits() kiln.Traits { return kiln.Traits{Shape: Output{}} }
