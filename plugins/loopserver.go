package plugins

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"cpulb/internal/outbox"
	"cpulb/internal/rawio"
	"cpulb/plugins/proto"
)

// loopServer is the worker's end of the loop slots, which share a connection. Its run
// goroutine reads; events are queued by the thread that has them, because the loop
// must not wait.
type loopServer struct {
	worker *worker
	first  int
	loop   Loop
	bound  bool     // only accept's goroutine uses it
	claims []claims // by slot, from first on
	out    *outbox.Outbox
}

// openLoop makes the loop slots of a worker; nil if count is 0.
func (w *worker) openLoop(first, count int) (*loopServer, error) {
	if count == 0 {
		return nil, nil
	}
	looper, ok := w.executor.(Looper)
	if !ok {
		return nil, fmt.Errorf("%w: async_concurrency: the executor %s has no event loop", ErrBadSetting, w.executor.Describe().Name)
	}
	loop, err := looper.OpenLoop(first, count)
	if err != nil {
		return nil, fmt.Errorf("event loop: %w", err)
	}
	return &loopServer{worker: w, first: first, loop: loop, claims: make([]claims, count)}, nil
}

// serve serves the slots until their connection ends. conn becomes its own.
func (l *loopServer) serve(conn *net.UnixConn) {
	defer conn.Close()
	raw, err := rawio.New(conn)
	if err == nil {
		l.out = outbox.New(raw, 0)
		frames := newFrameReader(raw, maxParams)
		frames.trusts = true
		for err == nil {
			err = l.serveTask(frames)
		}
	}
	if err != io.EOF {
		l.worker.log.Error("loop slots ended", "error", err)
	}
}

func (l *loopServer) serveTask(frames *frameReader) error {
	var m proto.Task
	if err := frames.next(&m); err != nil {
		return err
	}
	params, err := frames.payload(m.PayloadLength)
	if err != nil {
		return err
	}
	index := int(m.Slot) - l.first
	if index < 0 || index >= len(l.claims) {
		return fmt.Errorf("%w: slot %d is not on the loop", ErrFrame, m.Slot)
	}
	t := l.newTask(int(m.Slot), m.Seq)
	if !l.worker.gate.enter() {
		if _, won := l.claims[index].recall(m.Seq); won {
			_ = t.write(&proto.Event{Kind: &proto.Event_Skipped{Skipped: &proto.Skipped{}}}, nil) // an error: reading will end, too
		}
		return nil
	}
	if !l.claims[index].claim(m.Seq) {
		l.worker.gate.leave(1)
		return nil // recalled; the caller knows
	}
	l.worker.busy.Add(1)
	l.loop.Start(int(m.Slot), newTask(&m, params), t)
	return nil
}

// loopTask is one task on the loop; it implements LoopRun.
type loopTask struct {
	eventWriter
	server *loopServer
	seq    uint64
}

func (l *loopServer) newTask(slot int, seq uint64) *loopTask {
	t := &loopTask{server: l, seq: seq}
	t.eventWriter = eventWriter{worker: l.worker, slot: slot, lock: &sync.Mutex{}, send: t.write}
	return t
}

// Begun implements LoopRun.
func (t *loopTask) Begun() {
	t.event(nil, func(ev *proto.Event) { ev.Kind = &proto.Event_Started{Started: &proto.Started{}} })
}

// Ended implements LoopRun.
func (t *loopTask) Ended(o Outcome) {
	limitResult(&o, t.server.worker.resultBytes)
	if t.last(resultEvent(t.seq, &o), o.Data) == nil {
		return
	}
	failed := unsendable("")
	_ = t.last(resultEvent(t.seq, &failed), nil) // the connection has ended
}

// NeedsThread implements LoopRun.
func (t *loopTask) NeedsThread() {
	_ = t.last(&proto.Event{Kind: &proto.Event_Skipped{Skipped: &proto.Skipped{NeedsThread: true}}}, nil) // as above
}

// last sends the last event, once; later ones are dropped. When the event can't be
// sent, it fails, and another may be the last.
func (t *loopTask) last(ev *proto.Event, payload []byte) error {
	t.lock.Lock()
	defer t.lock.Unlock()
	if t.ended {
		return nil
	}
	err := t.write(ev, payload)
	if errors.Is(err, errUnsendable) {
		return err
	}
	t.ended = true
	t.server.worker.busy.Add(-1)
	t.server.worker.done.Add(1)
	t.server.worker.gate.leave(1)
	return nil
}

// errUnsendable: the event is not UTF-8, or too large for a header.
var errUnsendable = errors.New("the event can't be sent")

func (t *loopTask) write(ev *proto.Event, payload []byte) error {
	ev.Slot, ev.Seq = uint32(t.slot), t.seq
	header, err := appendFrame(nil, ev)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnsendable, err)
	}
	if len(payload) >= outbox.TakenOver {
		payload = append([]byte(nil), payload...) // it would be the outbox's own
	}
	return t.server.out.Write(header, payload)
}

// loopSlot is one slot of the loop, as the control plane names it.
type loopSlot struct {
	server *loopServer
	index  int
}

func (s loopSlot) recall(seq uint64) Claim {
	claim, _ := s.server.claims[s.index-s.server.first].recall(seq)
	return claim
}

func (s loopSlot) cancel(seq uint64, reason StopReason) Claim {
	claim := s.recall(seq)
	if claim == Claimed {
		s.server.loop.Cancel(s.index, seq, reason)
	}
	return claim
}
