// Package effects collects what an operation under a lock leaves to be done after
// it: whatever could block, or could call the lock's owner again.
//
// Guarantees: nothing is done before Run; Run does everything once, kind by kind in
// the order of List's methods, and within a kind in the order of the calls, but for frames,
// which are in order for each slot. Adding to a List never blocks, and does nothing else but
// that a watcher hears of an event.
//
// It does not order the effects of two operations on different goroutines. Whoever
// needs such an order must have it from the receiver, as that of its events from a
// task.Watcher, or make one operation of two.
// What goes into the journal must have the order of the lock, and is no effect: the
// journal takes it under the lock, without waiting.
package effects

import (
	"slices"

	"cpulb/daemon/task"
	"cpulb/daemon/tracing"
	"cpulb/plugins"

	"github.com/hashicorp/go-hclog"
)

// Sender takes tasks on their way to a slot of a worker.
type Sender interface {
	// Send sends tasks, in their order and in as few writes as it can. It does not keep
	// the slice.
	Send(tasks ...*plugins.Task)
}

// List is what one operation leaves to be done. The zero List is empty, and so is one that has
// Run.
type List struct {
	frames    []frame
	watchers  []task.Watcher
	answers   []answer
	processes []func()
	lines     []line
	spans     []tracing.Span
	sink      tracing.Sink // which takes them
	// some are the frames of one slot, and outlets those that are corked, while it runs.
	some    []*plugins.Task
	outlets []task.Outlet
}

type frame struct {
	to   Sender
	task *plugins.Task
}

type answer struct {
	to   task.Outlet // nil: unknown
	f    func()      // or tell is called, with view and err
	tell func(task.View, error)
	view task.View
	err  error
}

type line struct {
	level   hclog.Level
	message string
	args    []any
}

// Frame sends t. Frames come first: a slot waits for each. Those to one slot are sent
// together.
func (l *List) Frame(to Sender, t *plugins.Task) { l.frames = append(l.frames, frame{to, t}) }

// Event hands ev to a watcher, which passes it on later. What events and answers leave at one
// outlet goes out together.
func (l *List) Event(to task.Watcher, ev *task.Event) {
	to.Hear(ev)
	l.watchers = append(l.watchers, to)
}

// Answer answers a call. f does not block.
func (l *List) Answer(f func()) { l.answers = append(l.answers, answer{f: f}) }

// Tell answers a call for a task. tell does not block; it writes to an outlet, which may be nil.
func (l *List) Tell(to task.Outlet, tell func(task.View, error), view task.View, err error) {
	l.answers = append(l.answers, answer{to: to, tell: tell, view: view, err: err})
}

// Process starts f on a goroutine of its own: it starts, stops or asks a process,
// which takes time.
func (l *List) Process(f func()) { l.processes = append(l.processes, f) }

// Log writes a line to the log, which may block for as long as its reader does.
func (l *List) Log(level hclog.Level, message string, args ...any) {
	l.lines = append(l.lines, line{level, message, args})
}

// Trace hands a span to whoever sends it. Spans come last: nobody waits for them.
func (l *List) Trace(to tracing.Sink, s tracing.Span) {
	l.spans, l.sink = append(l.spans, s), to
}

// Run does everything. The lock is not held.
func (l *List) Run(log hclog.Logger) {
	l.send()
	l.handOver()
	for _, f := range l.processes {
		go f()
	}
	for _, x := range l.lines {
		log.Log(x.level, x.message, x.args...)
	}
	for _, s := range l.spans {
		l.sink.Span(s)
	}
	l.frames, l.watchers, l.answers = emptied(l.frames), emptied(l.watchers), emptied(l.answers)
	l.processes, l.lines, l.some, l.outlets = emptied(l.processes), emptied(l.lines), emptied(l.some), emptied(l.outlets)
	l.spans = emptied(l.spans)
}

// mostKept bounds the room that a List keeps for its next operation.
const mostKept = 256

// emptied returns all without its elements, which are not kept alive.
func emptied[T any](all []T) []T {
	if cap(all) > mostKept {
		return nil
	}
	clear(all)
	return all[:0]
}

// send sends the frames, those of a slot at once.
func (l *List) send() {
	for i := range l.frames {
		to := l.frames[i].to
		if to == nil { // sent
			continue
		}
		l.some = l.some[:0]
		for j := i; j < len(l.frames); j++ {
			if l.frames[j].to == to {
				l.some = append(l.some, l.frames[j].task)
				l.frames[j].to = nil
			}
		}
		to.Send(l.some...)
	}
}

// handOver hands over the events and the answers. Each outlet that they go to is corked
// meanwhile.
func (l *List) handOver() {
	if len(l.watchers)+len(l.answers) > 1 {
		l.cork()
		defer l.uncork()
	}
	for _, w := range l.watchers {
		w.PassOn()
	}
	for i := range l.answers {
		if x := &l.answers[i]; x.f != nil {
			x.f()
		} else {
			x.tell(x.view, x.err)
		}
	}
}

func (l *List) cork() {
	for _, w := range l.watchers {
		l.corkOnce(w.Outlet())
	}
	for i := range l.answers {
		l.corkOnce(l.answers[i].to)
	}
}

func (l *List) corkOnce(o task.Outlet) {
	if o != nil && !slices.Contains(l.outlets, o) {
		o.Cork()
		l.outlets = append(l.outlets, o)
	}
}

func (l *List) uncork() {
	for _, o := range l.outlets {
		o.Uncork()
	}
}
