package schedule

import "time"

// stretch is a time in which a zone's clock is not changed.
type stretch struct {
	start, end time.Time // zero if it has none
	offset     time.Duration
	// before is the offset of the stretch that ends where this one starts.
	before time.Duration
}

func stretchOf(t time.Time, zone *time.Location) stretch {
	local := t.In(zone)
	start, end := local.ZoneBounds()
	x := stretch{start: start, end: end, offset: offsetOf(local)}
	x.before = x.offset
	if !start.IsZero() {
		x.before = offsetOf(start.Add(-time.Nanosecond).In(zone))
	}
	return x
}

func offsetOf(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// Next returns the first time after t at which the schedule fires; false if
// there is none within decades.
func (s *Schedule) Next(t time.Time) (time.Time, bool) {
	limit := t.AddDate(searchYears, 0, 0)
	for from := t.Add(time.Nanosecond); from.Before(limit); {
		x := stretchOf(from, s.zone)
		if from.Equal(x.start) && s.skipped(&x) {
			return x.start.In(s.zone), true
		}
		if at, ok := s.within(&x, from); ok {
			return at.In(s.zone), true
		}
		if x.end.IsZero() {
			break
		}
		from = x.end
	}
	return time.Time{}, false
}

// within returns the first time in a stretch that is not before from.
func (s *Schedule) within(x *stretch, from time.Time) (time.Time, bool) {
	wall := from.UTC().Add(x.offset)
	if !s.hourly && x.before > x.offset {
		// What the clock showed before it was put back has fired already.
		if again := x.start.UTC().Add(x.before); wall.Before(again) {
			wall = again
		}
	}
	next := s.wall.Next(wall.Add(-time.Nanosecond))
	if next.IsZero() {
		return time.Time{}, false
	}
	at := next.Add(-x.offset)
	return at, x.end.IsZero() || at.Before(x.end)
}

// skipped reports whether the change of the clock at which a stretch starts
// passes over a time of the schedule.
func (s *Schedule) skipped(x *stretch) bool {
	if s.hourly || x.offset <= x.before {
		return false
	}
	next := s.wall.Next(x.start.UTC().Add(x.before - time.Nanosecond))
	return !next.IsZero() && next.Before(x.start.UTC().Add(x.offset))
}
