package python

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"cpulb/daemon/task"
	"cpulb/embedpy"
	"cpulb/plugins"
)

// loop implements plugins.Loop on one Python thread that runs asyncio.
type loop struct {
	executor *Executor
	first    int
	turned   func()
	// The bound methods of the Python Loop.
	serve, submit, stop, strike, printed *embedpy.Object

	mu    sync.Mutex
	tasks []loopTask // by slot, from first on
}

// loopTask is the task that a slot of the loop has.
type loopTask struct {
	seq  uint64
	run  plugins.LoopRun
	late *time.Timer // after its deadline; nil: it has none
}

// OpenLoop implements plugins.Looper.
func (e *Executor) OpenLoop(first, count int, turned func()) (plugins.Loop, error) {
	if err := loadModule(e.interp, loopModule); err != nil {
		return nil, err
	}
	class, err := e.attr("cpulb.loop", "Loop")
	if err != nil {
		return nil, err
	}
	l := &loop{executor: e, first: first, turned: turned, tasks: make([]loopTask, count)}
	opened := make(chan error)
	go l.thread(class, opened)
	if err := <-opened; err != nil {
		return nil, err
	}
	e.loop.Store(l)
	return l, nil
}

// thread is the loop's own; it lives as long as the process.
func (l *loop) thread(class *embedpy.Object, opened chan<- error) {
	runtime.LockOSThread()
	t, err := l.executor.interp.OpenThread()
	if err == nil {
		err = l.bind(t, class)
	}
	opened <- err
	if err == nil {
		_, err = t.Call(l.serve)
		// Its tasks would wait for ever; without the process they are run elsewhere.
		panic(fmt.Sprintf("the event loop ended: %v", err))
	}
}

func (l *loop) bind(t *embedpy.Thread, class *embedpy.Object) error {
	c := l.executor.conf
	self, err := t.Make(class, embedpy.Str(c.WorkerID), embedpy.Int(c.ResultBytes), embedpy.Int(c.OutputBytes))
	if err != nil {
		return err
	}
	for name, to := range map[string]**embedpy.Object{"serve": &l.serve, "submit": &l.submit, "stop": &l.stop, "strike": &l.strike,
		"printed": &l.printed} {
		if *to, err = t.Member(self, name); err != nil {
			return err
		}
	}
	return nil
}

// Start implements plugins.Loop.
func (l *loop) Start(slot int, t *plugins.Task, run plugins.LoopRun) {
	k := loopTask{seq: t.Seq, run: run}
	if t.Timeout > 0 { // the loop sees to it, unless the task holds it up
		k.late = time.AfterFunc(task.Sum(t.Timeout, pressAfter), func() { l.press(slot, t.Seq, plugins.StopTimedOut) })
	}
	l.mu.Lock()
	l.tasks[slot-l.first] = k
	l.mu.Unlock()
	if t.Probe {
		t = asProbe(t, l.executor.probes.loop)
	}
	if t.Function == mainFunction {
		l.end(slot - l.first)
		run.NeedsThread() // it is a process, which a thread waits for
		return
	}
	args, err := l.executor.arguments(t)
	if err != nil {
		l.end(slot - l.first)
		run.Ended(fault(plugins.Unrun, "OSError", err.Error()))
		return
	}
	if err = l.call(l.submit, append([]embedpy.Value{embedpy.Int(int64(slot))}, args.values[:]...)...); err != nil {
		l.end(slot - l.first)
		run.Ended(fault(plugins.Unrun, "ExecutorError", err.Error()))
	}
}

// Cancel implements plugins.Loop.
func (l *loop) Cancel(slot int, seq uint64, reason plugins.StopReason) {
	// An error: there is no such task, or no memory for stopping it; the daemon's
	// own bound is the next step.
	go func() {
		_ = l.call(l.stop, embedpy.Int(int64(slot)), embedpy.Int(int64(seq)), embedpy.Int(int64(reason)))
		time.AfterFunc(pressAfter, func() { l.press(slot, seq, reason) })
	}()
}

