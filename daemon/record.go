package daemon

import (
	"encoding/json"
	"time"

	"cpulb/daemon/queue"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// record is all that the engine knows of one task. Engine.mu guards it; result
// is immutable once set.
type record struct {
	task  *task.Task
	pool  *pool
	state task.State
	// item is its place in the queue, kept while a slot has it: from there it may
	// go back. Nil once it has ended.
	item *queue.Item[*record]
	// slot has the task, from its sending until its end; nil otherwise.
	slot      *slot
	seq       uint64
	attempts  int
	deaths    int  // workers that died while they ran it
	stopping  bool // a cancel was asked for
	events    uint64
	worker    *task.Worker
	submitted time.Time
	startedAt time.Time
	guard     *time.Timer // ends a worker whose task does not stop in time
	result    *task.Result
	watchers  []task.Watcher
	done      chan struct{} // made when somebody waits; closed at the end
}

// ended is what the end of a task brings besides its status.
type ended struct {
	data           json.RawMessage
	err            *task.Error
	stdout, stderr string
	truncated      bool
	// run is the time in the script as the worker measured it; 0 if it did not.
	run time.Duration
	// cpu and lock are what the worker measured, see task.Result.
	cpu, lock time.Duration
}

// watch adds w, which may be nil; a task that has ended tells it at once.
func (r *record) watch(w task.Watcher) {
	switch {
	case w == nil:
	case r.result != nil:
		// Not under the lock: a watcher may call the engine.
		go w.TaskEvent(r.event(task.EventResult))
	default:
		r.watchers = append(r.watchers, w)
	}
}

// ending returns a channel that is closed once the task has ended.
func (r *record) ending() <-chan struct{} {
	if r.done == nil {
		r.done = make(chan struct{})
		if r.result != nil {
			close(r.done)
		}
	}
	return r.done
}

// event makes the next event of r.
func (r *record) event(kind task.EventKind) *task.Event {
	r.events++
	ev := &task.Event{Kind: kind, ID: r.task.ID, Cursor: task.Cursor{Attempt: r.attempts, Seq: r.events}}
	switch kind {
	case task.EventResult:
		ev.Result = r.result
	case task.EventState:
		status := r.state.Load()
		ev.Status = &status
	}
	return ev
}

// tell returns notices of ev to those who want more than the result.
func (r *record) tell(ev *task.Event) notices {
	var n notices
	for _, w := range r.watchers {
		if w.Verbose() {
			n = append(n, notice{w, ev})
		}
	}
	return n
}

// stop asks the worker that has r to end it, and gives it a grace. The answer of
// a task that was recalled unread comes as its end here; every other way ends
// with its Result.
func (r *record) stop(reason plugins.StopReason) {
	r.stopping = true
	r.guardAfter(r.pool.engine.options.Config.Limits.CancelGrace, reason)
	go r.slot.cancel(r, r.seq, reason)
}

// guardAfter arms the last rung: after d the slot's worker is ended if r still
// has it.
func (r *record) guardAfter(d time.Duration, reason plugins.StopReason) {
	if r.guard != nil {
		r.guard.Stop()
	}
	s, seq := r.slot, r.seq
	r.guard = time.AfterFunc(d, func() { s.overdue(r, seq, reason) })
}

func (r *record) view() task.View {
	v := task.View{ID: r.task.ID, Status: r.state.Load(), ScriptPath: r.task.ScriptPath, Function: r.task.Function,
		Type: r.task.Type, Pool: r.pool.config.Name, Priority: r.task.Priority, Labels: r.task.Labels,
		Attempts: r.attempts, Worker: r.worker, SubmittedAt: r.submitted}
	if !r.startedAt.IsZero() {
		v.StartedAt = &r.startedAt
	}
	if r.result != nil {
		v.FinishedAt = &r.result.FinishedAt
	}
	return v
}

// finish brings r to its end and returns whom to tell. Engine.mu is held.
func (e *Engine) finish(r *record, status task.Status, end ended) notices {
	from := r.state.Load()
	if from == task.Queued && (status == task.Completed || status == task.TimedOut) {
		// Its Started and its Result came in one read, or it was never started.
		from = task.Running
		_ = r.state.Move(task.Queued, task.Running)
	}
	if err := r.state.Move(from, status); err != nil {
		e.log.Error("a task was to end twice", "task_id", r.task.ID, "error", err)
		return nil
	}
	if r.guard != nil {
		r.guard.Stop()
	}
	if r.item != nil {
		e.queue.Remove(time.Now(), r.item)
		r.item = nil
	}
	r.slot = nil
	r.result = r.makeResult(status, end)
	e.store.ended(r)
	if r.done != nil {
		close(r.done)
	}
	var n notices
	if len(r.watchers) > 0 {
		ev := r.event(task.EventResult)
		for _, w := range r.watchers {
			n = append(n, notice{w, ev})
		}
		e.store.got += uint64(len(n))
	}
	r.watchers = nil
	return n
}

func (r *record) makeResult(status task.Status, end ended) *task.Result {
	res := &task.Result{CPUSeconds: end.cpu.Seconds(), LockSeconds: end.lock.Seconds(), ID: r.task.ID, Status: status, Data: end.data, Error: end.err, Stdout: end.stdout,
		Stderr: end.stderr, Truncated: end.truncated, Attempts: r.attempts, Worker: r.worker,
		SubmittedAt: r.submitted, FinishedAt: time.Now()}
	if len(res.Data) == 0 {
		res.Data = json.RawMessage("null")
	}
	if r.startedAt.IsZero() {
		res.QueueSeconds = res.FinishedAt.Sub(r.submitted).Seconds()
		return res
	}
	started := r.startedAt
	if end.run > 0 {
		// The worker's clock is the better one: its Started may have been read
		// together with its Result.
		started = res.FinishedAt.Add(-end.run)
		if started.Before(r.submitted) {
			started = r.submitted
		}
	}
	res.StartedAt = &started
	res.QueueSeconds = started.Sub(r.submitted).Seconds()
	res.RunSeconds = res.FinishedAt.Sub(started).Seconds()
	return res
}

// notice is an event on its way to a watcher.
type notice struct {
	watcher task.Watcher
	event   *task.Event
}

// notices are sent after Engine.mu has been released.
type notices []notice

func (n notices) send() {
	for _, x := range n {
		x.watcher.TaskEvent(x.event)
	}
}
