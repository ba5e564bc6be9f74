package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cpulb/cmd/version"
	"cpulb/daemon/access"
	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// outcome is what a command left.
type outcome struct {
	code        int
	stdout, err string
}

// cpulb runs one command line against the daemon on socket.
func cpulb(ctx context.Context, stdin string, args ...string) outcome {
	var out, err bytes.Buffer
	code := run(ctx, args, newTerminal(strings.NewReader(stdin), &out, &err))
	return outcome{code, out.String(), err.String()}
}

func TestExitCodeAndOutputSayHowItEnded(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	t.Setenv("CPULB_SOCKET", socket)
	file := filepath.Join(t.TempDir(), "params.json")
	if err := os.WriteFile(file, []byte(`{"from":"file"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	const unknown = "01890000-0000-7000-8000-000000000000"
	for _, c := range []struct {
		args   []string
		stdin  string
		code   int
		stdout string   // all of it
		stderr []string // parts of it; none means empty
	}{
		{[]string{"run", "/echo.py"}, "", 0, "{}\n", nil},
		{[]string{"run", "/echo.py", "--params", `{"a": [1.50]}`}, "", 0, "{\"a\":[1.50]}\n", nil},
		{[]string{"run", "/echo.py", "--params", "@" + file}, "", 0, "{\"from\":\"file\"}\n", nil},
		{[]string{"run", "/echo.py", "--params", "-", "--timeout", "30s"}, `"stdin"`, 0, "\"stdin\"\n", nil},
		{[]string{"run", "/raises.py"}, "", 1, "", []string{"before\n", "oops\n", "the task failed [exception]", "raises.py, line 2", "ValueError: too small"}},
		{[]string{"run", "/missing.py"}, "", 1, "", []string{"/missing.py", "does not exist", "[script_not_found]"}},
		{[]string{"run", "/full.py"}, "", 1, "", []string{"no room in the input queue", "[queue_full]"}},
		{[]string{"--socket", "/nonexistent/s", "run", "/echo.py"}, "", 1, "", []string{"/nonexistent/s", "is cpulbd running?"}},
		{[]string{"--socket", "", "status"}, "", 2, "", []string{"--socket: it is empty"}},
		{[]string{"run"}, "", 2, "", []string{"<script>", "--help"}},
		{[]string{"dance"}, "", 2, "", []string{"dance", "--help"}},
		{[]string{"run", "/echo.py", "--params", "{oops"}, "", 2, "", []string{"--params is not JSON"}},
		{[]string{"run", "/echo.py", "--params", "@/nonexistent"}, "", 2, "", []string{"/nonexistent"}},
		{[]string{"run", "/echo.py", "--params", "-"}, "", 2, "", []string{"stdin is not JSON"}},
		{[]string{"run", "/echo.py", "--type", "gpu"}, "", 2, "", []string{"cpu", "io", "gpu"}},
		{[]string{"run", "/echo.py", "--timeout", "soon"}, "", 2, "", []string{"soon"}},
		{[]string{"run", "/echo.py", "--timeout=-1s"}, "", 2, "", []string{"negative"}},
		{[]string{"result", "banana"}, "", 2, "", []string{"banana", "not a UUID"}},
		{[]string{"result", unknown}, "", 1, "", []string{"[task_not_found]"}},
		{[]string{"cancel", unknown}, "", 1, "", []string{"[task_not_found]"}},
	} {
		got := cpulb(t.Context(), c.stdin, c.args...)
		if got.code != c.code || got.stdout != c.stdout || (len(c.stderr) == 0) != (got.err == "") {
			t.Errorf("cpulb %s: %+v; want %d and %q", strings.Join(c.args, " "), got, c.code, c.stdout)
		}
		for _, part := range c.stderr {
			if !strings.Contains(got.err, part) {
				t.Errorf("cpulb %s: stderr %q lacks %q", strings.Join(c.args, " "), got.err, part)
			}
		}
	}
}

func TestAnErrorIsSaidOnce(t *testing.T) {
	for _, c := range []struct{ message, traceback, want string }{
		{"x", "", "E: x\n"},
		{"x", "Traceback:\n  f\nE: x\n", "Traceback:\n  f\nE: x\n"},
		{"two\nlines", "Traceback:\nE: two\nlines\n", "Traceback:\nE: two\nlines\n"},
		{"bad (s.py, line 1)", "  File s.py\nE: bad", "  File s.py\nE: bad\n"},
		{"x", "Traceback:\n  f\n", "Traceback:\n  f\nE: x\n"},
	} {
		var err bytes.Buffer
		(&terminal{err: &err}).explain(&task.Result{Status: task.Failed, Error: &task.Error{Type: "E", Message: c.message, Traceback: c.traceback, Code: "c"}})
		if want := "cpulb: the task failed [c]\n" + c.want; err.String() != want {
			t.Errorf("%q, want %q", err.String(), want)
		}
	}
}

func TestHelpStatesTheExitCodes(t *testing.T) {
	if got := cpulb(t.Context(), "", "--help"); got.code != 0 || !strings.Contains(got.stdout, "Exit codes: 0") {
		t.Errorf("%+v", got)
	}
	if got := cpulb(t.Context(), "", "run", "--help"); got.code != 0 || !strings.Contains(got.stdout, "traceback on stderr") {
		t.Errorf("%+v", got)
	}
	if got := cpulb(t.Context(), "", "--version"); got.code != 0 || got.stdout != "cpulb "+version.Text()+"\n" {
		t.Errorf("%+v", got)
	}
}

func TestFlagsReachTheTask(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	got := cpulb(t.Context(), "", "--socket", socket, "submit", "x.py", "--type=io", "--pool=special", "--function=go", "--timeout=90s",
		"--label", "who=me;you", "--label", "why=a=b")
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	x := engine.Last()
	if x.ScriptPath != filepath.Join(here, "x.py") || x.Type != task.IOBound || x.Pool != "special" || x.Function != "go" ||
		fmt.Sprint(x.Timeout) != fmt.Sprint(task.Duration(90e9)) || x.Labels["who"] != "me;you" || x.Labels["why"] != "a=b" {
		t.Fatalf("%+v", x)
	}
	if got.stdout != x.ID.String()+"\n" {
		t.Fatalf("%+v", got)
	}
}

func TestASubmittedTaskIsFollowedByItsID(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	t.Setenv("CPULB_SOCKET", socket)
	id := strings.TrimSpace(cpulb(t.Context(), "", "submit", ipctest.Held).stdout)
	if got := cpulb(t.Context(), "", "result", id, "--timeout", "1ms"); got.code != 3 || got.stdout != "" || !strings.Contains(got.err, "not ended yet: it is running") {
		t.Fatalf("early: %+v", got)
	}
	if got := cpulb(t.Context(), "", "cancel", id); got != (outcome{}) {
		t.Fatalf("cancel: %+v", got)
	}
	if got := cpulb(t.Context(), "", "result", id); got.code != 1 || !strings.Contains(got.err, "was cancelled") {
		t.Fatalf("late: %+v", got)
	}
}

func TestAnInterruptCancelsTheTask(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		defer interrupt()
		_ = engine.AwaitTasks(t.Context(), 1)
	}()
	got := cpulb(ctx, "", "--socket", socket, "run", ipctest.Held)
	if got.code != 1 || !strings.Contains(got.err, "interrupted") {
		t.Fatalf("%+v", got)
	}
	if v, err := engine.View(t.Context(), access.Identity{}, engine.Last().ID); err != nil || v.Status != task.Cancelled {
		t.Fatalf("the task: %+v %v", v, err)
	}
}

func TestADaemonThatGoesAwayLeavesTheTasksID(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan string)
	go func() {
		conn, _ := l.Accept()
		defer conn.Close()
		var x struct {
			Task struct {
				ID string `json:"task_id"`
			}
		}
		in := bufio.NewReader(conn)
		_, _ = http.ReadRequest(in)
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: cpulb\r\n\r\n")
		line, _ := in.ReadBytes('\n')
		_ = json.Unmarshal(line, &x)
		asked <- x.Task.ID
	}()
	left := make(chan outcome, 1)
	go func() { left <- cpulb(t.Context(), "", "--socket", socket, "--patience=0s", "run", "/x.py") }()
	id := <-asked
	if got := <-left; got.code != 1 || id == "" || !strings.Contains(got.err, "cpulb result "+id) {
		t.Errorf("task %q: %+v", id, got)
	}
}

func TestStatusIsATableForPeopleAndJSONForPrograms(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	t.Setenv("CPULB_SOCKET", socket)
	got := cpulb(t.Context(), "", "status")
	fields := func(line string) string { return strings.Join(strings.Fields(line), " ") }
	var lines []string
	for line := range strings.Lines(got.stdout) {
		lines = append(lines, fields(line))
	}
	for _, want := range []string{
		"cpulbd 1.2.3, running, pid 77, up 1m1s",
		"process_pool degraded: worker cpu-1 is starting total_workers 2",
		"cpu-0 4242 ready 1 1 1/1 12345678 3 1h2m3s 10.0 MiB CPython 3.11.2",
		"io-0 4243 starting - 0-1 0/8 0 0 0s 0.0 MiB",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("%q is not in\n%s", want, got.stdout)
		}
	}
	if got := cpulb(t.Context(), "", "status", "--json"); got.code != 0 || !json.Valid([]byte(got.stdout)) {
		t.Errorf("--json: %+v", got)
	}
}
