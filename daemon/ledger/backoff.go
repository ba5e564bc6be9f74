package ledger

import "time"

// MaxBackoff bounds every pause, unless the first one is longer already.
const MaxBackoff = time.Hour

// Backoff returns the pause before the nth retry, n from 1: first, then twice
// that, and so on, less up to half of it so that tasks that failed together do
// not come back together. chance is from 0 to 1, such as rand.Float64 gives.
func Backoff(first time.Duration, n int, chance float64) time.Duration {
	pause, most := first, max(first, MaxBackoff)
	for i := 1; i < n && 0 < pause && pause < most; i++ {
		pause = min(most, pause*2) // at most twice MaxBackoff: no overflow
	}
	return pause - time.Duration(chance*float64(pause)/2)
}
