package ledger_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"
)

func TestListsAreInTheOrderOfSubmissionWhateverTheClockShowed(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{Max: 10})
	var want, got []int64
	stamped := func(s *ledger.Store, ahead time.Duration) *ledger.Record {
		r := &ledger.Record{Task: plain(), Pool: pool("p")}
		at := queue.Now{Wall: now.Add(ahead), Uptime: uptime}
		s.Stamp(r, at)
		s.Add(r)
		want = append(want, r.Stamp())
		if v := r.View(); r.SubmittedAt() != at || !v.SubmittedAt.Equal(at.Wall) {
			t.Errorf("it was submitted at %v, and shows %v", at, v.SubmittedAt)
		}
		return r
	}
	var last *ledger.Record
	for _, ahead := range []time.Duration{0, time.Hour, 0, 0, -time.Hour, time.Second} {
		last = stamped(s, ahead)
	}
	list := func(s *ledger.Store) {
		got = nil
		s.After(0, 100, nil, func(r *ledger.Record) bool { got = append(got, r.Stamp()); return true })
		if !slices.Equal(got, want) || !slices.IsSorted(got) {
			t.Errorf("the list is %v, not %v", got, want)
		}
	}
	list(s)

	s, want = ledger.NewStore(ledger.Bounds{Max: 10}), want[5:]
	r := &ledger.Record{Task: plain(), Pool: pool("p")}
	s.Restore(r, last.Submitted(), last.SubmittedAt()) // and the clock shows less than that
	if r.Stamp() != last.Stamp() || r.SubmittedAt() != last.SubmittedAt() {
		t.Errorf("it was restored as of %v", r.SubmittedAt())
	}
	stamped(s, 0)
	list(s)
}

func TestResultsGoInTheOrderOfTheirTimeAndNotBefore(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Minute, Max: 10, MaxBytes: 1 << 20})
	keep := func(ttl time.Duration) *ledger.Record {
		k := plain()
		k.Extra = &task.Extras{ResultTTL: task.Duration(ttl)}
		r := add(s, k)
		move(t, s, r, ledger.Ready, ledger.Ending)
		end(t, s, r, task.Cancelled)
		return r
	}
	long, short, plain, endless := keep(time.Hour), keep(time.Second), keep(0), keep(math.MaxInt64)
	for _, x := range []struct {
		after time.Duration
		want  *ledger.Record
	}{{time.Second, short}, {time.Minute, plain}, {time.Hour, long}} {
		if at, ok := s.NextEviction(); !ok || at != uptime+x.after {
			t.Errorf("the next eviction is at %s", at)
		}
		if gone := s.Evict(uptime + x.after - 1); len(gone.Tasks) > 0 {
			t.Errorf("%d went too early", len(gone.Tasks))
		}
		if gone := s.Evict(uptime + x.after); len(gone.Tasks) != 1 || gone.Tasks[0].Stamp != x.want.Stamp() {
			t.Errorf("after %s went %v", x.after, gone)
		}
	}
	if gone := s.Evict(math.MaxInt64 - 1); len(gone.Tasks) > 0 || s.Get(endless.Task.ID) == nil {
		t.Error("a time that is too long for a number is over")
	}
}
