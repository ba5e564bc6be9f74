package main

import (
	"os"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

func TestARunThatIsFollowedShowsWhatTheTaskReports(t *testing.T) {
	administrator(t)
	got := cpulb(t.Context(), "", "run", "--follow", ipctest.Chatty)
	if want := (outcome{0, "{\"part\":1}\n\"done\"\n", " 50% half way\ninfo: a <line>\n    and another\n"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := cpulb(t.Context(), "", "run", "-f", ipctest.Raises); got.code != 1 || !strings.Contains(got.err, "ValueError: too small") {
		t.Errorf("%+v", got)
	}
	if got := cpulb(t.Context(), "", "run", "-f", ipctest.Missing); got.code != 1 || !strings.Contains(got.err, "[script_not_found]") {
		t.Errorf("%+v", got)
	}
}

func TestValuesThatWereShownAreNotShownAgainAsAList(t *testing.T) {
	var shown live
	for _, text := range []string{`{"a": 1}`, `2`} {
		shown.yielded = append(shown.yielded, compact([]byte(text)))
	}
	if r := shown.last(&task.Result{Status: task.Completed, Data: []byte(`[{"a":1},2]`)}); r.Data != nil {
		t.Errorf("%s", r.Data)
	}
	if r := shown.last(&task.Result{Status: task.Completed, Data: []byte(`"returned"`)}); string(r.Data) != `"returned"` {
		t.Errorf("%s", r.Data)
	}
	if r := new(live).last(&task.Result{Status: task.Completed, Data: []byte(`[]`)}); string(r.Data) != `[]` {
		t.Errorf("%s", r.Data)
	}
}

func TestLogsAreWhatATaskHasLoggedAndPrinted(t *testing.T) {
	engine := administrator(t)
	id := submitted(t, ipctest.Held)
	engine.Tell(engine.Last().ID, task.Event{Kind: task.EventLog, Level: "info", Message: "begun"})
	if got := cpulb(t.Context(), "", "logs", id); got.code != 0 || got.stdout != "info: begun\n" || !strings.Contains(got.err, "--follow") {
		t.Errorf("while it runs: %+v", got)
	}
	if got := cpulb(t.Context(), "", "events", "--no-wait", id); got.code != 0 || strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("its events: %+v", got)
	}
	ended := make(chan outcome, 1)
	go func() { ended <- cpulb(t.Context(), "", "logs", "--follow", id) }()
	engine.End(engine.Last().ID, task.Result{Status: task.Failed, Stdout: "out\n", Stderr: "err\n", Error: &task.Error{Type: "E", Code: "exception"}})
	if got, want := <-ended, (outcome{0, "info: begun\nout\n", "err\n"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := cpulb(t.Context(), "", "logs", "--json", id); got.code != 0 || strings.Count(got.stdout, "\n") != 2 || got.err != "" {
		t.Errorf("%+v", got)
	}
	if got := cpulb(t.Context(), "", "logs", task.NewID().String()); got.code != 1 || !strings.Contains(got.err, "[task_not_found]") {
		t.Errorf("%+v", got)
	}
}

func TestVariablesAndAFolderReachTheTask(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	t.Setenv("PASSED_ON", "a=b")
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	got := cpulb(t.Context(), "", "--socket", socket, "submit", ipctest.Echo, "--env=A=1,2", "--env", "PASSED_ON", "--env=EMPTY=", "--cwd=.")
	x := engine.Last().Extras()
	if got.code != 0 || x.Cwd != here || len(x.Env) != 3 || x.Env["A"] != "1,2" || x.Env["PASSED_ON"] != "a=b" || x.Env["EMPTY"] != "" {
		t.Errorf("%+v %+v", got, x)
	}
	if got := cpulb(t.Context(), "", "--socket", socket, "run", ipctest.Echo, "--env=CPULB_NO_SUCH_VARIABLE"); got.code != 2 || !strings.Contains(got.err, "CPULB_NO_SUCH_VARIABLE") {
		t.Errorf("%+v", got)
	}
}
