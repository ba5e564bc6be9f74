package daemon

import (
	"encoding/json"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// record is all that the engine knows of one task. Engine.mu guards it; result
// is immutable once set. A million may wait: keep it small.
type record struct {
	task *task.Task
	pool *pool
	// item is its place in the queue, kept while a slot has it: from there it may
	// go back. Nil once it has ended.
	item *queue.Item[*record]
	// slot has the task, from its sending until its end; nil otherwise.
	slot *slot
	seq  uint64
	// stamp is when it was submitted, in nanoseconds since 1970, and no other
	// task's: lists are ordered by it.
	stamp int64
	batch *batch
	// story is what is kept of its events; nil as long as nobody cares.
	story    *story
	worker   *task.Worker
	started  int64       // of the attempt, in nanoseconds since 1970; 0: not
	guard    *time.Timer // ends a worker whose task does not stop in time
	result   *task.Result
	watchers []task.Watcher
	done     chan struct{} // made when somebody waits; closed at the end
	events   uint64        // told in this attempt
	state    task.State
	owner    uint32
	// attempts counts the times that it was handed to a worker, retries those that
	// failed and were followed by another, deaths the workers that died while they
	// ran it alone.
	attempts, retries, deaths uint32
	// lives counts the starts of the daemon since it was submitted, beyond the first.
	lives    uint32
	stopping bool // a cancel was asked for
	suspect  bool // it runs alone, see suspects.go
	// over: how it ends is decided, though perhaps not committed.
	over bool
	// volatile: it does not outlive the daemon. held: its place in the queue waits
	// for its commit, which is done once it is accepted.
	volatile, held, accepted bool
}

func (r *record) submitted() time.Time { return time.Unix(0, r.stamp) }

// watch adds w, which may be nil; it hears of a task that has ended at once.
func (r *record) watch(w task.Watcher, fx *effects.List) {
	switch {
	case w == nil:
	case r.result != nil:
		fx.Event(w, r.resultEvent())
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

// stop asks the worker that has r to end it, and gives it a grace. The answer of
// a task that was recalled unread comes as its end here; every other way ends
// with its Result.
func (r *record) stop(reason plugins.StopReason, fx *effects.List) {
	r.stopping = true
	r.guardAfter(r.pool.engine.limits().CancelGrace, reason)
	s, seq := r.slot, r.seq
	fx.Process(func() { s.cancel(r, seq, reason) })
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
		Attempts: int(r.attempts), Worker: r.worker, SubmittedAt: r.submitted()}
	if r.started != 0 {
		started := time.Unix(0, r.started)
		v.StartedAt = &started
	}
	if r.result != nil {
		v.FinishedAt = &r.result.FinishedAt
	}
	return v
}

// makeResult makes the Result of r of how its last attempt ended.
func (r *record) makeResult(o plugins.Outcome, now time.Time) *task.Result {
	res := &task.Result{ID: r.task.ID, Status: o.Status, Data: o.Data, Error: o.Error, Stdout: o.Stdout, Stderr: o.Stderr, Truncated: o.Truncated,
		Attempts: int(r.attempts), Worker: r.worker, SubmittedAt: r.submitted(), FinishedAt: now,
		CPUSeconds: o.CPUTime.Seconds(), LockSeconds: o.LockWait.Seconds()}
	if len(res.Data) == 0 {
		res.Data = json.RawMessage("null")
	}
	since := func(t time.Time) float64 { return max(0, t.Sub(res.SubmittedAt).Seconds()) } // the clock may be set
	if r.started == 0 {
		res.QueueSeconds = since(res.FinishedAt)
		return res
	}
	started := time.Unix(0, r.started)
	run := res.FinishedAt.Sub(started)
	if o.RunTime > 0 {
		// The worker's clock is the better one: its Started may have been read
		// together with its Result.
		run = o.RunTime
		if started = res.FinishedAt.Add(-run); started.Before(res.SubmittedAt) {
			started = res.SubmittedAt
		}
	}
	res.StartedAt = &started
	res.QueueSeconds, res.RunSeconds = since(started), max(0, run.Seconds())
	return res
}
