package daemon

import "time"

// awaited counts tasks in slots whose Results are about to come, as far as is known. One that
// has been there for an awaitedPeriod, or two, has turned out long, and nobody waits for it any
// more.
type awaited struct {
	period      uint32 // from 1
	now, before int    // those of this period, and of the one before
}

// awaitedPeriod is much longer than a slot takes for what a window holds of such tasks.
const awaitedPeriod = 10 * mostLinger

// turn sees to it that the period is that of a time by Engine.elapsed.
func (a *awaited) turn(elapsed time.Duration) {
	switch p := uint32(elapsed/awaitedPeriod) + 1; p {
	case a.period:
	case a.period + 1:
		*a = awaited{p, 0, a.now}
	default:
		*a = awaited{period: p}
	}
}

// add counts one more, and returns its period.
func (a *awaited) add(elapsed time.Duration) uint32 {
	a.turn(elapsed)
	a.now++
	return a.period
}

// drop takes out one of a period; 0: of none.
func (a *awaited) drop(period uint32) {
	switch {
	case period == 0:
	case period == a.period:
		a.now--
	case period+1 == a.period:
		a.before--
	}
}

func (a *awaited) any(elapsed time.Duration) bool {
	a.turn(elapsed)
	return a.now+a.before > 0
}
