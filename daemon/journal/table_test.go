package journal

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A table has what a map has, in order, and in not many more chunks than that needs.
func TestATableIsAMapInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x table[int]
		model := map[int64]int{}
		late := rapid.IntRange(0, 100).Draw(t, "late") // of a hundred that do not come in order
		for i := range rapid.IntRange(1, 2000).Draw(t, "steps") {
			stamp := int64(i)
			if rapid.IntRange(1, 100).Draw(t, "is late") <= late {
				stamp = rapid.Int64Range(0, 2000).Draw(t, "stamp")
			}
			if rapid.IntRange(0, 9).Draw(t, "what") < 5 {
				x.set(stamp, i)
				model[stamp] = i
			} else {
				stamp = rapid.Int64Range(0, int64(i)).Draw(t, "which")
				x.remove(stamp)
				delete(model, stamp)
			}
			got, ok := x.get(stamp)
			if want, there := model[stamp]; got != want || ok != there || x.len() != len(model) {
				t.Fatalf("%d is %d, %v instead of %d, %v", stamp, got, ok, want, there)
			}
		}
		var stamps []int64
		for stamp, v := range x.all() {
			stamps = append(stamps, stamp)
			if model[stamp] != v {
				t.Fatalf("%d is %d", stamp, v)
			}
		}
		if !slices.Equal(stamps, slices.Sorted(maps.Keys(model))) {
			t.Fatalf("%d are there instead of %d", len(stamps), len(model))
		}
		if most := len(model)/(chunkStamps/4) + 3; len(x.chunks) > most {
			t.Fatalf("%d are in %d chunks", len(model), len(x.chunks))
		}
	})
}
