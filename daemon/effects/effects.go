// Package effects collects what an operation under a lock leaves to be done after
// it: whatever could block, or could call the lock's owner again.
//
// Guarantees: nothing is done before Run; Run does everything once, kind by kind in
// the order of List's methods, and within a kind in the order of the calls, but for frames,
// which are in order for each slot. Adding to a List never blocks and does nothing else.
//
// It does not order the effects of two operations on different goroutines. Whoever
// needs such an order must have it from the receiver, or make one operation of two.
// What goes into the journal must have the order of the lock, and is no effect: the
// journal takes it under the lock, without waiting.
package effects

import (
	"slices"

	"cpulb/daemon/task"
	"cpulb/plugins"

	"github.com/hashicorp/go-hclog"
)

// Sender takes tasks on their way to a slot of a worker.
type Sender interface {
	// Send sends tasks, in their order and in as few writes as it can. It does not keep
	// the slice.
	Send(tasks ...*plugins.Task)
}

// List is what one operation leaves to be done. The zero List is empty.
type List struct {
	frames    []frame
	events    []event
	answers   []answer
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

type answer struct {
	to task.Outlet // nil: unknown
	f  func()
}

type line struct {
	level   hclog.Level
	message string
	args    []any
}

// Frame sends t. Frames come first: a slot waits for each. Those to one slot are sent
// together.
func (l *List) Frame(to Sender, t *plugins.Task) { l.frames = append(l.frames, frame{to, t}) }

// Event hands ev to a watcher. What events and answers leave at one outlet goes out together.
func (l *List) Event(to task.Watcher, ev *task.Event) { l.events = append(l.events, event{to, ev}) }

// Answer answers a call. f does not block.
func (l *List) Answer(f func()) { l.AnswerAt(nil, f) }

// AnswerAt is Answer where f writes to an outlet, which may be nil.
func (l *List) AnswerAt(to task.Outlet, f func()) { l.answers = append(l.answers, answer{to, f}) }

// Process starts f on a goroutine of its own: it starts, stops or asks a process,
// which takes time.
func (l *List) Process(f func()) { l.processes = append(l.processes, f) }

// Log writes a line to the log, which may block for as long as its reader does.
func (l *List) Log(level hclog.Level, message string, args ...any) {
	l.lines = append(l.lines, line{level, message, args})
}

// Run does everything. The lock is not held.
func (l *List) Run(log hclog.Logger) {
	l.send()
	l.tell()
	for _, f := range l.processes {
		go f()
	}
	for _, x := range l.lines {
		log.Log(x.level, x.message, x.args...)
	}
}

// send sends the frames, those of a slot at once.
func (l *List) send() {
	if len(l.frames) == 1 {
		l.frames[0].to.Send(l.frames[0].task)
		return
	}
	var some []*plugins.Task
	for i := range l.frames {
		to := l.frames[i].to
		if to == nil { // sent
			continue
		}
		some = some[:0]
		for j := i; j < len(l.frames); j++ {
			if l.frames[j].to == to {
				some = append(some, l.frames[j].task)
				l.frames[j].to = nil
			}
		}
		to.Send(some...)
	}
}

// tell hands over the events and the answers. Each outlet that they go to is corked
// meanwhile.
func (l *List) tell() {
	if len(l.events)+len(l.answers) > 1 {
		defer l.cork()()
	}
	for _, x := range l.events {
		x.to.TaskEvent(x.event)
	}
	for _, x := range l.answers {
		x.f()
	}
}

// cork corks the outlets, and returns what uncorks them.
func (l *List) cork() (uncork func()) {
	var all []task.Outlet
	add := func(o task.Outlet) {
		if o != nil && !slices.Contains(all, o) {
			o.Cork()
			all = append(all, o)
		}
	}
	for _, x := range l.events {
		add(x.to.Outlet())
	}
	for _, x := range l.answers {
		add(x.to)
	}
	return func() {
		for _, o := range all {
			o.Uncork()
		}
	}
}
