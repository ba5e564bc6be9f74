package program_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/plugins/program"
)

func TestEventsOfAProgramReachItsTask(t *testing.T) {
	text := `{"progress": 0.5, "message": "half way"}
{"progress": 7}
{"log": "info", "message": "hello"}
{"log": "warn", "message": "beware"}
{"log": "loud", "message": "x"}
{"partial": [1, {"a": 2}]}

  {"partial": null}
{"error": {"message": "as asked", "traceback": "line 1"}}
{"progress": 1}
`
	for _, piece := range []int{1, 13, len(text)} {
		var got emitted
		e := program.NewEvents(&got)
		for rest := text; rest != ""; {
			n := min(piece, len(rest))
			if _, err := e.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		want := emitted{"progress 0.5 half way", "progress 1 ", "log info hello", "log warning beware", "log info x", `partial [1, {"a": 2}]`, "partial null", "progress 1 "}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%q", got)
		}
		if err := e.Error(); err == nil || *err != (task.Error{Type: "Error", Message: "as asked", Traceback: "line 1", Code: "exception"}) {
			t.Errorf("%+v", err)
		}
	}
}

func TestWhatIsNoEventIsLeftOutWithOneWarning(t *testing.T) {
	for _, line := range []string{"garbage", "[1]", "{}", `{"progress": "much"}`, `{"progress": 1e999}`, `{"error": "bad"}`, "\xff", strings.Repeat("x", program.MostEvent+1)} {
		var got emitted
		e := program.NewEvents(&got)
		for range 3 {
			if _, err := e.Write(append(bytes.TrimSpace([]byte(line)), '\n')); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = e.Write([]byte("{\"partial\": 1}\n"))
		if len(got) != 2 || !strings.HasPrefix(got[0], "log warning a line on CPULB_EVENTS_FD is left out") || got[1] != "partial 1" || e.Error() != nil {
			t.Errorf("%.50q: %.300q %v", line, got, e.Error())
		}
	}
}
