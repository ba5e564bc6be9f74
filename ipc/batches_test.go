package ipc_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// batchAnswer is what a batch is answered with.
type batchAnswer struct {
	ID      task.ID    `json:"batch_id"`
	TaskIDs []*task.ID `json:"task_ids"`
	Errors  []struct {
		Line    int      `json:"line"`
		TaskID  *task.ID `json:"task_id"`
		Problem api.Problem
	} `json:"errors"`
}

func (c *caller) batch(kind, body string) batchAnswer {
	c.t.Helper()
	resp := c.open("POST", "/v1/batches", body, "Content-Type", kind)
	defer resp.Body.Close()
	var a batchAnswer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || resp.StatusCode != http.StatusAccepted {
		c.t.Fatalf("batch: %s %v", resp.Status, err)
	}
	return a
}

// open makes a request with headers, of which the answer's body is to be read.
func (c *caller) open(method, path, body string, headers ...string) *http.Response {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, "http://cpulb"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp
}

func TestABadLineOfABatchIsReportedAndTheOthersGoOn(t *testing.T) {
	const id = "01890000-0000-7000-8000-000000000000"
	lines := []string{
		`{"script_path":"/echo.py"}`,
		`{"script_path":"relative.py"}`,
		`{"oops`,
		`{"script_path":"/missing.py","task_id":"` + id + `"}`,
		`{"script_path":"/held.py"}`,
	}
	for name, c := range map[string]struct {
		kind, body string
		lines      []int
	}{
		"NDJSON":                 {"application/x-ndjson", strings.Join(lines, "\n\n"), []int{3, 5, 7}}, // blank lines are counted
		"NDJSON by its look":     {"application/x-www-form-urlencoded", strings.Join(lines, "\n"), []int{2, 3, 4}},
		"an object":              {"application/json", `{"tasks":[` + strings.Join(append(lines[:2:2], `{"oops":1}`, lines[3], lines[4]), ",") + `]}`, []int{2, 3, 4}},
		"an object by its look":  {"", `{ "tasks" :[` + strings.Join(append(lines[:2:2], `7`, lines[3], lines[4]), ",\n") + `]}`, []int{2, 3, 4}},
		"a last line with an LF": {"application/jsonl", strings.Join(lines, "\r\n") + "\n", []int{2, 3, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			engine := ipctest.New()
			socket, _ := ipctest.Serve(t, engine, ipc.Options{})
			a := call(t, socket).batch(c.kind, c.body)
			if len(a.TaskIDs) != 5 || a.TaskIDs[0] == nil || a.TaskIDs[1] != nil || a.TaskIDs[2] != nil || a.TaskIDs[3] != nil || a.TaskIDs[4] == nil {
				t.Fatalf("ids: %v", a.TaskIDs)
			}
			var got []int
			for _, e := range a.Errors {
				got = append(got, e.Line)
			}
			if fmt.Sprint(got) != fmt.Sprint(c.lines) {
				t.Errorf("lines %v, want %v", got, c.lines)
			}
			if last := a.Errors[2]; last.Problem.Code != "script_not_found" || last.TaskID.String() != id {
				t.Errorf("the refused task: %+v", last)
			}
		})
	}
}

func TestResultsOfABatchComeAsTasksEnd(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	c := call(t, socket)
	a := c.batch("application/x-ndjson", `{"script_path":"/held.py"}`+"\n"+`{"script_path":"/held.py"}`+"\n"+`{"script_path":"/echo.py","params":[1]}`)
	path := "/v1/batches/" + a.ID.String()
	if resp, v := c.do("GET", path, ""); resp.StatusCode != 200 || v["total"] != 3.0 || v["done"] != false || fmt.Sprint(v["tasks"].(map[string]any)["running"]) != "2" {
		t.Fatalf("view: %v", v)
	}
	resp := c.open("GET", path+"/results", "")
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); kind != "application/x-ndjson" {
		t.Errorf("Content-Type %q", kind)
	}
	in := bufio.NewReader(resp.Body)
	for _, i := range []int{2, 1, 0} {
		if i < 2 {
			engine.End(*a.TaskIDs[i], task.Result{Status: task.Completed})
		}
		var r task.Result
		if line, err := in.ReadBytes('\n'); err != nil || json.Unmarshal(line, &r) != nil || r.ID != *a.TaskIDs[i] {
			t.Fatalf("result %d: %q %v", i, line, err)
		}
	}
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("after the last: %q %v", rest, err)
	}
	if _, v := c.do("GET", path, ""); v["done"] != true {
		t.Errorf("view: %v", v)
	}
}

func TestAnAnswerThatIsNotCompleteDoesNotLookComplete(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	c := call(t, socket)
	a := c.batch("application/x-ndjson", `{"script_path":"/held.py"}`)
	for _, path := range []string{"/v1/batches/" + a.ID.String() + "/results", "/v1/tasks/" + a.TaskIDs[0].String() + "/events"} {
		resp := c.open("GET", path, "")
		defer resp.Body.Close()
		defer func() {
			if _, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: %v", path, err)
			}
		}()
	}
	engine.Stop()
}

func TestABatchIsAnsweredOnceAllOfItIsKept(t *testing.T) {
	engine := ipctest.New()
	engine.HoldAnswers()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	go func() {
		if engine.AwaitTasks(t.Context(), 2) == nil {
			engine.ReleaseAnswers()
		}
	}()
	if a := call(t, socket).batch("application/json", `{"tasks":[{"script_path":"/held.py"},{"script_path":"/held.py"}]}`); len(a.Errors) > 0 || a.TaskIDs[1] == nil {
		t.Errorf("%+v", a)
	}
}
