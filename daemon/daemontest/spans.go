package daemontest

import (
	"cmp"
	"slices"
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

// Take returns those that have come, in the order of their ends, and forgets them. What is over at
// once has no order among what is told beside it: submit comes first there, and run last.
func (s *Spans) Take() (all []tracing.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, s.all = s.all, nil
	names := []string{tracing.Submit, tracing.Queue, tracing.Run}
	slices.SortStableFunc(all, func(a, b tracing.Span) int {
		return cmp.Or(a.End.Compare(b.End), cmp.Compare(slices.Index(names, a.Name), slices.Index(names, b.Name)))
	})
	return all
}
