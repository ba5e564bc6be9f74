package executors_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/internal/owndaemon"
	"cpulb/internal/programs"
	"cpulb/ipc/client"
	"cpulb/plugins/executortest"
)

// patience is how long a test waits before it takes what it waits for for hung.
const patience = 2 * time.Minute

// threads are the slots of the daemon's one worker.
const threads = 4

// daemon is a cpulbd whose one pool is of an example.
type daemon struct {
	*testing.T
	*client.Client
	own *owndaemon.Daemon
	e   example
}

func (e example) daemon(t *testing.T) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "cpulb") // t.TempDir is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := programs.Into(dir, "cpulbd"); err != nil {
		t.Fatal(err)
	}
	config, socket := filepath.Join(dir, "config.hcl"), filepath.Join(dir, "cpulb.sock")
	text := fmt.Sprintf("executor %q {\n  command = %q\n}\npool \"p\" {\n  executor = %q\n  task_types = [\"cpu_bound\", \"io_bound\"]\n  workers = 1\n"+
		"  threads = %d\n  pin = false\n}\n", e.name, e.command, e.name, threads)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "cpulbd"), "-private", "-config", config, "-socket", socket, "-state-dir", filepath.Join(dir, "state"))
	own, err := owndaemon.Start(t.Context(), cmd, &owndaemon.Log{})
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{T: t, Client: client.New(socket), own: own, e: e}
	t.Cleanup(func() {
		d.Client.Close()
		own.Kill() // it may have ended
		if t.Failed() {
			t.Log(own.Log)
		}
	})
	return d
}

func (d *daemon) task(b executortest.Behaviour, params string) *task.Task {
	d.Helper()
	return &task.Task{ID: task.NewID(), ScriptPath: d.e.scripts[b], Function: "main", Params: json.RawMessage(params), Type: task.IOBound, Priority: 5}
}

// run runs a task to its end.
func (d *daemon) run(b executortest.Behaviour, params string) *task.Result {
	d.Helper()
	r, err := d.Client.Run(d.Context(), d.task(b, params))
	if err != nil {
		d.Fatal(err)
	}
	return r
}

func (d *daemon) mustEcho() {
	d.Helper()
	if r := d.run(executortest.Echo, `{"a":[1]}`); r.Status != task.Completed || string(r.Data) != `{"a":[1]}` {
		d.Fatalf("%s %s %+v", r.Status, r.Data, r.Error)
	}
}

// running submits a task that blocks, and returns once it runs.
func (d *daemon) running() task.ID {
	d.Helper()
	t := d.task(executortest.BlocksUntilStopped, "{}")
	if _, err := d.Submit(d.Context(), t); err != nil {
		d.Fatal(err)
	}
	d.runs(t.ID, 1)
	return t.ID
}

// runs waits until a task has begun so many times.
func (d *daemon) runs(id task.ID, times int) {
	d.Helper()
	for ev, err := range d.Events(d.Context(), id, task.Cursor{}) {
		switch {
		case err != nil:
			d.Fatal(err)
		case ev.Result != nil:
			d.Fatalf("it has ended: %+v", ev.Result)
		case ev.Status != nil && *ev.Status == task.Running:
			times--
		}
		if times == 0 {
			return
		}
	}
}

// result waits for a task's end.
func (d *daemon) result(id task.ID) *task.Result {
	d.Helper()
	r, err := d.Result(d.Context(), id, patience)
	if err != nil {
		d.Fatal(err)
	}
	return r
}

// worker returns the ready worker once there is no other, and it is not the process with
// the pid before.
func (d *daemon) worker(before int) int {
	d.Helper()
	for hung := time.Now().Add(patience); time.Now().Before(hung); time.Sleep(10 * time.Millisecond) { // there is no event for it
		workers, err := d.Workers(d.Context())
		if err != nil {
			d.Fatal(err)
		}
		if len(workers) == 1 && workers[0].State == "ready" && workers[0].PID != before {
			return workers[0].PID
		}
	}
	d.Fatal("no worker gets ready")
	return 0
}

// serves holds a daemon with the example to what its callers see.
func serves(t *testing.T, e example) {
	d := e.daemon(t)
	d.manyTasks(1000)
	d.events()
	d.stops()
	d.replaces()
	d.leavesNothing()
}

