package task_test

import (
	"reflect"
	"strings"
	"testing"

	"cpulb/daemon/task"
)

// Every text of a task and of a result counts, also one that a later version adds.
func TestEveryTextIsCounted(t *testing.T) {
	for _, c := range []struct {
		value any
		size  func() int64
	}{sized(&task.Task{Extra: &task.Extras{}}), sized(&task.Result{Error: &task.Error{}})} {
		texts := 0
		eachText(reflect.ValueOf(c.value).Elem(), func(name string, set func(string)) {
			before := c.size()
			set(strings.Repeat("x", 1000))
			if more := c.size() - before; more < 1000 {
				t.Errorf("%T: 1000 bytes of %s count as %d", c.value, name, more)
			}
			texts++
		})
		if texts < 7 {
			t.Errorf("%T has only %d texts", c.value, texts)
		}
	}
}

func sized[T interface{ Size() int64 }](v T) struct {
	value any
	size  func() int64
} {
	return struct {
		value any
		size  func() int64
	}{v, v.Size}
}

// eachText calls f with each place in a struct that holds bytes of a sender's.
func eachText(v reflect.Value, f func(name string, set func(string))) {
	for i := range v.NumField() {
		field, name := v.Field(i), v.Type().Field(i).Name
		switch {
		case field.Kind() == reflect.String && name != "ID":
			f(name, field.SetString)
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Uint8:
			f(name, func(s string) { field.SetBytes([]byte(s)) })
		case field.Kind() == reflect.Map:
			f(name, func(s string) { field.Set(reflect.ValueOf(map[string]string{s: ""})) })
		case field.Kind() == reflect.Pointer && field.Type().Elem().Kind() == reflect.Struct && !field.IsNil():
			eachText(field.Elem(), f)
		}
	}
}
