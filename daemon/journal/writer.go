package journal

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"
)

const (
	// retryAfter is how long to wait after a write that failed.
	retryAfter = time.Second
	// lazily is how long a change waits at most that nobody waits for, and a new task after
	// a write that failed.
	lazily = 50 * time.Millisecond
	// lookEvery is how often it is looked whether all segments are in their places, while
	// something is written, lookLastEvery the same for the one that is written to.
	lookEvery     = time.Second
	lookLastEvery = 50 * time.Millisecond
	// pieceBytes bounds what is written at once, unless a single change is larger.
	pieceBytes = 1 << 20
	// mostRecords bounds the room that is kept for those of the next write.
	mostRecords = 4096
)

// work is the writer's goroutine. It ends when the journal is closed and nothing waits,
// or what waits can't be written in time.
func (j *Journal) work() {
	for ended := false; !ended; {
		j.pause()
		ended = j.turn()
		j.answers.leave()
	}
	j.answers.close()
}

// turn writes what waits, and sees to all else. It reports whether the journal is closed.
func (j *Journal) turn() (ended bool) {
	j.writing.Lock()
	defer j.writing.Unlock()
	all, closing := j.next()
	kept, err := j.pass(all, closing)
	j.report(err)
	switch {
	case closing && err == nil && j.evacuating() && j.giveUp.Err() == nil:
		j.want()
		j.compact()
	case closing && (j.settledAll(kept) || j.giveUp.Err() != nil):
		j.end()
		return true
	case closing:
		j.want()
	case err == nil:
		j.compact()
	}
	return false
}

// pause waits for something to do, and a little more if nobody waits for it.
func (j *Journal) pause() {
	for {
		wait, giveUp := j.wait()
		if wait <= 0 {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-j.wake:
		case <-giveUp:
		}
		timer.Stop()
	}
}

// forEver is longer than any wait.
const forEver = 365 * 24 * time.Hour

// wait is how long the writer is to wait, unless it is woken.
func (j *Journal) wait() (time.Duration, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	giveUp := j.giveUp.Done()
	switch {
	case j.closing && j.giveUp.Err() != nil:
		return 0, giveUp
	case j.stats.Failing != nil && (j.hurry || j.goesOn): // whoever waits for an answer gets that of the disk as it is now
		return time.Until(j.failedAt.Add(min(lazily, j.options.retryAfter))), giveUp
	case j.stats.Failing != nil:
		return time.Until(j.failedAt.Add(j.options.retryAfter)), giveUp
	case j.hurry, j.goesOn, j.closing && len(j.waiting) > 0:
		return 0, giveUp
	}
	wait := forEver
	if len(j.waiting) > 0 {
		wait = time.Until(j.lazyAt)
	}
	if !j.tidyAt.IsZero() {
		wait = min(wait, time.Until(j.tidyAt))
	}
	return wait, giveUp
}

// next takes all that waits.
func (j *Journal) next() (all []*entry, closing bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tidyAt, j.goesOn = time.Time{}, false
	return j.takeAll(), j.closing
}

// pass writes all, and returns how many have to wait. last: the journal is closed then.
func (j *Journal) pass(all []*entry, last bool) (kept int, err error) {
	if again, err := j.repair(); err != nil {
		return j.refuse(all, err), err
	} else if len(again) > 0 {
		all = append(again, all...)
	}
	if err := j.ready(last); err != nil {
		return j.refuse(all, err), err
	}
	if len(all) == 0 {
		return 0, j.probe()
	}
	if j.Failing() != nil {
		return j.writeOldFirst(all)
	}
	return j.writeAll(all)
}

// writeOldFirst is writeAll after a pass that failed.
func (j *Journal) writeOldFirst(all []*entry) (kept int, err error) {
	old, late := part(all)
	if kept, err = j.writeAll(old); err == nil {
		err = j.log.folder.Reserve()
	}
	if err != nil {
		return kept + j.refuse(late, err), err
	}
	return j.writeAll(late)
}

// part sets new tasks apart from all else: where room is scarce they come last, and have
// none of what was set aside.
func part(all []*entry) (old, late []*entry) {
	held := map[key]bool{} // by new tasks: what follows about them stays behind them
	for _, x := range all {
		if x.fresh && !x.answered || x.touches(held) {
			x.claim(held)
			late = append(late, x)
		} else {
			old = append(old, x)
		}
	}
	return old, late
}

// ready sees to it that there is a segment to write to, and that the log is in its place.
// The segments that are only read are looked at less often: now and then, at a new one,
// and at last.
func (j *Journal) ready(last bool) error {
	full := j.log.spoiled || j.log.active().size >= j.log.limit
	looked := j.log.segments[len(j.log.segments)-1:]
	now := time.Now()
	if j.lookedLast = now; full || last || now.Sub(j.looked) >= lookEvery {
		looked, j.looked = j.log.segments, now
	}
	for _, s := range looked {
		if s.number < j.compaction.evacuate {
			continue // it has been missed before, and is being copied
		}
		if err := j.log.inPlace(s); errors.Is(err, errMoved) {
			return j.rescue(err)
		} else if err != nil {
			return err
		}
	}
	if full {
		return j.turnOver()
	}
	return nil
}

