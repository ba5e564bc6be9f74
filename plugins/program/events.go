package program

import (
	"bytes"
	"encoding/json"
	"fmt"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// MostEvent bounds a line of Events, in bytes.
const MostEvent = 1 << 20

// Events reads the events that a program writes beside its output, one JSON object a line:
//
//	{"progress": 0.5, "message": "half way"}
//	{"log": "info", "message": "hello"}
//	{"partial": 1}
//	{"error": {"type": "ValueError", "message": "bad", "traceback": "…"}}
//
// What is none of these is left out, which a warning in the task's log says once. Its methods
// are for one goroutine at a time.
type Events struct {
	emit   plugins.Emitter
	held   []byte
	skips  bool // the line that is read is too long
	warned bool
	raised *task.Error
}

// NewEvents returns one that emits what it reads.
func NewEvents(emit plugins.Emitter) *Events { return &Events{emit: emit} }

// Error is what the program says that it fails with; nil: nothing.
func (e *Events) Error() *task.Error { return e.raised }

// Write implements io.Writer; it takes everything.
func (e *Events) Write(p []byte) (int, error) {
	size := len(p)
	for {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			e.hold(p)
			return size, nil
		}
		e.hold(p[:end])
		p = p[end+1:]
		if line := bytes.TrimSpace(e.held); !e.skips && len(line) > 0 {
			e.take(line)
		}
		e.held, e.skips = e.held[:0], false
	}
}

func (e *Events) hold(p []byte) {
	if e.skips || len(e.held)+len(p) > MostEvent {
		e.skips, e.held = true, e.held[:0]
		e.warn(fmt.Sprintf("it has more than %d bytes", MostEvent))
		return
	}
	e.held = append(e.held, p...)
}

func (e *Events) warn(why string) {
	if !e.warned {
		e.warned = true
		e.emit.Log("warning", "a line on CPULB_EVENTS_FD is left out, and so are others like it: "+why)
	}
}

// event is one line. There is one of its kinds in it.
type event struct {
	Progress *float64        `json:"progress"`
	Log      *string         `json:"log"`
	Partial  json.RawMessage `json:"partial"`
	Error    *struct {
		Type      string `json:"type"`
		Message   string `json:"message"`
		Traceback string `json:"traceback"`
	} `json:"error"`
	Message string `json:"message"`
}

func (e *Events) take(line []byte) {
	var ev event
	if !task.IsJSON(line) {
		e.warn("it is not JSON")
		return
	}
	if err := json.Unmarshal(line, &ev); err != nil {
		e.warn("it is no event: " + err.Error())
		return
	}
	switch {
	case ev.Progress != nil:
		e.emit.Progress(min(max(*ev.Progress, 0), 1), ev.Message)
	case ev.Log != nil:
		e.emit.Log(levelOf(*ev.Log), ev.Message)
	case ev.Partial != nil:
		e.emit.Partial(ev.Partial)
	case ev.Error != nil:
		e.raised = &task.Error{Type: ev.Error.Type, Message: ev.Error.Message, Traceback: ev.Error.Traceback, Code: "exception"}
		if e.raised.Type == "" {
			e.raised.Type = "Error"
		}
	default:
		e.warn(`it has none of "progress", "log", "partial" and "error"`)
	}
}

// levelOf is a level of the contract.
func levelOf(name string) string {
	switch name {
	case "debug", "info", "warning", "error":
		return name
	case "warn":
		return "warning"
	}
	return "info"
}
