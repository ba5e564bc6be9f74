package dashboard

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
)

// mostShown is how many tasks of one worker are named.
const mostShown = 64

// state is all that the page draws but for lists of tasks and their events.
type state struct {
	// Now is the clock of this machine, by which the page says how long ago something was.
	Now     time.Time       `json:"now"`
	Socket  string          `json:"socket"`
	Columns [columns]string `json:"columns"`
	Samples []sample        `json:"samples"`
	Scripts []scriptReport  `json:"scripts"`
	// Problem says why no daemon answers; Denied: this user may not use its socket.
	Problem string `json:"problem,omitempty"`
	Denied  bool   `json:"denied,omitempty"`
	// What follows is only there when one does.
	Status *status `json:"status,omitempty"`
	// Administrator: the daemon shows this user all tasks, and not only their own.
	Administrator bool          `json:"administrator"`
	Workers       []workerState `json:"workers,omitempty"`
	// TasksProblem says why it is not known what runs; TasksMore: more runs than is named.
	TasksProblem string `json:"tasks_problem,omitempty"`
	TasksMore    bool   `json:"tasks_more,omitempty"`
}

// workerState is a worker with what it runs.
type workerState struct {
	api.WorkerStatus
	Tasks []runningTask `json:"tasks"`
}

type runningTask struct {
	ID       task.ID `json:"task_id"`
	Path     string  `json:"script_path"`
	Function string  `json:"function"`
	Slot     int     `json:"slot"`
	Seconds  float64 `json:"seconds"`
}

// serve answers with the state, with the samples after a number.
func (o *observer) serve(w http.ResponseWriter, r *http.Request) {
	var after int64
	if text := r.URL.Query().Get("after"); text != "" {
		var err error
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			refuse(w, http.StatusBadRequest, "bad_query", "after is not the number of a sample")
			return
		}
	}
	s := o.state(after)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s) // an error: the client has gone
}

func (o *observer) state(after int64) state {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := state{Now: time.Now(), Socket: o.socket, Columns: columnNames(), Samples: append([]sample{}, o.series.after(after)...),
		Scripts: o.scripts.report(time.Since(o.began))}
	l := &o.latest
	if l.err != nil {
		s.Problem, s.Denied = l.err.Error(), errors.Is(l.err, fs.ErrPermission)
		return s
	}
	_, s.Administrator = l.status.Components["input_queue"].Metrics["callers"] // only they see it
	s.Status, s.Workers, s.TasksMore = l.status, l.workers(), l.more
	if l.tasksErr != nil {
		s.TasksProblem = l.tasksErr.Error()
	}
	return s
}

// workers returns the workers with what they run, as far as this user may see it.
func (l *look) workers() []workerState {
	at := map[string][]runningTask{}
	for i := range l.running {
		v := &l.running[i]
		if v.Worker == nil || v.StartedAt == nil || len(at[v.Worker.ID]) == mostShown {
			continue
		}
		at[v.Worker.ID] = append(at[v.Worker.ID], runningTask{ID: v.ID, Path: v.ScriptPath, Function: v.Function, Slot: v.Worker.Slot,
			Seconds: max(0, time.Since(*v.StartedAt).Seconds())})
	}
	all := make([]workerState, len(l.status.workers))
	for i, w := range l.status.workers {
		all[i] = workerState{WorkerStatus: w, Tasks: at[w.ID]}
		if w.State != "ready" { // a worker that leaves has the id of the one that follows
			all[i].Tasks = nil
		}
		if all[i].Tasks == nil {
			all[i].Tasks = []runningTask{}
		}
	}
	return all
}

// serveScript answers with some tasks of one script that were seen to end.
func (o *observer) serveScript(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	o.mu.Lock()
	recent := o.scripts.recent(scriptKey{q.Get("script_path"), q.Get("function")})
	o.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string][]task.View{"tasks": recent}) // an error: the client has gone
}
