package dashboard

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"cpulb/daemon/task"
)

// Bounds on what is kept of tasks that have ended, and on what of it is shown.
const (
	window       = 15 * time.Minute
	mostScripts  = 500
	mostRuns     = 200 // of a script
	mostRecent   = 10  // tasks of a script that are named: so many that failed, and so many others
	shownScripts = 100
)

// scripts says how the scripts fare whose tasks were seen to end. It is pure: its owner says
// what time it is.
type scripts struct {
	all map[scriptKey]*script
	// seen are the tasks that were counted, in two generations.
	seen, older map[task.ID]struct{}
}

// seenAtOnce is how many a generation has.
const seenAtOnce = 5000

type scriptKey struct{ path, function string }

// script is what was seen of one, the latest last.
type script struct {
	runs           []run
	failed, others []task.View
}

type run struct {
	at      time.Duration // when it ended
	seconds float64       // how long it ran; negative: it did not
	failed  bool
}

// scriptReport is what the page shows of one script.
type scriptReport struct {
	Path     string `json:"script_path"`
	Function string `json:"function"`
	// Seen is how many of its tasks have ended in the window, of those that were looked at.
	Seen   int `json:"seen"`
	Failed int `json:"failed"`
	// Median, P95 and Max are how long they ran, Total is all of it. They are nil if none has
	// run.
	Median *float64 `json:"median_seconds"`
	P95    *float64 `json:"p95_seconds"`
	Max    *float64 `json:"max_seconds"`
	Total  float64  `json:"total_seconds"`
	// LastFailure is the task that failed last.
	LastFailure *task.ID `json:"last_failure"`
}

func isFailure(s task.Status) bool { return s == task.Failed || s == task.TimedOut }

// knows reports whether a task was counted.
func (s *scripts) knows(id task.ID) bool {
	_, now := s.seen[id]
	_, before := s.older[id]
	return now || before
}

// add counts a task that ended at a time, once.
func (s *scripts) add(at time.Duration, v task.View) {
	if v.FinishedAt == nil || s.knows(v.ID) {
		return
	}
	if len(s.seen) >= seenAtOnce || s.seen == nil {
		s.seen, s.older = map[task.ID]struct{}{}, s.seen
	}
	s.seen[v.ID] = struct{}{}
	key := scriptKey{v.ScriptPath, v.Function}
	x := s.all[key]
	if x == nil {
		s.makeRoom()
		x = &script{}
		s.all[key] = x
	}
	took := -1.0
	if v.StartedAt != nil {
		took = max(0, v.FinishedAt.Sub(*v.StartedAt).Seconds())
	}
	x.runs = last(append(x.runs, run{at, took, isFailure(v.Status)}), mostRuns)
	if isFailure(v.Status) {
		x.failed = last(append(x.failed, v), mostRecent)
	} else {
		x.others = last(append(x.others, v), mostRecent)
	}
}

// last keeps the last n of all.
func last[T any](all []T, n int) []T { return slices.Delete(all, 0, max(0, len(all)-n)) }

// makeRoom forgets the script of which nothing was seen for longest, if there are too many.
func (s *scripts) makeRoom() {
	if s.all == nil {
		s.all = map[scriptKey]*script{}
	}
	if len(s.all) < mostScripts {
		return
	}
	oldest := slices.MinFunc(slices.Collect(maps.Keys(s.all)), func(a, b scriptKey) int {
		return cmp.Compare(s.all[a].latest(), s.all[b].latest())
	})
	delete(s.all, oldest)
}

func (x *script) latest() time.Duration { return x.runs[len(x.runs)-1].at }

// report returns the scripts of which something was seen in the window: those that failed,
// and the slowest of the others.
func (s *scripts) report(now time.Duration) []scriptReport {
	reports := []scriptReport{}
	for key, x := range s.all {
		x.runs = slices.DeleteFunc(x.runs, func(r run) bool { return now-r.at > window })
		if len(x.runs) == 0 {
			delete(s.all, key)
			continue
		}
		reports = append(reports, x.report(key))
	}
	slices.SortFunc(reports, func(a, b scriptReport) int {
		return cmp.Or(-cmp.Compare(min(a.Failed, 1), min(b.Failed, 1)), -cmp.Compare(deref(a.P95), deref(b.P95)),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Function, b.Function))
	})
	return reports[:min(len(reports), shownScripts)]
}

func deref(seconds *float64) float64 {
	if seconds == nil {
		return -1
	}
	return *seconds
}

func (x *script) report(key scriptKey) scriptReport {
	r := scriptReport{Path: key.path, Function: key.function, Seen: len(x.runs)}
	var took []float64
	for _, run := range x.runs {
		if run.seconds >= 0 {
			took = append(took, run.seconds)
			r.Total += run.seconds
		}
		if run.failed {
			r.Failed++
		}
	}
	if n := len(x.failed); n > 0 && r.Failed > 0 {
		r.LastFailure = &x.failed[n-1].ID
	}
	if slices.Sort(took); len(took) > 0 {
		at := func(q float64) *float64 { return &took[min(int(q*float64(len(took))), len(took)-1)] }
		r.Median, r.P95, r.Max = at(0.5), at(0.95), at(1)
	}
	return r
}

// recent returns some tasks of a script that were seen to end, the latest first.
func (s *scripts) recent(key scriptKey) []task.View {
	x := s.all[key]
	if x == nil {
		return []task.View{}
	}
	all := slices.Concat(x.failed, x.others)
	slices.SortFunc(all, func(a, b task.View) int { return b.FinishedAt.Compare(*a.FinishedAt) })
	return all
}
