package journal

import (
	"slices"

	"cpulb/daemon/task"
	"cpulb/internal/table"
)

// index knows which records are still needed, and in which segment they are. A million
// tasks may wait: it is kept small.
type index struct {
	tasks      table.Table[held]
	events     map[int64][]chunk // of those that have any
	tombstones table.Table[place]
	batches    map[task.ID]batchPlaces
	schedules  place
	// live has, for each segment, about how many bytes of it are needed.
	live map[uint32]int64
	// complete: all segments have been read, so that nothing is known of a task that is
	// not in tasks. Before, the record that accepts it may follow, as it was copied.
	complete bool
}

// place is where a record is; the zero place is that of none.
type place struct{ segment, offset, size uint32 }

// batchPlaces is where what is kept of a batch is: its members and the counts of those
// that are gone.
type batchPlaces struct{ batch, gone place }

func (p place) is(segment, offset uint32) bool { return p.segment == segment && p.offset == offset }

// held is what there is of one task. Of the first two a segment has but one record, so
// that their offsets need not be known.
type held struct {
	acceptedIn, acceptedSize uint32
	endedIn, endedSize       uint32
	// progress is dead once the task has ended.
	progressIn, progressAt uint32
}

// progressSize is about what a Progress takes.
const progressSize = 64

func newIndex() index {
	return index{events: map[int64][]chunk{}, batches: map[task.ID]batchPlaces{}, live: map[uint32]int64{}}
}

// note takes in a record that stands at p.
func (x *index) note(r record, p position) {
	segment, offset, size := uint32(p.segment), uint32(p.offset), uint32(r.size)
	at := x.tasks.At(r.key.stamp)
	h, known := held{}, at != nil
	if known {
		h = *at
	}
	switch r.kind {
	case kindAccepted:
		x.swap(h.acceptedIn, int64(h.acceptedSize), segment, r.size)
		h.acceptedIn, h.acceptedSize = segment, size
		x.put(at, r.key.stamp, h)
	case kindProgress:
		if (known || !x.complete) && h.endedIn == 0 {
			x.swap(h.progressIn, progressSize, segment, progressSize)
			h.progressIn, h.progressAt = segment, offset
			x.put(at, r.key.stamp, h)
		}
	case kindEnded:
		if known || !x.complete {
			x.drop(h.progressIn, progressSize)
			x.swap(h.endedIn, int64(h.endedSize), segment, r.size)
			h.endedIn, h.endedSize, h.progressIn = segment, size, 0
			x.put(at, r.key.stamp, h)
		}
	case kindEvents:
		if known || !x.complete {
			x.noteEvents(r, place{segment, offset, size})
			x.put(at, r.key.stamp, h)
		}
	case kindForget:
		x.forget(r.key.stamp)
	case kindTombstone:
		x.forget(r.key.stamp)
		x.live[segment] += r.size
		x.tombstones.Set(r.key.stamp, place{segment, offset, size})
	default:
		x.noteOther(r, place{segment, offset, size})
	}
}

// put notes what there is of a task; at is where that was found, nil: nowhere.
func (x *index) put(at *held, stamp int64, h held) {
	if at != nil {
		*at = h
	} else {
		x.tasks.Set(stamp, h)
	}
}

// noteOther takes in a record at p that is not of a task.
func (x *index) noteOther(r record, p place) {
	of := x.batches[r.key.batch]
	switch r.kind {
	case kindBatch:
		x.replace(&of.batch, p)
		x.batches[r.key.batch] = of
	case kindGone:
		x.replace(&of.gone, p)
		x.batches[r.key.batch] = of
	case kindForgetBatch:
		x.drop(of.batch.segment, int64(of.batch.size))
		x.drop(of.gone.segment, int64(of.gone.size))
		delete(x.batches, r.key.batch)
	case kindSchedules:
		x.replace(&x.schedules, p)
	}
}

// replace counts a record at p that replaces the one at old.
func (x *index) replace(old *place, p place) {
	x.swap(old.segment, int64(old.size), p.segment, int64(p.size))
	*old = p
}

// forget takes all that there is of a task out.
func (x *index) forget(stamp int64) {
	h, _ := x.tasks.Get(stamp)
	tombstone, _ := x.tombstones.Get(stamp)
	x.forgetEvents(stamp)
	x.drop(h.acceptedIn, int64(h.acceptedSize))
	x.drop(h.progressIn, progressSize)
	x.drop(h.endedIn, int64(h.endedSize))
	x.drop(tombstone.segment, int64(tombstone.size))
	x.tasks.Remove(stamp)
	x.tombstones.Remove(stamp)
}

// finish is called when all segments have been read.
func (x *index) finish() {
	var refused []int64 // and something was noted of them all the same
	for stamp, h := range x.tasks.All() {
		if h.acceptedIn == 0 {
			refused = append(refused, stamp)
		}
	}
	for _, stamp := range refused {
		x.note(record{kind: kindForget, key: key{stamp: stamp}}, position{})
	}
	x.complete = true
}

// refuse forgets the new tasks of x, which had been written and were cut off again.
func (x *index) refuse(e *entry) {
	for i := range e.ops {
		if e.ops[i].Accepted != nil {
			x.note(record{kind: kindForget, key: e.ops[i].key()}, position{})
		}
	}
}

// swap counts a record that replaces another one.
func (x *index) swap(oldIn uint32, oldSize int64, in uint32, size int64) {
	x.drop(oldIn, oldSize)
	x.live[in] += size
}

// drop counts a record that is no longer needed; segment 0 is that of none.
func (x *index) drop(segment uint32, size int64) {
	if segment != 0 {
		x.live[segment] -= size
	}
}

// needs reports whether a record that stands at p is still needed.
func (x *index) needs(r record, p position) bool {
	segment, offset := uint32(p.segment), uint32(p.offset)
	h, _ := x.tasks.Get(r.key.stamp)
	switch r.kind {
	case kindAccepted:
		return h.acceptedIn == segment
	case kindProgress:
		return h.progressIn == segment && h.progressAt == offset
	case kindEnded:
		return h.endedIn == segment
	case kindEvents:
		return slices.Contains(x.events[r.key.stamp], chunk{r.chunk, place{segment, offset, uint32(r.size)}})
	case kindTombstone:
		tombstone, _ := x.tombstones.Get(r.key.stamp)
		return tombstone.is(segment, offset)
	case kindBatch:
		return x.batches[r.key.batch].batch.is(segment, offset)
	case kindGone:
		return x.batches[r.key.batch].gone.is(segment, offset)
	case kindSchedules:
		return x.schedules.is(segment, offset)
	}
	return false
}

// total is about how many bytes are needed in all segments.
func (x *index) total() (n int64) {
	for _, live := range x.live {
		n += live
	}
	return n
}
