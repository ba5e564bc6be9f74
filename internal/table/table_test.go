package table

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A table has what a map has, in order, and in not many more chunks than that needs.
func TestATableIsAMapInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x Table[int]
		model := map[int64]int{}
		late := rapid.IntRange(0, 100).Draw(t, "late") // of a hundred that do not come in order
		for i := range rapid.IntRange(1, 2000).Draw(t, "steps") {
			number := int64(i)
			if rapid.IntRange(1, 100).Draw(t, "is late") <= late {
				number = rapid.Int64Range(0, 2000).Draw(t, "number")
			}
			if rapid.IntRange(0, 9).Draw(t, "what") < 5 {
				x.Set(number, i)
				model[number] = i
			} else {
				number = rapid.Int64Range(0, int64(i)).Draw(t, "which")
				x.Remove(number)
				delete(model, number)
			}
			got, ok := x.Get(number)
			if want, there := model[number]; got != want || ok != there || x.Len() != len(model) {
				t.Fatalf("%d is %d, %v instead of %d, %v", number, got, ok, want, there)
			}
		}
		var numbers []int64
		for number, v := range x.All() {
			numbers = append(numbers, number)
			if model[number] != v {
				t.Fatalf("%d is %d", number, v)
			}
		}
		if !slices.Equal(numbers, slices.Sorted(maps.Keys(model))) {
			t.Fatalf("%d are there instead of %d", len(numbers), len(model))
		}
		if most := len(model)/(chunkValues/4) + 3; len(x.chunks) > most {
			t.Fatalf("%d are in %d chunks", len(model), len(x.chunks))
		}
	})
}
