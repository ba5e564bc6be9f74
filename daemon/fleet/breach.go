package fleet

import (
	"errors"
	"fmt"
	"io"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/fleet/lifecycle"
	"cpulb/plugins"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// A script is in its worker's process and can do what it likes with the connection and the
// claims of its slot: write on it, read from it, close it, put something else in its place.
// What comes of that costs the worker and the tasks that it has begun, and nobody else. What
// can't be true ends the connection (told), what does not come is missed when the worker is
// asked for signs of life (miss). Only what a script says of the task that its slot runs, in
// the right words and with the right claims, can't be told from what the executor says.

// told returns the place of the task that an event is of; nil: the daemon has taken it back,
// and nothing is to be done.
func (s *Slot) told(ev *plugins.Event) (*Place, error) {
	for i, pl := range s.places {
		if pl.seq == ev.Seq && pl.Sent() {
			return pl, s.believe(ev, i)
		}
	}
	switch {
	case ev.Seq == 0 || ev.Seq > s.seq:
		return nil, s.breach(ev, "which it was not sent")
	case ev.Kind == plugins.EventSkipped, ev.Seq == s.probed:
		return nil, nil
	}
	return nil, s.breach(ev, "which has ended, or was taken back")
}

// believe returns an error if an event can't be of the task in the i-th place: claims are
// written before events are sent, and a thread runs one task after the other.
func (s *Slot) believe(ev *plugins.Event, i int) error {
	pl := s.places[i]
	if ev.Kind == plugins.EventSkipped {
		return s.believeSkipped(ev, pl)
	}
	if ev.Kind == plugins.EventPartial && ev.Number != pl.partials+1 {
		return s.breach(ev, fmt.Sprintf("with the number %d, after %d", ev.Number, pl.partials))
	}
	switch fate := pl.fate(); {
	case fate == plugins.FateClaimed && ev.Kind == plugins.EventEnded:
		return s.breach(ev, "which has not ended, as its claims say")
	case !s.conn.Shares():
		return nil // it need not have claims, or may have ended before it began
	case fate == plugins.FateOpen || fate == plugins.FateRecalled:
		return s.breach(ev, "which has not begun, as its claims say")
	}
	for _, other := range s.places[:i] {
		if other.Sent() && other.seq < pl.seq {
			return s.breach(ev, fmt.Sprintf("though task %d has not ended", other.seq))
		}
	}
	return nil
}

// believeSkipped returns an error if a task has begun that is said not to run: it may have
// done things, and must not count as one that has not.
func (s *Slot) believeSkipped(ev *plugins.Event, pl *Place) error {
	fate := pl.fate()
	switch begun := fate == plugins.FateClaimed || fate == plugins.FateDone; {
	case pl.hold.Runs(), begun:
		return s.breach(ev, "which has begun")
	case ev.NeedsThread && s.index < s.worker.spec.Slots:
		return s.breach(ev, "which has a thread, and is said to need one")
	}
	return nil
}

func (s *Slot) breach(ev *plugins.Event, why string) error {
	return fmt.Errorf("%w: %s of task %d, %s", plugins.ErrContract, ev.Kind, ev.Seq, why)
}

// breakOff ends the worker, of which s can't be used any more. The tasks that it has are seen
// to at its end.
func (s *Slot) breakOff(err error, fx *effects.List) {
	w := s.worker
	first := w.broken == ""
	if first {
		w.broken = fmt.Sprintf("slot %d: %v", s.index, err)
	}
	if first && !hasEnded(err) && w.state.Load() != lifecycle.Stopping {
		w.breach = w.broken
		if w.seat.kind != trying {
			w.pool.noteBreach(w)
		}
	}
	if w.process == nil {
		return // attach sees to it
	}
	if first && !hasEnded(err) {
		fx.Log(hclog.Error, "worker is ended: a script has broken into its slot, or the executor is wrong", "worker", w.spec.ID,
			"pid", w.process.PID(), "slot", s.index, "error", err, "executor", w.spec.Executor, "command", w.spec.Command, "ran_before", w.ranBefore())
		w.failedTrial(fmt.Sprintf("broke its slot %d: %v", s.index, err), fx)
	}
	fx.Process(w.process.Kill)
}

// ending says how the worker has ended, in words that name the cause.
func (w *Worker) ending() string {
	if w.breach != "" {
		return "the daemon ended it, " + w.breach
	}
	return w.exit
}

// breaches are the breaches of the contract by a pool's workers.
type breaches struct {
	last string        // what it was
	at   time.Duration // by Fleet.Elapsed
}

func (p *Pool) noteBreach(w *Worker) {
	p.breaches = breaches{fmt.Sprintf("worker %s was ended, %s", w.spec.ID, w.breach), p.fleet.ElapsedLocked()}
}

// breached says what a worker of the pool has done of late; "": nothing.
func (p *Pool) breached() string {
	if p.breaches.last == "" || p.fleet.Elapsed()-p.breaches.at > recurrence {
		return ""
	}
	return p.breaches.last
}

// hasEnded reports whether err is what a connection ends with when its process has ended.
func hasEnded(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, unix.ECONNRESET, unix.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	return err == nil
}

// sight is what was seen of a slot when its worker was asked for signs of life.
type sight struct {
	seq   uint64 // of its first task
	lacks lack
}

// lack is what does not come of a task.
type lack uint8

const (
	nothing   lack = iota
	itsBegin       // the slot has nothing else to do
	itsResult      // it has run
)

// miss looks after what should have come of the worker's slots since it was asked for signs
// of life before, and for at least as long as patience. It answers; so a task that it should
// have begun has been read by somebody else, or does not reach it, and a Result that it should
// have sent is gone.
func (w *Worker) miss(patience time.Duration, fx *effects.List) {
	now := w.pool.fleet.ElapsedLocked()
	for _, s := range w.slots {
		was := s.seen
		if s.seen = s.sight(); s.seen != was {
			s.seenAt = now
			continue
		}
		if was.lacks == nothing || now-s.seenAt < patience || !w.isAsked() {
			continue
		}
		pl := s.first()
		about := []any{"worker", w.spec.ID, "pid", w.process.PID(), "slot", s.index, "task_id", pl.hold.Info().ID, "script_path", pl.hold.Info().ScriptPath}
		if was.lacks == itsResult {
			fx.Log(hclog.Error, "the result of a task does not come", about...)
			s.breakOff(fmt.Errorf("%w: the result of task %d does not come", plugins.ErrContract, was.seq), fx)
			return
		}
		fx.Log(hclog.Error, "a slot does not begin the task that it was sent", about...)
		w.unfitFor = ": a slot does not begin the task that it was sent"
		w.unfit(nil, fx)
		w.fence(unfitness, fx) // it may have been leaving
		return
	}
}

// sight returns what is to be seen of the slot now. On a loop a task may wait for as long as
// another holds that up, and what a worker has sent may wait for room.
func (s *Slot) sight() sight {
	pl := s.first()
	if pl == nil || pl.overdue != 0 || s.worker.unread > 0 {
		return sight{}
	}
	switch fate := pl.fate(); {
	case fate == plugins.FateDone:
		return sight{pl.seq, itsResult}
	case fate != plugins.FateClaimed && !pl.hold.Runs() && s.index < s.worker.spec.Slots:
		return sight{pl.seq, itsBegin}
	}
	return sight{}
}

// first returns the place of the task that the slot is to run first; nil: it was sent none.
func (s *Slot) first() (first *Place) {
	for _, pl := range s.places {
		if pl.Sent() && (first == nil || pl.seq < first.seq) {
			first = pl
		}
	}
	return first
}
