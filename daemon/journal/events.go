package journal

import (
	"cmp"
	"math"
	"slices"

	"cpulb/daemon/task"

	"google.golang.org/protobuf/encoding/protowire"
)

// Events are some events of one task, none of them its result. They come in chunks, so that
// few records have many events; all chunks together are the task's event log.
type Events struct {
	// Chunk numbers the chunks of a task, upwards. Whole: it replaces those before it.
	Chunk uint32
	Whole bool
	// Events are in their order. Their IDs are not kept.
	Events []*task.Event
}

// The field of all events, and the fields of each. An event whose attempt is left out has that
// of the one before; its seq is then counted from the one that follows that.
const (
	eventsOne protowire.Number = 1

	eventKind protowire.Number = iota
	eventAttempt
	eventSeq
	eventStatus
	eventValue
	eventFraction
	eventLevel
	eventMessage
	eventMissed
	eventFromAttempt // unless a gap begins where it is
	eventFromSeq
)

// eventKinds are those that are kept (what a task prints is kept with its result alone), each written as its place in it.
var eventKinds = [...]task.EventKind{"", task.EventState, task.EventPartial, task.EventProgress, task.EventLog, task.EventGap}

func (x *Events) encode(b []byte) []byte {
	var one []byte
	var at task.Cursor
	for _, ev := range x.Events {
		one = appendEvent(one[:0], ev, at)
		at = ev.Cursor
		b = appendBytes(b, eventsOne, one)
	}
	return b
}

func appendEvent(b []byte, ev *task.Event, before task.Cursor) []byte {
	b = appendNumber(b, eventKind, uint64(slices.Index(eventKinds[:], ev.Kind)))
	seq := ev.Cursor.Seq - before.Seq - 1
	if ev.Cursor.Attempt != before.Attempt {
		b = appendNumber(b, eventAttempt, uint64(ev.Cursor.Attempt))
		seq = ev.Cursor.Seq
	}
	b = appendNumber(b, eventSeq, seq)
	if ev.Status != nil {
		b = appendNumber(b, eventStatus, uint64(*ev.Status))
	}
	b = appendBytes(b, eventValue, ev.Value)
	if ev.Fraction != nil {
		b = protowire.AppendFixed64(protowire.AppendTag(b, eventFraction, protowire.Fixed64Type), math.Float64bits(*ev.Fraction))
	}
	b = appendBytes(b, eventLevel, ev.Level)
	b = appendBytes(b, eventMessage, ev.Message)
	if b = appendNumber(b, eventMissed, ev.Missed); ev.Kind == task.EventGap && ev.From != ev.Cursor {
		b = appendNumber(appendNumber(b, eventFromAttempt, uint64(ev.From.Attempt)), eventFromSeq, ev.From.Seq)
	}
	return b
}

func decodeEvents(record []byte) (all []*task.Event, err error) {
	var at task.Cursor
	return all, fields(record, func(f *field) error {
		if f.number != eventsOne {
			return nil
		}
		ev, err := decodeEvent(f.bytes, at)
		if err == nil {
			at = ev.Cursor
			all = append(all, ev)
		}
		return err
	})
}

func decodeEvent(record []byte, before task.Cursor) (*task.Event, error) {
	ev := &task.Event{Cursor: task.Cursor{Attempt: before.Attempt}}
	seq, from := uint64(0), before.Seq+1
	var status task.Status
	err := fields(record, func(f *field) error {
		switch f.number {
		case eventKind:
			if f.value >= uint64(len(eventKinds)) {
				return errMalformed
			}
			ev.Kind = eventKinds[f.value]
		case eventAttempt:
			ev.Cursor.Attempt, from = f.int(), 0
		case eventSeq:
			seq = f.value
		case eventStatus:
			status = task.Status(f.value)
		case eventValue:
			ev.Value = append([]byte(nil), f.bytes...)
		case eventFraction:
			ev.Fraction = new(math.Float64frombits(f.value))
		case eventLevel:
			ev.Level = string(f.bytes)
		case eventMessage:
			ev.Message = string(f.bytes)
		case eventMissed:
			ev.Missed = f.value
		case eventFromAttempt:
			ev.From.Attempt = f.int()
		case eventFromSeq:
			ev.From.Seq = f.value
		}
		return nil
	})
	ev.Cursor.Seq = from + seq
	switch {
	case ev.Kind != task.EventGap:
		ev.From = task.Cursor{}
	case ev.From == task.Cursor{}:
		ev.From = ev.Cursor
	}
	if ev.Kind == task.EventState {
		ev.Status = &status
	}
	if err == nil && (ev.Kind == "" || !slices.Contains(task.Statuses(), status)) {
		err = errMalformed
	}
	return ev, err
}

// size is about what x takes in memory.
func (x *Events) size() (n int) {
	for _, ev := range x.Events {
		n += 200 + len(ev.Value) + len(ev.Message)
	}
	return n
}

// inOrder puts events that were read chunk by chunk into their order. A chunk that was copied
// may have been read twice.
func inOrder(all []*task.Event) []*task.Event {
	slices.SortStableFunc(all, func(a, b *task.Event) int { return a.Cursor.Compare(b.Cursor) })
	return slices.CompactFunc(all, func(a, b *task.Event) bool { return a.Cursor.Compare(b.Cursor) == 0 })
}

// chunk is where a chunk of events is.
type chunk struct {
	number uint32
	place
}

// noteEvents takes in a chunk that stands at p.
func (x *index) noteEvents(r record, p place) {
	all := slices.DeleteFunc(x.events[r.key.stamp], func(c chunk) bool {
		gone := c.number == r.chunk || r.whole && c.number < r.chunk
		if gone {
			x.drop(c.segment, int64(c.size))
		}
		return gone
	})
	x.live[p.segment] += int64(p.size)
	x.events[r.key.stamp] = append(all, chunk{r.chunk, p})
}

// forgetEvents takes all chunks of a task out.
func (x *index) forgetEvents(stamp int64) {
	for _, c := range x.events[stamp] {
		x.drop(c.segment, int64(c.size))
	}
	delete(x.events, stamp)
}

// lastChunk returns the number of a task's last chunk; 0: it has none.
func (x *index) lastChunk(stamp int64) uint32 {
	if len(x.events[stamp]) == 0 {
		return 0
	}
	return slices.MaxFunc(x.events[stamp], func(a, b chunk) int { return cmp.Compare(a.number, b.number) }).number
}
