package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
)

func TestEventsAreToldAgainFromACursorAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	d := start(t, oneSlot)
	until, let := release(t)
	path := script(t, `
import os, time
def main(params, context):
    for i in range(5):
        context.progress(i / 5, "step %d" % i)
    yield "a"
    while not os.path.exists(params["until"]):
        time.sleep(0.005)
    yield "b"
`)
	id := d.post(path, until, "")
	resp, err := d.http.Get("http://cpulb/v1/tasks/" + id + "/events")
	if err != nil {
		t.Fatal(err)
	}
	var cursor string
	in := bufio.NewScanner(resp.Body)
	for cursor == "" && in.Scan() {
		var ev map[string]any
		if err := json.Unmarshal(in.Bytes(), &ev); err != nil {
			t.Fatal(err)
		}
		if ev["event"] == "partial" {
			cursor = ev["cursor"].(string)
		}
	}
	resp.Body.Close()
	let()
	var kinds []string
	before := d.lines("/v1/tasks/" + id + "/events?after=" + cursor)
	for _, ev := range before {
		kinds = append(kinds, ev["event"].(string))
	}
	if !slices.Equal(kinds, []string{"partial", "result"}) {
		t.Errorf("after %s came %v", cursor, kinds)
	}
	d.stop()
	d.launch()
	events := d.lines("/v1/tasks/" + id + "/events?after=" + cursor)
	if fmt.Sprint(events) != fmt.Sprint(before) || fmt.Sprint(events[1]["result"].(map[string]any)["data"]) != "[a b]" {
		t.Errorf("after a restart: %v", events)
	}
	if rest := d.lines("/v1/tasks/" + id + "/events?after=" + events[1]["cursor"].(string)); len(rest) != 0 {
		t.Errorf("after the last: %v", rest)
	}
}

func TestWhatIsQueuedGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	d := start(t, oneSlot+"limits {\n  drain_timeout = \"10m\"\n}\n")
	until, let := release(t)
	path := script(t, heldScript)
	running := d.post(path, until, "")
	d.await("process_pool", "active_threads", 1)
	queued := d.post(path, `{"n":1}`, `,"labels":{"a":"b"}`)
	volatile := d.post(path, `{}`, `,"durable":false`)
	if status, answer := d.call("POST", "/v1/drain", ""); status != http.StatusOK || answer["draining"] != true {
		t.Fatalf("%d %v", status, answer)
	}
	if status, answer := d.call("POST", "/v1/tasks", fmt.Sprintf(`{"script_path":%q}`, path)); status != 503 || answer["code"] != "draining" {
		t.Errorf("%d %v", status, answer)
	}
	let()
	if r := d.result(running); r["status"] != "completed" {
		t.Errorf("%v", r)
	}
	d.stop()
	d.launch()
	if r := d.result(queued); r["status"] != "completed" || fmt.Sprint(r["data"]) != "map[n:1]" {
		t.Errorf("%v", r)
	}
	if r := d.result(running); r["status"] != "completed" {
		t.Errorf("%v", r)
	}
	if status, answer := d.call("GET", "/v1/tasks/"+volatile, ""); status != http.StatusNotFound {
		t.Errorf("what was not durable: %d %v", status, answer)
	}
}

func TestADrainIsResumed(t *testing.T) {
	t.Parallel()
	d := start(t, oneSlot)
	path := script(t, heldScript)
	until, let := release(t)
	first, second := d.post(path, until, ""), d.post(path, `{}`, "")
	d.await("process_pool", "active_threads", 1)
	d.call("POST", "/v1/drain", "")
	let()
	d.result(first)
	if _, view := d.call("GET", "/v1/tasks/"+second, ""); view["status"] != "queued" {
		t.Errorf("while draining: %v", view)
	}
	if status, answer := d.call("POST", "/v1/resume", ""); status != http.StatusOK || answer["draining"] != false {
		t.Errorf("%d %v", status, answer)
	}
	if r := d.result(second); r["status"] != "completed" {
		t.Errorf("%v", r)
	}
}
