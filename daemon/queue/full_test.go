package queue_test

import (
	"errors"
	"testing"

	"cpulb/daemon/queue"
)

func TestPushBlocksInOrderUntilThereIsRoom(t *testing.T) {
	b := newBench(t, queue.Options{MaxTasks: 2, MaxBytes: 100, Policy: queue.Block})
	b.must("a", queue.Entry{Bytes: 50})
	b.must("b", queue.Entry{Bytes: 10})
	b.must("c", queue.Entry{Bytes: 95})
	b.must("d", queue.Entry{})
	b.must("gives up", queue.Entry{})
	b.must("expires", queue.Entry{Times: queue.Times{ExpiresAt: at(5)}})
	b.must("later", queue.Entry{Times: queue.Times{RunAt: at(100)}})
	if s := b.q.Stats(); s.Blocked != 5 || s.Put != 2 || b.items["c"].Place() != queue.Blocked {
		t.Fatalf("%+v", s)
	}
	b.pops("a")
	b.ends("a")
	b.changes() // c does not fit yet, and d must not overtake it
	if !b.q.Remove(moment(0), b.items["gives up"]) {
		t.Error("a blocked item could not be removed")
	}
	b.now = 5
	b.pops("b")
	b.changes("expires blocked expired")
	b.ends("b")
	b.changes("c blocked ready", "d blocked ready")
	b.pops("c", "d")
	b.changes("later blocked waiting")
	if s := b.q.Stats(); s.Blocked != 0 || s.Put != 5 || s.Dropped != 0 || s.Expired != 1 {
		t.Errorf("%+v", s)
	}
}

func TestDropOldestDropsTheOldestOfTheLowestPriority(t *testing.T) {
	b := newBench(t, queue.Options{MaxTasks: 4, MaxBytes: 100, Policy: queue.DropOldest, Lanes: 2})
	b.must("back", queue.Entry{Priority: 5})
	b.pops("back")
	b.must("high", queue.Entry{Priority: 9})
	b.must("other", queue.Entry{Priority: 5, Lane: 1, Bytes: 30})
	b.must("old", queue.Entry{Priority: 5, Bytes: 30})
	b.must("later", queue.Entry{Priority: 0, Times: queue.Times{RunAt: at(100)}})
	if err := b.push("x", queue.Entry{Priority: 4}); !errors.Is(err, queue.ErrFull) {
		t.Errorf("nothing is of so low a priority: %v", err)
	}
	b.changes()
	b.must("x", queue.Entry{Priority: 5})
	b.changes("other ready dropped")
	if err := b.push("y", queue.Entry{Priority: 9, Bytes: 101}); !errors.Is(err, queue.ErrTooLarge) {
		t.Error(err)
	}
	b.q.Return(moment(0), b.items["back"], 0)
	b.must("z", queue.Entry{Priority: 9, Bytes: 90})
	b.changes("old ready dropped", "x ready dropped")
	if s := b.q.Stats(); s.Dropped != 5 || s.Put != 7 || s.Bytes != 90 {
		t.Errorf("%+v", s)
	}
	b.pops("high", "z", "back", "-")
	if b.items["old"].Place() != queue.Dropped || b.q.Remove(moment(0), b.items["old"]) {
		t.Error("a dropped item is still there")
	}
}

func TestNothingIsDroppedInVain(t *testing.T) {
	b := newBench(t, queue.Options{MaxTasks: 10, MaxBytes: 100, Policy: queue.DropOldest})
	b.must("low", queue.Entry{Priority: 1, Bytes: 40})
	b.must("high", queue.Entry{Priority: 9, Bytes: 60})
	if err := b.push("x", queue.Entry{Priority: 5, Bytes: 41}); !errors.Is(err, queue.ErrFull) {
		t.Fatal(err)
	}
	b.pops("high", "low", "-")
}
