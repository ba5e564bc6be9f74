package daemon

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"cpulb/daemon/access"
	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
)

// SubmitBatch is Submit for many tasks, which are committed together and become
// the batch with this id. Each has an id or an error of its own, in their order;
// those that are good are not held up by the others.
//
// Tasks that were submitted before are members of this batch, too, and it is answered
// with its id whichever of them are new. If none is new and one batch has just these
// tasks, the batch was sent again: it is that one, and its id is the answer.
func (e *Engine) SubmitBatch(ctx context.Context, who access.Identity, id task.ID, tasks []*task.Task, done func(task.ID, []task.ID, []error)) {
	g := &gathering{id: id, ids: make([]task.ID, len(tasks)), errs: make([]error, len(tasks)), left: len(tasks) + 2, done: done}
	m := members{batch: id}
	all := e.prepareBatch(who, id, tasks, g)
	e.admitAll(ctx, who, all, func(r *ledger.Record, a *admission) { m.add(r, a, e.store) })
	if !e.gather(&m, g) {
		g.one()
	}
	g.one() // nothing was done before all had been looked at
}

// members are those tasks of a batch that were not refused at once.
type members struct {
	batch task.ID
	// known had been submitted before, each is there once; fresh counts the others. lines
	// are the places of the known ones, by their stamps.
	known []*ledger.Record
	lines map[int64][]int
	fresh int
}

func (m *members) add(r *ledger.Record, a *admission, s *ledger.Store) {
	switch {
	case r == a.record:
		m.fresh++
	case m.fresh > 0 && s.Member(r, m.batch): // it is twice in this batch
	default:
		if m.lines == nil {
			m.lines = map[int64][]int{}
		}
		if m.lines[r.Stamp()] == nil {
			m.known = append(m.known, r)
		}
		m.lines[r.Stamp()] = append(m.lines[r.Stamp()], a.line)
	}
}

// gather makes the batch have its members that were submitted before, or finds the batch
// that was sent again. It reports whether g waits until that is in the journal.
func (e *Engine) gather(m *members, g *gathering) (waits bool) {
	if len(m.known) == 0 {
		return false
	}
	failing := e.journalFails()
	var refused []int
	e.do(func(*effects.List) {
		e.evictLocked()
		known := slices.DeleteFunc(m.known, func(r *ledger.Record) bool { return !e.store.Has(r) })
		if len(known) == 0 {
			return
		}
		if m.fresh == 0 {
			if b := e.store.Same(known); b != nil {
				g.id = b.ID()
				return
			}
		}
		known = slices.DeleteFunc(known, func(r *ledger.Record) bool {
			if e.store.MayJoin(r) {
				return false
			}
			refused = append(refused, m.lines[r.Stamp()]...)
			return true
		})
		if len(known) == 0 {
			return
		}
		ops := e.noteJoined(e.store.JoinAgain(m.batch, known), known)
		switch {
		case e.journal == nil:
		case failing: // they are members as long as this daemon lives
			e.appendLocked(journal.Whenever, nil, ops)
		default:
			waits = true
			e.appendLocked(e.needOfAll(), func(_ error, fx *effects.List) { fx.Answer(g.one) }, ops)
		}
	})
	g.refuse(refused) // before it can be done
	return waits
}

// prepareBatch makes the admissions of those that are good, and answers for the
// others.
func (e *Engine) prepareBatch(who access.Identity, id task.ID, tasks []*task.Task, g *gathering) []*admission {
	var all []*admission
	now := e.uptime()
	for i, t := range tasks {
		a, err := e.prepare(who, t, now)
		if err != nil {
			g.answer(i)(task.View{}, err)
			continue
		}
		a.batch, a.line = id, i
		a.submitter = a.ask(g.answer(i))
		all = append(all, a)
	}
	return all
}

// gathering collects the answers for a batch.
type gathering struct {
	// id is the batch that is answered.
	id   task.ID
	mu   sync.Mutex
	ids  []task.ID
	errs []error
	// left counts the tasks that have no answer, and what else there is to wait for.
	left int
	done func(task.ID, []task.ID, []error)
}

func (g *gathering) answer(i int) func(task.View, error) {
	return func(v task.View, err error) {
		g.mu.Lock()
		if g.errs[i] == nil {
			g.ids[i], g.errs[i] = v.ID, err
		}
		g.mu.Unlock()
		g.one()
	}
}

// refuse refuses lines whose task is in too many batches, whether it is answered or not.
func (g *gathering) refuse(lines []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, i := range lines {
		g.ids[i], g.errs[i] = task.ID{}, &task.FieldError{Field: "task_id",
			Problem: fmt.Sprintf("the task was sent before and is in as many batches as it may be, %d beside the first", ledger.MostFurther)}
	}
}

func (g *gathering) one() {
	g.mu.Lock()
	g.left--
	last := g.left == 0
	g.mu.Unlock()
	if last {
		g.done(g.id, g.ids, g.errs)
	}
}