// probe writes a mark: of a sync that nothing else was written after, or to find out
// whether there is room again.
func (j *Journal) probe() error {
	j.mu.Lock()
	failing, synced, idle := j.stats.Failing != nil, j.synced, len(j.unsynced) == 0
	j.mu.Unlock()
	if failing || idle && synced != j.log.marked.synced {
		return j.writePiece(nil)
	}
	return nil
}

// turnOver begins a new segment.
func (j *Journal) turnOver() error {
	if err := j.log.begin(); err != nil {
		return err
	}
	j.began(j.log.active().file)
	return nil
}

// writeAll writes all in pieces. Where one can't be written each change is tried by
// itself: what finds no room waits, and so does what comes after it and is about the
// same. All else may go before: a task that is forgotten makes room.
func (j *Journal) writeAll(all []*entry) (kept int, err error) {
	for len(all) > 0 {
		n, bytes := 0, int64(0)
		for n < len(all) && (n == 0 || bytes+all[n].bytes <= pieceBytes) {
			bytes += all[n].bytes
			n++
		}
		if j.writePiece(all[:n]) != nil {
			return j.writeSingly(all)
		}
		all = all[n:]
	}
	return 0, nil
}

func (j *Journal) writeSingly(all []*entry) (int, error) {
	old, late := part(all)
	if len(old) > 0 {
		j.log.folder.Release()
	}
	kept, err := j.trySingly(old)
	if err == nil && len(old) > 0 {
		err = j.log.folder.Reserve()
	}
	if err == nil {
		late, err = j.trySingly(late)
	}
	if err == nil {
		return 0, nil
	}
	return j.refuse(append(kept, late...), err), err
}

// trySingly writes those of all that it can, and returns the others and why the first of
// them could not be written.
func (j *Journal) trySingly(all []*entry) (kept []*entry, first error) {
	held := map[key]bool{}
	tooMuch := int64(math.MaxInt64)
	for _, x := range all {
		err := first
		if !x.touches(held) && x.bytes < tooMuch {
			err = j.writePiece([]*entry{x})
		}
		if err == nil {
			continue
		}
		first, tooMuch = cmp.Or(first, err), min(tooMuch, x.bytes)
		kept = append(kept, x)
		x.claim(held)
	}
	return kept, first
}

// refuse answers the new tasks among all, puts the rest back, and returns how many that
// are.
func (j *Journal) refuse(all []*entry, err error) int {
	j.fail(err) // before anybody is told
	var kept []*entry
	for _, x := range all {
		if x.fresh && !x.answered {
			j.answer(x, fmt.Errorf("%w: %w", ErrFull, err))
		} else {
			kept = append(kept, x)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.putBack(kept)
	return len(kept)
}

// writePiece writes some entries with one write, all or none.
func (j *Journal) writePiece(piece []*entry) error {
	m := mark{synced: j.syncedTo(), first: j.log.segments[0].number}
	all := j.records[:0]
	err := j.log.write(func(b []byte, p position) []byte {
		if m != j.log.marked || piece == nil {
			b = appendMark(b, p, kindMark, m)
			p.offset += int64(len(b))
		}
		for _, x := range piece {
			from := len(b)
			b, all = x.append(b, p, all)
			p.offset += int64(len(b) - from)
		}
		return b
	})
	if err != nil {
		return err
	}
	j.log.marked = m
	for i := range all {
		j.log.index.note(all[i].record, all[i].at)
	}
	if cap(all) <= mostRecords {
		j.records = all
	}
	j.handOn(piece)
	return nil
}

// report notes how a pass went.
func (j *Journal) report(err error) {
	if err == nil && j.Failing() != nil {
		err = j.log.folder.Reserve()
	}
	j.mu.Lock()
	j.stats.Bytes = j.log.size()
	failing, syncFailed := j.stats.Failing != nil, j.syncFailed
	if err == nil && syncFailed == nil {
		j.stats.Failing = nil
		j.troubled.Store(false)
	}
	j.mu.Unlock()
	switch {
	case err != nil:
		j.fail(err)
	case failing && syncFailed == nil:
		j.options.Log.Info("commits go on")
	}
}

// fail notes that nothing can be written, for now.
func (j *Journal) fail(err error) {
	j.mu.Lock()
	first := j.stats.Failing == nil
	j.stats.Failing, j.failedAt = err, time.Now()
	j.troubled.Store(true)
	j.mu.Unlock()
	if first {
		j.options.Log.Error("can't commit; new tasks are refused, results wait in memory", "error", err)
	}
}

// settledAll reports whether nothing waits any more.
func (j *Journal) settledAll(kept int) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return kept == 0 && len(j.waiting) == 0 && len(j.unsynced) == 0 && j.syncFailed == nil
}

// end notes that the journal is closed in order, if it is, and answers what could not be
// written in time.
func (j *Journal) end() {
	j.mu.Lock()
	j.ended = true
	j.mu.Unlock()
	signal(j.syncWake)
	<-j.syncerEnded
	j.mu.Lock()
	left := append(j.unsynced, j.waiting...)
	files, names, failing := j.files, j.names, j.stats.Failing
	j.mu.Unlock()
	if len(left) == 0 && failing == nil {
		// What nobody waited for, as marks, may stand in several segments.
		if j.endErr = syncFiles(j.log.folder, files, names); j.endErr == nil {
			j.endErr = j.log.finish()
		}
	}
	for _, x := range left {
		j.answer(x, ErrClosed)
	}
}
