package plugins

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins/proto"
)

func taskOf(m *proto.Task, params []byte) Task {
	return Task{Slot: int(m.Slot), Seq: m.Seq, ID: m.TaskId, ScriptPath: m.ScriptPath, Function: m.Function, Type: task.Type(m.TaskType),
		Attempt: int(m.Attempt), Labels: m.Labels, Traceparent: m.Traceparent, Source: m.Source, Params: params,
		Timeout: time.Duration(m.TimeoutNs), Probe: m.Probe, RunAs: m.RunAs, Env: m.Env, Cwd: m.Cwd}
}

// taskHeader is t's, for the slot if it is one of a loop, else 0.
func taskHeader(t *Task, slot int) *proto.Task {
	m := new(proto.Task)
	fillTask(m, t, slot)
	return m
}

// fillTask makes m, which is empty, taskHeader.
func fillTask(m *proto.Task, t *Task, slot int) {
	m.Seq, m.TaskId, m.ScriptPath, m.Function, m.TaskType = t.Seq, t.ID, t.ScriptPath, t.Function, string(t.Type)
	m.Attempt, m.Labels, m.Traceparent, m.Source = uint32(t.Attempt), t.Labels, t.Traceparent, t.Source
	m.PayloadLength, m.TimeoutNs, m.Probe, m.Slot = uint64(len(t.Params)), int64(t.Timeout), t.Probe, uint32(slot)
	m.RunAs, m.Env, m.Cwd = t.RunAs, t.Env, t.Cwd
}

// streamOf is 0 for a stream that is not known.
func streamOf(s proto.Stream) Stream {
	switch s {
	case proto.Stream_STREAM_STDOUT:
		return Stdout
	case proto.Stream_STREAM_STDERR:
		return Stderr
	}
	return 0
}

func resultEvent(seq uint64, o *Outcome) *proto.Event { return new(resultMessage).of(seq, o) }

// resultMessage is room for the event that is a Result.
type resultMessage struct {
	event  proto.Event
	kind   proto.Event_Result
	result proto.Result
}

// of makes it that of seq, whatever it was.
func (m *resultMessage) of(seq uint64, o *Outcome) *proto.Event {
	r := &m.result
	r.Reset()
	r.Outcome, r.Stdout, r.Stderr, r.Truncated = proto.Outcome_OUTCOME_FAILED, o.Stdout, o.Stderr, o.Truncated
	r.RunNs, r.CpuNs, r.LockWaitNs, r.Fault, r.Spent = uint64(o.RunTime), uint64(o.CPUTime), uint64(o.LockWait), proto.Fault(o.Fault), o.Spent
	switch o.Status {
	case task.Completed:
		r.Outcome = proto.Outcome_OUTCOME_COMPLETED
	case task.Cancelled:
		r.Outcome = proto.Outcome_OUTCOME_CANCELLED
	case task.TimedOut:
		r.Outcome = proto.Outcome_OUTCOME_TIMED_OUT
	}
	if e := o.Error; e != nil {
		r.Error = &proto.Error{Type: e.Type, Message: e.Message, Traceback: e.Traceback, Code: e.Code, ExitCode: uint32(e.ExitCode)}
	}
	m.kind.Result = r
	m.event.Seq, m.event.PayloadLength, m.event.Kind = seq, uint64(len(o.Data)), &m.kind
	return &m.event
}

// outcome converts a Result that checkResult has let through. Data that is not JSON breaks the executor's contract:
// the task has failed then, so that nobody has to check the data again.
func outcome(r *proto.Result, data []byte) Outcome {
	data, ok := oneLine(data)
	o := Outcome{Status: task.Failed, Data: data, Stdout: r.Stdout, Stderr: r.Stderr, Truncated: r.Truncated,
		RunTime: durationOf(r.RunNs), CPUTime: durationOf(r.CpuNs), LockWait: durationOf(r.LockWaitNs), Spent: r.Spent}
	switch r.Outcome {
	case proto.Outcome_OUTCOME_COMPLETED:
		o.Status = task.Completed
	case proto.Outcome_OUTCOME_CANCELLED:
		o.Status = task.Cancelled
	case proto.Outcome_OUTCOME_TIMED_OUT:
		o.Status = task.TimedOut
	}
	if e := r.Error; e != nil {
		o.Error = errorOf(e.Type, e.Message, e.Traceback, e.Code, e.ExitCode)
	} else {
		o.Error = untold(o.Status)
	}
	switch r.Fault {
	case proto.Fault_FAULT_UNRUN:
		o.Fault = Unrun
	case proto.Fault_FAULT_RAN:
		o.Fault = Ran
	}
	if !ok {
		o.Status, o.Data = task.Failed, nil
		o.Error = &task.Error{Type: "ExecutorError", Code: "bad_return_value", Message: "the executor returned data that is not JSON"}
	}
	return o
}

// oneLine removes newlines from JSON text, and returns false if text is not JSON.
// Empty text is returned as nil.
func oneLine(text []byte) ([]byte, bool) {
	switch {
	case len(text) == 0:
		return nil, true
	case bytes.IndexByte(text, '\n') < 0:
		return text, task.IsJSON(text)
	}
	var line bytes.Buffer
	line.Grow(len(text))
	err := json.Compact(&line, text)
	return line.Bytes(), err == nil
}

// limitResult makes an Executor's Outcome one that can be sent; with more than most bytes of
// data it is a failure.
func limitResult(o *Outcome, most int64) {
	abide(o)
	if int64(len(o.Data)) <= most {
		return
	}
	o.Status, o.Error = task.Failed, &task.Error{Type: "ResultTooLarge", Code: "result_too_large",
		Message: fmt.Sprintf("the result has %d bytes, limits.result_size is %d", len(o.Data), most)}
	o.Data = nil
}

// unsendable is the Outcome of a task whose own can't be sent. It is the executor's
// mistake, but says nothing about its other tasks.
func unsendable(why string) Outcome {
	return Outcome{Status: task.Failed, Error: &task.Error{Type: "ExecutorError", Message: "the result can't be sent" + why, Code: "executor"}}
}
