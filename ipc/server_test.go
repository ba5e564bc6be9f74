package ipc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// caller calls a server over its socket.
type caller struct {
	t      *testing.T
	client http.Client
}

func call(t *testing.T, socket string) *caller {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{t: t, client: http.Client{Transport: transport}}
}

func (c *caller) do(method, path, body string) (*http.Response, map[string]any) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, "http://cpulb"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil {
		c.t.Fatalf("%s %s: %s, not a JSON object: %q", method, path, resp.Status, text)
	}
	if err := asDocumented(method, req.URL.Path, resp, answer); err != nil {
		c.t.Errorf("%s %s: %s is not as documented: %v", method, path, resp.Status, err)
	}
	return resp, answer
}

func body(script, rest string) string { return fmt.Sprintf(`{"script_path":%q%s}`, script, rest) }

func TestATaskIsFollowedToItsResult(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	c := call(t, socket)
	resp, view := c.do("POST", "/v1/tasks", body(ipctest.Held, `,"labels":{"who":"me"}`))
	if resp.StatusCode != 202 || view["status"] != "running" {
		t.Fatalf("submit: %s %v", resp.Status, view)
	}
	path := fmt.Sprint("/v1/tasks/", view["task_id"])
	if resp, view := c.do("GET", path, ""); resp.StatusCode != 200 || view["status"] != "running" {
		t.Fatalf("view: %s %v", resp.Status, view)
	}
	if resp, view := c.do("GET", path+"/result", ""); resp.StatusCode != 202 || view["status"] != "running" {
		t.Fatalf("early result: %s %v", resp.Status, view)
	}
	if resp, view := c.do("DELETE", path, ""); resp.StatusCode != 202 || view["status"] != "cancelled" {
		t.Fatalf("cancel: %s %v", resp.Status, view)
	}
	if resp, result := c.do("GET", path+"/result?timeout=10m", ""); resp.StatusCode != 200 || result["status"] != "cancelled" {
		t.Fatalf("result: %s %v", resp.Status, result)
	}
}

func TestWaitAnswersWithTheResultOrTheView(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	c := call(t, socket)
	resp, result := c.do("POST", "/v1/tasks?wait=10m", body(ipctest.Echo, `,"params":{"a":"<b>"}`))
	if resp.StatusCode != 200 || result["status"] != "completed" || fmt.Sprint(result["data"]) != "map[a:<b>]" {
		t.Fatalf("in time: %s %v", resp.Status, result)
	}
	resp, view := c.do("POST", "/v1/tasks?wait=1ms", body(ipctest.Held, ""))
	if resp.StatusCode != 202 || view["status"] != "running" {
		t.Fatalf("too late: %s %v", resp.Status, view)
	}
}

