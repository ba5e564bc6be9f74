package queue_test

import (
	"math"
	"testing"
	"time"

	"cpulb/daemon/queue"
)

// set is the time so many seconds after the epoch, with the clock on the wall set ahead.
func set(seconds int, ahead time.Duration) queue.Now {
	return queue.Now{Wall: at(seconds).Add(ahead), Uptime: due(seconds)}
}

func TestWhatIsDueByTheUptimeDoesNotHeedTheClockOnTheWall(t *testing.T) {
	for _, ahead := range []time.Duration{-24 * time.Hour, -time.Second, 0, time.Second, 24 * time.Hour} {
		q := queue.New[string](queue.Options{Lanes: 1, MaxTasks: 9})
		if _, err := q.Push(moment(0), "delayed", queue.Entry{Times: queue.Times{Due: due(10)}}); err != nil {
			t.Fatal(err)
		}
		retried, err := q.Push(moment(0), "retried", queue.Entry{Priority: 9})
		if err != nil || q.Pop(moment(0), 0) != retried {
			t.Fatal(err)
		}
		q.Retry(set(0, ahead), retried, 0, due(10))
		if q.Runnable(set(9, ahead), 0) {
			t.Errorf("with the clock %s ahead it is ready before it is due", ahead)
		}
		if at, next := q.Next(); !at.IsZero() || next != due(10) {
			t.Errorf("next is %v, or due at %v", at, next)
		}
		if !q.Runnable(set(10, ahead), 0) || len(q.Changes()) != 2 {
			t.Errorf("with the clock %s ahead it is not ready when it is due", ahead)
		}
	}
}

func TestInstantsFollowTheClockOnTheWall(t *testing.T) {
	q := queue.New[string](queue.Options{Lanes: 1, MaxTasks: 9})
	for name, when := range map[string]queue.Times{
		"starts":  {RunAt: at(3600)},
		"expires": {Due: due(math.MaxInt32), ExpiresAt: at(7200)},
		"never":   {RunAt: at(math.MaxInt32)},
	} {
		if _, err := q.Push(moment(0), name, queue.Entry{Times: when}); err != nil {
			t.Fatal(err)
		}
	}
	if q.Runnable(set(5000, -time.Hour), 0) {
		t.Error("the clock was set back, and does not count")
	}
	it := q.Pop(set(1, time.Hour), 0)
	if it == nil || it.Value != "starts" {
		t.Fatalf("the clock was set forward, and %v leaves", it)
	}
	q.Return(moment(2), it, 0)
	if q.Pop(moment(2), 0) != it {
		t.Error("what has left because its time had come waits for it again")
	}
	q.Changes()
	q.Advance(set(3, 2*time.Hour))
	if c := q.Changes(); len(c) != 1 || c[0].Item.Value != "expires" || c[0].To != queue.Expired {
		t.Errorf("%v", c)
	}
}

func TestAClockThatIsSetPassesNobodyOver(t *testing.T) {
	q := queue.New[string](queue.Options{Lanes: 1, MaxTasks: 99, Ageing: 10 * time.Second})
	push := func(name string, priority int) {
		if _, err := q.Push(moment(0), name, queue.Entry{Priority: priority}); err != nil {
			t.Fatal(err)
		}
	}
	push("low", 0)
	for range 40 {
		push("high", 9)
	}
	for range 16 { // of which each eighth would be the low one's, once it has aged
		if it := q.Pop(set(1, 24*time.Hour), 0); it.Value != "high" {
			t.Fatal("it has aged by a day within a second")
		}
	}
	for range 8 {
		if it := q.Pop(set(11, -24*time.Hour), 0); it.Value == "low" {
			return
		}
	}
	t.Error("it has not aged in 10 s")
}
