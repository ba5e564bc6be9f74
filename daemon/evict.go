package daemon

import (
	"fmt"
	"slices"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
)

// A Result that has to make room before its time leaves a tombstone, here and in the journal:
// whoever sends its task again, because an answer was lost, is told rather than having it
// run twice.

// evictLocked drops the results that are no longer kept.
func (e *Engine) evictLocked() { e.forgetLocked(e.store.Evict(e.uptimeLocked())) }

// forgetLocked deletes evicted tasks from the journal but for their tombstones. Their batches
// go on counting them.
func (e *Engine) forgetLocked(gone ledger.Evicted) {
	var ops []journal.Op
	for i := range gone.Tasks {
		g := &gone.Tasks[i]
		if r := e.scheduled[g.Schedule]; r != nil && r.Stamp() == g.Stamp && !e.stillRuns(r) {
			delete(e.scheduled, g.Schedule) // or its Result would be held for nobody
		}
		op := journal.Op{Submitted: time.Unix(0, g.Stamp)}
		if g.Tombstone != nil {
			op.Tombstone = e.remember(g.Tombstone)
		} else {
			op.Forget = true
		}
		if e.journal != nil && !g.Volatile {
			ops = append(ops, op)
		}
	}
	for b := range gone.Batches {
		ops = e.noteGone(ops, b)
	}
	e.forgetTombstones(gone.Forgotten, ops)
	for _, r := range gone.Trimmed {
		e.saveSoon(r)
	}
}

// remember returns what the journal keeps of g, which is made now.
func (e *Engine) remember(g *ledger.Tombstone) *journal.Tombstone {
	now := e.momentLocked()
	return &journal.Tombstone{ID: g.ID, Owner: g.Owner, Key: g.Key, At: now.Wall, Until: now.Wall.Add(g.Until - now.Uptime), Uptime: g.Until}
}

// forgetTombstones deletes tombstones from the journal, after ops.
func (e *Engine) forgetTombstones(gone []ledger.Tombstone, ops []journal.Op) {
	for _, g := range gone {
		if !g.Volatile {
			ops = append(ops, journal.Op{Submitted: time.Unix(0, g.Stamp), Forget: true})
		}
	}
	if e.journal != nil && len(ops) > 0 {
		e.appendLocked(journal.Whenever, nil, ops...)
	}
}

// restoreTombstone restores a tombstone from the journal, and returns those that went for it.
func (e *Engine) restoreTombstone(s *journal.Saved) (gone []ledger.Tombstone) {
	g := s.Tombstone
	until := g.Uptime
	if until == 0 || !e.journal.Comparable(g.Start) {
		until = e.uptimeLocked() + min(max(0, g.Until.Sub(e.now())), g.Until.Sub(g.At))
	}
	made := e.uptimeLocked() - max(0, e.now().Sub(g.At))
	return e.store.RestoreTombstone(ledger.Tombstone{ID: g.ID, Owner: g.Owner, Key: g.Key, Stamp: s.Submitted.UnixNano(), Made: made, Until: until})
}

// hasRunLocked returns an error that matches task.ErrEvicted if r was submitted before,
// has ended, and would be known if its Result had not had to make room.
func (e *Engine) hasRunLocked(who access.Identity, r *ledger.Record) error {
	key := r.Task.Extras().IdempotencyKey
	g := e.store.Pressed(who.UID, r.Task.ID, key)
	if g == nil {
		return nil
	}
	what := fmt.Sprintf("%s has ended", g.ID)
	change := "task_id"
	if g.ID != r.Task.ID {
		what, change = fmt.Sprintf("the task of this idempotency_key, %s, has ended", g.ID), "idempotency_key"
	}
	now := e.momentLocked()
	return fmt.Errorf("%w: %s, and its result had to make room at %s; it is not run again: give another %s to run it once more, or wait until %s",
		task.ErrEvicted, what, now.Wall.Add(g.Made-now.Uptime).UTC().Format(time.RFC3339), change, now.Wall.Add(g.Until-now.Uptime).UTC().Format(time.RFC3339))
}

// noteGone appends that the counts of a batch have changed, of which members were evicted.
func (e *Engine) noteGone(ops []journal.Op, b *ledger.Batch) []journal.Op {
	switch {
	case e.journal == nil:
	case b.Known():
		if counts := b.Gone(); len(counts) > 0 {
			b.Note(true)
			ops = append(ops, journal.Op{Gone: &journal.Gone{ID: b.ID(), Owner: b.Owner(), Counts: counts}})
		}
	case b.Note(false):
		ops = append(ops, journal.Op{Batch: &journal.Batch{ID: b.ID()}, Forget: true})
	}
	return ops
}

// noteJoined is what the journal keeps of a batch that those joined who had been submitted
// before. It is written once.
func (e *Engine) noteJoined(b *ledger.Batch, joined []*ledger.Record) journal.Op {
	x := &journal.Batch{ID: b.ID(), Owner: b.Owner()}
	b.Note(true)
	for _, r := range joined {
		if !r.Volatile {
			x.Joined = append(x.Joined, r.Submitted())
		}
	}
	slices.SortFunc(x.Joined, time.Time.Compare)
	return journal.Op{Batch: x}
}
