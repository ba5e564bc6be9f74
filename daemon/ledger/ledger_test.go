package ledger_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"

	"pgregory.net/rapid"
)

// now and uptime are when the tests happen, by both clocks.
var now, uptime = time.Unix(1_800_000_000, 0), 100 * time.Hour

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Helper()
	Fatal(args ...any)
}

type pool string

func (p pool) Name() string { return string(p) }

func plain() *task.Task { return &task.Task{ID: task.NewID(), ScriptPath: "/x.py", Function: "main"} }

// add takes in a task, which is Arriving then.
func add(s *ledger.Store, t *task.Task) *ledger.Record {
	r := &ledger.Record{Task: t, Pool: pool("p")}
	s.Stamp(r, queue.Now{Wall: now, Uptime: uptime})
	s.Add(r)
	return r
}

func move(t failer, s *ledger.Store, r *ledger.Record, phases ...ledger.Phase) {
	t.Helper()
	for _, to := range phases {
		if err := s.Move(r, to); err != nil {
			t.Fatal(err)
		}
	}
}

func result(r *ledger.Record, status task.Status) *task.Result {
	return &task.Result{ID: r.Task.ID, Status: status, Data: []byte("7"), SubmittedAt: now, FinishedAt: now}
}

// end ends a task that is Ending and returns what had to go.
func end(t failer, s *ledger.Store, r *ledger.Record, status task.Status) []ledger.Gone {
	t.Helper()
	r.EndCursor()
	s.NumberEnd(r)
	gone, err := s.End(r, result(r, status), uptime)
	if err != nil {
		t.Fatal(err)
	}
	return gone.Tasks
}

// ended takes in a task that ends at once.
func ended(t failer, s *ledger.Store, k *task.Task) *ledger.Record {
	t.Helper()
	r := add(s, k)
	move(t, s, r, ledger.Ready, ledger.Ending)
	end(t, s, r, task.Completed)
	return r
}

func TestATaskIsFoundAsLongAsItIsKept(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10, MaxBytes: 1 << 20})
	k := plain()
	k.Extra = &task.Extras{IdempotencyKey: "once", ResultTTL: task.Duration(time.Minute)}
	r := ended(t, s, k)
	if found, err := s.Find(k.ID, anybody); err != nil || found != r || s.Keyed(0, "once") != r || s.Keyed(1, "once") != nil {
		t.Errorf("found %v: %v", found, err)
	}
	if at, ok := s.NextEviction(); !ok || at != uptime+time.Minute {
		t.Errorf("it is evicted at %v", at)
	}
	if gone := s.Evict(uptime + time.Minute - 1).Tasks; gone != nil || s.Size() != 1 || s.Bytes() == 0 {
		t.Errorf("gone too early: %v", gone)
	}
	if gone := s.Evict(uptime + time.Minute).Tasks; len(gone) != 1 || gone[0].Stamp != r.Stamp() || s.Size() != 0 || s.Bytes() != 0 {
		t.Errorf("gone: %v; %d bytes are left", gone, s.Bytes())
	}
	if _, err := s.Find(k.ID, anybody); !errors.Is(err, task.ErrEvicted) || s.Keyed(0, "once") != nil {
		t.Errorf("an evicted task: %v", err)
	}
	if _, err := s.Find(task.NewID(), anybody); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("an unknown task: %v", err)
	}
	if _, ok := s.NextEviction(); ok {
		t.Error("nothing is kept and something is to be evicted")
	}
}

func TestWhatIsTooManyOrTooLargeMakesRoom(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 2, MaxBytes: 100})
	first, second := ended(t, s, plain()), ended(t, s, plain())
	third := ended(t, s, plain())
	if s.Get(first.Task.ID) != nil || s.Get(second.Task.ID) == nil || s.Get(third.Task.ID) == nil {
		t.Error("the oldest of three has not gone")
	}
	large := add(s, plain())
	move(t, s, large, ledger.Ready, ledger.Ending)
	done := large.Done()
	res := result(large, task.Failed)
	res.Error = &task.Error{Message: string(make([]byte, 200))}
	gone, err := s.End(large, res, uptime)
	if err != nil || !isGone(gone.Tasks, large) || s.Bytes() > 100 {
		t.Errorf("%d bytes are kept of what is too large: %v", s.Bytes(), err)
	}
	<-done // who waits has it all the same
	if large.Result() != res {
		t.Error("its result has gone with it")
	}
	s.SetBounds(ledger.Bounds{TTL: time.Hour, Max: 1, MaxBytes: 1 << 20})
	ended(t, s, plain())
	ended(t, s, plain())
	if s.Size() != 1 {
		t.Errorf("%d are kept within the new bounds", s.Size())
	}
}

