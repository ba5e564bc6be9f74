package wasm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

// is fails unless o is what a completed task has.
func is(t *testing.T, o plugins.Outcome, data string) {
	t.Helper()
	if o.Status != task.Completed || string(o.Data) != data {
		t.Errorf("%s %s %+v, want %s", o.Status, o.Data, o.Error, data)
	}
}

// failedAs fails unless o is a failure of the task's own with that code and these words.
func failedAs(t *testing.T, o plugins.Outcome, code string, words ...string) {
	t.Helper()
	if o.Status != task.Failed || o.Error == nil || o.Error.Code != code || o.Fault != plugins.NoFault {
		t.Errorf("%s %s %+v (fault %v), want %s", o.Status, o.Data, o.Error, o.Fault, code)
		return
	}
	for _, w := range words {
		if !strings.Contains(o.Error.Type+": "+o.Error.Message, w) {
			t.Errorf("%q is not in %q", w, o.Error.Type+": "+o.Error.Message)
		}
	}
}

func TestAModuleSeesNothingOfTheMachine(t *testing.T) {
	w := opened(t, nil)
	is(t, w.path(guest(t, "looks-around")), "null")
	o := w.run(&plugins.Task{ScriptPath: guest(t, "environment"), Env: map[string]string{"COLOUR": "green"}}, &said{})
	text := string(o.Data)
	if !strings.Contains(text, `"COLOUR":"green"`) || !strings.Contains(text, `"CPULB_TASK_ID":"id"`) {
		t.Errorf("what the task brings is not in %s %+v", text, o.Error)
	}
	for _, name := range []string{`"PATH"`, `"HOME"`, "PLUGIN_", "CPULB_EXECUTOR", "CPULB_LIFELINE", `"CPULB_WORKER"`} {
		if strings.Contains(text, name) {
			t.Errorf("%s is in %s", name, text)
		}
	}
	for _, name := range []string{"", "A=B", "CPULB_TASK_ID", "A\x00"} {
		failedAs(t, w.run(&plugins.Task{ScriptPath: guest(t, "nothing"), Env: map[string]string{name: ""}}, &said{}), "bad_env")
	}
}

// A sandbox is enclosed in each of its threads, as it says itself.
func TestASandboxIsEnclosed(t *testing.T) {
	w := opened(t, nil)
	is(t, w.path(guest(t, "nothing")), "null")
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", w.process.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		t.Fatal(threads, err)
	}
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		for _, line := range []string{"\nNoNewPrivs:\t1\n", "\nSeccomp:\t2\n"} {
			if err != nil || !strings.Contains(string(text), line) {
				t.Errorf("%s has no %q (%v)", path, line, err)
			}
		}
	}
}

func TestNothingOfATaskIsLeftForTheNext(t *testing.T) {
	w, path := opened(t, nil), guest(t, "keeps")
	for range 3 {
		is(t, w.path(path), "1")
	}
}

func TestParamsAreArgumentsAndInput(t *testing.T) {
	w, path := opened(t, nil), guest(t, "arguments")
	for params, want := range map[string]string{`["a","b c",3]`: `["a","b c","3"]`, `{"argv":["x"]}`: `["x"]`, `{"a":1}`: `[]`, `5`: `[]`} {
		is(t, w.run(&plugins.Task{ScriptPath: path, Params: []byte(params)}, &said{}), want)
	}
	failedAs(t, w.run(&plugins.Task{ScriptPath: path, Params: []byte(`{"argv":[{}]}`)}, &said{}), "bad_params", "argv")
}

func TestLinesArePartialResults(t *testing.T) {
	w, s := opened(t, map[string]string{"output": "lines"}), &said{}
	is(t, w.run(&plugins.Task{ScriptPath: guest(t, "lines")}, s), `[{"n": 1},"text",2]`)
	if want := []string{`partial {"n": 1}`, `partial "text"`, "partial 2"}; !slices.Equal(s.all, want) {
		t.Errorf("%q", s.all)
	}
}

func TestAnExitCodeIsAFailureWithItsLastWords(t *testing.T) {
	w := opened(t, nil)
	o := w.path(guest(t, "exits"))
	failedAs(t, o, "exit", "exit code 3: last words")
	if o.Error.ExitCode != 3 || o.Stdout != "before\n" || o.Stderr != "something went wrong\nlast words\n" {
		t.Errorf("%d %q %q", o.Error.ExitCode, o.Stdout, o.Stderr)
	}
}

