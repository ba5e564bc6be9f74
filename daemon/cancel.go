package daemon

import (
	"cpulb/daemon/access"
	"cpulb/daemon/api"
	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
	"cpulb/daemon/task"
	"cpulb/plugins"
	"slices"
)

// Cancel stops a task: at once while it waits, else by asking its worker. A task
// that has ended stays as it is.
func (e *Engine) Cancel(who access.Identity, id task.ID) (view task.View, err error) {
	e.do(func(fx *effects.List) {
		var r *ledger.Record
		if r, err = e.findLocked(who, access.Stop, id); err == nil {
			e.cancel(r, fx)
			view = r.View()
		}
	})
	return view, err
}

// cancel stops r.
func (e *Engine) cancel(r *ledger.Record, fx *effects.List) {
	switch {
	case r.Phase().Over() || r.Stopping:
	case e.slots[r] == nil:
		r.Stopping = true
		e.finish(r, cancelled(), fx)
	case !e.slots[r].Sent():
		s := e.slots[r]
		r.Stopping = true
		e.takeBack(r)
		e.finish(r, cancelled(), fx)
		s.GiveUp(fx)
	default:
		r.Stopping = true
		e.slots[r].Stop(plugins.StopCancelled, fx)
		if e.kept(r) { // a daemon that dies now must not run it again
			e.journal.Append(journal.Written, nil, journal.Op{Submitted: r.Submitted(), Progress: dispatched(r)})
		}
	}
}

// CancelAll stops the tasks that f selects and the caller may stop. It returns how many
// had not ended. Tasks that are submitted meanwhile may be among them or not.
func (e *Engine) CancelAll(who access.Identity, f api.Filter) (int, error) {
	var all []*ledger.Record
	e.each(who, access.Stop, &f, 0, func(r *ledger.Record) bool {
		if !r.Phase().Over() && !r.Stopping {
			all = append(all, r)
		}
		return true
	})
	count := 0
	for some := range slices.Chunk(all, lookAtOnce/5) {
		e.do(func(fx *effects.List) {
			for _, r := range some {
				if !r.Phase().Over() && !r.Stopping {
					e.cancel(r, fx)
					count++
				}
			}
		})
	}
	return count, nil
}
