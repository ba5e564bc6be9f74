package queue_test

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"cpulb/daemon/queue"
)

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Clients may use another key, and other owners come, for ever.
func TestKeysAndOwnersThatHaveGoneLeaveNothingBehind(t *testing.T) {
	const n = 100_000
	q := queue.New[int](queue.Options{Lanes: 1, MaxTasks: 3})
	before := heap()
	for i := range n {
		for range 2 { // one of which is parked
			if _, err := q.Push(moment(0), i, queue.Entry{Key: strconv.Itoa(i), Owner: uint32(i)}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			it := q.Pop(moment(0), 0)
			if it == nil || q.Runnable(moment(0), 0) {
				t.Fatal("the limit does not hold")
			}
			q.Remove(moment(0), it)
		}
		q.Changes()
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("%d bytes are left", after-before)
	}
	runtime.KeepAlive(q)
}

// A million tasks may wait, and the engine needs memory for them, too.
func TestAQueuedItemTakesLessThan90Bytes(t *testing.T) {
	const n = 200_000
	value := new(int)
	before := heap()
	q := queue.New[*int](queue.Options{Lanes: 1, MaxTasks: n})
	for i := range n {
		if _, err := q.Push(moment(0), value, queue.Entry{Priority: i % 10, Owner: uint32(i % 3), Whole: true}); err != nil {
			t.Fatal(err)
		}
	}
	if each := (heap() - before) / n; each > 90 {
		t.Errorf("%d bytes for each item", each)
	}
	runtime.KeepAlive(q)
}

func BenchmarkPushPop(b *testing.B) {
	for _, c := range []struct {
		name    string
		waiting int
		e       queue.Entry
	}{{"empty", 0, queue.Entry{Whole: true}}, {"full", 1_000_000, queue.Entry{Whole: true}}, {"expiring", 1_000_000, queue.Entry{Whole: true, Times: queue.Times{ExpiresAt: epoch.Add(time.Hour)}}}} {
		b.Run(c.name, func(b *testing.B) {
			q := queue.New[int](queue.Options{Lanes: 2, MaxTasks: c.waiting + 1, MaxBytes: 1 << 40, Ageing: time.Second})
			for range c.waiting {
				if _, err := q.Push(moment(0), 0, c.e); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := q.Push(moment(0), 1, c.e); err != nil {
					b.Fatal(err)
				}
				q.Remove(moment(0), q.Pop(moment(0), 0))
			}
		})
	}
}

// roomy is a value with room for its item.
type roomy struct {
	n    int
	item queue.Item[*roomy]
}

func (r *roomy) Room() *queue.Item[*roomy] { return &r.item }

// A value's room is taken once: what was in it may still be looked at.
func TestAnItemIsInTheRoomThatItsValueHasOnce(t *testing.T) {
	q := queue.New[*roomy](queue.Options{Lanes: 1, MaxTasks: 10})
	r := &roomy{n: 1}
	first, err := q.Push(moment(0), r, queue.Entry{})
	if err != nil || first != &r.item {
		t.Fatalf("its item is elsewhere: %v", err)
	}
	q.Remove(moment(0), first)
	second := q.Restore(moment(0), r, queue.Entry{})
	if second == first || first.Place() != queue.Gone || second.Place() != queue.Ready || q.Pop(moment(0), 0) != second {
		t.Error("the second is where the first was")
	}
}
