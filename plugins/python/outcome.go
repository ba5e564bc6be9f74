package python

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cpulb/daemon/task"
	"cpulb/embedpy"
	"cpulb/plugins"
)

// head is what the runtime says of a task's end beside its data; head() in slot.py
// has the same names.
type head struct {
	Status    int64  `json:"status"`
	Type      string `json:"type"`
	Message   string `json:"message"`
	Traceback string `json:"traceback"`
	Code      string `json:"code"`
	ExitCode  int    `json:"exit_code"`
	Stdout    string `json:"stdout"`
	Stderr    string `json:"stderr"`
	Truncated bool   `json:"truncated"`
	Fault     uint8  `json:"fault"`
	RunNS     int64  `json:"run_ns"`
}

// outcome puts together what the runtime returned, what the region met and why
// the task was to stop. A stop that the script did not notice before its main
// returned did not stop it.
func (s *slot) outcome(r embedpy.Results, err error, reason plugins.StopReason, report *embedpy.Report) plugins.Outcome {
	if report.Unsettled {
		s.executor.spent.Store(true)
	}
	var o plugins.Outcome
	switch {
	case err != nil:
		o = fault(plugins.Ran, "ExecutorError", err.Error())
	case r.Len() == 1:
		o = plugins.Outcome{Status: task.Completed, Data: r.Bytes(0)}
	case r.Len() == 2:
		o = decode(r.Bytes(1), r.Bytes(0))
	default:
		o = fault(plugins.Ran, "ExecutorError", fmt.Sprintf("the runtime returned %d values", r.Len()))
	}
	if reason != 0 && (report.Interrupted || report.FlagSeen) {
		o = stopAs(o, reason)
	}
	o = s.executor.withinLimit(o)
	o.RunTime, o.CPUTime, o.LockWait = report.Wall, report.CPU, report.GIL
	return o
}

// withinLimit turns a result that is too large into a failure.
func (e *Executor) withinLimit(o plugins.Outcome) plugins.Outcome {
	limit := e.conf.ResultBytes
	if limit <= 0 || int64(len(o.Data)) <= limit {
		return o
	}
	o.Status, o.Error = task.Failed, &task.Error{Type: "ResultTooLarge", Code: "result_too_large",
		Message: tooLarge(int64(len(o.Data)), limit)}
	o.Data = nil
	return o
}

func tooLarge(size, limit int64) string {
	return fmt.Sprintf("the result has %d bytes, limits.result_size is %d", size, limit)
}

// decode reads a head; data is the outcome's if the task completed.
func decode(text, data []byte) plugins.Outcome {
	var h head
	if err := json.Unmarshal(text, &h); err != nil {
		return fault(plugins.Ran, "ExecutorError", "the runtime's answer: "+err.Error())
	}
	o := plugins.Outcome{Status: statusOf(h.Status), Stdout: h.Stdout, Stderr: h.Stderr, Truncated: h.Truncated,
		RunTime: time.Duration(h.RunNS)}
	if o.Status == task.Completed {
		o.Data = data
		return o
	}
	o.Error = &task.Error{Type: h.Type, Message: h.Message, Traceback: h.Traceback, Code: h.Code, ExitCode: h.ExitCode}
	o.Fault = plugins.Fault(h.Fault)
	if o.Status != task.Failed && o.Error.Message == "" {
		o.Error.Message = stopMessage(o.Status)
	}
	return o
}

// statusOf reads the statuses of slot.py; those of a stop are the reasons' own.
func statusOf(n int64) task.Status {
	switch n {
	case 0:
		return task.Completed
	case int64(plugins.StopCancelled):
		return task.Cancelled
	case int64(plugins.StopTimedOut):
		return task.TimedOut
	}
	return task.Failed
}

// stopAs makes o, however the script ended once it knew, the end of a stopped task.
func stopAs(o plugins.Outcome, reason plugins.StopReason) plugins.Outcome {
	end := stopped(reason)
	end.Stdout, end.Stderr, end.Truncated = o.Stdout, o.Stderr, o.Truncated
	if o.Error != nil {
		end.Error.Traceback = o.Error.Traceback
	}
	return end
}

// stopped is the end of a task that never began or knew that it was to stop.
func stopped(reason plugins.StopReason) plugins.Outcome {
	if reason == plugins.StopTimedOut {
		return plugins.Outcome{Status: task.TimedOut,
			Error: &task.Error{Type: "TaskTimeout", Message: stopMessage(task.TimedOut), Code: "timed_out"}}
	}
	return plugins.Outcome{Status: task.Cancelled,
		Error: &task.Error{Type: "TaskCancelled", Message: stopMessage(task.Cancelled), Code: "cancelled"}}
}

func stopMessage(s task.Status) string {
	if s == task.TimedOut {
		return "the task's timeout has passed"
	}
	return "the task was cancelled"
}

func failed(code, kind, message string) plugins.Outcome {
	return plugins.Outcome{Status: task.Failed, Error: &task.Error{Type: kind, Message: message, Code: code}}
}

// fault is the end of an attempt that the executor has failed, and not the script.
func fault(f plugins.Fault, kind, message string) plugins.Outcome {
	o := failed("executor", kind, message)
	o.Fault = f
	return o
}

// stopCoroutine cancels the coroutine of that task, if it has one, and reports
// whether it has. It waits for the GIL.
func (e *Executor) stopCoroutine(slot int, seq uint64) (found bool) {
	_ = e.interp.Do(context.Background(), func(t *embedpy.Thread) {
		r, err := t.Call(e.stopAwaiting, embedpy.Int(int64(slot)), embedpy.Int(int64(seq)))
		found = err == nil && r.Len() == 1 && r.Int(0) != 0
	})
	return found
}
