package ledger

import (
	"time"

	"cpulb/daemon/queue"
	"cpulb/daemon/task"
)

// Pool is where a task runs.
type Pool interface{ Name() string }

// Record is all that the engine knows of one task. A million may wait: keep it
// small, and one object: what Go's collector costs goes by how many there are. See NewRecord.
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
	// Doubts counts the workers that died with it, and said that it did not run just then.
	Doubts uint8
	// Volatile: it does not outlive the daemon.
	Volatile bool
	// Schedule is the name of the schedule whose task it is; empty: somebody submitted
	// it.
	Schedule string

	// stamp is no other task's, and less than that of every task that was submitted later:
	// lists are ordered by it. It is about when that was, in nanoseconds since 1970.
	stamp int64
	// submitted is when it was submitted, and uptime the same by the clock that is never
	// set; likewise started and began for the attempt. Instants are in nanoseconds since
	// 1970, of which 0 is none.
	submitted, started int64
	uptime, began      time.Duration
	// end is its number among the ends; 0: it has none.
	end uint64
	// batch is the one that it came with first.
	batch *Batch
	// log is what is kept of its events; nil as long as nobody cares.
	log    *EventLog
	events uint64 // in this life of the daemon
	// marked is the first part of its cursors, which never goes back, see Mark.
	marked uint32
	// Awaited is since which period a slot has it and it is expected to end soon; 0: not so.
	Awaited  uint32
	watchers *watchers // nil: nobody
	// kept is how its Result, or while it waits again its log, is kept; nil if neither is.
	kept   *kept
	result *task.Result  // which does not change
	done   chan struct{} // made when somebody waits; closed at the end
	phase  Phase
	// status is what clients see of the phase, counted as what it is counted: as long as it is
	// early, it is not accepted yet and counts as pending, whatever it does.
	status, counted task.Status
	early           bool

	// Room for what it refers to: its task, the task's params if they are few bytes, and its
	// place in the queue.
	task task.Task
	few  [8]byte
	item queue.Item[*Record]
}

// NewRecord returns the Record of a task, of which it has a copy.
func NewRecord(t *task.Task, owner uint32) *Record {
	r := &Record{Owner: owner, task: *t}
	r.Task = &r.task
	if n := len(t.Params); n > 0 && n <= len(r.few) {
		copy(r.few[:], t.Params)
		r.task.Params = r.few[:n:n]
	}
	return r
}

// Room implements queue.Roomy.
func (r *Record) Room() *queue.Item[*Record] { return &r.item }

// Phase returns where it is.
func (r *Record) Phase() Phase { return r.phase }

// Status returns what clients see of its phase.
func (r *Record) Status() task.Status { return r.status }

// Info returns the task itself, which does not change.
func (r *Record) Info() *task.Task { return r.Task }

// Caller returns whose it is.
func (r *Record) Caller() uint32 { return r.Owner }

// Runs reports whether a thread of a worker has claimed it.
func (r *Record) Runs() bool { return r.phase == Running }

// Suspected reports whether it is a Suspect.
func (r *Record) Suspected() bool { return r.Suspect }

// mostDoubts is how many workers may die with a task that say that it did not run. Each may
// have been between two tasks; but what they say is in memory that scripts can write into.
const mostDoubts = 3

// Doubt notes one more. When they are too many it is a suspect, and what workers say does
// not clear it.
func (r *Record) Doubt() {
	if r.Doubts < mostDoubts {
		r.Doubts++
	}
	r.Suspect = r.Suspect || r.Doubted()
}

// Doubted reports whether they are too many.
func (r *Record) Doubted() bool { return r.Doubts >= mostDoubts }

// Submitted returns its place in the order of all tasks, as a time that no other has.
func (r *Record) Submitted() time.Time { return time.Unix(0, r.stamp) }

// Stamp returns the same as a number, by which lists are ordered.
func (r *Record) Stamp() int64 { return r.stamp }

// SubmittedAt returns what both clocks showed when it was submitted.
func (r *Record) SubmittedAt() queue.Now {
	return queue.Now{Wall: time.Unix(0, r.submitted), Uptime: r.uptime}
}

// Result returns its Result once it is Ended, else nil.
func (r *Record) Result() *task.Result { return r.result }

// Begin notes that an attempt begins to run.
func (r *Record) Begin(now queue.Now) { r.started, r.began = now.Wall.UnixNano(), now.Uptime }

// Reset forgets the attempt: another one follows.
func (r *Record) Reset() { r.Worker, r.started, r.began = nil, 0, 0 }

// Started returns at what uptime the attempt began to run; false: it has not.
func (r *Record) Started() (uptime time.Duration, ok bool) { return r.began, r.started != 0 }

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
		Attempts: int(r.Attempts), Worker: r.Worker, SubmittedAt: r.SubmittedAt().Wall}
	switch {
	case r.result != nil:
		v.StartedAt, v.FinishedAt = r.result.StartedAt, &r.result.FinishedAt
	case r.started != 0:
		started := time.Unix(0, r.started)
		v.StartedAt = &started
	}
	return v
}

// MayRetry reports whether an attempt that ended so is followed by another.
func (r *Record) MayRetry(status task.Status) bool {
	return (status == task.Failed || status == task.TimedOut) && !r.Stopping && r.Task.Extra != nil &&
		int(r.Retries) < r.Task.Extra.MaxRetries && r.Item != nil
}
