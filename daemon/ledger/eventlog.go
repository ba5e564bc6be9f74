package ledger

import (
	"slices"

	"cpulb/daemon/task"
)

// EventLog keeps a task's events for late readers. The events themselves do not
// change.
//
// It is bounded, however many events there are and whatever they say. Of progress and log
// events, and of very many state events, the oldest make room, and a gap event stands where
// they were; gaps that come together are one. Partial results are data: an executor bounds them, and
// what one that does not sends beyond the bound is a gap, too.
//
// What a task prints is in its Result as well: its parts go when that comes, are in no gap, and
// make room for later ones before. Their offsets say what is missing.
type EventLog struct {
	events []*task.Event
	// notes is the size of the progress and log events, values that of partials, states
	// that of state events, parts that of what was printed.
	notes, values, states, parts int64
	// firstNote is a place before which there are no notes.
	firstNote int
	// changed is made when a reader waits, and closed at the next event.
	changed chan struct{}
	saved
}

// EventBounds say how large the events of one task may be: its partial results, and
// its progress and log events; what it prints may be as large as these.
type EventBounds struct{ PartialBytes, NoteBytes int64 }

// stateBytes bounds the state events of one task. Only thousands of attempts have as many.
const stateBytes = 1 << 20

// eventBytes is roughly what an event takes in memory without its texts.
const eventBytes = 200

func sizeOf(ev *task.Event) int64 {
	return eventBytes + int64(len(ev.Value)+len(ev.Message)+len(ev.Level)+len(ev.Text))
}

func isNote(ev *task.Event) bool { return ev.Kind == task.EventProgress || ev.Kind == task.EventLog }

func isPart(ev *task.Event) bool { return ev.Kind == task.EventOutput }

func (l *EventLog) size() int64 { return l.lasting() + l.parts }

// lasting is the size of what is kept when the task has ended.
func (l *EventLog) lasting() int64 { return l.notes + l.values + l.states }

// sum returns what the size of ev is counted in; nil: in nothing.
func (l *EventLog) sum(ev *task.Event) *int64 {
	switch ev.Kind {
	case task.EventProgress, task.EventLog:
		return &l.notes
	case task.EventPartial:
		return &l.values
	case task.EventState:
		return &l.states
	case task.EventOutput:
		return &l.parts
	}
	return nil // gaps are fewer than what is between them, and there is one result
}

// add keeps ev within the bounds.
func (l *EventLog) add(ev *task.Event, b EventBounds) {
	if ev.Kind == task.EventPartial && l.values+sizeOf(ev) > b.PartialBytes+eventBytes {
		ev = gap(ev, 1)
	}
	if sum := l.sum(ev); sum != nil {
		*sum += sizeOf(ev)
	}
	l.events = appendMerged(l.events, ev)
	// Half goes at a time, so that each event is looked at but a few times.
	if l.notes > b.NoteBytes {
		l.firstNote = l.drop(&l.notes, b.NoteBytes/2, l.firstNote)
	}
	if l.states > stateBytes {
		l.drop(&l.states, stateBytes/2, 0)
		l.firstNote = 0
	}
	if l.parts > b.NoteBytes {
		l.drop(&l.parts, b.NoteBytes/2, 0)
		l.firstNote = 0
	}
	l.wake()
}

// wake wakes the readers.
func (l *EventLog) wake() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

func gap(at *task.Event, missed uint64) *task.Event {
	return &task.Event{Kind: task.EventGap, ID: at.ID, Cursor: at.Cursor, Missed: missed, From: at.Cursor}
}

// appendMerged appends ev; a gap behind another one takes its place.
func appendMerged(events []*task.Event, ev *task.Event) []*task.Event {
	if last := len(events) - 1; last >= 0 && ev.Kind == task.EventGap && events[last].Kind == task.EventGap {
		from, missed := events[last].From, events[last].Missed
		ev = gap(ev, ev.Missed+missed)
		ev.From = from
		events = events[:last]
	}
	return append(events, ev)
}

// trim puts one gap in the place of all events. What was saved of them is replaced.
func (l *EventLog) trim() {
	if len(l.events) == 0 {
		return
	}
	missed, from := uint64(0), l.events[0].Cursor
	if l.events[0].Kind == task.EventGap {
		from = l.events[0].From
	}
	for _, ev := range l.events {
		missed += max(ev.Missed, 1)
	}
	all := gap(l.events[len(l.events)-1], missed)
	all.From = from
	l.events, l.notes, l.values, l.states, l.parts, l.firstNote = []*task.Event{all}, 0, 0, 0, 0, 0
	l.upTo, l.bytes, l.whole = task.Cursor{}, 0, 0
}

// forgetPrinted takes out what was printed: the task has ended, and its Result has all of it.
func (l *EventLog) forgetPrinted() {
	if l.parts > 0 {
		l.drop(&l.parts, 0, 0)
		l.firstNote = 0
	}
}

