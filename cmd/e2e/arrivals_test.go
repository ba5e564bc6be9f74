package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cpulb/daemon/task"
)

// A cancel that was answered holds whatever becomes of the daemon, at once.
func TestACancelledTaskDoesNotRunAgainWhenTheDaemonIsKilledBehindTheAnswer(t *testing.T) {
	t.Parallel()
	d := start(t, oneSlot)
	runs := filepath.Join(t.TempDir(), "runs")
	path := script(t, `
import time
def main(params, context):
    with open(params["runs"], "a") as f:
        f.write(params["name"] + "\n")
    try:
        time.sleep(600)
    except BaseException:
        time.sleep(600)
`)
	named := func(name string) string { return fmt.Sprintf(`{"runs":%q,"name":%q}`, runs, name) }
	running := d.post(path, named("running"), "")
	d.until("it runs", func() bool { text, err := os.ReadFile(runs); return err == nil && len(text) > 0 })
	queued := d.post(path, named("queued"), "")
	for _, id := range []string{running, queued} {
		if status, answer := d.call("DELETE", "/v1/tasks/"+id, ""); status != http.StatusAccepted {
			t.Fatalf("%d %v", status, answer)
		}
	}
	d.kill()
	d.launch()
	for _, id := range []string{running, queued} {
		if r := d.result(id); r["status"] != "cancelled" {
			t.Errorf("%v", r)
		}
	}
	if text, err := os.ReadFile(runs); err != nil || string(text) != "running\n" {
		t.Errorf("what ran: %q %v", text, err)
	}
}

func TestASubmissionThatWaitsForRoomIsFoundAndGoesWithItsClient(t *testing.T) {
	t.Parallel()
	d := start(t, oneSlot+"queue {\n  max_tasks = 1\n  policy = \"block\"\n}\n")
	until, let := release(t)
	path := script(t, heldScript)
	d.post(path, until, "")
	d.await("process_pool", "active_threads", 1)
	waits := d.post(path, `{}`, "")
	id := task.NewID().String()
	client, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(client, "POST", "http://cpulb/v1/tasks", strings.NewReader(fmt.Sprintf(`{"script_path":%q,"task_id":%q}`, path, id)))
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() {
		resp, err := d.http.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		gone <- err
	}()
	d.until("it is pending", func() bool {
		status, view := d.call("GET", "/v1/tasks/"+id, "")
		return status == 200 && view["status"] == "pending"
	})
	leave()
	if err := <-gone; err == nil {
		t.Error("it was answered")
	}
	d.until("it is withdrawn", func() bool { status, _ := d.call("GET", "/v1/tasks/"+id, ""); return status == http.StatusNotFound })
	let()
	if r := d.result(waits); r["status"] != "completed" {
		t.Errorf("%v", r)
	}
}

// An answer that was lost: the batch is sent again, also to the next daemon.
func TestABatchIsSentAgainToTheNextDaemon(t *testing.T) {
	t.Parallel()
	d := start(t, oneSlot)
	path := script(t, "def main(params, context):\n    return params\n")
	var tasks []string
	for i := range 4 {
		tasks = append(tasks, fmt.Sprintf(`{"script_path":%q,"task_id":%q,"params":%d}`, path, task.NewID(), i))
	}
	send := func(some []string) string {
		status, answer := d.call("POST", "/v1/batches", `{"tasks":[`+strings.Join(some, ",")+`]}`)
		if status != http.StatusAccepted || len(answer["errors"].([]any)) > 0 {
			t.Fatalf("%d %v", status, answer)
		}
		return answer["batch_id"].(string)
	}
	total := func(id string, want float64) {
		t.Helper()
		if status, view := d.call("GET", "/v1/batches/"+id, ""); status != http.StatusOK || view["total"] != want {
			t.Errorf("%d %v, want %v tasks", status, view, want)
		}
	}
	first, more := send(tasks[:3]), send(tasks[1:])
	d.kill()
	d.launch()
	if again := send(tasks[:3]); again != first {
		t.Errorf("batch %s is %s when it is sent again", first, again)
	}
	total(first, 3)
	total(more, 3)
	total(send(tasks), 4)
}
