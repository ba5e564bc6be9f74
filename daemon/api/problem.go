package api

import "cpulb/daemon/task"

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
}

// Error implements error.
func (p *Problem) Error() string {
	if p.Code == "" {
		return p.Detail
	}
	return p.Detail + " [" + p.Code + "]"
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
