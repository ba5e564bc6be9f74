package journal

import (
	"errors"
	"fmt"
	"slices"
)

// What is still needed of the oldest segment is copied to the end of the log, in small
// steps between the writes; then the segment goes. The log is copied while it is larger
// than twice what is needed of it and two segments more, or has too many small ones.

const (
	// stepBytes is about what is looked at in one step.
	stepBytes = 256 << 10
	// fewSegments are not too many, however small.
	fewSegments = 8
)

// compaction is how far that has come. The writer alone uses it.
type compaction struct {
	// at is up to where the oldest segment has been copied; 0: it has not.
	at int64
	// evacuate: all segments before this one are copied, whatever their size.
	evacuate uint64
	// dropping are the segments that go once the log is synced up to dropAt, where a
	// mark says that they are not needed; the zero position: it does not yet.
	dropping []*segment
	dropAt   position
	// damaged: the oldest segment can't be read any more.
	damaged bool
}

// oversize reports whether the oldest segment is to be copied.
func (l *log) oversize() bool {
	size := l.size()
	return size > 2*l.index.total()+2*l.limit || int64(len(l.segments)) > fewSegments+2*size/l.limit
}

// compact takes one step, if one is to be taken.
func (j *Journal) compact() {
	c := &j.compaction
	synced := j.syncedTo().segment // a segment that is not synced may have to be written again
	var err error
	switch {
	case len(c.dropping) > 0:
		err = j.drop()
	case j.log.dead(synced) > 0:
		c.dropping, c.at = j.log.takeOff(j.log.dead(synced)), 0
		j.again()
	case c.damaged || j.log.segments[0].number >= synced:
	case j.log.segments[0].number < c.evacuate || j.log.oversize():
		err = j.copyStep(j.log.segments[0])
	}
	if err != nil {
		j.report(err)
	}
}

// drop removes the segments that were taken off, once that can be read from the log.
func (j *Journal) drop() error {
	c := &j.compaction
	switch {
	case c.dropAt == position{}:
		if err := j.writePiece(nil); err != nil {
			return err
		}
		c.dropAt = j.log.end()
		j.mu.Lock()
		j.dropping = true
		j.mu.Unlock()
		j.want()
	case !j.syncedTo().before(c.dropAt):
		old := c.dropping
		c.dropping, c.dropAt = nil, position{}
		j.again()
		return j.log.remove(old)
	}
	return nil
}

// keepDropping puts the segments back that were taken off and are not removed yet: what
// stood for them, copied or later, may be cut off, and until that is written again no head
// and no mark may say that they are not needed.
func (j *Journal) keepDropping() {
	c := &j.compaction
	j.log.segments = append(c.dropping, j.log.segments...)
	c.dropping, c.dropAt, c.at = nil, position{}, 0
}

// copyStep copies some of what is needed of a segment to the end of the log.
func (j *Journal) copyStep(s *segment) error {
	c := &j.compaction
	from := max(c.at, headBytes)
	x, next, err := j.log.collect(s, from)
	if err != nil {
		c.damaged = true
		j.options.Log.Error("an old segment can't be read; nothing is removed from here on", "error", err)
		return nil
	}
	if len(x.raw) > 0 {
		if err := j.writePiece([]*entry{x}); err != nil {
			return err
		}
	}
	if c.at = next; next >= s.size {
		delete(j.log.index.live, uint32(s.number)) // all of it has been copied
	}
	j.again()
	return nil
}

// collect returns what is needed of a segment from offset on, as far as it is looked at,
// and how far that is.
func (l *log) collect(s *segment, offset int64) (x *entry, next int64, err error) {
	x = &entry{}
	data := make([]byte, min(stepBytes, s.size-offset))
	if len(data) > 0 {
		if _, err := s.file.ReadAt(data, offset); err != nil {
			return x, offset, err
		}
	}
	for next = offset; next < s.size; {
		p := s.at(next)
		r, payload, err := payloadOf(data[next-offset:], p)
		if errors.Is(err, errCut) && next > offset {
			break
		}
		if errors.Is(err, errCut) {
			r, payload, err = s.read(next) // it is larger than a step
		}
		if err != nil {
			return x, next, l.corrupt(p, err)
		}
		if l.index.needs(r, p) {
			payload[0] &^= byte(more)
			x.raw = append(x.raw, payload)
			x.bytes += r.size
		}
		if next += r.size; next-offset >= stepBytes {
			break
		}
	}
	return x, next, nil
}

// rescue makes the log whole again after its folder or one of its segments was moved or
// removed: all segments are still open, and what is needed of them is copied to
// new ones.
func (j *Journal) rescue(why error) error {
	if err := j.log.folder.Restore(); err != nil {
		return fmt.Errorf("%w: %w", why, err)
	}
	names, err := j.log.folder.List()
	if err != nil {
		return fmt.Errorf("%w: %w", why, err)
	}
	for _, name := range names {
		if j.ofAnother(name) {
			return fmt.Errorf("%w: another journal is there", why)
		}
	}
	if err := j.log.begin(); err != nil {
		return fmt.Errorf("%w: %w", why, err)
	}
	j.began(j.log.active().file)
	j.compaction.evacuate, j.compaction.at = j.log.active().number, 0
	if err := j.log.folder.Reserve(); err != nil {
		j.fail(err)
	}
	j.options.Log.Error("the journal was moved or removed; it is written anew", "error", why)
	j.want()
	return nil
}

// ofAnother reports whether a segment of another journal has this name.
func (j *Journal) ofAnother(name string) bool {
	n, ok := segmentNumber(name)
	if !ok {
		return false
	}
	for _, s := range slices.Concat(j.compaction.dropping, j.log.segments) {
		if s.number == n && j.log.folder.Holds(name, s.file) == nil {
			return false
		}
	}
	if n > j.log.active().number {
		return true
	}
	f, err := j.log.folder.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	start, err := content(f, headBytes)
	if err != nil {
		return false
	}
	_, err = parseHead(start, n)
	return err == nil
}

// evacuating reports whether what was moved away is not wholly written anew.
func (j *Journal) evacuating() bool {
	c := &j.compaction
	return c.evacuate > 0 && !c.damaged && (j.log.segments[0].number < c.evacuate || len(c.dropping) > 0)
}

// again has the writer go on without waiting.
func (j *Journal) again() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.goesOn = true
}
