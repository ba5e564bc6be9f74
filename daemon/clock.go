package daemon

import "time"

// The engine has two clocks and no other. Instants (run_at, expires_at, schedules, the
// times that clients see) are read from the clock on the wall, which may be set either
// way. Durations (ages, pauses, waits) are differences of elapsed, which goes on
// evenly. Tests set the first by Options.Now, and run both in a bubble of
// testing/synctest.

// now is the time by the clock on the wall.
func (e *Engine) now() time.Time {
	if e.options.Now != nil {
		return e.options.Now()
	}
	return time.Now()
}

// elapsed is for how long the engine has been there, whatever is done to the time of
// day.
func (e *Engine) elapsed() time.Duration { return time.Since(e.started) }
