// Package alloctest holds parsers of foreign bytes to a bound on the memory that they
// take: no input may make them take much more than it has bytes.
package alloctest

import (
	"math"
	"runtime"
	"testing"
)

// tries is how often what took too much is tried again: others may have allocated
// meanwhile.
const tries = 3

// Within fails t if f allocates more than most bytes, whatever of that is garbage at its
// end. f may be called several times.
func Within(t testing.TB, most int, f func()) {
	t.Helper()
	took := uint64(math.MaxUint64)
	for range tries {
		if took = min(took, taken(f)); took <= uint64(most) {
			return
		}
	}
	t.Fatalf("it allocated %d bytes, at most %d are allowed", took, most)
}

func taken(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
