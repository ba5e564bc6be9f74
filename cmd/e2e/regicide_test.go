package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// regicide ends the daemon that runs it, as one does that takes all memory of the machine.
const regicide = `
import os, signal, time
def main(params, context):
    while not os.path.exists(params["until"]):
        time.sleep(0.01)
    time.sleep(0.2)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
`

const sleeper = `
import time
def main(params, context):
    time.sleep(params)
    return "slept"
`

// However many run beside it, whatever it says of retries, and in whatever pool it is.
func TestATaskOfWhichDaemonsDieIsFoundAndItsNeighboursComplete(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pool, more string }{{"io", ""}, {"cpu", `,"max_retries":4,"retry_backoff":"10ms"`}} {
		d := start(t, strings.Replace(testConfig, "workers = 2", "workers = 1", 1)) // again and again
		slow, killer := script(t, sleeper), script(t, regicide)
		submit := func(path, params, pool, more string) string {
			code, view := d.call("POST", "/v1/tasks", fmt.Sprintf(`{"script_path":%q,"params":%s,"task_type":"io_bound","pool":%q%s}`, path, params, pool, more))
			if code != 202 {
				t.Fatalf("POST /v1/tasks: %d %v", code, view)
			}
			return view["task_id"].(string)
		}
		var neighbours []string
		for range 3 {
			neighbours = append(neighbours, submit(slow, "2", "io", ""))
		}
		until, let := release(t) // not before the submission is answered
		id := submit(killer, until, c.pool, c.more)
		let()
		died := d.untilAlive(10)
		if died > 5 {
			t.Errorf("%d daemons died of it", died)
		}
		_, r := d.call("GET", "/v1/tasks/"+id+"/result?timeout=10m", "")
		if e, _ := r["error"].(map[string]any); e["code"] != "worker_lost" || r["attempts"].(float64) != float64(died) {
			t.Errorf("after %d deaths it ended so: %v", died, r)
		}
		if !strings.Contains(d.log.String(), "poison: the daemon died of this task") {
			t.Errorf("the log does not name it:\n%s", d.log)
		}
		for _, id := range neighbours {
			if _, r := d.call("GET", "/v1/tasks/"+id+"/result?timeout=10m", ""); r["status"] != "completed" {
				t.Errorf("a neighbour: %v", r)
			}
		}
	}
}

// untilAlive starts the daemon again as often as it dies, until one has seen all tasks
// end, and returns how many have died.
func (d *daemon) untilAlive(most int) (died int) {
	d.t.Helper()
	for died <= most {
		if d.allEnd() {
			return died
		}
		died++
		d.launched() // or it has died before it was ready, which allEnd sees
	}
	return died
}

// allEnd waits for the end of all tasks, or of the daemon, and then returns false.
func (d *daemon) allEnd() bool {
	d.t.Helper()
	for {
		select {
		case <-d.own.Ended():
			return false
		case <-time.After(10 * time.Millisecond): // there is no event for it
		}
		resp, err := d.http.Get("http://cpulb/v1/tasks?status=pending&status=queued&status=running")
		if err != nil {
			continue // it has died
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil && bytes.Contains(text, []byte(`"tasks":[]`)) {
			return true
		}
	}
}
