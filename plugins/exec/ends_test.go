package exec_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

func TestEachEndIsToldApart(t *testing.T) {
	t.Parallel()
	w := start(t)
	dir := w.folder()
	notExecutable := filepath.Join(dir, "not-executable")
	if err := os.WriteFile(notExecutable, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	busy := write(t, dir, "busy", "#!/bin/sh\n")
	writer, err := os.OpenFile(busy, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	sh := func(text string) string { return write(t, dir, fmt.Sprintf("s%d", len(text)), "#!/bin/sh\n"+text) }
	for _, c := range []struct {
		name          string
		task          plugins.Task
		code, message string
		exit          int
	}{
		{"an exit code, and why", plugins.Task{ScriptPath: sh("echo one >&2; echo two >&2; exit 3")}, "exit", "exit code 3: two", 3},
		{"a signal", plugins.Task{ScriptPath: sh("kill -SEGV $$")}, "exit", "segmentation fault", 139},
		{"an error of its own words", plugins.Task{ScriptPath: sh(`echo '{"error":{"type":"T","message":"bad"}}' >&3`)}, "exception", "bad", 0},
		{"nothing there", plugins.Task{ScriptPath: dir + "/missing"}, "script_not_found", "does not exist", 0},
		{"a folder", plugins.Task{ScriptPath: dir}, "script_unreadable", "is a directory", 0},
		{"a device", plugins.Task{ScriptPath: "/dev/null"}, "script_unreadable", "is not a file", 0},
		{"not executable", plugins.Task{ScriptPath: notExecutable}, "script_unreadable", "chmod +x", 0},
		{"open for writing", plugins.Task{ScriptPath: busy}, "script_unreadable", "open for writing", 0},
		{"no interpreter", plugins.Task{ScriptPath: write(t, dir, "no-interpreter", "#!/nonexistent/sh\n")}, "script_unreadable", "interpreter", 0},
		{"no format", plugins.Task{ScriptPath: write(t, dir, "no-format", "hello")}, "script_unreadable", "neither a binary", 0},
		{"a function", plugins.Task{ScriptPath: sh("exit"), Function: "other"}, "no_entry_point", `no function "other"`, 0},
		{"bad arguments", plugins.Task{ScriptPath: sh("exit"), Params: []byte(`{"argv":[{}]}`)}, "bad_params", "argv", 0},
		{"too long an argument", plugins.Task{ScriptPath: sh("exit"), Params: []byte(`["` + strings.Repeat("x", 3<<20) + `"]`)}, "bad_params", "larger than the system allows", 0},
		{"no folder", plugins.Task{ScriptPath: sh("exit"), Cwd: dir + "/missing"}, "bad_cwd", "no such file", 0},
		{"no such folder", plugins.Task{ScriptPath: sh("exit"), Cwd: "/dev/null"}, "bad_cwd", "not a directory", 0},
		{"a reserved name", plugins.Task{ScriptPath: sh("exit"), Env: map[string]string{"CPULB_WORKER": "x"}}, "bad_env", "CPULB_", 0},
		{"no name", plugins.Task{ScriptPath: sh("exit"), Env: map[string]string{"A=B": "x"}}, "bad_env", "A=B", 0},
		{"a source without a first line", plugins.Task{Source: "echo"}, "script_syntax", "#!", 0},
	} {
		o := w.end(w.send(c.task))
		if o.Status != task.Failed || o.Error == nil || o.Error.Code != c.code || !strings.Contains(o.Error.Message, c.message) || o.Error.ExitCode != c.exit {
			t.Errorf("%s: %s %+v", c.name, o.Status, o.Error)
		}
		if o.Fault != plugins.NoFault || o.Spent {
			t.Errorf("%s is told as the executor's: %+v", c.name, o)
		}
	}
	if o := w.run("echo out; echo err >&2; exit 1"); o.Stdout != "out\n" || o.Stderr != "err\n" {
		t.Errorf("of one that fails: %q %q", o.Stdout, o.Stderr)
	}
}

func TestAnEndlessOutputEndsTheProgram(t *testing.T) {
	t.Parallel()
	w := start(t)
	o := w.run("yes; echo not ended >&2")
	if o.Status != task.Failed || o.Error.Code != "result_too_large" || o.Stderr != "" || len(o.Stdout) != 1<<16 || !o.Truncated {
		t.Errorf("%s %+v, %d bytes %v", o.Status, o.Error, len(o.Stdout), o.Truncated)
	}
	if o = w.run("yes >&2 & sleep 0.1; echo 1"); string(o.Data) != "1" || len(o.Stderr) != 1<<16 || !o.Truncated {
		t.Errorf("%s %s %d bytes of stderr", o.Status, o.Data, len(o.Stderr))
	}
	if o = w.run("exec >&- 2>&- 3>&-"); string(o.Data) != "null" {
		t.Errorf("of one that closes all: %s %s", o.Status, o.Data)
	}
}

func TestLinesComeBeforeTheEnd(t *testing.T) {
	t.Parallel()
	w := start(t, "output", "lines")
	fifo := filepath.Join(w.folder(), "go-on")
	text := fmt.Sprintf("mkfifo %[1]s; echo 1; echo two; read -r x < %[1]s; echo '{\"a\":3}'", fifo)
	seq := w.send(plugins.Task{ScriptPath: w.script("#!/bin/sh\n" + text)})
	for w.up.Of(seq) != "started 1, partial 1, partial 1" {
		time.Sleep(time.Millisecond)
	}
	if err := os.WriteFile(fifo, []byte("x\n"), 0); err != nil {
		t.Fatal(err)
	}
	if o := w.end(seq); string(o.Data) != `[1,"two",{"a":3}]` {
		t.Errorf("%s %s %+v", o.Status, o.Data, o.Error)
	}
}
