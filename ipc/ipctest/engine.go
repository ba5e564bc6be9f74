// Package ipctest lets tests talk to a real ipc.Server without workers: Engine
// stands in for the daemon's, and what a task does follows from the name of its
// script. It guarantees what the server relies on: events of one task come one at
// a time, the result last, perhaps before Submit returns.
package ipctest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"cpulb/daemon"
	"cpulb/daemon/access"
	"cpulb/daemon/task"
	"cpulb/ipc"
)

// The scripts that Engine knows; any other ends as Echo does.
const (
	// Echo completes at once, before Submit returns, with its params as data.
	Echo = "/echo.py"
	// Held runs until End or Cancel.
	Held = "/held.py"
	// Raises fails with a traceback, having printed to stdout and stderr.
	Raises = "/raises.py"
	// Chatty tells an event of every kind, then completes.
	Chatty = "/chatty.py"
	// Missing, Full, Draining and Broken are refused.
	Missing  = "/missing.py"
	Full     = "/full.py"
	Draining = "/draining.py"
	Broken   = "/broken.py"
)

// Engine is a stand-in for the daemon's. It is safe for concurrent use.
type Engine struct {
	// Engine is nil: a call that is not here panics.
	ipc.Engine
	// ReadyError is what Ready returns; set it before serving.
	ReadyError error

	mu    sync.Mutex
	tasks map[task.ID]*record
	// changed is closed and replaced at every change.
	changed chan struct{}
}

type record struct {
	task     *task.Task
	status   task.Status
	result   *task.Result
	watchers []task.Watcher
	done     chan struct{}
	events   uint64
}

// New returns an Engine without tasks.
func New() *Engine {
	return &Engine{tasks: map[task.ID]*record{}, changed: make(chan struct{})}
}

// Submit implements ipc.Engine.
func (e *Engine) Submit(who access.Identity, t *task.Task, w task.Watcher, done func(task.View, error)) {
	if err := refusal(t); err != nil {
		done(task.View{}, err)
		return
	}
	r, known := e.add(t, w)
	if !r.task.Same(t) {
		done(task.View{}, fmt.Errorf("%w: %s", task.ErrConflict, t.ID))
		return
	}
	if !known {
		e.start(r)
	}
	done(e.View(who, t.ID))
}

func refusal(t *task.Task) error {
	switch t.ScriptPath {
	case Missing:
		return &task.FieldError{Field: "script_path", Code: "script_not_found", Problem: "\"" + Missing + "\" does not exist"}
	case Full:
		return fmt.Errorf("%w: 3 tasks wait", task.ErrQueueFull)
	case Draining:
		return task.ErrDraining
	case Broken:
		return errors.New("a cable came loose")
	}
	return nil
}

func (e *Engine) add(t *task.Task, w task.Watcher) (r *record, known bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r = e.tasks[t.ID]; r != nil {
		return r, true
	}
	r = &record{task: t, status: task.Running, done: make(chan struct{})}
	if w != nil {
		r.watchers = append(r.watchers, w)
	}
	e.tasks[t.ID] = r
	close(e.changed)
	e.changed = make(chan struct{})
	return r, false
}

func (e *Engine) start(r *record) {
	id := r.task.ID
	switch r.task.ScriptPath {
	case Held:
	case Raises:
		e.End(id, task.Result{Status: task.Failed, Stdout: "before\n", Stderr: "oops\n",
			Error: &task.Error{Type: "ValueError", Message: "too small", Traceback: "Traceback:\n  raises.py, line 2\n", Code: "exception"}})
	case Chatty:
		status, half := task.Running, 0.5
		e.tell(r, task.Event{Kind: task.EventState, Status: &status})
		e.tell(r, task.Event{Kind: task.EventPartial, Value: json.RawMessage("{\n\"part\": 1}")})
		e.tell(r, task.Event{Kind: task.EventProgress, Fraction: &half, Message: "half way"})
		e.tell(r, task.Event{Kind: task.EventLog, Level: "info", Message: "a <line>\nand another"})
		e.End(id, task.Result{Status: task.Completed, Data: json.RawMessage("\"done\"")})
	default:
		e.End(id, task.Result{Status: task.Completed, Data: r.task.Params})
	}
}

// tell numbers ev and hands it to the watchers who want it.
func (e *Engine) tell(r *record, ev task.Event) {
	e.mu.Lock()
	r.events++
	ev.ID, ev.Cursor = r.task.ID, task.Cursor{Attempt: 1, Seq: r.events}
	watchers := r.watchers
	e.mu.Unlock()
	for _, w := range watchers {
		if ev.Kind == task.EventResult || w.Verbose() {
			w.TaskEvent(&ev)
		}
	}
}

