package balancer_test

import (
	"container/heap"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"cpulb/balancer"
)

// job is a task of a simulated pool.
type job struct {
	estimate, takes   time.Duration
	queued, begun     time.Time
	lease             balancer.Lease
	running, finished bool
}

// happening is something that is to come.
type happening struct {
	at time.Time
	do func()
}

type happenings []happening

func (h happenings) Len() int           { return len(h) }
func (h happenings) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h happenings) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *happenings) Push(x any)        { *h = append(*h, x.(happening)) }
func (h *happenings) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// place is one slot of one worker.
type place struct {
	worker *balancer.Worker
	slot   int
}

// windowed is a pool as the owner of a Balancer keeps it, on a virtual clock: a
// queue, slots with what was sent to them, and a timer on NextStall.
type windowed struct {
	t      *testing.T
	b      *balancer.Balancer
	window time.Duration
	now    time.Time
	coming happenings
	queue  []*job
	slots  map[place][]*job
	// workers has the number of slots of each.
	workers map[*balancer.Worker]int
	single  map[*balancer.Worker]bool
	// shared has the CPUs of those workers that share some.
	shared map[*balancer.Worker]*balancer.Cores
	cpus   map[*balancer.Cores]int
	depth  int
	done   int
	behind int // jobs that were sent behind another
	moved  int // jobs that were taken back for a free slot
}

func (s *windowed) after(d time.Duration, do func()) {
	heap.Push(&s.coming, happening{s.now.Add(d), do})
}

func (s *windowed) dispatch() {
	for len(s.queue) > 0 && s.b.Room() {
		j := s.queue[0]
		lease, ok := s.b.Acquire(s.now, j.estimate)
		if !ok {
			return
		}
		s.queue = s.queue[1:]
		j.lease = lease
		at := place{lease.Worker, lease.Slot}
		if s.slots[at] = append(s.slots[at], j); len(s.slots[at]) == 1 {
			s.begin(at)
		} else {
			s.behind++
			if s.b.Free() && (j.estimate > balancer.Brief || s.idle(j.estimate)) {
				s.t.Fatalf("one of %s waits behind another beside a free slot", j.estimate)
			}
		}
		if held := len(s.slots[at]); held > s.depth || held > 1 && s.single[lease.Worker] {
			s.t.Fatalf("a slot holds %d", held)
		}
	}
	s.level()
}

// idle reports whether a slot is free whose CPUs have not as many short tasks to run already,
// nor half of all CPUs if the task is trivial. The balancer may know that some of these turned
// out long.
func (s *windowed) idle(estimate time.Duration) bool {
	all, cpus := 0, 0
	short := map[*balancer.Cores]int{}
	for at, held := range s.slots {
		sum := time.Duration(0)
		for _, j := range held {
			sum += j.estimate
			if j.estimate == 0 {
				sum += time.Hour
			}
		}
		if len(held) > 0 && sum <= s.window {
			c := s.shared[at.worker]
			if short[c]++; c != nil {
				all++
			}
		}
	}
	for c, n := range s.cpus {
		if slices.Contains(slices.Collect(maps.Values(s.shared)), c) {
			cpus += n
		}
	}
	var own, shared bool // CPUs of free slots
	for w, n := range s.workers {
		c := s.shared[w]
		own = own || w.Busy() < n && c == nil
		shared = shared || w.Busy() < n && c != nil && short[c] < s.cpus[c]
	}
	if estimate > 0 && estimate <= balancer.Trivial && 2*all >= cpus {
		return own && !shared // which may come first
	}
	return own || shared
}

// worth is what must wait until it is moved.
const worth = 100 * time.Microsecond

// level moves what waits in a window to slots that are free.
func (s *windowed) level() {
	for len(s.queue) == 0 && s.b.Free() {
		lease, ok := s.b.Lagging(worth)
		if !ok {
			return
		}
		j := s.takeBack(lease)
		if j == nil {
			s.t.Fatal("what lags runs already")
		}
		s.moved++
		if !s.b.Fits(s.now, j.estimate) {
			s.t.Fatal("it does not fit into a free slot")
		}
		s.queue = append(s.queue, j)
		s.dispatch()
	}
}

// takeBack takes the task of a lease back; nil: it runs.
func (s *windowed) takeBack(lease balancer.Lease) *job {
	at := place{lease.Worker, lease.Slot}
	for i, j := range s.slots[at] {
		if j.lease == lease && !j.running {
			s.slots[at] = append(s.slots[at][:i:i], s.slots[at][i+1:]...)
			s.b.Release(lease, s.now)
			return j
		}
	}
	return nil
}

func (s *windowed) begin(at place) {
	j := s.slots[at][0]
	j.begun, j.running = s.now, true
	s.after(j.takes, func() {
		j.finished = true
		s.done++
		s.b.Release(j.lease, s.now)
		if s.slots[at] = s.slots[at][1:]; len(s.slots[at]) > 0 {
			s.begin(at)
		}
	})
}

// recall takes back what waits behind a task that turned out long.
func (s *windowed) recall() {
	for _, lease := range s.b.Stalled(s.now) {
		if j := s.takeBack(lease); j != nil {
			s.queue = append([]*job{j}, s.queue...)
		}
	}
}