func TestTombstonesAreBounded(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{Max: 10, MaxBytes: 1 << 20})
	const remembered = 100_000
	first, second := ended(t, s, plain()), ended(t, s, plain())
	for range remembered - 1 {
		ended(t, s, plain())
	}
	s.Evict(uptime)
	if _, err := s.Find(first.Task.ID, anybody); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("the first of too many: %v", err)
	}
	if _, err := s.Find(second.Task.ID, anybody); !errors.Is(err, task.ErrEvicted) {
		t.Errorf("the second: %v", err)
	}
}

// Whatever comes and goes, lists have every task once and in order, and the counts
// are those of the tasks.
func TestListsAndCountsAreThoseOfTheTasks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: rapid.IntRange(1, 30).Draw(t, "max"), MaxBytes: 1 << 20})
		s.KeepWhole(rapid.IntRange(1, 20).Draw(t, "whole"))
		var all []*ledger.Record
		drop := func(gone ...ledger.Gone) {
			all = slices.DeleteFunc(all, func(r *ledger.Record) bool { return isGone(gone, r) })
		}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			r := add(s, plain())
			all = append(all, r)
			switch rapid.IntRange(0, 3).Draw(t, "then") {
			case 0:
				move(t, s, r, ledger.Delayed)
			case 1:
				move(t, s, r, ledger.Ready, ledger.Sent, ledger.Running)
			case 2:
				if err := s.Refuse(r); err != nil {
					t.Fatal(err)
				}
				drop(ledger.Gone{Stamp: r.Stamp()})
			case 3:
				move(t, s, r, ledger.Ready, ledger.Ending)
				drop(end(t, s, r, task.Completed)...)
			}
		}
		var listed []*ledger.Record
		for stamp, more, page := int64(0), true, rapid.IntRange(1, 50).Draw(t, "page"); more; {
			stamp, more = s.After(stamp, page, nil, func(r *ledger.Record) bool { listed = append(listed, r); return true })
		}
		if !slices.EqualFunc(listed, all, func(r, x *ledger.Record) bool { return r.Stamp() == x.Stamp() && r.Status() == x.Status() }) {
			t.Fatalf("%d are listed, %d are there", len(listed), len(all))
		}
		var backwards []*ledger.Record
		for stamp, more, page := int64(math.MaxInt64), true, rapid.IntRange(1, 50).Draw(t, "page backwards"); more; {
			stamp, more = s.Before(stamp, page, nil, func(r *ledger.Record) bool { backwards = append(backwards, r); return true })
		}
		slices.Reverse(backwards)
		if !slices.EqualFunc(backwards, listed, func(r, x *ledger.Record) bool { return r.Stamp() == x.Stamp() }) {
			t.Fatalf("%d are listed backwards, %d are there", len(backwards), len(all))
		}
		counts := map[task.Status]int{}
		for _, r := range listed {
			counts[r.Status()]++
		}
		for _, status := range task.Statuses() {
			if s.Count(status) != counts[status] {
				t.Fatalf("%d are counted as %s, %d are", s.Count(status), status, counts[status])
			}
		}
	})
}

func TestAListEndsWhereItsReaderWants(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{Max: 10})
	first := add(s, plain())
	add(s, plain())
	stamp, more := s.After(0, 10, nil, func(r *ledger.Record) bool { return false })
	if stamp != first.Stamp() || !more || !first.Submitted().Equal(now) {
		t.Errorf("stopped at %d, more is %v", stamp, more)
	}
	var met []int64
	stamp, more = s.Before(math.MaxInt64, 10, nil, func(r *ledger.Record) bool { met = append(met, r.Stamp()); return r == first })
	if len(met) != 1 || met[0] <= first.Stamp() || stamp != met[0] || !more {
		t.Errorf("backwards it met %v, stopped at %d, more is %v", met, stamp, more)
	}
	if stamp, more = s.Before(first.Stamp(), 10, nil, func(*ledger.Record) bool { return true }); more || stamp != first.Stamp() {
		t.Errorf("before the first it went to %d, more is %v", stamp, more)
	}
}

func TestGapsOfEvictedTasksAreClosed(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{Max: 1, MaxBytes: 1 << 20, TTL: time.Hour})
	for range 5000 {
		ended(t, s, plain())
	}
	n := 0
	s.After(0, 10_000, nil, func(*ledger.Record) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d tasks are listed", n)
	}
}