func TestEveryErrorIsAProblemWithItsCode(t *testing.T) {
	engine := ipctest.New()
	engine.ReadyError = errors.New(`pool "cpu" has no ready worker`)
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	c := call(t, socket)
	_, known := c.do("POST", "/v1/tasks", body(ipctest.Held, ""))
	id := fmt.Sprint(known["task_id"])
	const unknown = "/v1/tasks/01890000-0000-7000-8000-000000000000"
	for _, x := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"POST", "/v1/tasks", `{"script_path":`, 400, "invalid_json"},
		{"POST", "/v1/tasks", `{"script_path":"/x.py","params":{oops}}`, 400, "invalid_json"},
		{"POST", "/v1/tasks", "", 400, "invalid_json"},
		{"POST", "/v1/tasks", `[]`, 400, "invalid_task"},
		{"POST", "/v1/tasks", body("x.py", ""), 400, "invalid_task"},
		{"POST", "/v1/tasks", body("/x.py", `,"task_type":"gpu_bound"`), 400, "invalid_task"},
		{"POST", "/v1/tasks", body(ipctest.Missing, ""), 400, "script_not_found"},
		{"POST", "/v1/tasks", body(ipctest.Full, ""), 429, "queue_full"},
		{"POST", "/v1/tasks", body(ipctest.Draining, ""), 503, "draining"},
		{"POST", "/v1/tasks", body(ipctest.NoSpace, ""), 507, "journal_full"},
		{"POST", "/v1/tasks", body(ipctest.Broken, ""), 500, "internal"},
		{"POST", "/v1/tasks", body("/other.py", `,"task_id":"`+id+`"`), 409, "task_conflict"},
		{"POST", "/v1/tasks", body("/x.py", `,"params":"`+strings.Repeat("x", ipctest.BodyBytes)+`"`), 413, "body_too_large"},
		{"POST", "/v1/tasks?wait=soon", body("/x.py", ""), 400, "bad_query"},
		{"POST", "/v1/tasks?wiat=1s", body("/x.py", ""), 400, "bad_query"},
		{"GET", unknown, "", 404, "task_not_found"},
		{"DELETE", unknown, "", 404, "task_not_found"},
		{"GET", unknown + "/result", "", 404, "task_not_found"},
		{"GET", "/v1/tasks/banana", "", 404, "task_not_found"},
		{"GET", "/v1/tasks/" + id + "/result?timeout=-1s", "", 400, "bad_query"},
		{"GET", "/v1/tasks/" + id + "/result?timeout=25h", "", 400, "bad_query"},
		{"GET", "/v1/tasks/" + id + "?%zz", "", 400, "bad_query"},
		{"GET", "/v1/tasks?status=asleep", "", 400, "bad_query"},
		{"GET", "/v1/tasks?label=nothing", "", 400, "bad_query"},
		{"GET", "/v1/tasks?label=a=1&label=a=2", "", 400, "bad_query"},
		{"GET", "/v1/tasks?batch=banana", "", 400, "bad_query"},
		{"GET", "/v1/tasks?limit=0", "", 400, "bad_query"},
		{"GET", "/v1/tasks?limit=1001", "", 400, "bad_query"},
		{"GET", "/v1/tasks?after=banana", "", 400, "bad_query"},
		{"GET", "/v1/tasks?limit=", "", 400, "bad_query"},
		{"GET", "/v1/tasks?limit=5&limit=6", "", 400, "bad_query"},
		{"GET", "/v1/tasks?batch=", "", 400, "bad_query"},
		{"GET", "/v1/tasks?after=a&after=b", "", 400, "bad_query"},
		{"GET", "/v1/tasks?label=a=%ed%a0%80", "", 400, "bad_query"},
		{"GET", "/v1/tasks?label=%ff=b", "", 400, "bad_query"},
		{"GET", "/v1/tasks?%ff=b", "", 400, "bad_query"},
		{"POST", "/v1/tasks?wait=1s&wait=2s", body("/x.py", ""), 400, "bad_query"},
		{"GET", "/v1/tasks/" + id + "/events?after=1.1&after=1.2", "", 400, "bad_query"},
		{"GET", "/v1/tasks/" + id + "/result?timeout=1s&timeout=", "", 400, "bad_query"},
		{"DELETE", "/v1/tasks?status=queued&batch=", "", 400, "bad_query"},
		{"DELETE", "/v1/tasks?status=queued&all=no", "", 400, "bad_query"},
		{"DELETE", "/v1/tasks", "", 400, "bad_query"},
		{"DELETE", "/v1/tasks?all=yes", "", 400, "bad_query"},
		{"DELETE", "/v1/tasks?all=true&limit=3", "", 400, "bad_query"},
		{"POST", unknown + "/rerun", "", 404, "task_not_found"},
		{"GET", unknown + "/events", "", 404, "task_not_found"},
		{"GET", "/v1/tasks/" + id + "/events?after=yesterday", "", 400, "bad_query"},
		{"POST", "/v1/batches", "", 400, "invalid_json"},
		{"POST", "/v1/batches", "[]", 400, "invalid_task"},
		{"POST", "/v1/batches", `{"tasks":[]}`, 400, "invalid_task"},
		{"POST", "/v1/batches", `{"tasks":[{}`, 400, "invalid_json"},
		{"POST", "/v1/batches", `{"tasks":["` + strings.Repeat("x", ipctest.BodyBytes) + `"]}`, 413, "body_too_large"},
		{"GET", "/v1/batches/banana", "", 404, "batch_not_found"},
		{"GET", "/v1/batches/01890000-0000-7000-8000-000000000000", "", 404, "batch_not_found"},
		{"GET", "/v1/batches/01890000-0000-7000-8000-000000000000/results", "", 404, "batch_not_found"},
		{"POST", "/v1/workers/cpu-9/restart", "", 404, "worker_not_found"},
		{"GET", "/v1/workers/cpu-9/stacks", "", 404, "worker_not_found"},
		{"GET", "/v1/workers/io-0/stacks", "", 503, "no_stacks"},
		{"GET", "/debug/pprof", "", 404, "no_such_route"},
		{"GET", "/debug/pprof/banana", "", 404, "no_such_route"},
		{"GET", "/v1/banana", "", 404, "no_such_route"},
		{"GET", "//v1/status", "", 404, "no_such_route"},
		{"PATCH", "/v1/tasks/" + id, "", 405, "method_not_allowed"},
		{"PUT", "/v1/tasks", "", 405, "method_not_allowed"},
		{"POST", "/v1/stream", "", 426, "upgrade_required"},
		{"GET", "/readyz", "", 503, "not_ready"},
	} {
		resp, p := c.do(x.method, x.path, x.body)
		if resp.StatusCode != x.status || p["code"] != x.code || p["status"] != float64(x.status) || p["detail"] == "" || p["title"] == "" {
			t.Errorf("%s %.60s %.60s: %s %v; want %d %s", x.method, x.path, x.body, resp.Status, p, x.status, x.code)
		}
		if kind := resp.Header.Get("Content-Type"); kind != "application/problem+json" {
			t.Errorf("%s %.60s: Content-Type %q", x.method, x.path, kind)
		}
		if retry := resp.Header.Get("Retry-After"); (retry != "") != slices.Contains([]int{429, 503, 507}, x.status) {
			t.Errorf("%s %.60s: Retry-After %q", x.method, x.path, retry)
		}
	}
}

