package api

import (
	"time"

	"cpulb/daemon/task"
)

// Filter selects tasks; the zero Filter selects all.
type Filter struct {
	// Statuses are those wanted; none: any.
	Statuses []task.Status
	// Labels must all be there, with these values.
	Labels map[string]string
	// Batch is the one that the tasks came with; zero: any or none.
	Batch task.ID
	// Since is from when on they were submitted; zero: it does not matter.
	Since time.Time
}

// MaxPage is the most that Page.Limit can ask for.
const MaxPage = 1000

// Page asks for part of a list.
type Page struct {
	// Limit is from 1 to MaxPage; 0 means 100.
	Limit int
	// After is Listing.Next of the page before; empty: the first page.
	After string
	// Newest: those that were submitted last come first.
	Newest bool
}

// Listing is one page.
type Listing struct {
	Tasks []task.View `json:"tasks"`
	// Next is for Page.After; empty: there are no more.
	Next string `json:"next,omitempty"`
}

// BatchView is how far the tasks of one batch are.
type BatchView struct {
	ID    task.ID `json:"batch_id"`
	Total int     `json:"total"`
	// Tasks counts them by state.
	Tasks map[string]int `json:"tasks"`
	// Done: all have ended.
	Done bool `json:"done"`
}

// ScheduleStatus is one schedule of the configuration.
type ScheduleStatus struct {
	Name     string `json:"name"`
	Cron     string `json:"cron"`
	TimeZone string `json:"time_zone"`
	Overlap  string `json:"overlap"`
	CatchUp  string `json:"catch_up"`
	// Next is when it fires next, Last the time that it fired for last; nil: never.
	Next *time.Time `json:"next"`
	Last *time.Time `json:"last"`
	// LastTask is the id of the task of Last; nil once that is no longer kept.
	LastTask *task.ID `json:"last_task_id"`
	// Skipped counts the times that passed because the task before had not ended.
	Skipped uint64 `json:"skipped"`
	// Missed counts the times that were missed and are to be run yet, one after the
	// other.
	Missed int `json:"missed"`
	// RefusedAt is the latest time whose task was not accepted, nil: there is none;
	// RefusedReason says why.
	RefusedAt     *time.Time `json:"refused_at"`
	RefusedReason string     `json:"refused_reason"`
	// Owner is whose its tasks are; not on the wire.
	Owner uint32 `json:"-"`
}

// ExecutorStatus is one executor of the configuration, and the program that its
// workers run.
type ExecutorStatus struct {
	Name    string `json:"name"`
	Command string `json:"command"`
	// SHA256 is of the program that runs, in hex; empty while no worker does.
	SHA256 string `json:"sha256,omitempty"`
	// Runtime is what the program says of itself, e.g. "CPython 3.11.2".
	Runtime string `json:"runtime,omitempty"`
	// Pools are those whose workers run it.
	Pools []string `json:"pools"`
	// Program and Version are what it calls itself; empty while no worker runs, as the next two are.
	Program string `json:"program,omitempty"`
	Version string `json:"version,omitempty"`
	// Capabilities are the contract's names of what it can do in one of the pools.
	Capabilities []string `json:"capabilities,omitempty"`
	// Settings are those that its blocks may have.
	Settings []SettingStatus `json:"settings,omitempty"`
	// BeforeCommand is the program to which a rollback goes back; empty: there is none.
	BeforeCommand string `json:"before_command,omitempty"`
	// Swap is the last one since the daemon's start; nil: there was none.
	Swap *SwapStatus `json:"swap,omitempty"`
}

// SettingStatus is one setting of an executor.
type SettingStatus struct {
	Name string `json:"name"`
	// Kind is string, integer, boolean, duration, bytes, list or map.
	Kind        string `json:"kind"`
	Description string `json:"description"`
	Required    bool   `json:"required"`
	// Default is what holds without it, for people.
	Default string `json:"default,omitempty"`
	// Allowed are the values that it may have; empty: any of its kind.
	Allowed []string `json:"allowed,omitempty"`
}
