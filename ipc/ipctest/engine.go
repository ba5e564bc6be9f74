// Package ipctest lets tests talk to a real ipc.Server without workers: Engine stands
// in for the daemon's, and what a task does follows from the name of its script. It
// guarantees what the server relies on: events of one task come one at a time, the
// result last, perhaps before Submit returns; a caller sees only its own tasks,
// unless it is an administrator.
package ipctest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// The scripts that Engine knows; any other ends as Echo does.
const (
	// Echo completes at once, before Submit returns, with its params as data.
	Echo = "/echo.py"
	// Held runs until End or Cancel.
	Held = "/held.py"
	// Raises fails with a traceback, having printed to stdout and stderr.
	Raises = "/raises.py"
	// Chatty reports an event of every kind, then completes.
	Chatty = "/chatty.py"
	// Missing, Full, Draining, NoSpace and Broken are refused.
	Missing  = "/missing.py"
	Full     = "/full.py"
	Draining = "/draining.py"
	NoSpace  = "/nospace.py"
	Broken   = "/broken.py"
)

// Engine is a stand-in for the daemon's. It is safe for concurrent use.
type Engine struct {
	// ReadyError is what Ready returns, Rules are the access rules; set them before
	// serving.
	ReadyError error
	Rules      access.Rules

	mu      sync.Mutex
	tasks   map[task.ID]*record
	order   []*record          // by submission
	evicted map[task.ID]uint32 // their owners
	keys    map[string]task.ID
	batches map[task.ID][]*record
	// changed is closed and replaced at every change.
	changed  chan struct{}
	stopped  bool
	draining bool
	refusing error
	refused  int
	holding  bool
	left     int
	answers  []func()
	reloads  int
	joined   []int
}

type record struct {
	task      *task.Task
	owner     uint32
	submitted time.Time
	status    task.Status
	result    *task.Result
	watchers  []task.Watcher
	done      chan struct{}
	seq       uint64
	events    []*task.Event
}

// New returns an Engine without tasks.
func New() *Engine {
	return &Engine{tasks: map[task.ID]*record{}, evicted: map[task.ID]uint32{}, keys: map[string]task.ID{},
		batches: map[task.ID][]*record{}, changed: make(chan struct{})}
}

// Submit implements ipc.Engine.
func (e *Engine) Submit(ctx context.Context, who access.Identity, t *task.Task, w task.Watcher, done func(task.View, error)) {
	r, err := e.take(who, t, w)
	e.answer(ctx, func() {
		if err != nil {
			done(task.View{}, err)
			return
		}
		e.mu.Lock()
		view := r.view()
		e.mu.Unlock()
		done(view, nil)
	})
}

// SubmitAll implements ipc.Engine.
func (e *Engine) SubmitAll(ctx context.Context, who access.Identity, all []api.Submission) {
	e.mu.Lock()
	e.joined = append(e.joined, len(all))
	e.mu.Unlock()
	for _, s := range all {
		e.Submit(ctx, who, s.Task, s.Watcher, s.Answer)
	}
}

// Joined returns how many tasks came together, each time.
func (e *Engine) Joined() []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.joined)
}

// Unwatch implements ipc.Engine.
func (e *Engine) Unwatch(_ access.Identity, id task.ID, w task.Watcher) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.tasks[id]; r != nil {
		r.watchers = slices.DeleteFunc(r.watchers, func(x task.Watcher) bool { return x == w })
		e.change()
	}
}

// Tell has a task that runs report an event.
func (e *Engine) Tell(id task.ID, ev task.Event) {
	e.mu.Lock()
	r := e.tasks[id]
	e.mu.Unlock()
	e.tell(r, ev)
}

// AwaitWatchers returns once n watch a task, or ctx is done.
func (e *Engine) AwaitWatchers(ctx context.Context, id task.ID, n int) error {
	for {
		e.mu.Lock()
		have, changed := 0, e.changed
		if r := e.tasks[id]; r != nil {
			have = len(r.watchers)
		}
		e.mu.Unlock()
		if have == n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d watch and not %d: %w", have, n, ctx.Err())
		}
	}
}

// HoldAnswers delays the answers to submissions, as a slow disk does, until
// ReleaseAnswers.
func (e *Engine) HoldAnswers() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.holding = true
}

