package balancer_test

import (
	"testing"
	"time"

	"cpulb/balancer"
)

func TestOneTaskThatTakesLongForOnceChangesLittleOfWhatIsExpected(t *testing.T) {
	e := balancer.NewEstimator[string](2)
	for range 20 {
		e.Observe("a", 10*time.Microsecond)
	}
	if d := e.Estimate("a"); d != 10*time.Microsecond {
		t.Errorf("%s is expected of what always took 10 µs", d)
	}
	if e.Observe("a", time.Second); e.Estimate("a") > 50*time.Microsecond {
		t.Errorf("%s is expected after one that took a second", e.Estimate("a"))
	}
	for range 30 {
		e.Observe("a", time.Second)
	}
	if d := e.Estimate("a"); d < 800*time.Millisecond || d > time.Second {
		t.Errorf("%s is expected of what has become a second", d)
	}
}

func TestWhatEndedLongestAgoIsForgottenFirst(t *testing.T) {
	e := balancer.NewEstimator[string](2)
	for _, k := range []string{"a", "b", "a", "c"} {
		e.Observe(k, time.Second)
	}
	if e.Len() != 2 || e.Estimate("a") == 0 || e.Estimate("b") != 0 || e.Estimate("c") == 0 {
		t.Errorf("of %d known: a %s, b %s, c %s", e.Len(), e.Estimate("a"), e.Estimate("b"), e.Estimate("c"))
	}
}