// End ends a task with r, of which it fills in what every Result has.
func (e *Engine) End(id task.ID, r task.Result) {
	e.mu.Lock()
	rec := e.tasks[id]
	if rec == nil || rec.result != nil {
		e.mu.Unlock()
		return
	}
	now := time.Now()
	r.ID, r.Attempts, r.SubmittedAt, r.StartedAt, r.FinishedAt = id, 1, now, &now, now
	r.Worker = &task.Worker{ID: "cpu-0", Executor: "python", Pool: "cpu", PID: 4242, Core: 1}
	rec.status, rec.result = r.Status, &r
	close(rec.done)
	e.mu.Unlock()
	e.tell(rec, task.Event{Kind: task.EventResult, Result: &r})
}

// AwaitTasks returns once n tasks have been submitted, or ctx is done.
func (e *Engine) AwaitTasks(ctx context.Context, n int) error {
	for {
		e.mu.Lock()
		have, changed := len(e.tasks), e.changed
		e.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d tasks: %w", have, n, ctx.Err())
		}
	}
}

// Last returns the task submitted last, by the order of ids.
func (e *Engine) Last() *task.Task {
	e.mu.Lock()
	defer e.mu.Unlock()
	var last *task.Task
	for _, r := range e.tasks {
		if last == nil || r.task.ID.String() > last.ID.String() {
			last = r.task
		}
	}
	return last
}

func (e *Engine) find(id task.ID) (*record, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.tasks[id]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("%w: %s", task.ErrNotFound, id)
}

// View implements ipc.Engine.
func (e *Engine) View(_ access.Identity, id task.ID) (task.View, error) {
	r, err := e.find(id)
	if err != nil {
		return task.View{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return task.View{ID: id, Status: r.status, ScriptPath: r.task.ScriptPath, Function: r.task.Function, Type: r.task.Type, Pool: "cpu",
		Priority: r.task.Priority, Labels: r.task.Labels}, nil
}

// Result implements ipc.Engine.
func (e *Engine) Result(ctx context.Context, _ access.Identity, id task.ID) (*task.Result, error) {
	r, err := e.find(id)
	if err != nil {
		return nil, err
	}
	select {
	case <-r.done:
		return r.result, nil
	default:
	}
	select {
	case <-r.done:
		return r.result, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Cancel implements ipc.Engine.
func (e *Engine) Cancel(who access.Identity, id task.ID) (task.View, error) {
	if _, err := e.find(id); err != nil {
		return task.View{}, err
	}
	e.End(id, task.Result{Status: task.Cancelled, Error: &task.Error{Type: "TaskCancelled", Message: "the task was cancelled", Code: "cancelled"}})
	return e.View(who, id)
}

// Ready implements ipc.Engine.
func (e *Engine) Ready() error { return e.ReadyError }

// Workers implements ipc.Engine.
func (e *Engine) Workers(ctx context.Context) []daemon.WorkerStatus {
	return e.Status(ctx).Components["process_pool"].Metrics["workers"].([]daemon.WorkerStatus)
}

// Stacks implements ipc.Engine: cpu-0 has stacks, io-0 can't tell them now.
func (e *Engine) Stacks(_ context.Context, _ access.Identity, worker string) (string, error) {
	switch worker {
	case "cpu-0":
		return "slot 0: idle\n", nil
	case "io-0":
		return "", fmt.Errorf("%w: later", task.ErrNoStacks)
	}
	return "", fmt.Errorf("%w: %s", task.ErrNoWorker, worker)
}

// Status implements ipc.Engine.
func (e *Engine) Status(context.Context) daemon.Status {
	return daemon.Status{
		Engine: daemon.EngineStatus{IsRunning: true, Version: "1.2.3", PID: 77, UptimeSeconds: 61, Tasks: map[string]int{"completed": 5}},
		Components: map[string]daemon.Component{
			"input_queue": {Health: daemon.Healthy, Metrics: map[string]any{"size": 2}},
			"process_pool": {Health: daemon.Degraded, Reason: "worker cpu-1 is starting", Metrics: map[string]any{
				"total_workers": 2,
				"workers": []daemon.WorkerStatus{
					{ID: "cpu-0", Pool: "cpu", Executor: "python", Runtime: "CPython 3.11.2", PID: 4242, Core: 1, CPUsAllowed: "1", State: "ready",
						Slots: 1, SlotsBusy: 1, TasksDone: 12345678, Restarts: 3, RSSBytes: 10 << 20},
					{ID: "io-0", Pool: "io", Executor: "python", PID: 4243, Core: -1, CPUsAllowed: "0-1", State: "starting", Slots: 8},
				}}},
		},
	}
}
