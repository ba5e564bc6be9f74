package ledger_test

import (
	"slices"
	"testing"
	"time"

	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
)

func TestResultsOfABatchComeInTheOrderOfTheirEnds(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 3, MaxBytes: 1 << 20})
	id := task.NewID()
	var all []*ledger.Record
	for range 4 {
		r := add(s, plain())
		s.Join(r, id)
		move(t, s, r, ledger.Ready, ledger.Ending)
		all = append(all, r)
	}
	b := s.Batch(id)
	none, _, last, more := b.Results(0, ledger.Portion{Items: 10, Bytes: 1 << 30})
	if len(none) != 0 || last || b.Owner() != 0 {
		t.Errorf("before any has ended: %v, last is %v", none, last)
	}
	for _, i := range []int{2, 0, 1} {
		end(t, s, all[i], task.Completed)
	}
	<-more
	got, next, last, _ := b.Results(0, ledger.Portion{Items: 2, Bytes: 1 << 30})
	if len(got) != 2 || got[0].ID != all[2].Task.ID || next != 2 || last {
		t.Errorf("the first two: %v, then from %d", got, next)
	}
	end(t, s, all[3], task.Failed) // which makes the first of them go
	got, _, last, _ = b.Results(0, ledger.Portion{Items: 10, Bytes: 1 << 30})
	if len(got) != 3 || got[0].ID != all[0].Task.ID || !last {
		t.Errorf("those that are kept: %v, last is %v", got, last)
	}
	if v := b.View(); !v.Done || v.Total != 4 || v.Tasks["completed"] != 3 || v.Tasks["failed"] != 1 {
		t.Errorf("%+v", v)
	}
	s.Evict(uptime + 2*time.Hour)
	if s.Batch(id) != nil {
		t.Error("a batch without tasks is still known")
	}
}

// A task that came with a batch again may have ended before others of it, some of which are
// no longer kept.
func TestATaskThatJoinsABatchLaterHasItsPlaceAmongTheEnds(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10, MaxBytes: 1 << 20})
	id := task.NewID()
	old := ended(t, s, plain())
	var fresh []*ledger.Record
	for i := range 3 {
		k := plain()
		if i == 1 {
			k.Extra = &task.Extras{ResultTTL: task.Duration(time.Minute)}
		}
		r := add(s, k)
		s.Join(r, id)
		move(t, s, r, ledger.Ready, ledger.Ending)
		end(t, s, r, task.Completed)
		fresh = append(fresh, r)
	}
	s.Evict(uptime + time.Minute)
	b := s.JoinAgain(id, []*ledger.Record{old})
	results, _, last, _ := b.Results(0, ledger.Portion{Items: 10, Bytes: 1 << 30})
	var found []task.ID
	for _, r := range results {
		found = append(found, r.ID)
	}
	if want := []task.ID{old.Task.ID, fresh[0].Task.ID, fresh[2].Task.ID}; !slices.Equal(found, want) || !last {
		t.Errorf("%v, not %v; last: %v", found, want, last)
	}
}

func TestARefusedTaskOfABatchIsNotCounted(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{Max: 3})
	id := task.NewID()
	r, other := add(s, plain()), add(s, plain())
	s.Join(r, id)
	s.Join(other, id)
	if err := s.Refuse(r); err != nil {
		t.Fatal(err)
	}
	if v := s.Batch(id).View(); v.Total != 1 || r.Phase() != ledger.Refused {
		t.Errorf("%+v", v)
	}
	if s.Member(add(s, plain()), id) {
		t.Error("a task of no batch has one")
	}
}
