package daemon

import (
	"time"

	"cpulb/daemon/queue"

	"golang.org/x/sys/unix"
)

// The engine has two clocks and no other. The clock on the wall may be set either way.
// It gives the instants that clients see or give: run_at, expires_at, the times of
// schedules, and those in a task's view and its Result.
//
// uptime goes on evenly, whatever is done to the time of day. By it go all durations:
// delay, the pauses between attempts, for how long a Result is kept, what is passed over
// in the queue, and what is done to workers (their age, the pauses between their starts,
// until when a task may be stopped). Its origin is the start of the machine, so that a
// reading outlives the daemon. elapsed is the same since the engine was made.
//
// To read a clock costs as much as much else that is done for a task. So a turn under the lock
// reads them once, when something in it first asks: momentLocked, uptimeLocked and
// elapsedLocked are as of then. A turn is short, and they never go back from one to the next.
//
// Tests set them by Options.Now and Options.Uptime, and run both in a bubble of
// testing/synctest.

// now is the time by the clock on the wall alone: Go's reading of the other clock, by
// which it would compare two times, is taken off.
func (e *Engine) now() time.Time {
	if e.options.Now != nil {
		return e.options.Now().Round(0)
	}
	return time.Now().Round(0)
}

// uptime is the machine's, without the time for which it was suspended.
func (e *Engine) uptime() time.Duration {
	if e.options.Uptime != nil {
		return e.options.Uptime()
	}
	return e.booted + e.elapsed()
}

// moment is the time by both.
func (e *Engine) moment() queue.Now { return queue.Now{Wall: e.now(), Uptime: e.uptime()} }

// elapsed is for how long the engine has been there.
func (e *Engine) elapsed() time.Duration { return time.Since(e.started) }

// reading is what the clocks showed in a turn, once something has asked.
type reading struct {
	inTurn, taken bool
	now           queue.Now
	elapsed       time.Duration
}

// readLocked returns what the clocks showed in this turn. Outside of any, which is before the
// engine has begun, it is what they show now.
func (e *Engine) readLocked() *reading {
	r := &e.reading
	if r.taken {
		return r
	}
	now := time.Now()
	r.elapsed = now.Sub(e.started)
	r.now = queue.Now{Wall: now.Round(0), Uptime: e.booted + r.elapsed}
	if e.options.Now != nil {
		r.now.Wall = e.now()
	}
	if e.options.Uptime != nil {
		r.now.Uptime = e.uptime()
	}
	r.taken = r.inTurn
	return r
}

func (e *Engine) momentLocked() queue.Now { return e.readLocked().now }

func (e *Engine) uptimeLocked() time.Duration { return e.readLocked().now.Uptime }

func (e *Engine) elapsedLocked() time.Duration { return e.readLocked().elapsed }

// machineUptime reads the clock of the machine that is never set.
func machineUptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0 // no kernel that runs Go refuses it; then readings hold for this life
	}
	return time.Duration(t.Nano())
}