// Printed implements plugins.LoopPrinter.
func (l *loop) Printed() {
	var text []byte
	_ = l.executor.interp.Do(context.Background(), func(t *embedpy.Thread) {
		if r, err := t.Call(l.printed); err == nil && r.Len() == 1 {
			text = bytes.Clone(r.Bytes(0))
		}
	}) // an error: the Results have it all
	var all []printedOnLoop
	_ = json.Unmarshal(text, &all) // it is the runtime's
	for _, p := range all {
		if run := l.runOf(p.slot, p.seq); run != nil {
			run.Output(plugins.Stdout, p.stdout)
			run.Output(plugins.Stderr, p.stderr)
		}
	}
}

// printedOnLoop is one of what Loop.printed returns.
type printedOnLoop struct {
	slot           int
	seq            uint64
	stdout, stderr string
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *printedOnLoop) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&p.slot, &p.seq, &p.stdout, &p.stderr})
}

// pressAfter is how long the loop has to hear that a task is to stop; the runtime's
// INTERRUPT_SECONDS are shorter.
const pressAfter = 60 * time.Millisecond

// press interrupts a task that is to stop where it holds up the loop, again and again
// until it has ended: it may catch what is raised.
func (l *loop) press(slot int, seq uint64, reason plugins.StopReason) {
	if !l.has(slot, seq) {
		return
	}
	_ = l.call(l.strike, embedpy.Int(int64(slot)), embedpy.Int(int64(seq)), embedpy.Int(int64(reason))) // an error: as in Cancel
	time.AfterFunc(pressAfter, func() { l.press(slot, seq, reason) })
}

// has reports whether a slot has that task.
func (l *loop) has(slot int, seq uint64) bool { return l.runOf(slot, seq) != nil }

// runOf returns where the events of that task go, nil if its slot does not have it.
func (l *loop) runOf(slot int, seq uint64) plugins.LoopRun {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.tasks[slot-l.first]; t.seq == seq {
		return t.run
	}
	return nil
}

// end forgets the task of a slot, whose last event is on its way.
func (l *loop) end(index int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if late := l.tasks[index].late; late != nil {
		late.Stop()
	}
	l.tasks[index] = loopTask{}
}

// call calls a method that hands its arguments to the loop's thread. The thread
// itself is in its loop and can't be asked.
func (l *loop) call(method *embedpy.Object, args ...embedpy.Value) error {
	var err error
	doErr := l.executor.interp.Do(context.Background(), func(t *embedpy.Thread) { _, err = t.Call(method, args...) })
	return errors.Join(doErr, err)
}

// The kinds of the loop's own events, as loop.py has them.
const (
	kindBegun       = 10
	kindEnded       = 11
	kindNeedsThread = 12
	kindBroken      = 13
	kindTurned      = 14 // of no task
)

func (l *loop) posted(p embedpy.Post) {
	if p.Kind == kindTurned {
		l.turned()
		return
	}
	index := int(p.Channel) - l.first
	if index < 0 || index >= len(l.tasks) {
		return
	}
	l.mu.Lock()
	t := l.tasks[index]
	l.mu.Unlock()
	if t.run == nil || t.seq != p.Key {
		return // a thread or a coroutine that has outlived its task
	}
	if p.Kind == kindNeedsThread || p.Kind == kindEnded || p.Kind == kindBroken {
		l.end(index) // before another one is sent
	}
	switch p.Kind {
	case kindBegun:
		t.run.Begun()
	case kindNeedsThread:
		t.run.NeedsThread()
	case kindBroken:
		l.executor.spent.Store(true)
		o := fault(plugins.Ran, "ExecutorError", "the runtime could not end the task")
		o.Spent = true
		t.run.Ended(o)
	case kindEnded:
		o := l.executor.loopOutcome(p.Text)
		l.executor.spend(&o)
		t.run.Ended(o)
	default:
		emit(t.run, p)
	}
}

// loopOutcome reads what post_end wrote: the head, a line, then the data.
func (e *Executor) loopOutcome(text []byte) plugins.Outcome {
	head, data, _ := bytes.Cut(text, []byte("\n"))
	return e.withinLimit(decode(head, data))
}
