// Package table finds values by numbers that come in about their order, and go so. A Table
// is what a map would be, but in order and hardly larger than what is in it however much
// comes and goes.
//
// It is not safe for concurrent use.
package table

import (
	"cmp"
	"iter"
	"slices"
)

// Table has values by number, in chunks in their order. The zero Table is empty.
type Table[V any] struct {
	chunks []*chunk[V]
	n      int
}

// chunkValues is a little less than a power of two: with the rest of a chunk one would be
// rounded up, by an eighth and more, to what Go allocates.
const chunkValues = 60

// chunk is never empty. Two side by side that together fill no more than half of one are
// made one when something of them goes.
type chunk[V any] struct {
	n       int
	numbers [chunkValues]int64
	values  [chunkValues]V
}

// Len returns how many values there are.
func (t *Table[V]) Len() int { return t.n }

// find returns in which chunk a number belongs, and where there.
func (t *Table[V]) find(number int64) (at, i int, found bool) {
	at, found = slices.BinarySearchFunc(t.chunks, number, func(c *chunk[V], number int64) int { return cmp.Compare(c.numbers[0], number) })
	if found || at == 0 {
		return at, 0, found
	}
	at--
	c := t.chunks[at]
	i, found = slices.BinarySearch(c.numbers[:c.n], number)
	return at, i, found
}

// Get returns the value of a number.
func (t *Table[V]) Get(number int64) (v V, ok bool) {
	if at := t.At(number); at != nil {
		return *at, true
	}
	return v, false
}

// At returns where the value of a number is until the next Set or Remove; nil: there is none.
func (t *Table[V]) At(number int64) *V {
	at, i, found := t.find(number)
	if !found {
		return nil
	}
	return &t.chunks[at].values[i]
}

// Set sets the value of a number.
func (t *Table[V]) Set(number int64, v V) {
	at, i, found := t.find(number)
	if found {
		t.chunks[at].values[i] = v
		return
	}
	t.n++
	switch {
	case len(t.chunks) == 0:
		t.chunks = append(t.chunks, &chunk[V]{})
	case t.chunks[at].n == chunkValues:
		at, i = t.split(at, i)
	}
	c := t.chunks[at]
	copy(c.numbers[i+1:c.n+1], c.numbers[i:c.n])
	copy(c.values[i+1:c.n+1], c.values[i:c.n])
	c.numbers[i], c.values[i] = number, v
	c.n++
}

// split makes room at place i of a full chunk, and returns where that is then. A number that
// comes last begins a chunk of its own, as nearly all do.
func (t *Table[V]) split(at, i int) (int, int) {
	c, next := t.chunks[at], &chunk[V]{}
	t.chunks = slices.Insert(t.chunks, at+1, next)
	if i == c.n {
		return at + 1, 0
	}
	half := c.n / 2
	next.n = copy(next.numbers[:], c.numbers[half:c.n])
	copy(next.values[:], c.values[half:c.n])
	if c.n = half; i > half {
		return at + 1, i - half
	}
	return at, i
}

// Remove takes the value of a number out, if there is one.
func (t *Table[V]) Remove(number int64) {
	at, i, found := t.find(number)
	if !found {
		return
	}
	t.n--
	c := t.chunks[at]
	copy(c.numbers[i:], c.numbers[i+1:c.n])
	copy(c.values[i:], c.values[i+1:c.n])
	switch c.n--; {
	case c.n == 0:
		t.chunks = slices.Delete(t.chunks, at, at+1)
	case at+1 < len(t.chunks) && c.n+t.chunks[at+1].n <= chunkValues/2:
		t.join(at)
	case at > 0 && c.n+t.chunks[at-1].n <= chunkValues/2:
		t.join(at - 1)
	}
}

// join makes a chunk and the next one one.
func (t *Table[V]) join(at int) {
	c, next := t.chunks[at], t.chunks[at+1]
	copy(c.values[c.n:], next.values[:next.n])
	c.n += copy(c.numbers[c.n:], next.numbers[:next.n])
	t.chunks = slices.Delete(t.chunks, at+1, at+2)
}

// All yields the values by number, in that order. The Table does not change meanwhile.
func (t *Table[V]) All() iter.Seq2[int64, V] {
	return func(yield func(int64, V) bool) {
		for _, c := range t.chunks {
			for i := range c.n {
				if !yield(c.numbers[i], c.values[i]) {
					return
				}
			}
		}
	}
}
