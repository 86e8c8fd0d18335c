package function

import (
	"fmt"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"kiln/internal/template/interpolate"
)

func times() map[string]function.Function {
	return map[string]function.Function{
		"rfc3339_parse": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "timestamp", Type: cty.String}},
			Type:   function.StaticReturnType(timeType("unix", cty.Number)),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				text := args[0].AsString()
				t, err := time.Parse(time.RFC3339, strings.Replace(text, " ", "T", 1))
				if err != nil {
					return cty.NilVal, fmt.Errorf("%q is no RFC 3339 time", text)
				}
				return timeObject(t, "unix", cty.NumberIntVal(t.Unix())), nil
			},
		}),
		"unix_timestamp_parse": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "unix_timestamp", Type: cty.Number}},
			Type:   function.StaticReturnType(timeType("rfc3339", cty.String)),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				n, _ := args[0].AsBigFloat().Int64()
				t := time.Unix(n, 0).UTC()
				return timeObject(t, "rfc3339", cty.StringVal(t.Format(time.RFC3339))), nil
			},
		}),
	}
}

func timeType(other string, ty cty.Type) cty.Type {
	fields := map[string]cty.Type{other: ty}
	for _, name := range []string{"year", "year_day", "day", "month", "weekday", "hour", "minute", "second", "iso_year", "iso_week"} {
		fields[name] = cty.Number
	}
	fields["month_name"], fields["weekday_name"] = cty.String, cty.String
	return cty.Object(fields)
}

func timeObject(t time.Time, other string, v cty.Value) cty.Value {
	n := func(i int) cty.Value { return cty.NumberIntVal(int64(i)) }
	isoYear, isoWeek := t.ISOWeek()
	return cty.ObjectVal(map[string]cty.Value{
		"year": n(t.Year()), "year_day": n(t.YearDay()), "day": n(t.Day()), "month": n(int(t.Month())), "month_name": cty.StringVal(t.Month().String()),
		"weekday": n(int(t.Weekday())), "weekday_name": cty.StringVal(t.Weekday().String()), "hour": n(t.Hour()), "minute": n(t.Minute()),
		"second": n(t.Second()), "iso_year": n(isoYear), "iso_week": n(isoWeek), other: v,
	})
}

// started are the functions of the program's start time.
func started(start time.Time) map[string]function.Function {
	optional := func(name string, format func(layout string, given bool) string) function.Function {
		return function.New(&function.Spec{
			VarParam: &function.Parameter{Name: "format", Type: cty.String},
			Type:     function.StaticReturnType(cty.String),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				switch len(args) {
				case 0:
					return cty.StringVal(format("", false)), nil
				case 1:
					return cty.StringVal(format(args[0].AsString(), true)), nil
				}
				return cty.NilVal, fmt.Errorf("%s takes at most one argument", name)
			},
		})
	}
	return map[string]function.Function{
		"legacy_isotime": optional("legacy_isotime", func(layout string, given bool) string {
			if !given {
				layout = time.RFC3339
			}
			return start.UTC().Format(layout)
		}),
		"legacy_strftime": optional("legacy_strftime", func(format string, given bool) string {
			if !given {
				return start.UTC().Format(time.RFC3339)
			}
			return interpolate.Strftime(format, start.UTC())
		}),
	}
}
