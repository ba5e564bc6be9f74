package journal

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Recovery reads all segments, oldest first, and checks every record. Where one can't be
// read, the log may have been cut off there by the end of the process or of the machine;
// else it is damaged. It was cut off if nothing from there on is known to have been synced:
// segments' heads and marks say up to where that had come, and any that stands behind the
// bad place counts. Within one boot of the machine there is more to go by: what a process
// has written stays in its order, so only the last record of all can be a part.
//
// What was cut off is removed. A journal that is refused is not changed.

// found is what recovery has read.
type found struct {
	segments []*segment
	heads    []opening
	index    index
	// mark is the highest that is known.
	mark mark
	// bad is the first place that can't be read; nil: all can. later are the first
	// segments that are needed by what is said behind it.
	bad   *damaged
	later []uint64
	// clean: the log ends with a kindClosed.
	clean bool
	// cut, if it is not zero, is where the log is to be cut off.
	cut position
	// rest are the segments after that, and those that are no longer needed.
	rest []string
}

// opening is the head of a segment, or why it can't be read.
type opening struct {
	head head
	err  error
}

// damaged is a place that can't be read, and why.
type damaged struct {
	at   position
	why  error
	last bool // there is nothing after what can't be read
}

// survey reads the log.
func survey(d folder, boot string) (*found, error) {
	names, err := d.List()
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, name := range names {
		if n, ok := segmentNumber(name); ok {
			numbers = append(numbers, n)
		}
	}
	l, err := readFrom(d, numbers, 0)
	for err == nil {
		switch first := l.skips(d, numbers); {
		case first > 0:
			l.close()
			l, err = readFrom(d, numbers, first)
			continue
		case l.bad == nil:
			return l, nil
		}
		if err = l.judge(d, boot); err == nil {
			return l, nil
		}
		l.close()
	}
	return nil, err
}

