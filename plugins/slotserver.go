package plugins

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins/proto"

	"golang.org/x/sys/unix"
)

// yieldAfter is how often a slot's thread yields. Go's monitor takes the processor away from
// a goroutine that has not been scheduled anew for 10 ms, at each system call that it finds
// it in, and looks for that every 20 µs as long as it succeeds: a tenth of a worker's CPU.
const yieldAfter = 5 * time.Millisecond

// slotServer is the worker's end of one slot. Its run goroutine owns an OS
// thread, which reads, runs and writes without handing over to another.
type slotServer struct {
	worker *worker
	index  int
	opened chan struct{} // closed when there is a connection, and with it the next two
	claims *claims
	shared bool                 // the daemon has claims, too
	slot   atomic.Pointer[Slot] // nil before it is open and once it is closed
	idle   func()               // of an Idler; nil: there is nothing to do

	inode inode // of the connection

	lookout lookout // for what the task that runs has printed

	header proto.Task // of the task that has been read last
	up     upward
}

// open notes that there is a connection. Tasks are claimed in table, or, where the daemon
// shares none (nil), in one of the slot's own.
func (s *slotServer) open(table *claims) {
	s.claims, s.shared = table, table != nil
	if !s.shared {
		s.claims, s.up.prompt = new(claims), true
	}
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
	s.up.fd, s.inode = fd, inodeOf(fd)
	slot, err := s.worker.executor.OpenSlot(s.index)
	if err != nil {
		s.worker.log.Error("slot can't be opened", "slot", s.index, "error", err)
		return
	}
	defer slot.Close()
	s.slot.Store(&slot)
	if i, ok := slot.(Idler); ok {
		s.idle = i.Idle
	}
	if p, ok := slot.(Printer); ok {
		s.lookout.look = p.Printed
	}
	defer s.slot.Store(nil)
	frames := newFrameReader(s, maxParams)
	frames.trusts = true
	for yielded := s.up.flusher.now(); err == nil; {
		err = s.serveTask(slot, frames)
		if now := s.up.began; time.Duration(now-yielded) >= yieldAfter {
			s.yield()
			yielded = now
		}
	}
	_ = s.up.sendHeld() // when a bad frame came
	switch {
	case err != io.EOF:
		s.worker.giveUp(s.index, err)
	case !s.intact():
		s.worker.giveUp(s.index, errTaken)
	}
	_ = unix.Shutdown(fd, unix.SHUT_RDWR) // a process that a script has forked has it, too
}

// yield lets others have the processor. Where many slots share it, one of them may go into
// its script with it, and the scheduler takes milliseconds to notice: nothing finished waits
// for that.
func (s *slotServer) yield() {
	_ = s.up.sendHeld() // an error: reading or writing will meet it, too
	runtime.Gosched()
}

// Read implements io.Reader for the frame reader. It writes what is held first:
// nothing finished waits while the thread does.
func (s *slotServer) Read(p []byte) (int, error) {
	if s.up.heldSince() != 0 {
		if err := s.up.sendHeld(); err != nil {
			return 0, err
		}
	}
	if s.idle != nil {
		s.idle()
	}
	for {
		n, err := awaitAndRead(s.up.fd, p)
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

// awaitAndRead reads from a blocking socket. Who waits in read(2) is woken for nothing when
// the other end reads what was sent to it; who waits in poll(2) is not.
func awaitAndRead(fd int, p []byte) (int, error) {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds[:], -1); err != nil {
		return 0, err
	}
	return unix.Read(fd, p)
}

func (s *slotServer) serveTask(slot Slot, frames *frameReader) error {
	m := &s.header
	if err := frames.next(m); err != nil {
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
		return s.skip(m.Seq)
	}
	s.worker.busy.Add(1) // before anybody knows that it runs
	if err := s.up.begin(m.Seq); err != nil {
		s.worker.busy.Add(-1)
		s.worker.gate.leave(1)
		return err
	}
	s.lookout.begin(s.up.began)
	o := s.runTask(slot, s.attemptAt(m, params))
	s.lookout.end()
	s.claims.done(m.Seq)
	limitResult(&o, s.worker.resultBytes)
	limitOutput(&o, s.worker.outputBytes)
	return s.up.answer(m.Seq, &o)
}

// skip answers a task that was recalled. Who recalled it knows that; but a script may have
// written into a table that is shared, and then nobody does.
func (s *slotServer) skip(seq uint64) error {
	if !s.shared {
		return nil
	}
	return s.up.skip(seq)
}

// refuse answers a task that came after the drain began, unless it was recalled.
func (s *slotServer) refuse(seq uint64) error {
	if _, won := s.claims.recall(seq); !won {
		return nil
	}
	return s.up.send(&proto.Event{Seq: seq, Kind: &proto.Event_Skipped{Skipped: &proto.Skipped{}}})
}

// slotAttempt is one attempt at a task, with where its events go.
type slotAttempt struct {
	task Task
	eventWriter
	up *upward
}

func (s *slotServer) attemptAt(m *proto.Task, params []byte) *slotAttempt {
	a := &slotAttempt{task: taskOf(m, params), up: &s.up}
	a.eventWriter = eventWriter{worker: s.worker, slot: s.index, lock: &s.up, to: a}
	return a
}

// write implements eventSink.
func (a *slotAttempt) write(ev *proto.Event, payload []byte) error {
	ev.Seq = a.task.Seq
	return a.up.event(ev, payload)
}

// runTask runs a task and turns a panic of the executor into its Outcome.
func (s *slotServer) runTask(slot Slot, a *slotAttempt) (o Outcome) {
	defer func() {
		a.end()
		s.worker.busy.Add(-1)
		s.worker.done.Add(1)
		if p := recover(); p != nil {
			s.worker.log.Error("executor panicked", "slot", s.index, "task_id", a.task.ID, "panic", p, "stack", string(debug.Stack()))
			o = Outcome{Status: task.Failed, Fault: Ran,
				Error: &task.Error{Type: "ExecutorPanic", Message: fmt.Sprint(p), Code: "executor"}}
		}
	}()
	return slot.Run(&a.task, a)
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
