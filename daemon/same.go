package daemon

import (
	"bytes"

	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
)

// comparedAtOnce is how large params may be to be compared under the lock, byte by byte.
const comparedAtOnce = 4 << 10

// comparison is of a submission with a task that was submitted before and that it may be.
// Their params may be large, and be the same although their texts are not: that is looked
// at without the lock.
type comparison struct {
	// unclear is the task with which the submission is still to be compared. Until then it
	// is neither admitted nor answered.
	unclear *ledger.Record
	// with is the stamp of the one that its params have been compared with.
	with int64
	same bool
}

// sameLocked reports whether t is known, but for its id, or leaves that unclear.
func (c *comparison) sameLocked(known *ledger.Record, t *task.Task) bool {
	again := *t
	again.ID = known.Task.ID
	switch {
	case !known.Task.SameBesideParams(&again):
		return false
	case len(t.Params) <= comparedAtOnce && bytes.Equal(known.Task.Params, t.Params):
		return true
	case c.with == known.Stamp():
		return c.same
	}
	c.unclear = known
	return false
}

// clear compares what is unclear. It reports whether there was something: the submission
// is to be tried again.
func (c *comparison) clear(t *task.Task) bool {
	if c.unclear == nil {
		return false
	}
	c.with, c.same, c.unclear = c.unclear.Stamp(), task.SameParams(c.unclear.Task.Params, t.Params), nil
	return true
}
