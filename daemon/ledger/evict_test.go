package ledger_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"

	"pgregory.net/rapid"
)

// endedOf takes in a task of an owner that ends at once with so many bytes of output.
func endedOf(t failer, s *ledger.Store, owner uint32, bytes int, x *task.Extras) (*ledger.Record, ledger.Evicted) {
	t.Helper()
	r := &ledger.Record{Task: &task.Task{ID: task.NewID(), Extra: x}, Pool: pool("p"), Owner: owner}
	s.Stamp(r, queue.Now{Wall: now, Uptime: uptime})
	s.Add(r)
	move(t, s, r, ledger.Ready, ledger.Ending)
	s.NumberEnd(r)
	gone, err := s.End(r, &task.Result{ID: r.Task.ID, Status: task.Completed, Stdout: string(make([]byte, bytes)), SubmittedAt: now, FinishedAt: now}, uptime)
	if err != nil {
		t.Fatal(err)
	}
	return r, gone
}

func TestAFloodOfOneCallerEvictsNothingOfAnotherWhoHasLess(t *testing.T) {
	for name, b := range map[string]ledger.Bounds{
		"bytes": {TTL: time.Hour, Max: 1000, MaxBytes: 10_000},
		"count": {TTL: time.Hour, Max: 10, MaxBytes: 1 << 30},
	} {
		s := ledger.NewStore(b)
		var theirs []*ledger.Record
		for range 3 {
			r, _ := endedOf(t, s, 2, 900, nil)
			theirs = append(theirs, r)
		}
		for range 200 {
			endedOf(t, s, 1, 999, &task.Extras{ResultTTL: task.Duration(1000 * time.Hour)})
		}
		for _, r := range theirs {
			if s.Get(r.Task.ID) != r {
				t.Errorf("%s: it has gone for the flood of another", name)
			}
		}
		if s.Size() > b.Max || s.Bytes() > b.MaxBytes {
			t.Errorf("%s: %d with %d bytes are kept", name, s.Size(), s.Bytes())
		}
	}
}

func TestAResultLargerThanAllGoesAloneAndToWhoWaitsForIt(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10, MaxBytes: 1000})
	small, _ := endedOf(t, s, 1, 100, nil)
	id := task.NewID()
	large := add(s, plain())
	s.Join(large, id)
	large.Owner = 1
	other := add(s, plain())
	s.Join(other, id)
	move(t, s, large, ledger.Ready, ledger.Ending)
	done := large.Done()
	gone, err := s.End(large, &task.Result{Status: task.Completed, Data: make([]byte, 2000)}, uptime)
	if err != nil || len(gone.Tasks) != 1 || !isGone(gone.Tasks, large) || s.Get(small.Task.ID) != small {
		t.Errorf("%d went: %v", len(gone.Tasks), err)
	}
	<-done
	if large.Result() == nil {
		t.Error("who waits does not get it")
	}
	if results, _, _, _ := s.Batch(id).Results(0, ledger.Portion{Items: 10, Bytes: 1 << 30}); len(results) != 0 {
		t.Error("its batch holds what is not kept")
	}
}

