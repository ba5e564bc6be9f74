package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A script takes from its worker what all tasks need; then somebody else's tasks come,
// none of which fails, and the log names the script. What there is to take is in
// plugins/python; this is some of it through the daemon.
func TestNobodyElsesTasksPayForABrokenWorker(t *testing.T) {
	t.Parallel()
	breaks, err := filepath.Abs("../../plugins/python/testdata/breaks_its_worker.py")
	if err != nil {
		t.Fatal(err)
	}
	for turn, pool := range []string{"cpu", "io"} {
		t.Run(pool, func(t *testing.T) {
			t.Parallel()
			d := start(t, testConfig)
			dir := t.TempDir()
			for n, way := range []string{"lowers_descriptors_for_good", "leaks_descriptors", "empties_the_runtime", "closes_the_pipes_of_its_output",
				"exhausts_threads", "closes_all_descriptors", "clears_builtins"} {
				if testing.Short() && n%2 != turn { // each in one of the pools
					continue
				}
				d.untilWhole() // those that the way before has cost are not this one's
				restarts := d.restarts()
				code, broke := d.call("POST", "/v1/tasks?wait=10m", fmt.Sprintf(`{"script_path":%q,"params":%q,"pool":%q}`, breaks, way, pool))
				if code != 200 || broke["status"] == nil {
					t.Fatalf("%s: %d %v", way, code, broke)
				}
				for i := range inShort(6, 20) {
					path := filepath.Join(dir, fmt.Sprintf("victim_%d_%d.py", n, i))
					if err := os.WriteFile(path, []byte("def main(p, c):\n    print('out')\n    return open(__file__).name\n"), 0o600); err != nil {
						t.Fatal(err)
					}
					code, r := d.call("POST", "/v1/tasks?wait=10m", fmt.Sprintf(`{"script_path":%q,"pool":%q}`, path, pool))
					if code != 200 || r["status"] != "completed" || r["data"] != path || r["stdout"] != "out\n" {
						t.Fatalf("%s: %d %v\n%s", way, code, r, d.log)
					}
				}
				// Three attempts may run, and what the way before has done to the pool's workers, two at
				// most, may come to light only now.
				if now := d.restarts(); now-restarts > 3+2 {
					t.Errorf("%s: %v workers were replaced\n%s", way, now-restarts, d.log)
				}
			}
			if log := d.log.String(); !strings.Contains(log, "worker can't run tasks any more") || !strings.Contains(log, breaks) {
				t.Errorf("the log does not say what happened:\n%s", log)
			}
			_, status := d.call("GET", "/v1/status", "")
			if strings.Contains(fmt.Sprint(status), dir) || strings.Contains(fmt.Sprint(status), "breaks_its_worker") {
				t.Errorf("the status shows scripts: %v", status)
			}
		})
	}
}

// untilWhole waits until no worker leaves or starts.
func (d *daemon) untilWhole() {
	d.t.Helper()
	d.until("all workers are ready", func() bool {
		return !slices.ContainsFunc(d.workers(), func(w map[string]any) bool { return w["state"] != "ready" })
	})
}

// restarts counts the workers that were replaced, in all seats, each of which may be listed
// with several workers.
func (d *daemon) restarts() (n float64) {
	seats := map[any]float64{}
	for _, w := range d.workers() {
		seats[w["id"]] = w["restarts"].(float64)
	}
	for _, restarts := range seats {
		n += restarts
	}
	return n
}
