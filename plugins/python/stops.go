package python

import (
	"sync"
	"time"

	"cpulb/plugins"
)

// stops keeps which task of a slot runs, and whether and why it is to stop.
type stops struct {
	stop func(seq uint64, reason plugins.StopReason) // called without the lock

	mu       sync.Mutex
	seq      uint64 // of the task that runs, or ran last
	running  bool
	deadline time.Time          // by the clock that is never set; zero: none
	reason   plugins.StopReason // why seq is to stop; the first to ask decides
	earlySeq uint64             // a task that was stopped before its begin
	early    plugins.StopReason
	timer    *time.Timer
}

// begin opens the task with that seq, unless it has been stopped already: then it
// says why.
func (s *stops) begin(seq uint64, timeout time.Duration) plugins.StopReason {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq = seq
	if s.earlySeq == seq {
		return s.early
	}
	s.running, s.reason, s.deadline = true, 0, time.Time{}
	if timeout <= 0 {
		return 0
	}
	s.deadline = time.Now().Add(timeout)
	if s.timer == nil {
		s.timer = time.AfterFunc(timeout, s.expired)
	} else {
		s.timer.Reset(timeout)
	}
	return 0
}

// pending returns why the task that runs is to stop, 0 if it is not.
func (s *stops) pending(seq uint64) plugins.StopReason {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seq != seq {
		return 0
	}
	return s.reason
}

// end closes the task and returns why it was to stop, 0 if it was not.
func (s *stops) end() plugins.StopReason {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
	if !s.deadline.IsZero() {
		s.timer.Stop()
	}
	return s.reason
}

// expired is the timer's. It may come late, for a task that has ended, and then
// finds another one or none.
func (s *stops) expired() {
	s.mu.Lock()
	due := s.running && !s.deadline.IsZero() && !time.Now().Before(s.deadline)
	seq := s.seq
	s.mu.Unlock()
	if due {
		s.request(seq, plugins.StopTimedOut)
	}
}

// request stops the task with that seq if it runs or is still to begin.
func (s *stops) request(seq uint64, reason plugins.StopReason) {
	s.mu.Lock()
	runs := s.running && s.seq == seq
	switch {
	case runs && s.reason == 0:
		s.reason = reason
	case seq > s.seq:
		s.earlySeq, s.early = seq, reason
	}
	s.mu.Unlock()
	if runs {
		s.stop(seq, reason)
	}
}
