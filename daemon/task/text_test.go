package task_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"cpulb/daemon/task"
)

// What is JSON but no text is refused in every field that is text.
func TestHalfASurrogatePairIsNoText(t *testing.T) {
	for _, name := range task.Fields() {
		for _, half := range []string{`\ud800`, `\udfff`, `a\udc00\ud800b`, `\ud83dx`} {
			values := []string{`"` + half + `"`}
			switch name {
			case "params":
				continue
			case "labels", "env":
				values = []string{`{"a":"` + half + `"}`, `{"` + half + `":"a"}`}
			case "priority", "max_retries", "durable":
				continue
			case "script_path", "cwd":
				values = []string{`"/` + half + `"`}
			}
			for _, value := range values {
				text := `{"script_path":"/x.py","` + name + `":` + value + `}`
				if name == "script_path" || name == "source" {
					text = `{"` + name + `":` + value + `}`
				}
				_, err := task.Decode([]byte(text))
				var field *task.FieldError
				if !errors.As(err, &field) || field.Field != name || field.Code != "" || !strings.Contains(field.Problem, "is not text") || !utf8.ValidString(err.Error()) {
					t.Errorf("%s: %v", text, err)
				}
			}
		}
	}
	var field *task.FieldError
	if _, err := task.Decode([]byte(`{"script_path":"/x.py","\ud800":1}`)); !errors.As(err, &field) || !utf8.ValidString(err.Error()) {
		t.Errorf("a name: %v", err)
	}
	_, x := taskWith(t, "labels", `{"\ufffd":"\ufffd\ud83d\ude00\u2028\ufeff"}`)
	if got := x.Labels["\ufffd"]; got != "\ufffd😀\u2028\ufeff" {
		t.Errorf("what is text came out as %q", got)
	}
}

// A Task that was not decoded is held to the same.
func TestATaskThatIsNotUTF8IsNotValid(t *testing.T) {
	for name, change := range map[string]func(*task.Task){
		"script_path": func(x *task.Task) { x.ScriptPath = "/\xff" }, "function": func(x *task.Task) { x.Function = "\xff" },
		"pool": func(x *task.Task) { x.Pool = "\xff" }, "executor": func(x *task.Task) { x.Extra = &task.Extras{Executor: "\xff"} }, "traceparent": func(x *task.Task) { x.Extra = &task.Extras{Traceparent: "\xff"} },
		"labels": func(x *task.Task) { x.Labels = map[string]string{"a": "\xff"} }, "env": func(x *task.Task) { x.Extra = &task.Extras{Env: map[string]string{"\xff": ""}} },
		"cwd": func(x *task.Task) { x.Extra = &task.Extras{Cwd: "/\xff"} }, "idempotency_key": func(x *task.Task) { x.Extra = &task.Extras{IdempotencyKey: "\xff"} },
		"source": func(x *task.Task) { x.ScriptPath, x.Extra = "", &task.Extras{Source: "\xff"} }, "concurrency_key": func(x *task.Task) { x.Extra = &task.Extras{ConcurrencyKey: "\xff"} },
	} {
		_, x := taskWith(t, "script_path", `"/x.py"`)
		change(x)
		var field *task.FieldError
		if err := x.Validate(); !errors.As(err, &field) || field.Field != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}