func TestWhatWasRestoredIsAsItWas(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10, MaxBytes: 1 << 20})
	batch := task.NewID()
	waits := &ledger.Record{Task: plain(), Pool: pool("p")}
	s.Restore(waits, now.Add(-time.Hour), queue.Now{Wall: now.Add(-time.Hour), Uptime: uptime - time.Hour})
	s.Join(waits, batch)
	r := &ledger.Record{Task: plain(), Pool: pool("p")}
	s.Restore(r, now.Add(-time.Minute), queue.Now{Wall: now.Add(-time.Minute), Uptime: uptime - time.Minute})
	s.Join(r, batch)
	res := result(r, task.TimedOut)
	res.Attempts = 3
	at := task.Cursor{Attempt: 4, Seq: 9}
	s.RestoreEnd(r, res, at, uptime, 5)
	if waits.Phase() != ledger.Delayed || r.Phase() != ledger.Ended || r.Result() != res || r.Cursor() != at || !s.Member(r, batch) {
		t.Errorf("%s and %s, at %+v", waits.Phase(), r.Phase(), r.Cursor())
	}
	if v := s.Batch(batch).View(); v.Total != 2 || v.Done || v.Tasks["timed_out"] != 1 || v.Tasks["pending"] != 1 {
		t.Errorf("its batch: %+v", v)
	}
	if s.Put() != 0 {
		t.Error("an end of before was counted again")
	}
	later := add(s, plain())
	if later.Stamp() <= r.Stamp() {
		t.Error("a new task is listed before an old one")
	}
}

func TestAViewSaysWhenAndWhere(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{TTL: time.Hour, Max: 10, MaxBytes: 1 << 20})
	k := plain()
	k.Extra = &task.Extras{Delay: task.Duration(time.Minute), ExpiresAt: now.Add(time.Hour)}
	r := add(s, k)
	if times := r.Times(); times.Due != uptime+time.Minute || !times.RunAt.IsZero() || !times.ExpiresAt.Equal(k.Extra.ExpiresAt) {
		t.Errorf("its times are %+v", times)
	}
	if v := r.View(); v.StartedAt != nil || v.FinishedAt != nil || v.Pool != "p" {
		t.Errorf("before it begins: %+v", v)
	}
	r.Worker = &task.Worker{ID: "p-0"}
	r.Begin(queue.Now{Wall: now, Uptime: uptime})
	move(t, s, r, ledger.Ready, ledger.Sent, ledger.Running, ledger.Ending)
	if v := r.View(); !v.StartedAt.Equal(now) || v.FinishedAt != nil {
		t.Errorf("while it runs: %+v", v)
	}
	end(t, s, r, task.Completed)
	if v := r.View(); v.StartedAt != nil || !v.FinishedAt.Equal(now) || v.Worker.ID != "p-0" {
		t.Errorf("after its end: %+v", v)
	}
	if _, ok := r.Started(); !ok {
		t.Error("its attempt is forgotten")
	}
	r.Reset()
	if _, ok := r.Started(); r.Worker != nil || ok {
		t.Error("its attempt is not forgotten")
	}
	if times := add(s, plain()).Times(); times != (queue.Times{}) {
		t.Error("a plain task has times")
	}
}

func TestOnlyWhatFailedWithRetriesLeftIsTriedAgain(t *testing.T) {
	s := ledger.NewStore(ledger.Bounds{Max: 10})
	for _, c := range []struct {
		why    string
		status task.Status
		spoil  func(*ledger.Record)
		want   bool
	}{
		{"it failed", task.Failed, nil, true},
		{"it took too long", task.TimedOut, nil, true},
		{"it completed", task.Completed, nil, false},
		{"it was cancelled", task.Failed, func(r *ledger.Record) { r.Stopping = true }, false},
		{"it has been tried often enough", task.Failed, func(r *ledger.Record) { r.Retries = 2 }, false},
		{"it has no place in the queue", task.Failed, func(r *ledger.Record) { r.Item = nil }, false},
		{"it asked for none", task.Failed, func(r *ledger.Record) { r.Task.Extra = nil }, false},
	} {
		k := plain()
		k.Extra = &task.Extras{MaxRetries: 2}
		r := add(s, k)
		r.Item = item(r)
		if c.spoil != nil {
			c.spoil(r)
		}
		if r.MayRetry(c.status) != c.want {
			t.Errorf("%s: tried again is %v", c.why, !c.want)
		}
	}
}

// anybody's tombstones are visible.
func anybody(uint32) bool { return true }

func isGone(gone []ledger.Gone, r *ledger.Record) bool {
	return slices.ContainsFunc(gone, func(g ledger.Gone) bool { return g.Stamp == r.Stamp() })
}
