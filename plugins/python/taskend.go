package python

import (
	"encoding/json"
	"syscall"
	"time"
	"unicode/utf8"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

func (r *taskRun) ended(size int, text []byte) {
	r.answered = true
	var h endedHead
	if size < 0 || size > len(text) || json.Unmarshal(text[:size], &h) != nil {
		r.result = failed("executor", "ExecutorError", "the task's process has sent no result")
		return
	}
	data := append(json.RawMessage(nil), text[size:]...)
	r.ran, r.cpu, r.heeded = min(max(0, time.Duration(h.Wall)), time.Since(r.began)), max(0, time.Duration(h.CPU)), h.Stopped
	r.children = h.Children
	r.last = h.Last || h.Children
	if h.Head == "" {
		r.result = plugins.Outcome{Status: task.Completed, Data: data}
	} else {
		r.result = decode([]byte(h.Head), data)
	}
	if r.result.Status == task.Completed && !(utf8.Valid(data) && json.Valid(data)) {
		r.result = failed("executor", "ExecutorError", "the task's process has sent a result that is no JSON")
	}
	// The process is the script's: that it could not run there says nothing of the worker.
	r.result.Fault, r.result.Spent = plugins.NoFault, false
}

// outcome is how the task ended; reason is why it was to stop, 0 if it was not.
func (r *taskRun) outcome(reason plugins.StopReason) plugins.Outcome {
	p, o := r.slot.running, r.result
	if !r.answered && len(r.unsent) > 0 && p.end.what != 'X' {
		return fault(plugins.Unrun, "OSError", "the processes for it end before they have it")
	}
	if !r.answered {
		o, r.ran = r.slot.died(p), time.Since(r.began)
		if r.garbled && o.Error != nil {
			o.Error.Message = "the task's process was ended, as it had written on its connection to the worker what is no message"
		}
		if status := p.end.waitStatus(); r.lost && reason == 0 && (r.killed && status.Signal() == syscall.SIGKILL || status.Exited() && status.ExitStatus() == 0) {
			o.Error.Message = "the task's process has closed its connection to the worker, and so could not say how the task ends: " +
				"has the script closed descriptors that it had not opened?"
		}
		r.heeded = r.killed || r.judged
	}
	if reason != 0 && r.heeded {
		o = stopAs(o, reason)
	}
	o = r.slot.executor.withinLimit(o)
	o.RunTime, o.CPUTime = r.ran, r.cpu
	if p == nil {
		return o
	}
	if p.ended && p.tasks == 1 {
		o.CPUTime = p.end.cpu()
	}
	var cut [2]bool
	o.Stdout, cut[0] = p.output[0].take()
	o.Stderr, cut[1] = p.output[1].take()
	o.Truncated = cut[0] || cut[1]
	return o
}

// ranAtAll is what is to be said of the attempt where the executor fails.
func (r *taskRun) ranAtAll() plugins.Fault {
	if len(r.unsent) > 0 {
		return plugins.Unrun
	}
	return plugins.Ran
}
