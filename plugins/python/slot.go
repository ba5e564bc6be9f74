package python

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cpulb/embedpy"
	"cpulb/plugins"
)

// slot implements plugins.Slot on one Python thread. A task's seq is the key of
// the region that it runs in.
type slot struct {
	// life is held while somebody else than the slot's thread uses that; closed: it is no
	// more.
	life     sync.RWMutex
	closed   bool
	executor *Executor
	index    int
	thread   *embedpy.Thread
	// The bound methods of the Python Slot.
	self, run, broken, printed *embedpy.Object
	attempt                    atomic.Pointer[attempt]
	process                    atomic.Pointer[plainProcess] // nil: the task runs on the thread
	stops                      stops
}

// attempt is where the events of the task that runs go.
type attempt struct {
	seq  uint64
	emit plugins.Emitter
	// captured is what it prints, in an exclusive worker.
	captured *printing
}

func openSlot(e *Executor, index int) (*slot, error) {
	thread, err := e.mainThread, error(nil)
	if thread == nil {
		if thread, err = e.interp.OpenThread(); err != nil {
			return nil, err
		}
	}
	s := &slot{executor: e, index: index, thread: thread}
	s.stops.stop = s.stop
	if err := s.bind(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// bind makes the Python half of the slot.
func (s *slot) bind() (err error) {
	c := s.executor.conf
	s.self, err = s.thread.Make(s.executor.newSlot, embedpy.Int(int64(s.index)), embedpy.Str(c.WorkerID),
		embedpy.Int(c.ResultBytes), embedpy.Int(c.OutputBytes))
	if err != nil {
		return err
	}
	for name, to := range map[string]**embedpy.Object{"run": &s.run, "broken": &s.broken, "printed": &s.printed} {
		if *to, err = s.thread.Member(s.self, name); err != nil {
			return err
		}
	}
	return nil
}

// Run implements plugins.Slot.
func (s *slot) Run(t *plugins.Task, emit plugins.Emitter) plugins.Outcome {
	if t.Probe {
		t = asProbe(t, s.executor.probes.thread)
	}
	o := s.runTask(t, emit)
	s.executor.spend(&o)
	return o
}

func (s *slot) runTask(t *plugins.Task, emit plugins.Emitter) plugins.Outcome {
	args, err := s.executor.arguments(t)
	if err != nil {
		return fault(plugins.Unrun, "OSError", err.Error())
	}
	if reason := s.stops.begin(t.Seq, t.Timeout); reason != 0 {
		return stopped(reason)
	}
	if t.Function == mainFunction && !s.executor.exclusive() {
		return s.runProcess(t, args.path, emit)
	}
	a := &attempt{seq: t.Seq, emit: emit}
	if c := s.executor.capture; c != nil {
		a.captured = &printing{emit: emit, fresh: freshOf(c, s.executor.conf.OutputBytes)}
	}
	s.attempt.Store(a)
	results, err := s.thread.CallRegion(t.Seq, s.run, s.broken, s.settle(), args.values[:]...)
	s.attempt.Store(nil)
	a.captured.end()
	reason := s.stops.end()
	report := s.thread.Report()
	o := s.outcome(results, err, reason, &report)
	s.takeOutput(&o, report.Printed)
	return o
}

// Printed implements plugins.Printer.
func (s *slot) Printed() {
	if p := s.process.Load(); p != nil {
		p.show()
	}
	a := s.attempt.Load()
	if a == nil {
		return
	}
	stdout, stderr := s.ask(a.seq)
	a.emit.Output(plugins.Stdout, stdout)
	a.emit.Output(plugins.Stderr, stderr)
	a.captured.show()
}

// ask asks the runtime what that task has printed since it was asked last. In an exclusive worker it
// has the streams flushed instead. It waits for the GIL.
func (s *slot) ask(seq uint64) (stdout, stderr string) {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return "", ""
	}
	_ = s.executor.interp.Do(context.Background(), func(t *embedpy.Thread) {
		if r, err := t.Call(s.printed, embedpy.Int(int64(seq))); err == nil && r.Len() == 2 {
			stdout, stderr = r.String(0), r.String(1)
		}
	}) // an error: the Result has it all
	return stdout, stderr
}

// freshOf returns what a printing is of, for a task whose output c captures.
func freshOf(c *embedpy.Capture, most int64) func(plugins.Stream) string {
	shown := [2]plugins.Shown{{Most: most, EachByte: true}, {Most: most, EachByte: true}}
	var room []byte
	return func(to plugins.Stream) string {
		s := &shown[to-plugins.Stdout]
		if room == nil {
			room = make([]byte, 0, 64<<10)
		}
		var text strings.Builder
		for from := -1; from < s.Bytes(); {
			from = s.Bytes()
			text.WriteString(s.Next(c.After(int(to), from, room)))
		}
		return text.String()
	}
}

// settle is nil in a shared worker, where tasks end beside others.
func (s *slot) settle() *embedpy.Object {
	if s.executor.exclusive() {
		return s.executor.settle
	}
	return nil
}

// startsProcess is less than a script takes to start a process.
const startsProcess = 50 * time.Microsecond

// takeOutput adds what the task of an exclusive worker has written, if it has.
func (s *slot) takeOutput(o *plugins.Outcome, printed bool) {
	capture := s.executor.capture
	if capture == nil {
		return
	}
	if printed {
		out := capture.Take()
		o.Stdout, o.Stderr, o.Truncated = out.Stdout, out.Stderr, out.Truncated
	}
	if o.RunTime >= startsProcess && embedpy.HadChildren() {
		capture.Renew() // one that was left behind must not write into the next task's output
	}
}

// taskArguments are what the runtime's Slot.run and Loop.submit take.
type taskArguments struct {
	path   string
	values [10]embedpy.Value
}

// arguments lays t out for the runtime.
func (e *Executor) arguments(t *plugins.Task) (taskArguments, error) {
	path, err := e.sources.path(t)
	if err != nil {
		return taskArguments{}, err
	}
	return taskArguments{path, [...]embedpy.Value{
		embedpy.Text(t.Params), embedpy.Str(path), embedpy.Str(t.Function),
		embedpy.Int(int64(t.Seq)), embedpy.Str(t.ID), embedpy.Str(string(t.Type)), embedpy.Int(int64(t.Attempt)),
		embedpy.Int(int64(t.Timeout)), embedpy.Text(labelsJSON(t.Labels)), embedpy.Str(t.Traceparent),
	}}, nil
}

// Cancel implements plugins.Slot.
func (s *slot) Cancel(seq uint64, reason plugins.StopReason) { s.stops.request(seq, reason) }

// Close implements plugins.Slot.
func (s *slot) Close() {
	s.life.Lock()
	s.closed = true
	s.life.Unlock()
	for _, o := range []*embedpy.Object{s.run, s.broken, s.printed, s.self} {
		if o != nil {
			s.thread.Release(o)
		}
	}
	if s.thread != s.executor.mainThread {
		s.thread.Close()
	}
}

// stop takes the first steps of the ladder: the flag that the script can see,
// the coroutine's cancellation where it awaits, then the exception. It returns at
// once.
func (s *slot) stop(seq uint64, reason plugins.StopReason) {
	if p := s.process.Load(); p != nil {
		p.stop()
		return
	}
	s.thread.Flag(seq, uint8(reason))
	go func() {
		awaits := s.executor.stopCoroutine(s.index, seq)
		if reason == plugins.StopCancelled || awaits {
			time.AfterFunc(s.executor.interruptAfter, func() { s.interrupt(seq, reason) })
			return
		}
		s.interrupt(seq, reason)
	}()
}

// interrupt waits for the GIL. The runtime's interrupts are in the order of the
// reasons.
func (s *slot) interrupt(seq uint64, reason plugins.StopReason) {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return
	}
	s.thread.Interrupt(seq, int(reason-plugins.StopCancelled))
}

// The kinds and levels of the runtime's events, as context.py has them.
const (
	kindPartial  = 1
	kindProgress = 2
	kindLog      = 3
)

func (s *slot) posted(p embedpy.Post) {
	a := s.attempt.Load()
	if a == nil || a.seq != p.Key {
		return // a thread that has outlived its task
	}
	emit(a.emit, p)
}

// emit passes an event of a script on.
func emit(to plugins.Emitter, p embedpy.Post) {
	switch p.Kind {
	case kindPartial:
		to.Partial(p.Text)
	case kindProgress:
		to.Progress(p.Number, string(p.Text))
	case kindLog:
		to.Log(levelName(p.Number), string(p.Text))
	}
}

func levelName(number float64) string {
	switch {
	case number < 20:
		return "debug"
	case number < 30:
		return "info"
	case number < 40:
		return "warning"
	}
	return "error"
}

func labelsJSON(labels map[string]string) []byte {
	if len(labels) == 0 {
		return nil
	}
	text, _ := json.Marshal(labels) // strings can always be written
	return text
}
