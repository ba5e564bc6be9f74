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
	t, whole := r.Times(), time.Duration(r.Task.Extras().Delay)
	if p.Attempts > 0 { // what it waited for before it was started is over
		t, whole = queue.Times{}, ledger.Backoff(time.Duration(r.Task.Extras().RetryBackoff), p.Retries, 0)
	}
	if p.NotBefore.IsZero() {
		return t
	}
	left := p.NotBefore.Sub(e.now())
	if p.Due != 0 && e.journal.Comparable(p.Start) {
		left = p.Due - e.uptime()
	}
	t.Due = e.uptime() + min(max(0, left), whole)
	return t
}

// waitUntil is when the uptime will be due, by both clocks; zero if it has been.
func (e *Engine) waitUntil(due time.Duration) queue.Now {
	now := e.moment()
	if due <= now.Uptime {
		return queue.Now{}
	}
	return queue.Now{Wall: now.Wall.Add(due - now.Uptime), Uptime: due}
}
