package ledger

import (
	"time"

	"cpulb/daemon/queue"
	"cpulb/daemon/task"
)

// Pool is where a task runs.
type Pool interface{ Name() string }

// Record is all that the engine knows of one task. A million may wait: keep it
// small.
type Record struct {
	Task *task.Task
	Pool Pool
	// Item is its place in the queue, kept while a slot has it: from there it may go
	// back. Nil once it has ended.
	Item *queue.Item[*Record]
	// Worker is who has it, or had it last; nil before.
	Worker *task.Worker
	Owner  uint32
	// Attempts counts the times that a worker was given it and may have begun it, Retries
	// those that failed and were followed by another. Deaths are the workers that died
	// while they ran it alone, and the daemons that died of it; Losses all the daemons
	// that died while it ran, see Lose. None of them ever begins anew, at no restart.
	Attempts, Retries, Deaths, Losses uint32
	// Faults counts the attempts that failed because of the executor, FaultsRun those of
	// them that may have run.
	Faults, FaultsRun uint8
	// Lives counts the starts of the daemon since it was submitted, beyond the first.
	Lives uint32
	// Stopping: a cancel was asked for. Suspect: it ran in a worker that died, and runs
	// alone until it is proved that it is not to blame.
	Stopping, Suspect bool
	// Volatile: it does not outlive the daemon.
	Volatile bool
	// Schedule is the name of the schedule whose task it is; empty: somebody submitted
	// it.
	Schedule string

	// stamp is when it was submitted, in nanoseconds since 1970, and no other task's:
	// lists are ordered by it.
	stamp int64
	// uptime is when it was submitted, by the clock that is never set.
	uptime time.Duration
	// started is when the attempt began, in nanoseconds since 1970; 0: it has not.
	started int64
	// end is its number among the ends; 0: it has none.
	end uint64
	// batch is the one that it came with first.
	batch *Batch
	// log is what is kept of its events; nil as long as nobody cares.
	log    *EventLog
	events uint64 // in this life of the daemon
	// marked is the first part of its cursors, which never goes back, see Mark.
	marked   uint32
	watchers []task.Watcher
	result   *task.Result  // which does not change
	done     chan struct{} // made when somebody waits; closed at the end
	phase    Phase
	status   task.Status
}

// Phase returns where it is.
func (r *Record) Phase() Phase { return r.phase }

// Status returns what clients see of its phase.
func (r *Record) Status() task.Status { return r.status }

// Info returns the task itself, which does not change.
func (r *Record) Info() *task.Task { return r.Task }

// Runs reports whether a thread of a worker has claimed it.
func (r *Record) Runs() bool { return r.phase == Running }

// Submitted returns when it was, made different from all other tasks.
func (r *Record) Submitted() time.Time { return time.Unix(0, r.stamp) }

// Stamp returns the same as a number, by which lists are ordered.
func (r *Record) Stamp() int64 { return r.stamp }

// Result returns its Result once it is Ended, else nil.
func (r *Record) Result() *task.Result { return r.result }

// Begin notes that an attempt begins to run.
func (r *Record) Begin(now time.Time) { r.started = now.UnixNano() }

// Reset forgets the attempt: another one follows.
func (r *Record) Reset() { r.Worker, r.started = nil, 0 }

// Started returns when the attempt began to run; the zero time: it has not.
func (r *Record) Started() time.Time {
	if r.started == 0 {
		return time.Time{}
	}
	return time.Unix(0, r.started)
}

// Times returns before when the task does not start, and when it expires.
func (r *Record) Times() queue.Times {
	x := r.Task.Extra
	if x == nil {
		return queue.Times{}
	}
	t := queue.Times{RunAt: x.RunAt, ExpiresAt: x.ExpiresAt}
	if x.Delay > 0 {
		t.Due = task.Sum(r.uptime, time.Duration(x.Delay))
	}
	return t
}

// Watch adds w, who hears of what follows.
func (r *Record) Watch(w task.Watcher) { r.watchers = append(r.watchers, w) }

// Done returns a channel that is closed once the task is Ended.
func (r *Record) Done() <-chan struct{} {
	if r.done == nil {
		r.done = make(chan struct{})
		if r.result != nil {
			close(r.done)
		}
	}
	return r.done
}

// View returns the task as clients see it.
func (r *Record) View() task.View {
	v := task.View{ID: r.Task.ID, Status: r.status, ScriptPath: r.Task.ScriptPath, Function: r.Task.Function,
		Type: r.Task.Type, Pool: r.Pool.Name(), Priority: r.Task.Priority, Labels: r.Task.Labels,
		Attempts: int(r.Attempts), Worker: r.Worker, SubmittedAt: r.Submitted()}
	if r.started != 0 {
		started := r.Started()
		v.StartedAt = &started
	}
	if r.result != nil {
		v.FinishedAt = &r.result.FinishedAt
	}
	return v
}

// MayRetry reports whether an attempt that ended so is followed by another.
func (r *Record) MayRetry(status task.Status) bool {
	return (status == task.Failed || status == task.TimedOut) && !r.Stopping && r.Task.Extra != nil &&
		int(r.Retries) < r.Task.Extra.MaxRetries && r.Item != nil
}
