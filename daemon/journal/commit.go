package journal

import (
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// entry is what one call of Append wants to have committed.
type entry struct {
	changes []change
	// fresh: a new task is among it, so it fails rather than wait for room.
	fresh bool
	// urgent: somebody waits for it.
	urgent bool
	done   func(error)
}

// retryAfter is how long to wait after a commit that failed.
const retryAfter = time.Second

// Append has ops committed, all or none. It does not wait for the disk. done,
// which may be nil, is called once: after the commit, from the journal's own
// goroutine and in the order of the calls, or with Sync Interval unless wait, at
// once. done must not block.
//
// For a new task that can't be committed it is called with ErrFull; everything else is
// kept in memory and tried again until it is committed, or until Close.
func (j *Journal) Append(done func(error), wait bool, ops ...Op) {
	x := &entry{done: done, urgent: wait || j.options.Sync == Group}
	for i := range ops {
		if a := ops[i].Accepted; a != nil {
			x.fresh = true
			a.Boot = j.boot
		}
		x.changes = ops[i].encode(x.changes)
	}
	if err := j.take(x); err != nil {
		x.answer(err)
		return
	}
	j.signal()
	if !x.urgent && done != nil {
		done(nil)
	}
}

// take puts x into the line, or says why not.
func (j *Journal) take(x *entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closing:
		return ErrClosed
	case x.fresh && j.stats.Failing != nil:
		return fmt.Errorf("%w: %w", ErrFull, j.stats.Failing)
	}
	j.waiting = append(j.waiting, x)
	return nil
}

func (x *entry) answer(err error) {
	if x.done != nil {
		x.done(err)
	}
}

func (j *Journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// maxVerdicts bounds how far commits get ahead of their answers.
const maxVerdicts = 16

// work is the committer's goroutine. It ends when the journal is closed and
// nothing waits, or what waits can't be committed in time.
func (j *Journal) work() {
	defer close(j.verdicts)
	for {
		j.pause()
		all, closing := j.next()
		if len(all) == 0 {
			if closing {
				return
			}
			continue
		}
		kept := j.commit(all)
		if len(kept) > 0 && j.hopeless() {
			j.finish(kept, ErrClosed)
			return
		}
		j.putBack(kept)
	}
}

// pause waits for something to do, and with Sync Interval for its time.
func (j *Journal) pause() {
	j.mu.Lock()
	failing, idle, closing := j.stats.Failing != nil, len(j.waiting) == 0, j.closing
	urgent := j.urgent()
	j.mu.Unlock()
	switch {
	case failing && !idle:
		j.sleep(retryAfter)
	case idle && !closing:
		<-j.wake
	}
	if j.options.Sync == Interval && !urgent && !closing {
		for until := time.Now().Add(j.options.Interval); time.Now().Before(until); {
			if j.sleep(time.Until(until)); j.hurried() {
				return
			}
		}
	}
}

// sleep waits for d, or for a signal.
func (j *Journal) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-j.wake:
	}
}

// hurried reports whether a commit should not wait for its interval.
func (j *Journal) hurried() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closing || j.urgent()
}

func (j *Journal) urgent() bool {
	for _, x := range j.waiting {
		if x.urgent {
			return true
		}
	}
	return false
}

// next takes all that waits.
func (j *Journal) next() (all []*entry, closing bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	all, j.waiting = j.waiting, nil
	return all, j.closing
}

// hopeless: the journal is being closed, and there is no more time.
func (j *Journal) hopeless() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closing && j.giveUp.Err() != nil
}

// putBack has what could not be committed go before all that came since.
func (j *Journal) putBack(kept []*entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.waiting = append(kept, j.waiting...)
}

// commit commits all, answers, and returns what is to be tried again: if there is
// no room for all, perhaps there is without the new tasks.
func (j *Journal) commit(all []*entry) []*entry {
	err := j.write(all)
	if err == nil {
		j.finish(all, nil)
		return nil
	}
	var fresh, kept []*entry
	for _, x := range all {
		if x.fresh && x.urgent { // one that is not has been told yes already
			fresh = append(fresh, x)
		} else {
			kept = append(kept, x)
		}
	}
	if len(fresh) > 0 && len(kept) > 0 && j.write(kept) == nil {
		j.finish(kept, nil)
		kept = nil
	}
	j.finish(fresh, fmt.Errorf("%w: %w", ErrFull, err))
	return kept
}

// verdict is what became of some entries.
type verdict struct {
	entries []*entry
	err     error
}

// finish has the entries answered, while the next commit is under way already.
func (j *Journal) finish(all []*entry, err error) { j.verdicts <- verdict{all, err} }

// answer is the goroutine that calls back, in order.
func (j *Journal) answer() {
	defer close(j.answered)
	for v := range j.verdicts {
		for _, x := range v.entries {
			x.finish(v.err)
		}
	}
}

// finish answers, unless that was done when it was appended.
func (x *entry) finish(err error) {
	if x.urgent {
		x.answer(err)
	}
}

// write is one transaction.
func (j *Journal) write(all []*entry) error {
	started, count := time.Now(), 0
	err := j.db.Update(func(tx *bbolt.Tx) error {
		for _, x := range all {
			for _, c := range x.changes {
				if err := c.apply(tx); err != nil {
					return err
				}
				count++
			}
		}
		return nil
	})
	took := time.Since(started)
	j.mu.Lock()
	failed := j.stats.Failing != nil
	if j.stats.Failing = err; err == nil {
		j.stats.Commits++
		j.stats.LastCommit = took
	}
	j.mu.Unlock()
	switch {
	case err != nil && !failed:
		j.options.Log.Error("can't commit; new tasks are refused, results wait in memory", "error", err)
	case err == nil && failed:
		j.options.Log.Info("commits go on")
	}
	if err == nil && j.options.Observe != nil {
		j.options.Observe(took, count)
	}
	return err
}
