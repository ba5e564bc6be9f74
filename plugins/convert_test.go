package plugins

import (
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/plugins/proto"
)

// What an executor calls data may be anything; whoever has the Outcome need not look.
func TestDataIsJSONOnOneLineOrTheTaskHasFailed(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	for _, c := range []struct{ data, want string }{
		{"", ""},
		{`{"price": 1.10, "text": "<&>"}`, `{"price": 1.10, "text": "<&>"}`},
		{"{\n \"a\": [1,\n2]\n}", `{"a":[1,2]}`},
		{"[\n\"" + long + "\"]", `["` + long + `"]`},
		{`"` + long + `"`, `"` + long + `"`},
	} {
		o := outcome(&proto.Result{Outcome: proto.Outcome_OUTCOME_COMPLETED, Stdout: "said"}, []byte(c.data))
		if o.Status != task.Completed || string(o.Data) != c.want || o.Error != nil || o.Stdout != "said" {
			t.Errorf("%.40q became %s %.40q %+v", c.data, o.Status, o.Data, o.Error)
		}
	}
	for _, data := range []string{`{"a":`, "\n", `1} {"event":"result"`, "\xff", strings.Repeat("[", 20<<10)} {
		o := outcome(&proto.Result{Outcome: proto.Outcome_OUTCOME_COMPLETED, Stdout: "said"}, []byte(data))
		if o.Status != task.Failed || o.Data != nil || o.Error == nil || o.Error.Code != "bad_return_value" || o.Stdout != "said" {
			t.Errorf("%.40q became %s %.40q %+v", data, o.Status, o.Data, o.Error)
		}
	}
}

func TestDataIsNotCopied(t *testing.T) {
	data := []byte(`{"a": "` + strings.Repeat("x", 100<<10) + `"}`)
	if line, ok := oneLine(data); !ok || &line[0] != &data[0] {
		t.Error("it was")
	}
}

func TestAResultOverItsBoundFailsTheTaskAndSaysBoth(t *testing.T) {
	for size, want := range map[int]string{7: "", 8: "", 9: "the result has 9 bytes, limits.result_size is 8"} {
		o := Outcome{Status: task.Completed, Data: make([]byte, size)}
		limitResult(&o, 8)
		if (want == "") != (o.Status == task.Completed) || want != "" && (o.Data != nil || o.Error.Message != want || o.Error.Code != "result_too_large") {
			t.Errorf("%d bytes: %+v %+v", size, o, o.Error)
		}
	}
}

func TestAFaultCrossesTheWireAndIsAlwaysAFailure(t *testing.T) {
	for _, f := range []Fault{NoFault, Unrun, Ran} {
		ev := resultEvent(1, &Outcome{Status: task.Failed, Fault: f, Spent: true})
		if o := outcome(ev.GetResult(), nil); o.Fault != f || !o.Spent || o.Status != task.Failed {
			t.Errorf("%d became %+v", f, o)
		}
	}
}
