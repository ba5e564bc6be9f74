package ipc_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// ids lists the task ids of an answer.
func ids(answer map[string]any) (all []any) {
	for _, v := range answer["tasks"].([]any) {
		all = append(all, v.(map[string]any)["task_id"])
	}
	return all
}

func TestAListIsFilteredAndComesInPages(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	c := call(t, socket)
	var sent []any
	for i := range 7 {
		script := []string{ipctest.Held, ipctest.Echo}[i%2]
		_, v := c.do("POST", "/v1/tasks", body(script, fmt.Sprintf(`,"labels":{"a b":"x=%d","all":"yes"}`, i%3)))
		sent = append(sent, v["task_id"])
	}
	pick := func(of ...int) (all []any) {
		for _, i := range of {
			all = append(all, sent[i])
		}
		return all
	}
	for query, want := range map[string][]any{
		"":                                     sent,
		"?status=running":                      pick(0, 2, 4, 6),
		"?status=completed,failed":             pick(1, 3, 5),
		"?status=completed&status=running":     sent,
		"?label=" + url.QueryEscape("a b=x=1"): pick(1, 4),
		"?label=all=yes&status=completed&label=a%20b%3Dx%3D0": pick(3),
		"?label=all=no":                               nil,
		"?order=oldest":                               sent,
		"?order=newest&status=completed":              pick(5, 3, 1),
		"?batch=01890000-0000-7000-8000-000000000000": nil,
		"?since=2026-01-02T03:04:05.5%2B01:00":        sent,
		"?since=2999-01-02T03:04:05Z":                 nil,
	} {
		if _, a := c.do("GET", "/v1/tasks"+query, ""); fmt.Sprint(ids(a)) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", query, ids(a), want)
		}
	}
	var paged []any
	for after := ""; ; {
		_, a := c.do("GET", "/v1/tasks?limit=3&after="+url.QueryEscape(after), "")
		paged = append(paged, ids(a)...)
		next, more := a["next"].(string)
		if !more {
			break
		}
		after = next
	}
	if fmt.Sprint(paged) != fmt.Sprint(sent) {
		t.Errorf("pages: %v, want %v", paged, sent)
	}
	_, newest := c.do("GET", "/v1/tasks?order=newest&limit=3", "")
	_, older := c.do("GET", "/v1/tasks?order=newest&after="+url.QueryEscape(fmt.Sprint(newest["next"])), "")
	if got := append(ids(newest), ids(older)...); fmt.Sprint(got) != fmt.Sprint(pick(6, 5, 4, 3, 2, 1, 0)) {
		t.Errorf("the newest first: %v", got)
	}
	if resp, p := c.do("GET", "/v1/tasks?order=random", ""); resp.StatusCode != 400 || p["field"] != "order" {
		t.Errorf("no order: %s %v", resp.Status, p)
	}
}

func TestOneCallCancelsWhatTheFiltersSelect(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	c := call(t, socket)
	for i := range 4 {
		c.do("POST", "/v1/tasks", body(ipctest.Held, fmt.Sprintf(`,"labels":{"half":"%d"}`, i%2)))
	}
	for _, x := range []struct {
		query     string
		cancelled float64
	}{{"?label=half=1", 2}, {"?label=half=1", 0}, {"?all=true", 2}} {
		if resp, a := c.do("DELETE", "/v1/tasks"+x.query, ""); resp.StatusCode != 202 || a["cancelled"] != x.cancelled {
			t.Errorf("%s: %s %v", x.query, resp.Status, a)
		}
	}
}

func TestARerunIsANewTaskThatSaysTheSame(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	c := call(t, socket)
	_, first := c.do("POST", "/v1/tasks", body(ipctest.Echo, `,"params":[7]`))
	resp, again := c.do("POST", fmt.Sprintf("/v1/tasks/%s/rerun", first["task_id"]), "")
	if resp.StatusCode != 202 || again["task_id"] == first["task_id"] {
		t.Fatalf("%s %v", resp.Status, again)
	}
	if _, r := c.do("GET", fmt.Sprintf("/v1/tasks/%s/result", again["task_id"]), ""); fmt.Sprint(r["data"]) != "[7]" {
		t.Errorf("%v", r)
	}
}

func TestARerunNeedsRoomForTheTask(t *testing.T) {
	var room atomic.Int64
	room.Store(3 << 20)
	socket := ipctest.ServeAll(t, ipctest.New(), ipc.Options{BodyBytes: 1 << 20, InFlight: room.Load, StallTimeout: 100 * time.Millisecond})
	c := call(t, socket)
	_, first := c.do("POST", "/v1/tasks", body(ipctest.Echo, `,"params":"`+strings.Repeat("x", 200_000)+`"`))
	path := fmt.Sprintf("/v1/tasks/%s/rerun", first["task_id"])
	if resp, _ := c.do("POST", path, ""); resp.StatusCode != 202 {
		t.Fatal(resp.Status)
	}
	room.Store(100_000)
	if resp, p := c.do("POST", path, ""); resp.StatusCode != 429 || p["code"] != "too_many_in_flight" {
		t.Errorf("%s %v", resp.Status, p)
	}
}

func TestASecondTaskWithTheSameKeyIsTheFirst(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	c := call(t, socket)
	_, first := c.do("POST", "/v1/tasks", body(ipctest.Echo, `,"idempotency_key":"k"`))
	resp, second := c.do("POST", "/v1/tasks?wait=10m", body(ipctest.Echo, `,"idempotency_key":"k"`))
	if resp.StatusCode != 200 || second["task_id"] != first["task_id"] {
		t.Errorf("%s %v", resp.Status, second)
	}
	if a := c.batch("", `{"tasks":[{"script_path":"/echo.py","idempotency_key":"k"}]}`); a.TaskIDs[0].String() != first["task_id"] {
		t.Errorf("in a batch: %v, want %v", a.TaskIDs[0], first["task_id"])
	}
	s := open(t, socket)
	s.send(`{"op":"submit","ack":false,"task":{"script_path":"/echo.py","idempotency_key":"k"}}` + "\n")
	if ev := s.expect("accepted"); *ev.TaskID != first["task_id"] || ev.SentAs == nil || *ev.SentAs == *ev.TaskID {
		t.Errorf("on a stream: %+v", ev)
	}
	if ev := s.expect("result"); *ev.TaskID != first["task_id"] {
		t.Errorf("on a stream: %+v", ev)
	}
	s.send(`{"op":"submit","ack":false,"task":{"script_path":"/echo.py","idempotency_key":"new"}}` + "\n")
	s.expect("result")
}
