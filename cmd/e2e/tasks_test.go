package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// held is a script that runs until its file is there, and gives back its params.
const heldScript = `
import os, time
def main(params, context):
    while params.get("until") and not os.path.exists(params["until"]):
        context.check_cancelled()
        time.sleep(0.005)
    return params
`

// post submits a task and returns its id.
func (d *daemon) post(path, params, more string) string {
	d.t.Helper()
	code, answer := d.call("POST", "/v1/tasks", fmt.Sprintf(`{"script_path":%q,"params":%s%s}`, path, params, more))
	if code != http.StatusAccepted {
		d.t.Fatalf("POST /v1/tasks: %d %v", code, answer)
	}
	return answer["task_id"].(string)
}

func code(r map[string]any) string {
	e, _ := r["error"].(map[string]any)
	text, _ := e["code"].(string)
	return text
}

// release makes a file, and returns what does, and its name as a parameter.
func release(t *testing.T) (params string, let func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "go")
	return fmt.Sprintf(`{"until":%q}`, path), func() {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Error(err)
		}
	}
}

const oneSlot = `
executor "python" { command = "cpulb-python" }
pool "one" {
  executor = "python"
  task_types = ["cpu_bound", "io_bound"]
  workers = 1
}
`

// lines reads NDJSON.
func (d *daemon) lines(path string) []map[string]any {
	d.t.Helper()
	resp, err := d.http.Get("http://cpulb" + path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	var all []map[string]any
	for in := bufio.NewScanner(resp.Body); in.Scan(); {
		var x map[string]any
		if err := json.Unmarshal(in.Bytes(), &x); err != nil {
			d.t.Fatalf("%s: %q", path, in.Bytes())
		}
		all = append(all, x)
	}
	return all
}

func TestABatchIsAcceptedWholeAndItsBadLinesAreNamed(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	path := script(t, doubles)
	body := ""
	for i := range 10 {
		body += fmt.Sprintf(`{"script_path":%q,"params":{"value":%d}}`+"\n", path, i)
	}
	body += "{\"script_path\":\"/nowhere.py\"}\n\noops\n"
	for _, text := range []string{body, `{"tasks":[` + strings.Join(strings.Fields(strings.ReplaceAll(strings.ReplaceAll(body, "\n\noops\n", ""), "\n", " ")), ",") + `]}`} {
		status, answer := d.call("POST", "/v1/batches", text)
		errors := answer["errors"].([]any)
		if status != http.StatusAccepted || errors[0].(map[string]any)["line"] != float64(11) ||
			errors[0].(map[string]any)["problem"].(map[string]any)["code"] != "script_not_found" {
			t.Fatalf("%d %v", status, answer)
		}
		if strings.Contains(text, "oops") && (len(errors) != 2 || errors[1].(map[string]any)["line"] != float64(13)) {
			t.Errorf("errors: %v", errors)
		}
		batch := "/v1/batches/" + answer["batch_id"].(string)
		sum := 0.0
		for _, r := range d.lines(batch + "/results") {
			sum += r["data"].(map[string]any)["value"].(float64)
		}
		if _, view := d.call("GET", batch, ""); sum != 90 || view["total"] != float64(10) || view["done"] != true || view["tasks"].(map[string]any)["completed"] != float64(10) {
			t.Errorf("sum %v, %v", sum, view)
		}
	}
}

func TestTasksAreListedByStateAndLabelAPageAtATime(t *testing.T) {
	t.Parallel()
	d := start(t, oneSlot)
	until, let := release(t)
	path := script(t, heldScript)
	var ids []string
	for i := range 7 {
		ids = append(ids, d.post(path, until, fmt.Sprintf(`,"labels":{"n":"%d","odd":"%t"}`, i, i%2 == 1)))
	}
	var listed []string
	next := ""
	for {
		status, answer := d.call("GET", "/v1/tasks?limit=3&status=queued,running,pending&after="+next, "")
		if status != http.StatusOK {
			t.Fatal(answer)
		}
		for _, v := range answer["tasks"].([]any) {
			listed = append(listed, v.(map[string]any)["task_id"].(string))
		}
		if next, _ = answer["next"].(string); next == "" {
			break
		}
	}
	if !slices.Equal(listed, ids) {
		t.Errorf("submitted %v, listed %v", ids, listed)
	}
	if _, answer := d.call("GET", "/v1/tasks?label=odd=true&label=n=3", ""); len(answer["tasks"].([]any)) != 1 {
		t.Errorf("by labels: %v", answer)
	}
	if _, answer := d.call("DELETE", "/v1/tasks?label=odd=true", ""); answer["cancelled"] != float64(3) {
		t.Errorf("cancelled: %v", answer)
	}
	let()
	for i, id := range ids {
		want := "completed"
		if i%2 == 1 {
			want = "cancelled"
		}
		if r := d.result(id); r["status"] != want {
			t.Errorf("task %d: %v", i, r)
		}
	}
	status, again := d.call("POST", "/v1/tasks/"+ids[0]+"/rerun", "")
	if status != http.StatusAccepted || again["task_id"] == ids[0] || d.result(again["task_id"].(string))["status"] != "completed" {
		t.Errorf("rerun: %d %v", status, again)
	}
}

func TestAFailedAttemptIsFollowedByAnotherAsOftenAsAllowed(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	path := script(t, "def main(params, context):\n    if context.attempt <= params:\n        raise ValueError('attempt %d' % context.attempt)\n    return context.attempt\n")
	more := `,"max_retries":2,"retry_backoff":"5ms"`
	if r := d.result(d.post(path, "2", more)); r["data"] != float64(3) || r["attempts"] != float64(3) {
		t.Errorf("two failures of two allowed: %v", r)
	}
	r := d.result(d.post(path, "9", more))
	if r["status"] != "failed" || r["attempts"] != float64(3) || !strings.Contains(fmt.Sprint(r["error"]), "attempt 3") {
		t.Errorf("more failures than allowed: %v", r)
	}
}

func TestTasksOfOneKeyRunOneAtATimeAndHoldUpNobody(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	until, let := release(t)
	path := script(t, heldScript)
	keyed := `,"task_type":"io_bound","concurrency_key":"database"`
	first, second := d.post(path, until, keyed), d.post(path, `{}`, keyed)
	if r := d.result(d.post(path, `{}`, `,"task_type":"io_bound"`)); r["status"] != "completed" {
		t.Errorf("without the key: %v", r)
	}
	if _, view := d.call("GET", "/v1/tasks/"+second, ""); view["status"] != "pending" && view["status"] != "queued" {
		t.Errorf("the second of the key: %v", view)
	}
	let()
	a, b := d.result(first), d.result(second)
	if a["finished_at"].(string) > b["started_at"].(string) {
		t.Errorf("both ran at a time: %v, %v", a, b)
	}
}

func TestAnIdempotencyKeyMakesTheSecondTaskTheFirst(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	path := script(t, doubles)
	first := d.post(path, `{"value":1}`, `,"idempotency_key":"order 7"`)
	if again := d.post(path, `{"value":1}`, `,"idempotency_key":"order 7"`); again != first {
		t.Errorf("%s and %s", first, again)
	}
	status, answer := d.call("POST", "/v1/tasks", fmt.Sprintf(`{"script_path":%q,"params":{"value":2},"idempotency_key":"order 7"}`, path))
	if status != http.StatusConflict {
		t.Errorf("other content: %d %v", status, answer)
	}
}

func TestATaskStartsNotBeforeItsTimeAndNotAfterItsExpiry(t *testing.T) {
	t.Parallel()
	d := start(t, oneSlot)
	path := script(t, heldScript)
	r := d.result(d.post(path, `{}`, `,"delay":"150ms"`))
	if r["queue_seconds"].(float64) < 0.15 {
		t.Errorf("it waited %v s", r["queue_seconds"])
	}
	until, let := release(t)
	running := d.post(path, until, "")
	soon := time.Now().Add(50 * time.Millisecond).UTC().Format(time.RFC3339Nano)
	if r := d.result(d.post(path, `{}`, `,"expires_at":"`+soon+`"`)); code(r) != "expired" || r["attempts"] != float64(0) {
		t.Errorf("not started in time: %v", r)
	}
	let()
	d.result(running)
}

func TestWhatAFullQueueDoesFollowsItsPolicy(t *testing.T) {
	t.Parallel()
	for policy, check := range map[string]func(d *daemon, path string, let func(), second string){
		"reject": func(d *daemon, path string, let func(), second string) {
			resp, err := d.http.Post("http://cpulb/v1/tasks", "", strings.NewReader(fmt.Sprintf(`{"script_path":%q}`, path)))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
				t.Errorf("reject: %s %v", resp.Status, resp.Header)
			}
			let()
			if r := d.result(second); r["status"] != "completed" {
				t.Errorf("reject: the one that waited: %v", r)
			}
		},
		"drop_oldest": func(d *daemon, path string, let func(), second string) {
			newest := d.post(path, `{}`, "")
			if r := d.result(second); code(r) != "queue_dropped" {
				t.Errorf("drop_oldest: the oldest: %v", r)
			}
			let()
			if r := d.result(newest); r["status"] != "completed" {
				t.Errorf("drop_oldest: the newest: %v", r)
			}
		},
		"block": func(d *daemon, path string, let func(), second string) {
			third := make(chan string)
			go func() { third <- d.post(path, `{}`, "") }()
			d.await("input_queue", "blocked", 1)
			let()
			if r := d.result(<-third); r["status"] != "completed" {
				t.Errorf("block: the one that was kept waiting: %v", r)
			}
		},
	} {
		d := start(t, oneSlot+"queue {\n  max_tasks = 1\n  policy = \""+policy+"\"\n}\n")
		until, let := release(t)
		path := script(t, heldScript)
		d.post(path, until, "")
		d.await("process_pool", "active_threads", 1)
		check(d, path, let, d.post(path, `{}`, ""))
	}
}

// await returns once a figure of a component is what is wanted.
func (d *daemon) await(component, figure string, want float64) {
	d.t.Helper()
	d.until(fmt.Sprintf("%s.%s is %v", component, figure, want), func() bool {
		_, status := d.call("GET", "/v1/status", "")
		return status["components"].(map[string]any)[component].(map[string]any)["metrics"].(map[string]any)[figure] == want
	})
}

func TestASchedulesNextTimeIsListed(t *testing.T) {
	t.Parallel()
	path := script(t, "def main(params, context):\n    return context.labels\n")
	d := start(t, oneSlot+fmt.Sprintf("schedule \"yearly\" {\n  cron = \"0 0 1 1 *\"\n  catch_up = \"last\"\n  script_path = %q\n  labels = { a = \"b\" }\n}\n", path))
	_, answer := d.call("GET", "/v1/schedules", "")
	s := answer["schedules"].([]any)[0].(map[string]any)
	next, err := time.Parse(time.RFC3339, s["next"].(string))
	if err != nil || s["name"] != "yearly" || next.YearDay() != 1 || !next.After(time.Now()) || s["last"] != nil { // a year away, so that it does not come meanwhile
		t.Errorf("%v, %v", s, err)
	}
}
