package e2e_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

func TestAWorkerIsRestartedWithoutItsTasksNoticing(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	waits := script(t, "def main(p, c):\n    c.progress(0)\n    return open(p['fifo']).read()\n")
	_, view := d.call("POST", "/v1/tasks", fmt.Sprintf(`{"script_path":%q,"params":{"fifo":%q},"task_type":"io_bound"}`, waits, fifo))
	task := fmt.Sprint("/v1/tasks/", view["task_id"])
	d.awaitEvent(task, "progress")
	before := d.readyPID("io-0")
	if code, answer := d.call("POST", "/v1/workers/io-0/restart", ""); code != 200 || answer["id"] != "io-0" {
		t.Fatalf("%d %v\n%s", code, answer, d.log)
	}
	if after := d.readyPID("io-0"); after == before || after == 0 {
		t.Errorf("worker %v after %v", after, before)
	}
	if err := os.WriteFile(fifo, []byte("late"), 0); err != nil {
		t.Fatal(err)
	}
	_, r := d.call("GET", task+"/result?timeout=10m", "")
	if worker, _ := r["worker"].(map[string]any); r["data"] != "late" || r["attempts"] != 1.0 || worker["pid"] != before {
		t.Errorf("the task: %v", r)
	}
	if code, answer := d.call("POST", "/v1/workers/io-9/restart", ""); code != 404 || answer["code"] != "worker_not_found" {
		t.Errorf("%d %v", code, answer)
	}
}

// awaitEvent returns once the task has reported an event of this kind.
func (d *daemon) awaitEvent(task, kind string) {
	d.t.Helper()
	if !d.hasEvent(task, kind) {
		d.t.Fatalf("%s reports no %s", task, kind)
	}
}

// hasEvent returns true once the task has reported an event of this kind, false if it
// has ended without.
func (d *daemon) hasEvent(task, kind string) bool {
	d.t.Helper()
	resp, err := d.http.Get("http://cpulb" + task + "/events")
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	for in := bufio.NewScanner(resp.Body); in.Scan(); {
		if strings.HasPrefix(in.Text(), `{"event":"`+kind+`"`) {
			return true
		}
	}
	return false
}

func TestTheProgramThatRunsIsNamedByItsHash(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(d.args[0]), "cpulb-python"))
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(text)
	for range 2 { // the second time it is remembered
		_, answer := d.call("GET", "/v1/executors", "")
		all, _ := answer["executors"].([]any)
		if len(all) != 1 {
			t.Fatalf("%v", answer)
		}
		x := all[0].(map[string]any)
		if x["name"] != "python" || x["sha256"] != hex.EncodeToString(hash[:]) || !strings.HasPrefix(fmt.Sprint(x["runtime"]), "CPython 3.") || fmt.Sprint(x["pools"]) != "[cpu io]" {
			t.Errorf("%v", x)
		}
	}
}

func TestTheDaemonAnswersAsItsDocumentSays(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	doc := d.document()
	_, batch := d.call("POST", "/v1/batches", fmt.Sprintf(`{"tasks":[{"script_path":%q,"params":{"value":1},"labels":{"a":"b"}},{"script_path":"/missing.py"}]}`, script(t, doubles)))
	ids := batch["task_ids"].([]any)
	for _, x := range []struct{ method, path, template, body string }{
		{"POST", "/v1/tasks?wait=10m", "/v1/tasks", fmt.Sprintf(`{"script_path":%q}`, script(t, "def main(p, c):\n    raise ValueError\n"))},
		{"POST", "/v1/tasks", "", fmt.Sprintf(`{"script_path":%q,"params":{"value":2}}`, script(t, doubles))},
		{"GET", fmt.Sprintf("/v1/tasks/%s/result?timeout=10m", ids[0]), "/v1/tasks/{task_id}/result", ""},
		{"GET", fmt.Sprintf("/v1/tasks/%s", ids[0]), "/v1/tasks/{task_id}", ""},
		{"DELETE", fmt.Sprintf("/v1/tasks/%s", ids[0]), "/v1/tasks/{task_id}", ""},
		{"POST", fmt.Sprintf("/v1/tasks/%s/rerun", ids[0]), "/v1/tasks/{task_id}/rerun", ""},
		{"GET", fmt.Sprintf("/v1/batches/%s", batch["batch_id"]), "/v1/batches/{batch_id}", ""},
		{"GET", "/v1/tasks?limit=1", "/v1/tasks", ""},
		{"DELETE", "/v1/tasks?label=a=b", "/v1/tasks", ""},
		{"GET", "/v1/status", "", ""},
		{"GET", "/v1/workers", "", ""},
		{"GET", "/v1/workers/cpu-0/stacks", "/v1/workers/{worker_id}/stacks", ""},
		{"GET", "/v1/executors", "", ""},
		{"GET", "/v1/config", "", ""},
		{"GET", "/v1/schedules", "", ""},
		{"POST", "/v1/drain", "", ""},
		{"GET", "/readyz", "", ""},
		{"POST", "/v1/resume", "", ""},
		{"GET", "/healthz", "", ""},
	} {
		if x.template == "" {
			x.template = x.path
		}
		status, answer := d.call(x.method, x.path, x.body)
		ref := doc.Paths.Value(x.template).GetOperation(x.method).Responses.Status(status)
		if ref == nil {
			t.Errorf("%s %s: %d is not documented: %v", x.method, x.path, status, answer)
			continue
		}
		for _, media := range ref.Value.Content { // there is one
			if err := doc.ValidateSchemaJSON(media.Schema.Value, answer, openapi3.EnableJSONSchema2020()); err != nil {
				t.Errorf("%s %s: %d is not as documented: %v", x.method, x.path, status, err)
			}
		}
	}
}

// document reads what the daemon says of its API.
func (d *daemon) document() *openapi3.T {
	d.t.Helper()
	code, answer := d.call("GET", "/v1/openapi.json", "")
	text, err := json.Marshal(answer)
	if err != nil || code != http.StatusOK {
		d.t.Fatal(code, err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		d.t.Fatal(err)
	}
	return doc
}

func TestAReloadOverTheSocketAnswersOnceItHoldsOrWhyNot(t *testing.T) {
	t.Parallel()
	d := start(t, testConfig)
	for _, x := range []struct {
		config string
		status int
		says   string
	}{
		{strings.Replace(testConfig, "workers = 2", "workers = 3", 1), 200, ""},
		{strings.Replace(testConfig, "threads", "thraeds", 1), 422, "thraeds"},
		{testConfig + "limits { connections = 7 }\n", 422, ""},
		{strings.Replace(testConfig, `"64KiB"`, `"65KiB"`, 1), 422, "limits.body_size"},
	} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(d.socket), "config.hcl"), []byte(x.config), 0o644); err != nil {
			t.Fatal(err)
		}
		status, answer := d.call("POST", "/v1/reload", "")
		if detail := fmt.Sprint(answer["detail"]); status != x.status || status == 422 && answer["code"] != "reload_failed" || !strings.Contains(detail, x.says) {
			t.Errorf("%d %v; want %d %q", status, answer, x.status, x.says)
		}
		if n := d.poolMetric("total_workers"); n != 4 {
			t.Errorf("%v workers, want 4", n)
		}
	}
}
