package plugins

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

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
	// begins are the tables that the daemon shares, where it finds what has begun, also when
	// the process has died of it before anything was sent; nil: it shares none.
	begins []claims
	out    *outbox.Outbox
	// opened: there are the next two.
	opened atomic.Bool
	socket int
	inode  inode

	flusher *flusher
	since   atomic.Int64 // heldSince; changed with mu only

	mu       sync.Mutex
	held     []byte      // frames, until the loop's turn ends
	begun    []*loopTask // whose Started is to follow them, unless a Result came first
	answered int         // Results in held
	running  int         // tasks

	lookout lookout // for what they have printed; changed with mu
}

// openLoop makes the loop slots of a worker; nil if count is 0.
func (w *worker) openLoop(first, count int) (_ *loopServer, err error) {
	if count == 0 {
		return nil, nil
	}
	looper, ok := w.executor.(Looper)
	if !ok {
		return nil, fmt.Errorf("%w: async_concurrency: the executor %s has no event loop", ErrBadSetting, w.executor.Describe().Name)
	}
	l := &loopServer{worker: w, first: first, claims: make([]claims, count)}
	if l.loop, err = looper.OpenLoop(first, count, l.turned); err != nil {
		return nil, fmt.Errorf("event loop: %w", err)
	}
	if p, ok := l.loop.(LoopPrinter); ok {
		l.lookout.look = p.Printed
	}
	return l, nil
}

// serve serves the slots until their connection ends. conn becomes its own.
func (l *loopServer) serve(conn *net.UnixConn) {
	raw, err := rawio.New(conn)
	if err == nil {
		defer raw.Close()
		l.socket, l.inode = raw.Socket(), inodeOf(raw.Socket())
		l.opened.Store(true)
		defer l.opened.Store(false)
		l.out = outbox.New(raw, 0)
		frames := newFrameReader(raw, maxParams)
		frames.trusts = true
		for err == nil {
			err = l.serveTask(frames)
		}
	}
	switch {
	case err != io.EOF:
		l.worker.giveUp(l.first, err)
	case !l.intact():
		l.worker.giveUp(l.first, errTaken)
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
	l.enter()
	task := taskOf(&m, params)
	l.loop.Start(int(m.Slot), &task, t)
	return nil
}

// enter notes that a task is about to run; answer notes its end.
func (l *loopServer) enter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running++; l.running == 1 {
		l.lookout.begin(l.flusher.now())
	}
}

// loopTask is one task on the loop; it implements LoopRun.
type loopTask struct {
	eventWriter
	server *loopServer
	seq    uint64
	begun  bool // it is among the server's begun; with the server's mu
}

func (l *loopServer) newTask(slot int, seq uint64) *loopTask {
	t := &loopTask{server: l, seq: seq}
	t.eventWriter = eventWriter{worker: l.worker, slot: slot, lock: &sync.Mutex{}, to: t}
	return t
}

// Begun implements LoopRun.
func (t *loopTask) Begun() {
	t.lock.Lock()
	defer t.lock.Unlock()
	if !t.ended {
		t.server.begin(t)
	}
}

// Ended implements LoopRun.
func (t *loopTask) Ended(o Outcome) {
	limitResult(&o, t.server.worker.resultBytes)
	limitOutput(&o, t.server.worker.outputBytes)
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
	err := t.server.answer(t, ev, payload)
	if errors.Is(err, errUnsendable) {
		return err
	}
	t.ended = true
	t.server.worker.busy.Add(-1)
	t.server.worker.done.Add(1)
	return nil
}

// errUnsendable: the event is not UTF-8, or too large for a header.
var errUnsendable = errors.New("the event can't be sent")

// write sends an event at once, after what is held.
func (t *loopTask) write(ev *proto.Event, payload []byte) error {
	l := t.server
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.begun {
		t.begun = false
		l.addStarted(t)
	}
	if err := l.add(t, ev); err != nil {
		return err
	}
	return l.flush(payload)
}

// begin holds the Started of a task.
func (l *loopServer) begin(t *loopTask) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.begun = true
	l.begun = append(l.begun, t)
	if l.begins == nil { // the daemon has to know before the task runs
		_ = l.flush(nil) // an error: reading will end, too
		return
	}
	l.begins[t.slot-l.first].claim(t.seq)
	_ = l.hold() // as above
}

// answer holds the last event of a task, unless that is large. A Started that is still
// held is implied.
func (l *loopServer) answer(t *loopTask, ev *proto.Event, payload []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.add(t, ev); err != nil {
		return err
	}
	t.begun = false
	if l.running--; l.running == 0 {
		l.lookout.end()
	}
	if l.begins != nil {
		l.begins[t.slot-l.first].done(t.seq)
	}
	l.answered++
	if len(payload) >= joined {
		return l.flush(payload)
	}
	if l.held = append(l.held, payload...); len(l.held) >= joined {
		return l.flush(nil)
	}
	return l.hold()
}

// turned sends what is held: the loop has ended a turn.
func (l *loopServer) turned() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.Load() != 0 {
		_ = l.flush(nil) // as above
	}
}

// hold has the flusher see to what is held. l.mu is held.
func (l *loopServer) hold() error {
	if l.since.Load() != 0 {
		return nil
	}
	l.since.Store(l.flusher.now())
	if l.flusher.note() {
		return nil
	}
	return l.flush(nil)
}

// add adds a header to what is held; its payload must follow. l.mu is held.
func (l *loopServer) add(t *loopTask, ev *proto.Event) error {
	ev.Slot, ev.Seq = uint32(t.slot), t.seq
	held, err := appendFrame(l.held, ev)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnsendable, err)
	}
	l.held = held
	return nil
}

func (l *loopServer) addStarted(t *loopTask) {
	_ = l.add(t, &proto.Event{Kind: &proto.Event_Started{Started: &proto.Started{}}}) // it has no text and no size
}

// flush queues what is held, and then payload. l.mu is held.
func (l *loopServer) flush(payload []byte) error {
	for _, t := range l.begun {
		if t.begun {
			t.begun = false
			l.addStarted(t)
		}
	}
	clear(l.begun)
	l.begun = l.begun[:0]
	if len(payload) >= outbox.TakenOver {
		payload = append([]byte(nil), payload...) // it would be the outbox's own
	}
	err := l.out.Write(l.held, payload)
	l.worker.gate.leave(l.answered)
	if l.answered = 0; len(l.held) >= outbox.TakenOver {
		l.held = nil
	}
	l.held = l.held[:0]
	l.since.Store(0)
	return err
}

// heldSince implements holder.
func (l *loopServer) heldSince() int64 { return l.since.Load() }

// flushHeld implements holder.
func (l *loopServer) flushHeld() { l.turned() }

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