// check is the promise of windows.
func (s *windowed) check() {
	for _, held := range s.slots {
		if len(held) > 1 && s.now.Sub(held[0].begun) > s.window {
			s.t.Fatalf("at %s a task waits behind one that has run for %s, with a window of %s", s.now, s.now.Sub(held[0].begun), s.window)
		}
	}
	free := s.b.Slots() - s.b.Busy()
	if free > 0 && len(s.queue) > 0 {
		s.t.Fatalf("%d slots idle while %d tasks wait", free, len(s.queue))
	}
	most, last := time.Duration(0), time.Duration(0) // of what waits in a slot; the shortest of those at its end
	for _, held := range s.slots {
		waits := time.Duration(0)
		for i, j := range held {
			if i > 0 {
				waits += j.estimate
			}
		}
		if waits > most || waits == most && waits > 0 && held[len(held)-1].estimate < last {
			most, last = waits, held[len(held)-1].estimate
		}
	}
	if free > 0 && most >= worth && (last > balancer.Brief || s.idle(last)) {
		s.t.Fatalf("%d slots idle while work for %s waits in another", free, most)
	}
}

func (s *windowed) run() {
	for {
		s.recall()
		s.dispatch()
		s.check()
		next, ok := s.b.NextStall()
		if len(s.coming) == 0 && !ok {
			return
		}
		if ok && (len(s.coming) == 0 || next.Before(s.coming[0].at)) {
			s.now = next
			continue
		}
		h := heap.Pop(&s.coming).(happening)
		s.now = h.at
		h.do()
	}
}

// hire adds some workers: with CPUs of their own, sharing some, or from which nothing can be
// recalled.
func (s *windowed) hire(rnd *rand.Rand) {
	var all []*balancer.Cores
	for range 1 + rnd.IntN(2) {
		n := 1 + rnd.IntN(2)
		c := s.b.NewCores(n)
		all, s.cpus[c] = append(all, c), n
	}
	for range 1 + rnd.IntN(6) {
		slots := 1 + rnd.IntN(3)
		var w *balancer.Worker
		switch rnd.IntN(4) {
		case 0:
			w = s.b.AddSingle(slots)
			s.single[w] = true
		case 1:
			w = s.b.Add(slots)
		default:
			c := all[rnd.IntN(len(all))]
			w = s.b.AddOn(c, slots)
			s.shared[w] = c
		}
		s.workers[w] = slots
	}
}

// Estimates are right, missing, or wrong: a task that was to be short takes long.
func TestNoTaskWaitsBehindALongOneWhateverWasEstimated(t *testing.T) {
	moved := 0
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		window := time.Duration(rnd.IntN(3)) * time.Millisecond
		depth := 2 + rnd.IntN(10)
		s := &windowed{t: t, b: balancer.New(balancer.Options{Window: window, Depth: depth}), window: window, depth: depth, now: time.Unix(1, 0),
			slots: map[place][]*job{}, single: map[*balancer.Worker]bool{}, workers: map[*balancer.Worker]int{},
			shared: map[*balancer.Worker]*balancer.Cores{}, cpus: map[*balancer.Cores]int{}}
		s.hire(rnd)
		const jobs = 400
		at := time.Duration(0)
		for range jobs {
			short := time.Duration(1+rnd.IntN(300)) * time.Microsecond
			j := &job{estimate: short, takes: short}
			switch rnd.IntN(20) {
			case 0:
				j.takes = time.Duration(rnd.IntN(50)) * time.Millisecond
			case 1:
				j.estimate = 0
			case 2:
				j.takes = time.Duration(rnd.IntN(50)) * time.Millisecond
				j.estimate = j.takes
			}
			at += time.Duration(rnd.ExpFloat64() * float64(60*time.Microsecond))
			s.after(at, func() { j.queued = s.now; s.queue = append(s.queue, j) })
		}
		s.run()
		if s.done != jobs || s.b.Busy() != 0 || s.b.Waiting() != 0 {
			t.Fatalf("seed %d: %d of %d ended, %d slots busy, %d wait", seed, s.done, jobs, s.b.Busy(), s.b.Waiting())
		}
		if window == 0 && s.behind > 0 {
			t.Fatalf("seed %d: %d were sent behind another, without a window", seed, s.behind)
		}
		moved += s.moved
	}
	if moved == 0 {
		t.Error("nothing was ever moved to a free slot")
	}
}

// The worker tells tasks apart by their numbers modulo so many.
func TestASlotGivesSoManyLeasesAtMostUntilTheOldestEnds(t *testing.T) {
	b := balancer.New(balancer.Options{Window: time.Hour, Depth: 4})
	b.Add(1)
	now := time.Unix(1, 0)
	oldest, _ := b.Acquire(now, 1)
	for range 3 {
		l, ok := b.Acquire(now, 1)
		if !ok {
			t.Fatal("there is room for four")
		}
		b.Release(l, now) // taken back
	}
	if _, ok := b.Acquire(now, 1); ok || b.Room() {
		t.Error("a fifth lease while the first goes on")
	}
	b.Release(oldest, now)
	if _, ok := b.Acquire(now, 1); !ok {
		t.Error("no lease although the slot is free")
	}
}

func TestNothingFollowsATaskOfWhichNothingIsKnownAnyMore(t *testing.T) {
	b := balancer.New(balancer.Options{Window: time.Millisecond})
	w := b.Add(1)
	now := time.Unix(1, 0)
	l, _ := b.Acquire(now, 1)
	if !b.Fits(now, 1) {
		t.Fatal("there is room behind a short one")
	}
	if b.Lengthen(l); b.Fits(now, 1) || b.Room() {
		t.Error("there is still room behind it")
	}
	b.Release(l, now)
	if l, _ = b.Acquire(now, 1); !b.Fits(now, 1) {
		t.Error("the next one counts as long, too")
	}
	if b.SetWindow(0); b.Room() {
		t.Error("there is room without a window")
	}
	b.Remove(w)
	b.Lengthen(l) // which has ended with its worker
}
