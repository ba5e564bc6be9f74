package task

import (
	"encoding/json"
	"fmt"
	"time"
)

// Result is how a task ended. Status is terminal.
type Result struct {
	ID     ID     `json:"task_id"`
	Status Status `json:"status"`
	// Data is what the script returned, as JSON text; null unless completed.
	Data  json.RawMessage `json:"data"`
	Error *Error          `json:"error"`
	// Stdout and Stderr are what the script printed; Truncated says that some
	// of it was dropped at limits.output_size.
	Stdout    string `json:"stdout"`
	Stderr    string `json:"stderr"`
	Truncated bool   `json:"truncated"`
	// Attempts counts the times it was handed to a worker.
	Attempts int `json:"attempts"`
	// Worker is where the last attempt ran; nil if there was none.
	Worker *Worker `json:"worker"`
	// SubmittedAt and FinishedAt are what the clock on the wall showed then. StartedAt is
	// RunSeconds before FinishedAt: the clock may have been set meanwhile.
	SubmittedAt time.Time  `json:"submitted_at"`
	StartedAt   *time.Time `json:"started_at"`
	FinishedAt  time.Time  `json:"finished_at"`
	// QueueSeconds is from submission to the last start, RunSeconds from there to the
	// end, by a clock that is never set.
	QueueSeconds float64 `json:"queue_seconds"`
	RunSeconds   float64 `json:"run_seconds"`
	// CPUSeconds is the CPU time of the script's thread; 0 on an event loop, where it
	// is unknown.
	CPUSeconds float64 `json:"cpu_seconds"`
	// LockSeconds is how long it waited for the interpreter's lock before it began.
	LockSeconds float64 `json:"lock_seconds"`
}

// Err returns nil for a task that has completed, else a *Failure.
func (r *Result) Err() error {
	if r.Status == Completed {
		return nil
	}
	return &Failure{ID: r.ID, Status: r.Status, Reason: r.Error}
}

// Failure is a Result of a task that did not complete, as an error.
type Failure struct {
	ID     ID
	Status Status
	// Reason is the Result's Error, and may be nil.
	Reason *Error
}

func (f *Failure) Error() string {
	text := fmt.Sprintf("task %s: %s", f.ID, f.Status)
	if e := f.Reason; e != nil {
		text += fmt.Sprintf(" [%s]: %s: %s", e.Code, e.Type, e.Message)
	}
	return text
}

// Error is why a task did not complete.
type Error struct {
	// Type is the error's name in the script's language, e.g. "ValueError".
	Type      string `json:"type"`
	Message   string `json:"message"`
	Traceback string `json:"traceback,omitempty"`
	// Code is a stable name of the kind of failure, e.g. "exception",
	// "script_syntax", "worker_lost".
	Code string `json:"code"`
	// ExitCode is that of a program that ended with another than 0, else 0; 128 and
	// the number for a signal.
	ExitCode int `json:"exit_code,omitempty"`
}

// Worker is where an attempt ran.
type Worker struct {
	// ID names the worker within the daemon, e.g. "cpu-0".
	ID       string `json:"id"`
	Executor string `json:"executor"`
	Pool     string `json:"pool"`
	PID      int    `json:"pid"`
	// Core is the CPU it is pinned to, -1 if it is not pinned to one.
	Core int `json:"core"`
	Slot int `json:"slot"`
}

// View is what the API shows of a task that may not have ended.
type View struct {
	ID          ID                `json:"task_id"`
	Status      Status            `json:"status"`
	ScriptPath  string            `json:"script_path"`
	Function    string            `json:"function"`
	Type        Type              `json:"task_type"`
	Pool        string            `json:"pool"`
	Priority    int               `json:"priority"`
	Labels      map[string]string `json:"labels,omitempty"`
	Attempts    int               `json:"attempts"`
	Worker      *Worker           `json:"worker"`
	SubmittedAt time.Time         `json:"submitted_at"`
	StartedAt   *time.Time        `json:"started_at"`
	FinishedAt  *time.Time        `json:"finished_at"`
}
