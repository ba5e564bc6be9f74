package client_test

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

func TestABatchIsSubmittedFollowedAndListed(t *testing.T) {
	engine, c, _ := serve(t)
	tasks := []*task.Task{newTask(ipctest.Held), newTask(ipctest.Missing), newTask(ipctest.Echo)}
	b, err := c.SubmitBatch(t.Context(), tasks)
	if err != nil || len(b.TaskIDs) != 3 || *b.TaskIDs[0] != tasks[0].ID || b.TaskIDs[1] != nil || len(b.Errors) != 1 || b.Errors[0].Line != 2 || b.Errors[0].Problem.Code != "script_not_found" {
		t.Fatalf("%+v %v", b, err)
	}
	if v, err := c.Batch(t.Context(), b.ID); err != nil || v.Total != 2 || v.Done || v.Tasks["running"] != 1 {
		t.Errorf("%+v %v", v, err)
	}
	var got []string
	for r, err := range c.BatchResults(t.Context(), b.ID) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(r.ID, r.Status))
		engine.End(tasks[0].ID, task.Result{Status: task.Failed})
	}
	if want := []string{fmt.Sprint(tasks[2].ID, task.Completed), fmt.Sprint(tasks[0].ID, task.Failed)}; !reflect.DeepEqual(got, want) {
		t.Errorf("results %v, want %v", got, want)
	}
	for v, err := range c.List(t.Context(), api.Filter{Batch: b.ID, Statuses: []task.Status{task.Failed}}) {
		if err != nil || v.ID != tasks[0].ID {
			t.Errorf("%+v %v", v, err)
		}
	}
}

func TestAListGoesThroughAllItsPages(t *testing.T) {
	_, c, _ := serve(t)
	const n = 1003
	var tasks []*task.Task
	for range n {
		x := newTask(ipctest.Echo)
		x.Params, x.Labels = nil, map[string]string{"a": "b=c"}
		tasks = append(tasks, x)
		if len(tasks) == n/3+1 {
			if _, err := c.SubmitBatch(t.Context(), tasks); err != nil {
				t.Fatal(err)
			}
			tasks = nil
		}
	}
	if _, err := c.SubmitBatch(t.Context(), tasks); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, err := range c.List(t.Context(), api.Filter{Labels: map[string]string{"a": "b=c"}}) {
		if count++; err != nil {
			t.Fatal(err)
		}
	}
	if count != n {
		t.Errorf("%d of %d", count, n)
	}
	for v, err := range c.List(t.Context(), api.Filter{Labels: map[string]string{"a": "c"}}) {
		t.Errorf("%+v %v", v, err)
	}
}

func TestEventsAreFollowedAndTakenUpAgain(t *testing.T) {
	_, c, _ := serve(t)
	x := newTask(ipctest.Chatty)
	if _, err := c.Submit(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	var last task.Cursor
	for ev, err := range c.Events(t.Context(), x.ID, last) {
		if err != nil {
			t.Fatal(err)
		}
		if last = ev.Cursor; ev.Kind == task.EventProgress {
			break
		}
	}
	var kinds []task.EventKind
	for ev, err := range c.Events(t.Context(), x.ID, last) {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, ev.Kind)
	}
	if fmt.Sprint(kinds) != "[log result]" {
		t.Errorf("%v", kinds)
	}
}

