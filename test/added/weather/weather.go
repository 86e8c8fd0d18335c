// Package weather tells the weather of a city, as a data source that a newcomer adds.
package weather

import (
	"context"

	"kiln"
)

// DataSource asks for the weather.
type DataSource struct {
	// The city.
	City string `kiln:"city,required"`
}

// Output is the result.
type Output struct {
	// The city that was asked for.
	City string `kiln:"city"`
	// What its sky is like.
	Sky string `kiln:"sky"`
}

// Validate refuses an empty name.
func (d *DataSource) Validate() error {
	if d.City == "" {
		return kiln.Invalid("city", "city must be specified")
	}
	return nil
}

// Read looks at the sky.
func (d *DataSource) Read(ctx context.Context) (any, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return Output{City: d.City, Sky: "clear"}, nil
}

// Traits say what Read gives.
func (d *DataSource) Traits() kiln.Traits { return kiln.Traits{Shape: Output{}} }
