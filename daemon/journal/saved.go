package journal

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"cpulb/daemon/task"
)

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
	all := make(map[int64]*Saved, l.index.tasks.Len())
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
		case kindTombstone:
			s.Submitted = timeOf(r.key.stamp)
			s.Tombstone, err = decodeTombstone(r.message)
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
			batches[id], err = l.batchAt(p)
		}
	}
	return schedules, batches, err
}

// batchAt reads what is kept of a batch.
func (l *log) batchAt(p batchPlaces) (b Batch, err error) {
	take := func(message []byte) error {
		x, err := decodeBatch(message)
		if b.ID, b.Owner, b.Gone = x.ID, x.Owner, x.Gone; x.Joined != nil {
			b.Joined = x.Joined
		}
		return err
	}
	for _, at := range []place{p.batch, p.gone} { // which replaces what the first has of it
		if at.segment != 0 && err == nil {
			err = l.at(at, take)
		}
	}
	return b, err
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
