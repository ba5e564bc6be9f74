package exec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

func TestAProgramIsGivenItsTask(t *testing.T) {
	t.Parallel()
	w := start(t, "output", "text")
	dir := w.folder()
	for _, c := range []struct {
		text, want string
		task       plugins.Task
	}{
		{`cat`, "{\"a\":1}\n", plugins.Task{Params: []byte(`{"a":1}`)}},
		{`printf '%s|' "$@"; cat`, "a b|2|[\"a b\", 2]\n", plugins.Task{Params: []byte(`["a b", 2]`)}},
		{`echo $# "$1"`, "1 x", plugins.Task{Params: []byte(`{"argv":["x"]}`)}},
		{`pwd`, dir, plugins.Task{}},
		{`pwd`, "/", plugins.Task{Cwd: "/"}},
		{`echo "$A $PATH"`, "b /bin", plugins.Task{Env: map[string]string{"A": "b", "PATH": "/bin"}}},
		{`echo "$CPULB_TASK_ID $CPULB_SCRIPT_PATH $CPULB_ATTEMPT $TRACEPARENT $CPULB_LABELS"`, "task-7 " + dir + `/s6 1 tp {"l":"v"}`,
			plugins.Task{Traceparent: "tp", Labels: map[string]string{"l": "v"}}},
		// The last is of the folder that ls reads.
		{`exec ls -m /proc/self/fd`, "0, 1, 2, 3, 4", plugins.Task{}},
		{`exec cut -d' ' -f5-7 /proc/self/stat`, "", plugins.Task{}},
		{`exec 0<&-; echo closed`, "closed", plugins.Task{Params: []byte(`"` + strings.Repeat("x", 3<<20) + `"`)}},
		{`echo unread`, "unread", plugins.Task{Params: []byte(`"` + strings.Repeat("x", 16<<20) + `"`)}},
		{`cat </dev/stdin >/dev/stdout`, "1\n", plugins.Task{Params: []byte("1")}},
	} {
		c.task.ScriptPath = write(t, dir, fmt.Sprintf("s%d", w.seq), "#!/bin/sh\n"+c.text)
		o := w.end(w.send(c.task))
		var got string
		if err := json.Unmarshal(o.Data, &got); err != nil {
			t.Errorf("%s: %s %+v", c.text, o.Status, o.Error)
			continue
		}
		if strings.HasPrefix(c.text, "exec cut") {
			if f := strings.Fields(got); len(f) != 3 || f[0] != f[1] || f[2] != "0" {
				t.Errorf("its group, session and terminal are %s", got)
			}
		} else if got != strings.TrimSuffix(c.want, "\n") {
			t.Errorf("%s: %q", c.text, got)
		}
	}
}

func TestAnInterpreterRunsWhatIsNotExecutable(t *testing.T) {
	t.Parallel()
	w := start(t, "argv", `["sh","-e"]`, "output", "last_line")
	path := filepath.Join(w.folder(), "plain")
	if err := os.WriteFile(path, []byte("echo \"$0 $*\"\nfalse\necho not reached\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if o := w.end(w.send(plugins.Task{ScriptPath: path, Params: []byte(`["a"]`)})); o.Error == nil || o.Error.ExitCode != 1 || o.Stdout != path+" a\n" {
		t.Errorf("%s %+v %q", o.Status, o.Error, o.Stdout)
	}
	if o := w.end(w.send(plugins.Task{Source: "read -r line; echo \"$line\"", Params: []byte("[1]")})); string(o.Data) != "[1]" {
		t.Errorf("a source: %s %s %+v", o.Status, o.Data, o.Error)
	}
}

func TestASourceRunsByItsFirstLine(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, first := range []string{"#!/bin/sh", "#! /usr/bin/env sh", "#!/bin/sh -e\r"} {
		if o := w.end(w.send(plugins.Task{Source: first + "\necho \"$PWD $1\"\n", Params: []byte(`["x"]`)})); string(o.Data) != `"/ x"` {
			t.Errorf("%q: %s %s %+v", first, o.Status, o.Data, o.Error)
		}
	}
}

func TestASourceGoesWithItsTask(t *testing.T) {
	t.Parallel()
	w := start(t, "output", "text")
	for _, text := range []string{"echo $0", "echo $0; kill -9 $PPID"} {
		o := w.end(w.send(plugins.Task{Source: "#!/bin/sh\n" + text}))
		var path string
		if _ = json.Unmarshal(o.Data, &path); path == "" {
			path = strings.TrimSpace(o.Stdout)
		}
		if _, err := os.Stat(path); !filepath.IsAbs(path) || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %q: %v", text, path, err)
		}
	}
}

