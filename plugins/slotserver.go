package plugins

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"cpulb/daemon/task"
	"cpulb/plugins/proto"

	"golang.org/x/sys/unix"
)

// joined is the largest result that is copied to leave in one write with the next
// task's Started; a larger one is written at once.
const joined = 64 << 10

// slotServer is the worker's end of one slot. Its run goroutine owns an OS
// thread, which reads, runs and writes without handing over to another.
type slotServer struct {
	worker *worker
	index  int
	opened chan struct{} // closed when there is a connection, and with it claims
	claims *claims
	slot   atomic.Pointer[Slot] // nil before it is open and once it is closed

	out  sync.Mutex // guards writing fd, and what follows
	fd   int
	held []byte // frames that wait to leave with the next write
	// answered counts the Results in held; their tasks leave the gate with them.
	answered int
}

// open notes that there is a connection. Tasks are claimed in table, or, where the daemon
// shares none (nil), in one of the slot's own.
func (s *slotServer) open(table *claims) {
	if table == nil {
		table = new(claims)
	}
	s.claims = table
	close(s.opened)
}

// isOpen reports whether there has been a connection.
func (s *slotServer) isOpen() bool {
	select {
	case <-s.opened:
		return true
	default:
		return false
	}
}

// run serves the slot until its connection ends, on the slot's own OS thread. fd is
// blocking and becomes run's own.
func (s *slotServer) run(fd int) {
	defer unix.Close(fd)
	s.fd = fd
	slot, err := s.worker.executor.OpenSlot(s.index)
	if err != nil {
		s.worker.log.Error("slot can't be opened", "slot", s.index, "error", err)
		return
	}
	defer slot.Close()
	s.slot.Store(&slot)
	defer s.slot.Store(nil)
	frames := newFrameReader(s, maxParams)
	frames.trusts = true
	for err == nil {
		err = s.serveTask(slot, frames)
	}
	_ = s.write(nil, nil) // what was held when a bad frame came
	if err != io.EOF {
		s.worker.log.Error("slot ended", "slot", s.index, "error", err)
	}
}

// Read implements io.Reader for the frame reader. It writes what is held first:
// nothing finished waits while the thread does.
func (s *slotServer) Read(p []byte) (int, error) {
	if err := s.write(nil, nil); err != nil {
		return 0, err
	}
	for {
		n, err := unix.Read(s.fd, p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, fmt.Errorf("read: %w", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (s *slotServer) serveTask(slot Slot, frames *frameReader) error {
	var m proto.Task
	if err := frames.next(&m); err != nil {
		return err
	}
	params, err := frames.payload(m.PayloadLength)
	if err != nil {
		return err
	}
	if !s.worker.gate.enter() {
		return s.refuse(m.Seq)
	}
	if !s.claims.claim(m.Seq) {
		s.worker.gate.leave(1)
		return nil // recalled; the caller knows
	}
	s.worker.busy.Add(1) // before anybody knows that it runs
	started := &proto.Event{Seq: m.Seq, Kind: &proto.Event_Started{Started: &proto.Started{}}}
	if err := s.write(started, nil); err != nil {
		s.worker.busy.Add(-1)
		s.worker.gate.leave(1)
		return err
	}
	o := s.runTask(slot, newTask(&m, params))
	s.claims.done(m.Seq)
	return s.answer(m.Seq, &o, frames.r.Buffered() > 0)
}

// refuse answers a task that came after the drain began, unless it was recalled.
func (s *slotServer) refuse(seq uint64) error {
	if _, won := s.claims.recall(seq); !won {
		return nil
	}
	return s.write(&proto.Event{Seq: seq, Kind: &proto.Event_Skipped{Skipped: &proto.Skipped{}}}, nil)
}

// runTask runs t and turns a panic of the executor into t's Outcome.
func (s *slotServer) runTask(slot Slot, t *Task) (o Outcome) {
	events := &eventWriter{worker: s.worker, slot: s.index, lock: &s.out, send: func(ev *proto.Event, payload []byte) error {
		ev.Seq = t.Seq
		return s.writeHeld(ev, payload)
	}}
	defer func() {
		events.end()
		s.worker.busy.Add(-1)
		s.worker.done.Add(1)
		if p := recover(); p != nil {
			s.worker.log.Error("executor panicked", "slot", s.index, "task_id", t.ID, "panic", p, "stack", string(debug.Stack()))
			o = Outcome{Status: task.Failed, Fault: Ran,
				Error: &task.Error{Type: "ExecutorPanic", Message: fmt.Sprint(p), Code: "executor"}}
		}
	}()
	return slot.Run(t, events)
}

// answer sends the Result of seq. When the next task has been read already, the
// Result may wait for that one's Started, which follows without running anything.
func (s *slotServer) answer(seq uint64, o *Outcome, another bool) error {
	limitResult(o, s.worker.resultBytes)
	s.out.Lock()
	defer s.out.Unlock()
	s.answered++
	if err := s.hold(resultEvent(seq, o)); err != nil {
		// Not UTF-8, or too large for a header: the executor's fault, and no reason to
		// give up the slot.
		failed := unsendable(": " + err.Error())
		o = &failed
		if err := s.hold(resultEvent(seq, o)); err != nil {
			return err
		}
	}
	if another && len(o.Data) < joined {
		s.held = append(s.held, o.Data...)
		return nil
	}
	return s.flush(o.Data)
}

// write sends what is held, then ev (nil: nothing) with its payload. It blocks
// until the daemon's reader has taken them.
func (s *slotServer) write(ev *proto.Event, payload []byte) error {
	s.out.Lock()
	defer s.out.Unlock()
	return s.writeHeld(ev, payload)
}

// writeHeld is write where s.out is held.
func (s *slotServer) writeHeld(ev *proto.Event, payload []byte) error {
	if ev != nil {
		if err := s.hold(ev); err != nil {
			return err
		}
	}
	return s.flush(payload)
}

// hold adds a header to the next write; its payload must follow. s.out is held.
func (s *slotServer) hold(ev *proto.Event) error {
	held, err := appendFrame(s.held, ev)
	if err == nil {
		s.held = held
	}
	return err
}

// flush writes what is held and then payload. s.out is held.
func (s *slotServer) flush(payload []byte) error {
	// Also when it fails: the connection is lost then, and Drain must not wait.
	defer func() {
		s.worker.gate.leave(s.answered)
		s.answered, s.held = 0, s.held[:0]
	}()
	bufs := net.Buffers{s.held, payload}
	for len(bufs) > 0 {
		if len(bufs[0]) == 0 {
			bufs = bufs[1:]
			continue
		}
		n, err := unix.Writev(s.fd, bufs)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		for n > 0 {
			took := min(n, len(bufs[0]))
			bufs[0] = bufs[0][took:]
			n -= took
			if len(bufs[0]) == 0 {
				bufs = bufs[1:]
			}
		}
	}
	return nil
}

func (s *slotServer) recall(seq uint64) Claim {
	claim, _ := s.claims.recall(seq)
	return claim
}

// cancel stops seq whether it runs, is just about to, or is still unread.
func (s *slotServer) cancel(seq uint64, reason StopReason) Claim {
	claim, _ := s.claims.recall(seq)
	if slot := s.slot.Load(); claim == Claimed && slot != nil {
		(*slot).Cancel(seq, reason)
	}
	return claim
}
