package journal

import (
	"fmt"
	"time"
)

// unsyncedBytes are so many that a sync does not wait for its time.
const unsyncedBytes = 16 << 20

// leastLinger is about what a worker and the way there take of a short task's time.
const leastLinger = 300 * time.Microsecond

// syncing is what the writer and the syncer share; Journal.mu guards it.
type syncing struct {
	// written and synced are up to where the log is.
	written, synced position
	// unsynced are the entries between them, in their order; bytes is about their size.
	unsynced []*entry
	bytes    int64
	// files are those that have something that is not synced, the last one is written to.
	files []file
	// names: there is a new name in the folder.
	names bool
	// wanted: somebody waits for a sync, or for all that is written. lingerTo is until when
	// those wait that linger, lazyTo until when those wait whom nobody waits for; zero: there are
	// none.
	wanted           bool
	lingerTo, lazyTo time.Time
	// alarm is the timer for these, and alarmAt when it goes off; zero: never. It is left alone
	// where they are met sooner: each change of a timer may wake a thread.
	alarm   *time.Timer
	alarmAt time.Time
	// held, which may be nil, is until when there is no sync, and with what error it ends then.
	held chan error
	// dropping: the writer waits for a sync to remove what is no longer needed.
	dropping bool
	// syncFailed is why the last sync failed, until the writer has seen to it.
	syncFailed error
	ended      bool
}

// began notes that a new segment is written to.
func (j *Journal) began(f file) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.files, j.names = append(j.files, f), true
	j.written = j.log.end()
	j.syncLater()
}

// handOn answers what need only be written, and leaves the rest to the syncer.
func (j *Journal) handOn(piece []*entry) {
	j.mu.Lock()
	j.written = j.log.end()
	first := len(j.unsynced) == 0
	for _, x := range piece {
		j.unsynced = append(j.unsynced, x)
		j.bytes += x.bytes
		if x.need == Synced && x.linger > 0 {
			j.linger(x.linger)
		} else if x.need == Synced {
			j.wanted = true
		}
	}
	j.wanted = j.wanted || j.bytes > unsyncedBytes
	if first && len(j.unsynced) > 0 {
		j.syncLater()
	}
	wake := j.wanted
	j.mu.Unlock()
	for _, x := range piece {
		if x.need < Synced {
			j.answer(x, nil)
		}
	}
	if wake {
		signal(j.syncWake)
	}
}

// syncLater has what nobody waits for synced when Options.Interval has passed. j.mu is held.
func (j *Journal) syncLater() {
	if j.lazyTo.IsZero() {
		j.lazyTo = time.Now().Add(j.options.Interval)
		j.alarmBy(j.lazyTo)
	}
}

// linger has a sync come within d at the latest, or within what two take: one that comes too
// early costs the one that is behind it as much. j.mu is held.
func (j *Journal) linger(d time.Duration) {
	d = min(d, max(2*j.stats.LastCommit, leastLinger))
	if to := time.Now().Add(d); j.lingerTo.IsZero() || to.Before(j.lingerTo) {
		j.lingerTo = to
		j.alarmBy(to)
	}
}

// alarmBy has the alarm go off by then. j.mu is held.
func (j *Journal) alarmBy(to time.Time) {
	if j.alarmAt.IsZero() || to.Before(j.alarmAt) {
		j.alarmAt = to
		j.alarm.Reset(time.Until(to))
	}
}

// alarmed asks for a sync if one is due, and sees to the next alarm.
func (j *Journal) alarmed() {
	j.mu.Lock()
	now, due := time.Now(), false
	j.alarmAt = time.Time{}
	for _, to := range []time.Time{j.lingerTo, j.lazyTo} {
		switch {
		case to.IsZero():
		case to.After(now):
			j.alarmBy(to)
		default:
			due = true
		}
	}
	j.mu.Unlock()
	if due {
		j.want()
	}
}

// syncedTo returns up to where the log is synced.
func (j *Journal) syncedTo() position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.synced
}

// sync is the syncer's goroutine: one fdatasync for all who wait. What nobody waits for
// is synced after Options.Interval.
func (j *Journal) sync() {
	defer close(j.syncerEnded)
	for range j.syncWake {
		for j.syncIfWanted() {
		}
		j.mu.Lock()
		ended := j.ended
		j.mu.Unlock()
		if ended {
			return
		}
	}
}

