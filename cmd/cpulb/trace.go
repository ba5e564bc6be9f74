package main

import (
	"os"

	"cpulb/daemon/task"
	"cpulb/daemon/tracing"
)

// inTrace has a task be in the trace that the environment names, as programs pass it on. One that
// is not valid names none: W3C Trace Context, section 3.2.2.
func inTrace(x *task.Task) {
	text := os.Getenv("TRACEPARENT")
	if _, ok := tracing.Parse(text); !ok || len(text) > task.MaxTraceBytes {
		return
	}
	if x.Extra == nil {
		x.Extra = &task.Extras{}
	}
	x.Extra.Traceparent = text
}
