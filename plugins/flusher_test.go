package plugins

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

// clock is a virtual one, with the flusher's timer.
type clock struct {
	now    int64
	due    int64 // 0: the timer is not set
	broken bool
	deaf   bool // it can be set, and does not fire
	set    int  // how often the timer was set
}

func (c *clock) timer(after time.Duration) bool {
	if c.broken {
		return false
	}
	if !c.deaf {
		c.due = c.now + int64(after)
	}
	c.set++
	return true
}

// pass lets time pass, and the flusher look when its timer is due.
func (c *clock) pass(f *flusher, d time.Duration) {
	until := c.now + int64(d)
	for c.due != 0 && c.due <= until {
		c.now, c.due = max(c.now, c.due), 0
		f.turn()
	}
	c.now = until
}

// store is a holder that notes how old what it holds has become.
type store struct {
	clock  *clock
	since  int64
	stuck  bool // it can't write
	oldest time.Duration
	writes int
}

func (s *store) heldSince() int64 { return s.since }
func (s *store) flushHeld() {
	s.writes++
	if s.stuck {
		s.since = s.clock.now
		return
	}
	s.flush()
}
func (s *store) flush() {
	s.oldest, s.since = max(s.oldest, time.Duration(s.clock.now-s.since)), 0
}
func (s *store) hold(f *flusher) {
	if s.since != 0 {
		return
	}
	if s.since = s.clock.now; !f.note() {
		s.flush()
	}
}

func newStores(n int) (*clock, *flusher, []*store) {
	c := &clock{now: 1}
	f := &flusher{now: func() int64 { return c.now }, set: c.timer}
	var stores []*store
	for range n {
		s := &store{clock: c}
		stores, f.holders = append(stores, s), append(f.holders, s)
	}
	return c, f, stores
}

func TestNothingIsHeldLongerThanItsBound(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		c, f, stores := newStores(1 + random.IntN(4))
		pause := time.Duration(1 + random.IntN(int(3*heldAtMost)))
		for range 500 {
			c.pass(f, time.Duration(random.Int64N(int64(pause))))
			s := stores[random.IntN(len(stores))]
			if random.IntN(3) == 0 && s.since != 0 {
				s.flush() // as before a read
			} else {
				s.hold(f)
			}
		}
		c.pass(f, time.Second)
		for _, s := range stores {
			if s.since != 0 || s.oldest > heldAtMost {
				t.Fatalf("something was held for %v, and %d is held still", s.oldest, s.since)
			}
		}
		if c.due != 0 {
			t.Fatal("the timer goes on though nothing is held")
		}
	}
}

// A thread that goes from one short task to the next sets no timer, and the flusher
// looks at it seldom and writes nothing.
func TestWhoWritesByHimselfIsHardlyLookedAt(t *testing.T) {
	c, f, stores := newStores(1)
	const tasks = 100_000
	for range tasks {
		stores[0].hold(f)
		c.pass(f, 10*time.Microsecond)
		stores[0].flush()
	}
	if looks := int(tasks * 10 * time.Microsecond / lookAfter); c.set > looks+looks/10 {
		t.Errorf("the timer was set %d times in %d tasks", c.set, tasks)
	}
	if stores[0].writes > 0 {
		t.Errorf("the flusher wrote %d times", stores[0].writes)
	}
}

func TestWithoutATimerNothingIsHeld(t *testing.T) {
	c, f, stores := newStores(1)
	c.broken = true
	if stores[0].hold(f); stores[0].since != 0 {
		t.Error("it is held")
	}
	c.broken = false
	if stores[0].hold(f); stores[0].since == 0 || c.due == 0 {
		t.Error("it is not held, though there is a timer again")
	}
}

// A script has put another timer in the place of ours.
func TestWhatIsHeldLeavesThoughTheTimerDoesNotFire(t *testing.T) {
	c, f, stores := newStores(2)
	c.deaf = true
	stores[0].hold(f)
	c.pass(f, overdue/2)
	if f.rescue(); stores[0].since == 0 {
		t.Error("the timer is taken for gone though it may fire yet")
	}
	c.pass(f, overdue/2)
	if f.rescue(); stores[0].since != 0 {
		t.Error("it is held still")
	}
	for _, s := range stores {
		if s.hold(f); s.since != 0 {
			t.Error("something is held again")
		}
	}
}

func TestWhoCannotWriteIsAskedAgainButNotAllTheTime(t *testing.T) {
	c, f, stores := newStores(1)
	stores[0].stuck = true
	stores[0].hold(f)
	c.pass(f, 100*heldAtMost)
	if n := stores[0].writes; n < 50 || n > 200 {
		t.Errorf("it was asked %d times in %v", n, 100*heldAtMost)
	}
}

func TestAFlusherWakesByItsTimer(t *testing.T) {
	w := &waker{wrote: make(chan struct{})}
	f := newFlusher([]holder{w})
	w.since.Store(f.now())
	if !f.note() {
		t.Fatal("there is no timer")
	}
	<-w.wrote
}

// waker is a holder that says when the flusher has written.
type waker struct {
	since atomic.Int64
	wrote chan struct{}
}

func (w *waker) heldSince() int64 { return w.since.Load() }
func (w *waker) flushHeld() {
	w.since.Store(0)
	close(w.wrote)
}
