package daemon

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
	"cpulb/daemon/queue"
	"cpulb/daemon/task"
	"cpulb/plugins"
)

// journalFolder is where the journal is in Options.StateDir.
const journalFolder = "journal"

// openJournal opens the journal and takes over what it knows. Without one, tasks
// and results do not outlive the daemon.
func (e *Engine) openJournal() error {
	c := e.config.Load().Journal
	if c.Sync == "off" || e.options.StateDir == "" {
		return nil
	}
	started := time.Now()
	j, err := journal.Open(filepath.Join(e.options.StateDir, journalFolder),
		journal.Options{Sync: journal.Sync(c.Sync), Interval: c.Interval, Log: e.log.Named("journal"), Observe: e.metrics.committed})
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	e.journal = j
	known, waiting, err := e.recover(j)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	e.log.Info("journal is open", "tasks", known, "unfinished", waiting, "sync", c.Sync, "took", time.Since(started).Round(time.Millisecond).String())
	return nil
}

// recover takes over what is in the journal. Nobody else uses the engine yet.
func (e *Engine) recover(j *journal.Journal) (known, waiting int, err error) {
	for saved, err := range j.Recover() {
		if err != nil {
			return known, waiting, err
		}
		if known++; e.takeOver(&saved, j.Boot()) {
			waiting++
		}
	}
	return known, waiting, nil
}

// takeOver makes a task of what the journal has of it, and reports whether it is
// unfinished.
func (e *Engine) takeOver(s *journal.Saved, boot uint64) bool {
	r := &record{task: s.Task, owner: s.Owner, stamp: s.Submitted.UnixNano(), accepted: true, lives: uint32(boot - s.Boot)}
	var lost error
	if r.pool, lost = e.poolForLocked(r.task); lost != nil {
		r.pool = e.pools[0] // it ends at once, and a view names a pool
	}
	if p := s.Progress; p != nil {
		r.attempts, r.retries, r.deaths = uint32(p.Attempts), uint32(p.Retries), uint32(p.Deaths)
		r.suspect = r.deaths > 0
	}
	e.store.add(r)
	e.store.join(r, s.Batch)
	e.noteSchedule(r)
	if s.Ended != nil {
		e.takeResult(r, s.Ended)
		return false
	}
	e.takeBack(r, s, lost)
	return true
}

// takeResult gives r the end that it had. It is not counted as a new one.
func (e *Engine) takeResult(r *record, end *journal.Ended) {
	for _, next := range []task.Status{task.Queued, task.Running} {
		_ = e.moveLocked(r, next)
	}
	_ = e.moveLocked(r, end.Result.Status)
	r.over, r.result = true, end.Result
	r.attempts, r.events = uint32(end.Result.Attempts), end.Cursor.Seq
	r.lives = uint32(max(0, end.Cursor.Attempt-end.Result.Attempts))
	if r.batch != nil {
		r.batch.told(r)
	}
	e.store.keep(r)
}

// takeBack queues r again, or ends it if it may not run again.
func (e *Engine) takeBack(r *record, s *journal.Saved, lost error) {
	p := s.Progress
	switch {
	case lost != nil:
		e.unfit = append(e.unfit, unfit{r, failure("NoSuchPool", "no_such_pool", lost.Error())})
	case p != nil && p.Stopping:
		e.unfit = append(e.unfit, unfit{r, cancelled()})
	case p != nil && p.Dispatched && r.task.Extras().OnWorkerLost == task.Fail:
		e.unfit = append(e.unfit, unfit{r, failure("DaemonLost", "daemon_lost",
			"the daemon died while it ran this task, which must not run twice")})
	default:
		entry := r.entry()
		if p != nil && p.NotBefore.After(entry.RunAt) {
			entry.RunAt = p.NotBefore
		}
		if r.item = e.queue.Restore(e.now(), r, entry); r.item.Place() == queue.Ready {
			_ = e.moveLocked(r, task.Queued)
		}
	}
}

// noteSchedule finds the last task of each schedule again.
func (e *Engine) noteSchedule(r *record) {
	for _, s := range e.schedules {
		if r.task.Labels[scheduleLabel] == s.config.Name && s.owner == r.owner {
			s.last, s.lastAt = &r.task.ID, r.submitted()
		}
	}
}

// unfit is a task of the journal's that can't go on, and how it ends.
type unfit struct {
	record  *record
	outcome plugins.Outcome
}

// dismiss ends what was taken over and can't go on.
func (e *Engine) dismiss(fx *effects.List) {
	for _, u := range e.unfit {
		e.finish(u.record, u.outcome, fx)
	}
	e.unfit = nil
}

// closeJournal commits what waits, as far as ctx and the disk allow.
func (e *Engine) closeJournal(ctx context.Context) {
	if e.journal == nil {
		return
	}
	if err := e.journal.Close(ctx); err != nil {
		e.log.Error("journal", "error", err)
	}
}
