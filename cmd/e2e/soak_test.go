package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

const oneWorker = `
executor "python" { command = "cpulb-python" }
pool "one" {
  executor = "python"
  task_types = ["cpu_bound"]
  workers = 1
}
`

// soaked are scripts of many kinds, with their params and function.
var soaked = []struct{ script, params, function string }{
	{"returns_params.py", `{"value": [1, 2.5, "ü"]}`, "main"},
	{"takes_params_only.py", `{"value": 21}`, "main"},
	{"prints_per_task.py", `{"name": "soak"}`, "main"},
	{"raises_value_error.py", `1`, "main"},
	{"raises_chained.py", `1`, "main"},
	{"yields.py", `{"count": 5}`, "main"},
	{"awaits.py", `[1, 2]`, "main"},
	{"async_yields.py", `null`, "main"},
	{"sends_events.py", `null`, "main"},
	{"exits_with_3.py", `1`, "main"},
	{"plain_script.py", `["0"]`, "__main__"},
	{"returns_what_is_named.py", `"dataclass"`, "main"},
	{"returns_what_is_named.py", `"nan"`, "main"},
	{"siblings_a/script.py", `null`, "main"},
	{"siblings_b/script.py", `null`, "main"},
	{"pickles_its_class.py", `7`, "main"},
	{"syntax_error.py", `1`, "main"},
	{"no_main.py", `1`, "main"},
}

// held is what a process holds of the machine.
type held struct{ rssBytes, threads, descriptors int }

func holds(t *testing.T, pid int) (h held) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch name {
		case "VmRSS":
			h.rssBytes = n << 10
		case "Threads":
			h.threads = n
		}
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	h.descriptors = len(fds)
	return h
}

// soak runs n tasks, 32 at a time under way.
func soak(t *testing.T, d *daemon, n int) {
	t.Helper()
	s, err := client.New(d.socket).OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	folder, err := filepath.Abs("../../plugins/python/testdata")
	if err != nil {
		t.Fatal(err)
	}
	const under = 32
	var all sync.WaitGroup
	for first := range under {
		all.Go(func() {
			for i := first; i < n; i += under {
				c := soaked[i%len(soaked)]
				r, err := s.Do(t.Context(), &task.Task{ID: task.NewID(), ScriptPath: filepath.Join(folder, c.script), Function: c.function,
					Params: []byte(c.params), Type: task.CPUBound, Priority: task.DefaultPriority})
				if err != nil || !r.Status.Terminal() || r.Error != nil && r.Error.Code == "executor" {
					t.Errorf("%s: %v %+v", c.script, err, r)
					return
				}
			}
		})
	}
	all.Wait()
}

// `make soak-python` runs it at full size.
func TestAWorkerHoldsNoMoreAfterManyTasks(t *testing.T) {
	t.Parallel()
	tasks := inShort(1_000, 3_000)
	if text := os.Getenv("CPULB_SOAK_TASKS"); text != "" {
		var err error
		if tasks, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	d := start(t, oneWorker)
	_, answer := d.call("GET", "/v1/workers", "")
	pid := int(answer["workers"].([]any)[0].(map[string]any)["pid"].(float64))
	soak(t, d, max(tasks/5, 1_000))
	before := holds(t, pid)
	soak(t, d, tasks)
	after := holds(t, pid)
	t.Logf("%d tasks: RSS %+d bytes (%d), threads %d to %d, descriptors %d to %d", tasks, after.rssBytes-before.rssBytes, after.rssBytes,
		before.threads, after.threads, before.descriptors, after.descriptors)
	if after.rssBytes > before.rssBytes+5<<20 || after.threads > before.threads+2 || after.descriptors > before.descriptors {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if restarts := func() float64 {
		_, answer := d.call("GET", "/v1/workers", "")
		return answer["workers"].([]any)[0].(map[string]any)["restarts"].(float64)
	}(); restarts != 0 {
		t.Errorf("the worker was restarted %v times", restarts)
	}
}
