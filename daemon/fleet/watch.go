package fleet

import (
	"context"
	"fmt"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/fleet/lifecycle"

	"github.com/hashicorp/go-hclog"
)

// watcher is the goroutines that wait for the end of one worker's process, and ask it
// for signs of life. They run without the lock.
type watcher struct{ *Worker }

// watch returns after the process has been reaped and its tasks have been seen to.
func (w watcher) watch() {
	<-w.process.Done()
	for _, s := range w.slots {
		<-s.lost // what it had written before its death has been read now
	}
	w.pool.fleet.do(w.died)
}

// A worker can stand still as a whole: somebody has stopped it, or a task has, or
// the kernel does not let it go on. Then it makes no task go on either, nor sees
// that one is cancelled; so it is fenced. One that still answers is left alone,
// however long its interpreter's lock is held: that is for a task's timeout.

// leastPatience is how long a worker may take to answer at least: a busy machine is
// no reason to end it.
const leastPatience = time.Second

// probe asks the worker once in every limits.gil_stall whether it is there, until
// it is fenced or does not answer. It returns at the process's end at the latest.
func (w watcher) probe(stall time.Duration) {
	if stall <= 0 {
		return
	}
	ticker := time.NewTicker(stall)
	defer ticker.Stop()
	for {
		select {
		case <-w.process.Done():
			return
		case <-ticker.C:
		}
		if state := w.state.Load(); state != lifecycle.Ready && state != lifecycle.Draining {
			return
		}
		if within := max(stall, leastPatience); !w.answers(within) {
			w.pool.fleet.do(func(fx *effects.List) { w.hang(within, fx) })
		}
	}
}

// answers asks a second time before it says no: what has kept the daemon itself
// from running can make the first answer late.
func (w watcher) answers(within time.Duration) bool {
	for range 2 {
		ctx, cancel := context.WithTimeout(w.pool.fleet.life, within)
		_, err := w.process.Stats(ctx)
		late := err != nil && context.Cause(ctx) == context.DeadlineExceeded
		cancel()
		if !late {
			return true // an error at once is that of a process that ends, which watch sees
		}
	}
	return false
}

// hang fences a worker that does not answer. The tasks in it are suspects once it
// is ended, or one that stops its own process would do so for ever.
func (w *Worker) hang(silent time.Duration, fx *effects.List) {
	if state := w.state.Load(); state != lifecycle.Ready && state != lifecycle.Draining || w.moving {
		return // a spare that moves is asked again in its seat
	}
	w.hung = true
	fx.Log(hclog.Warn, "worker does not answer", "worker", w.spec.ID, "pid", w.process.PID(), "for", silent)
	w.fence(fmt.Sprintf("it did not answer for %s, twice", silent), fx)
}
