package plugins

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins/proto"
)

// ErrContract is matched by what an executor says that the contract does not allow. A slot
// that says it is closed: whoever is wrong in one thing may be in others.
var ErrContract = errors.New("the contract of slots is broken")

// checkEvent returns an error if an event, on the connection of a slot that says first of
// itself, can't be of an executor that keeps to the contract. Whether it suits the task that
// it is of, the Handler knows.
func checkEvent(ev *proto.Event, first int, loop bool) error {
	broken := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s of task %d: %s", ErrContract, kindOf(ev), ev.Seq, fmt.Sprintf(format, args...))
	}
	if !loop && ev.Slot != 0 && int(ev.Slot) != first {
		return broken("it is of slot %d, and came on the connection of slot %d", ev.Slot, first)
	}
	why := ""
	switch k := ev.Kind.(type) {
	case *proto.Event_Partial, nil:
	case *proto.Event_Result:
		why = checkResult(k.Result, ev.PayloadLength)
	default:
		if ev.PayloadLength > 0 {
			why = fmt.Sprintf("it has a payload of %d bytes", ev.PayloadLength)
		}
	}
	if why != "" {
		return broken("%s", why)
	}
	return nil
}

// kindOf names an event as a Kind does.
func kindOf(ev *proto.Event) string {
	switch ev.Kind.(type) {
	case *proto.Event_Started:
		return EventStarted.String()
	case *proto.Event_Result:
		return EventEnded.String()
	case *proto.Event_Skipped:
		return EventSkipped.String()
	case *proto.Event_Partial:
		return EventPartial.String()
	case *proto.Event_Progress:
		return EventProgress.String()
	case *proto.Event_Log:
		return EventLog.String()
	case *proto.Event_Output:
		return EventOutput.String()
	}
	return "an event"
}

// checkResult says what of a Result contradicts the rest of it; "": nothing does.
func checkResult(r *proto.Result, payload uint64) string {
	fails := r.GetOutcome() == proto.Outcome_OUTCOME_FAILED
	switch o, f, e := r.GetOutcome(), r.GetFault(), r.GetError(); {
	case o < proto.Outcome_OUTCOME_COMPLETED || o > proto.Outcome_OUTCOME_TIMED_OUT:
		return fmt.Sprintf("its outcome is %d; 1 to 4 are allowed", o)
	case f < proto.Fault_FAULT_NONE || f > proto.Fault_FAULT_RAN:
		return fmt.Sprintf("its fault is %d; 0 to 2 are allowed", f)
	case f != proto.Fault_FAULT_NONE && !fails:
		return fmt.Sprintf("it has a fault, and the outcome %s", o)
	case o == proto.Outcome_OUTCOME_COMPLETED && e != nil:
		return "it has completed, with an error"
	case o != proto.Outcome_OUTCOME_COMPLETED && payload > 0:
		return fmt.Sprintf("it has data, and the outcome %s", o)
	case fails && e.GetCode() == "":
		return "it has failed, without an error that has a code"
	}
	return ""
}

// untold is the error of a task that was stopped, where the executor adds none.
func untold(s task.Status) *task.Error {
	switch s {
	case task.Cancelled:
		return &task.Error{Type: "TaskCancelled", Message: "the task was cancelled", Code: "cancelled"}
	case task.TimedOut:
		return &task.Error{Type: "TaskTimeout", Message: "the attempt did not end within its timeout", Code: "timed_out"}
	}
	return nil
}

// abide makes an Executor's Outcome one that checkResult has nothing against.
func abide(o *Outcome) {
	if o.Fault != NoFault {
		o.Status = task.Failed
	}
	switch o.Status {
	case task.Completed:
		o.Error = nil
		return
	case task.Cancelled, task.TimedOut:
	default:
		o.Status = task.Failed
		if o.Error == nil {
			o.Error = &task.Error{Type: "ExecutorError", Message: "the executor does not say why the task has failed", Code: "executor"}
		}
		if o.Error.Code == "" {
			e := *o.Error
			e.Code, o.Error = "executor", &e
		}
	}
	o.Data = nil
}

// durationOf is a number of nanoseconds, however many.
func durationOf(ns uint64) time.Duration { return time.Duration(min(ns, math.MaxInt64)) }

// checkSocket returns an error if a path can't be that of the slots of a worker with this
// folder: the daemon connects to nothing else.
func checkSocket(path, dir string) error {
	switch {
	case path == "":
		return fmt.Errorf("%w: Configure's answer names no socket for the slots", ErrContract)
	case !filepath.IsAbs(path) || filepath.Dir(filepath.Clean(path)) != filepath.Clean(dir):
		return fmt.Errorf("%w: Configure's answer names the socket %.200q for the slots, which is not in the worker's folder %s", ErrContract, path, dir)
	}
	return nil
}
