package ipc

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
)

func fullResult(data string) *task.Result {
	started := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	return &task.Result{ID: task.NewID(), Status: task.Failed, Data: json.RawMessage(data),
		Error:  &task.Error{Type: "ValueError", Message: "a \"quoted\"\nline \u2028 <b>", Traceback: "here\x00", Code: "exception"},
		Stdout: "ü\x01\n", Stderr: "\xff broken", Truncated: true, Attempts: 3,
		Worker:      &task.Worker{ID: "cpu-0", Executor: "python", Pool: "cpu", PID: 12, Core: -1, Slot: 4},
		SubmittedAt: started.Add(-time.Second), StartedAt: &started, FinishedAt: started.Add(time.Hour), QueueSeconds: 1.5e-7, RunSeconds: 3600, CPUSeconds: 0.25, LockSeconds: 1e-9}
}

func join(pieces ...[]byte) []byte { return bytes.Join(pieces, nil) }

// The encoder is written by hand; this holds it to the struct's own tags.
func TestAResultIsEncodedAsItsTypeSays(t *testing.T) {
	full, least := fullResult(`{"a":[1,2.50,"<"]}`), &task.Result{Status: task.Completed}
	for field, v := range reflect.ValueOf(*full).Fields() {
		if v.IsZero() {
			t.Errorf("the test leaves %s empty", field.Name)
		}
	}
	for _, r := range []*task.Result{full, least} {
		head, data, tail := encodeResult(nil, r)
		got := join(head, data, tail)
		want, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(decode(t, got), decode(t, want)) {
			t.Errorf("encoded %s\nwant    %s", got, want)
		}
	}
}

func TestEventsAreEncodedAsTheirTypeSays(t *testing.T) {
	id := task.NewID()
	for _, ev := range []*task.Event{
		{Kind: task.EventResult, ID: id, Cursor: task.Cursor{Attempt: 2, Seq: 7}, Result: fullResult("null")},
		{Kind: task.EventPartial, ID: id, Cursor: task.Cursor{Attempt: 1, Seq: 1}, Value: json.RawMessage(`{"x":"&"}`)},
		{Kind: task.EventLog, ID: id, Level: "info", Message: "two\nlines"},
	} {
		got := join(encodeEvent(ev)...)
		want, err := json.Marshal(ev)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(got, '\n') != len(got)-1 || !reflect.DeepEqual(decode(t, got), decode(t, want)) {
			t.Errorf("encoded %s\nwant    %s", got, want)
		}
	}
}

func decode(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestDataPassesThroughUnchangedButForNewlines(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	for _, c := range []struct{ data, want string }{
		{`{"price":1.10,"text":"<&>"}`, `{"price":1.10,"text":"<&>"}`},
		{"{\n \"a\": [1,\n2]\n}", `{"a":[1,2]}`},
		{"[\n\"" + long + "\"]", `["` + long + `"]`},
		{`"` + long + `"`, `"` + long + `"`},
		{"", "null"},
	} {
		r := &task.Result{Status: task.Completed, Data: json.RawMessage(c.data)}
		head, data, tail := encodeResult(nil, r)
		if string(data) != c.want || bytes.ContainsRune(join(head, data, tail), '\n') {
			t.Errorf("%.40s became %.40s", c.data, data)
		}
	}
}

func TestLargeDataIsNotCopied(t *testing.T) {
	r := &task.Result{Data: json.RawMessage(`"` + strings.Repeat("x", 100<<10) + `"`)}
	if _, data, _ := encodeResult(nil, r); &data[0] != &r.Data[0] {
		t.Error("it was")
	}
}