// ReleaseAnswers gives the answers that were held, the last one first.
func (e *Engine) ReleaseAnswers() {
	e.mu.Lock()
	answers := e.answers
	e.holding, e.answers = false, nil
	e.mu.Unlock()
	for i := range answers {
		answers[len(answers)-1-i]()
	}
}

// answer calls f, later if answers are held; then it counts the clients that go meanwhile.
func (e *Engine) answer(ctx context.Context, f func()) {
	e.mu.Lock()
	if e.holding {
		e.answers = append(e.answers, f)
		context.AfterFunc(ctx, func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.left++
			e.change()
		})
		e.mu.Unlock()
		return
	}
	e.mu.Unlock()
	f()
}

// take accepts t, or finds the task that it repeats.
func (e *Engine) take(who access.Identity, t *task.Task, w task.Watcher) (*record, error) {
	if err := e.refusal(who, t); err != nil {
		return nil, err
	}
	r, known := e.add(who, t, w)
	again := *t
	again.ID = r.task.ID
	if r.owner != who.UID || !r.task.Same(&again) {
		return nil, fmt.Errorf("%w: %s", task.ErrConflict, t.ID)
	}
	if !known {
		e.start(r)
	} else if w != nil && r.result != nil {
		w.Hear(r.events[len(r.events)-1])
		w.PassOn()
	}
	return r, nil
}

func (e *Engine) refusal(who access.Identity, t *task.Task) error {
	err := e.Rules.Check(who, access.Request{Action: access.Submit, Pool: t.Pool, ScriptPath: t.ScriptPath, Source: t.Gives("source")})
	if err != nil {
		return err
	}
	e.mu.Lock()
	draining, refusing := e.draining, e.refusing
	if refusing != nil {
		e.refused++
		e.change()
	}
	e.mu.Unlock()
	if refusing != nil {
		return refusing
	}
	switch t.ScriptPath {
	case Missing:
		return &task.FieldError{Field: "script_path", Code: "script_not_found", Problem: "\"" + Missing + "\" does not exist"}
	case Full:
		return fmt.Errorf("%w: 3 tasks wait", task.ErrQueueFull)
	case Draining:
		return api.ErrDraining
	case NoSpace:
		return fmt.Errorf("%w: no space left on device", task.ErrNoSpace)
	case Broken:
		return errors.New("a cable came loose")
	}
	if draining {
		return api.ErrDraining
	}
	return nil
}

func (e *Engine) add(who access.Identity, t *task.Task, w task.Watcher) (r *record, known bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	id := t.ID
	if key := t.Extras().IdempotencyKey; key != "" {
		key = fmt.Sprint(who.UID, " ", key)
		if first, ok := e.keys[key]; ok {
			id = first
		} else {
			e.keys[key] = id
		}
	}
	if r = e.tasks[id]; r != nil {
		if w != nil && r.result == nil && !slices.Contains(r.watchers, w) {
			r.watchers = append(r.watchers, w)
			e.change()
		}
		return r, true
	}
	r = &record{submitted: time.Now(), task: t, owner: who.UID, status: task.Running, done: make(chan struct{})}
	if w != nil {
		r.watchers = append(r.watchers, w)
	}
	e.tasks[t.ID] = r
	e.order = append(e.order, r)
	e.change()
	return r, false
}

// change wakes all waiting calls. e.mu is held.
func (e *Engine) change() {
	close(e.changed)
	e.changed = make(chan struct{})
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

// tell numbers ev, keeps it, and passes it to the watchers that want it.
func (e *Engine) tell(r *record, ev task.Event) {
	e.mu.Lock()
	r.seq++
	ev.ID, ev.Cursor = r.task.ID, task.Cursor{Attempt: 1, Seq: r.seq}
	r.events = append(r.events, &ev)
	watchers := slices.Clone(r.watchers)
	e.change()
	e.mu.Unlock()
	for _, w := range watchers {
		if ev.Kind == task.EventResult || w.Verbose() {
			w.Hear(&ev)
			w.PassOn()
		}
	}
}

// End ends a task with r and fills in the fields that every Result has.
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
	e.mu.Unlock()
	e.tell(rec, task.Event{Kind: task.EventResult, Result: &r})
	close(rec.done)
}

// AwaitLeft returns once the clients of n held answers have gone, or ctx is done.
func (e *Engine) AwaitLeft(ctx context.Context, n int) error {
	for {
		e.mu.Lock()
		left, changed := e.left, e.changed
		e.mu.Unlock()
		if left >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d have gone: %w", left, n, ctx.Err())
		}
	}
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