// What is kept, who has to make room, and what is remembered are those of a model that
// looks at everything each time.
func TestRoomIsMadeByTheOldestOfWhoHasMost(t *testing.T) {
	type item struct {
		r       *ledger.Record
		bytes   int64
		expires time.Duration
	}
	rapid.Check(t, func(t *rapid.T) {
		b := ledger.Bounds{TTL: time.Hour, Max: rapid.IntRange(1, 12).Draw(t, "max"), MaxBytes: int64(rapid.IntRange(1, 3000).Draw(t, "bytes"))}
		s := ledger.NewStore(b)
		s.KeepWhole(rapid.IntRange(1, 20).Draw(t, "whole"))
		var kept []item // by age
		at := uptime
		total := func(owner uint32, of func(item) int64) (all, own int64) {
			for _, k := range kept {
				if all += of(k); k.r.Owner == owner {
					own += of(k)
				}
			}
			return all, own
		}
		mayGo := func(of func(item) int64, k item) bool { // it is its owner's oldest, and nobody has more
			_, own := total(k.r.Owner, of)
			for _, x := range kept {
				if _, has := total(x.r.Owner, of); has > own {
					return false
				}
			}
			i := slices.IndexFunc(kept, func(x item) bool { return x.r.Owner == k.r.Owner })
			return kept[i] == k
		}
		one, size := func(item) int64 { return 1 }, func(k item) int64 { return k.bytes }
		check := func(gone ledger.Evicted) {
			for _, r := range gone.Tasks {
				i := slices.IndexFunc(kept, func(k item) bool { return k.r.Stamp() == r.Stamp })
				k := kept[i]
				count, _ := total(0, one)
				bytes, _ := total(0, size)
				pressed := count > int64(b.Max) && mayGo(one, k) || bytes > b.MaxBytes && mayGo(size, k) || k.bytes > b.MaxBytes
				if expired := k.expires <= at; !expired && !pressed {
					t.Fatalf("owner %d: one of %d bytes went before its time and turn", k.r.Owner, k.bytes)
				} else if g := r.Tombstone; (g == nil) != expired || g != nil && (g.Until != k.expires || g.Owner != k.r.Owner) {
					t.Fatalf("expired: %v, and it leaves %+v", expired, g)
				}
				kept = slices.Delete(kept, i, i+1)
			}
			count, _ := total(0, one)
			bytes, _ := total(0, size)
			if count > int64(b.Max) || bytes > b.MaxBytes || int(count) != s.Size() || bytes != s.Bytes() {
				t.Fatalf("%d with %d bytes are left; the store says %d with %d", count, bytes, s.Size(), s.Bytes())
			}
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			if rapid.IntRange(0, 5).Draw(t, "time passes") == 0 {
				at += time.Duration(rapid.IntRange(1, 100).Draw(t, "minutes")) * time.Minute
				check(s.Evict(at))
			}
			r := &ledger.Record{Task: &task.Task{ID: task.NewID(), Extra: &task.Extras{ResultTTL: task.Duration(time.Duration(rapid.IntRange(1, 500).Draw(t, "ttl")) * time.Minute)}},
				Pool: pool("p"), Owner: uint32(rapid.IntRange(1, 4).Draw(t, "owner"))}
			s.Stamp(r, queue.Now{Wall: now, Uptime: at})
			s.Add(r)
			move(t, s, r, ledger.Ready, ledger.Ending)
			res := &task.Result{ID: r.Task.ID, Status: task.Completed, SubmittedAt: now, FinishedAt: now, Data: make([]byte, rapid.IntRange(0, 900).Draw(t, "size"))}
			s.NumberEnd(r)
			kept = append(kept, item{r, r.Task.Size() + res.Size(), at + time.Duration(r.Task.Extra.ResultTTL)})
			gone, err := s.End(r, res, at)
			if err != nil {
				t.Fatal(err)
			}
			check(gone)
		}
	})
}

func TestWhatHadToMakeRoomIsRememberedUntilItsTimeIsOver(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 1, MaxBytes: 1 << 20})
	first, _ := endedOf(t, s, 1, 0, &task.Extras{IdempotencyKey: "once"})
	_, gone := endedOf(t, s, 1, 0, nil)
	g := gone.Tasks[0].Tombstone
	if g == nil || g.Key != "once" || g.Until != uptime+time.Hour || *s.Pressed(1, first.Task.ID, "") != *g || *s.Pressed(1, task.NewID(), "once") != *g {
		t.Fatalf("it leaves %+v", g)
	}
	if s.Pressed(2, first.Task.ID, "once") != nil {
		t.Error("it is another's, too")
	}
	if at, ok := s.NextEviction(); !ok || at != uptime+time.Hour {
		t.Errorf("the next is at %v", at)
	}
	if gone := s.Evict(uptime + time.Hour); !slices.Contains(gone.Forgotten, *g) || s.Pressed(1, first.Task.ID, "once") != nil {
		t.Errorf("its time is over, and it is remembered: %+v", gone)
	}
	if _, err := s.Find(first.Task.ID, anybody); !errors.Is(err, task.ErrEvicted) {
		t.Errorf("its id: %v", err)
	}
	if _, err := s.Find(first.Task.ID, func(owner uint32) bool { return owner == 2 }); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("its id, for another: %v", err)
	}
}

