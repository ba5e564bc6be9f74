package ipc

import (
	"sync"

	"cpulb/daemon/task"
)

// watch is one task submitted on a stream. It passes the task's events on, but
// none before the line that says that the task was accepted: a short task may end
// before Submit returns.
type watch struct {
	stream  *stream
	verbose bool
	// quiet: its sender wants no such line.
	quiet bool
	id    task.ID
	// line is the number of the line; named, that it has an id in it.
	line  int
	named bool
	// room is what its line has of the client's share, until the engine has answered.
	room int64

	mu       sync.Mutex
	accepted bool
	held     []*task.Event
}

// answered is told the engine's answer. It queues and does not block.
func (w *watch) answered(view task.View, err error) {
	<-w.stream.unanswered
	w.stream.held.give(w.room)
	switch {
	case err != nil:
		w.stream.watches(-1)
		w.stream.reject(w.known(), w.line, err)
	case !w.quiet || view.ID != w.id: // by another id it has to be told
		w.accept(encodeAccepted(view.ID, w.id, view.Status))
	default:
		w.accept(nil)
	}
}

// known is the task's id, if its sender knows it.
func (w *watch) known() *string {
	if !w.named {
		return nil
	}
	text := w.id.String()
	return &text
}

// Verbose implements task.Watcher.
func (w *watch) Verbose() bool { return w.verbose }

// TaskEvent implements task.Watcher; it queues and does not block.
func (w *watch) TaskEvent(ev *task.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.accepted {
		w.held = append(w.held, ev)
		return
	}
	w.pass(ev)
}

// accept writes line, if there is one, and what came meanwhile.
func (w *watch) accept(line []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.accepted = true; line == nil && w.held == nil {
		return
	}
	w.stream.out.Cork() // with what came meanwhile it is one write
	if line != nil {
		w.stream.write(line)
	}
	for _, ev := range w.held {
		w.pass(ev)
	}
	w.held = nil
	w.stream.out.Uncork()
}

func (w *watch) pass(ev *task.Event) {
	if !w.stream.cut.Load() {
		w.stream.write(encodeEvent(ev)...)
	}
	if ev.Kind == task.EventResult {
		w.stream.watches(-1)
	}
}
