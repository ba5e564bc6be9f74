package simulation

import (
	"container/heap"
	"slices"
	"time"

	"cpulb/balancer"
)

// The mean of service times, and how large a window is beside it: as those of 1 ms are
// beside tasks of 100 µs.
const (
	meanTakes = time.Millisecond // by the balancer's clock, which has 1 ms for a second
	window    = 10 * meanTakes
	// worthMoving is work in a window that is moved to a free slot.
	worthMoving = meanTakes
)

// windowed is central with windows: a worker holds short tasks behind the one that it runs.
// What is expected of a task is the mean of all, however long it takes.
type windowed struct {
	*simulation
	b       *balancer.Balancer
	base    time.Time
	waiting *line
	holds   map[*balancer.Worker][]*job // the first runs
}

func (s *simulation) windowed(jobs []job) {
	w := &windowed{simulation: s, b: balancer.New(balancer.Options{Window: window}), base: time.Unix(0, 0), waiting: &line{}, holds: map[*balancer.Worker][]*job{}}
	for range s.workers {
		w.b.Add(1)
	}
	for next := 0; next < len(jobs) || len(s.ends) > 0; {
		now, arrives := 0.0, next < len(jobs)
		if arrives {
			now = jobs[next].arrives
		}
		if len(s.ends) > 0 && (!arrives || s.ends[0].at <= now) {
			now, arrives = s.ends[0].at, false
		}
		at, stalls := w.b.NextStall()
		switch stallsAt := at.Sub(w.base).Seconds() * 1e3; {
		case stalls && stallsAt <= now:
			now = stallsAt
			w.recall(w.b.Stalled(at), at)
		case arrives:
			heap.Push(w.waiting, &jobs[next])
			next++
		default:
			w.end(heap.Pop(&s.ends).(end).job, now)
		}
		w.place(now)
	}
}

func (w *windowed) clock(t float64) time.Time { return w.base.Add(time.Duration(t * 1e6)) }

// end ends the first task of a worker, and begins the next one.
func (w *windowed) end(j *job, now float64) {
	w.b.Release(j.lease, w.clock(now))
	w.ended(j, now)
	holds := w.holds[j.lease.Worker][1:]
	if w.holds[j.lease.Worker] = holds; len(holds) > 0 {
		w.begin(holds[0], now)
	}
}

func (w *windowed) begin(j *job, now float64) { heap.Push(&w.ends, end{at: now + j.takes, job: j}) }

// recall puts tasks back to the queue that have not begun.
func (w *windowed) recall(leases []balancer.Lease, now time.Time) {
	for _, l := range leases {
		holds := w.holds[l.Worker]
		i := slices.IndexFunc(holds, func(j *job) bool { return j.lease == l })
		w.b.Release(l, now)
		heap.Push(w.waiting, holds[i])
		w.holds[l.Worker] = slices.Delete(holds, i, i+1)
	}
}

// place gives workers what waits, in the queue or in the windows of others.
func (w *windowed) place(now float64) {
	for at := w.clock(now); ; {
		for w.waiting.Len() > 0 && w.b.Fits(at, meanTakes) {
			j := heap.Pop(w.waiting).(*job)
			j.lease, _ = w.b.Acquire(at, meanTakes) // it fits
			holds := append(w.holds[j.lease.Worker], j)
			if w.holds[j.lease.Worker] = holds; len(holds) == 1 {
				w.begin(j, now)
			}
		}
		if w.waiting.Len() > 0 || !w.b.Free() {
			return
		}
		l, ok := w.b.Lagging(worthMoving)
		if !ok {
			return
		}
		w.recall([]balancer.Lease{l}, at)
	}
}
