package ledger

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// An ordered set has what a sorted slice has, and its chunks are not many more than what is
// in them needs.
func TestAnOrderedSetIsASortedSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o ordered
		var model []entry
		late := rapid.IntRange(0, 100).Draw(t, "late") // of a hundred that are not added at the end
		for i := range rapid.IntRange(1, 3000).Draw(t, "steps") {
			x := entry{int64(i), int64(i)}
			if rapid.IntRange(1, 100).Draw(t, "is late") <= late {
				x.by = rapid.Int64Range(0, 3000).Draw(t, "by")
			}
			if rapid.IntRange(0, 9).Draw(t, "what") < 5 {
				o.add(x)
				at, _ := slices.BinarySearchFunc(model, x, entry.compare)
				model = slices.Insert(model, at, x)
			} else if len(model) > 0 {
				n := 0 // the first
				if rapid.Bool().Draw(t, "any") {
					n = rapid.IntRange(0, len(model)-1).Draw(t, "one")
				}
				o.take(model[n])
				o.take(entry{model[n].by, -1}) // which is not there
				model = slices.Delete(model, n, n+1)
			}
			if o.len() != len(model) || len(model) > 0 && o.first() != model[0] {
				t.Fatalf("%d, of which the first is %v, instead of %d", o.len(), o.first(), len(model))
			}
		}
		var all []entry
		for _, c := range o.chunks {
			all = append(all, c.all[:c.n]...)
		}
		if !slices.Equal(all, model) {
			t.Fatalf("%v instead of %v", all, model)
		}
		if most := len(model)/(chunkTasks/4) + 3; len(o.chunks) > most {
			t.Fatalf("%d are in %d chunks", len(model), len(o.chunks))
		}
	})
}
