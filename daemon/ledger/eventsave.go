package ledger

import (
	"math"
	"slices"

	"cpulb/daemon/task"
)

// saved is what has been saved of an event log, in chunks.
type saved struct {
	// upTo is the last event that was, chunks how many numbers of chunks are used.
	upTo   task.Cursor
	chunks uint32
	// bytes is what is on disk of it, sized as the events are, whole what the last chunk had
	// that is. 0: in this life none was.
	bytes, whole int64
}

// Chunk is a part of an event log that is to be saved.
type Chunk struct {
	Number uint32
	// Whole: it stands for all chunks before it, too.
	Whole  bool
	Events []*task.Event
	// Bytes is about what it takes.
	Bytes int64
}

// slackBytes is how much more than twice the log may be saved of it before it is saved anew:
// notes that have made room go then.
const slackBytes = 64 << 10

// Unsaved returns of the events of r that were not saved the next, about most bytes of them
// unless the log has to be saved anew, and takes them for saved. It has no events if there
// are none; more: it has not all.
func (r *Record) Unsaved(most int64) (c Chunk, more bool) {
	l := r.log
	if l == nil {
		return c, false
	}
	from, saved := slices.BinarySearchFunc(l.events, l.upTo, func(ev *task.Event, c task.Cursor) int { return ev.Cursor.Compare(c) })
	if saved {
		from++
	}
	fresh, size, more := lasting(l.events[from:], most)
	if len(fresh) == 0 {
		return c, false
	}
	l.bytes += size
	switch {
	case l.whole == 0 && l.chunks == 0: // nothing was saved before
		c.Whole, l.whole = true, size
	case l.whole == 0 || l.bytes > 2*max(l.whole, l.lasting())+slackBytes:
		fresh, l.whole, more = lasting(l.events, math.MaxInt64)
		c.Whole, l.bytes = true, l.whole
	}
	l.chunks++
	c.Number, c.Events, c.Bytes = l.chunks, fresh, size
	l.upTo = c.Events[len(c.Events)-1].Cursor
	return c, more
}

// lasting returns the first of events that are saved, at least one if there is one, and about
// what a chunk of them takes. What was printed is not: its Result is. more: it has not all.
func lasting(events []*task.Event, most int64) (some []*task.Event, size int64, more bool) {
	size = eventBytes
	for _, ev := range events {
		switch {
		case isPart(ev):
			continue
		case len(some) > 0 && size+sizeOf(ev) > most:
			return some, size, true
		}
		some, size = append(some, ev), size+sizeOf(ev)
	}
	return some, size, false
}

// RestoreLog gives a task that was restored the events that were saved of it, in order, of
// which chunk was the number of the last chunk.
func (r *Record) RestoreLog(events []*task.Event, chunk uint32, b EventBounds) {
	if len(events) == 0 {
		return
	}
	r.log = &EventLog{saved: saved{chunks: chunk}}
	for _, ev := range events {
		ev.ID = r.Task.ID
		if ev.Kind == task.EventGap {
			r.log.absorb(ev.From)
		}
		r.log.add(ev, b)
	}
	last := events[len(events)-1].Cursor
	r.log.upTo = last
	if last.Attempt >= int(r.marked) { // never: what follows comes after
		r.marked, r.events = uint32(last.Attempt), max(r.events, last.Seq)
	}
}

// absorb takes those events off the end that a gap, which comes next and begins at from,
// stands for: it has grown since they were saved.
func (l *EventLog) absorb(from task.Cursor) {
	n := len(l.events)
	for ; n > 0 && l.events[n-1].Cursor.Compare(from) >= 0; n-- {
		if sum := l.sum(l.events[n-1]); sum != nil {
			*sum -= sizeOf(l.events[n-1])
		}
	}
	clear(l.events[n:])
	l.events, l.firstNote = l.events[:n], min(l.firstNote, n)
}
