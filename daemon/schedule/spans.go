package schedule

import (
	"slices"
	"time"
)

// Span is the times after From, To included.
type Span struct{ From, To time.Time }

// maxSpans bounds how many spans are kept. Each big step of the clock and each
// downtime with times that nobody ran begins another.
const maxSpans = 8

// spans are in order and apart from each other.
type spans []Span

// with returns the spans and s, joined where they touch. Where there are too many,
// the two oldest become one.
func (all spans) with(s Span) spans {
	if !s.From.Before(s.To) {
		return all
	}
	var joined spans
	for _, x := range all {
		if x.To.Before(s.From) || s.To.Before(x.From) {
			joined = append(joined, x)
			continue
		}
		s = Span{earlier(s.From, x.From), later(s.To, x.To)}
	}
	joined = append(joined, s)
	slices.SortFunc(joined, func(a, b Span) int { return a.From.Compare(b.From) })
	if len(joined) > maxSpans {
		joined[1].From = joined[0].From
		joined = joined[1:]
	}
	return joined
}

// without returns the spans less the one moment at.
func (all spans) without(at time.Time) spans {
	var rest spans
	for _, x := range all {
		if !x.From.Before(at) || x.To.Before(at) {
			rest = append(rest, x)
			continue
		}
		for _, part := range []Span{{x.From, at.Add(-time.Nanosecond)}, {at, x.To}} {
			if part.From.Before(part.To) {
				rest = append(rest, part)
			}
		}
	}
	return rest
}

// gaps returns what of s none of the spans has, in order.
func (all spans) gaps(s Span) []Span {
	var gaps []Span
	from := s.From
	for _, x := range all {
		if !x.To.After(from) || !x.From.Before(s.To) {
			continue
		}
		if x.From.After(from) {
			gaps = append(gaps, Span{from, x.From})
		}
		from = x.To
	}
	if from.Before(s.To) {
		gaps = append(gaps, Span{from, s.To})
	}
	return gaps
}

// end returns the end of the span that at is in, if it is in one.
func (all spans) end(at time.Time) (time.Time, bool) {
	for _, x := range all {
		if x.From.Before(at) && !x.To.Before(at) {
			return x.To, true
		}
	}
	return time.Time{}, false
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
