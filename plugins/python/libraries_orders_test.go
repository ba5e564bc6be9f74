package python

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// Programs of well-known libraries do what they do under python3, whichever of them
// ran before in the same process, in each kind of worker.
func TestLibrariesWorkInAnyOrder(t *testing.T) {
	onlyWithLibraries(t)
	all := readFixtures(t, "libraries")
	backwards, shuffled := slices.Clone(all), slices.Clone(all)
	slices.Reverse(backwards)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for _, kind := range []string{"exclusive", "shared"} {
		t.Run(kind, func(t *testing.T) {
			for _, order := range []struct {
				name string
				of   []*fixture
			}{
				{"forwards and again", slices.Concat(all, all)},
				{"backwards", backwards},
				{"shuffled", shuffled},
			} {
				t.Run(order.name, func(t *testing.T) {
					c := &crew{kind: kind}
					defer c.dismiss()
					for _, f := range order.of {
						t.Run(f.name, func(t *testing.T) { c.behave(t, f) })
					}
				})
			}
		})
	}
}

func TestLibrariesDoUnderPythonWhatTheyAreHeldTo(t *testing.T) {
	onlyWithLibraries(t)
	pythonDoes(t, "libraries")
}

// onlyWithLibraries skips what `make test-libraries` is for.
func onlyWithLibraries(t *testing.T) {
	t.Helper()
	if os.Getenv("CPULB_LIBRARIES") == "" {
		t.Skip("make test-libraries runs it")
	}
}