func TestATrapIsAFailureWithItsFunctions(t *testing.T) {
	w := opened(t, nil)
	o := w.path(written(t, made{functions: []function{{"_start", unreachable}}}.bytes()))
	failedAs(t, o, "exception", "WasmTrap", "unreachable")
	if !strings.Contains(o.Error.Traceback, "$0()") {
		t.Errorf("traceback %q", o.Error.Traceback)
	}
}

// A module can take what it may have, and neither its worker's memory nor its sandbox's for
// the next one.
func TestTooMuchOfAnythingFailsTheTaskOnly(t *testing.T) {
	w := opened(t, map[string]string{"module_memory": "67108864"})
	start := func(m made, body string) plugins.Outcome {
		m.functions = []function{{"_start", body}}
		return w.path(written(t, m.bytes()))
	}
	echo := guest(t, "echo")
	for name, c := range map[string]struct {
		outcome func() plugins.Outcome
		code    string
		words   []string
	}{
		"a heap":             {func() plugins.Outcome { return w.path(guest(t, "eats-memory")) }, "exit", []string{"MemoryError", "67108864 bytes"}},
		"memory":             {func() plugins.Outcome { return start(made{pages: 1}, growsMemory) }, "exception", []string{"MemoryError", "67108864 bytes"}},
		"memory to begin":    {func() plugins.Outcome { return start(made{pages: 2000}, returns) }, "exception", []string{"MemoryError", "67108864 bytes"}},
		"stack":              {func() plugins.Outcome { return start(made{}, recursion) }, "exception", []string{"WasmTrap", "stack overflow"}},
		"a table":            {func() plugins.Outcome { return start(made{table: 1}, growsTable) }, "exception", []string{"SandboxError", "out of memory"}},
		"a result":           {func() plugins.Outcome { return w.path(guest(t, "huge-result")) }, "result_too_large", nil},
		"output for a value": {func() plugins.Outcome { return w.path(guest(t, "stray-output")) }, "result_too_large", nil},
	} {
		o := c.outcome()
		t.Run(name, func(t *testing.T) {
			failedAs(t, o, c.code, c.words...)
			if len(o.Stdout) > outputBytes || len(o.Stderr) > outputBytes {
				t.Errorf("%d and %d bytes of output", len(o.Stdout), len(o.Stderr))
			}
		})
		is(t, w.run(&plugins.Task{ScriptPath: echo, Params: []byte("1")}, &said{}), `"id\n1"`)
	}
	is(t, start(made{pages: 1024}, returns), "null") // as much as it may have
}

func TestAnEndlessLoopEndsAtItsTimeAndByACancel(t *testing.T) {
	w, loop := opened(t, nil), written(t, made{functions: []function{{"_start", endless}}}.bytes())
	is(t, w.path(guest(t, "nothing")), "null") // it is compiled, and the time is the run's
	o := w.run(&plugins.Task{ScriptPath: loop, Timeout: 50 * time.Millisecond}, &said{})
	if o.Status != task.TimedOut || o.Error.Code != "timed_out" {
		t.Errorf("%s %+v", o.Status, o.Error)
	}
	s := &said{}
	s.notify = func() { w.Cancel(w.seq, plugins.StopCancelled) }
	// It spins after it has said something, in an instance that has a scheduler of its own.
	w.executor.settings.mode = "lines"
	o = w.run(&plugins.Task{ScriptPath: guest(t, "spins")}, s)
	if o.Status != task.Cancelled || o.Error.Code != "cancelled" || !slices.Equal(s.all, []string{`partial "spinning"`}) {
		t.Errorf("%s %+v, said %q", o.Status, o.Error, s.all)
	}
	is(t, w.path(guest(t, "lines")), `[{"n": 1},"text",2]`)
	w.Cancel(w.seq+1, plugins.StopCancelled)
	if o = w.path(loop); o.Status != task.Cancelled {
		t.Errorf("stopped before it began: %s %+v", o.Status, o.Error)
	}
}

func TestCPUTimeIsBounded(t *testing.T) {
	w := opened(t, map[string]string{"isolation": "process", "cpu_time": "100ms"})
	failedAs(t, w.path(written(t, made{functions: []function{{"_start", endless}}}.bytes())), "cpu_time", "100ms")
	is(t, w.path(guest(t, "nothing")), "null")
}

