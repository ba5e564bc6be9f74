package python

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

// waitGone waits until a process has ended; it fails the test when that takes for ever.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(hangs/time.Millisecond))
		if err == unix.EINTR {
			continue
		}
		if n != 1 {
			t.Fatalf("process %d lives on", pid)
		}
		return
	}
}

// pidOf runs a task whose result is a number.
func pidOf(t *testing.T, o plugins.Outcome) int {
	t.Helper()
	pid, err := strconv.Atoi(string(o.Data))
	if err != nil || pid <= 1 {
		t.Fatalf("%s %s %+v", o.Status, o.Data, o.Error)
	}
	return pid
}

// waitsWithOthers starts processes, whatever sessions and parents they take, and says which these are, and its own.
const waitsWithOthers = `import os, signal, time
def main(params, context):
    ours, theirs = os.pipe()
    for i in range(params["count"]):
        if os.fork() == 0:
            if i % 2:
                os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if os.fork():
                os._exit(0)
            os.write(theirs, b"%d " % os.getpid())
            while True:
                time.sleep(1000)
    os.close(theirs)
    said = b""
    while len(said.split()) < params["count"] or said[-1:] != b" ":
        said += os.read(ours, 4096)
    context.progress(0, said.decode() + "%d %d" % (os.getpid(), os.getppid()))
    while True:
        time.sleep(1000)
`

// pids returns the numbers in what a task has said.
func (p *process) pids() (pids []int) {
	p.t.Helper()
	for text := range strings.FieldsSeq(p.hears()) {
		pid, err := strconv.Atoi(text)
		if err != nil || pid <= 1 {
			p.t.Fatalf("%q: %v", text, err)
		}
		pids = append(pids, pid)
	}
	return pids
}

func TestATaskEndsWithItsWorker(t *testing.T) {
	p := openApart(t, nil)
	p.said = make(chan string, 1)
	p.hand(0, waitsWithOthers, `{"count": 4}`, nil)
	pids := p.pids()
	if len(pids) != 6 {
		t.Fatal(pids)
	}
	if err := unix.Kill(p.PID(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		waitGone(t, pid)
	}
}

func TestAScriptThatKillsWhatForksCostsTheWorkerAndNotTheDaemon(t *testing.T) {
	p := openApart(t, nil)
	o := p.run(written(t, "import os\ndef main(params, context):\n    os.kill(os.getppid(), 9)\n    while True:\n        pass\n"), "1")
	if o.Status != task.Failed || o.Fault != plugins.Ran || !o.Spent {
		t.Errorf("%+v %+v", o, o.Error)
	}
}

func TestManyProcessesEndWithTheirTask(t *testing.T) {
	p := openApart(t, nil)
	p.said = make(chan string, 1)
	many := inShort(30, 100)
	p.hand(0, waitsWithOthers, fmt.Sprintf(`{"count": %d}`, many), nil)
	pids := p.pids()
	if len(pids) != many+2 {
		t.Fatal(pids)
	}
	p.stop(plugins.StopCancelled)
	wantError(t, <-p.ended, task.Cancelled, "cancelled")
	for _, pid := range pids[:many+1] { // the last is the slot's process
		if err := unix.Kill(pid, 0); err != unix.ESRCH {
			t.Errorf("%d lives on: %v", pid, err)
		}
	}
	wantData(t, p.run(script("returns_params.py"), `"next"`), `"next"`)
}

func TestAForkedChildDoesNotAnswerForItsTask(t *testing.T) {
	p := openApart(t, nil)
	path := written(t, "import os\ndef main(params, context):\n    child = os.fork()\n    if child:\n        os.waitpid(child, 0)\n    else:\n        context.progress(0.5)\n    return bool(child)\n")
	wantData(t, p.run(path, "1"), "true")
}

// Nobody can learn any more how such a task ends: it does not go on without a bound.
func TestATaskThatHasClosedItsConnectionEnds(t *testing.T) {
	p := openApart(t, nil)
	o := p.run(written(t, "import os, time\ndef main(params, context):\n    os.closerange(3, 1000)\n    while True:\n        time.sleep(1000)\n"), "1")
	wantError(t, o, task.Failed, "exit")
	if !strings.Contains(o.Error.Message, "has closed its connection to the worker") || o.Error.ExitCode != 137 {
		t.Errorf("%+v", o.Error)
	}
	wantData(t, p.run(script("returns_params.py"), `"next"`), `"next"`)
}

func TestTasksNeedTheTemplateNoMoreOnceTheWorkerIsReady(t *testing.T) {
	p := openApart(t, nil)
	template := pidOf(t, p.run(written(t, "import os\ndef main(params, context):\n    return int(open('/proc/%d/stat' % os.getppid()).read().rpartition(')')[2].split()[1])\n"), "1"))
	if err := unix.Kill(template, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitGone(t, template)
	for range 3 {
		wantData(t, p.run(script("returns_params.py"), `"next"`), `"next"`)
	}
	if _, err := p.Health(t.Context()); err != nil {
		t.Error(err)
	}
}
