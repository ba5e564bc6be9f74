package plugins

import (
	"cpulb/plugins/proto"
)

// emitter sends the events of one attempt. slot.out guards its fields: an event
// is numbered and written, or dropped, in one step, so that the numbers go up on
// the wire and nothing follows the Result.
type emitter struct {
	slot     *slotServer
	seq      uint64
	partials uint64
	ended    bool
}

// Partial implements Emitter.
func (e *emitter) Partial(value []byte) {
	if bound := e.slot.worker.resultBytes; int64(len(value)) > bound {
		e.slot.worker.log.Error("partial result is dropped", "slot", e.slot.index, "bytes", len(value), "most", bound)
		return
	}
	e.send(value, func(ev *proto.Event) {
		e.partials++
		ev.Kind = &proto.Event_Partial{Partial: &proto.Partial{Number: e.partials}}
	})
}

// Progress implements Emitter.
func (e *emitter) Progress(fraction float64, message string) {
	e.send(nil, func(ev *proto.Event) {
		ev.Kind = &proto.Event_Progress{Progress: &proto.Progress{Fraction: fraction, Message: message}}
	})
}

// Log implements Emitter.
func (e *emitter) Log(level, message string) {
	e.send(nil, func(ev *proto.Event) { ev.Kind = &proto.Event_Log{Log: &proto.Log{Level: level, Message: message}} })
}

func (e *emitter) send(payload []byte, fill func(*proto.Event)) {
	e.slot.out.Lock()
	defer e.slot.out.Unlock()
	if e.ended {
		return
	}
	ev := &proto.Event{Seq: e.seq, PayloadLength: uint64(len(payload))}
	fill(ev)
	err := e.slot.hold(ev)
	if err == nil {
		err = e.slot.flush(payload)
	}
	if err != nil {
		e.slot.worker.log.Error("event not sent", "slot", e.slot.index, "error", err)
	}
}

// end drops whatever comes from now on.
func (e *emitter) end() {
	e.slot.out.Lock()
	defer e.slot.out.Unlock()
	e.ended = true
}
