// Package top shows what a daemon does: a Snapshot of it, as JSON, as one frame of text, or
// as a screen that follows the daemon until its reader has seen enough.
//
// Guarantees: a Frame is a pure function of a Snapshot and a Look, fits the width and the
// height that it is given, and has no control character that comes from a task. A daemon that
// goes away is shown as gone, with the last figures, and followed again once it is back.
package top

import (
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// Snapshot is what a daemon said of itself at one moment.
type Snapshot struct {
	// At is when, by this machine's clock.
	At time.Time `json:"at"`
	// Error says why the daemon could not be asked; all else is older then. Empty: it could.
	Error  string `json:"error,omitempty"`
	Daemon Daemon `json:"daemon"`
	// Tasks counts the known tasks by state.
	Tasks map[string]int `json:"tasks"`
	Queue Queue          `json:"queue"`
	Slots Slots          `json:"slots"`
	// Rates is nil while there is nothing to compare with.
	Rates *Rates `json:"rates"`
	// Troubles are the components that are not healthy.
	Troubles []Trouble `json:"troubles"`
	Pools    []Pool    `json:"pools"`
	Workers  []Worker  `json:"workers"`
	// Scripts are those of the tasks that the caller may see: the ones that run, and those of
	// Sample that have ended.
	Scripts []Script `json:"scripts"`
	Sample  Sample   `json:"sample"`
}

// Daemon is the process that answers.
type Daemon struct {
	Version       string  `json:"version"`
	PID           int     `json:"pid"`
	UptimeSeconds float64 `json:"uptime_seconds"`
	// State is "running", "draining" or "not running".
	State string `json:"state"`
	// Restarts counts the times that another process answered than before.
	Restarts int `json:"restarts"`
}

// Queue is what waits.
type Queue struct {
	Size     int   `json:"size"`
	Capacity int   `json:"capacity"`
	Bytes    int64 `json:"bytes"`
	// Blocked are submissions that wait for room.
	Blocked int `json:"blocked"`
	// Dropped and Expired count since the daemon's start.
	Dropped uint64 `json:"total_dropped"`
	Expired uint64 `json:"total_expired"`
}

// Slots are those of ready workers, and how many have a task.
type Slots struct {
	Busy  int `json:"busy"`
	Total int `json:"total"`
}

// Rates are per second, over OverSeconds.
type Rates struct {
	Submitted   float64 `json:"submitted_per_second"`
	Ended       float64 `json:"ended_per_second"`
	Dropped     float64 `json:"dropped_per_second"`
	OverSeconds float64 `json:"over_seconds"`
}

// Trouble is a component that needs attention.
type Trouble struct {
	Component string     `json:"component"`
	Health    api.Health `json:"health"`
	Reason    string     `json:"reason"`
}

// Pool is a pool's workers together.
type Pool struct {
	Name    string `json:"name"`
	Workers int    `json:"workers"`
	Ready   int    `json:"ready"`
	Slots   Slots  `json:"slots"`
}

// Worker is one worker, and what it does.
type Worker struct {
	api.WorkerStatus
	// DonePerSecond is nil while there is nothing to compare with.
	DonePerSecond *float64 `json:"done_per_second"`
	// Runs is the task that has run there for longest, of those that the caller may see; nil:
	// there is none.
	Runs *Running `json:"runs"`
}

// Running is a task that runs.
type Running struct {
	ID       task.ID `json:"task_id"`
	Script   string  `json:"script_path"`
	Function string  `json:"function"`
	Seconds  float64 `json:"seconds"`
}

// Script is what is known of the tasks of one entry point.
type Script struct {
	Script   string `json:"script_path"`
	Function string `json:"function"`
	Running  int    `json:"running"`
	Ended    int    `json:"ended"`
	Failed   int    `json:"failed"`
	// MeanSeconds is of those that have ended, LongestSeconds of those that run, too.
	MeanSeconds    float64 `json:"mean_seconds"`
	LongestSeconds float64 `json:"longest_seconds"`
}

// Sample says from which tasks Scripts are.
type Sample struct {
	// Since is from when on they were submitted, or, where a look before has seen them run,
	// have ended.
	Since time.Time `json:"since"`
	Tasks int       `json:"tasks"`
	// Whole: no more were submitted since then that have ended, and all that run are there.
	Whole bool `json:"whole"`
}
