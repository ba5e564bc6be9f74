package program

import (
	"sync"
	"time"

	"cpulb/plugins"
)

// Stops keeps which task of a slot runs, and whether and why it is to stop. The first to ask
// decides why. Its methods may be called from any goroutine.
type Stops struct {
	stop func(seq uint64, reason plugins.StopReason)

	mu       sync.Mutex
	seq      uint64 // of the task that runs, or ran last
	running  bool
	deadline time.Time // by the clock that is never set; zero: none
	reason   plugins.StopReason
	earlySeq uint64 // a task that was stopped before its begin
	early    plugins.StopReason
	timer    *time.Timer
}

// NewStops returns one that calls stop, without a lock, when the task with that seq is to stop.
// The task may have ended by then, and the slot's next one have begun: stop has to compare seq
// with that of the task which it finds.
func NewStops(stop func(seq uint64, reason plugins.StopReason)) *Stops { return &Stops{stop: stop} }

// Begin opens the task with that seq, unless it has been stopped already: then it returns why.
// A timeout of 0 is none.
func (s *Stops) Begin(seq uint64, timeout time.Duration) plugins.StopReason {
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

// Pending returns why the task that runs is to stop, 0 if it is not.
func (s *Stops) Pending(seq uint64) plugins.StopReason {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seq != seq {
		return 0
	}
	return s.reason
}

// End closes the task and returns why it was to stop, 0 if it was not.
func (s *Stops) End() plugins.StopReason {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
	if !s.deadline.IsZero() {
		s.timer.Stop()
	}
	return s.reason
}

// expired is the timer's. It may come late, for a task that has ended, and then finds another
// one or none.
func (s *Stops) expired() {
	s.mu.Lock()
	due := s.running && !s.deadline.IsZero() && !time.Now().Before(s.deadline)
	seq := s.seq
	s.mu.Unlock()
	if due {
		s.Request(seq, plugins.StopTimedOut)
	}
}

// Request stops the task with that seq if it runs or is still to begin.
func (s *Stops) Request(seq uint64, reason plugins.StopReason) {
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
