package task

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

func someResult(r *rand.Rand) *Result {
	words := []string{"", "plain", "\"quoted\" \\ and\nlines\t", "ünïcödé \u2028 😀", strings.Repeat("long ", 300)}
	word := func() string { return words[r.IntN(len(words))] }
	now := time.Date(2026, 1, 2, 3, 4, 5, r.IntN(1e9), time.UTC)
	x := &Result{ID: NewID(), Status: Statuses()[3+r.IntN(4)], Data: json.RawMessage([]string{"null", `{"a":[1,2.5e3,"\ud800"]}`, `"text"`, "0"}[r.IntN(4)]),
		Stdout: word(), Stderr: word(), Truncated: r.IntN(2) == 0, Attempts: r.IntN(5), SubmittedAt: now, FinishedAt: now.Add(time.Second),
		QueueSeconds: r.Float64(), RunSeconds: r.ExpFloat64(), CPUSeconds: 1e-9, LockSeconds: 1e22}
	if r.IntN(2) == 0 {
		x.StartedAt = &now
		x.Worker = &Worker{ID: word(), Executor: word(), Pool: word(), PID: r.IntN(1e6), Core: r.IntN(3) - 1, Slot: r.IntN(9)}
	}
	if r.IntN(2) == 0 {
		x.Error = &Error{Type: word(), Message: word(), Traceback: word(), Code: word(), ExitCode: r.IntN(3)}
	}
	return x
}

func TestAResultIsReadAsEncodingJSONReadsIt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var a Answers
	for range 2000 {
		text, err := json.Marshal(someResult(r))
		if err != nil {
			t.Fatal(err)
		}
		var want Result
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		got, err := a.Result(text)
		if err != nil || !reflect.DeepEqual(got, &want) {
			t.Fatalf("%s\nis read as %+v %v", text, got, err)
		}
		line := append(append([]byte(`{"event":"result","task_id":"`+want.ID.String()+`","cursor":"1.2","new":[{}],"result":`), text...), "}\n"...)
		x, err := a.Answer(line, r.IntN(2) == 0)
		if err != nil || x.Event != "result" || x.ID != want.ID || !reflect.DeepEqual(x.Result, &want) {
			t.Fatalf("%s\nis read as %+v %v", line, x, err)
		}
	}
}

func TestTheOtherAnswersAreRead(t *testing.T) {
	id, other := NewID(), NewID()
	var a Answers
	for text, want := range map[string]Answer{
		`{"event":"accepted","task_id":"` + id.String() + `","sent_as":"` + other.String() + `","status":"queued"}`: {Event: "accepted", ID: id, SentAs: other},
		`{"event":"rejected","task_id":null,"line":7,"problem":{"code":"queue_full"}}`:                              {Event: "rejected", Line: 7, Problem: json.RawMessage(`{"code":"queue_full"}`)},
		`{"event":"goaway","reason":"the daemon is \"stopping\""}`:                                                  {Event: "goaway", Reason: `the daemon is "stopping"`},
		`{"event":"result","result":null}`:                                                                          {Event: "result"},
	} {
		if got, err := a.Answer([]byte(text+"\n"), false); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %+v %v", text, got, err)
		}
	}
}

func TestWhatIsNoAnswerIsAnError(t *testing.T) {
	var a Answers
	for _, text := range []string{"", "null", "[]", `{"event":1}`, `{"event":"result"`, `{"event":"result"}x`, `{"task_id":"x"}`, `{"result":{"attempts":"1"}}`,
		`{"result":{"submitted_at":"yesterday"}}`, `{"result":{"run_seconds":"1"}}`, `{"result":{"status":"done"}}`, `{"result":{"worker":[]}}`, `{"result":{"error":"x"}}`} {
		if got, err := a.Answer([]byte(text), false); err == nil {
			t.Errorf("%s is read as %+v", text, got)
		}
	}
	if got, err := a.Result([]byte(`{"stdout":1}`)); err == nil {
		t.Errorf("%+v", got)
	}
}

// A line is the reader's buffer, which is used again; one that is given is not copied.
func TestAnAnswerKeepsOnlyWhatItWasGiven(t *testing.T) {
	var a Answers
	for _, given := range []bool{false, true} {
		text := []byte(`{"result":{"data":"abc"}}`)
		x, err := a.Answer(text, given)
		if err != nil {
			t.Fatal(err)
		}
		clear(text)
		if kept := string(x.Result.Data) != `"abc"`; kept != given {
			t.Errorf("given %v: data is %q", given, x.Result.Data)
		}
	}
}

func FuzzAnswersAreReadAsEncodingJSONReadsThem(f *testing.F) {
	f.Add([]byte(`{"task_id":"01a21ae3-a2af-7c99-b030-f795ba2f681e","status":"failed","data":null,"error":{"type":"E","code":"x"},"worker":{"id":"w"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var a Answers
		got, err := a.Result(text)
		if err != nil {
			return
		}
		// Whatever is read is some result, which is read again as the same.
		again, err := json.Marshal(got)
		if err != nil {
			return // data that has been scanned is JSON; a time may be beyond what is written
		}
		var want Result
		if err := json.Unmarshal(again, &want); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if back, err := a.Result(again); err != nil || !reflect.DeepEqual(back, &want) {
			t.Fatalf("%s is read as %+v %v", again, back, err)
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	line := []byte(`{"event":"result","task_id":"01a21ae3-a2af-7c99-b030-f795ba2f681e","cursor":"1.2","result":{"task_id":"01a21ae3-a2af-7c99-b030-f795ba2f681e","status":"completed","data":null,"error":null,"stdout":"","stderr":"","truncated":false,"attempts":1,"worker":{"id":"cpu-0","executor":"python","pool":"cpu","pid":2177,"core":1,"slot":0},"submitted_at":"2026-11-27T02:44:15.663873505Z","started_at":"2026-11-27T02:44:15.666208009Z","finished_at":"2026-11-27T02:44:15.667981152Z","queue_seconds":0.002334305,"run_seconds":0.001773143,"cpu_seconds":0.001773143,"lock_seconds":0.000006149}}`)
	b.ReportAllocs()
	var a Answers
	for b.Loop() {
		if _, err := a.Answer(line, false); err != nil {
			b.Fatal(err)
		}
	}
}
