package fleettest

import (
	"sync"

	"cpulb/plugins"
)

// Run is one run of a task, from when a thread claimed it to when it really stopped.
type Run struct {
	Task, Script string
	Attempt      int
	Traceparent  string
	Env          map[string]string
	Cwd          string
	// Began and Ended number all beginnings and ends in their order; 0: it goes on.
	Began, Ended int
	// Lost: its process ended before it did.
	Lost bool
}

// Runs are the runs of all tasks, over several launchers.
type Runs struct {
	mu     sync.Mutex
	all    []*Run
	events int
}

func (r *Runs) begin(t *plugins.Task) *Run {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events++
	run := &Run{Task: t.ID, Script: t.ScriptPath, Attempt: t.Attempt, Traceparent: t.Traceparent, Env: t.Env, Cwd: t.Cwd, Began: r.events}
	r.all = append(r.all, run)
	return run
}

func (r *Runs) end(run *Run, lost bool) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events++
	run.Ended, run.Lost = r.events, lost
}

// Of returns the runs of a task so far, in their order.
func (r *Runs) Of(id string) (runs []Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, run := range r.all {
		if run.Task == id {
			runs = append(runs, *run)
		}
	}
	return runs
}
