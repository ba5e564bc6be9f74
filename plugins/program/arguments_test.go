package program_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/program"
)

func TestParamsBecomeArguments(t *testing.T) {
	for params, want := range map[string]string{
		`["a", 1, -2.50, "b c", ""]`:  `["a" "1" "-2.50" "b c" ""]`,
		` {"argv": ["a", 1e3]}`:       `["a" "1e3"]`,
		`{"argv": [], "x": 1}`:        `[]`,
		`["a", {"b": 1}]`:             `[]`, // a list, but not of arguments
		`["a", null]`:                 `[]`,
		`{"x": ["a"]}`:                `[]`,
		`"text"`:                      `[]`,
		`null`:                        `[]`,
		`5`:                           `[]`,
		``:                            `[]`,
		`{"argv": "a"}`:               "error",
		`{"argv": [true]}`:            "error",
		`{"argv": ["a", ["b"]]}`:      "error",
		`{"argv": ["a` + `\u0000b"]}`: "error",
		`["a` + `\u0000b"]`:           "error",
	} {
		got, err := program.Arguments([]byte(params))
		if want == "error" {
			if err == nil {
				t.Errorf("%s: %q", params, got)
			}
			continue
		}
		if err != nil || fmt.Sprintf("%q", got) != want {
			t.Errorf("%s: %q %v", params, got, err)
		}
	}
	if _, err := program.Arguments([]byte(`{"argv": 1}`)); !errors.Is(err, program.ErrArguments) {
		t.Error(err)
	}
}

func TestInputIsOneLine(t *testing.T) {
	for params, want := range map[string]string{`{"a": 1}`: "{\"a\": 1}\n", "[1,\n 2]": "[1,2]\n", `"a\nb"`: "\"a\\nb\"\n"} {
		var b bytes.Buffer
		if err := program.WriteInput(&b, []byte(params)); err != nil || b.String() != want {
			t.Errorf("%q: %q %v", params, b.String(), err)
		}
	}
}

func TestAContextHasOnlyWhatHolds(t *testing.T) {
	conf := &plugins.Configuration{Pool: "p", WorkerID: "p-0"}
	text := strings.Join(program.Context(&plugins.Task{ID: "id", ScriptPath: "/x", Type: "io_bound", Attempt: 2}, conf, 3), " ")
	if text != "CPULB_TASK_ID=id CPULB_SCRIPT_PATH=/x CPULB_TASK_TYPE=io_bound CPULB_ATTEMPT=2 CPULB_LABELS={} CPULB_POOL=p CPULB_WORKER_ID=p-0 CPULB_SLOT=3" {
		t.Error(text)
	}
	synctest.Test(t, func(t *testing.T) { // whose clock begins at midnight UTC 2000-01-01
		env := program.Context(&plugins.Task{Timeout: 90 * time.Second, Traceparent: "tp", Labels: map[string]string{"a": "b"}}, conf, 0)
		if all := strings.Join(env, " "); !strings.Contains(all, "CPULB_DEADLINE=946684890.000 TRACEPARENT=tp") || !strings.Contains(all, `CPULB_LABELS={"a":"b"}`) {
			t.Error(all)
		}
	})
}

func TestAStopIsOfOneTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stopped []string
		s := program.NewStops(func(seq uint64, r plugins.StopReason) { stopped = append(stopped, fmt.Sprint(seq, r)) })
		s.Request(2, plugins.StopCancelled) // it has not begun
		if r := s.Begin(1, time.Second); r != 0 {
			t.Errorf("the first: %v", r)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s.Request(1, plugins.StopCancelled) // the first has decided
		if r := s.Pending(1); r != plugins.StopTimedOut {
			t.Errorf("it ran for too long: %v", r)
		}
		if r := s.End(); r != plugins.StopTimedOut {
			t.Errorf("its end: %v", r)
		}
		if r := s.Begin(2, 0); r != plugins.StopCancelled {
			t.Errorf("the second: %v", r)
		}
		if r := s.Begin(3, time.Second); r != 0 || s.End() != 0 {
			t.Errorf("the third: %v", r)
		}
		s.Request(3, plugins.StopCancelled) // it has ended
		time.Sleep(time.Minute)
		synctest.Wait()
		if fmt.Sprint(stopped) != fmt.Sprint([]string{fmt.Sprint(1, plugins.StopTimedOut), fmt.Sprint(1, plugins.StopCancelled)}) {
			t.Errorf("%q", stopped)
		}
	})
}