// drop puts gaps in the place of the oldest of those that are counted in sum, or nothing in the
// place of what was printed, until at most keep is left of them. They are looked for from a place on; it returns that of the first
// that is left.
func (l *EventLog) drop(sum *int64, keep int64, from int) (first int) {
	kept := l.events[:from]
	first = -1
	for _, ev := range l.events[from:] {
		if l.sum(ev) == sum {
			if *sum > keep {
				if *sum -= sizeOf(ev); isPart(ev) {
					continue
				}
				ev = gap(ev, 1)
			} else if first < 0 {
				first = len(kept)
			}
		}
		kept = appendMerged(kept, ev)
	}
	clear(l.events[len(kept):])
	l.events = kept
	if first < 0 {
		return len(kept)
	}
	return first
}

// Portion bounds what a reader takes away at once; it may take one that is larger.
type Portion struct {
	Items int
	Bytes int64
}

// After returns the next events after a cursor, and if there are none a channel that is
// closed when there are.
func (l *EventLog) After(c task.Cursor, p Portion) (some []*task.Event, changed <-chan struct{}) {
	from, found := slices.BinarySearchFunc(l.events, c, func(ev *task.Event, c task.Cursor) int { return ev.Cursor.Compare(c) })
	if found {
		from++
	}
	for _, ev := range l.events[from:] {
		if p.Bytes -= SizeOf(ev); len(some) > 0 && (len(some) == p.Items || p.Bytes < 0) {
			break
		}
		some = append(some, ev)
	}
	if len(some) > 0 {
		some[0] = unread(some[0], c)
		return some, nil
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return nil, l.changed
}

// SizeOf is about what an event takes, its Result included.
func SizeOf(ev *task.Event) int64 {
	if ev.Result != nil {
		return eventBytes + ev.Result.Size()
	}
	return sizeOf(ev)
}

// unread returns what of ev is news to who has read up to c: a gap may begin with events
// that he has read.
func unread(ev *task.Event, c task.Cursor) *task.Event {
	if ev.Kind != task.EventGap || ev.Cursor.Attempt != c.Attempt || ev.From.Compare(c) > 0 {
		return ev
	}
	rest := gap(ev, min(ev.Missed, ev.Cursor.Seq-c.Seq))
	rest.From = task.Cursor{Attempt: c.Attempt, Seq: c.Seq + 1}
	return rest
}

// Cursor is the place of the last event of r.
func (r *Record) Cursor() task.Cursor {
	return task.Cursor{Attempt: int(r.marked), Seq: r.events}
}

// Mark has the cursors of r go on from its present attempt. They do not go back when an
// attempt of which nothing has run is taken back, nor at a restart, where Seq begins anew:
// it counts for two attempts, as the last one of before may have been taken back on disk.
func (r *Record) Mark() { r.marked = max(r.marked, r.Attempts+2*r.Lives) }

// EndCursor gives the event of the Result its place, before there is one. Each task has it
// called once: a reader who has seen the last event before goes on behind that.
func (r *Record) EndCursor() task.Cursor {
	r.events++
	return r.Cursor()
}

// Note completes ev, the next event of r, keeps it, and returns who is to hear of it:
// those who want more than the result.
func (r *Record) Note(ev *task.Event, b EventBounds) (verbose []task.Watcher) {
	r.events++
	ev.ID, ev.Cursor = r.Task.ID, r.Cursor()
	if r.log == nil && (isNote(ev) || isPart(ev) || ev.Kind == task.EventPartial) {
		r.log = &EventLog{}
	}
	if r.log != nil {
		r.log.add(ev, b)
	}
	return slices.Collect(r.watchers.verbose())
}

// NoteStatus is Note for what clients see of r now. It returns a nil event when there
// is nobody to hear of it, now or later; cursors count it all the same.
func (r *Record) NoteStatus(why string, b EventBounds) (*task.Event, []task.Watcher) {
	if r.log == nil && r.watchers == nil {
		r.events++
		return nil, nil
	}
	status := r.status
	ev := &task.Event{Kind: task.EventState, Status: &status, Message: why}
	return ev, r.Note(ev, b)
}

// Kept returns the events that are kept of r, and who is to hear of them.
func (r *Record) Kept() (events []*task.Event, verbose []task.Watcher) {
	if r.log != nil {
		events = slices.Clone(r.log.events)
	}
	return events, slices.Collect(r.watchers.verbose())
}

// ResultEvent is the last event of a task that has ended.
func (r *Record) ResultEvent() *task.Event {
	return &task.Event{Kind: task.EventResult, ID: r.Task.ID, Cursor: r.Cursor(), Result: r.result}
}

// HasLog reports whether events of r are kept.
func (r *Record) HasLog() bool { return r.log != nil }

// Log returns the events that are kept of r. If there was no log before, it is the result
// alone, or else is kept from now on and begins with the status.
func (r *Record) Log() *EventLog {
	switch {
	case r.log != nil:
	case r.result != nil:
		return &EventLog{events: []*task.Event{r.ResultEvent()}}
	default:
		status := r.status
		state := &task.Event{Kind: task.EventState, ID: r.Task.ID, Cursor: r.Cursor(), Status: &status}
		r.log = &EventLog{events: []*task.Event{state}, states: eventBytes}
	}
	return r.log
}
