package daemon

import (
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"
	"cpulb/daemon/tracing"
	"cpulb/plugins"
)

// traces makes the spans of tasks: submit, from a task's submission until it is accepted or
// refused, and for each attempt queue, until it begins, and run. Nil makes none. A span is made when
// it ends, under the lock, and leaves after it. An engine without a sink has no traces.
type traces struct {
	sink tracing.Sink
	// again is since when tasks wait that are to run once more.
	again map[*ledger.Record]queue.Now
}

func newTraces(sink tracing.Sink) *traces {
	if sink == nil {
		return nil
	}
	return &traces{sink: sink, again: map[*ledger.Record]queue.Now{}}
}

// traceLocked returns where the spans of r are.
func (e *Engine) traceLocked(r *ledger.Record) tracing.Task {
	return tracing.Of(r.Task.Extras().Traceparent, r.Task.ID, r.Stamp(), e.config.Load().Tracing.Sample)
}

// traceparentLocked is what the attempt that begins now is told: its own span. Who does not
// trace passes on what the task has brought.
func (e *Engine) traceparentLocked(r *ledger.Record) string {
	if e.traces == nil {
		return r.Task.Extras().Traceparent
	}
	at := e.traceLocked(r)
	return at.Run(r.Attempts).String()
}

// submitted makes the span of a submission that was accepted, or refused with err.
func (e *Engine) submitted(r *ledger.Record, err error, fx *effects.List) {
	if e.traces == nil {
		return
	}
	at := e.traceLocked(r)
	if !at.Sampled() {
		return
	}
	now := e.momentLocked()
	from := r.SubmittedAt()
	if r.Stamp() == 0 { // it was not looked at for long
		from = now
	}
	s := spanOf(r, tracing.Submit, at.Submit(), at.Parent())
	s.Start, s.End = between(from, now)
	if err != nil {
		s.Error = &task.Error{Type: "Refused", Message: err.Error()}
	}
	fx.Trace(e.traces.sink, s)
}

// began makes the span of the wait of r, whose attempt begins.
func (e *Engine) began(r *ledger.Record, fx *effects.List) {
	if e.traces == nil {
		return
	}
	if at := e.traceLocked(r); at.Sampled() {
		began, _ := r.Started()
		e.queued(r, &at, r.Attempts, began, task.Pending, nil, fx)
	}
	delete(e.traces.again, r)
}

// queued makes the span of a wait that has ended at an uptime.
func (e *Engine) queued(r *ledger.Record, at *tracing.Task, attempt uint32, until time.Duration, ended task.Status, why *task.Error, fx *effects.List) {
	from, again := e.traces.again[r]
	if !again {
		from = r.SubmittedAt()
	}
	s := spanOf(r, tracing.Queue, at.Queue(attempt), at.Submit())
	s.Attempt, s.Status, s.Error = attempt, ended, why
	s.Start, s.End = between(from, queue.Now{Uptime: max(until, from.Uptime)})
	fx.Trace(e.traces.sink, s)
}

// ran makes the span of an attempt of r that is over, whatever follows. If none has begun it is
// that of its wait, with which r has ended.
func (e *Engine) ran(r *ledger.Record, o *plugins.Outcome, fx *effects.List) {
	if e.traces == nil {
		return
	}
	defer delete(e.traces.again, r)
	at := e.traceLocked(r)
	if !at.Sampled() {
		return
	}
	now := e.momentLocked()
	began, ok := r.Started()
	why := o.Error
	if o.Status == task.Cancelled {
		why = nil // it is as somebody has wished
	}
	if !ok {
		attempt := r.Attempts
		if !r.Phase().InSlot() {
			attempt++ // the one that will not be
		}
		e.queued(r, &at, attempt, now.Uptime, o.Status, why, fx)
		return
	}
	s := spanOf(r, tracing.Run, at.Run(r.Attempts), at.Submit())
	s.Attempt, s.Worker, s.Status, s.Error = r.Attempts, r.Worker, o.Status, why
	if r.Attempts > 1 {
		s.Before = at.Run(r.Attempts - 1)
	}
	length := now.Uptime - began
	if o.RunTime > 0 { // more exact, as in the Result
		length = o.RunTime
	}
	s.Start = now.Wall.Add(-max(0, length))
	s.End = now.Wall
	fx.Trace(e.traces.sink, s)
}

// waitsAgain notes that r waits for another attempt.
func (e *Engine) waitsAgain(r *ledger.Record) {
	if e.traces != nil {
		e.traces.again[r] = e.momentLocked()
	}
}

func spanOf(r *ledger.Record, name string, own, parent tracing.Context) tracing.Span {
	return tracing.Span{Name: name, Context: own, Parent: parent, Task: r.Task, Owner: r.Owner, Pool: poolName(r)}
}

func poolName(r *ledger.Record) string {
	if r.Pool == nil {
		return r.Task.Pool
	}
	return r.Pool.Name()
}

// between is a time by the clock on the wall, as it stood at its beginning, and as long as it
// has taken by the one that is never set.
func between(from, until queue.Now) (start, end time.Time) {
	return from.Wall, from.Wall.Add(max(0, until.Uptime-from.Uptime))
}
