package journal

import (
	"cmp"
	"iter"
	"slices"
)

// table finds values by stamps. It is what a map would be, but hardly larger than what is in
// it however much comes and goes: stamps come in about their order, and go so, and stand in
// chunks in that order.
type table[V any] struct {
	chunks []*tableChunk[V]
	n      int
}

const chunkStamps = 64

// tableChunk is never empty.
type tableChunk[V any] struct {
	n      int
	stamps [chunkStamps]int64
	values [chunkStamps]V
}

func (t *table[V]) len() int { return t.n }

// find returns in which chunk a stamp belongs, and where there.
func (t *table[V]) find(stamp int64) (at, i int, found bool) {
	at, found = slices.BinarySearchFunc(t.chunks, stamp, func(c *tableChunk[V], stamp int64) int { return cmp.Compare(c.stamps[0], stamp) })
	if found || at == 0 {
		return at, 0, found
	}
	at--
	c := t.chunks[at]
	i, found = slices.BinarySearch(c.stamps[:c.n], stamp)
	return at, i, found
}

func (t *table[V]) get(stamp int64) (v V, ok bool) {
	if at, i, found := t.find(stamp); found {
		return t.chunks[at].values[i], true
	}
	return v, false
}

func (t *table[V]) set(stamp int64, v V) {
	at, i, found := t.find(stamp)
	if found {
		t.chunks[at].values[i] = v
		return
	}
	t.n++
	switch {
	case len(t.chunks) == 0:
		t.chunks = append(t.chunks, &tableChunk[V]{})
	case t.chunks[at].n == chunkStamps:
		at, i = t.split(at, i)
	}
	c := t.chunks[at]
	copy(c.stamps[i+1:c.n+1], c.stamps[i:c.n])
	copy(c.values[i+1:c.n+1], c.values[i:c.n])
	c.stamps[i], c.values[i] = stamp, v
	c.n++
}

// split makes room at place i of a full chunk, and returns where that is then. A stamp that
// comes last begins a chunk of its own, as nearly all do.
func (t *table[V]) split(at, i int) (int, int) {
	c, next := t.chunks[at], &tableChunk[V]{}
	t.chunks = slices.Insert(t.chunks, at+1, next)
	if i == c.n {
		return at + 1, 0
	}
	half := c.n / 2
	next.n = copy(next.stamps[:], c.stamps[half:c.n])
	copy(next.values[:], c.values[half:c.n])
	if c.n = half; i > half {
		return at + 1, i - half
	}
	return at, i
}

func (t *table[V]) remove(stamp int64) {
	at, i, found := t.find(stamp)
	if !found {
		return
	}
	t.n--
	c := t.chunks[at]
	copy(c.stamps[i:], c.stamps[i+1:c.n])
	copy(c.values[i:], c.values[i+1:c.n])
	switch c.n--; {
	case c.n == 0:
		t.chunks = slices.Delete(t.chunks, at, at+1)
	case at+1 < len(t.chunks) && c.n+t.chunks[at+1].n <= chunkStamps/2:
		t.join(at)
	case at > 0 && c.n+t.chunks[at-1].n <= chunkStamps/2:
		t.join(at - 1)
	}
}

// join makes a chunk and the next one one.
func (t *table[V]) join(at int) {
	c, next := t.chunks[at], t.chunks[at+1]
	copy(c.values[c.n:], next.values[:next.n])
	c.n += copy(c.stamps[c.n:], next.stamps[:next.n])
	t.chunks = slices.Delete(t.chunks, at+1, at+2)
}

// all yields what is in the table, which does not change meanwhile, by stamp.
func (t *table[V]) all() iter.Seq2[int64, V] {
	return func(yield func(int64, V) bool) {
		for _, c := range t.chunks {
			for i := range c.n {
				if !yield(c.stamps[i], c.values[i]) {
					return
				}
			}
		}
	}
}
