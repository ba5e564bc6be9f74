package balancer_test

import (
	"testing"
	"time"

	"cpulb/balancer"
)

const short, window = 10 * time.Microsecond, time.Millisecond

// sharing is a balancer whose workers, of one slot each, share so many CPUs in turns.
func sharing(o balancer.Options, workers, cores, cpus int) (*balancer.Balancer, map[*balancer.Worker]int) {
	b, of := balancer.New(o), map[*balancer.Worker]int{}
	var all []*balancer.Cores
	for range cores {
		all = append(all, b.NewCores(cpus))
	}
	for i := range workers {
		of[b.AddOn(all[i%cores], 1)] = i % cores
	}
	return b, of
}

// acquire leases a place that there has to be.
func acquire(t *testing.T, b *balancer.Balancer, now time.Time, estimate time.Duration) balancer.Lease {
	t.Helper()
	l, ok := b.Acquire(now, estimate)
	if !ok {
		t.Fatal("there is no place")
	}
	return l
}

func TestShortTasksUseNoMoreWorkersThanThereAreCPUs(t *testing.T) {
	b, _ := sharing(balancer.Options{Window: window}, 64, 1, 2)
	for i := range 100 {
		if l := acquire(t, b, epoch, short); (l.Depth > 0) != (i >= 2) {
			t.Fatalf("task %d has depth %d", i, l.Depth)
		}
	}
	if b.Busy() != 2 || !b.Free() {
		t.Errorf("%d workers are busy", b.Busy())
	}
	if l, ok := b.Lagging(1); ok {
		t.Errorf("%v is moved", l)
	}
	for range 80 { // the windows of both get full
		acquire(t, b, epoch, short)
	}
	if b.Busy() != 3 {
		t.Errorf("%d workers are busy with 180 tasks, of which 64 fit into a window", b.Busy())
	}
}

func TestTrivialTasksLeaveHalfOfTheCPUsToWhoHandsThemOver(t *testing.T) {
	for cpus, want := range map[int]int{1: 1, 2: 1, 3: 2, 4: 2, 8: 4} {
		b, _ := sharing(balancer.Options{Window: window}, cpus, cpus, 1) // each is pinned
		for range 64 {
			acquire(t, b, epoch, balancer.Trivial/5)
		}
		if b.Busy() != want {
			t.Errorf("%d workers are busy on %d CPUs", b.Busy(), cpus)
		}
		if _, ok := b.Lagging(1); ok {
			t.Error("one is moved")
		}
		if cpus > 1 && acquire(t, b, epoch, short).Depth != 0 {
			t.Error("one that is not trivial waits beside a free CPU")
		}
	}
}

func TestLongAndUnknownTasksUseAllWorkersAtOnce(t *testing.T) {
	for _, estimate := range []time.Duration{0, balancer.Brief + 1, window + 1, time.Second} {
		b, _ := sharing(balancer.Options{Window: window}, 8, 1, 2)
		acquire(t, b, epoch, short)
		acquire(t, b, epoch, short)
		for i := range 6 {
			if l := acquire(t, b, epoch, estimate); l.Depth != 0 {
				t.Errorf("task %d of %s waits behind another beside %d free slots", i, estimate, b.Slots()-b.Busy())
			}
		}
	}
}

func TestLongTasksDoNotMakeCoresCrowded(t *testing.T) {
	b, _ := sharing(balancer.Options{Window: window}, 4, 1, 1)
	acquire(t, b, epoch, 0)
	if l := acquire(t, b, epoch, short); l.Depth != 0 {
		t.Error("it waits, though no short task runs")
	}
	if l := acquire(t, b, epoch, short); l.Depth != 1 {
		t.Error("it does not wait behind the short one")
	}
}

func TestFreeSlotsOnOtherCoresComeFirst(t *testing.T) {
	b, of := sharing(balancer.Options{Window: window}, 6, 2, 1)
	first := acquire(t, b, epoch, 0)
	second := acquire(t, b, epoch, short) // on the other core
	if of[first.Worker] == of[second.Worker] {
		t.Fatal("two of one core")
	}
	b.Release(first, epoch)
	if l := acquire(t, b, epoch, 0); of[l.Worker] != of[first.Worker] {
		t.Error("it is on the core that has a short task to run")
	}
}

func TestWhatTurnedOutLongHoldsNobodyUp(t *testing.T) {
	b, _ := sharing(balancer.Options{Window: window}, 4, 1, 1)
	acquire(t, b, epoch, short)
	waits := acquire(t, b, epoch, short)
	later := epoch.Add(window)
	if stalled := b.Stalled(later); len(stalled) != 1 || stalled[0] != waits {
		t.Fatalf("%v has stalled", stalled)
	}
	b.Release(waits, later)
	if l := acquire(t, b, later, short); l.Depth != 0 {
		t.Error("it waits behind the long one again")
	}
}

func TestPoliciesThatSpreadWorkUseAllWorkers(t *testing.T) {
	for _, policy := range []balancer.Policy{balancer.RoundRobin, balancer.PowerOfTwo} {
		b, _ := sharing(balancer.Options{Window: window, Policy: policy}, 4, 1, 1)
		for range 4 {
			if l := acquire(t, b, epoch, short); l.Depth != 0 {
				t.Errorf("%s: a task waits beside a free slot", policy)
			}
		}
	}
}

func TestCoresAreNotCrowdedByWorkersThatHaveGone(t *testing.T) {
	b, _ := sharing(balancer.Options{Window: window}, 4, 1, 1)
	for _, leave := range []func(*balancer.Worker){func(w *balancer.Worker) { b.Close(w) }, b.Remove} {
		l := acquire(t, b, epoch, short)
		leave(l.Worker)
		if l = acquire(t, b, epoch, short); l.Depth != 0 {
			t.Error("a task waits, though the core has none to run")
		}
		b.Release(l, epoch)
	}
}

func TestNothingWaitsForLongBesideAFreeSlot(t *testing.T) {
	long, _ := sharing(balancer.Options{Window: 100 * time.Millisecond}, 4, 2, 1)
	for i := range 4 {
		if l := acquire(t, long, epoch, short); l.Depth != 0 {
			t.Fatalf("task %d waits beside free slots in a window of 100 ms", i)
		}
	}

	b, of := sharing(balancer.Options{Window: window}, 4, 2, 1)
	first := acquire(t, b, epoch, short)
	b.SetWindow(100 * time.Millisecond)
	second := acquire(t, b, epoch, short)
	third := acquire(t, b, epoch, short)
	if second.Depth != 0 || third.Depth != 0 || of[first.Worker] == of[second.Worker] {
		t.Errorf("after a change to 100 ms: %v, %v, %v", first, second, third)
	}
	b.SetWindow(window)
	if l := acquire(t, b, epoch, short); l.Depth == 0 {
		t.Error("after a change to 1 ms a short task does not wait on crowded cores")
	}
}
