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
	exit, stderr := w.process.Exit(), w.process.LastStderr()
	w.pool.fleet.do(func(fx *effects.List) {
		w.exit, w.stderr = exit, stderr
		w.died(fx)
	})
}

// A worker can stand still as a whole: somebody or a task has stopped it, or the kernel
// does not let it run. Then none of its tasks goes on, and it does not see a cancel; so
// it is fenced. One that still answers is left alone, however long its interpreter's
// lock is held: a task's timeout is for that.

// leastPatience is the least time that a worker has to answer: a busy machine is no
// reason to end it.
const leastPatience = time.Second

// keepAsking asks the worker once in every limits.gil_stall whether it is there, until
// it is fenced or does not answer. It returns at the process's end at the latest.
func (w watcher) keepAsking(stall time.Duration) {
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
		asked := false
		w.pool.fleet.do(func(*effects.List) { asked = w.isAsked() })
		if !asked {
			return
		}
		within := max(stall, leastPatience)
		notice := w.hang
		if w.answers(within) {
			notice = w.miss
			within = max(stall/2, leastPatience) // the ticks after a late answer come close together
		}
		w.pool.fleet.do(func(fx *effects.List) { notice(within, fx) })
	}
}

// answers asks a second time before it returns false: the first answer is also late
// when the daemon itself could not run.
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

// isAsked reports whether the worker is asked for signs of life: the end of one that is
// fenced is on its way.
func (w *Worker) isAsked() bool {
	state := w.state.Load()
	return state == lifecycle.Ready || state == lifecycle.Draining
}

// hang fences a worker that does not answer. Its tasks are suspects after its end, or a
// task that stops its own process would do so again and again.
func (w *Worker) hang(silent time.Duration, fx *effects.List) {
	if !w.isAsked() || w.moving {
		return // a spare that moves is asked again in its seat
	}
	w.hung = true
	w.failedTrial(fmt.Sprintf("did not answer for %s, twice", silent), fx)
	fx.Log(hclog.Warn, "worker does not answer", "worker", w.spec.ID, "pid", w.process.PID(), "for", silent)
	w.fence(fmt.Sprintf("it did not answer for %s, twice", silent), fx)
}
