package journal

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"cpulb/daemon/task"

	"pgregory.net/rapid"
)

func TestTheHeadOfAResultIsWhatMarshalMakesOfIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,9}`))
		instant := rapid.Custom(func(t *rapid.T) time.Time {
			return time.Unix(rapid.Int64Range(0, 1<<35).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
		})
		seconds := rapid.Float64Range(0, 1e9)
		r := task.Result{ID: task.NewID(), Status: rapid.SampledFrom(task.Statuses()).Draw(t, "status"), Truncated: rapid.Bool().Draw(t, "truncated"),
			Attempts: rapid.IntRange(0, 1<<30).Draw(t, "attempts"), SubmittedAt: instant.Draw(t, "submitted"), FinishedAt: instant.Draw(t, "finished"),
			QueueSeconds: seconds.Draw(t, "queue"), RunSeconds: seconds.Draw(t, "run"), CPUSeconds: seconds.Draw(t, "cpu"), LockSeconds: seconds.Draw(t, "lock")}
		if rapid.Bool().Draw(t, "error") {
			r.Error = &task.Error{Type: text.Draw(t, "type"), Code: text.Draw(t, "code"), ExitCode: rapid.IntRange(0, 255).Draw(t, "exit")}
		}
		if rapid.Bool().Draw(t, "worker") {
			r.Worker = &task.Worker{ID: text.Draw(t, "id"), Executor: text.Draw(t, "executor"), Pool: text.Draw(t, "pool"),
				PID: rapid.IntRange(0, 1<<22).Draw(t, "pid"), Core: rapid.IntRange(-1, 9).Draw(t, "core"), Slot: rapid.IntRange(0, 9).Draw(t, "slot")}
		}
		if rapid.Bool().Draw(t, "started") {
			at := instant.Draw(t, "at")
			r.StartedAt = &at
		}
		var got, want task.Result
		marshalled, err := json.Marshal(&r)
		if err == nil {
			err = json.Unmarshal(marshalled, &want)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(appendHead(nil, &r), &got); err != nil {
			t.Fatalf("%v: %s", err, appendHead(nil, &r))
		}
		want.Data, got.Data = nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got\n%+v\nwant\n%+v", got, want)
		}
	})
}
