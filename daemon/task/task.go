// Package task holds the domain types that every other package speaks of: Task,
// Result, their states and the transition table, and the errors at the engine's
// boundary. It is a leaf: it imports nothing of this module, does no I/O and
// starts no goroutine.
//
// JSON names are those of the socket API. A Task is immutable once submitted.
package task

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// ID names a task for ever. Clients may make their own before they send.
type ID = uuid.UUID

// NewID returns a fresh UUIDv7 (RFC 9562), which sorts by time of creation.
func NewID() ID { return uuid.Must(uuid.NewV7()) }

// ParseID reads an id in its canonical 36-character form.
func ParseID(text string) (ID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return ID{}, &FieldError{Field: "task_id", Problem: fmt.Sprintf("%.64q is not a UUID", text)}
	}
	return id, nil
}

// Type says what a task mostly does, and so which pool it suits.
type Type string

// The task types.
const (
	CPUBound Type = "cpu_bound"
	IOBound  Type = "io_bound"
)

// Types lists the task types.
func Types() []string { return []string{string(CPUBound), string(IOBound)} }

// DefaultPriority is that of a task that names none.
const DefaultPriority = 5

// DefaultFunction is the entry point of a script whose task names none.
const DefaultFunction = "main"

// Task is what a caller wants to have run.
type Task struct {
	ID         ID     `json:"task_id"`
	ScriptPath string `json:"script_path"`
	// Function is the entry point.
	Function string `json:"function"`
	// Params is JSON text, handed to the script as it is.
	Params json.RawMessage `json:"params"`
	Type   Type            `json:"task_type"`
	// Pool and Executor narrow the choice of pool; empty means any.
	Pool     string `json:"pool,omitempty"`
	Executor string `json:"executor,omitempty"`
	// Priority is 0 to 9, 9 first.
	Priority int `json:"priority"`
	// Timeout bounds one attempt, from its start; 0 means none.
	Timeout     Duration          `json:"timeout,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Traceparent string            `json:"traceparent,omitempty"`
}

// wire is a Task as a caller sends it: absent fields are told from zero ones.
type wire struct {
	ID          *string           `json:"task_id"`
	ScriptPath  string            `json:"script_path"`
	Function    *string           `json:"function"`
	Params      json.RawMessage   `json:"params"`
	Type        *string           `json:"task_type"`
	Pool        string            `json:"pool"`
	Executor    string            `json:"executor"`
	Priority    *int              `json:"priority"`
	Timeout     Duration          `json:"timeout"`
	Labels      map[string]string `json:"labels"`
	Traceparent string            `json:"traceparent"`
}

// Fields lists the JSON names that Decode takes.
func Fields() []string {
	return []string{"task_id", "script_path", "function", "params", "task_type", "pool", "executor",
		"priority", "timeout", "labels", "traceparent"}
}

// Decode reads one task from JSON, fills in defaults and validates it. It does
// not look at the file system. The error is a FieldError that names the field,
// or the offset where the text stops being JSON. text is not kept.
func Decode(text []byte) (*Task, error) {
	if !utf8.Valid(text) {
		return nil, &FieldError{Field: "body", Problem: "not valid UTF-8", Code: "invalid_json"}
	}
	var w wire
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&w); err != nil {
		return nil, decodeError(err)
	}
	if _, err := dec.Token(); err != io.EOF { // not dec.More, which stops at a bracket
		return nil, &FieldError{Field: "body", Problem: "more than one JSON value, or something after it", Code: "invalid_json"}
	}
	return w.task()
}

func decodeError(err error) error {
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	var field *FieldError
	switch {
	case errors.As(err, &field):
		return field
	case errors.As(err, &syntax):
		return &FieldError{Field: "body", Code: "invalid_json",
			Problem: fmt.Sprintf("not JSON at byte %d: %s", syntax.Offset, syntax.Error())}
	case errors.As(err, &wrong):
		name := wrong.Field
		if name == "" {
			name = "body"
		}
		return &FieldError{Field: name, Problem: fmt.Sprintf("must be %s, not %s", jsonName(wrong), wrong.Value)}
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		// encoding/json has no type for this error; the prefix is its contract.
		name := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		return &FieldError{Field: name, Problem: "unknown field", Allowed: Fields()}
	default:
		return &FieldError{Field: "body", Problem: "not JSON: " + err.Error(), Code: "invalid_json"}
	}
}

func jsonName(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind().String() {
	case "string":
		return "a string"
	case "int":
		return "a whole number"
	case "map", "struct":
		return "an object"
	default:
		return e.Type.String()
	}
}

func (w *wire) task() (*Task, error) {
	t := &Task{ScriptPath: w.ScriptPath, Function: DefaultFunction, Params: w.Params, Type: CPUBound,
		Pool: w.Pool, Executor: w.Executor, Priority: DefaultPriority, Timeout: w.Timeout,
		Labels: w.Labels, Traceparent: w.Traceparent}
	if w.ID != nil {
		id, err := ParseID(*w.ID)
		if err != nil {
			return nil, err
		}
		t.ID = id
	} else {
		t.ID = NewID()
	}
	if w.Function != nil {
		t.Function = *w.Function
	}
	if w.Type != nil {
		t.Type = Type(*w.Type)
	}
	if w.Priority != nil {
		t.Priority = *w.Priority
	}
	if len(t.Params) == 0 {
		t.Params = json.RawMessage("{}")
	}
	return t, t.Validate()
}

// Validate reports the first thing that is wrong with t as a FieldError.
func (t *Task) Validate() error {
	switch {
	case t.ScriptPath == "":
		return &FieldError{Field: "script_path", Problem: "is missing"}
	case strings.ContainsRune(t.ScriptPath, 0):
		return &FieldError{Field: "script_path", Problem: "contains a NUL byte"}
	case !filepath.IsAbs(t.ScriptPath):
		return &FieldError{Field: "script_path", Problem: fmt.Sprintf("%q is not absolute; clients resolve it", t.ScriptPath)}
	case t.Function == "":
		return &FieldError{Field: "function", Problem: "is empty"}
	case t.Type != CPUBound && t.Type != IOBound:
		return &FieldError{Field: "task_type", Problem: fmt.Sprintf("unknown task type %q", string(t.Type)), Allowed: Types()}
	case t.Priority < 0 || t.Priority > 9:
		return &FieldError{Field: "priority", Problem: fmt.Sprintf("%d is not within 0 to 9", t.Priority)}
	case t.Timeout < 0:
		return &FieldError{Field: "timeout", Problem: "is negative"}
	}
	return nil
}

// Same reports whether u asks for the same work as t, so that sending a task
// again is told from taking its id for another one.
func (t *Task) Same(u *Task) bool {
	if len(t.Labels) != len(u.Labels) {
		return false
	}
	for k, v := range t.Labels {
		if w, ok := u.Labels[k]; !ok || w != v {
			return false
		}
	}
	return t.ID == u.ID && t.ScriptPath == u.ScriptPath && t.Function == u.Function && t.Type == u.Type &&
		t.Pool == u.Pool && t.Executor == u.Executor && t.Priority == u.Priority && t.Timeout == u.Timeout &&
		t.Traceparent == u.Traceparent && bytes.Equal(t.Params, u.Params)
}

// Duration is a time.Duration that reads and writes Go's notation, "1m30s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalJSON takes a Go duration string.
func (d *Duration) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return &FieldError{Field: "timeout", Problem: fmt.Sprintf("%.64s is not a duration string such as \"30s\"", text)}
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return &FieldError{Field: "timeout", Problem: fmt.Sprintf("%.64q is not a duration such as \"30s\" or \"1m30s\"", s)}
	}
	*d = Duration(v)
	return nil
}
