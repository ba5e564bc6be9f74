package daemon

import (
	"slices"
	"sync"

	"cpulb/daemon/access"
	"cpulb/daemon/effects"
	"cpulb/daemon/task"
)

// SubmitBatch is Submit for many tasks, which are committed together and become
// the batch with this id. Each has an id or an error of its own, in their order;
// those that are good are not held up by the others.
func (e *Engine) SubmitBatch(who access.Identity, id task.ID, tasks []*task.Task, done func([]task.ID, []error)) {
	g := &gathering{ids: make([]task.ID, len(tasks)), errs: make([]error, len(tasks)), left: len(tasks) + 1, done: done}
	for some := range slices.Chunk(e.prepareBatch(who, id, tasks, g), admitAtOnce) {
		e.do(func(fx *effects.List) {
			var commit []*admission
			for _, a := range some {
				if e.admit(who, a, fx) {
					commit = append(commit, a)
				}
			}
			if len(commit) > 0 {
				e.commitLocked(commit...)
			}
		})
	}
	g.one() // the one more than there are tasks: nothing was done before all had been looked at
}

// prepareBatch makes the admissions of those that are good, and answers for the
// others.
func (e *Engine) prepareBatch(who access.Identity, id task.ID, tasks []*task.Task, g *gathering) []*admission {
	var all []*admission
	for i, t := range tasks {
		a, err := e.prepare(who, t)
		if err != nil {
			g.answer(i)(task.View{}, err)
			continue
		}
		a.batch, a.answers = id, []func(task.View, error){g.answer(i)}
		all = append(all, a)
	}
	return all
}

// admitAtOnce bounds for how long the engine is held up by a batch.
const admitAtOnce = 500

// gathering collects the answers for a batch.
type gathering struct {
	mu   sync.Mutex
	ids  []task.ID
	errs []error
	left int
	done func([]task.ID, []error)
}

func (g *gathering) answer(i int) func(task.View, error) {
	return func(v task.View, err error) {
		g.mu.Lock()
		g.ids[i], g.errs[i] = v.ID, err
		g.mu.Unlock()
		g.one()
	}
}

func (g *gathering) one() {
	g.mu.Lock()
	g.left--
	last := g.left == 0
	g.mu.Unlock()
	if last {
		g.done(g.ids, g.errs)
	}
}