func TestScriptDirsAreLeftByNoLink(t *testing.T) {
	t.Parallel()
	has(t, "true")
	inside, outside := (&worker{T: t}).folder(), (&worker{T: t}).folder()
	w := start(t, "script_dirs", inside+"\n/usr/bin")
	script := write(t, inside, "script", "#!/bin/sh\necho in\n")
	for name, to := range map[string]string{"out": write(t, outside, "script", "#!/bin/sh\necho out\n"), "within": "script"} {
		if err := os.Symlink(to, filepath.Join(inside, name)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{script: `"in"`, inside + "/within": `"in"`, inside + "/out": "script_not_allowed", outside + "/script": "script_not_allowed",
		inside + "/missing": "script_not_found"} {
		o := w.end(w.send(plugins.Task{ScriptPath: path}))
		if got := string(o.Data); got != want && (o.Error == nil || o.Error.Code != want) {
			t.Errorf("%s: %s %+v", path, got, o.Error)
		}
	}
	if o := w.end(w.send(plugins.Task{ScriptPath: "/usr/bin/env", Params: []byte(`["echo","by its file"]`)})); string(o.Data) != `"by its file"` {
		t.Errorf("a binary: %s %+v", o.Status, o.Error)
	}
	if o := w.end(w.send(plugins.Task{ScriptPath: script, Env: map[string]string{"BASH_ENV": "/x"}})); o.Error == nil || o.Error.Code != "bad_env" {
		t.Errorf("what makes it load others: %s %+v", o.Status, o.Error)
	}
	if w.Description().TakesEnv {
		t.Error("it takes env")
	}
	w = start(t, "script_dirs", inside, "env_names", `["A"]`)
	if o := w.end(w.send(plugins.Task{ScriptPath: script, Env: map[string]string{"A": "x"}})); o.Status != task.Completed || !w.Description().TakesEnv {
		t.Errorf("what is named: %s %+v", o.Status, o.Error)
	}
}

func TestAMemoryBoundIsOfEachProcess(t *testing.T) {
	t.Parallel()
	has(t, "perl")
	w := start(t, "isolation", "process", "max_tasks", "1", "memory", fmt.Sprint(64<<20), "cpu_time", "1s")
	if o := w.end(w.send(plugins.Task{ScriptPath: write(t, w.folder(), "eats", "#!/usr/bin/perl\nmy $x = 'x' x (256 << 20); print length $x;\n")})); o.Error == nil || o.Error.Code != "exit" || !strings.Contains(strings.ToLower(o.Stderr), "memory") {
		t.Errorf("%s %s %+v %q", o.Status, o.Data, o.Error, o.Stderr)
	}
	if o := w.run("echo 1"); string(o.Data) != "1" {
		t.Errorf("within the bounds: %s %+v", o.Status, o.Error)
	}
	if o := w.run("while :; do :; done"); o.Error == nil || o.Error.Code != "cpu_time" || o.Error.ExitCode != 152 {
		t.Errorf("%s %+v", o.Status, o.Error)
	}
	missing := write(t, w.folder(), "missing", "#!/nonexistent\n")
	if o := w.end(w.send(plugins.Task{ScriptPath: missing})); o.Error == nil || o.Error.Code != "script_unreadable" || o.Fault != plugins.NoFault {
		t.Errorf("%s %+v", o.Status, o.Error)
	}
}

func TestATaskIsItsCallers(t *testing.T) {
	t.Parallel()
	asRoot(t)
	w := start(t, "isolation", "process", "user", "caller", "output", "lines")
	nobody := uint32(65534)
	text := `id -u; id -g; echo "$HOME $USER"; grep -E '^(NoNewPrivs|CapEff|CapPrm):' /proc/self/status | tr -s '\t' ' '; echo out >/dev/stdout; cat /dev/stdin`
	for name, t2 := range map[string]plugins.Task{"a script": {ScriptPath: w.script("#!/bin/sh\n" + text)}, "a source": {Source: "#!/bin/sh\n" + text}} {
		t2.RunAs, t2.Params, t2.Cwd = &nobody, []byte("{}"), "/"
		o := w.end(w.send(t2))
		for _, want := range []string{`[65534,65534,`, `nobody"`, `"CapPrm: 0000000000000000"`, `"CapEff: 0000000000000000"`, `"NoNewPrivs: 1"`, `"out",{}]`} {
			if !strings.Contains(string(o.Data), want) {
				t.Errorf("%s: no %s in %s %+v %q", name, want, o.Data, o.Error, o.Stderr)
			}
		}
	}
	if o := w.end(w.send(plugins.Task{ScriptPath: w.script("#!/bin/sh\n")})); o.Error == nil || o.Error.Code != "not_allowed" {
		t.Errorf("nobody's task: %s %+v", o.Status, o.Error)
	}
	private := filepath.Join(w.folder(), "private")
	if err := os.WriteFile(private, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if o := w.end(w.send(plugins.Task{ScriptPath: private, RunAs: &nobody})); o.Error == nil || o.Error.Code != "script_unreadable" {
		t.Errorf("a script of root's own: %s %+v", o.Status, o.Error)
	}
}

func TestBadSettingsAreRefusedInWords(t *testing.T) {
	t.Parallel()
	for _, c := range [][]string{
		{"color", "red", "color: the exec executor has no such setting (allowed: argv,"},
		{"argv", "php", "argv: \"php\" is not a list of texts"},
		{"argv", `["no-such-program"]`, "no-such-program"},
		{"argv", `["./sh"]`, "./sh"},
		{"kill_grace", "soon", "kill_grace"},
		{"kill_grace", "-1s", "less than nothing"},
		{"kill_grace", "1501ms", "at most 1.5s, as the worker is replaced once limits.cancel_grace is over"},
		{"output", "xml", "auto, json, text, lines, last_line"},
		{"max_tasks", "10", "max_tasks"},
		{"network", "false", "no such wall"},
		{"system_calls", "scripts", "no such wall"},
	} {
		err := startError(t, map[string]string{c[0]: c[1]})
		if err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s = %s: %v", c[0], c[1], err)
		}
	}
	w := start(t)
	names := []string{}
	for _, s := range w.Description().Settings {
		names = append(names, s.Name)
	}
	page, err := os.ReadFile("../../docs/exec.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.Contains(string(page), "| `"+name+"` |") {
			t.Errorf("docs/exec.md does not list %s", name)
		}
	}
	if !slices.IsSorted(names) || len(names) != 4 {
		t.Errorf("the settings are %q", names)
	}
}