// want asks for a sync.
func (j *Journal) want() {
	j.mu.Lock()
	j.wanted = true
	j.mu.Unlock()
	signal(j.syncWake)
}

// syncIfWanted syncs all that is written by now, if somebody waits for that.
func (j *Journal) syncIfWanted() bool {
	j.mu.Lock()
	if j.syncFailed != nil { // the writer sees to that first
		j.wanted = false
	}
	if !j.wanted || j.ended {
		j.mu.Unlock()
		return false
	}
	files, names, count, upTo, held := j.files, j.names, len(j.unsynced), j.written, j.held
	j.wanted, j.names = false, false
	j.lingerTo, j.lazyTo = time.Time{}, time.Time{}
	j.mu.Unlock()
	started := time.Now()
	err := j.await(held)
	if err == nil {
		err = syncFiles(j.log.folder, files, names)
	}
	j.settled(err, time.Since(started), count, upTo, len(files)-1)
	return true
}

// HoldSyncs has syncs take until release is called, as on a slow disk; the one that goes on
// by then ends with err. It is for tests of who waits for them.
func (j *Journal) HoldSyncs() (release func(err error)) {
	held := make(chan error, 1)
	j.mu.Lock()
	j.held = held
	j.mu.Unlock()
	return func(err error) {
		j.mu.Lock()
		j.held = nil
		j.mu.Unlock()
		held <- err
		close(held)
	}
}

func (j *Journal) await(held chan error) error {
	if held == nil {
		return nil
	}
	return <-held
}

func syncFiles(d folder, files []file, names bool) error {
	if names {
		if err := d.Sync(); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// settled answers after a sync, or leaves it to the writer to repair what failed.
func (j *Journal) settled(err error, took time.Duration, count int, upTo position, oldFiles int) {
	j.mu.Lock()
	if err != nil {
		j.syncFailed = err
		j.mu.Unlock()
		j.fail(err)
		signal(j.wake)
		return
	}
	done := j.unsynced[:count:count]
	j.unsynced = j.unsynced[count:]
	j.files = j.files[oldFiles:]
	j.synced = upTo
	changes := 0
	for _, x := range done {
		j.bytes -= x.bytes
		changes += max(len(x.ops), len(x.raw))
	}
	j.stats.Commits++
	j.stats.LastCommit = took
	wake := j.tidyAt.IsZero() // for the mark of it, and what may be removed now
	if wake {
		j.tidyAt = time.Now().Add(lazily)
	}
	if j.closing || j.dropping {
		j.goesOn, j.dropping, wake = true, false, true
	}
	busy := j.wanted
	if len(j.unsynced) > 0 || j.names {
		j.syncLater()
	}
	j.mu.Unlock()
	for _, x := range done {
		if x.need == Synced {
			j.answer(x, nil)
		}
	}
	clear(done) // what j.unsynced is a part of has them still
	if wake {
		signal(j.wake)
	}
	if busy {
		j.answers.leave()
	} else {
		j.answers.give()
	}
	if j.options.Observe != nil {
		j.options.Observe(took, changes)
	}
}

// repair sees to a sync that failed: what the log has behind the last one that did not
// is no longer certain, whatever later ones say. It is cut off; repair returns what is to
// be written again, to a new segment.
func (j *Journal) repair() (again []*entry, err error) {
	j.mu.Lock()
	failed, synced := j.syncFailed, j.synced
	j.mu.Unlock()
	if failed == nil {
		return nil, nil
	}
	j.keepDropping()
	if err := j.log.cutOff(synced); err != nil {
		return nil, err
	}
	if err := j.log.begin(); err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, x := range j.unsynced {
		if x.fresh && !x.answered {
			j.log.index.refuse(x)
			j.answer(x, fmt.Errorf("%w: %w", ErrFull, failed))
		} else {
			again = append(again, x)
		}
	}
	j.unsynced, j.bytes = nil, 0
	j.files, j.names = []file{j.log.active().file}, true
	j.written = j.log.end()
	j.syncFailed, j.wanted = nil, true
	signal(j.syncWake)
	return again, nil
}
