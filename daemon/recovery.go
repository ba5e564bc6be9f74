package daemon

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// journalFolder is where the journal is in Options.StateDir.
const journalFolder = "journal"

// openJournal opens the journal and takes over its tasks. Without a journal, tasks and
// results do not outlive the daemon.
func (e *Engine) openJournal() error {
	c := e.config.Load().Journal
	if c.Sync == "off" || e.options.StateDir == "" {
		return nil
	}
	began := e.elapsed()
	j, err := journal.Open(filepath.Join(e.options.StateDir, journalFolder),
		journal.Options{MachineBoot: e.options.MachineBoot, Log: e.log.Named("journal"), Observe: e.metrics.committed})
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	e.journal = j
	known, waiting, err := e.recover(j)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	e.log.Info("journal is open", "tasks", known, "unfinished", waiting, "sync", c.Sync,
		"took", (e.elapsed() - began).Round(time.Millisecond).String())
	return nil
}

// recover takes over what is in the journal. Nobody else uses the engine yet.
func (e *Engine) recover(j *journal.Journal) (known, waiting int, err error) {
	for saved, err := range j.Recover() {
		if err != nil {
			return known, waiting, err
		}
		if known++; e.takeOver(&saved, j.Start()) {
			waiting++
		}
	}
	return known, waiting, nil
}

// takeOver restores one task from the journal and reports whether it is unfinished.
func (e *Engine) takeOver(s *journal.Saved, start uint64) bool {
	r := &ledger.Record{Task: s.Task, Owner: s.Owner, Lives: uint32(start - s.Start)}
	p, err := e.poolForLocked(r.Task)
	if err != nil {
		p = e.fleet.PoolsLocked()[0] // it ends at once, and a view names a pool
	}
	r.Pool = p
	if p := s.Progress; p != nil {
		r.Attempts, r.Retries, r.Deaths = uint32(p.Attempts), uint32(p.Retries), uint32(p.Deaths)
		r.Suspect = r.Deaths > 0
	}
	e.store.Restore(r, s.Submitted, e.submittedAt(s))
	e.store.Join(r, s.Batch)
	e.noteSchedule(r)
	if s.Ended != nil {
		e.store.RestoreEnd(r, s.Ended.Result, s.Ended.Cursor, e.uptimeThen(s.Ended.Uptime, s.Ended.Start, s.Ended.Result.FinishedAt))
		return false
	}
	e.requeueRestored(r, s, err)
	return true
}

// requeueRestored queues r again, or notes how it ends if it may not run again.
func (e *Engine) requeueRestored(r *ledger.Record, s *journal.Saved, lost error) {
	p := s.Progress
	switch {
	case lost != nil:
		e.unfit = append(e.unfit, unfit{r, failure("NoSuchPool", "no_such_pool", lost.Error())})
	case p != nil && p.Stopping:
		e.unfit = append(e.unfit, unfit{r, cancelled()})
	case p != nil && p.Dispatched && r.Task.Extras().OnWorkerLost == task.Fail:
		e.unfit = append(e.unfit, unfit{r, failure("DaemonLost", "daemon_lost",
			"the daemon died while it ran this task, which must not run twice")})
	default:
		entry := entryFor(r)
		entry.Times = e.restoredTimes(r, p)
		if r.Item = e.queue.Restore(e.moment(), r, entry); r.Item.Place() == queue.Ready {
			_ = e.store.Move(r, ledger.Ready) // it is Delayed
		}
		e.noteDue(r, s)
	}
}

// noteSchedule finds the last task of each schedule again.
func (e *Engine) noteSchedule(r *ledger.Record) {
	for _, s := range e.schedules {
		if r.Task.Labels[scheduleLabel] == s.config.Name && s.owner == r.Owner {
			s.last, s.lastAt = &r.Task.ID, r.Submitted()
		}
	}
}

// unfit is a task of the journal's that can't go on, and how it ends.
type unfit struct {
	record  *ledger.Record
	outcome plugins.Outcome
}

// dismiss ends what was taken over and can't go on.
func (e *Engine) dismiss(fx *effects.List) {
	for _, u := range e.unfit {
		e.finish(u.record, u.outcome, fx)
	}
	e.unfit = nil
}

// closeJournal commits what waits, until ctx is done.
func (e *Engine) closeJournal(ctx context.Context) {
	if e.journal == nil {
		return
	}
	if err := e.journal.Close(ctx); err != nil {
		e.log.Error("journal", "error", err)
	}
}
