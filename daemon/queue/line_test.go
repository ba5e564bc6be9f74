package queue

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A line has its items in their order, whichever of them go, however often it has been
// round, and in not many more chunks than they need.
func TestALineKeepsItsOrderAndLittleElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l line[int]
		if rapid.Bool().Draw(t, "its numbers go round") {
			l.begin = math.MaxUint32 - uint32(rapid.IntRange(0, 300).Draw(t, "before that"))
			l.front, l.back = l.begin, l.begin
		}
		var model []*Item[int]
		remove := func(i int) {
			l.remove(model[i])
			model = slices.Delete(model, i, i+1)
		}
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			n := rapid.IntRange(1, 500).Draw(t, "how many")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				for range n {
					it := &Item[int]{Value: i}
					l.push(it)
					model = append(model, it)
				}
			case 2: // from the front
				for range min(n, len(model)) {
					remove(0)
				}
			case 3: // from anywhere, but for some
				at := rapid.IntRange(0, len(model)).Draw(t, "from")
				for range min(n, len(model)-at) {
					remove(at)
					at = min(at+rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "left"), len(model))
					if at == len(model) {
						break
					}
				}
			}
			check(t, &l, model)
		}
		for len(model) > 0 {
			if l.first() != model[0] {
				t.Fatal("another is the first")
			}
			remove(0)
		}
		check(t, &l, model)
	})
}

func check(t *rapid.T, l *line[int], model []*Item[int]) {
	var first *Item[int]
	if len(model) > 0 {
		first = model[0]
	}
	if l.first() != first || l.n != len(model) {
		t.Fatalf("%d are there instead of %d, or another is the first", l.n, len(model))
	}
	if most := 4*(len(model)/lineItems) + 12; len(l.chunks) > most {
		t.Fatalf("%d are in %d chunks", len(model), len(l.chunks))
	}
	for _, c := range l.chunks {
		if c == nil {
			t.Fatal("a chunk is missing")
		}
	}
}

// Who comes and goes beside one that stays leaves nothing behind.
func TestALineDoesNotGrowBehindOneThatStays(t *testing.T) {
	var l line[int]
	l.push(&Item[int]{})
	var last *Item[int]
	for range 100_000 {
		it := &Item[int]{}
		l.push(it)
		if last != nil {
			l.remove(last)
		}
		last = it
	}
	if len(l.chunks) > 20 {
		t.Errorf("two are in %d chunks", len(l.chunks))
	}
}