func TestAFunctionThatIsExportedCanBeCalled(t *testing.T) {
	w := opened(t, nil)
	path := written(t, made{functions: []function{{"other", returns}, {"traps", unreachable}, {"_initialize", returns}}}.bytes())
	call := func(name string) plugins.Outcome {
		return w.run(&plugins.Task{ScriptPath: path, Function: name}, &said{})
	}
	is(t, call("other"), "null")
	failedAs(t, call("traps"), "exception", "unreachable")
	failedAs(t, call("missing"), "no_entry_point", `"missing"`, "_initialize, other, traps")
	failedAs(t, call("main"), "no_entry_point", "_start")
}

func TestWhatIsNoModuleFailsItsTask(t *testing.T) {
	w := opened(t, nil)
	whole, err := os.ReadFile(filepath.Join(built, "guest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	fifo, dir := filepath.Join(t.TempDir(), "fifo"), t.TempDir()
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	head := "\x00asm\x01\x00\x00\x00"
	hungry := made{functions: []function{{"_start", returns}}}.bytes()
	hungry = []byte(strings.Replace(string(hungry), section(10, "\x01\x02\x00\x0b"), section(10, "\x01\x08\x01\xff\xff\xff\xff\x0f\x7f\x0b"), 1))
	for name, c := range map[string]struct{ path, code string }{
		"nothing":             {written(t, nil), "script_syntax"},
		"text":                {written(t, []byte("print(1)\n")), "script_syntax"},
		"another version":     {written(t, []byte("\x00asm\x02\x00\x00\x00")), "script_syntax"},
		"a part of one":       {written(t, whole[:len(whole)/2]), "script_syntax"},
		"a changed one":       {written(t, slices.Concat(whole[:1<<16], []byte("changed"), whole[1<<16:])), "script_syntax"},
		"4 billion functions": {written(t, []byte(head+section(3, "\xff\xff\xff\xff\x0f"))), "script_syntax"},
		"4 billion locals":    {written(t, hungry), "script_syntax"},
		"a foreign import":    {written(t, made{imports: "\x01\x03env\x03run\x00\x00", functions: []function{{"_start", returns}}}.bytes()), "script_syntax"},
		"an imported memory":  {written(t, []byte(head+section(2, "\x01\x03env\x03mem\x02\x00\x01"))), "script_syntax"},
		"none of that name":   {filepath.Join(dir, "none.wasm"), "script_not_found"},
		"a folder":            {dir, "script_unreadable"},
		"a pipe":              {fifo, "script_unreadable"},
		"a name with a hole":  {"/tmp/a\x00b", "script_not_found"},
		"text without a file": {"", "script_syntax"},
	} {
		o := w.run(&plugins.Task{ScriptPath: c.path, Source: "main = 1"}, &said{})
		t.Run(name, func(t *testing.T) {
			failedAs(t, o, c.code)
			t.Log(o.Error)
		})
	}
	is(t, w.path(guest(t, "nothing")), "null")
}

func TestScriptsAreBeneathTheirFolders(t *testing.T) {
	inside := guest(t, "nothing")
	w := opened(t, map[string]string{"script_dirs": "/nowhere\n" + filepath.Dir(inside)})
	is(t, w.path(inside), "null")
	link := filepath.Join(filepath.Dir(inside), "link.wasm")
	if err := os.Symlink(guest(t, "nothing"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, guest(t, "nothing"), "/etc/passwd"} {
		failedAs(t, w.path(path), "script_not_allowed")
	}
}

func TestAChangedFileIsReadAnew(t *testing.T) {
	w := opened(t, nil)
	path := written(t, made{functions: []function{{"_start", returns}}}.bytes())
	is(t, w.path(path), "null")
	for range 3 { // within the same tick of the file system's clock, perhaps
		for body, code := range map[string]string{unreachable: "exception", returns: ""} {
			if err := os.WriteFile(path, made{functions: []function{{"_start", body}}}.bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			if o := w.path(path); (o.Error == nil) != (code == "") || o.Error != nil && o.Error.Code != code {
				t.Errorf("%+v, want %q", o.Error, code)
			}
		}
	}
}

func TestAFileThatIsTheSameIsNotReadAgain(t *testing.T) {
	w, path := opened(t, nil), guest(t, "nothing")
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, past, past); err != nil { // its ctime is now
		t.Fatal(err)
	}
	for w.executor.modules.known() == 0 { // until that is a second ago
		is(t, w.path(path), "null")
	}
	m, err := w.executor.modules.find(path)
	if err != nil || m.code != nil || m.name == "" {
		t.Errorf("%v, %d bytes read", err, len(m.code))
	}
}

func (m *modules) known() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.files)
}

func TestASandboxHasManyTasksOrOneAsIsolationSays(t *testing.T) {
	path := guest(t, "nothing")
	pid := func(w *worker) (pid int) {
		is(t, w.path(path), "null")
		return w.process.cmd.Process.Pid
	}
	shared, apart := opened(t, nil), opened(t, map[string]string{"isolation": "process", "max_tasks": "1"})
	if a, b := pid(shared), pid(shared); a != b {
		t.Errorf("processes %d and %d", a, b)
	}
	if a, b := pid(apart), pid(apart); a == b {
		t.Errorf("process %d twice", a)
	}
}

// A sandbox that the kernel has ended meanwhile costs nobody a task.
func TestASandboxThatHasEndedIsReplaced(t *testing.T) {
	w, path := opened(t, nil), guest(t, "nothing")
	is(t, w.path(path), "null")
	w.process.kill()
	is(t, w.path(path), "null")
	w.executor.program = "/nowhere"
	w.process.kill()
	if o := w.path(path); o.Fault != plugins.Unrun || o.Error.Code != "executor" {
		t.Errorf("no sandbox can be started: %s %+v", o.Status, o.Error)
	}
	if o := w.run(&plugins.Task{Probe: true}, &said{}); o.Status == task.Completed {
		t.Error("the probe of a worker without sandboxes succeeds")
	}
}

func TestASandboxKeepsFewModules(t *testing.T) {
	w := opened(t, nil)
	for round := range 2 {
		for i := range mostLoaded + 3 {
			var all []function
			for j := range i + 1 {
				all = append(all, function{fmt.Sprint("f", j), returns})
			}
			all[0].name = "_start"
			is(t, w.path(written(t, made{functions: all}.bytes())), "null")
		}
		if n := len(w.process.loaded); n != mostLoaded {
			t.Errorf("%d modules after round %d", n, round)
		}
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	dir := t.TempDir()
	w := opened(t, map[string]string{"cache_dir": dir, "cache_size": "1"})
	path := written(t, made{functions: []function{{"_start", returns}}}.bytes())
	is(t, w.path(path), "null")
	w.executor.modules.trim() // the slot has compiled it for itself
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Type().IsRegular() {
			t.Errorf("%s is left (%v)", path, err)
		}
		return nil
	})
	is(t, w.path(path), "null")
}

