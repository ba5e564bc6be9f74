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

// retryDue is until what uptime a task waits for its next attempt; 0: it does not.
func (e *Engine) retryDue(r *ledger.Record, p *journal.Progress) time.Duration {
	if p == nil || p.NotBefore.IsZero() {
		return 0
	}
	left := p.NotBefore.Sub(e.now())
	if p.Due != 0 && e.journal.Comparable(p.Start) {
		left = p.Due - e.uptime()
	}
	if left <= 0 {
		return 0
	}
	whole := ledger.Backoff(time.Duration(r.Task.Extras().RetryBackoff), p.Retries, 0)
	return e.uptime() + min(left, whole)
}