func TestTheEvictionsOfOneCallerDoNotPushOutTheTombstonesOfAnother(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 1, MaxBytes: 1 << 20})
	theirs, _ := endedOf(t, s, 2, 0, nil)
	forgotten := 0
	for range 100_010 {
		_, gone := endedOf(t, s, 1, 0, nil)
		forgotten += len(gone.Forgotten)
	}
	if s.Get(theirs.Task.ID) == nil {
		if _, err := s.Find(theirs.Task.ID, anybody); !errors.Is(err, task.ErrEvicted) || s.Pressed(2, theirs.Task.ID, "") == nil {
			t.Errorf("the tombstone of another: %v", err)
		}
	}
	if forgotten == 0 || forgotten > 10 {
		t.Errorf("%d were forgotten", forgotten)
	}
}

// Tombstones of one id belong to each owner who had it.
func TestAnIDMayHaveBeenThatOfSeveral(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10, MaxBytes: 1 << 20})
	id := task.NewID()
	for owner := range uint32(3) {
		s.RestoreTombstone(ledger.Tombstone{ID: id, Owner: owner, Stamp: int64(owner + 1), Until: uptime + time.Duration(owner)*time.Minute})
	}
	if gone := s.RestoreTombstone(ledger.Tombstone{ID: id, Owner: 1, Stamp: 9, Until: uptime + 5*time.Minute}); len(gone) != 1 || gone[0].Stamp != 2 {
		t.Errorf("%+v went for a later one", gone)
	}
	for owner := range uint32(4) {
		_, err := s.Find(id, func(o uint32) bool { return o == owner })
		if g := s.Pressed(owner, id, ""); (owner < 3) != (g != nil) || (owner < 3) != errors.Is(err, task.ErrEvicted) {
			t.Errorf("owner %d: %+v, %v", owner, g, err)
		}
	}
	r := add(s, plain())
	if r.Stamp() <= 9 {
		t.Error("a new task has the stamp of a tombstone")
	}
}

func TestEventsOfTasksThatWaitAgainAreCountedAndMakeRoom(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10, MaxBytes: 22_000})
	wide := ledger.EventBounds{PartialBytes: 1 << 20, NoteBytes: 1 << 20}
	theirs, _ := endedOf(t, s, 2, 9_000, nil)
	var waiting []*ledger.Record
	for range 3 {
		r := add(s, plain())
		r.Owner = 1
		move(t, s, r, ledger.Ready, ledger.Sent, ledger.Running)
		for range 5 {
			r.Note(&task.Event{Kind: task.EventPartial, Value: make([]byte, 1000)}, wide)
		}
		r.Unsaved(1 << 30)
		move(t, s, r, ledger.Delayed)
		waiting = append(waiting, r)
	}
	gone := s.Evict(uptime)
	if !slices.Equal(gone.Trimmed, waiting[:1]) || len(gone.Tasks) != 0 || s.Bytes() > 22_000 || s.Get(theirs.Task.ID) == nil {
		t.Fatalf("%d were trimmed, %d went, %d bytes are left", len(gone.Trimmed), len(gone.Tasks), s.Bytes())
	}
	events, _ := waiting[0].Log().After(task.Cursor{}, everything)
	if len(events) != 1 || events[0].Kind != task.EventGap || events[0].Missed != 5 {
		t.Errorf("its events are %+v", events)
	}
	if c, _ := waiting[0].Unsaved(1 << 30); !c.Whole || len(c.Events) != 1 {
		t.Errorf("what was saved of it stays: %+v", c)
	}
	for _, r := range waiting {
		move(t, s, r, ledger.Ready, ledger.Sent)
	}
	counted := s.Bytes()
	if counted < 20_000 {
		t.Errorf("%d bytes are counted where tasks run that have 10,000", counted)
	}
	own, _ := endedOf(t, s, 1, 500, nil)
	r := waiting[2]
	for range 3 {
		r.Note(&task.Event{Kind: task.EventPartial, Value: make([]byte, 1000)}, wide)
		if s.Noted(r) {
			gone = s.Evict(uptime)
		}
	}
	if !slices.Equal(gone.Trimmed, waiting[1:2]) || s.Get(own.Task.ID) != nil || s.Get(theirs.Task.ID) == nil || s.Bytes() > 22_000 {
		t.Errorf("of tasks that run %d were trimmed, and %d bytes are left", len(gone.Trimmed), s.Bytes())
	}
}

