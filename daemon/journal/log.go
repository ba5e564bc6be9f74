package journal

import (
	"errors"
	"fmt"
	"os"
)

// log is the segments as they are written. The writer's goroutine alone uses it, once
// the journal is open.
type log struct {
	folder   folder
	limit    int64 // how large a segment becomes, about
	segments []*segment
	index    index
	// start, firstOfBoot and boot go into each segment's head.
	start, firstOfBoot uint64
	boot               string
	// marked is the last mark that was written, or is in the last head.
	marked mark
	// spoiled: the last segment may have something behind its end.
	spoiled bool
	// cut, if it is not zero, is where a torn tail was cut off when the log was opened.
	cut position
	buf []byte
}

// openLog opens the log in a folder, or makes one, and begins a new segment. starts are
// those that a new log is to know of.
func openLog(d folder, boot string, limit int64, starts uint64) (l *log, clean bool, err error) {
	f, err := survey(d, boot)
	if err != nil {
		return nil, false, err
	}
	l = &log{folder: d, limit: limit, segments: f.segments, index: f.index, start: starts + 1, firstOfBoot: starts + 1, boot: boot, marked: f.mark, cut: f.cut}
	if n := len(f.heads); n > 0 {
		last := f.heads[n-1].head
		l.start, l.firstOfBoot = last.start+1, last.start+1
		if last.boot == boot && boot != "" {
			l.firstOfBoot = last.firstOfBoot
		}
	}
	if err = l.mend(f); err == nil {
		err = l.begin()
	}
	if err == nil {
		err = l.settle()
	}
	if err != nil {
		f.close()
		return nil, false, err
	}
	return l, f.clean, nil
}

// mend makes the files what recovery has found, on disk too.
func (l *log) mend(f *found) error {
	for _, s := range l.segments {
		size, err := s.file.Size()
		if err == nil && size > s.size {
			err = s.file.Truncate(s.size)
		}
		if err == nil && (size > s.size || s.number >= f.mark.synced.segment) {
			err = s.file.Sync()
		}
		if err != nil {
			return err
		}
	}
	// Not before the marks are synced that say that some of these are not needed.
	for _, name := range f.rest {
		if err := l.folder.Remove(name); err != nil {
			return err
		}
	}
	return l.folder.Sync()
}

// settle has all that was found synced, and removes the segments that are not needed.
func (l *log) settle() error {
	n := l.dead(l.active().number)
	m := mark{l.end(), l.segments[n].number}
	err := l.write(func(b []byte, p position) []byte { return appendMark(b, p, kindMark, m) })
	if err == nil {
		err = l.active().file.Sync()
	}
	if err == nil {
		err = l.folder.Sync()
	}
	if err != nil {
		return err
	}
	l.marked = m
	return l.remove(l.takeOff(n))
}

func appendMark(b []byte, p position, k kind, m mark) []byte {
	return appendRecord(b, p, func(b []byte) []byte { return m.append(append(b, byte(k))) })
}

// active is the segment that is written to.
func (l *log) active() *segment { return l.segments[len(l.segments)-1] }

// end is where the next record goes.
func (l *log) end() position { return l.active().end() }

// begin begins a new segment. If that fails, nothing has changed.
func (l *log) begin() error {
	h := head{number: max(l.marked.first, 1), mark: l.marked, start: l.start, firstOfBoot: l.firstOfBoot, boot: l.boot}
	if len(l.segments) > 0 {
		h.number, h.before = l.active().number+1, l.active().size
	}
	h.first = h.number
	if len(l.segments) > 0 {
		h.first = l.segments[0].number
	}
	name := segmentName(h.number)
	f, err := l.folder.Create(name)
	if errors.Is(err, os.ErrExist) { // left by an attempt that failed
		if err = l.folder.Remove(name); err == nil {
			f, err = l.folder.Create(name)
		}
	}
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(h.encode(), 0); err != nil {
		return errors.Join(err, f.Close(), l.folder.Remove(name))
	}
	l.segments = append(l.segments, &segment{number: h.number, file: f, size: headBytes})
	l.marked, l.spoiled = h.mark, false
	return nil
}

// write writes records at the end of the log: fill appends them to a buffer, given where
// that begins. If it fails, nothing has changed.
func (l *log) write(fill func(b []byte, p position) []byte) error {
	s := l.active()
	l.buf = fill(l.buf[:0], s.end())
	if _, err := s.file.WriteAt(l.buf, s.size); err != nil {
		if cut := s.file.Truncate(s.size); cut != nil {
			l.spoiled = true
		}
		return err
	}
	s.size += int64(len(l.buf))
	if cap(l.buf) > 4<<20 {
		l.buf = nil
	}
	return nil
}

// inPlace checks that a segment is where it was made, and that nothing was cut off it.
func (l *log) inPlace(s *segment) error {
	if err := l.folder.Holds(segmentName(s.number), s.file); err != nil {
		return fmt.Errorf("%w: %w", errMoved, err)
	}
	size, err := s.file.Size()
	if err == nil && size < s.size {
		err = fmt.Errorf("%s: %w: it has %d bytes and should have %d", l.folder.Path(segmentName(s.number)), ErrCorrupt, size, s.size)
	}
	return err
}

var errMoved = errors.New("the journal is no longer in its place")

// cutOff takes everything behind p off the log.
func (l *log) cutOff(p position) error {
	for l.active().number > p.segment {
		s := l.active()
		if err := l.folder.Remove(segmentName(s.number)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		l.segments = l.segments[:len(l.segments)-1]
		if err := s.file.Close(); err != nil {
			return err
		}
	}
	s := l.active()
	if err := s.file.Truncate(p.offset); err != nil {
		return err
	}
	s.size = p.offset
	return nil
}

// finish notes that the log is closed in order. All of it must be synced.
func (l *log) finish() error {
	m := mark{l.end(), l.segments[0].number}
	if err := l.write(func(b []byte, p position) []byte { return appendMark(b, p, kindClosed, m) }); err != nil {
		return err
	}
	return l.active().file.Sync()
}

// size is what all segments take on disk.
func (l *log) size() (n int64) {
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

// live is about how much of a segment is needed.
func (l *log) live(s *segment) int64 { return l.index.live[uint32(s.number)] }

// dead returns how many of the oldest segments are no longer needed, of those before
// one.
func (l *log) dead(before uint64) (n int) {
	for l.segments[n].number < before && l.live(l.segments[n]) <= 0 {
		n++
	}
	return n
}

// takeOff takes the n oldest segments off the log.
func (l *log) takeOff(n int) []*segment {
	old := l.segments[:n:n]
	l.segments = l.segments[n:]
	for _, s := range old {
		delete(l.index.live, uint32(s.number))
	}
	return old
}

// remove removes the files of segments that were taken off, which the log on disk must
// say already.
func (l *log) remove(old []*segment) error {
	var all error
	for _, s := range old {
		err := l.folder.Remove(segmentName(s.number))
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		all = errors.Join(all, s.file.Close(), err)
	}
	return all
}

func (l *log) close() error {
	var all error
	for _, s := range l.segments {
		all = errors.Join(all, s.file.Close())
	}
	return all
}
