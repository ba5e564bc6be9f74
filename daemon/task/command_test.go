package task_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"cpulb/daemon/task"
	"cpulb/internal/alloctest"
)

func TestALineIsACommandOrSaysWhatIsWrongWithItAndWhichTaskItMeans(t *testing.T) {
	const x, named = `{"script_path":"/x.py"}`, `{"task_id":"` + id + `","script_path":"/x.py"}`
	for _, c := range []struct {
		line string
		want task.Command // without its Task
		says string       // "" if nothing is wrong
	}{
		{`{"op":"submit","task":` + x + `}`, task.Command{Op: task.OpSubmit}, ""},
		{`{"task":` + named + `,"events":true,"ack":false,"op":"submit"}`, task.Command{Op: task.OpSubmit, Named: true, Events: true, Quiet: true}, ""},
		{` { "op" : "submit" , "ack" : true, "events" : null , "task" : ` + x + ` } `, task.Command{Op: task.OpSubmit}, ""},
		{`{"op":"cancel","task_id":"mine"}`, task.Command{Op: task.OpCancel, ID: "mine"}, ""},
		{`{"op":"cancel","task_id":"mine","task":null,"ack":null}`, task.Command{Op: task.OpCancel, ID: "mine"}, ""},
		{`{"op":"cancel","task_id":"mine","task":{"what":7}}`, task.Command{Op: task.OpCancel, ID: "mine"}, "task: is not for \"cancel\""},
		{`{"op":"cancel","task_id":"mine","ack":false}`, task.Command{Op: task.OpCancel, ID: "mine", Quiet: true}, "ack: is not for \"cancel\""},
		{`{"op":"submit","task_id":"other","task":` + named + `}`, task.Command{Op: task.OpSubmit, Named: true}, "task_id: is not for \"submit\""},
		{`{"op":"cancel","task_id":"mine","Task_ID":"other"}`, task.Command{Op: task.OpCancel, ID: "mine"}, "Task_ID: unknown field"},
		{`{"OP":"cancel","task_id":"mine"}`, task.Command{ID: "mine"}, "OP: unknown field"},
		{`{"op":"cancel","task_id":"mine","task_id":"other"}`, task.Command{Op: task.OpCancel, ID: "mine"}, "task_id: is given twice"},
		{`{"op":"cancel","task_id":"\ud800"}`, task.Command{Op: task.OpCancel}, "task_id: is not text"},
		{"{\"op\":\"cancel\",\"task_id\":\"\xff\"}", task.Command{Op: task.OpCancel}, "task_id: is not text"},
		{`{"op":"submit","task":{"task_id":"mine","script_path":"/x.py","params":` + nested(1000) + `,"labels":{"a":"\ud800"}}}`, task.Command{Op: task.OpSubmit, ID: "mine"}, "task_id: \"mine\" is not a UUID"},
		{`{"op":"submit","task":{"script_path":"/x.py","params":` + nested(1000) + `,"labels":{"a":"\ud800"}}}`, task.Command{Op: task.OpSubmit}, "labels: is not text"},
		{`{"op":"watch","task_id":"mine"}`, task.Command{Op: task.OpWatch, ID: "mine"}, ""},
		{`{"op":"watch","task_id":"mine","events":true}`, task.Command{Op: task.OpWatch, ID: "mine", Events: true}, "events: is not for \"watch\""},
		{`{"op":"watch"}`, task.Command{Op: task.OpWatch}, "task_id: is missing"},
		{`{"op":"cancel"}`, task.Command{Op: task.OpCancel}, "task_id: is missing"},
		{`{"op":"cancel","task_id":7}`, task.Command{Op: task.OpCancel}, "task_id: must be a string, not a number"},
		{`{"op":"dance","task_id":"mine"}`, task.Command{ID: "mine"}, "op: is missing or unknown (allowed: submit, cancel, watch)"},
		{`{"op":7}`, task.Command{}, "op: must be a string, not a number"},
		{`{"op":"submit"}`, task.Command{Op: task.OpSubmit}, "task: is missing"},
		{`{"op":"submit","task":null}`, task.Command{Op: task.OpSubmit}, "task: is missing"},
		{`{"op":"submit","task":[1]}`, task.Command{Op: task.OpSubmit}, "task: must be an object, not an array"},
		{`{"op":"submit","task":` + x + `,"ack":"no"}`, task.Command{Op: task.OpSubmit}, "ack: must be true or false, not a string"},
		{`{"op":"submit","op":"submit","task":` + x + `}`, task.Command{Op: task.OpSubmit}, "op: is given twice"},
		{`{"op":"submit","tsak":{},"task":` + named + `}`, task.Command{Op: task.OpSubmit, Named: true}, "tsak: unknown field (allowed: op, task, task_id, events, ack)"},
		{`{"task":{"task_id":"mine","script_path":"/x.py"},"op":"submit"}`, task.Command{Op: task.OpSubmit, ID: "mine"}, "task_id: \"mine\" is not a UUID"},
		{`{"op":"submit","task":{"script_path":7,"task_id":"mine"}}`, task.Command{Op: task.OpSubmit, ID: "mine"}, "script_path: must be a string, not a number"},
		{`{"op":"submit","task":` + named + `} {}`, task.Command{Op: task.OpSubmit, Named: true}, "line: more than one JSON value"},
		{`[]`, task.Command{}, "line: must be an object, not an array"},
		{`{"op":`, task.Command{}, "line: not JSON at byte 7"},
		{`{"op":"submit","task":{]}`, task.Command{Op: task.OpSubmit}, "line: not JSON at byte 24"},
		{"{\"op\":\"submit\",\"task\":{\"script_path\":\"/\xff\"}}", task.Command{Op: task.OpSubmit}, "task: not valid UTF-8"},
	} {
		got, err := task.DecodeCommand([]byte(c.line))
		if err == nil && (got.Task != nil) != (got.Op == task.OpSubmit) {
			t.Errorf("%s: the task is %v", c.line, got.Task)
		}
		got.Task = nil
		if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%s: %+v, %v; want %+v, %q", c.line, got, err, c.want, c.says)
		}
	}
}

