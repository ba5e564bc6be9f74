package fleet

import (
	"fmt"
	"slices"
	"time"

	"cpulb/daemon/fleet/lifecycle"
)

// A worker that has run many tasks, is old or has grown gets a successor, like one whose
// restart somebody asks for. The successor starts first; then the worker drains. Nobody
// notices but for the memory of two for a while. A pool exchanges one worker at a time.

// recyclePause is how long a worker whose successor can't be started is left.
const recyclePause = 30 * time.Second

// recycle orders a successor for the worker.
func (w *Worker) recycle(why string) {
	now := w.pool.fleet.Elapsed()
	if w.state.Load() != lifecycle.Ready || w.seat.kind == alone || now < w.recycleFrom || len(w.seat.leaving) >= mostLeaving {
		return
	}
	o, _ := w.seat.successor(why)
	select {
	case w.seat.orders <- o:
		w.recycleFrom = now + recyclePause
	default: // the seat has another order; there will be another occasion
	}
}

// countTask counts a task that has ended in w.
func (w *Worker) countTask() {
	w.tasks++
	if w.tasks == 1 {
		w.seat.deaths.Proved()
	}
	if most := w.pool.config.MaxTasks; most > 0 && !w.pool.config.Processes && w.tasks >= most {
		w.recycle(fmt.Sprintf("it has run %d tasks", w.tasks))
	}
}

// recycleOld has those workers replaced that are too old, and returns those that may
// have grown too large.
func (p *Pool) recycleOld() (bounded []*Worker) {
	now := p.fleet.Elapsed()
	for _, s := range slices.Concat(p.seats, p.relief.seats) {
		w := s.worker
		if w == nil || w.state.Load() != lifecycle.Ready {
			continue
		}
		if age, most := now-w.born, p.config.MaxAge; most > 0 && age >= most {
			w.recycle("it is " + age.Round(time.Second).String() + " old")
		}
		if p.config.MaxRSSBytes > 0 {
			bounded = append(bounded, w)
		}
	}
	return bounded
}

// recycleIfGrown looks at how much memory the worker has resident.
func (w *Worker) recycleIfGrown(rss int64) {
	if most := w.pool.config.MaxRSSBytes; most > 0 && rss >= most {
		w.recycle(fmt.Sprintf("it has %d MiB of memory resident", rss>>20))
	}
}
