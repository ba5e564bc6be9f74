package python

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// openApart is a worker with two slots in process isolation; the process is slot 0's handler.
func openApart(t testing.TB, settings map[string]string) *process {
	t.Helper()
	return openApartAs(t, nil, settings)
}

// openApartAs is openApart for a worker of another user, unless that is nil.
func openApartAs(t testing.TB, user *supervisor.User, settings map[string]string) *process {
	t.Helper()
	dir, err := os.MkdirTemp("", "worker") // t.TempDir is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { // as the daemon's own is, where callers run tasks
		t.Fatal(err)
	}
	l, err := supervisor.NewLauncher(dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"isolation": "process"}
	for name, value := range settings {
		all[name] = value
	}
	p := &process{t: t, ended: make(chan plugins.Outcome, 1)}
	p.Process, err = l.Start(context.Background(), supervisor.Spec{ID: "test-0", Pool: "test", Executor: "python", Command: os.Args[0], Slots: 2,
		Env: map[string]string{workerRole: "1"}, ResultBytes: testResultBytes, OutputBytes: testOutputBytes, StartTimeout: time.Minute, Settings: all, User: user},
		executortest.Each(func(int) executortest.SlotHandler { return p }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		<-p.Done()
		l.Close()
		os.RemoveAll(dir)
	})
	return p
}

// turnsOfProcesses are values of max_tasks: a process for each task, or for some of them in
// turn, which is what -short tries.
func turnsOfProcesses() []string {
	if testing.Short() {
		return []string{"5"}
	}
	return []string{"1", "5"}
}

// written is a script of this text.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.py")
	writeFile(t, path, text)
	return path
}

