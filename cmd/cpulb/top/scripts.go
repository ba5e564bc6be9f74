package top

import (
	"cmp"
	"slices"
	"time"

	"cpulb/daemon/task"
)

// scripts sums up tasks by what they call, the one with the longest task first.
func scripts(running, ended []task.View, now time.Time) []Script {
	type entry struct{ script, function string }
	at := map[entry]*Script{}
	of := func(v *task.View) *Script {
		e := entry{v.ScriptPath, v.Function}
		if at[e] == nil {
			at[e] = &Script{Script: v.ScriptPath, Function: v.Function}
		}
		return at[e]
	}
	for i := range running {
		s := of(&running[i])
		s.Running++
		s.LongestSeconds = max(s.LongestSeconds, seconds(&running[i], now))
	}
	for i := range ended {
		v := &ended[i]
		if v.StartedAt == nil {
			continue // it never ran: expired, or dropped
		}
		s, took := of(v), seconds(v, now)
		s.Ended++
		if v.Status != task.Completed {
			s.Failed++
		}
		s.MeanSeconds += (took - s.MeanSeconds) / float64(s.Ended)
		s.LongestSeconds = max(s.LongestSeconds, took)
	}
	all := make([]Script, 0, len(at))
	for _, s := range at {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Script) int {
		return cmp.Or(cmp.Compare(b.LongestSeconds, a.LongestSeconds), cmp.Compare(a.Script, b.Script), cmp.Compare(a.Function, b.Function))
	})
	return all
}

// seconds is how long a task has run, or ran. The clock on the wall may have been set
// meanwhile: never less than nothing.
func seconds(v *task.View, now time.Time) float64 {
	if v.StartedAt == nil {
		return 0
	}
	if v.FinishedAt != nil {
		now = *v.FinishedAt
	}
	return max(0, now.Sub(*v.StartedAt).Seconds())
}

// assign says of each worker which of its tasks has run for longest.
func assign(workers []Worker, running []task.View, now time.Time) {
	at := map[int]*Worker{} // by pid: a seat's worker and those that leave it have one id
	for i := range workers {
		at[workers[i].PID] = &workers[i]
	}
	for i := range running {
		v := &running[i]
		if v.Worker == nil || at[v.Worker.PID] == nil {
			continue
		}
		w, ran := at[v.Worker.PID], seconds(v, now)
		if w.Runs == nil || ran > w.Runs.Seconds {
			w.Runs = &Running{ID: v.ID, Script: v.ScriptPath, Function: v.Function, Seconds: ran}
		}
	}
}
