package plugins

import (
	"math"
	"strings"

	"cpulb/daemon/task"
)

// What a worker says is not the daemon's: a script may have decided it, or have taken its
// worker over. Every text that comes from there is bounded where it comes in.
const (
	mostName      = 256       // names and versions
	mostCode      = 64        // codes of errors, levels of log lines
	mostType      = 1 << 10   // the type of an error
	mostReason    = 1 << 10   // why something is degraded
	mostMessage   = 64 << 10  // of an error, a progress or a log event
	mostTraceback = 256 << 10 // of an error
	mostStacks    = 1 << 20
	// MostControl bounds one message of the control plane.
	MostControl = 4 << 20
)

// errorOf bounds the error of a task.
func errorOf(kind, message, traceback, code string, exitCode uint32) *task.Error {
	return &task.Error{Type: task.Clip(kind, mostType), Message: task.Clip(message, mostMessage), Traceback: task.ClipMiddle(traceback, mostTraceback),
		Code: task.Clip(code, mostCode), ExitCode: int(exitCode)}
}

// limitOutput bounds what a task printed.
func limitOutput(o *Outcome, most int64) {
	for _, text := range []*string{&o.Stdout, &o.Stderr} {
		if most > 0 && int64(len(*text)) > most {
			*text, o.Truncated = strings.Clone((*text)[:task.RuneStart(*text, int(most))]), true
		}
	}
}

// fractionOf is a number from 0 to 1, whatever x is.
func fractionOf(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return min(max(x, 0), 1)
}
