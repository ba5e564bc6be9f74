package daemon

import (
	"time"

	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
)

// Durations go on over a restart: what is left of them is kept. While the machine has not
// been booted again, its uptime tells how much that is. Else the clock on the wall has to,
// which may have been set: a duration then takes no longer than if it began anew.

// uptimeThen is the uptime at an instant of before, noted at a start of the journal.
func (e *Engine) uptimeThen(noted time.Duration, start uint64, at time.Time) time.Duration {
	now := e.uptime()
	if e.journal.Comparable(start) && noted != 0 && noted <= now {
		return noted
	}
	return now - max(0, e.now().Sub(at))
}

// submittedAt is when a task of the journal's was submitted, by both clocks.
func (e *Engine) submittedAt(s *journal.Saved) queue.Now {
	return queue.Now{Wall: s.SubmittedAt, Uptime: e.uptimeThen(s.Uptime, s.Start, s.SubmittedAt)}
}

// restoredTimes is when a task of the journal's may go on that has come so far.
func (e *Engine) restoredTimes(r *ledger.Record, p *journal.Progress) queue.Times {
	t := r.Times()
	if p == nil || p.NotBefore.IsZero() {
		return t
	}
	whole := time.Duration(r.Task.Extras().Delay)
	if p.Retries > 0 { // what it waited for before it was started is over
		t = queue.Times{}
		whole = ledger.Backoff(time.Duration(r.Task.Extras().RetryBackoff), p.Retries, 0)
	}
	left := p.NotBefore.Sub(e.now())
	if p.Due != 0 && e.journal.Comparable(p.Start) {
		left = p.Due - e.uptime()
	}
	t.Due = e.uptime() + min(max(0, left), whole)
	return t
}

// noteDue notes until when a restored task waits, if what the journal has of that was
// noted before the machine was booted: else it could begin anew at each start, as long as
// the clock on the wall is behind.
func (e *Engine) noteDue(r *ledger.Record, s *journal.Saved) {
	start := s.Start
	if p := s.Progress; p != nil && !p.NotBefore.IsZero() {
		start = p.Start
	}
	if due := r.Item.Due(); due != 0 && !e.journal.Comparable(start) {
		e.noteLocked(r, e.now().Add(due-e.uptime()))
	}
}