func (d *daemon) manyTasks(n int) {
	d.Helper()
	var tasks []*task.Task
	for i := range n {
		tasks = append(tasks, d.task(executortest.Echo, fmt.Sprint(i)))
	}
	batch, err := d.SubmitBatch(d.Context(), tasks)
	if err != nil || len(batch.Errors) > 0 {
		d.Fatal(err, batch)
	}
	slots := map[int]bool{}
	for i, t := range tasks {
		r := d.result(t.ID)
		if r.Status != task.Completed || string(r.Data) != fmt.Sprint(i) || r.Stdout != fmt.Sprintln(t.ID) || r.Attempts != 1 {
			d.Fatalf("task %d: %s %s %q in %d attempts, %+v", i, r.Status, r.Data, r.Stdout, r.Attempts, r.Error)
		}
		slots[r.Worker.Slot] = true
	}
	if len(slots) != threads {
		d.Errorf("of %d slots these ran tasks: %v", threads, slots)
	}
}

func (d *daemon) events() {
	d.Helper()
	t := d.task(executortest.Events, "{}")
	if _, err := d.Submit(d.Context(), t); err != nil {
		d.Fatal(err)
	}
	var got string
	for ev, err := range d.Events(d.Context(), t.ID, task.Cursor{}) {
		switch {
		case err != nil:
			d.Fatal(err)
		case ev.Fraction != nil:
			got += fmt.Sprintf("%v %s, ", *ev.Fraction, ev.Message)
		case ev.Level != "":
			got += fmt.Sprintf("%s %s, ", ev.Level, ev.Message)
		case ev.Value != nil:
			got += fmt.Sprintf("%s, ", ev.Value)
		case ev.Result != nil:
			got += string(ev.Result.Data)
		}
	}
	if want := "0.5 half way, info hello, 1, 2, 3, [1,2,3]"; got != want {
		d.Errorf("events: %s, want %s", got, want)
	}
}

func (d *daemon) stops() {
	d.Helper()
	id := d.running()
	if _, err := d.Cancel(d.Context(), id); err != nil {
		d.Fatal(err)
	}
	if r := d.result(id); r.Status != task.Cancelled {
		d.Errorf("a cancelled task: %s %+v", r.Status, r.Error)
	}
	t := d.task(executortest.BlocksUntilStopped, "{}")
	t.Timeout = task.Duration(50 * time.Millisecond)
	r, err := d.Client.Run(d.Context(), t)
	if err != nil || r.Status != task.TimedOut {
		d.Errorf("a task that runs for too long: %+v %v", r, err)
	}
	d.mustEcho()
}

// replaces has the worker replaced in order and killed; what ran in it runs again.
func (d *daemon) replaces() {
	d.Helper()
	before := d.worker(0)
	workers, err := d.Workers(d.Context())
	if err != nil {
		d.Fatal(err)
	}
	if err := d.RestartWorker(d.Context(), workers[0].ID); err != nil {
		d.Fatal(err)
	}
	d.mustEcho()
	pid := d.worker(before)
	id := d.running()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		d.Fatal(err)
	}
	d.runs(id, 2) // alone: it may be the reason
	if _, err := d.Cancel(d.Context(), id); err != nil {
		d.Fatal(err)
	}
	if r := d.result(id); r.Status != task.Cancelled || r.Attempts != 2 {
		d.Errorf("a task whose worker was killed: %s in %d attempts, %+v", r.Status, r.Attempts, r.Error)
	}
	d.worker(pid)
	d.mustEcho()
}

// leavesNothing kills the daemon: its workers end, with what they have started.
func (d *daemon) leavesNothing() {
	d.Helper()
	d.worker(0)
	var child int
	if r := d.run(executortest.SpawnsChild, "{}"); json.Unmarshal(r.Data, &child) != nil {
		d.Fatalf("%s %s %+v", r.Status, r.Data, r.Error)
	}
	d.running()
	workers, err := d.Workers(d.Context())
	if err != nil {
		d.Fatal(err)
	}
	left := []*executortest.Watched{executortest.Watch(d, child)}
	for _, w := range workers {
		left = append(left, executortest.Watch(d, w.PID))
	}
	d.own.Kill()
	for _, w := range left {
		w.WaitGone(d)
	}
	if _, err := d.Workers(d.Context()); !errors.Is(err, client.ErrNoDaemon) {
		d.Errorf("the daemon answers: %v", err)
	}
}

func TestADaemonServesThePythonExample(t *testing.T) {
	notInBrief(t)
	t.Parallel()
	serves(t, python(t))
}

func TestADaemonServesTheNodeExample(t *testing.T) {
	notInBrief(t)
	t.Parallel()
	serves(t, node(t))
}

// notInBrief skips what make test runs, and CI leaves out for its time.
func notInBrief(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: make test-examples runs it")
	}
}
