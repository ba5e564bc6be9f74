package fleet

import (
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// lacks returns the field of a task that an executor does not take, "" if it takes all.
func lacks(d *plugins.Description, t *task.Task) string {
	switch x := t.Extra; {
	case x == nil:
	case len(x.Env) > 0 && !d.TakesEnv:
		return "env"
	case x.Cwd != "" && !d.TakesCwd:
		return "cwd"
	}
	return ""
}

// Described returns what the executor of the pool's latest ready worker can do, as the pool has it.
func (p *Pool) Described() plugins.Description { return p.described }

// Lacks returns the field of a task that some worker of the pool would not take; "": all take
// it. While workers are exchanged the old ones count, too: the task may meet one. A canary does not: it
// gets no task that it does not take.
func (p *Pool) Lacks(t *task.Task) string {
	field := lacks(&p.described, t)
	for _, s := range p.all() {
		if w := s.worker; field == "" && w != nil && s.kind != trying && w.state.Load().TakesTasks() {
			field = lacks(&w.described, t)
		}
	}
	return field
}

// Lacks returns the field of a task that the worker does not take; "": it takes all. The
// executor may have been exchanged since the task was admitted.
func (pl *Place) Lacks(t *task.Task) string { return lacks(&pl.slot.worker.described, t) }
