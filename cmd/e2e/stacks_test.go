package e2e_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// running submits a script and returns once it says that it runs.
func (d *daemon) running(path, taskType string) string {
	d.t.Helper()
	_, view := d.call("POST", "/v1/tasks", fmt.Sprintf(`{"script_path":%q,"task_type":%q}`, path, taskType))
	id, _ := view["task_id"].(string)
	d.untilRunning(id)
	return id
}

func (d *daemon) stacks(worker string) (string, error) {
	bin, err := programs()
	if err != nil {
		d.t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(bin, "cpulb"), "--socket", d.socket, "stacks", worker).CombinedOutput()
	return string(out), err
}

func TestStacksShowWhereATaskIs(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	path := script(t, "import time\ndef waits_here():\n    time.sleep(600)\ndef main(p, c):\n    waits_here()\n")
	id := d.running(path, "io_bound")
	d.until("the stacks show the task", func() bool { // it may be on its way there
		shown, err := d.stacks("io-0")
		if err != nil {
			t.Fatal(err, shown)
		}
		return strings.Contains(shown, "slot 0: task "+id) && strings.Contains(shown, "in waits_here") && strings.Contains(shown, "idle slots: 1, ")
	})
	if said, err := d.stacks("banana"); err == nil || !strings.Contains(said, "[worker_not_found]") {
		t.Errorf("%v %s", err, said)
	}
	d.call("DELETE", "/v1/tasks/"+id, "")
}

// A regular expression that backtracks for ever holds Python's lock.
const holdsTheLock = "import re\ndef main(p, c):\n    re.match('(a*)*b', 'a' * 60)\n"

// On a busy machine a worker may count as stalled when nobody holds its lock: what holds it here is named in the log.
func TestAHeldLockIsLoggedWithStacksAndHurtsNobody(t *testing.T) {
	t.Parallel()
	d := start(t, strings.Replace(testConfig, "limits {", "limits {\n  gil_stall = \"500ms\"", 1))
	id := d.running(script(t, holdsTheLock), "io_bound")
	d.until("the worker is degraded, and the log has the stacks of why", func() bool {
		log := d.log.String()
		return strings.Contains(log, "lock can't be taken") && strings.Contains(log, "script.py") &&
			slices.ContainsFunc(d.workers(), func(w map[string]any) bool { return w["id"] == "io-0" && w["degraded"] != nil })
	})
	if said, err := d.stacks("io-0"); err == nil || !strings.Contains(said, "[no_stacks]") {
		t.Errorf("%v %s", err, said)
	}
	if _, view := d.call("GET", "/v1/tasks/"+id, ""); view["status"] != "running" {
		t.Errorf("the task is %v", view["status"])
	}
	d.call("DELETE", "/v1/tasks/"+id, "") // costs the worker, as nothing else stops it
	if r := d.result(id); r["status"] != "cancelled" {
		t.Fatalf("result: %v", r)
	}
}
