package daemon

import (
	"cpulb/daemon/config"
	"cpulb/daemon/effects"
	"cpulb/daemon/task"
)

// story is what is kept of the events of one task, for whoever asks for them
// later. Engine.mu guards it; the events themselves do not change.
//
// Progress and log events are bounded by limits.event_size: the oldest make room,
// and a gap event stands where they were. Partial results are data: an executor
// bounds them by limits.result_size, and what one that does not sends beyond it
// is a gap, too.
type story struct {
	events []*task.Event
	// chatter is the size of the progress and log events, values that of partials.
	chatter, values int64
	// changed is made when a reader waits, and closed at the next event.
	changed chan struct{}
}

// eventBytes is about what an event takes in memory beside its texts.
const eventBytes = 200

func sizeOf(ev *task.Event) int64 { return eventBytes + int64(len(ev.Value)+len(ev.Message)) }

func isChatter(ev *task.Event) bool { return ev.Kind == task.EventProgress || ev.Kind == task.EventLog }

func (s *story) bytes() int64 { return s.chatter + s.values }

// add keeps ev within the bounds.
func (s *story) add(ev *task.Event, limits *config.Limits) {
	switch {
	case isChatter(ev):
		s.chatter += sizeOf(ev)
	case ev.Kind == task.EventPartial && s.values+sizeOf(ev) > limits.ResultBytes+eventBytes:
		ev = gap(ev, 1)
	case ev.Kind == task.EventPartial:
		s.values += sizeOf(ev)
	}
	s.events = append(s.events, ev)
	if s.chatter > limits.EventBytes {
		s.drop(limits.EventBytes / 2) // half at a time, so that each event is looked at but a few times
	}
	s.wake()
}

func gap(at *task.Event, missed uint64) *task.Event {
	return &task.Event{Kind: task.EventGap, ID: at.ID, Cursor: at.Cursor, Missed: missed}
}

// drop puts gaps in the place of the oldest chatter until at most keep is left.
func (s *story) drop(keep int64) {
	kept := s.events[:0]
	for _, ev := range s.events {
		if s.chatter > keep && isChatter(ev) {
			s.chatter -= sizeOf(ev)
			ev = gap(ev, 1)
		}
		if last := len(kept) - 1; last >= 0 && ev.Kind == task.EventGap && kept[last].Kind == task.EventGap {
			ev = gap(ev, ev.Missed+kept[last].Missed)
			kept = kept[:last]
		}
		kept = append(kept, ev)
	}
	clear(s.events[len(kept):])
	s.events = kept
}

func (s *story) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// after returns the events after a cursor, and a channel for when there are more.
func (s *story) after(c task.Cursor) ([]*task.Event, <-chan struct{}) {
	for i, ev := range s.events {
		if ev.Cursor.Compare(c) > 0 {
			return append([]*task.Event(nil), s.events[i:]...), nil
		}
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return nil, s.changed
}

// cursor is the place of the last event of r.
func (r *record) cursor() task.Cursor {
	return task.Cursor{Attempt: int(r.attempts + r.lives), Seq: r.events}
}

// event makes the next event of r.
func (r *record) event(kind task.EventKind) *task.Event {
	r.events++
	return &task.Event{Kind: kind, ID: r.task.ID, Cursor: r.cursor()}
}

// tell notes ev and hands it to those who want more than the result.
func (e *Engine) tell(r *record, ev *task.Event, fx *effects.List) {
	if r.story == nil && (isChatter(ev) || ev.Kind == task.EventPartial) {
		r.story = &story{}
	}
	if r.story != nil {
		r.story.add(ev, &e.config.Load().Limits)
	}
	for _, w := range r.watchers {
		if w.Verbose() {
			fx.Event(w, ev)
		}
	}
}

// tellState tells the state that r has now.
func (e *Engine) tellState(r *record, why string, fx *effects.List) {
	if r.story == nil && len(r.watchers) == 0 {
		r.events++ // nobody is told, but cursors count it
		return
	}
	ev, status := r.event(task.EventState), r.state.Load()
	ev.Status, ev.Message = &status, why
	e.tell(r, ev, fx)
}

// resultEvent is the last event of a task that has ended.
func (r *record) resultEvent() *task.Event {
	return &task.Event{Kind: task.EventResult, ID: r.task.ID, Cursor: r.cursor(), Result: r.result}
}

// begin makes the story of a task that has none: of what was before, the state is
// told. One that has ended tells no more than its result.
func (r *record) begin() *story {
	if r.story == nil {
		r.story = &story{}
		if status := r.state.Load(); r.result == nil {
			r.story.events = []*task.Event{{Kind: task.EventState, ID: r.task.ID, Cursor: r.cursor(), Status: &status}}
		} else {
			r.story.events = []*task.Event{r.resultEvent()}
		}
	}
	return r.story
}
