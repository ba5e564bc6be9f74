package ledger

import "cpulb/daemon/task"

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
}

// slackBytes is how much more than twice the log may be saved of it before it is saved anew:
// notes that have made room go then.
const slackBytes = 64 << 10

// Unsaved returns what of the events of r was not saved, and takes it for saved. It has no
// events if there is nothing.
func (r *Record) Unsaved() (c Chunk) {
	l := r.log
	if l == nil {
		return c
	}
	from := len(l.events)
	for from > 0 && l.events[from-1].Cursor.Compare(l.upTo) > 0 {
		from--
	}
	fresh := l.events[from:]
	if len(fresh) == 0 {
		return c
	}
	l.bytes += sizeOfChunk(fresh)
	if l.whole == 0 || l.bytes > 2*max(l.whole, l.size())+slackBytes {
		c.Whole, fresh = true, l.events
		l.whole = sizeOfChunk(fresh)
		l.bytes = l.whole
	}
	l.chunks++
	c.Number, c.Events = l.chunks, append([]*task.Event(nil), fresh...) // drop moves them
	l.upTo = c.Events[len(c.Events)-1].Cursor
	return c
}

// sizeOfChunk is about what a chunk takes.
func sizeOfChunk(events []*task.Event) int64 {
	n := int64(eventBytes)
	for _, ev := range events {
		n += sizeOf(ev)
	}
	return n
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
		switch last := l.events[n-1]; {
		case isNote(last):
			l.notes -= sizeOf(last)
		case last.Kind == task.EventPartial:
			l.values -= sizeOf(last)
		case last.Kind == task.EventState:
			l.states -= sizeOf(last)
		}
	}
	clear(l.events[n:])
	l.events = l.events[:n]
}
