package daemon

import "time"

// The engine has two clocks and no other. The clock on the wall may be set either way.
// From it come the instants that clients see or give (run_at, expires_at, schedules, a
// task's times and the differences of these in its Result, the deadline that its worker
// is told), and what outlives the daemon or is compared with these: when the next
// attempt may begin, until when a Result is kept, since when a task waits. All of that
// moves when the clock is set.
//
// elapsed goes on evenly. By it, and by timers, goes what is done to workers: their age,
// the pauses between their starts, when a pool changes its size, when a worker is fenced
// because of a task, and until when it may live then.
//
// Tests set the first by Options.Now, and run both in a bubble of testing/synctest.

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