// within sends a task with a timeout, and waits for its end.
func (p *process) within(path, params string, timeout time.Duration) plugins.Outcome {
	p.t.Helper()
	p.seq++
	if err := p.Slot(0).Send(&plugins.Task{Seq: p.seq, ID: "task", ScriptPath: path, Function: "main", Type: task.CPUBound, Attempt: 1,
		Params: []byte(params), Timeout: timeout}); err != nil {
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

func TestEachTaskHasAProcessOfItsOwn(t *testing.T) {
	for most, same := range map[string]bool{"1": false, "2": true} {
		p := openApart(t, map[string]string{"max_tasks": most})
		pid := written(t, "import os\ndef main(params, context):\n    return os.getpid()\n")
		first, second, third := p.run(pid, "1"), p.run(pid, "1"), p.run(pid, "1")
		if first.Status != task.Completed || string(first.Data) == string(third.Data) || same != (string(first.Data) == string(second.Data)) {
			t.Errorf("max_tasks %s: %s %s %s", most, first.Data, second.Data, third.Data)
		}
	}
}

func TestADeathIsTheTasksOutcome(t *testing.T) {
	p := openApart(t, nil)
	for body, want := range map[string]int{
		"os._exit(3)":                        3,
		"os._exit(0)":                        0,
		"os.kill(os.getpid(), 9)":            128 + 9,
		"os.kill(os.getpid(), 11)":           128 + 11,
		"import ctypes; ctypes.string_at(0)": 128 + 11,
		"os.closerange(0, 100); os._exit(4)": 4,
	} {
		path := written(t, "import os\ndef main(params, context):\n    print('said', flush=True)\n    "+body+"\n")
		o := p.run(path, "1")
		if e := wantError(t, o, task.Failed, "exit"); e.ExitCode != want {
			t.Errorf("%s: %+v", body, e)
		}
		if o.Stdout != "said\n" {
			t.Errorf("%s: stdout %q", body, o.Stdout)
		}
		wantData(t, p.run(script("returns_params.py"), `"next"`), `"next"`)
	}
}

// what a task leaves is gone with its end.
const leaves = `import os, subprocess, sys, time
def main(params, context):
    r, w = os.pipe()
    def wait():
        os.write(w, b"%d\n" % os.getpid())
        if params.get("silent"):
            os.closerange(0, 50)
        time.sleep(1000)
    if params["how"] == "fork":
        if os.fork() == 0:
            wait()
    elif params["how"] == "daemon":
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                wait()
            os._exit(0)
    elif params["how"] == "many":
        for i in range(20):
            if os.fork() == 0:
                os.setsid()
                os.environ.clear()
                if os.fork() == 0:
                    wait()
                os._exit(0)
    pids = [int(os.read(r, 100).split()[0])]
    if params.get("hang"):
        import ctypes
        context.progress(0, str(pids[0]))
        lock = ctypes.create_string_buffer(256)
        for twice in range(2):
            ctypes.PyDLL(None).pthread_mutex_lock(lock)  # no signal ends that
    return pids
`

func TestNothingSurvivesItsTask(t *testing.T) {
	p := openApart(t, nil)
	path := written(t, leaves)
	for _, how := range []string{"fork", "daemon", "many"} {
		for _, silent := range []string{"false", "true"} {
			o := p.run(path, fmt.Sprintf(`{"how": %q, "silent": %s}`, how, silent))
			if o.Status != task.Completed {
				t.Fatalf("%s: %+v", how, o.Error)
			}
			pid, _ := strconv.Atoi(strings.Trim(string(o.Data), "[]"))
			if err := unix.Kill(pid, 0); pid <= 1 || err != unix.ESRCH {
				t.Errorf("%s: %s lives on: %v", how, o.Data, err)
			}
		}
	}
}

func TestAHungTaskIsKilled(t *testing.T) {
	p := openApart(t, nil)
	p.said = make(chan string, 1)
	p.hand(0, leaves, `{"how": "daemon", "hang": 1}`, nil)
	left := p.pids()
	p.stop(plugins.StopTimedOut)
	wantError(t, <-p.ended, task.TimedOut, "timed_out")
	if err := unix.Kill(left[0], 0); err != unix.ESRCH {
		t.Errorf("what it has left lives on: %v", err)
	}
	wantData(t, p.run(script("returns_params.py"), `"next"`), `"next"`)
}

func TestAStoppedTaskMayCleanUp(t *testing.T) {
	p := openApart(t, nil)
	for _, name := range []string{"cleans_up_when_cancelled.py", "awaits_for_ever.py"} {
		// On a machine that has no CPU to spare, the script may not come to its exception in time.
		var o plugins.Outcome
		for timeout := 500 * time.Millisecond; timeout < 20*time.Second && o.Stdout != "cleaned up\n"; timeout *= 2 {
			o = p.within(script(name), "1", timeout)
			wantError(t, o, task.TimedOut, "timed_out")
		}
		if o.Stdout != "cleaned up\n" {
			t.Errorf("%s: stdout %q", name, o.Stdout)
		}
	}
}

func TestATasksProcessMayFork(t *testing.T) {
	p := openApart(t, nil)
	path := written(t, `import multiprocessing
def twice(x):
    return 2 * x
def main(params, context):
    with multiprocessing.Pool(2) as pool:
        return pool.map(twice, params)
`)
	wantData(t, p.run(path, "[1, 2, 3]"), "[2, 4, 6]")
}

func TestAProcessHasNoDescriptorsOfOthers(t *testing.T) {
	p := openApart(t, nil)
	path := written(t, `import os
def main(params, context):
    return sorted(os.readlink("/proc/self/fd/" + fd).partition(":")[0] for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + fd))
`)
	for range 2 {
		wantData(t, p.run(path, "1"), `["/dev/null", "pipe", "pipe", "socket"]`)
	}
}

func TestAPlainScriptHasItsProcess(t *testing.T) {
	p := openApart(t, nil)
	path := written(t, "import sys\nprint(__name__, sys.argv[1:])\nsys.exit(7)\n")
	o := p.runFunction(path, "__main__", `["a", 1]`)
	if e := wantError(t, o, task.Failed, "exit"); e.ExitCode != 7 || o.Stdout != "__main__ ['a', '1']\n" {
		t.Errorf("%+v %q", e, o.Stdout)
	}
}

func TestATaskRunsAsItsCaller(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may become another")
	}
	p := openApart(t, map[string]string{"user": "caller"})
	text := `import os
def main(params, context):
    try:
        os.setuid(0)
    except PermissionError:
        pass
    status = dict(line.split(":\t") for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
    print("said", file=open("/dev/stdout", "w"))
    return [os.getresuid(), os.getresgid(), os.environ["USER"], os.environ["HOME"], os.getcwd(), status["NoNewPrivs"],
            int(status["CapEff"], 16), int(status["CapPrm"], 16), int(status["CapAmb"], 16), os.access("/etc/shadow", os.R_OK)]
`
	who, err := lookUp(65534)
	if err != nil {
		t.Skip(err)
	}
	p.seq++
	if err := p.Slot(0).Send(&plugins.Task{Seq: p.seq, ID: "task", Source: text, Function: "main", Type: task.CPUBound, Attempt: 1,
		Params: []byte("1"), RunAs: &who.UID}); err != nil {
		t.Fatal(err)
	}
	o := <-p.ended
	u, g := who.UID, who.GID
	wantData(t, o, fmt.Sprintf(`[[%d,%d,%d],[%d,%d,%d],%q,%q,"/","1",0,0,0,false]`, u, u, u, g, g, g, who.Name, who.Home))
	if o.Stdout != "said\n" {
		t.Errorf("stdout %q", o.Stdout)
	}
	wantError(t, p.run(script("returns_params.py"), "1"), task.Failed, "not_allowed")
}
