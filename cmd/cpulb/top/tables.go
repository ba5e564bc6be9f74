package top

import (
	"fmt"
	"strconv"
)

// tables are the workers, and what they run, beneath a header of so many lines.
func (p painter) tables(s *Snapshot, above int) []string {
	workers, scripts := p.workers(s), p.scripts(s)
	if p.Height == 0 {
		return append(append([]string{""}, p.table(workers, 0, len(workers.rows))...), append([]string{""}, p.table(scripts, 0, len(scripts.rows))...)...)
	}
	// Scripts have a third of the room, and more where the workers leave it; each table has
	// its head.
	room := p.Height - above - 2
	forScripts := min(len(scripts.rows), max(room/3, room-len(workers.rows)-1))
	if forScripts < 1 || room < 4 {
		forScripts = 0
	}
	forWorkers := room
	if forScripts > 0 {
		forWorkers -= forScripts + 2
	}
	if forWorkers < 1 {
		return nil
	}
	skip := max(0, min(p.Skip, len(workers.rows)-forWorkers))
	lines := append([]string{""}, p.table(workers, skip, min(forWorkers, len(workers.rows)-skip))...)
	if forScripts > 0 {
		lines = append(lines, "")
		lines = append(lines, p.table(scripts, 0, forScripts)...)
	}
	return lines
}

func (p painter) workers(s *Snapshot) grid {
	g := grid{columns: []column{
		{title: "WORKER"}, {title: "CORE", right: true}, {title: "STATE"}, {title: "BUSY", right: true},
		{title: "DONE/S", right: true, drop: 2}, {title: "DONE", right: true, drop: 5}, {title: "RSS", right: true, drop: 3},
		{title: "UPTIME", right: true, drop: 4}, {title: "RESTARTS", right: true, drop: 6}, {title: "FOR", right: true, drop: 1}, {title: "RUNS"},
	}}
	for _, w := range sorted(s.Workers, p.Sort, p.Reverse) {
		g.rows = append(g.rows, p.worker(&w))
	}
	g.columns[p.Sort.column()].title += "*"
	return g
}

// column is the one by which workers are sorted.
func (o Order) column() int { return [...]int{1, 3, 4, 6, 8, 0}[o] }

func (p painter) worker(w *Worker) []string {
	core, done, runs, ran := "-", "-", "", ""
	if w.Core >= 0 {
		core = strconv.Itoa(w.Core)
	}
	if w.DonePerSecond != nil {
		done = rate(*w.DonePerSecond)
	}
	if w.Runs != nil {
		runs, ran = entry(w.Runs.Script, w.Runs.Function), span(w.Runs.Seconds)
	}
	state := p.state(clean(w.State))
	if w.Degraded != "" {
		state, runs = p.bad("degraded"), p.bad(clean(w.Degraded))
	}
	if w.Trial != "" {
		state += " " + clean(w.Trial)
	}
	return []string{clean(w.ID), core, state, fmt.Sprintf("%d/%d", w.SlotsBusy, w.Slots), done, count(int(w.TasksDone)), size(w.RSSBytes),
		span(w.UptimeSeconds), strconv.Itoa(w.Restarts), ran, runs}
}

func (p painter) scripts(s *Snapshot) grid {
	title := "SCRIPT"
	if !s.Sample.Whole && s.Sample.Tasks > 0 {
		title = fmt.Sprintf("SCRIPT (of %s tasks that have ended, and those that run; there are more)", count(s.Sample.Tasks))
	}
	g := grid{columns: []column{{title: "LONGEST", right: true}, {title: "MEAN", right: true}, {title: "RUNNING", right: true},
		{title: "ENDED", right: true, drop: 1}, {title: "FAILED", right: true, drop: 2}, {title: title}}}
	for _, x := range s.Scripts {
		failed, mean := count(x.Failed), "-"
		if x.Failed > 0 {
			failed = p.bad(failed)
		}
		if x.Ended > 0 {
			mean = span(x.MeanSeconds)
		}
		g.rows = append(g.rows, []string{span(x.LongestSeconds), mean, count(x.Running), count(x.Ended), failed, entry(x.Script, x.Function)})
	}
	return g
}

// entry is what a task calls; main goes without saying.
func entry(script, function string) string {
	if script == "" {
		script = "(source)"
	}
	if function == "" || function == "main" {
		return clean(script)
	}
	return clean(script + ":" + function)
}
