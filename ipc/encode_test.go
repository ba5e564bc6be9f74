package ipc

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"

	"pgregory.net/rapid"
)

func fullResult(data string) *task.Result {
	started := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	return &task.Result{ID: task.NewID(), Status: task.Failed, Data: json.RawMessage(data),
		Error:  &task.Error{Type: "ValueError", Message: "a \"quoted\"\nline \u2028 <b>", Traceback: "here\x00", Code: "exception"},
		Stdout: "ü\x01\n", Stderr: "\xff broken", Truncated: true, Attempts: 3,
		Worker:      &task.Worker{ID: "cpu-0", Executor: "python", Pool: "cpu", PID: 12, Core: -1, Slot: 4},
		SubmittedAt: started.Add(-time.Second), StartedAt: &started, FinishedAt: started.Add(time.Hour), QueueSeconds: 1.5e-7, RunSeconds: 3600, CPUSeconds: 0.25, LockSeconds: 1e-9}
}

// encode returns what write appends, as it leaves.
func encode(write func(*encoded)) []byte {
	var x encoded
	write(&x)
	return slices.Concat(x.text[:x.at], x.through, x.text[x.at:])
}

// The encoder is written by hand; this holds it to the struct's own tags.
func TestAResultIsEncodedAsItsTypeSays(t *testing.T) {
	full, least := fullResult(`{"a":[1,2.50,"<"]}`), &task.Result{Status: task.Completed}
	for field, v := range reflect.ValueOf(*full).Fields() {
		if v.IsZero() {
			t.Errorf("the test leaves %s empty", field.Name)
		}
	}
	for _, r := range []*task.Result{full, least} {
		asItsTypeSays(t, encode(func(x *encoded) { x.result(r) }), r)
	}
}

// asItsTypeSays holds text to encoding/json.
func asItsTypeSays(t interface {
	Helper()
	Fatalf(string, ...any)
}, got []byte, v any) {
	t.Helper()
	want, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var x, y any
	if err := errors.Join(json.Unmarshal(got, &x), json.Unmarshal(want, &y)); err != nil || !reflect.DeepEqual(x, y) {
		t.Fatalf("encoded %.500s\nwant    %.500s: %v", got, want, err)
	}
}

func TestEventsAreEncodedAsTheirTypeSays(t *testing.T) {
	id := task.NewID()
	for _, ev := range []*task.Event{
		{Kind: task.EventResult, ID: id, Cursor: task.Cursor{Attempt: 2, Seq: 7}, Result: fullResult("null")},
		{Kind: task.EventPartial, ID: id, Cursor: task.Cursor{Attempt: 1, Seq: 1}, Value: json.RawMessage(`{"x":"&"}`)},
		{Kind: task.EventLog, ID: id, Level: "info", Message: "two\nlines"},
	} {
		got := encode(func(x *encoded) { x.event(ev) })
		if bytes.IndexByte(got, '\n') != len(got)-1 {
			t.Errorf("%q is not one line", got)
		}
		asItsTypeSays(t, got, ev)
	}
}