func TestATaskIsInSoManyBatchesAndNoMore(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10, MaxBytes: 1 << 20})
	r, _ := endedOf(t, s, 1, 0, nil)
	var ids []task.ID
	for range ledger.MostFurther {
		if !s.MayJoin(r) {
			t.Fatalf("it is in %d", len(ids))
		}
		ids = append(ids, task.NewID())
		s.JoinAgain(ids[len(ids)-1], []*ledger.Record{r})
	}
	if s.MayJoin(r) {
		t.Error("it may be in one more")
	}
	if s.Bytes() < 100*ledger.MostFurther {
		t.Errorf("%d bytes are counted", s.Bytes())
	}
	s.Evict(uptime + time.Hour)
	for _, id := range ids {
		if s.Batch(id) != nil {
			t.Fatal("an empty batch stays")
		}
	}
}

// A gap that grows is one event, however many there were.
func TestPartialsBeyondTheirBoundAreOneGap(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10, MaxBytes: 1 << 20})
	r := add(s, plain())
	for range 1000 {
		r.Note(&task.Event{Kind: task.EventPartial, Value: make([]byte, 100)}, ledger.EventBounds{PartialBytes: 50, NoteBytes: 50})
	}
	events, _ := r.Log().After(task.Cursor{}, everything)
	if len(events) > 2 || events[len(events)-1].Missed+uint64(len(events))-1 != 1000 {
		t.Errorf("%d events, the last %+v", len(events), events[len(events)-1])
	}
}

// Many results of one batch go in any order without looking at all of it each time.
func BenchmarkEvictionOutOfOrder(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: n, MaxBytes: 1 << 40})
				id := task.NewID()
				for i := range n {
					r := &ledger.Record{Task: &task.Task{ID: task.NewID(), Extra: &task.Extras{ResultTTL: task.Duration(n - i)}}, Pool: pool("p")}
					s.Stamp(r, queue.Now{Wall: now, Uptime: uptime})
					s.Add(r)
					s.Join(r, id)
					_ = s.Move(r, ledger.Ready)
					_ = s.Move(r, ledger.Ending)
					if _, err := s.End(r, &task.Result{}, uptime); err != nil {
						b.Fatal(err)
					}
				}
				s.Evict(uptime + time.Hour)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/task")
		})
	}
}

// Who evicts little among those who evict much keeps tombstones that were made far apart.
func TestTombstonesTakeLittleMemoryWhoeverMadeThem(t *testing.T) {
	const n, most = 4000, 600
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour})
	s.RememberAtMost(n)
	before := heapBytes()
	for i := range 64 * n / 2 {
		owner := uint32(1)
		if i%64 == 0 {
			owner = 2
		}
		endedOf(t, s, owner, 0, nil)
	}
	if each := (heapBytes() - before) / n; each > most {
		t.Errorf("a tombstone takes %d bytes; %d were thought enough", each, most)
	}
	runtime.KeepAlive(s)
}
