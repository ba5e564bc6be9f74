package python

import (
	"strconv"
	"testing"

	"cpulb/daemon/task"
)

func TestCPUTimeAndMemoryAreBounded(t *testing.T) {
	p := openApart(t, map[string]string{"cpu_time": "1s", "memory": strconv.Itoa(512 << 20)})
	o := p.run(written(t, "def main(params, context):\n    while True:\n        pass\n"), "1")
	wantError(t, o, task.Failed, "cpu_time")
	o = p.run(written(t, "def main(params, context):\n    return len(bytearray(1 << 30))\n"), "1")
	if e := wantError(t, o, task.Failed, "exception"); e.Type != "MemoryError" {
		t.Errorf("%+v", e)
	}
	wantData(t, p.run(script("returns_params.py"), `"next"`), `"next"`)
}

// takes uses up CPU time and memory, itself or in a child, and says what became of the child.
const takes = `import os, signal, time
def take(seconds, size):
    held = bytearray(size)
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return len(held)

def main(params, context):
    if not params["child"]:
        return take(params["seconds"], params["size"])
    child = os.fork()
    if child == 0:
        try:
            take(params["seconds"], params["size"])
        except MemoryError:
            os._exit(3)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
`

func TestAChildsCPUTimeAndMemoryAreItsOwn(t *testing.T) {
	p := openApart(t, map[string]string{"cpu_time": "1s", "memory": strconv.Itoa(512 << 20)})
	path := written(t, takes)
	wantData(t, p.run(path, `{"child": true, "seconds": 60, "size": 0}`), `"SIGXCPU"`)
	wantData(t, p.run(path, `{"child": true, "seconds": 0, "size": 1073741824}`), "3")
	wantData(t, p.run(path, `{"child": true, "seconds": 0.1, "size": 1000}`), "0")
}

func TestEachTaskOfAProcessHasItsCPUTimeAndMemory(t *testing.T) {
	p := openApart(t, map[string]string{"cpu_time": "2s", "memory": strconv.Itoa(192 << 20), "max_tasks": "10"})
	path := written(t, takes)
	// More than one of them might have in all, and each far from it. Those that take the one take
	// little of the other: on a busy machine memory alone is seconds of CPU time.
	for range 2 {
		wantData(t, p.run(path, `{"child": false, "seconds": 0, "size": 110000000}`), "110000000")
	}
	for range 6 {
		wantData(t, p.run(path, `{"child": false, "seconds": 0.4, "size": 1000}`), "1000")
	}
	wantError(t, p.run(path, `{"child": false, "seconds": 60, "size": 0}`), task.Failed, "cpu_time")
}
