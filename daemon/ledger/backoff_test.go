package ledger_test

import (
	"math"
	"testing"
	"time"

	"cpulb/daemon/ledger"

	"pgregory.net/rapid"
)

func TestPausesDouble(t *testing.T) {
	for n, want := range []time.Duration{1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 12: 2048 * time.Second} {
		if got := ledger.Backoff(time.Second, n, 0); n > 0 && want > 0 && got != want {
			t.Errorf("retry %d waits %s, want %s", n, got, want)
		}
	}
}

func TestPausesAreBoundedAndNeverShorterThanHalf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "first"))
		n := rapid.IntRange(1, math.MaxInt32).Draw(t, "n")
		whole := ledger.Backoff(first, n, 0)
		some := ledger.Backoff(first, n, rapid.Float64Range(0, 1).Draw(t, "chance"))
		if whole < first || whole > max(first, ledger.MaxBackoff) || some > whole || some < whole/2-time.Microsecond {
			t.Fatalf("%s, then %s or %s", first, whole, some)
		}
		if n > 1 && whole < ledger.Backoff(first, n-1, 0) {
			t.Fatalf("retry %d waits less than the one before", n)
		}
	})
}
