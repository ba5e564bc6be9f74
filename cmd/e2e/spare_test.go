package e2e_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const seesItsCores = `import os, time
def main(params, context):
    while not os.path.exists(params):
        time.sleep(0.005)
    masks = {tuple(os.sched_getaffinity(int(i))) for i in os.listdir("/proc/self/task")}
    return [context.core, os.getpid(), sorted(masks)]
`

func TestASpareTakesTheSeatOnItsCore(t *testing.T) {
	t.Parallel()
	d := start(t, strings.Replace(testConfig, "workers = 2\n", "workers = 2\n  spare = 1\n", 1))
	spare := d.untilReady("cpu-spare-0", 0)
	if code, answer := d.call("POST", "/v1/workers/cpu-spare-0/restart", ""); code != 200 || d.readyPID("cpu-spare-0") == spare {
		t.Errorf("restart of the spare: %d %v", code, answer)
	}
	spare = d.readyPID("cpu-spare-0")
	for seat := 1; seat >= 0; seat-- { // the spare waits on the core of the other
		id := fmt.Sprintf("cpu-%d", seat)
		if err := syscall.Kill(int(d.readyPID(id)), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		d.until("the spare has the seat", func() bool { return d.readyPID(id) == spare })
		core := -1.0
		for _, w := range d.workers() {
			if w["id"] == id && w["state"] == "ready" {
				core = w["core"].(float64)
				if w["cpus_allowed"] != fmt.Sprint(core) {
					t.Errorf("the kernel says otherwise: %v", w)
				}
			}
		}
		goOn, waiting := filepath.Join(t.TempDir(), "go on"), script(t, seesItsCores)
		tasks := []string{d.cpuTask(waiting, goOn), d.cpuTask(waiting, goOn)} // one for each worker
		d.untilRunning(tasks...)
		touch(t, goOn)
		want, seen := fmt.Sprintf("[%v %v [[%v]]]", core, spare, core), ""
		for _, task := range tasks {
			seen += fmt.Sprint(d.result(task)["data"])
		}
		if !strings.Contains(seen, want) {
			t.Errorf("the tasks saw %s, want %s", seen, want)
		}
		spare = d.untilReady("cpu-spare-0", spare)
	}
}

// cpuTask hands in a task that waits for the file.
func (d *daemon) cpuTask(path, file string) string {
	d.t.Helper()
	_, view := d.call("POST", "/v1/tasks", fmt.Sprintf(`{"script_path":%q,"params":%s}`, path, mustJSON(file)))
	id, _ := view["task_id"].(string)
	return id
}
