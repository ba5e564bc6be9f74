package plugins

import (
	"sync"

	"cpulb/plugins/proto"
)

// eventWriter implements Emitter for one attempt at a task. lock guards what follows
// it: an event is numbered and sent, or dropped, in one step, so that the numbers go
// up on the wire and nothing follows the last event.
type eventWriter struct {
	worker *worker
	slot   int

	lock     sync.Locker
	to       eventSink
	partials uint64
	ended    bool
}

// eventSink sends one event of an attempt, and its payload, with the lock held.
type eventSink interface {
	write(ev *proto.Event, payload []byte) error
}

// Partial implements Emitter.
func (w *eventWriter) Partial(value []byte) {
	if most := w.worker.resultBytes; int64(len(value)) > most {
		w.worker.log.Error("partial result is dropped", "slot", w.slot, "bytes", len(value), "most", most)
		return
	}
	w.event(value, func(ev *proto.Event) {
		w.partials++
		ev.Kind = &proto.Event_Partial{Partial: &proto.Partial{Number: w.partials}}
	})
}

// Progress implements Emitter.
func (w *eventWriter) Progress(fraction float64, message string) {
	w.event(nil, func(ev *proto.Event) {
		ev.Kind = &proto.Event_Progress{Progress: &proto.Progress{Fraction: fraction, Message: message}}
	})
}

// Log implements Emitter.
func (w *eventWriter) Log(level, message string) {
	w.event(nil, func(ev *proto.Event) { ev.Kind = &proto.Event_Log{Log: &proto.Log{Level: level, Message: message}} })
}

// mostOutput is how much text an Output has at most: the daemon drops the oldest ones whole.
const mostOutput = 64 << 10

// Output implements Emitter.
func (w *eventWriter) Output(stream Stream, text string) {
	if w.worker.outputInterval == 0 {
		return
	}
	for part := ""; text != ""; text = text[len(part):] {
		part = wholeRunes(text, mostOutput)
		w.event(nil, func(ev *proto.Event) {
			ev.Kind = &proto.Event_Output{Output: &proto.Output{Stream: proto.Stream(stream), Text: part}}
		})
	}
}

// event sends one event, which fill completes, unless the last one has been sent.
func (w *eventWriter) event(payload []byte, fill func(*proto.Event)) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.ended {
		return
	}
	ev := &proto.Event{PayloadLength: uint64(len(payload))}
	fill(ev)
	if err := w.to.write(ev, payload); err != nil {
		w.worker.log.Error("event not sent", "slot", w.slot, "error", err)
	}
}

// end drops the events that come from now on.
func (w *eventWriter) end() {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.ended = true
}
