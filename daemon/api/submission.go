package api

import "cpulb/daemon/task"

// Submission is one of several tasks that are submitted together.
type Submission struct {
	// Task must not change afterwards.
	Task *task.Task
	// Watcher, which may be nil, hears of what follows.
	Watcher task.Watcher
	// Answer is told the task as it stands, or why it is refused: once, from any goroutine.
	// It does not block.
	Answer func(task.View, error)
}
