package daemon

import (
	"encoding/json"
	"fmt"
	"time"

	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"
	"cpulb/plugins"
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

// notAllowed is how a task ends that may not run any more.
func notAllowed(err error) plugins.Outcome {
	return failure("NotAllowed", "not_allowed", err.Error())
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

// inTime makes an attempt that took longer than its timeout one that has timed out, also
// where the script ended by itself before it noticed.
func inTime(o plugins.Outcome, timeout time.Duration) plugins.Outcome {
	if timeout <= 0 || o.RunTime <= timeout || o.Status == task.Cancelled || o.Status == task.TimedOut {
		return o
	}
	o.Status, o.Data = task.TimedOut, nil
	o.Error = &task.Error{Type: "TaskTimeout", Code: "timed_out", Message: fmt.Sprintf("the attempt took %s, its timeout is %s", o.RunTime, timeout)}
	return o
}

// result makes the Result of r of how its last attempt ended.
func result(r *ledger.Record, o plugins.Outcome, now queue.Now) *task.Result {
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
		SubmittedAt: r.SubmittedAt().Wall,
		FinishedAt:  now.Wall,
		CPUSeconds:  o.CPUTime.Seconds(),
		LockSeconds: o.LockWait.Seconds(),
	}
	if len(res.Data) == 0 {
		res.Data = json.RawMessage("null")
	}
	all := max(0, now.Uptime-r.SubmittedAt().Uptime)
	began, ok := r.Started()
	if !ok {
		res.QueueSeconds = all.Seconds()
		return res
	}
	run := now.Uptime - began
	if o.RunTime > 0 { // more exact: Started may have been read together with the Result
		run = o.RunTime
	}
	run = min(max(0, run), all)
	started := startOf(res, run)
	res.StartedAt = &started
	res.QueueSeconds, res.RunSeconds = (all - run).Seconds(), run.Seconds()
	return res
}

// startOf returns when an attempt began that ran for so long, by the clock on the wall as
// it stands at the end: it may have been set since, and no attempt ends before it began.
func startOf(res *task.Result, run time.Duration) time.Time {
	started := res.FinishedAt.Add(-run)
	if submitted := res.SubmittedAt; started.Before(submitted) && !res.FinishedAt.Before(submitted) {
		return submitted // the clocks are not read at quite the same time
	}
	return started
}
