package ledger

import (
	"cmp"
	"slices"
)

// ordered is a set of tasks in the order of some number, such as the time at which each
// expires. Any can be taken out, given the number. It holds no pointers but one for each
// chunk of many: a million cost Go's collector nothing.
//
// An operation takes the search for a chunk and the move of at most a chunk. What is added
// at the end, as nearly all is, fills its chunk; what is taken from the front, as nearly all
// is, leaves none half empty but the first.
type ordered struct {
	chunks []*chunk
	n      int
}

// entry is one task in an ordered set. Of those with the same number the one that was
// submitted first comes first.
type entry struct{ by, stamp int64 }

func (x entry) compare(y entry) int {
	return cmp.Or(cmp.Compare(x.by, y.by), cmp.Compare(x.stamp, y.stamp))
}

// chunkTasks is how many fit into a chunk, which is never empty. Two chunks side by side
// that together fill less than half of one are made one.
const chunkTasks = 63

type chunk struct {
	n   int
	all [chunkTasks]entry
}

func (o *ordered) len() int { return o.n }

// first returns the first; there is one.
func (o *ordered) first() entry { return o.chunks[0].all[0] }

// find returns in which chunk x belongs, and where there. There is a chunk.
func (o *ordered) find(x entry) (at, i int, found bool) {
	at, found = slices.BinarySearchFunc(o.chunks, x, func(c *chunk, x entry) int { return c.all[0].compare(x) })
	if found {
		return at, 0, true
	}
	at = max(0, at-1)
	c := o.chunks[at]
	i, found = slices.BinarySearchFunc(c.all[:c.n], x, entry.compare)
	return at, i, found
}

// add adds x, which is not in the set.
func (o *ordered) add(x entry) {
	o.n++
	if len(o.chunks) == 0 {
		o.chunks = append(o.chunks, &chunk{})
	}
	at, i := len(o.chunks)-1, 0
	if c := o.chunks[at]; c.n > 0 && x.compare(c.all[c.n-1]) > 0 {
		i = c.n // as nearly always
	} else {
		at, i, _ = o.find(x)
	}
	c := o.chunks[at]
	if c.n == chunkTasks {
		at, i = o.split(at, i)
		c = o.chunks[at]
	}
	copy(c.all[i+1:c.n+1], c.all[i:c.n])
	c.all[i] = x
	c.n++
}

// split makes room at place i of a full chunk, and returns where that is then.
func (o *ordered) split(at, i int) (int, int) {
	c, next := o.chunks[at], &chunk{}
	o.chunks = slices.Insert(o.chunks, at+1, next)
	if i == c.n {
		return at + 1, 0
	}
	half := c.n / 2
	next.n = copy(next.all[:], c.all[half:c.n])
	c.n = half
	if i > half {
		return at + 1, i - half
	}
	return at, i
}

// take takes x out, if it is in the set.
func (o *ordered) take(x entry) {
	if o.n == 0 {
		return
	}
	at, i, found := o.find(x)
	if !found {
		return
	}
	o.n--
	c := o.chunks[at]
	copy(c.all[i:], c.all[i+1:c.n])
	if c.n--; c.n == 0 {
		o.chunks = slices.Delete(o.chunks, at, at+1)
		return
	}
	if at > 0 && at+1 < len(o.chunks) { // the first and the last change anyway
		o.join(at - 1)
		o.join(at)
	}
}

// join makes a chunk and the next one, if there is one, one if they have few.
func (o *ordered) join(at int) {
	if at+1 >= len(o.chunks) {
		return
	}
	c, next := o.chunks[at], o.chunks[at+1]
	if c.n+next.n > chunkTasks/2 {
		return
	}
	c.n += copy(c.all[c.n:], next.all[:next.n])
	o.chunks = slices.Delete(o.chunks, at+1, at+2)
}
