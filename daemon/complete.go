package daemon

import (
	"fmt"
	"math/rand/v2"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
	"cpulb/daemon/retry"
	"cpulb/daemon/task"
	"cpulb/plugins"

	"github.com/hashicorp/go-hclog"
)

// moveLocked changes the state of r, and the count of those in it.
func (e *Engine) moveLocked(r *record, next task.Status) error {
	from := r.state.Load()
	if err := r.state.Move(from, next); err != nil {
		return err
	}
	e.store.counts[from]--
	e.store.counts[next]++
	if r.batch != nil {
		r.batch.counts[from]--
		r.batch.counts[next]++
	}
	return nil
}

// finish brings r to its end, or to its next attempt. No slot has it any more. Its
// Result is seen once it has been committed; until then the task looks as if it
// still ran.
func (e *Engine) finish(r *record, o plugins.Outcome, fx *effects.List) {
	if r.over {
		fx.Log(hclog.Error, "a task was to end twice", "task_id", r.task.ID, "status", o.Status)
		return
	}
	if r.guard != nil {
		r.guard.Stop()
	}
	tried := r.slot != nil
	r.slot = nil
	if tried && r.mayRetry(o.Status) {
		e.retry(r, o, fx)
		return
	}
	r.over = true
	if r.item != nil {
		e.queue.Remove(e.now(), r.item)
		r.item = nil
		e.clock.kickIf(e.queue.Changed())
	}
	res := r.makeResult(o, e.now())
	r.events++ // the event of the result
	if e.journal == nil || r.volatile {
		e.reveal(r, res, fx)
		return
	}
	op := journal.Op{Submitted: r.submitted(), Ended: &journal.Ended{Result: res, Cursor: r.cursor()}}
	fx.Commit(func() { e.journal.Append(func(err error) { e.ended(r, res, err) }, r.mustWait(), op) })
}

// ended reveals a Result that has been committed. While the disk is full the journal
// keeps it, and tries again; err says that the journal was closed before.
func (e *Engine) ended(r *record, res *task.Result, err error) {
	e.do(func(fx *effects.List) {
		if err != nil {
			fx.Log(hclog.Error, "a result could not be kept", "task_id", r.task.ID, "error", err)
			return
		}
		e.reveal(r, res, fx)
	})
}

// mustWait: the caller asked for a commit where the configuration would not wait.
func (r *record) mustWait() bool { return r.task.Extra != nil && r.task.Extra.Durable != nil }

// reveal lets everybody see how r ended.
func (e *Engine) reveal(r *record, res *task.Result, fx *effects.List) {
	if from := r.state.Load(); from != task.Running && !from.CanBecome(res.Status) {
		// Its Started and its Result came in one read, or it was never started.
		_ = e.moveLocked(r, task.Queued)
		_ = e.moveLocked(r, task.Running)
	}
	if err := e.moveLocked(r, res.Status); err != nil {
		fx.Log(hclog.Error, "a task ended in a way that it can't", "task_id", r.task.ID, "error", err)
		return
	}
	r.result = res
	e.metrics.ended(r)
	e.store.ended(r)
	if r.done != nil {
		close(r.done)
	}
	if r.batch != nil {
		r.batch.told(r)
	}
	if len(r.watchers) > 0 || r.story != nil {
		ev := r.resultEvent()
		if r.story != nil {
			r.story.add(ev, &e.config.Load().Limits)
		}
		for _, w := range r.watchers {
			fx.Event(w, ev)
		}
		e.store.got += uint64(len(r.watchers))
	}
	r.watchers = nil
}

// mayRetry reports whether an attempt that ended so is followed by another.
func (r *record) mayRetry(status task.Status) bool {
	return (status == task.Failed || status == task.TimedOut) && !r.stopping && r.task.Extra != nil &&
		int(r.retries) < r.task.Extra.MaxRetries && r.item != nil
}

// retry puts r back, to wait for its next attempt.
func (e *Engine) retry(r *record, o plugins.Outcome, fx *effects.List) {
	r.retries++
	now := e.now()
	at := now.Add(retry.Backoff(time.Duration(r.task.Extras().RetryBackoff), int(r.retries), rand.Float64()))
	if r.state.Load() == task.Queued { // Started and Result came in one read
		_ = e.moveLocked(r, task.Running)
	}
	_ = e.moveLocked(r, task.Pending)
	r.worker, r.started = nil, 0
	e.queue.Retry(now, r.item, r.pool.laneOf(r).index, at)
	e.clock.kick()
	e.noteLocked(r, at)
	e.metrics.retries.Inc()
	why := fmt.Sprintf("attempt %d failed, the next one follows at %s", r.attempts, at.Format(time.RFC3339Nano))
	if o.Error != nil {
		why = fmt.Sprintf("%s: %s: %s", why, o.Error.Type, o.Error.Message)
	}
	e.tellState(r, why, fx)
}

// noteLocked has the journal know how far r has come, for the next start of the
// daemon. It need not be committed before anything goes on. The journal takes it
// under the lock, which it does without waiting, because the order matters: a later
// note replaces an earlier one.
func (e *Engine) noteLocked(r *record, notBefore time.Time) {
	if e.journal != nil && !r.volatile {
		e.journal.Append(nil, false, journal.Op{Submitted: r.submitted(), Progress: r.progress(notBefore)})
	}
}

// send has t, an attempt of r, sent to a slot. One that must not run twice is noted
// to have been sent, and that is committed first.
func (e *Engine) send(r *record, to *slot, t *plugins.Task, fx *effects.List) {
	if e.journal == nil || r.volatile || r.task.Extra == nil || r.task.Extra.OnWorkerLost != task.Fail {
		fx.Frame(to, t)
		return
	}
	p := r.progress(time.Time{})
	p.Dispatched = true
	op := journal.Op{Submitted: r.submitted(), Progress: p}
	fx.Commit(func() {
		e.journal.Append(func(err error) {
			if err == nil { // else the journal is closed, and the daemon ends
				to.Send(t)
			}
		}, true, op)
	})
}

func (r *record) progress(notBefore time.Time) *journal.Progress {
	return &journal.Progress{Attempts: int(r.attempts), Retries: int(r.retries), Deaths: int(r.deaths),
		NotBefore: notBefore, Stopping: r.stopping}
}

// failure is how a task ends that the daemon itself ends.
func failure(kind, code, message string) plugins.Outcome {
	return plugins.Outcome{Status: task.Failed, Error: &task.Error{Type: kind, Code: code, Message: message}}
}

func stopped() plugins.Outcome {
	return failure("DaemonStopped", "daemon_stopped", "the daemon stopped before the task ended")
}

func cancelled() plugins.Outcome {
	o := failure("TaskCancelled", "cancelled", "the task was cancelled")
	o.Status = task.Cancelled
	return o
}

// overdue is how a task ends that did not stop within its grace.
func overdue(reason plugins.StopReason, timeout time.Duration) plugins.Outcome {
	if reason != plugins.StopTimedOut {
		return cancelled()
	}
	o := failure("TaskTimeout", "timed_out", fmt.Sprintf("the task did not stop within its timeout of %s and the grace", timeout))
	o.Status = task.TimedOut
	return o
}
