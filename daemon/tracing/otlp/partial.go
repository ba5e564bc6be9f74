package otlp

import (
	"errors"
	"reflect"
)

// rejected returns how many spans a collector has refused that has taken the others (OTLP's
// partial success); false: err says something else. The SDK has no name for that error that a
// program outside it could use, but its fields: a test with collectors that answer so holds on to
// these.
func rejected(err error) (n int64, ok bool) {
	v := reflect.ValueOf(err)
	if v.Kind() == reflect.Struct {
		if items := v.FieldByName("RejectedItems"); items.IsValid() && items.CanInt() {
			return items.Int(), true
		}
	}
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			n, ok = rejected(one)
			if !ok {
				return 0, false // none of them was taken
			}
		}
		return n, ok
	default:
		if inner := errors.Unwrap(err); inner != nil {
			return rejected(inner)
		}
	}
	return 0, false
}
