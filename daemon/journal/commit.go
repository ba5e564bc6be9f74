package journal

import (
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// entry is what one call of Append wants to have committed.
type entry struct {
	ops []Op
	// fresh: a new task is among it, so it fails rather than wait for room.
	fresh bool
	// urgent: somebody waits for it.
	urgent bool
	bytes  int64 // about, in memory
	done   func(error)
}

const (
	// retryAfter is how long to wait after a commit that failed.
	retryAfter = time.Second
	// lazily is how long a change waits at most that nobody waits for.
	lazily = 50 * time.Millisecond
)

// Append has ops committed, all or none, in the order of the calls. It does not wait for
// anything, so it may be called under a lock. done, which may be nil, is called once: when
// need is met, from the journal's own goroutine and in the order of the calls. done must
// not block. What ops refer to must not change any more.
//
// For a new task that can't be committed done is called with ErrFull; everything else is
// kept in memory and tried again until it is committed, or until Close (ErrClosed).
func (j *Journal) Append(need Need, done func(error), ops ...Op) {
	x := &entry{ops: ops, done: done, urgent: need > Whenever}
	for i := range ops {
		x.fresh = x.fresh || ops[i].Accepted != nil
		x.bytes += ops[i].size()
		ops[i].stamp(j.start)
	}
	if err := j.take(x); err != nil {
		j.answers.add(done, err)
		return
	}
	j.signal()
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

func (j *Journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// work is the committer's goroutine. It ends when the journal is closed and
// nothing waits, or what waits can't be committed in time.
func (j *Journal) work() {
	defer j.answers.close()
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

// pause waits for something to do, and a little more if nobody waits for it.
func (j *Journal) pause() {
	j.mu.Lock()
	failing, idle, closing := j.stats.Failing != nil, len(j.waiting) == 0, j.closing
	j.mu.Unlock()
	switch {
	case failing && !idle:
		j.sleep(retryAfter)
	case idle && !closing:
		<-j.wake
	}
	for until := time.Now().Add(lazily); time.Now().Before(until) && !j.hurried(); {
		j.sleep(time.Until(until))
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

// hurried reports whether a commit should not wait for more.
func (j *Journal) hurried() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, x := range j.waiting {
		if x.urgent {
			return true
		}
	}
	return j.closing
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
		if x.fresh {
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

// finish has the entries answered, while the next commit is under way already.
func (j *Journal) finish(all []*entry, err error) {
	for _, x := range all {
		j.answers.add(x.done, err)
	}
}

// write is one transaction.
func (j *Journal) write(all []*entry) error {
	started, count := time.Now(), 0
	err := j.db.Update(func(tx *bbolt.Tx) error {
		for _, x := range all {
			var changes []change
			for i := range x.ops {
				changes = x.ops[i].encode(changes)
			}
			for _, c := range changes {
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
