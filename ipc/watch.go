package ipc

import (
	"sync"
	"sync/atomic"

	"cpulb/daemon/task"
)

// watch is a task that was submitted on a stream, perhaps again and again while it has not
// ended: it passes the task's events on, once. None comes before the line that says that the
// task was accepted, and the result comes after the last of these: a short task may end
// before Submit returns.
type watch struct {
	task.Heard
	stream  *stream
	verbose atomic.Bool

	// id is the task's; it may be unknown before the answer. That of watched guards it.
	id task.ID

	// mu is taken before that of watched.
	mu sync.Mutex
	// asked counts the submissions without an answer. accepted: one was accepted; free:
	// events may pass before the answers, but for the result.
	asked          int
	accepted, free bool
	held           []*task.Event
}

// heldAtMost bounds the events that wait for an answer, which mostly comes with them.
const heldAtMost = 10_000

// submission is one line that submits a task.
type submission struct {
	watch *watch
	// sent is the id that the line gave the task; named: its sender knows it.
	sent  task.ID
	named bool
	line  int
	// quiet: its sender wants no line that says that the task was accepted. keyed: it may
	// turn out to be a task with another id, that was sent before.
	quiet, keyed bool
	// room is what the line has of its sender's share, until the engine has answered.
	room int64
}

// known is the task's id, if its sender knows it.
func (s *submission) known() *string {
	if !s.named {
		return nil
	}
	text := s.sent.String()
	return &text
}

// answered is told the engine's answer. It queues and does not block.
func (s *submission) answered(view task.View, err error) {
	st, w := s.watch.stream, s.watch
	st.held.give(s.room)
	switch {
	case err != nil:
		st.reject(s.known(), s.line, err)
		w.answered(func() {})
	case s.keyed && st.watched.name(w, view.ID, func() { s.accept(view.ID, view.Status) }):
		go s.unwatch(view.ID, st.answered)
		return
	default:
		w.answered(func() {
			w.accepted, w.free = true, true
			s.accept(view.ID, view.Status)
		})
	}
	st.answered()
	if st.watched.over() {
		go s.unwatch(view.ID, func() {})
	}
}

// unwatch takes the watch off its task, which waits for the engine.
func (s *submission) unwatch(id task.ID, done func()) {
	st := s.watch.stream
	st.server.engine.Unwatch(st.who, id, s.watch)
	done()
}

// accept writes the line that says so, if one is wanted or the id is another one.
func (s *submission) accept(id task.ID, status task.Status) {
	if !s.quiet || id != s.sent {
		st := s.watch.stream
		x := st.server.encoders.get()
		x.accepted(id, s.sent, status)
		st.send(x)
	}
}

// ask notes one more submission of the task.
func (w *watch) ask(verbose, free bool) {
	w.asked++
	w.free = w.free || free
	if verbose {
		w.verbose.Store(true)
	}
}

// answered notes that a submission has its answer, which write writes, and passes on what
// waited for that.
func (w *watch) answered(write func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked--
	w.stream.out.Cork() // so that it is one write
	write()
	held := w.held
	w.held = nil
	for _, ev := range held {
		w.pass(ev)
	}
	w.stream.out.Uncork()
	if w.asked == 0 && !w.accepted { // nothing comes of it
		w.stream.watched.drop(w)
	}
}

// Verbose implements task.Watcher.
func (w *watch) Verbose() bool { return w.verbose.Load() }

// Outlet implements task.Watcher.
func (w *watch) Outlet() task.Outlet { return w.stream.out }

// PassOn implements task.Watcher; it queues and does not block.
func (w *watch) PassOn() {
	w.Each(func(ev *task.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.pass(ev)
	})
}

// pass passes ev on, or holds it. w.mu is held.
func (w *watch) pass(ev *task.Event) {
	switch {
	case !w.free || ev.Kind == task.EventResult && w.asked > 0:
		if w.held = append(w.held, ev); len(w.held) > heldAtMost {
			w.stream.cutOff()
			w.held = nil
		}
		return
	case !w.stream.cut.Load():
		x := w.stream.server.encoders.get()
		x.event(ev)
		w.stream.send(x)
	}
	if ev.Kind == task.EventResult {
		w.stream.watched.drop(w)
	}
}
