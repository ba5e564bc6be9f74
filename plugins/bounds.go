package plugins

import (
	"math"
	"strings"

	"cpulb/daemon/task"
	"cpulb/plugins/proto"
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

// limitTexts bounds the texts of an event where they are.
func limitTexts(ev *proto.Event, output int64) {
	switch k := ev.Kind.(type) {
	case *proto.Event_Result:
		o := Outcome{Stdout: k.Result.GetStdout(), Stderr: k.Result.GetStderr(), Truncated: k.Result.GetTruncated()}
		limitOutput(&o, output)
		if r := k.Result; r != nil {
			r.Stdout, r.Stderr, r.Truncated = o.Stdout, o.Stderr, o.Truncated
			if e := r.Error; e != nil {
				short := errorOf(e.Type, e.Message, e.Traceback, e.Code, e.ExitCode)
				e.Type, e.Message, e.Traceback, e.Code = short.Type, short.Message, short.Traceback, short.Code
			}
		}
	case *proto.Event_Progress:
		k.Progress.Message = task.Clip(k.Progress.GetMessage(), mostMessage)
	case *proto.Event_Output:
		k.Output.Text = wholeRunes(k.Output.GetText(), output)
	case *proto.Event_Log:
		k.Log.Level, k.Log.Message = task.Clip(k.Log.GetLevel(), mostCode), task.Clip(k.Log.GetMessage(), mostMessage)
	}
}

// limitOutput bounds what a task printed.
func limitOutput(o *Outcome, most int64) {
	for _, text := range []*string{&o.Stdout, &o.Stderr} {
		short := wholeRunes(*text, most)
		*text, o.Truncated = short, o.Truncated || len(short) < len(*text)
	}
}

// wholeRunes returns the runes of text that most bytes have room for, all of them if most is 0.
func wholeRunes(text string, most int64) string {
	if most > 0 && int64(len(text)) > most {
		return strings.Clone(text[:task.RuneStart(text, int(most))])
	}
	return text
}

// fractionOf is a number from 0 to 1, whatever x is.
func fractionOf(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return min(max(x, 0), 1)
}
