package python

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"cpulb/embedpy"
	"cpulb/plugins"
)

// slot implements plugins.Slot on one Python thread. A task's seq is the key of
// the region that it runs in.
type slot struct {
	executor *Executor
	index    int
	thread   *embedpy.Thread
	// The bound methods run and broken of the Python Slot.
	self, run, broken *embedpy.Object
	attempt           atomic.Pointer[attempt]
	stops             stops
}

// attempt is where the events of the task that runs go.
type attempt struct {
	seq  uint64
	emit plugins.Emitter
}

func openSlot(e *Executor, index int) (*slot, error) {
	thread, err := e.interp.OpenThread()
	if err != nil {
		return nil, err
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
	if s.run, err = s.thread.Member(s.self, "run"); err != nil {
		return err
	}
	s.broken, err = s.thread.Member(s.self, "broken")
	return err
}

// Run implements plugins.Slot.
func (s *slot) Run(t *plugins.Task, emit plugins.Emitter) plugins.Outcome {
	labels, err := labelsJSON(t.Labels)
	if err != nil {
		return failed("executor", "ValueError", fmt.Sprintf("labels: %v", err))
	}
	path, err := s.executor.sources.path(t)
	if err != nil {
		return failed("executor", "OSError", err.Error())
	}
	if reason := s.stops.begin(t.Seq, t.Deadline); reason != 0 {
		return stopped(reason)
	}
	s.attempt.Store(&attempt{seq: t.Seq, emit: emit})
	results, err := s.thread.CallRegion(t.Seq, s.run, s.broken,
		embedpy.Text(t.Params), embedpy.Str(path), embedpy.Str(t.Function),
		embedpy.Int(int64(t.Seq)), embedpy.Str(t.ID), embedpy.Str(string(t.Type)), embedpy.Int(int64(t.Attempt)),
		embedpy.Int(deadlineNanoseconds(t.Deadline)), embedpy.Text(labels), embedpy.Str(t.Traceparent))
	s.attempt.Store(nil)
	reason := s.stops.end()
	return s.outcome(results, err, reason)
}

// Cancel implements plugins.Slot.
func (s *slot) Cancel(seq uint64, reason plugins.StopReason) { s.stops.request(seq, reason) }

// Close implements plugins.Slot.
func (s *slot) Close() {
	for _, o := range []*embedpy.Object{s.run, s.broken, s.self} {
		if o != nil {
			s.thread.Release(o)
		}
	}
	s.thread.Close()
}

// stop takes the first steps of the ladder: the flag that the script can see,
// the coroutine's cancellation where it awaits, then the exception. It returns at
// once.
func (s *slot) stop(seq uint64, reason plugins.StopReason) {
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

func labelsJSON(labels map[string]string) ([]byte, error) {
	if len(labels) == 0 {
		return nil, nil
	}
	return json.Marshal(labels)
}

func deadlineNanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
