package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cpulb/daemon/access"
	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

// administrator serves an engine that this program may administer.
func administrator(t *testing.T) *ipctest.Engine {
	t.Helper()
	engine := ipctest.New()
	engine.Rules = access.Rules{Private: true, DaemonUID: uint32(os.Getuid())}
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	t.Setenv("CPULB_SOCKET", socket)
	return engine
}

func TestABatchIsReadALineATask(t *testing.T) {
	administrator(t)
	file := filepath.Join(t.TempDir(), "tasks")
	lines := `{"script_path":"/echo.py","params":["<1>"]}` + "\n\n" + `{"script_path":"relative.py"}` + "\n" + `{"script_path":"/missing.py"}` + "\n" + `{"script_path":"/raises.py"}`
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	got := cpulb(t.Context(), "", "batch", "--wait", file)
	out := strings.Split(got.stdout, "\n")
	if got.code != 1 || len(out) != 4 || !strings.Contains(out[1], `"data":["<1>"]`) || !strings.Contains(out[2], `"status":"failed"`) {
		t.Errorf("%+v", got)
	}
	for _, part := range []string{"line 3: script_path", "line 4: script_path", "[script_not_found]", "1 tasks did not complete"} {
		if !strings.Contains(got.err, part) {
			t.Errorf("stderr %q lacks %q", got.err, part)
		}
	}
	if _, err := task.ParseID(out[0]); err != nil {
		t.Errorf("no batch id: %q", out[0])
	}
	if got := cpulb(t.Context(), `{"script_path":"/echo.py"}`, "batch", "-"); got.code != 0 || got.err != "" || strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("from stdin: %+v", got)
	}
	for stdin, code := range map[string]int{"": 2, "{}": 1, `{"script_path":"/missing.py"}`: 1} {
		if got := cpulb(t.Context(), stdin, "batch", "-"); got.code != code || got.stdout != "" || got.err == "" {
			t.Errorf("%q: %+v", stdin, got)
		}
	}
}

func TestTasksAreListedAndCancelledByWhatSelectsThem(t *testing.T) {
	administrator(t)
	var sent []string
	for _, args := range [][]string{{ipctest.Held, "--label=who=me"}, {ipctest.Echo, "--label=who=me", "--label=why=a b"}, {ipctest.Held}} {
		sent = append(sent, strings.TrimSpace(cpulb(t.Context(), "", append([]string{"submit"}, args...)...).stdout))
	}
	listed := func(args ...string) (all []int) {
		t.Helper()
		got := cpulb(t.Context(), "", append([]string{"list"}, args...)...)
		if got.code != 0 || !strings.HasPrefix(got.stdout, "TASK ") {
			t.Fatalf("%v: %+v", args, got)
		}
		for i, id := range sent {
			if strings.Contains(got.stdout, id) {
				all = append(all, i)
			}
		}
		return all
	}
	if all := listed("--label=who=me"); !slices.Equal(all, []int{0, 1}) {
		t.Errorf("by label: %v", all)
	}
	if all := listed("--status=running", "--status=failed"); !slices.Equal(all, []int{0, 2}) {
		t.Errorf("by state: %v", all)
	}
	if all := listed("--limit=1"); !slices.Equal(all, []int{2}) {
		t.Errorf("limited: %v", all)
	}
	var v task.View
	if got := cpulb(t.Context(), "", "list", "--json", "--status=completed"); json.Unmarshal([]byte(got.stdout), &v) != nil || v.ID.String() != sent[1] {
		t.Errorf("JSON: %+v", got)
	}
	for _, args := range [][]string{{}, {sent[0], "--all"}, {"--label=a=b", "--all"}, {"--status=asleep"}, {"--batch=banana"}} {
		if got := cpulb(t.Context(), "", append([]string{"cancel"}, args...)...); got.code != 2 || got.err == "" {
			t.Errorf("cancel %v: %+v", args, got)
		}
	}
	if got := cpulb(t.Context(), "", "cancel", "--label=who=me"); got != (outcome{0, "1\n", ""}) {
		t.Errorf("cancel by label: %+v", got)
	}
	if got := cpulb(t.Context(), "", "cancel", "--all"); got != (outcome{0, "1\n", ""}) {
		t.Errorf("cancel all: %+v", got)
	}
}

func TestEventsArePrintedAndATaskIsRunAgain(t *testing.T) {
	administrator(t)
	id := strings.TrimSpace(cpulb(t.Context(), "", "submit", ipctest.Chatty).stdout)
	if got := cpulb(t.Context(), "", "events", id); got.code != 0 || strings.Count(got.stdout, "\n") != 5 || !strings.Contains(got.stdout, "a <line>") {
		t.Errorf("%+v", got)
	}
	if got := cpulb(t.Context(), "", "events", id, "--after=1.4"); got.code != 0 || !strings.HasPrefix(got.stdout, `{"event":"result"`) {
		t.Errorf("%+v", got)
	}
	if got := cpulb(t.Context(), "", "events", id, "--after=then"); got.code != 2 {
		t.Errorf("%+v", got)
	}
	again := cpulb(t.Context(), "", "rerun", id)
	if got := cpulb(t.Context(), "", "result", strings.TrimSpace(again.stdout)); again.code != 0 || got.stdout != "\"done\"\n" {
		t.Errorf("%+v %+v", again, got)
	}
}

func TestTheDaemonIsLookedAfter(t *testing.T) {
	engine := administrator(t)
	for _, c := range []struct {
		args string
		code int
		out  []string // parts of stdout; none means empty
		err  string
	}{
		{"workers", 0, []string{"cpu-0", "RESTARTS  UPTIME", "CPython 3.11.2"}, ""},
		{"workers --json", 0, []string{`{"id":"cpu-0",`}, ""},
		{"workers restart cpu-0", 0, nil, ""},
		{"workers restart cpu-9", 1, nil, "[worker_not_found]"},
		{"executors", 0, []string{"python", "cpulb-python", "cpu io"}, ""},
		{"executors --json", 0, []string{`"pools":["cpu","io"]`}, ""},
		{"schedules", 0, []string{"nightly", "0 3 * * *", " - ", "no such script"}, ""},
		{"schedules list", 0, []string{"nightly"}, ""},
		{"schedules --json", 0, []string{`"cron":"0 3 * * *"`}, ""},
		{"reload", 0, nil, ""},
		{"reload", 1, nil, "config.hcl:3: unknown key [reload_failed]"},
		{"drain", 0, nil, ""},
		{"submit /echo.py", 1, nil, "[draining]"},
		{"resume", 0, nil, ""},
		{"run /echo.py", 0, []string{"{}"}, ""},
	} {
		got := cpulb(t.Context(), "", strings.Fields(c.args)...)
		if got.code != c.code || (len(c.out) == 0) != (got.stdout == "") || (c.err == "") != (got.err == "") || !strings.Contains(got.err, c.err) {
			t.Errorf("cpulb %s: %+v", c.args, got)
		}
		for _, part := range c.out {
			if !strings.Contains(got.stdout, part) {
				t.Errorf("cpulb %s: %q lacks %q", c.args, got.stdout, part)
			}
		}
	}
	engine.Stop()
}

// clientOf is a client of the daemon of the test.
func clientOf(t *testing.T) *client.Client {
	t.Helper()
	c := client.New(os.Getenv("CPULB_SOCKET"))
	t.Cleanup(c.Close)
	return c
}
