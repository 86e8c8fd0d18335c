package redact

import (
	"encoding/json"
	"reflect"
	"sync"

	"kiln"
)

// Sink takes events; it is ui.Sink.
type Sink interface {
	Event(kiln.Event)
	Close() error
}

// Sink is next behind the redactor.
func (r *Redactor) Sink(next Sink) Sink { return &sink{r, next} }

type sink struct {
	r *Redactor
	Sink
}

func (s *sink) Event(e kiln.Event) {
	masked := value(s.r, e)
	// The run's identifier is made of time and chance. Masked for a secret such as
	// 2026 it would name no run any more.
	masked.Run = e.Run
	s.Sink.Event(masked)
}

// Marshal is a value as JSON, masked inside its strings.
func (r *Redactor) Marshal(v any) ([]byte, error) { return json.Marshal(value(r, v)) }

// Render is the text that is made of a value, masked in the value first: for texts that
// are cut or laid out, in which half a secret would not be known again.
func Render[T any](r *Redactor, v T, text func(T) string) string { return text(value(r, v)) }

// value is a copy of v with every text in it masked. Texts of a named type, such as
// kiln.EventKind, and the keys of maps of a named type are words of the program and
// stay as they are. What has a JSON form of its own, such as time, stays too.
func value[T any](r *Redactor, v T) T {
	if !r.some.Load() {
		return v
	}
	r.hide(reflect.ValueOf(&v).Elem())
	return v
}

var (
	stringType = reflect.TypeFor[string]()
	bytesType  = reflect.TypeFor[[]byte]()
	marshaler  = reflect.TypeFor[json.Marshaler]()
)

// hide masks the texts in v, which can be set. What v refers to is copied first.
func (r *Redactor) hide(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if v.Type() == stringType {
			v.SetString(r.mask(v.String()))
		}
	case reflect.Struct:
		for _, i := range textFields(v.Type()) {
			r.hide(v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			r.hide(v.Index(i))
		}
	case reflect.Interface, reflect.Pointer, reflect.Slice, reflect.Map:
		if !v.IsNil() && !v.Type().Implements(marshaler) {
			r.hideCopy(v)
		}
	}
}

func (r *Redactor) hideCopy(v reflect.Value) {
	var to reflect.Value
	switch v.Kind() {
	case reflect.Interface:
		to = r.hidden(v.Elem())
	case reflect.Pointer:
		to = r.hidden(v.Elem()).Addr()
	case reflect.Map:
		to = reflect.MakeMapWithSize(v.Type(), v.Len())
		for it := v.MapRange(); it.Next(); {
			key := it.Key()
			if v.Type().Name() == "" {
				key = r.hidden(key)
			}
			to.SetMapIndex(key, r.hidden(it.Value()))
		}
	case reflect.Slice:
		if v.Type() == bytesType {
			to = reflect.ValueOf([]byte(r.mask(string(v.Bytes()))))
			break
		}
		to = reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(to, v)
		for i := range to.Len() {
			r.hide(to.Index(i))
		}
	}
	v.Set(to)
}

// hidden is a masked copy of v.
func (r *Redactor) hidden(v reflect.Value) reflect.Value {
	to := reflect.New(v.Type()).Elem()
	to.Set(v)
	r.hide(to)
	return to
}

// fieldsOf remembers textFields by type: events are many.
var fieldsOf sync.Map

// textFields are the fields of a struct that may hold texts to mask.
func textFields(t reflect.Type) []int {
	if known, ok := fieldsOf.Load(t); ok {
		return known.([]int)
	}
	var fields []int
	for i := range t.NumField() {
		f := t.Field(i)
		if f.IsExported() && f.Tag.Get("json") != "-" && mayHoldText(f.Type) && !t.Implements(marshaler) {
			fields = append(fields, i)
		}
	}
	fieldsOf.Store(t, fields)
	return fields
}

func mayHoldText(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String:
		return t == stringType
	case reflect.Struct:
		return !t.Implements(marshaler)
	case reflect.Array, reflect.Interface, reflect.Pointer, reflect.Slice, reflect.Map:
		return true
	}
	return false
}
