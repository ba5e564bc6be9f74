package daemon

import (
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
	"cpulb/plugins"
	"encoding/json"
	"fmt"
	"time"
)

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

// faulted is how a task ends that executors failed.
func faulted(o plugins.Outcome, why string) plugins.Outcome {
	if o.Error == nil {
		o.Error = &task.Error{Type: "ExecutorError"}
	}
	o.Error = &task.Error{Type: o.Error.Type, Traceback: o.Error.Traceback, Code: "executor",
		Message: fmt.Sprintf("the executor failed, %s: %s", why, o.Error.Message)}
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

// result makes the Result of r of how its last attempt ended.
func result(r *ledger.Record, o plugins.Outcome, now time.Time) *task.Result {
	res := &task.Result{
		ID:          r.Task.ID,
		Status:      o.Status,
		Data:        o.Data,
		Error:       o.Error,
		Stdout:      o.Stdout,
		Stderr:      o.Stderr,
		Truncated:   o.Truncated,
		Attempts:    int(r.Attempts),
		Worker:      r.Worker,
		SubmittedAt: r.Submitted(),
		FinishedAt:  now,
		CPUSeconds:  o.CPUTime.Seconds(),
		LockSeconds: o.LockWait.Seconds(),
	}
	if len(res.Data) == 0 {
		res.Data = json.RawMessage("null")
	}
	since := func(t time.Time) float64 { return max(0, t.Sub(res.SubmittedAt).Seconds()) } // the clock may be set
	started := r.Started()
	if started.IsZero() {
		res.QueueSeconds = since(res.FinishedAt)
		return res
	}
	run := res.FinishedAt.Sub(started)
	if o.RunTime > 0 {
		// The worker's clock is the better one: its Started may have been read
		// together with its Result.
		run = o.RunTime
		if started = res.FinishedAt.Add(-run); started.Before(res.SubmittedAt) {
			started = res.SubmittedAt
		}
	}
	res.StartedAt = &started
	res.QueueSeconds, res.RunSeconds = since(started), max(0, run.Seconds())
	return res
}
