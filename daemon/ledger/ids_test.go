package ledger

import (
	"testing"

	"cpulb/daemon/task"

	"pgregory.net/rapid"
)

// Ids are found as in a map, and in not much more memory than they take, also after there
// were many more.
func TestIDsAreFoundAsInAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, model, some := newIDs(), map[task.ID]int64{}, []task.ID(nil)
		for i := range rapid.IntRange(1, 20_000).Draw(t, "steps") {
			switch {
			case len(some) == 0 || rapid.IntRange(0, 2).Draw(t, "what") > 0:
				id := task.NewID()
				some = append(some, id)
				model[id] = int64(i + 1)
				x.set(id, int64(i+1))
			default:
				n := rapid.IntRange(0, len(some)-1).Draw(t, "one")
				id := some[n]
				some[n] = some[len(some)-1]
				some = some[:len(some)-1]
				delete(model, id)
				x.remove(id)
				x.remove(id) // which is not there any more
				if _, ok := x.get(id); ok {
					t.Fatal("a removed id is found")
				}
			}
		}
		check := func() {
			slots := 0
			for i := range x.parts {
				slots += len(x.parts[i].slots)
			}
			if most := len(model)*4 + 40*len(x.parts); slots > most {
				t.Fatalf("%d ids have %d slots", len(model), slots)
			}
			for id, number := range model {
				if got, ok := x.get(id); !ok || got != number {
					t.Fatalf("%s is %d, %v instead of %d", id, got, ok, number)
				}
			}
		}
		check()
		for _, id := range some[:len(some)*9/10] {
			delete(model, id)
			x.remove(id)
		}
		check()
	})
}
