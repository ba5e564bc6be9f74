package queue_test

import (
	"testing"
	"time"

	"cpulb/daemon/queue"
)

func TestAKeyAtItsLimitBlocksNobodyElse(t *testing.T) {
	b := newBench(t, queue.Options{KeyLimit: func(key string) int { return int(key[0] - '0') }})
	for _, n := range []string{"1a", "1b", "2a", "2b", "2c"} {
		b.must(n, queue.Entry{Key: n[:1]})
	}
	b.must("free", queue.Entry{})
	b.pops("1a", "2a", "2b", "free", "-")
	b.changes("1b ready parked", "2c ready parked")
	b.q.Remove(moment(0), b.items["2a"]) // it has ended
	b.changes("2c parked ready")
	b.pops("2c", "-")
	b.q.Retry(moment(0), b.items["1a"], 0, due(10)) // 1b may run while 1a waits for its retry
	b.pops("1b", "-")
	b.now = 10
	b.pops("-")
	b.q.Remove(moment(10), b.items["1b"])
	b.pops("1a", "-")
}

func TestOfThoseParkedTheBestComesFirstInEachLane(t *testing.T) {
	b := newBench(t, queue.Options{Lanes: 2})
	b.must("out", queue.Entry{Priority: 9, Key: "k"})
	b.must("low", queue.Entry{Priority: 1, Key: "k"})
	b.must("high", queue.Entry{Priority: 5, Key: "k"})
	b.must("other lane", queue.Entry{Lane: 1, Key: "k"})
	b.pops("out", "-")
	if b.q.Runnable(moment(0), 1) {
		t.Error("the key's limit does not hold in the other lane")
	}
	b.q.Remove(moment(0), b.items["out"])
	if !b.q.Runnable(moment(0), 1) {
		t.Error("the key has room and the other lane does not know")
	}
	b.pops("high", "-")
	b.q.Remove(moment(0), b.items["high"])
	if it := b.q.Pop(moment(0), 1); it == nil {
		t.Error("nothing in the other lane")
	}
}

// One key, whose room others of a higher priority always take at once.
func TestNothingStarvesForItsKey(t *testing.T) {
	b := newBench(t, queue.Options{Ageing: 10 * time.Second})
	b.must("low", queue.Entry{Priority: 0, Key: "k"})
	high := func() { b.must("high", queue.Entry{Priority: 9, Key: "k"}) }
	high()
	high()
	out := b.q.Pop(moment(0), 0)
	b.pops("-")
	for b.now = range 100 {
		high()
		b.must("other", queue.Entry{Priority: 9})
		b.q.Remove(moment(b.now), out)
		for it := b.q.Pop(moment(b.now), 0); it != nil; it = b.q.Pop(moment(b.now), 0) {
			switch it.Value {
			case "low":
				if b.now < 10 {
					t.Errorf("low left after %d s, before its age", b.now)
				}
				return
			case "high":
				out = it
			default:
				b.q.Remove(moment(b.now), it)
			}
		}
	}
	t.Error("low has starved")
}

func TestWhoeverGivesUpARoomForItsKeyLeavesItToTheNext(t *testing.T) {
	b := newBench(t, queue.Options{})
	for _, n := range []string{"a", "b", "c"} {
		b.must(n, queue.Entry{Key: "k"})
	}
	b.pops("a", "-")
	b.q.Remove(moment(0), b.items["a"]) // wakes b
	b.q.Remove(moment(0), b.items["b"]) // which was cancelled
	b.pops("c", "-")
}

func TestMoreRoomTakesEffectAtOnce(t *testing.T) {
	limit := 1
	o := queue.Options{Lanes: 1, MaxTasks: 3, Policy: queue.Block, KeyLimit: func(string) int { return limit }}
	b := newBench(t, o)
	for _, n := range []string{"a", "b", "c", "d"} {
		b.must(n, queue.Entry{Key: "k"})
	}
	b.pops("a", "-")
	limit = 3
	o.MaxTasks = 4
	b.q.Reconfigure(moment(0), o)
	b.must("e", queue.Entry{Key: "k"})
	b.pops("b", "c", "-")
	o.MaxTasks = 1
	b.q.Reconfigure(moment(0), o)
	b.must("f", queue.Entry{})
	if b.q.Len() != 2 || b.items["f"].Place() != queue.Blocked {
		t.Errorf("%+v", b.q.Stats())
	}
}
