package task

import (
	"errors"
	"fmt"
	"strings"
)

// Sentinels at the engine's boundary; match them with errors.Is.
var (
	// ErrInvalid: the task can't be accepted as it is; a FieldError says why.
	ErrInvalid = errors.New("invalid task")
	// ErrNotFound: no task has this id, or it belongs to someone else.
	ErrNotFound = errors.New("no such task")
	// ErrConflict: the id is taken by a task with other content.
	ErrConflict = errors.New("task id is taken by another task")
	// ErrEvicted: the task existed and its result is no longer kept.
	ErrEvicted = errors.New("the result is no longer kept")
	// ErrQueueFull: the input queue is at its capacity, or the caller's share of it is;
	// try again later.
	ErrQueueFull = errors.New("no room in the input queue")
	// ErrNoSpace: the journal can't take another task; try again later.
	ErrNoSpace = errors.New("the task can't be kept")
)

// FieldError describes the error of one field that a caller sent. It matches
// ErrInvalid.
type FieldError struct {
	// Field is the JSON name, e.g. "task_type".
	Field string
	// Problem describes the error of the value.
	Problem string
	// Allowed lists the legal values, if there is a list.
	Allowed []string
	// Code is a stable name for the kind of problem; empty means "invalid_task".
	Code string
}

func (e *FieldError) Error() string {
	text := fmt.Sprintf("%s: %s", e.Field, e.Problem)
	if len(e.Allowed) > 0 {
		text += " (allowed: " + strings.Join(e.Allowed, ", ") + ")"
	}
	return text
}

// Is makes a FieldError match ErrInvalid.
func (e *FieldError) Is(target error) bool { return target == ErrInvalid }
