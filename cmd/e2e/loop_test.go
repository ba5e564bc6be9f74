package e2e_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc/client"
)

const loopConfig = `
executor "python" { command = "cpulb-python" }
pool "async" {
  executor = "python"
  task_types = ["io_bound"]
  workers = 1
  threads = 1
  async_concurrency = 1000
  pin = false
}
limits {
  cancel_grace = "200ms"
  fence_timeout = "500ms"
}
`

// submitted sends tasks on one stream.
func submitted(t *testing.T, d *daemon, path, params string, n int) []*client.Pending {
	t.Helper()
	s, err := client.New(d.socket).OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var all []*client.Pending
	for range n {
		p, err := s.Submit(t.Context(), &task.Task{ID: task.NewID(), ScriptPath: path, Function: task.DefaultFunction,
			Params: []byte(params), Type: task.IOBound, Priority: task.DefaultPriority})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func completed(t *testing.T, p *client.Pending) *task.Result {
	t.Helper()
	r, err := p.Result(context.Background())
	if err != nil || r.Status != task.Completed {
		t.Fatalf("%v %+v", err, r)
	}
	return r
}

func TestAPoolWithAsyncConcurrencyAwaitsAThousandTasksAtOnce(t *testing.T) {
	t.Parallel()
	d := start(t, loopConfig)
	path, err := filepath.Abs("../../plugins/python/testdata/awaits_its_neighbours.py")
	if err != nil {
		t.Fatal(err)
	}
	slots := map[int]bool{}
	for _, p := range submitted(t, d, path, "1000", 1000) {
		slots[completed(t, p).Worker.Slot] = true
	}
	if len(slots) != 1000 {
		t.Errorf("they ran on %d slots", len(slots))
	}
}

// A loop can't run `def main`: it goes to a thread, and counts as one attempt.
func TestAPoolWithAsyncConcurrencyRunsOtherScriptsOnItsThreads(t *testing.T) {
	t.Parallel()
	d := start(t, loopConfig)
	for _, p := range submitted(t, d, script(t, "def main(p, c):\n    return [c.attempt, c.slot]\n"), "{}", 50) {
		if r := completed(t, p); string(r.Data) != "[1,0]" || r.Attempts != 1 {
			t.Fatalf("data %s, %d attempts", r.Data, r.Attempts)
		}
	}
}

func TestACoroutineThatHogsItsLoopIsStoppedAndItsNeighboursGoOn(t *testing.T) {
	t.Parallel()
	d := start(t, loopConfig)
	pid := d.untilReady("async-0", 0)
	hog := script(t, "async def main(p, c):\n    while True: pass\n")
	neighbours := submitted(t, d, script(t, "import asyncio\nasync def main(p, c):\n    await asyncio.sleep(1)\n    return 1\n"), "{}", 100)
	code, r := d.call("POST", "/v1/tasks?wait=10m", fmt.Sprintf(`{"script_path":%q,"task_type":"io_bound","timeout":"300ms"}`, hog))
	if code != 200 || r["status"] != "timed_out" {
		t.Fatalf("%d %v", code, r)
	}
	for _, p := range neighbours {
		if r := completed(t, p); r.Attempts != 1 {
			t.Errorf("a neighbour ran %d times", r.Attempts)
		}
	}
	if now := d.untilReady("async-0", 0); now != pid {
		t.Errorf("the worker was replaced:\n%s", d.log)
	}
}

// One that catches whatever it is stopped by costs its worker: its neighbours run again.
func TestACoroutineThatCantBeStoppedCostsItsNeighboursAReplay(t *testing.T) {
	t.Parallel()
	d := start(t, loopConfig)
	hog := script(t, "async def main(p, c):\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass\n")
	neighbours := submitted(t, d, script(t, "import asyncio\nasync def main(p, c):\n    await asyncio.sleep(0.5)\n    return 1\n"), "{}", 100)
	code, r := d.call("POST", "/v1/tasks?wait=10m", fmt.Sprintf(`{"script_path":%q,"task_type":"io_bound","timeout":"300ms"}`, hog))
	if code != 200 || r["status"] != "timed_out" {
		t.Fatalf("%d %v", code, r)
	}
	for _, p := range neighbours {
		if r := completed(t, p); r.Attempts > 2 {
			t.Errorf("a neighbour ran %d times", r.Attempts)
		}
	}
}

// It has begun, though nothing that says so has left the worker.
func TestACoroutineThatEndsItsProcessIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	d := start(t, loopConfig)
	path := script(t, "import os\nasync def main(p, c):\n    os._exit(3)\n")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := submitted(t, d, path, "1", 1)[0].Result(ctx)
	if err != nil || r.Error == nil || r.Error.Code != "worker_lost" || r.Attempts != 2 {
		t.Errorf("%v %+v", err, r)
	}
}
