package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ways lists what breaks_into_its_slot.py can do that costs the worker.
func ways() []string {
	return []string{"writes_text", "writes_much", "writes_half_a_frame", "announces_what_never_comes", "announces_too_much",
		"writes_a_number_without_end", "writes_an_empty_frame", "forges_a_result", "forges_all_results", "forges_a_start", "forges_progress_later",
		"closes_it", "closes_it_and_has_a_copy", "closes_it_and_opens_a_file", "shuts_writing", "shuts_reading",
		"puts_null_in_its_place", "puts_a_pipe_in_its_place", "puts_a_socket_in_its_place", "reads_its_tasks", "clears_claims", "fills_claims", "unmaps_claims"}
}

// notOnALoop: the claims of a loop decide nothing, and what has been read there may wait.
func notOnALoop(way string) bool {
	return way == "reads_its_tasks" || way == "clears_claims" || way == "fills_claims"
}

// poolOfWay is the one pool in which each way is tried with -short: they take turns.
func poolOfWay() map[string]string {
	in := map[string]string{}
	for n, way := range ways() {
		pools := []string{"cpu", "io", "loop"}
		if notOnALoop(way) {
			pools = pools[:2]
		}
		in[way] = pools[n%len(pools)]
	}
	return in
}

// Whatever a script does to its slot, its own task ends, another's without a timeout ends as
// well, and the workers of other pools are as they were. The log says what was wrong.
func TestWhoBreaksIntoItsSlotKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	breaks, err := filepath.Abs("testdata/breaks_into_its_slot.py")
	if err != nil {
		t.Fatal(err)
	}
	echo := script(t, "def main(params, context):\n    return params\n\nasync def on_a_loop(params, context):\n    return params\n")
	in := poolOfWay()
	for pool, function := range map[string]string{"cpu": "main", "io": "main", "loop": "on_a_loop"} {
		t.Run(pool, func(t *testing.T) {
			t.Parallel()
			d := start(t, strings.Replace(testConfig, "limits {", "limits {\n gil_stall = \"1s\"", 1)+
				"pool \"others\" {\n executor = \"python\"\n task_types = [\"cpu_bound\"]\n workers = 1\n threads = 1\n}\n"+
				"pool \"loop\" {\n executor = \"python\"\n task_types = [\"io_bound\"]\n workers = 1\n threads = 1\n async_concurrency = 20\n}\n")
			d.result(d.submit(echo, `"params":1,"pool":"others"`))
			others := d.readyPID("others-0")
			for _, way := range ways() {
				if testing.Short() && in[way] != pool || pool == "loop" && notOnALoop(way) {
					continue
				}
				d.log.Reset()
				broke := d.submit(breaks, fmt.Sprintf(`"params":%q,"pool":%q,"function":%q,"on_worker_lost":"fail"`, way, pool, function))
				var victims []string
				for n := range 10 {
					victims = append(victims, d.submit(echo, fmt.Sprintf(`"params":%d,"pool":%q,"function":%q`, n, pool, function)))
				}
				for _, id := range victims {
					if r := d.result(id); r["status"] != "completed" {
						t.Fatalf("%s: another's task: %v\n%s", way, r, d.log)
					}
				}
				d.result(broke)
				d.until(way+": the log tells of it", func() bool {
					if r := d.result(d.submit(echo, fmt.Sprintf(`"params":1,"pool":%q,"function":%q`, pool, function))); r["status"] != "completed" {
						t.Fatalf("%s: another's task later: %v\n%s", way, r, d.log)
					}
					return told.MatchString(d.log.String())
				})
			}
			if d.readyPID("others-0") != others {
				t.Error("the worker of another pool was replaced")
			}
			if written, _ := filepath.Glob("/tmp/written-by-*"); len(written) > 0 {
				for _, path := range written {
					if about, err := os.Stat(path); err != nil || about.Size() > 0 {
						t.Errorf("a frame was written into a script's file: %v %v", about, err)
					}
					os.Remove(path)
				}
			}
		})
	}
}

// told is what the log says of a slot that was broken into.
var told = regexp.MustCompile(`worker is ended: a script has broken into its slot|worker died: .* connection="slot|a slot has no connection any more|` +
	`the result of a task does not come|a slot does not begin the task|can't run tasks any more`)