func TestAnAnswerThatWasCutOffIsAnError(t *testing.T) {
	engine, c, _ := serve(t)
	x := newTask(ipctest.Held)
	if _, err := c.Submit(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	go engine.Stop()
	for ev, err := range c.Events(t.Context(), x.ID, task.Cursor{}) {
		if !errors.Is(err, client.ErrCutOff) {
			t.Errorf("%+v %v", ev, err)
		}
	}
	var p *api.Problem
	for _, err := range c.Events(t.Context(), task.NewID(), task.Cursor{}) {
		if !errors.As(err, &p) || p.Code != "task_not_found" {
			t.Errorf("%v", err)
		}
	}
}

func TestTasksAreRunAgainAndCancelledTogether(t *testing.T) {
	_, c, _ := serve(t)
	x := newTask(ipctest.Held)
	x.Labels = map[string]string{"a": "b"}
	if _, err := c.Submit(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	again, err := c.Rerun(t.Context(), x.ID)
	if err != nil || again.ID == x.ID {
		t.Fatalf("%+v %v", again, err)
	}
	if n, err := c.CancelTasks(t.Context(), api.Filter{Labels: map[string]string{"a": "b"}}); n != 2 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	third := newTask(ipctest.Held)
	if _, err := c.Submit(t.Context(), third); err != nil {
		t.Fatal(err)
	}
	if n, err := c.CancelTasks(t.Context(), api.Filter{Batch: task.ID{}}); n != 0 || !errors.Is(err, client.ErrUnfiltered) {
		t.Errorf("by nothing: %d %v", n, err)
	}
	if n, err := c.CancelAll(t.Context()); n != 1 || err != nil {
		t.Errorf("all: %d %v", n, err)
	}
}

func TestTheDaemonIsAdministered(t *testing.T) {
	engine, c, _ := serve(t)
	engine.Rules.Private, engine.Rules.DaemonUID = true, uint32(os.Getuid())
	if err := errors.Join(c.Drain(t.Context()), c.Resume(t.Context()), c.Reload(t.Context()), c.RestartWorker(t.Context(), "cpu-0")); err != nil {
		t.Fatal(err)
	}
	var p *api.Problem
	if err := c.Reload(t.Context()); !errors.As(err, &p) || p.Code != "reload_failed" {
		t.Errorf("a bad configuration: %v", err)
	}
	if all, err := c.Workers(t.Context()); err != nil || len(all) != 2 || all[0].ID != "cpu-0" {
		t.Errorf("%+v %v", all, err)
	}
	if all, err := c.Executors(t.Context()); err != nil || len(all) != 1 || len(all[0].Pools) != 2 {
		t.Errorf("%+v %v", all, err)
	}
	if all, err := c.Schedules(t.Context()); err != nil || len(all) != 1 || all[0].Next == nil || all[0].Last != nil {
		t.Errorf("%+v %v", all, err)
	}
}

func TestAProgramIsSwappedAndRolledBack(t *testing.T) {
	engine, c, _ := serve(t)
	engine.Rules.Private, engine.Rules.DaemonUID = true, uint32(os.Getuid())
	d := task.Duration(time.Minute)
	req := api.SwapRequest{Command: "/next", SHA256: "ab", Canary: "10%", For: &d, Probe: []byte(`{"script_path":"/x.py"}`)}
	if s, err := c.Swap(t.Context(), "python", req, time.Minute); err != nil || s.Swap.State != api.SwapDone || s.Command != "/next" {
		t.Errorf("%+v %v", s, err)
	}
	if s, err := c.Swap(t.Context(), "python", api.SwapRequest{Command: "/starting"}, 0); err != nil || s.Swap.State.Ended() || s.Swap.Canary.Tasks != 3 {
		t.Errorf("%+v %v", s, err)
	}
	if s, err := c.Rollback(t.Context(), "python", time.Second); err != nil || s.Swap.State != api.SwapDone {
		t.Errorf("%+v %v", s, err)
	}
	var p *api.Problem
	for _, x := range []struct{ executor, command, code string }{{"python", "/broken", "swap_failed"}, {"python", "/busy", "swap_conflict"}, {"python", "", "invalid_swap"},
		{"ba na/na", "/next", "executor_not_found"}} {
		if _, err := c.Swap(t.Context(), x.executor, api.SwapRequest{Command: x.command}, 0); !errors.As(err, &p) || p.Code != x.code {
			t.Errorf("%+v: %v", x, err)
		}
	}
}

func TestWaitersForATaskThatIsAnotherAreTold(t *testing.T) {
	engine, c, _ := serve(t)
	s := openStream(t, c)
	keyed := func() *task.Task {
		x := newTask(ipctest.Held)
		x.Extra = &task.Extras{IdempotencyKey: "k"}
		return x
	}
	var all []*client.Pending
	for range 4 {
		p, err := s.Submit(t.Context(), keyed())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := s.Cancel(t.Context(), task.NewID()); err != nil { // refused
		t.Fatal(err)
	}
	if _, err := s.Do(t.Context(), newTask(ipctest.Echo)); err != nil { // all lines have been answered
		t.Fatal(err)
	}
	all[2].Forget()
	engine.End(all[0].ID, task.Result{Status: task.Completed})
	for _, i := range []int{0, 1, 3} {
		if r, err := all[i].Result(t.Context()); err != nil || r.ID != all[0].ID {
			t.Errorf("%d: %+v %v", i, r, err)
		}
	}
	select {
	case <-all[2].Done():
		t.Error("who gave up is told")
	default:
	}
}