func TestAllowNamesTheMethodsThatWork(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	c := call(t, socket)
	_, v := c.do("POST", "/v1/tasks", body(ipctest.Held, ""))
	id := fmt.Sprint(v["task_id"])
	for path, want := range map[string]string{"/v1/tasks": "DELETE, GET, POST, HEAD", "/v1/tasks/" + id: "DELETE, GET, HEAD", "/v1/tasks/" + id + "/events": "GET, HEAD",
		"/v1/tasks/" + id + "/rerun": "POST", "/healthz": "GET, HEAD", "/metrics": "GET, HEAD", "/v1/drain": "POST"} {
		resp, _ := c.do("PUT", path, "")
		if got := resp.Header.Get("Allow"); got != want {
			t.Errorf("%s allows %s, want %s", path, got, want)
		}
		if !strings.HasSuffix(want, "HEAD") {
			continue
		}
		head := c.open("HEAD", path, "") // also of the events, which have no end yet
		if text, err := io.ReadAll(head.Body); err != nil || head.StatusCode != 200 || len(text) > 0 {
			t.Errorf("HEAD %s: %s %q %v", path, head.Status, text, err)
		}
		head.Body.Close()
	}
}

func TestAParameterMayBeGivenTwiceAlike(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	c := call(t, socket)
	for _, x := range [][2]string{{"POST", "/v1/tasks?wait=1m&wait=1m"}, {"POST", "/v1/tasks?wait="}, {"GET", "/v1/tasks?limit=5&limit=5"},
		{"GET", "/v1/tasks?label=a=1&label=a=1&label=b=2&status=queued&status=running&after="}} {
		if resp, a := c.do(x[0], x[1], body(ipctest.Echo, "")); resp.StatusCode >= 300 {
			t.Errorf("%v: %s %v", x, resp.Status, a)
		}
	}
}

func TestStatusAndHealth(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	c := call(t, socket)
	for _, path := range []string{"/healthz", "/readyz", "/v1/status"} {
		if resp, answer := c.do("GET", path, ""); resp.StatusCode != 200 {
			t.Errorf("%s: %s %v", path, resp.Status, answer)
		}
	}
	_, status := c.do("GET", "/v1/status", "")
	if engine, _ := status["engine"].(map[string]any); engine["is_running"] != true {
		t.Errorf("status: %v", status)
	}
}

func TestARequestUnderWayIsAnsweredBeforeShutdownReturns(t *testing.T) {
	engine := ipctest.New()
	socket, server := ipctest.Serve(t, engine, ipc.Options{})
	c := call(t, socket)
	answered := make(chan map[string]any, 1)
	go func() {
		_, answer := c.do("POST", "/v1/tasks?wait=1h", body(ipctest.Held, ""))
		answered <- answer
	}()
	if err := engine.AwaitTasks(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Shutdown(t.Context()) }()
	engine.End(engine.Last().ID, task.Result{Status: task.Completed})
	if answer := <-answered; answer["status"] != "completed" {
		t.Errorf("answer: %v", answer)
	}
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
