package daemon

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/effects"
	"cpulb/daemon/journal"
	"cpulb/daemon/ledger"
	"cpulb/daemon/queue"
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
	folder := filepath.Join(e.options.StateDir, journalFolder)
	j, err := journal.Open(folder,
		journal.Options{Interval: c.Interval, MachineBoot: e.options.MachineBoot, Log: e.log.Named("journal"), Observe: e.metrics.committed,
			Answered: e.answered})
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	e.journal = j
	if err := e.serve(folder); err != nil {
		e.closeJournal(context.Background())
		return err
	}
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
	var all []unfinished
	var gone []ledger.Tombstone
	for saved, err := range j.Recover() {
		if err != nil {
			return known, waiting, err
		}
		if saved.Tombstone != nil {
			gone = append(gone, e.restoreTombstone(&saved)...)
			continue
		}
		known++
		if u := e.takeOver(&saved, j.Start()); u.record != nil {
			all = append(all, u)
		}
	}
	e.forgetTombstones(gone, nil)
	e.restoreBatches(j)
	if !j.Clean() {
		e.blame(all)
	}
	for _, u := range all {
		e.requeueRestored(u)
	}
	e.locked(func() {
		var fx effects.List
		next, times := e.turns.Begin(e.uptime())
		e.takeTurn(next, times, &fx)
	})
	return known, len(all), nil
}

// restoreBatches gives the batches of the tasks that were restored what else is known of
// them, and forgets the others.
func (e *Engine) restoreBatches(j *journal.Journal) {
	for id, b := range j.Batches() {
		joined := make([]int64, len(b.Joined))
		for i, at := range b.Joined {
			joined[i] = at.UnixNano()
		}
		if !e.store.RestoreBatch(id, b.Owner, b.Gone, joined) {
			j.Append(journal.Whenever, nil, journal.Op{Batch: &b, Forget: true})
		}
	}
	e.store.SortEnds()
}

// unfinished is a task of the journal's that has not ended.
type unfinished struct {
	record   *ledger.Record
	progress journal.Progress
	// ran: a worker may have had it when the daemon died.
	ran bool
	// start is the one of the journal at which it was noted for how long it waits.
	start uint64
	// lost is why it can't go on; nil: it can.
	lost error
}

// takeOver restores one task from the journal, and returns it if it is unfinished.
func (e *Engine) takeOver(s *journal.Saved, start uint64) (u unfinished) {
	r := ledger.NewRecord(s.Task, s.Owner)
	r.Schedule, r.Lives = s.Schedule, uint32(start-s.Start)
	p, err := e.poolForLocked(r.Task, access.Identity{})
	if err != nil {
		p = e.fleet.PoolsLocked()[0] // it ends at once, and a view names a pool
	}
	r.Pool = p
	if p := s.Progress; p != nil {
		u.progress = *p
		r.Attempts, r.Retries, r.Deaths = uint32(p.Attempts), uint32(p.Retries), uint32(p.Deaths)
		r.Losses, r.Suspect = uint32(p.Losses), p.Suspect
		r.Faults, r.FaultsRun = uint8(p.Faults), uint8(p.FaultsRun)
	}
	r.Mark()
	r.RestoreLog(s.Events, s.Chunk, e.eventBounds())
	e.store.Restore(r, s.Submitted, e.submittedAt(s))
	e.store.Join(r, s.Batch)
	e.recallSchedule(r)
	if s.Ended != nil {
		uptime := e.uptimeThen(s.Ended.Uptime, s.Ended.Start, s.Ended.Result.FinishedAt)
		e.store.RestoreEnd(r, s.Ended.Result, s.Ended.Cursor, uptime, s.Ended.Order)
		return unfinished{}
	}
	u.record, u.ran, u.start, u.lost = r, u.progress.Dispatched, s.Start, err
	if !u.progress.NotBefore.IsZero() {
		u.start = u.progress.Start
	}
	return u
}

// blame deals with the death of the daemon before this one, which may have died of a task
// that ran. A machine that went down with it says nothing of that.
func (e *Engine) blame(all []unfinished) {
	var ran []*ledger.Record
	for _, u := range all {
		if u.ran && e.journal.Comparable(u.progress.Start) {
			ran = append(ran, u.record)
		}
	}
	if len(ran) == 0 {
		return
	}
	blamed := ledger.Lose(ran)
	e.log.Warn("the daemon before this one did not stop in order", "running_tasks", len(ran))
	if blamed != nil {
		e.log.Warn("a task ran alone when the daemon died, or with every daemon that died", "task_id", blamed.Task.ID,
			"script_path", blamed.Task.ScriptPath, "times", blamed.Losses, "deaths", blamed.Deaths)
	}
}

// requeueRestored queues a task again, or notes how it ends if it may not run again.
func (e *Engine) requeueRestored(u unfinished) {
	r := u.record
	switch {
	case u.lost != nil:
		e.unfit = append(e.unfit, unfit{r, failure("NoSuchPool", "no_such_pool", u.lost.Error())})
	case u.progress.Stopping:
		e.unfit = append(e.unfit, unfit{r, cancelled()})
	case u.ran && once(r):
		e.unfit = append(e.unfit, unfit{r, failure("DaemonLost", "daemon_lost",
			"the daemon died while it ran this task, which must not run twice")})
	case r.Deaths >= ledger.MostDeaths:
		e.unfit = append(e.unfit, unfit{r, failure("WorkerLost", "worker_lost",
			"the daemon died while it ran this task and nothing else that can be to blame, as it or a worker had done before")})
	default:
		e.queueRestored(u)
	}
}

// queueRestored queues a task again that goes on.
func (e *Engine) queueRestored(u unfinished) {
	r := u.record
	if r.Attempts > 0 {
		e.waitsAgain(r)
	}
	entry := entryFor(r)
	entry.Times = e.restoredTimes(r, &u.progress)
	wait := e.waitUntil(entry.Due)
	if r.InDoubt() {
		entry.Due = max(entry.Due, e.uptime()+ledger.Doubt)
	}
	if r.TakesTurns() {
		e.turns.Add(r, entry.Times)
		entry.Held = true
	}
	if r.Item = e.queue.Restore(e.moment(), r, entry); r.Item.Place() == queue.Ready {
		_ = e.store.Move(r, ledger.Ready) // it is Delayed
	}
	if r.HasLog() {
		r.NoteStatus("the daemon was restarted", e.eventBounds()) // nobody watches yet
		e.saveSoon(r)
	}
	if u.ran || wait != (queue.Now{}) && !e.journal.Comparable(u.start) {
		e.noteLocked(r, journal.Written, wait) // it does not run now, or would wait anew at each start
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
		if r := u.record; u.outcome.Error.Code == "worker_lost" {
			e.poisoned(r, poolOf(r), "the daemon died of this task", "", fx)
		}
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
