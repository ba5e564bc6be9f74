package journal

import "time"

// entry is what one call of Append wants to have written, all or none.
type entry struct {
	ops []Op
	// raw, instead of ops, are payloads that are copied from an old segment.
	raw  [][]byte
	need Need
	// linger is as in Change.
	linger time.Duration
	// fresh: a new task is among it, so it fails rather than wait for room.
	fresh bool
	bytes int64 // about, in memory
	done  func(error)
	// answered: done has been called.
	answered bool
}

func newEntry(c Change, start uint64) *entry {
	x := &entry{ops: c.Ops, need: c.Need, linger: c.Linger, done: c.Done}
	for i := range x.ops {
		x.fresh = x.fresh || x.ops[i].Accepted != nil
		x.bytes += x.ops[i].size()
		x.ops[i].stamp(start)
	}
	return x
}

// written is one record of an entry, once it has its place.
type written struct {
	record record
	at     position
}

// append appends the records of x, of which the first stands at p.
func (x *entry) append(b []byte, p position, all []written) ([]byte, []written) {
	for i := range x.ops {
		at := len(b)
		b = x.ops[i].appendPayload(appendHeader(b))
		if i+1 < len(x.ops) {
			b[at+headerBytes] |= byte(more)
		}
		all = append(all, placed(b[at:], p))
		p.offset += int64(len(b) - at)
	}
	for _, payload := range x.raw {
		at := len(b)
		b = append(appendHeader(b), payload...)
		all = append(all, placed(b[at:], p))
		p.offset += int64(len(b) - at)
	}
	return b, all
}

// placed fills in the header of a record that is to stand at p.
func placed(b []byte, p position) written {
	seal(b, p)
	r, _ := parsePayload(b[headerBytes:]) // it is ours
	r.message = nil
	return written{r, p}
}

// keys calls take with all that x is about, until it returns false.
func (x *entry) keys(take func(key) bool) {
	for i := range x.ops {
		if !take(x.ops[i].key()) {
			return
		}
	}
	for _, payload := range x.raw {
		if r, _ := parsePayload(payload); !take(r.key) { // it is ours
			return
		}
	}
}

// touches reports whether x is about something that is in keys.
func (x *entry) touches(keys map[key]bool) bool {
	for k := range x.keys {
		if keys[k] {
			return true
		}
	}
	return false
}

// claim adds what x is about to keys.
func (x *entry) claim(keys map[key]bool) {
	for k := range x.keys {
		keys[k] = true
	}
}
