package ledger_test

import (
	"testing"

	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
)

// A Record has a copy of its task, and shares nothing small with it that its sender may
// write into.
func TestARecordHasACopyOfItsTask(t *testing.T) {
	for _, params := range []string{"", "{}", "12345678", "123456789"} {
		sent := &task.Task{ID: task.NewID(), ScriptPath: "/a.py", Params: []byte(params), Priority: 3}
		r := ledger.NewRecord(sent, 7)
		if r.Task == sent || r.Task.ID != sent.ID || string(r.Task.Params) != params || r.Owner != 7 {
			t.Errorf("%q became %+v", params, r.Task)
		}
		if grown := append(r.Task.Params, "more"...); string(r.Task.Params) != params || string(grown) != params+"more" {
			t.Errorf("%q became %q", params, r.Task.Params)
		}
	}
}
