package program

import (
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// Failed is the end of a task that has failed by itself.
func Failed(code, kind, message string) plugins.Outcome {
	return plugins.Outcome{Status: task.Failed, Error: &task.Error{Type: kind, Message: message, Code: code}}
}

// Fault is the end of an attempt that the executor has failed, and not the program.
func Fault(f plugins.Fault, kind, message string) plugins.Outcome {
	o := Failed("executor", kind, message)
	o.Fault = f
	return o
}

// Stopped is the end of a task that was stopped.
func Stopped(reason plugins.StopReason) plugins.Outcome {
	if reason == plugins.StopTimedOut {
		return plugins.Outcome{Status: task.TimedOut,
			Error: &task.Error{Type: "TaskTimeout", Message: "the task's timeout has passed", Code: "timed_out"}}
	}
	return plugins.Outcome{Status: task.Cancelled, Error: &task.Error{Type: "TaskCancelled", Message: "the task was cancelled", Code: "cancelled"}}
}
