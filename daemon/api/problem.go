package api

import (
	"errors"
	"slices"
	"time"

	"cpulb/daemon/task"
)

// Problem is the body of every error (RFC 9457), as application/problem+json.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Code is one of the table in docs/output_interpretation.md and stable: programs
	// decide by it. It is empty if whoever answered is not cpulbd.
	Code string `json:"code"`
	// Field names what of the request is wrong, Allowed what it may be.
	Field   string   `json:"field,omitempty"`
	Allowed []string `json:"allowed,omitempty"`
	// RetryAfter is what the header of an HTTP answer with it asks for.
	RetryAfter time.Duration `json:"-"`
}

// Temporary returns the codes of what passes without anybody changing the request: it is to
// be sent again, unchanged, after a pause. It is the only authority on which these are.
func Temporary() []string {
	return []string{"queue_full", "too_many_in_flight", "too_many_watches", "too_many_connections", "draining", "not_ready", "journal_full"}
}

// IsTemporary reports whether err is a Problem with one of these codes.
func IsTemporary(err error) bool {
	var p *Problem
	return errors.As(err, &p) && slices.Contains(Temporary(), p.Code)
}

// Error implements error.
func (p *Problem) Error() string {
	if p.Code == "" {
		return p.Detail
	}
	return p.Detail + " [" + p.Code + "]"
}

// Is makes a Problem match the sentinel that the daemon had, e.g. task.ErrNotFound.
func (p *Problem) Is(target error) bool { return target != nil && sentinel(p.Code) == target }

// sentinel returns what the errors with this code match; nil: nothing.
func sentinel(code string) error {
	switch code {
	case "invalid_task", "invalid_json", "script_not_found", "script_is_directory", "script_not_readable", "no_such_pool", "not_supported":
		return task.ErrInvalid
	case "task_not_found":
		return task.ErrNotFound
	case "task_conflict":
		return task.ErrConflict
	case "result_evicted":
		return task.ErrEvicted
	case "queue_full":
		return task.ErrQueueFull
	case "journal_full":
		return task.ErrNoSpace
	case "draining":
		return ErrDraining
	case "batch_not_found":
		return ErrBatchNotFound
	case "too_many_watches":
		return ErrTooManyWatches
	case "worker_not_found":
		return ErrNoWorker
	case "no_stacks":
		return ErrNoStacks
	case "reload_failed":
		return ErrReload
	}
	return swapSentinel(code)
}

func swapSentinel(code string) error {
	switch code {
	case "executor_not_found":
		return ErrNoExecutor
	case "swap_conflict":
		return ErrSwapConflict
	case "swap_failed":
		return ErrSwapFailed
	case "invalid_swap":
		return ErrSwapInvalid
	}
	return nil
}

// Batch is what became of tasks that were submitted together.
type Batch struct {
	ID task.ID `json:"batch_id"`
	// TaskIDs has, in order, the id of each task that was accepted, and null for the
	// others.
	TaskIDs []*task.ID   `json:"task_ids"`
	Errors  []BatchError `json:"errors"`
}

// BatchError is a task of a batch that was not accepted.
type BatchError struct {
	// Line is its place among the tasks, from 1; with NDJSON it is the line.
	Line    int      `json:"line"`
	TaskID  *task.ID `json:"task_id"`
	Problem Problem  `json:"problem"`
}