// FuzzCommand: a line is what encoding/json takes it for, or has an error that names
// a field.
func FuzzCommand(f *testing.F) {
	for _, seed := range []string{`{"op":"submit","task":` + typical + `}`, `{"op": "submit", "ack": false, "task": {"script_path":"/x.py"}}`, `{"op":"cancel","task_id":"x"}`,
		`{"op":"submit","task":[]}`, `{"op":7}`, `[]`, `{} {}`, `{"":0}`, "{\"\xff\":0}", "\xff", `{"op":"submit","task":{"task_id":7}}`, `{"op":"submit","task":null,"events":true}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		alloctest.Within(t, taskBytes+8*len(text), func() { _, _ = task.DecodeCommand(text) })
		got, err := task.DecodeCommand(text)
		if err != nil {
			var field *task.FieldError
			if !errors.As(err, &field) || field.Field == "" || field.Problem == "" || !utf8.ValidString(err.Error()) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		var want struct {
			Op     task.Op         `json:"op"`
			Task   json.RawMessage `json:"task"`
			TaskID string          `json:"task_id"`
			Events bool            `json:"events"`
			Ack    *bool           `json:"ack"`
		}
		if err := json.Unmarshal(text, &want); err != nil || want.Op != got.Op || want.Events != got.Events || (want.Ack != nil && !*want.Ack) != got.Quiet {
			t.Fatalf("%q was read as %+v: %v", text, got, err)
		}
		if got.Op == task.OpCancel {
			if got.ID != want.TaskID {
				t.Fatalf("%q cancels %q", text, got.ID)
			}
			return
		}
		x, err := task.Decode(want.Task)
		if err != nil {
			t.Fatalf("%q: its task is not one: %v", text, err)
		}
		if !got.Named {
			x.ID = got.Task.ID
		}
		if !reflect.DeepEqual(x, got.Task) {
			t.Fatalf("%q submits %+v, not %+v", text, got.Task, x)
		}
	})
}

func BenchmarkDecodeCommand(b *testing.B) {
	for name, line := range map[string]string{"task": `{"op":"submit","task":` + typical + `}`, "events": `{"op":"submit","events":true,"task":` + typical + `}`} {
		b.Run(name, func(b *testing.B) {
			in := []byte(line)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := task.DecodeCommand(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
