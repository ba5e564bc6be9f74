package fleet

import (
	"math"
	"runtime"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/task"
	"cpulb/internal/share"
	"cpulb/plugins"
)

// handler is a worker for the reader of one of its connections, that of count slots from
// first on. It implements plugins.Handler, and runs without the lock.
type handler struct {
	*Worker
	first, count int
}

// Events implements plugins.Handler. All that has come together is one operation, and what
// has become free gets its next tasks at its end: so it idles as little as it can, and is
// written to once.
func (h handler) Events(events []plugins.Event) (err error) {
	h.pool.fleet.do(func(fx *effects.List) {
		some, freed := false, false
		for i := 0; i < len(events) && err == nil; i++ {
			freed, err = h.slots[events[i].Slot].event(&events[i], fx)
			some = some || freed
		}
		if some {
			h.freed(fx)
		}
	})
	return err
}

// event deals with one event. It reports whether a place has become free. An error means
// that the worker is not to be believed any more.
func (s *Slot) event(ev *plugins.Event, fx *effects.List) (freed bool, err error) {
	if s.probing.isAsked(ev.Seq) {
		return ev.Kind == plugins.EventEnded && s.answered(ev.Outcome.Status == task.Completed && !ev.Outcome.Spent, fx), nil
	}
	if s.isChecked(ev) {
		return false, nil
	}
	pl, err := s.told(ev)
	if pl == nil || err != nil {
		return false, err
	}
	if ev.Kind != plugins.EventEnded && ev.Kind != plugins.EventSkipped {
		pl.started(0, fx) // who says something of a task has begun it, and may be wrong in leaving that out
	}
	owner := s.pool.fleet.Owner
	switch ev.Kind {
	case plugins.EventPartial:
		pl.partials = ev.Number
		owner.Event(pl.hold, &task.Event{Kind: task.EventPartial, Value: ev.Value}, fx)
	case plugins.EventProgress:
		fraction := ev.Fraction
		owner.Event(pl.hold, &task.Event{Kind: task.EventProgress, Fraction: &fraction, Message: ev.Message}, fx)
	case plugins.EventLog:
		owner.Event(pl.hold, &task.Event{Kind: task.EventLog, Level: ev.Level, Message: ev.Message}, fx)
	case plugins.EventOutput:
		pl.print(ev.Stream, ev.Text, fx)
	case plugins.EventSkipped:
		pl.skipped(ev.NeedsThread, fx)
		return true, nil
	case plugins.EventEnded:
		pl.bound(&ev.Outcome)
		pl.started(ev.Outcome.RunTime, fx)
		if ev.Outcome.Fault != plugins.NoFault {
			pl.faulted(ev.Outcome, fx)
		} else {
			pl.ended(ev.Outcome, fx)
		}
		return true, nil
	}
	return false, nil
}

// outputInterval is how long a task runs until its caller may see what it has printed, and how
// long it is from one look to the next: a task that is shorter costs nothing, and who watches a
// longer one does not notice the wait.
const outputInterval = 250 * time.Millisecond

// print passes on what the task has printed, as much of it as its Result can have.
func (pl *Place) print(to plugins.Stream, text string, fx *effects.List) {
	printed, stream := &pl.printed[0], task.Stdout
	if to == plugins.Stderr {
		printed, stream = &pl.printed[1], task.Stderr
	}
	offset := *printed
	*printed += int64(len(text))
	if most := pl.slot.worker.spec.OutputBytes; *printed > most {
		text = text[:task.RuneStart(text, int(max(0, most-offset)))]
	}
	if text != "" {
		pl.slot.pool.fleet.Owner.Event(pl.hold, &task.Event{Kind: task.EventOutput, Stream: stream, Offset: &offset, Text: text}, fx)
	}
}

// slack is by how much an executor's clocks may be ahead of the daemon's.
const slack = time.Second

// bound makes the figures of a Result such as can be true: since the task was sent, no more
// time can have passed, and none on more CPUs than there are.
func (pl *Place) bound(o *plugins.Outcome) {
	most := pl.slot.pool.fleet.ElapsedLocked() - pl.sentAt + slack
	o.RunTime, o.LockWait = min(o.RunTime, most), min(o.LockWait, most)
	o.CPUTime = min(o.CPUTime, most*time.Duration(runtime.NumCPU()))
}

func (pl *Place) ended(o plugins.Outcome, fx *effects.List) {
	s, h := pl.slot, pl.hold
	w := s.worker
	s.pool.fleet.Owner.Ended(h, o, fx)
	s.pool.observe(h.Info(), o.RunTime)
	pl.tried(o, fx)
	w.faults = holders{}
	w.noteRun(h)
	w.countTask()
	if o.Spent {
		w.unfit(h, fx)
	}
	pl.release()
}

// skipped: the task waits for another worker, as this one drains, or for a thread. Where
// nobody has recalled it, something has written into the claims of this one, and nothing
// can be run in it.
func (pl *Place) skipped(needsThread bool, fx *effects.List) {
	s := pl.slot
	switch {
	case needsThread:
		s.pool.refused(pl.hold.Info())
		s.pool.fleet.Owner.Returned(pl.release(), NeedsThread, fx)
		return
	case s.worker.state.Load().TakesTasks():
		why := "the worker has skipped a task that nobody took back, though it does not drain"
		if pl.fate() == plugins.FateRecalled {
			why = "the worker's claims say that the task was taken back"
		}
		s.worker.unfitFor = ": " + why
		pl.faulted(plugins.Outcome{Status: task.Failed, Fault: plugins.Unrun, Spent: true,
			Error: &task.Error{Type: "ExecutorError", Message: why, Code: "executor"}}, fx)
		return
	}
	s.pool.fleet.Owner.Returned(pl.leave(), Skipped, fx) // it takes no more
}

// Lost implements plugins.Handler. A worker without one of its slots is of no
// use; its end is its watcher's to deal with.
func (h handler) Lost(err error) {
	h.pool.fleet.do(func(fx *effects.List) {
		for _, s := range h.slots[h.first : h.first+h.count] {
			close(s.lost)
		}
		h.slots[h.first].breakOff(err, fx)
	})
}

// Room implements plugins.Handler: the room is the caller's whose task the slot has. While
// the daemon does not read, no task of the worker can have stopped too late.
func (h handler) Room(slot int, n int64) plugins.Room {
	f := h.pool.fleet
	caller := share.Caller{UID: noCaller}
	f.do(func(*effects.List) { caller.UID = h.sender(h.slots[slot]) })
	if !f.Arriving.Take(caller, n) {
		f.do(func(*effects.List) { h.unread++ })
		if f.Arriving.Wait(f.patient, caller, n) != nil { // all ends, or there is less room than there was
			f.Arriving.Force(caller, n)
		}
		f.do(func(*effects.List) { h.unread-- })
	}
	return room{f.Arriving, caller.UID}
}

// noCaller is who has what comes from a worker without a task: no user has this uid.
const noCaller = math.MaxUint32

// sender returns the caller of the task in s, or of another one, as what all the slots of
// a loop send comes by the first.
func (w *Worker) sender(s *Slot) uint32 {
	if s.held {
		return s.holder
	}
	for _, s := range w.slots {
		if s.held {
			return s.holder
		}
	}
	return noCaller
}

// room implements plugins.Room.
type room struct {
	pool *share.Pool
	uid  uint32
}

// Give implements plugins.Room.
func (r room) Give(n int64) { r.pool.Give(r.uid, n) }
