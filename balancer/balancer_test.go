package balancer_test

import (
	"slices"
	"testing"
	"time"

	"cpulb/balancer"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// entry is the model's view of a worker.
type entry struct {
	worker *balancer.Worker
	slots  int
	held   map[int]time.Duration // estimates, by slot
	turn   int
	closed bool
}

func (e *entry) takes() bool { return !e.closed && len(e.held) < e.slots }

func (e *entry) work() time.Duration {
	var sum time.Duration
	for _, d := range e.held {
		sum += d
	}
	return sum
}

// lighter is the promised order of LeastLoaded, but for age.
func lighter(e, f *entry) bool {
	if x, y := len(e.held)*f.slots, len(f.held)*e.slots; x != y {
		return x < y
	}
	return e.work()*time.Duration(f.slots) < f.work()*time.Duration(e.slots)
}

func leastRecent(e, f *entry) bool { return e.turn < f.turn }

// first finds, by looking at everyone, the worker that comes first, older ones
// before younger ones.
func first(workers []*entry, before func(e, f *entry) bool) *entry {
	var best *entry
	for _, e := range workers {
		if e.takes() && (best == nil || before(e, best)) {
			best = e
		}
	}
	return best
}

// fleet is a balancer beside a model of what it should know.
type fleet struct {
	b       *balancer.Balancer
	workers []*entry // in the order of their adding
	leases  []balancer.Lease
	turns   int
	before  func(e, f *entry) bool // the order of choice; nil: any will do
}

// estimates of a few values make ties frequent. All divide by 12, which the numbers
// of slots divide, so that the model's integers are as exact as they look.
var estimates = []time.Duration{12 * time.Millisecond, 24 * time.Millisecond, 12 * time.Second}

func (f *fleet) add(t *rapid.T) {
	n := rapid.IntRange(1, 4).Draw(t, "slots")
	f.turns++
	f.workers = append(f.workers, &entry{worker: f.b.Add(n), slots: n, held: map[int]time.Duration{}, turn: f.turns})
}

func (f *fleet) draw(t *rapid.T) *entry {
	if len(f.workers) == 0 {
		t.Skip("no worker")
	}
	return rapid.SampledFrom(f.workers).Draw(t, "worker")
}

func (f *fleet) remove(t *rapid.T) {
	e := f.draw(t)
	f.b.Remove(e.worker)
	f.workers = slices.DeleteFunc(f.workers, func(x *entry) bool { return x == e })
}

func (f *fleet) close(t *rapid.T) {
	e := f.draw(t)
	if waiting := f.b.Close(e.worker); waiting != nil {
		t.Fatalf("%d leases wait, without windows", len(waiting))
	}
	e.closed = true
}

func (f *fleet) took(t *rapid.T, e *entry, l balancer.Lease, estimate time.Duration) {
	if _, twice := e.held[l.Slot]; l.Slot < 0 || l.Slot >= e.slots || twice || l.Depth != 0 {
		t.Fatalf("slot %d, depth %d: out of range or leased already", l.Slot, l.Depth)
	}
	f.turns++
	e.held[l.Slot], e.turn = estimate, f.turns
	f.leases = append(f.leases, l)
}

func (f *fleet) of(l balancer.Lease) *entry {
	for _, e := range f.workers {
		if e.worker == l.Worker {
			return e
		}
	}
	return nil
}

func (f *fleet) acquire(t *rapid.T) {
	free := first(f.workers, func(e, f *entry) bool { return false })
	want := free
	if f.before != nil {
		want = first(f.workers, f.before)
	}
	estimate := rapid.SampledFrom(estimates).Draw(t, "estimate")
	if f.b.Room() != (free != nil) {
		t.Fatalf("Room() = %v, a slot is free: %v", f.b.Room(), free != nil)
	}
	l, ok := f.b.Acquire(epoch, estimate)
	if ok != (free != nil) {
		t.Fatalf("Acquire answered %v, a slot is free: %v", ok, free != nil)
	}
	if !ok {
		return
	}
	e := f.of(l)
	if e == nil || !e.takes() {
		t.Fatal("this worker takes no leases")
	}
	if f.before != nil && e != want {
		t.Fatal("not the first in the policy's order, or not the oldest of equals")
	}
	f.took(t, e, l, estimate)
}

func (f *fleet) release(t *rapid.T) {
	if len(f.leases) == 0 {
		t.Skip("no lease")
	}
	l := rapid.SampledFrom(f.leases).Draw(t, "lease")
	f.b.Release(l, epoch)
	if e := f.of(l); e != nil {
		if _, held := e.held[l.Slot]; held && slices.Contains(f.leases, l) {
			delete(e.held, l.Slot)
		}
	}
	f.leases = slices.DeleteFunc(f.leases, func(x balancer.Lease) bool { return x == l })
	if rapid.Bool().Draw(t, "twice") {
		f.b.Release(l, epoch) // which must not free the slot for a second time
	}
}

func (f *fleet) check(t *rapid.T) {
	busy, slots := 0, 0
	for _, e := range f.workers {
		busy += len(e.held)
		if !e.closed {
			slots += e.slots
		}
		if e.worker.Busy() != len(e.held) {
			t.Fatalf("a worker with %d busy slots says %d", len(e.held), e.worker.Busy())
		}
	}
	if f.b.Busy() != busy || f.b.Slots() != slots || f.b.Waiting() != 0 {
		t.Fatalf("busy %d of %d, want %d of %d", f.b.Busy(), f.b.Slots(), busy, slots)
	}
	if at, ok := f.b.NextStall(); ok || f.b.Stalled(epoch.Add(time.Hour)) != nil {
		t.Fatalf("a stall at %v, without windows", at)
	}
}

func TestEachPolicyChoosesAsItSaysAndNoSlotIsLeasedTwice(t *testing.T) {
	for policy, before := range map[balancer.Policy]func(e, f *entry) bool{
		"": lighter, balancer.LeastLoaded: lighter, balancer.RoundRobin: leastRecent, balancer.PowerOfTwo: nil,
	} {
		t.Run(string(policy), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				f := &fleet{b: balancer.New(balancer.Options{Policy: policy}), before: before}
				t.Repeat(map[string]func(*rapid.T){"add": f.add, "remove": f.remove, "close": f.close,
					"acquire": f.acquire, "release": f.release, "": f.check})
			})
		})
	}
}

