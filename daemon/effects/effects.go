// Package effects collects what an operation under a lock leaves to be done after
// it: whatever could block, or could call the lock's owner again.
//
// Guarantees: nothing is done before Run; Run does everything once, kind by kind in
// the order of List's methods, and within a kind in the order of the calls. Adding
// to a List never blocks and does nothing else.
//
// It does not order the effects of two operations on different goroutines. Whoever
// needs such an order must have it from the receiver, or make one operation of two.
// What goes into the journal must have the order of the lock, and is no effect: the
// journal takes it under the lock, without waiting.
package effects

import (
	"cpulb/daemon/task"
	"cpulb/plugins"

	"github.com/hashicorp/go-hclog"
)

// Sender takes tasks on their way to a worker.
type Sender interface{ Send(t *plugins.Task) }

// List is what one operation leaves to be done. The zero List is empty.
type List struct {
	frames    []frame
	events    []event
	answers   []func()
	processes []func()
	lines     []line
}

type frame struct {
	to   Sender
	task *plugins.Task
}

type event struct {
	to    task.Watcher
	event *task.Event
}

type line struct {
	level   hclog.Level
	message string
	args    []any
}

// Frame sends t. Frames come first: a slot waits for each.
func (l *List) Frame(to Sender, t *plugins.Task) { l.frames = append(l.frames, frame{to, t}) }

// Event hands ev to a watcher.
func (l *List) Event(to task.Watcher, ev *task.Event) { l.events = append(l.events, event{to, ev}) }

// Answer answers a call. f does not block.
func (l *List) Answer(f func()) { l.answers = append(l.answers, f) }

// Process starts f on a goroutine of its own: it starts, stops or asks a process,
// which takes time.
func (l *List) Process(f func()) { l.processes = append(l.processes, f) }

// Log writes a line to the log, which may block for as long as its reader does.
func (l *List) Log(level hclog.Level, message string, args ...any) {
	l.lines = append(l.lines, line{level, message, args})
}

// Run does everything. The lock is not held.
func (l *List) Run(log hclog.Logger) {
	for _, x := range l.frames {
		x.to.Send(x.task)
	}
	for _, x := range l.events {
		x.to.TaskEvent(x.event)
	}
	for _, f := range l.answers {
		f()
	}
	for _, f := range l.processes {
		go f()
	}
	for _, x := range l.lines {
		log.Log(x.level, x.message, x.args...)
	}
}
