package python

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// goneScripts is how many come and go, each with numbers of some 400 kB.
const goneScripts = 150

// Scripts whose files are gone leave the worker's memory: a service that runs a new
// script each day, in a folder of its own, does not grow for ever.
func TestScriptsThatAreGoneLeaveNoMemoryBehind(t *testing.T) {
	if asanEnabled {
		t.Skip("the sanitizer keeps what has been freed")
	}
	for _, kind := range []string{"exclusive", "shared"} {
		t.Run(kind, func(t *testing.T) {
			w := startCrewWorker(t, kind)
			defer w.close()
			dir := t.TempDir()
			come := func(from, count int) int64 {
				for i := range count {
					s := &step{Script: fmt.Sprintf("job%d/script.py", from+i), Function: "main", Params: []byte("null")}
					path := filepath.Join(dir, s.Script)
					if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
						t.Fatal(err)
					}
					writeFile(t, filepath.Join(filepath.Dir(path), "beside.py"), "MORE = [str(n) for n in range(1000)]\n")
					writeFile(t, path, "import beside\nDATA = list(range(20_000, 30_000))\ndef main(params, context):\n    return len(DATA)\n")
					if r := w.outcome(t, w.send(t, dir, s)); !sameJSON(r.Data, "10000") {
						t.Fatal(r)
					}
					if err := os.RemoveAll(filepath.Dir(path)); err != nil {
						t.Fatal(err)
					}
				}
				stats, err := w.Stats(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return stats.PeakRSSBytes
			}
			before := come(0, 30)
			after := come(30, goneScripts)
			if grown := after - before; grown > 20<<20 {
				t.Errorf("%d bytes more after %d scripts that are gone", grown, goneScripts)
			}
		})
	}
}
