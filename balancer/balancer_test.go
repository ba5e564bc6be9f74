package balancer_test

import (
	"testing"

	"cpulb/balancer"

	"pgregory.net/rapid"
)

// entry is the model's view of a worker.
type entry struct {
	worker *balancer.Worker
	slots  int
	held   map[int]bool
}

// least finds, by looking at everyone, the worker that Acquire must choose.
func least(workers []*entry) *entry {
	var best *entry
	for _, e := range workers {
		if best == nil || len(e.held)*best.slots < len(best.held)*e.slots {
			best = e
		}
	}
	return best
}

func TestTheLeastLoadedWorkerIsChosenAndNoSlotIsLeasedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b balancer.Balancer
		var workers []*entry // in the order of their adding
		var leases []balancer.Lease
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				n := rapid.IntRange(1, 4).Draw(t, "slots")
				workers = append(workers, &entry{b.Add(n), n, map[int]bool{}})
			},
			"remove": func(t *rapid.T) {
				if len(workers) == 0 {
					return
				}
				i := rapid.IntRange(0, len(workers)-1).Draw(t, "worker")
				b.Remove(workers[i].worker)
				workers = append(workers[:i], workers[i+1:]...)
			},
			"acquire": func(t *rapid.T) {
				want := least(workers)
				l, ok := b.Acquire()
				if free := want != nil && len(want.held) < want.slots; ok != free {
					t.Fatalf("Acquire answered %v, a slot is free: %v", ok, free)
				}
				if !ok {
					return
				}
				if l.Worker != want.worker {
					t.Fatal("not the least loaded worker, or not the first of equals")
				}
				if l.Slot < 0 || l.Slot >= want.slots || want.held[l.Slot] {
					t.Fatalf("slot %d is out of range or leased already", l.Slot)
				}
				want.held[l.Slot] = true
				leases = append(leases, l)
			},
			"release": func(t *rapid.T) {
				if len(leases) == 0 {
					return
				}
				i := rapid.IntRange(0, len(leases)-1).Draw(t, "lease")
				l := leases[i]
				leases = append(leases[:i], leases[i+1:]...)
				b.Release(l)
				for _, e := range workers {
					if e.worker == l.Worker {
						delete(e.held, l.Slot)
					}
				}
			},
			"": func(t *rapid.T) {
				busy, slots := 0, 0
				for _, e := range workers {
					busy, slots = busy+len(e.held), slots+e.slots
				}
				if b.Busy() != busy || b.Slots() != slots {
					t.Fatalf("busy %d of %d, want %d of %d", b.Busy(), b.Slots(), busy, slots)
				}
			},
		})
	})
}

func BenchmarkChoice(b *testing.B) {
	for _, n := range []int{16, 1024} {
		b.Run(map[int]string{16: "workers=16", 1024: "workers=1024"}[n], func(b *testing.B) {
			var bal balancer.Balancer
			for range n {
				bal.Add(2)
			}
			held := make([]balancer.Lease, n)
			for i := range held {
				held[i], _ = bal.Acquire()
			}
			for i := 0; b.Loop(); i++ {
				bal.Release(held[i%n])
				held[i%n], _ = bal.Acquire()
			}
		})
	}
}