func TestTheInterpreterDoesTheSame(t *testing.T) {
	w := opened(t, map[string]string{"engine": "interpreter"})
	is(t, w.run(&plugins.Task{ScriptPath: guest(t, "echo"), Params: []byte(`{"a":1}`)}, &said{}), `"id\n{\"a\":1}"`)
	if o := w.run(&plugins.Task{ScriptPath: guest(t, "spins"), Timeout: 50 * time.Millisecond}, &said{}); o.Status != task.TimedOut {
		t.Errorf("%s %+v", o.Status, o.Error)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for name, given := range map[string]map[string]string{
		"none of its":     {"colour": "green"},
		"an output":       {"output": "xml"},
		"too little":      {"module_memory": "1"},
		"too much":        {"module_memory": "4294967297"},
		"an engine":       {"engine": "v8"},
		"a relative path": {"cache_dir": "cache"},
		"a user":          {"isolation": "process", "user": "caller"},
		"a filter":        {"isolation": "process", "system_calls": "pure"},
		"a network":       {"isolation": "process", "network": "true"},
		"tasks":           {"isolation": "process", "max_tasks": "0"},
	} {
		if _, err := readSettings(given); !errors.Is(err, plugins.ErrBadSetting) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := readSettings(map[string]string{"isolation": "process", "memory": "1048576", "network": "false", "private_tmp": "true", "read_only": "true"})
	if err != nil || s.memory != 1<<20 || s.maxTasks != 1 {
		t.Errorf("%+v %v", s, err)
	}
	for _, own := range ownSettings() {
		if _, known := new(settings).setters()[own.Name]; !known {
			t.Errorf("%s is described and not known", own.Name)
		}
	}
}
