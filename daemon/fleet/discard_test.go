package fleet

import (
	"testing"
	"time"

	"cpulb/daemon/config"
	"cpulb/daemon/effects"
)

// nobody has no tasks, and a lock that nobody else takes.
type nobody struct{ Owner }

func (nobody) Do(f func(fx *effects.List)) { f(&effects.List{}) }

// The life of a seat is part of the fleet's, which would keep all that are not dismissed.
func TestOfAPoolThatDoesNotComeNothingStays(t *testing.T) {
	f := New(Options{Owner: nobody{}, Elapsed: func() time.Duration { return 0 }}, nil)
	r := f.NewRollout([]Layout{{config: config.Pool{Name: "p"}, masks: [][]int{{0}}, count: 2}})
	seats := r.changes[0].pool.seats
	r.Discard()
	for i, s := range seats {
		if s.life.Err() == nil {
			t.Errorf("seat %d of %d lives on", i, len(seats))
		}
	}
	if len(seats) != 2 || f.life.Err() != nil {
		t.Errorf("%d seats, the fleet: %v", len(seats), f.life.Err())
	}
}
