package plugins

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins/proto"

	"golang.org/x/sys/unix"
)

// slotServer is the worker's end of one slot. Its run goroutine owns an OS
// thread, which reads, runs and writes without handing over to another.
type slotServer struct {
	worker *worker
	index  int
	bound  atomic.Bool
	claims claims
	// running is the seq in Slot.Run, 0 between tasks.
	running atomic.Uint64
	slot    Slot

	out  sync.Mutex // guards writing fd and held
	fd   int
	held []byte // frames that wait to leave with the next write
}

// run serves the slot until its connection ends. fd is blocking and becomes
// run's own.
func (s *slotServer) run(fd int) {
	// Never unlocked: interpreter state belongs to the thread, which ends with
	// this goroutine.
	runtime.LockOSThread()
	defer unix.Close(fd)
	s.fd = fd
	slot, err := s.worker.executor.OpenSlot(s.index)
	if err != nil {
		s.worker.log.Error("slot can't be opened", "slot", s.index, "error", err)
		return
	}
	s.slot = slot
	defer slot.Close()
	frames := newFrameReader(s, s.worker.maxParams())
	for err == nil {
		err = s.serveTask(frames)
	}
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

func (s *slotServer) serveTask(frames *frameReader) error {
	var m proto.Task
	if err := frames.next(&m); err != nil {
		return err
	}
	params, err := frames.payload(m.PayloadLength)
	if err != nil {
		return err
	}
	if s.worker.draining.Load() && s.claims.recall(m.Seq) == Recalled {
		return s.hold(&proto.Event{Seq: m.Seq, Kind: &proto.Event_Skipped{Skipped: &proto.Skipped{}}})
	}
	if !s.claims.claim(m.Seq) {
		return nil // recalled; whoever did so knows
	}
	if err := s.hold(&proto.Event{Seq: m.Seq, Kind: &proto.Event_Started{Started: &proto.Started{}}}); err != nil {
		return err
	}
	if err := s.write(nil, nil); err != nil {
		return err
	}
	o := s.runTask(newTask(&m, params))
	header, err := appendFrame(nil, &proto.Event{Seq: m.Seq, PayloadLength: uint64(len(o.Data)), Kind: &proto.Event_Result{Result: result(&o)}})
	if err != nil {
		return err
	}
	if frames.r.Buffered() > 0 && len(o.Data) < 64<<10 {
		s.out.Lock()
		s.held = append(append(s.held, header...), o.Data...)
		s.out.Unlock()
		return nil
	}
	return s.write(header, o.Data)
}

// runTask runs t and turns a panic of the executor into t's Outcome.
func (s *slotServer) runTask(t *Task) (o Outcome) {
	e := &emitter{slot: s, seq: t.Seq}
	s.worker.busy.Add(1)
	s.running.Store(t.Seq)
	defer func() {
		s.running.Store(0)
		e.ended.Store(true)
		s.worker.busy.Add(-1)
		s.worker.done.Add(1)
		if p := recover(); p != nil {
			s.worker.log.Error("executor panicked", "slot", s.index, "task_id", t.ID, "panic", p)
			o = Outcome{Status: task.Failed, Error: &task.Error{Type: "ExecutorPanic", Message: fmt.Sprint(p), Code: "executor"}}
		}
	}()
	return s.slot.Run(t, e)
}

// hold adds a frame without payload to the next write.
func (s *slotServer) hold(ev *proto.Event) error {
	s.out.Lock()
	defer s.out.Unlock()
	held, err := appendFrame(s.held, ev)
	s.held = held
	return err
}

// write sends what is held and then the bytes given, blocking until the daemon's
// reader has taken them.
func (s *slotServer) write(header, payload []byte) error {
	s.out.Lock()
	defer s.out.Unlock()
	s.held = append(s.held, header...)
	bufs := net.Buffers{s.held, payload}
	s.held = s.held[:0]
	for len(bufs) > 0 {
		if len(bufs[0]) == 0 {
			bufs = bufs[1:]
			continue
		}
		n, err := unix.Writev(s.fd, bufs)
		if err == unix.EINTR {
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

// cancel stops seq whether it runs or is still unread.
func (s *slotServer) cancel(seq uint64, reason StopReason) Claim {
	claim := s.claims.recall(seq)
	if claim == Claimed && s.running.Load() == seq {
		s.slot.Cancel(seq, reason)
	}
	return claim
}

// emitter sends the events of one attempt.
type emitter struct {
	slot     *slotServer
	seq      uint64
	partials atomic.Uint64
	ended    atomic.Bool
}

func (e *emitter) Partial(value []byte) {
	e.send(&proto.Event{Seq: e.seq, PayloadLength: uint64(len(value)),
		Kind: &proto.Event_Partial{Partial: &proto.Partial{Number: e.partials.Add(1)}}}, value)
}

func (e *emitter) Progress(fraction float64, message string) {
	e.send(&proto.Event{Seq: e.seq, Kind: &proto.Event_Progress{Progress: &proto.Progress{Fraction: fraction, Message: message}}}, nil)
}

func (e *emitter) Log(level, message string) {
	e.send(&proto.Event{Seq: e.seq, Kind: &proto.Event_Log{Log: &proto.Log{Level: level, Message: message}}}, nil)
}

func (e *emitter) send(ev *proto.Event, payload []byte) {
	if e.ended.Load() {
		return
	}
	header, err := appendFrame(nil, ev)
	if err == nil {
		err = e.slot.write(header, payload)
	}
	if err != nil {
		e.slot.worker.log.Error("event not sent", "slot", e.slot.index, "error", err)
	}
}

func newTask(m *proto.Task, params []byte) *Task {
	t := &Task{Seq: m.Seq, ID: m.TaskId, ScriptPath: m.ScriptPath, Function: m.Function, Type: task.Type(m.TaskType),
		Attempt: int(m.Attempt), Labels: m.Labels, Traceparent: m.Traceparent, Params: params}
	if m.DeadlineUnixNs != 0 {
		t.Deadline = time.Unix(0, m.DeadlineUnixNs)
	}
	return t
}

func result(o *Outcome) *proto.Result {
	r := &proto.Result{Outcome: proto.Outcome_OUTCOME_FAILED, Stdout: o.Stdout, Stderr: o.Stderr, Truncated: o.Truncated,
		RunNs: uint64(o.RunTime), CpuNs: uint64(o.CPUTime)}
	switch o.Status {
	case task.Completed:
		r.Outcome = proto.Outcome_OUTCOME_COMPLETED
	case task.Cancelled:
		r.Outcome = proto.Outcome_OUTCOME_CANCELLED
	case task.TimedOut:
		r.Outcome = proto.Outcome_OUTCOME_TIMED_OUT
	}
	if e := o.Error; e != nil {
		r.Error = &proto.Error{Type: e.Type, Message: e.Message, Traceback: e.Traceback, Code: e.Code}
	}
	return r
}

// accept binds each connection to the slot that its Hello names.
func (w *worker) accept(l *net.UnixListener) {
	defer l.Close()
	for range w.slots {
		conn, err := l.AcceptUnix()
		if err != nil {
			w.log.Error("slots can't be accepted", "error", err)
			return
		}
		if err := w.bind(conn); err != nil {
			w.log.Error("slot connection refused", "error", err)
		}
	}
}

// bind reads the Hello without reading beyond it, and gives the descriptor,
// made blocking, to the slot's thread.
func (w *worker) bind(conn *net.UnixConn) error {
	defer conn.Close()
	var hello proto.Hello
	if err := conn.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return err
	}
	if err := readHello(conn, &hello); err != nil {
		return err
	}
	if int(hello.Slot) >= len(w.slots) || !w.slots[hello.Slot].bound.CompareAndSwap(false, true) {
		return fmt.Errorf("%w: slot %d is none of %d or taken", ErrFrame, hello.Slot, len(w.slots))
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	fd := -1
	if cerr := raw.Control(func(p uintptr) { fd, err = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0) }); cerr != nil {
		return cerr
	}
	if err == nil {
		err = unix.SetNonblock(fd, false) // of the shared description; conn is closed here
	}
	if err != nil {
		return fmt.Errorf("slot descriptor: %w", err)
	}
	go w.slots[hello.Slot].run(fd)
	return nil
}

// helloTimeout is how long a new connection may take to say which slot it is.
const helloTimeout = 10 * time.Second

// readHello reads byte by byte, so that no byte of a Task is taken with it.
func readHello(conn net.Conn, hello *proto.Hello) error {
	f := newFrameReader(oneByteReader{conn}, 0)
	return f.next(hello)
}

type oneByteReader struct{ r io.Reader }

func (o oneByteReader) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }

// waitIdle waits until no task runs or ctx is done, and returns how many still run.
func (w *worker) waitIdle(ctx context.Context) int {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for w.busy.Load() > 0 && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return int(w.busy.Load())
}