// readFrom reads the segments from the one with the number first on.
func readFrom(d folder, numbers []uint64, first uint64) (*found, error) {
	l := &found{index: newIndex()}
	i, _ := slices.BinarySearch(numbers, first)
	for _, n := range numbers[:i] {
		l.rest = append(l.rest, segmentName(n))
	}
	if err := l.read(d, numbers[i:]); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// skips returns the first segment that is needed, if there are others before it, which
// were to be removed; 0: there are none. What can't be read may be in one of these, of
// which the end of the machine has left some. A mark behind it tells if the log can be
// read from the segment that it names up to the mark itself: what was copied is there.
func (l *found) skips(d folder, numbers []uint64) uint64 {
	if len(l.segments) > 0 && l.mark.first > l.segments[0].number {
		return l.mark.first
	}
	if l.bad == nil {
		return 0
	}
	slices.Sort(l.later)
	for _, first := range slices.Backward(slices.Compact(l.later)) {
		if first <= max(l.bad.at.segment, l.segments[0].number) || !slices.Contains(numbers, first) {
			continue
		}
		if m, err := readFrom(d, numbers, first); err == nil {
			m.close()
			if m.mark.first >= first {
				return first
			}
		}
	}
	return 0
}

func (l *found) close() {
	for _, s := range l.segments {
		_ = s.file.Close() // nothing was written
	}
}

// read reads the segments with these numbers.
func (l *found) read(d folder, numbers []uint64) error {
	if err := l.open(d, numbers); err != nil {
		return err
	}
	for i, s := range l.segments {
		if l.bad == nil && i > 0 && s.number != numbers[i-1]+1 {
			l.bad = missing(numbers[i-1] + 1)
		}
		limit := int64(math.MaxUint32)
		if next := l.next(i); next != nil { // what is behind that had been cut off
			limit = next.before
		}
		data, err := content(s.file, limit)
		switch {
		case err != nil:
			return err
		case l.bad != nil:
			l.later = append(l.later, l.heads[i].head.first)
			l.glean(data, s.at(0))
		default:
			l.bad = l.take(i, data)
		}
	}
	if n := len(l.segments); n > 0 {
		first, end := max(l.mark.first, 1), l.segments[n-1].end()
		switch {
		case first < numbers[0]:
			l.bad = missing(first)
		case l.bad == nil && end.before(l.mark.synced):
			l.bad = &damaged{at: end, why: errors.New("the log ends before what is known to have been written")}
		}
	}
	l.index.finish()
	return nil
}

func missing(number uint64) *damaged {
	return &damaged{at: position{number, 0}, why: errors.New("the segment is missing")}
}

// open opens the segments and reads their heads.
func (l *found) open(d folder, numbers []uint64) error {
	for i, n := range numbers {
		f, err := d.Open(segmentName(n))
		if err != nil {
			return err
		}
		l.segments = append(l.segments, &segment{number: n, file: f})
		data, err := content(f, headBytes)
		if err != nil {
			return err
		}
		h, err := parseHead(data, n)
		switch {
		case errors.Is(err, ErrNewer):
			return fmt.Errorf("%s: %w", d.Path(segmentName(n)), err)
		case i == 0 && errors.Is(err, errNotOurs):
			return fmt.Errorf("%s: %w: %w", d.Path(segmentName(n)), ErrForeign, err)
		case err == nil:
			l.syncedTo(h.synced)
		}
		l.heads = append(l.heads, opening{h, err})
	}
	return nil
}

// next returns the head of the segment after the ith; nil if it is not there or can't be
// read.
func (l *found) next(i int) *head {
	if i+1 == len(l.segments) || l.segments[i+1].number != l.segments[i].number+1 || l.heads[i+1].err != nil {
		return nil
	}
	return &l.heads[i+1].head
}

// take takes in the ith segment, and reports the first place that can't be read.
func (l *found) take(i int, data []byte) *damaged {
	s := l.segments[i]
	if err := l.heads[i].err; err != nil {
		l.glean(data, s.at(0))
		return &damaged{at: s.at(0), why: err, last: errors.Is(err, errNoHead)}
	}
	l.learn(l.heads[i].head.mark)
	bad := l.records(s, data)
	if next := l.next(i); bad == nil && next != nil && s.size < next.before {
		bad = &damaged{at: s.end(), why: fmt.Errorf("the segment has %d bytes and should have %d", s.size, next.before)}
	}
	return bad
}

// records takes in the records of a segment, change by change.
func (l *found) records(s *segment, data []byte) *damaged {
	s.size = headBytes
	var change []record
	var places []position
	for offset := int64(headBytes); offset < int64(len(data)); {
		r, err := readRecord(data[offset:], s.at(offset))
		if err != nil {
			l.glean(data, s.at(offset+1))
			return &damaged{at: s.at(offset), why: err, last: errors.Is(err, errCut)}
		}
		l.see(r)
		change, places = append(change, r), append(places, s.at(offset))
		offset += r.size
		if r.more {
			continue
		}
		for i, r := range change {
			l.index.note(r, places[i])
		}
		change, places = change[:0], places[:0]
		s.size = offset
	}
	if len(change) > 0 {
		return &damaged{at: s.end(), why: errCut, last: true}
	}
	return nil
}

// see learns from a mark.
func (l *found) see(r record) {
	l.clean = r.kind == kindClosed
	if !r.kind.isMark() {
		return
	}
	if m, ok := parseMark(r.message); ok {
		l.learn(m)
	}
}

func (l *found) learn(m mark) {
	l.syncedTo(m.synced)
	l.mark.first = max(l.mark.first, m.first)
}

func (l *found) syncedTo(p position) {
	if l.mark.synced.before(p) {
		l.mark.synced = p
	}
}

// glean finds out up to where the log was synced from what is behind a place that can't
// be read, wherever records begin there. Which segments are needed that does not say, or
// not by itself: what was copied from the others may have been lost.
func (l *found) glean(data []byte, p position) {
	for p.offset+headerBytes < int64(len(data)) {
		r, err := readRecord(data[p.offset:], p)
		if err != nil {
			p.offset++
			continue
		}
		if m, ok := parseMark(r.message); ok && r.kind.isMark() {
			l.syncedTo(m.synced)
			l.later = append(l.later, m.first)
		}
		p.offset += r.size
	}
}

// judge decides whether the log was cut off at a place that can't be read, or is damaged.
func (l *found) judge(d folder, boot string) error {
	bad := l.bad
	l.clean = false
	last := len(l.segments) - 1
	sameBoot := boot != "" && slices.ContainsFunc(l.heads, func(o opening) bool { return o.err == nil && o.head.boot == boot })
	atTheEnd := bad.last && bad.at.segment == l.segments[last].number
	if bad.at.before(l.mark.synced) || sameBoot && !atTheEnd || errors.Is(bad.why, errMisnamed) {
		return fmt.Errorf("%s: %w at byte %d: %w; put the folder aside to start without it",
			d.Path(segmentName(bad.at.segment)), ErrCorrupt, bad.at.offset, bad.why)
	}
	l.cut = bad.at
	for last >= 0 && !l.segments[last].at(headBytes).before(position{bad.at.segment, bad.at.offset + 1}) {
		s := l.segments[last]
		l.rest = append(l.rest, segmentName(s.number))
		_ = s.file.Close() // nothing was written
		last--
	}
	l.segments, l.heads = l.segments[:last+1], l.heads[:last+1]
	return nil
}
