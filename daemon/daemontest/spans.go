package daemontest

import (
	"sync"

	"cpulb/daemon/tracing"
)

// Spans is a tracing.Sink that keeps all.
type Spans struct {
	mu  sync.Mutex
	all []tracing.Span
}

// Span implements tracing.Sink.
func (s *Spans) Span(x tracing.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, x)
}

// Counts implements tracing.Sink.
func (s *Spans) Counts() (sent, dropped uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(len(s.all)), 0
}

// Take returns those that have come, and forgets them.
func (s *Spans) Take() (all []tracing.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, s.all = s.all, nil
	return all
}
