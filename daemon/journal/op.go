package journal

import (
	"time"

	"cpulb/daemon/task"
)

// Need is how far a change must have come before it is answered.
type Need uint8

const (
	// Whenever: it goes with the next write; nobody waits for it.
	Whenever Need = iota
	// Written: write(2) has it, so it outlives the process.
	Written
	// Synced: fdatasync(2) has it, so it outlives the machine.
	Synced
)

// Op is one change. One of its fields beside Submitted is set. What they refer to must
// not change once it has been appended.
type Op struct {
	// Submitted says which task Progress, Ended, Events, Tombstone and Forget mean.
	Submitted time.Time
	Accepted  *Accepted
	Progress  *Progress
	Ended     *Ended
	Events    *Events
	// Tombstone is what remains of the task, which is forgotten but for that.
	Tombstone *Tombstone
	// Forget forgets the task and its Tombstone, or the Batch beside it with its Gone.
	Forget bool
	Batch  *Batch
	Gone   *Gone
	// Schedules are all schedules; one that is not among them is forgotten.
	Schedules map[string]Schedule
}

// Accepted is a task as it was accepted.
type Accepted struct {
	Task  *task.Task
	Owner uint32
	// Submitted is different for every task; lists are ordered by it.
	Submitted time.Time
	// SubmittedAt is what the clock on the wall showed then, Uptime the machine's.
	SubmittedAt time.Time
	Uptime      time.Duration
	Pool        string
	Batch       task.ID // zero: none
	// Schedule is the name of the schedule that submitted it; empty: none did.
	Schedule string
	// Start is Journal.Start of when it was appended.
	Start uint64
}

// Progress is how far a task has come; a later one replaces it.
type Progress struct {
	Attempts, Retries, Deaths, Losses int
	// Faults counts the attempts that executors failed, FaultsRun those that may have run.
	Faults, FaultsRun int
	// NotBefore is when the next attempt may begin, Due the machine's uptime then.
	NotBefore time.Time
	Due       time.Duration
	// Dispatched: a worker may have it. Stopping: it was to be cancelled. Suspect: it
	// ran in a worker that died.
	Dispatched, Stopping, Suspect bool
	// Start is Journal.Start of when it was appended.
	Start uint64
}

// Ended is how a task ended.
type Ended struct {
	Result *task.Result
	// Cursor is that of the event that tells it.
	Cursor task.Cursor
	// Uptime is the machine's, of Result.FinishedAt.
	Uptime time.Duration
	// Order numbers the ends, for the order of a batch's results.
	Order uint64
	// Start is Journal.Start of when it was appended.
	Start uint64
}

// Tombstone is what is kept of a task whose result had to make room before its time.
type Tombstone struct {
	ID    task.ID
	Owner uint32
	// Key is its idempotency key.
	Key string
	// At is when it made room, Until when its time is over by the clock on the wall, and
	// Uptime by the machine's.
	At, Until time.Time
	Uptime    time.Duration
	// Start is Journal.Start of when it was appended.
	Start uint64
}

// Batch is what is kept of a batch beside its tasks; a later one replaces it.
type Batch struct {
	ID    task.ID
	Owner uint32
	// Gone counts, by status, the members whose results are no longer kept. It is written
	// as a Gone of its own.
	Gone map[task.Status]int
	// Joined are the members that had been submitted before, by Accepted.Submitted, in
	// order.
	Joined []time.Time
}

// Gone counts the members of a batch whose results are no longer kept, by status; a later
// one replaces it. It stands beside the Batch so that this is not written with each.
type Gone struct {
	ID     task.ID
	Owner  uint32
	Counts map[task.Status]int
}

// Schedule is how far a schedule has come.
type Schedule struct {
	// Until is up to when its times have been looked at.
	Until time.Time
	// Spec is the expression and the time zone that this holds for.
	Spec string
	// Begun is when it was first seen, so that times before that were not missed.
	Begun time.Time
	// Done are the times that do not come again, whatever the clock shows.
	Done []Span
	// Last is the task that was accepted last, LastAt the time that it is for; zero:
	// none was.
	Last   task.ID
	LastAt time.Time
	// Skipped counts the times that passed because the task before had not ended.
	Skipped uint64
	// RefusedAt is the latest time whose task was not accepted, Reason says why.
	RefusedAt time.Time
	Reason    string
	// Missed are the times that are still to be made up for.
	Missed []time.Time
}

// Span is the times after From, To included.
type Span struct{ From, To time.Time }

// Saved is all that is kept of one task.
type Saved struct {
	Accepted
	Progress *Progress
	Ended    *Ended
	// Tombstone is set alone.
	Tombstone *Tombstone
	// Events are its event log but for the result, Chunk the number of the last chunk.
	Events []*task.Event
	Chunk  uint32
}

// stamp notes at which start of the journal o was appended.
func (o *Op) stamp(start uint64) {
	switch {
	case o.Accepted != nil:
		o.Accepted.Start = start
	case o.Progress != nil:
		o.Progress.Start = start
	case o.Ended != nil:
		o.Ended.Start = start
	case o.Tombstone != nil:
		o.Tombstone.Start = start
	}
}

// size is about what o takes in memory.
func (o *Op) size() int64 {
	n := int64(256)
	if o.Accepted != nil {
		n += o.Accepted.Task.Size()
	}
	if o.Ended != nil {
		n += o.Ended.Result.Size()
	}
	if o.Events != nil {
		n += int64(o.Events.size())
	}
	if o.Tombstone != nil {
		n += int64(len(o.Tombstone.Key))
	}
	if o.Batch != nil {
		n += int64(24 * len(o.Batch.Joined))
	}
	return n
}