func TestPowerOfTwoTakesTheLessLoadedOfTwoDifferentWorkers(t *testing.T) {
	var asked []int
	answers := []int{0, 0, 2, 1, 1, 1}
	b := balancer.New(balancer.Options{Policy: balancer.PowerOfTwo, Rand: func(n int) int {
		asked = append(asked, n)
		a := answers[0]
		answers = answers[1:]
		return a
	}})
	workers := []*balancer.Worker{b.Add(2), b.Add(2), b.Add(2)}
	for i, want := range []int{0, 1, 2} { // of 0 and 1; of 2 and 1; of 1 and 2
		l, ok := b.Acquire(epoch, time.Second)
		if !ok || l.Worker != workers[want] {
			t.Errorf("choice %d: worker %d", i, slices.Index(workers, l.Worker))
		}
		_ = i
	}
	if !slices.Equal(asked, []int{3, 2, 3, 2, 3, 2}) {
		t.Errorf("asked for %v", asked)
	}
}

func TestShortTasksMakeALighterWorkerThanLongOnes(t *testing.T) {
	var b balancer.Balancer
	long, short, unknown := b.Add(2), b.Add(2), b.Add(2)
	for _, estimate := range []time.Duration{time.Minute, time.Millisecond, 0} {
		if _, ok := b.Acquire(epoch, estimate); !ok {
			t.Fatal("no slot")
		}
	}
	for _, want := range []*balancer.Worker{short, unknown, long} {
		if l, _ := b.Acquire(epoch, time.Second); l.Worker != want {
			t.Error("not the worker with the least work")
		}
	}
}

func BenchmarkChoice(b *testing.B) {
	for _, window := range []time.Duration{0, time.Millisecond} {
		for _, n := range []int{16, 1024} {
			name := map[int]string{16: "workers=16", 1024: "workers=1024"}[n]
			b.Run("window="+window.String()+"/"+name, func(b *testing.B) {
				bal := balancer.New(balancer.Options{Window: window})
				for range n {
					bal.Add(2)
				}
				held := make([]balancer.Lease, n)
				for i := range held {
					held[i], _ = bal.Acquire(epoch, 200*time.Microsecond)
				}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					bal.Release(held[i%n], epoch)
					held[i%n], _ = bal.Acquire(epoch, time.Duration(i%7+1)*time.Millisecond)
				}
			})
		}
	}
}
