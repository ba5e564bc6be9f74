package journal

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"

	"cpulb/daemon/task"
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

// survey reads the log. Only segments from first on are looked at.
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
	for first := uint64(0); ; {
		l := &found{index: newIndex()}
		var kept []uint64
		for _, n := range numbers {
			if n < first {
				l.rest = append(l.rest, segmentName(n))
			} else {
				kept = append(kept, n)
			}
		}
		if err := l.read(d, kept, boot); err != nil {
			l.close()
			return nil, err
		}
		if len(kept) == 0 || l.mark.first <= kept[0] {
			return l, nil
		}
		first = l.mark.first // what is before it was to be removed
		l.close()
	}
}

func (l *found) close() {
	for _, s := range l.segments {
		_ = s.file.Close() // nothing was written
	}
}

// read reads the segments with these numbers.
func (l *found) read(d folder, numbers []uint64, boot string) error {
	if err := l.open(d, numbers); err != nil {
		return err
	}
	var bad *damaged
	for i, s := range l.segments {
		limit := int64(math.MaxUint32)
		if next := l.next(i); next != nil { // what is behind that had been cut off
			limit = next.before
		}
		data, err := content(s.file, limit)
		switch {
		case err != nil:
			return err
		case bad != nil:
			l.glean(data, s.at(0))
		default:
			bad = l.take(i, data)
		}
	}
	if at, missing := l.gap(numbers); missing && (bad == nil || at.before(bad.at)) {
		bad = &damaged{at: at, why: errors.New("the segment is missing")}
	}
	if n := len(l.segments); n > 0 && bad == nil && l.segments[n-1].end().before(l.mark.synced) {
		bad = &damaged{at: l.segments[n-1].end(), why: errors.New("the log ends before what is known to have been written")}
	}
	l.index.finish()
	if bad == nil {
		return nil
	}
	return l.judge(d, bad, boot)
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

// gap returns the first segment that is needed and missing.
func (l *found) gap(numbers []uint64) (at position, missing bool) {
	if len(numbers) == 0 {
		return at, false
	}
	for n := max(l.mark.first, 1); n < numbers[len(numbers)-1]; n++ {
		if !slices.Contains(numbers, n) {
			return position{n, 0}, true
		}
	}
	return at, false
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
	if r.kind < kindMark {
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
// be read, wherever records begin there. Which segments are needed that does not say: what
// was copied from the others may have been lost.
func (l *found) glean(data []byte, p position) {
	for p.offset+headerBytes < int64(len(data)) {
		r, err := readRecord(data[p.offset:], p)
		if err != nil {
			p.offset++
			continue
		}
		if m, ok := parseMark(r.message); ok && r.kind >= kindMark {
			l.syncedTo(m.synced)
		}
		p.offset += r.size
	}
}

// judge decides whether the log was cut off at a place that can't be read, or is damaged.
func (l *found) judge(d folder, bad *damaged, boot string) error {
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

// Recover yields every task of which something is kept, in the order of submission. It
// is to be called before the first Append. It stops at the first error, which matches
// ErrCorrupt.
func (j *Journal) Recover() iter.Seq2[Saved, error] {
	return func(yield func(Saved, error) bool) {
		all, err := j.log.saved()
		if err != nil {
			yield(Saved{}, err)
			return
		}
		for _, stamp := range slices.Sorted(maps.Keys(all)) {
			s := all[stamp]
			s.Events, s.Chunk = inOrder(s.Events), j.log.index.lastChunk(stamp)
			if !yield(*s, nil) {
				return
			}
			delete(all, stamp)
		}
	}
}

// saved reads what is still needed of all tasks.
func (l *log) saved() (map[int64]*Saved, error) {
	all := make(map[int64]*Saved, len(l.index.tasks))
	err := l.each(func(r record, p position) (err error) {
		if !r.kind.ofTask() {
			return nil
		}
		s := all[r.key.stamp]
		if s == nil {
			s = &Saved{}
			all[r.key.stamp] = s
		}
		switch r.kind {
		case kindAccepted:
			s.Accepted, err = decodeAccepted(r.message)
			if err == nil && s.Submitted.UnixNano() != r.key.stamp {
				err = fmt.Errorf("%w: it is another task's", errMalformed)
			}
		case kindProgress:
			s.Progress, err = decodeProgress(r.message)
		case kindEnded:
			s.Ended, err = decodeEnded(r.message)
		case kindEvents:
			var more []*task.Event
			more, err = decodeEvents(r.message)
			s.Events = append(s.Events, more...)
		}
		return err
	})
	return all, err
}

// others reads what is kept beside tasks.
func (l *log) others() (schedules map[string]Schedule, batches map[task.ID]Batch, err error) {
	schedules, batches = map[string]Schedule{}, map[task.ID]Batch{}
	if p := l.index.schedules; p.segment != 0 {
		err = l.at(p, func(message []byte) (err error) { schedules, err = decodeSchedules(message); return err })
	}
	for id, p := range l.index.batches {
		if err == nil {
			err = l.at(p, func(message []byte) error {
				b, err := decodeBatch(message)
				batches[id] = *b
				return err
			})
		}
	}
	return schedules, batches, err
}

// at reads the record at p.
func (l *log) at(p place, take func(message []byte) error) error {
	for _, s := range l.segments {
		if uint32(s.number) != p.segment {
			continue
		}
		r, _, err := s.read(int64(p.offset))
		if err == nil {
			err = take(r.message)
		}
		if err != nil {
			return l.corrupt(s.at(int64(p.offset)), err)
		}
	}
	return nil
}

func (l *log) corrupt(p position, err error) error {
	return fmt.Errorf("%s: %w at byte %d: %w", l.folder.Path(segmentName(p.segment)), ErrCorrupt, p.offset, err)
}

// each calls take with every record that is still needed.
func (l *log) each(take func(record, position) error) error {
	for _, s := range l.segments {
		data, err := content(s.file, s.size)
		if err != nil {
			return err
		}
		for offset := int64(headBytes); offset < s.size; {
			p := s.at(offset)
			r, err := readRecord(data[offset:], p)
			if err == nil && l.index.needs(r, p) {
				err = take(r, p)
			}
			if err != nil {
				return l.corrupt(p, err)
			}
			offset += r.size
		}
	}
	return nil
}
