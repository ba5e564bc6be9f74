package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cpulb/daemon/task"
)

// notes writes a line for each run of a task, fails or takes its time as told.
const notes = `
import os, time
def main(params, context):
    fd = os.open(params["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, f"{context.task_id} {context.attempt}\n".encode())
    os.close(fd)
    time.sleep(params["pause"])
    if params["fails"] and context.attempt < 2:
        raise RuntimeError("the first time")
    return params["n"]
`

// ledger is what the clients of a daemon that is killed again and again know.
type ledger struct {
	d         *daemon
	path, log string

	mu sync.Mutex
	// accepted are the tasks that were acknowledged, once those that must not run
	// twice; seen is when each had ended of which the result was shown.
	accepted, once map[task.ID]bool
	seen           map[task.ID]string
	resent         int
	attempts       map[string]int // in the results
}

// load submits tasks until stop is closed, and again what was not answered, as a
// client does.
func (l *ledger) load(seed uint64, stop <-chan struct{}) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	var unanswered []byte
	for {
		select {
		case <-stop:
			return
		default:
		}
		body := unanswered
		if body == nil {
			body = l.newTask(rnd)
		} else {
			l.mu.Lock()
			l.resent++
			l.mu.Unlock()
		}
		if unanswered = body; l.send(body, rnd.IntN(3) == 0) {
			unanswered = nil
		}
	}
}

func (l *ledger) newTask(rnd *rand.Rand) []byte {
	id, extra := task.NewID(), ""
	switch rnd.IntN(6) {
	case 0:
		extra = `,"on_worker_lost":"fail"`
		l.mu.Lock()
		l.once[id] = true
		l.mu.Unlock()
	case 3:
		extra = `,"on_worker_lost":"fail","max_retries":2,"retry_backoff":"10ms"`
	case 1:
		extra = `,"max_retries":2,"retry_backoff":"10ms"`
	case 2:
		extra = `,"delay":"20ms"`
	}
	return fmt.Appendf(nil, `{"task_id":"%s","script_path":%q,"params":{"n":%d,"log":%q,"pause":%g,"fails":%t}%s,"task_type":"io_bound"}`,
		id, l.path, rnd.IntN(1000), l.log, 0.01*rnd.Float64(), rnd.IntN(6) == 0, extra)
}

// send submits a task and notes what is answered; false if nothing is.
func (l *ledger) send(body []byte, wait bool) bool {
	path := "/v1/tasks"
	if wait {
		path += "?wait=1s"
	}
	resp, err := l.d.http.Post("http://cpulb"+path, "application/json", bytes.NewReader(body))
	if err != nil {
		time.Sleep(time.Millisecond) // between two lives of the daemon; nothing is decided by it
		return false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return false
	}
	return l.note(resp, text)
}

func (l *ledger) note(resp *http.Response, text []byte) bool {
	var answer struct {
		ID         task.ID `json:"task_id"`
		FinishedAt *string `json:"finished_at"`
		Code       string  `json:"code"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return false // cut off
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch resp.StatusCode {
	case http.StatusAccepted, http.StatusOK:
		l.accepted[answer.ID] = true
		if resp.StatusCode == http.StatusOK {
			l.seen[answer.ID] = *answer.FinishedAt
		}
		return true
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return false
	}
	l.d.t.Errorf("%s: %s", resp.Status, text)
	return true
}

// untilMore returns once another task has been accepted.
func (l *ledger) untilMore() {
	accepted := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.accepted)
	}
	before := accepted()
	l.d.until("another task is accepted", func() bool { return accepted() > before })
}

// settle waits for every task's end and compares it with what was seen.
func (l *ledger) settle(t *testing.T) map[string]int {
	t.Helper()
	states := map[string]int{}
	for id := range l.accepted {
		code, r := l.d.call("GET", "/v1/tasks/"+id.String()+"/result?timeout=10m", "")
		if code != http.StatusOK {
			t.Errorf("task %s was accepted, and now: %d %v", id, code, r)
			continue
		}
		if at, ok := l.seen[id]; ok && at != r["finished_at"] {
			t.Errorf("task %s had ended at %s, and now at %v", id, at, r["finished_at"])
		}
		state := r["status"].(string)
		if e, ok := r["error"].(map[string]any); ok {
			state += " " + e["code"].(string)
		}
		states[state]++
		l.attempts[id.String()] = int(r["attempts"].(float64))
	}
	return states
}

// runs counts how often each task has run. Attempts go on counting, whatever dies; one
// that was sent and not begun when the daemon died is among them.
func (l *ledger) runs(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile(l.log)
	if err != nil {
		t.Fatal(err)
	}
	n, last := map[string]int{}, map[string]int{}
	for line := range strings.Lines(string(text)) {
		var id string
		var attempt int
		if _, err := fmt.Sscan(line, &id, &attempt); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if n[id]++; attempt <= last[id] {
			t.Errorf("task %s ran as attempt %d after attempt %d", id, attempt, last[id])
		}
		last[id] = attempt
	}
	for id, attempts := range l.attempts {
		if attempts < last[id] {
			t.Errorf("task %s has run as attempt %d, and its result has %d", id, last[id], attempts)
		}
	}
	return n
}

// `make soak-crash` runs it at full size.
func TestNoAcknowledgedTaskIsLostOrEndsTwiceWhenTheDaemonIsKilled(t *testing.T) {
	t.Parallel()
	kills := inShort(3, 8)
	if text := os.Getenv("CPULB_CRASH_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	d := start(t, testConfig+"results {\n  max = 10000000\n  ttl = \"10h\"\n}\n")
	l := &ledger{d: d, path: script(t, notes), log: filepath.Join(t.TempDir(), "runs"),
		accepted: map[task.ID]bool{}, once: map[task.ID]bool{}, seen: map[task.ID]string{}, attempts: map[string]int{}}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 16 {
		clients.Go(func() { l.load(uint64(i), stop) })
	}
	for range kills {
		l.untilMore()
		time.Sleep(time.Duration(20+rand.IntN(150)) * time.Millisecond) // the moment is what is tried, any will do
		d.kill()
		d.launch()
	}
	close(stop)
	clients.Wait()
	states, runs := l.settle(t), l.runs(t)
	twice := 0
	for id := range l.accepted {
		n := runs[id.String()]
		if n > 1 {
			twice++
		}
		if n > 1 && l.once[id] {
			t.Errorf("task %s must not run twice, and ran %d times", id, n)
		}
	}
	t.Logf("%d kills: %d tasks accepted, %d ended before a client's eyes, %d sent again, %d ran more than once; ends: %v",
		kills, len(l.accepted), len(l.seen), l.resent, twice, states)
	for state := range states {
		if state != "completed" && state != "failed daemon_lost" && state != "failed exception" {
			t.Errorf("tasks ended as %s", state)
		}
	}
}