// anEvent draws one of any kind, with any texts and numbers.
func anEvent(t *rapid.T) *task.Event {
	text := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	seconds := rapid.Float64Range(0, 1e9)
	data := rapid.SampledFrom([]json.RawMessage{nil, json.RawMessage("null"), json.RawMessage(`{"a":[1,"<"]}`), json.RawMessage("[1,\n2]")})
	at := rapid.Map(rapid.Int64Range(0, 1<<60), func(n int64) time.Time { return time.Unix(0, n) })
	ev := &task.Event{Kind: rapid.SampledFrom([]task.EventKind{task.EventState, task.EventPartial, task.EventProgress, task.EventLog, task.EventGap,
		task.EventOutput, task.EventResult}).Draw(t, "kind"), ID: task.NewID(), Cursor: task.Cursor{Attempt: rapid.IntRange(0, 99).Draw(t, "attempt"), Seq: rapid.Uint64().Draw(t, "seq")}}
	switch ev.Kind {
	case task.EventState:
		ev.Status = rapid.Ptr(rapid.SampledFrom(task.Statuses()), false).Draw(t, "status")
		ev.Message = text.Draw(t, "why")
	case task.EventPartial:
		if ev.Value = data.Draw(t, "value"); ev.Value == nil {
			ev.Value = json.RawMessage("0")
		}
	case task.EventProgress:
		ev.Fraction, ev.Message = rapid.Ptr(rapid.Float64Range(0, 1), true).Draw(t, "fraction"), text.Draw(t, "message")
	case task.EventLog:
		ev.Level, ev.Message = text.Draw(t, "level"), text.Draw(t, "message")
	case task.EventOutput:
		ev.Stream, ev.Text = rapid.SampledFrom([]task.Stream{task.Stdout, task.Stderr}).Draw(t, "stream"), text.Draw(t, "text")
		ev.Offset = rapid.Ptr(rapid.Int64Range(0, 1<<40), false).Draw(t, "offset")
	case task.EventGap:
		ev.Missed = rapid.Uint64().Draw(t, "missed")
	case task.EventResult:
		r := &task.Result{ID: ev.ID, Status: rapid.SampledFrom(task.Statuses()).Draw(t, "status"), Data: data.Draw(t, "data"), Stdout: text.Draw(t, "stdout"),
			Stderr: text.Draw(t, "stderr"), Truncated: rapid.Bool().Draw(t, "truncated"), Attempts: rapid.IntRange(0, 1000).Draw(t, "attempts"),
			SubmittedAt: at.Draw(t, "submitted"), StartedAt: rapid.Ptr(at, true).Draw(t, "started"), FinishedAt: at.Draw(t, "finished"),
			QueueSeconds: seconds.Draw(t, "queue"), RunSeconds: seconds.Draw(t, "run"), CPUSeconds: seconds.Draw(t, "cpu"), LockSeconds: seconds.Draw(t, "lock")}
		if rapid.Bool().Draw(t, "failed") {
			r.Error = &task.Error{Type: text.Draw(t, "type"), Message: text.Draw(t, "message"), Traceback: text.Draw(t, "traceback"), Code: text.Draw(t, "code"),
				ExitCode: rapid.IntRange(0, 255).Draw(t, "exit code")}
		}
		if rapid.Bool().Draw(t, "ran") {
			r.Worker = &task.Worker{ID: text.Draw(t, "worker"), Executor: text.Draw(t, "executor"), Pool: text.Draw(t, "pool"), PID: rapid.Int().Draw(t, "pid"),
				Core: rapid.IntRange(-1, 99).Draw(t, "core"), Slot: rapid.IntRange(0, 99).Draw(t, "slot")}
		}
		ev.Result = r
	}
	return ev
}

func TestAnyEventIsEncodedAsItsTypeSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ev := anEvent(t)
		got := encode(func(x *encoded) { x.event(ev) })
		if bytes.IndexByte(got, '\n') != len(got)-1 {
			t.Fatalf("%q is not one line", got)
		}
		asItsTypeSays(t, got, ev)
		var out bytes.Buffer
		p := &pen{w: &out}
		p.event(ev)
		if p.flush(); !bytes.Equal(out.Bytes(), got) {
			t.Fatalf("a pen writes %s\nand not      %s", out.Bytes(), got)
		}
	})
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
		got := encode(func(x *encoded) { x.result(r) })
		if !bytes.Contains(got, []byte(`,"data":`+c.want+`,"error":`)) || bytes.ContainsRune(got, '\n') {
			t.Errorf("%.40s became %.200s", c.data, got)
		}
	}
}

func TestLargeDataIsNotCopied(t *testing.T) {
	r := &task.Result{Data: json.RawMessage(`"` + strings.Repeat("x", 100<<10) + `"`)}
	var x encoded
	if x.result(r); &x.through[0] != &r.Data[0] {
		t.Error("it was")
	}
}
