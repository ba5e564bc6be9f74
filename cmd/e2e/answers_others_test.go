package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

const stuckScript = `import time
def main(params):
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
`

// leave has a worker that leaves because of somebody's task, whose script's path is
// returned: this is what only administrators may see.
func (a *answers) leave() (secret string) {
	a.t.Helper()
	secret = script(a.t, stuckScript)
	d := a.as(another)
	var ids []string
	for range 2 { // the one keeps the worker from ending while it waits for the other
		_, task := d.call("POST", "/v1/tasks", fmt.Sprintf(`{"script_path":%q,"task_type":"io_bound"}`, secret))
		ids = append(ids, task["task_id"].(string))
	}
	for _, id := range ids {
		d.until("a task runs", func() bool { _, v := d.call("GET", "/v1/tasks/"+id, ""); return v["status"] == "running" })
	}
	d.call("DELETE", "/v1/tasks/"+ids[0], "")
	d.until("the worker leaves", func() bool {
		_, workers := a.call("GET", "/v1/workers", "")
		return strings.Contains(fmt.Sprint(workers), "leaving")
	})
	d.until("its successor is there", func() bool { status, _ := d.call("GET", "/readyz", ""); return status == 200 })
	return secret
}

// viewed words which view an answer is.
func viewed(t *testing.T, path, secret string, decoded map[string]any) string {
	t.Helper()
	text := fmt.Sprint(decoded)
	all, public := strings.Contains(text, secret) || strings.Contains(text, "leaving:task"), strings.Contains(text, "administrators see why")
	if path == "/v1/executors" {
		all = strings.Contains(text, "/cpulb-python")
		public = !all && strings.Contains(text, "command:cpulb-python")
	}
	switch {
	case all && !public:
		return ", all"
	case public && !all:
		return ", public"
	}
	return ", neither: " + text
}

func TestTheViewsAreAsTheSecurityPageSays(t *testing.T) {
	t.Parallel()
	nobody(t)
	columns, table := rows(t, "| call | administrator |")
	const lacking = 65534 // which the kernel reports for all that a user namespace lacks, too
	a := newAnswers(t, lacking)
	secret := a.leave()
	users := map[string]*daemon{"administrator": a.daemon, "everybody else": a.as(caller), "no user here": a.as(lacking)}
	if len(columns) != len(users) {
		t.Errorf("the columns are %q", columns)
	}
	for call, wanted := range table {
		method, path, _ := strings.Cut(strings.Trim(call, "`"), " ")
		path = strings.NewReplacer("{worker_id}", "no-such", "{profile}", "heap").Replace(path)
		for i, column := range columns {
			got, decoded := ask(t, users[column], method, path, "")
			if strings.Contains(wanted[i], ",") {
				got += viewed(t, path, secret, decoded)
			}
			if got != wanted[i] {
				t.Errorf("%s, %s: %s, and the page says %s", call, column, got, wanted[i])
			}
			if method == "POST" && path == "/v1/drain" {
				a.call("POST", "/v1/resume", "")
			}
		}
	}
}

func TestTheSecurityPageHasEveryCall(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../ipc/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	_, tasks := rows(t, "| call | own |")
	_, others := rows(t, "| call | administrator |")
	for path, methods := range document.Paths {
		for method := range methods {
			if method == "parameters" {
				continue
			}
			call, found := "`"+strings.ToUpper(method)+" "+path+"`", false
			for _, table := range []map[string][]string{tasks, others} {
				for row := range table {
					found = found || strings.HasPrefix(row, call)
				}
			}
			if !found {
				t.Errorf("docs/security.md does not say how %s answers", call)
			}
		}
	}
}
