package journal

import "time"

// Write writes what was added, unless somebody writes already: then the writer's goroutine
// does, with all that has gathered by then. So a change that comes alone needs no other
// goroutine. The caller may have to wait for the disk, but for nobody else.
func (j *Journal) Write() {
	if !j.added.Swap(false) {
		return
	}
	if j.writing.TryLock() {
		j.attempt()
		j.writing.Unlock()
		if j.left() {
			signal(j.wake)
		}
	} // else who writes looks again when he has
	j.answers.give()
}

// WriteSoon is Write for who must not wait: the writer's goroutine writes.
func (j *Journal) WriteSoon() {
	if j.added.Swap(false) {
		signal(j.wake)
	}
}

// attempt writes what waits if there is nothing else to see to.
func (j *Journal) attempt() {
	now := time.Now()
	if s := j.log.active(); j.log.spoiled || s.size >= j.log.limit || now.Sub(j.looked) >= lookEvery {
		return
	} else if now.Sub(j.lookedLast) >= lookLastEvery {
		if j.log.inPlace(s) != nil {
			return
		}
		j.lookedLast = now
	}
	all := j.lone()
	if len(all) == 0 {
		return
	}
	err := j.writePiece(all)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil { // which the writer's goroutine will find, too
		j.putBack(all)
		j.hurry = true
	}
	j.stats.Bytes = j.log.size()
}

// lone takes all that waits, if somebody waits for that, it is not much and nothing has
// failed.
func (j *Journal) lone() (all []*entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.hurry || j.closing || j.waits > pieceBytes || j.stats.Failing != nil || j.syncFailed != nil {
		return nil
	}
	return j.takeAll()
}

// takeAll takes all that waits. j.mu is held.
func (j *Journal) takeAll() (all []*entry) {
	all, j.waiting, j.waits, j.hurry = j.waiting, nil, 0, false
	return all
}

// putBack puts some before what waits. j.mu is held.
func (j *Journal) putBack(some []*entry) {
	for _, x := range some {
		j.waits += x.bytes
	}
	j.waiting = append(some, j.waiting...)
}

// left reports whether there is something for the writer's goroutine.
func (j *Journal) left() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.hurry || len(j.waiting) > 0
}
