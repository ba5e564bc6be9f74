package python

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

// What a script does that wants to stay, to be believed, or to hold others up.

// frames is how a script sends frames of its own: the kind, a number, and no text.
const frames = `import os, stat, struct, time, signal

def connection():
    return next(fd for fd in range(3, 100) if os.path.exists("/proc/self/fd/%d" % fd) and stat.S_ISSOCK(os.fstat(fd).st_mode))

def frame(kind, number=1.0, text=b""):
    return struct.pack("=qdQ", kind, number, len(text)) + text

for number in range(62, 65):
    signal.signal(number, signal.SIG_IGN)
`

// untilStopped runs a task that never ends by itself, and wants its stop to be over by the end of all that a stop
// may take.
func untilStopped(t *testing.T, p *process, text string) {
	t.Helper()
	o := p.within(written(t, text), "1", 200*time.Millisecond)
	wantError(t, o, task.TimedOut, "timed_out")
	wantData(t, p.run(script("returns_params.py"), `"next"`), `"next"`)
}

func TestForgedWordsOfAStopDoNotPutItOff(t *testing.T) {
	for _, kind := range []int{kindAsked, kindRaised} {
		p := openApart(t, nil)
		untilStopped(t, p, frames+fmt.Sprintf(`
def main(params, context):
    while True:
        os.write(connection(), frame(%d))
        time.sleep(0.01)
`, kind))
	}
}

func TestAFloodOfFramesDoesNotPutAStopOff(t *testing.T) {
	p := openApart(t, nil)
	o := p.within(written(t, frames+`
def main(params, context):
    fd = connection()
    keep = os.dup(fd)
    many = frame(2) * 2000
    for i in range(8):
        if os.fork() == 0:
            while True:
                os.write(keep, many)
    while True:
        os.write(fd, many)
`), "1", 200*time.Millisecond)
	if o.Status != task.TimedOut && !strings.Contains(o.Error.Message, "what is no message") { // by many at a time
		t.Errorf("%s %+v", o.Status, o.Error)
	}
	wantData(t, p.run(script("returns_params.py"), `"next"`), `"next"`)
}

func TestAForgedFaultIsTheTasksOwn(t *testing.T) {
	p := openApart(t, nil)
	o := p.run(written(t, frames+`
import json
def main(params, context):
    head = json.dumps({"status": 3, "code": "executor", "type": "OSError", "message": "forged", "fault": 1})
    text = json.dumps({"wall": 1, "cpu": 1, "size": 0, "head": head}).encode()
    os.write(connection(), frame(13, float(len(text)), text))
    time.sleep(1000)
`), "1")
	if o.Status != task.Failed || o.Fault != plugins.NoFault || o.Spent {
		t.Errorf("%+v %+v", o, o.Error)
	}
	wantData(t, p.run(script("returns_params.py"), `"next"`), `"next"`)
}

// pidsIn reads the numbers of which a list of JSON consists.
func pidsIn(t *testing.T, o plugins.Outcome) (pids []int) {
	t.Helper()
	for word := range strings.SplitSeq(strings.Trim(string(o.Data), "[]"), ",") {
		pid, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil {
			t.Fatalf("%s %s %+v", o.Status, o.Data, o.Error)
		}
		pids = append(pids, pid)
	}
	return pids
}

// The task before takes long to end, as its memory is large; nothing that it does is below the next one.
func TestTheEndOfATaskIsNoneOfTheNextOnes(t *testing.T) {
	p := openApart(t, nil)
	pids := pidsIn(t, p.run(written(t, "import os\ndef main(params, context):\n    global x\n    x = bytearray(b'x') * 300_000_000\n    return [os.getpid()]\n"), "1"))
	wantData(t, p.run(written(t, `import os, subprocess
def main(pid, context):
    left = int(subprocess.run(["sh", "-c", "sleep 1000 >/dev/null & echo $!"], stdout=subprocess.PIPE).stdout)
    while os.path.exists("/proc/%d" % pid):
        pass
    os.kill(left, 0)
    return open("/proc/%d/comm" % left).read()
`), strconv.Itoa(pids[0])), `"sleep\n"`)
}

func TestWhatForksOnAndOnEndsWithItsTask(t *testing.T) {
	p := openApart(t, nil)
	mark := "cpulb-hops-" + strconv.Itoa(unix.Getpid())
	wantData(t, p.run(written(t, `import os, subprocess
def main(mark, context):
    hops = "f() { f & }; f"
    for i in range(30):
        subprocess.Popen(["setsid", "sh", "-c", hops, mark])
    return None
`), strconv.Quote(mark)), "null")
	for _, pid := range withArgument(t, mark) {
		t.Errorf("process %d lives on", pid)
	}
	wantData(t, p.run(script("returns_params.py"), `"next"`), `"next"`)
}

// A process that somebody traces can't be waited for, when it has ended, by its parent.
func TestATracerHoldsNobodyUp(t *testing.T) {
	const trace = `import ctypes, os, time
SEIZE, libc = 0x4206, ctypes.CDLL(None, use_errno=True)
def tracer(pid):
    ready, say = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(say, b"!" if libc.ptrace(SEIZE, pid, None, None) == 0 else b"?")
        finally:
            time.sleep(1000)
    return os.read(ready, 1) == b"!"
def main(params, context):
    if not tracer(os.getpid()):
        return "refused"
`
	for name, rest := range map[string]string{"returns": "    return 1\n", "is killed": "    os.kill(os.getpid(), 9)\n", "hangs": "    while True:\n        pass\n"} {
		t.Run(name, func(t *testing.T) {
			p := openApart(t, nil)
			o := p.within(written(t, trace+rest), "1", 300*time.Millisecond)
			if string(o.Data) == `"refused"` {
				t.Skip("nobody may trace another here")
			}
			wantData(t, p.run(script("returns_params.py"), `"next"`), `"next"`)
		})
	}
}

// withArgument returns the processes that have a word among their arguments.
func withArgument(t *testing.T, word string) (pids []int) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil && slices.Contains(strings.Split(string(text), "\x00"), word) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}
