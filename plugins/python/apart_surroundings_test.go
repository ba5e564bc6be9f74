package python

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// with sends a task with an environment and a working folder, and waits for its end.
func (p *process) with(path string, env map[string]string, cwd string) plugins.Outcome {
	p.t.Helper()
	return p.sends(&plugins.Task{ScriptPath: path, Env: env, Cwd: cwd})
}

// sends sends what is left to say of a task, and waits for its end.
func (p *process) sends(t *plugins.Task) plugins.Outcome {
	p.t.Helper()
	p.seq++
	t.Seq, t.ID, t.Function, t.Type, t.Attempt, t.Params = p.seq, "task", "main", task.CPUBound, 1, []byte("1")
	if err := p.Slot(0).Send(t); err != nil {
		p.t.Fatal(err)
	}
	select {
	case o := <-p.ended:
		return o
	case <-p.Done():
		p.t.Fatalf("the worker ended (%s): %v", p.Exit(), p.LastStderr())
		return plugins.Outcome{}
	}
}

// What a task starts finds the trace in the environment; the next task in the process has its
// own there, or none.
func TestATaskHasItsTraceInTheEnvironment(t *testing.T) {
	p := openApart(t, map[string]string{"max_tasks": "5"})
	path := written(t, "import os\ndef main(params, context):\n    return [os.environ.get('TRACEPARENT'), context.traceparent, os.getpid()]\n")
	pid := ""
	for _, traceparent := range []string{"00-first", "", "00-second", "00-third"} {
		o := p.sends(&plugins.Task{ScriptPath: path, Traceparent: traceparent})
		value, err := json.Marshal(traceparent)
		if err != nil {
			t.Fatal(err)
		}
		if traceparent == "" {
			value = []byte("null")
		}
		rest, found := strings.CutPrefix(string(o.Data), "["+string(value)+","+string(value)+",")
		if !found {
			t.Errorf("with %q it finds %s, %+v", traceparent, o.Data, o.Error)
		}
		if pid == "" {
			pid = rest
		}
		if rest != pid {
			t.Error("it is another process, which proves nothing")
		}
	}
}

// tellsItsSurroundings says what it finds as it is loaded, as it runs, and in a child.
const tellsItsSurroundings = `import os, subprocess, threading, time
NAMES = "GREETING", "HOME"
loaded = [os.environ.get(name) for name in NAMES] + [os.getcwd()]
def main(params, context):
    now = [os.environ.get(name) for name in NAMES] + [os.getcwd()]
    child = subprocess.run(["/bin/sh", "-c", 'echo "$GREETING"; echo "$HOME"; pwd'], capture_output=True, text=True).stdout.split("\n")[:3]
    return [loaded == now == child or [loaded, now, child], now[0], now[2], time.strftime("%Z", time.gmtime(0)) and time.tzname[0]]
`

// The environment and the folder are there before the script is loaded, and gone with it:
// also where a process has several tasks, and has loaded the script before.
func TestATaskFindsItsEnvironmentAndItsFolder(t *testing.T) {
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const child = "    child = "
	begin := strings.Index(tellsItsSurroundings, child)
	end := begin + strings.Index(tellsItsSurroundings[begin:], "\n")
	childless := tellsItsSurroundings[:begin] + child + "now" + tellsItsSurroundings[end:] // with children no process has another task
	for most, text := range map[string]string{"1": tellsItsSurroundings, "5": childless} {
		path := written(t, text)
		p := openApart(t, map[string]string{"max_tasks": most})
		if d := p.Description(); !d.CanIsolate || !d.TakesEnv || !d.TakesCwd {
			t.Errorf("it describes itself as %+v", d)
		}
		without := p.run(path, "1")
		want, err := json.Marshal([]any{true, "grüß dich", folder, "XYZ"})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got := p.with(path, map[string]string{"GREETING": "grüß dich", "HOME": "/nowhere", "TZ": "XYZ-3", "PYTHONPATH": "/nowhere"}, folder)
			wantData(t, got, string(want))
		}
		if after := p.run(path, "1"); without.Status != task.Completed || string(without.Data) != string(after.Data) {
			t.Errorf("the next task finds %s, the first %s", after.Data, without.Data)
		}
	}
}

func TestAFolderThatCanNotBeEnteredFailsTheTaskAndNoOther(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "")
	p := openApart(t, nil)
	path := written(t, tellsItsSurroundings)
	for cwd, want := range map[string]string{"/no/such/folder": "No such file or directory", file: "Not a directory"} {
		o := p.with(path, nil, cwd)
		if e := wantError(t, o, task.Failed, "bad_cwd"); !strings.Contains(e.Message, cwd) || !strings.Contains(e.Message, want) {
			t.Errorf("%+v", e)
		}
	}
	wantData(t, p.run(script("returns_params.py"), `"next"`), `"next"`)
}

// Whatever walls are around it: the folder is looked for behind them.
func TestTheFolderIsLookedForBehindTheWalls(t *testing.T) {
	outside, err := os.MkdirTemp("/tmp", "outside")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(outside) })
	elsewhere(t)
	settings := map[string]string{"private_tmp": "true", "system_calls": "scripts"}
	if err := unavailable(t, settings); err != nil {
		t.Skip(err)
	}
	p := openApart(t, settings)
	path := script("returns_params.py")
	wantError(t, p.with(path, nil, outside), task.Failed, "bad_cwd")
	wantData(t, p.with(path, map[string]string{"A": "1"}, "/tmp"), "1")
}

// Nothing of it is anybody's but the caller's, who enters only what it may enter.
func TestSurroundingsAreTheCallers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may become another")
	}
	who, err := lookUp(65534)
	if err != nil {
		t.Skip(err)
	}
	p := openApart(t, map[string]string{"user": "caller"})
	run := func(env map[string]string, cwd string) plugins.Outcome {
		t.Helper()
		p.seq++
		if err := p.Slot(0).Send(&plugins.Task{Seq: p.seq, ID: "task", Function: "main", Type: task.CPUBound, Attempt: 1, Params: []byte("1"), RunAs: &who.UID,
			Env: env, Cwd: cwd, Source: "import os\ndef main(params, context):\n    return [os.getuid(), os.environ['LD_PRELOAD'], os.environ['USER'], os.getcwd()]\n"}); err != nil {
			t.Fatal(err)
		}
		return <-p.ended
	}
	wantData(t, run(map[string]string{"LD_PRELOAD": "/x.so", "USER": "somebody"}, "/usr"), `[65534,"/x.so","somebody","/usr"]`)
	private, err := os.MkdirTemp("/tmp", "private") // mode 0700
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(private) })
	if e := wantError(t, run(nil, private), task.Failed, "bad_cwd"); !strings.Contains(e.Message, "Permission denied") {
		t.Errorf("%+v", e)
	}
}

func TestWithoutAProcessOfItsOwnNoTaskHasAnEnvironment(t *testing.T) {
	d := (&Executor{}).Redescribe()
	if d.TakesEnv || d.TakesCwd {
		t.Errorf("%+v", d)
	}
}
