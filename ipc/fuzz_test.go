package ipc_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

const aTask = `{"script_path":"/echo.py","params":{"a":[1,"\u00e9"]},"labels":{"k":"v"},"max_retries":3,"idempotency_key":"k"}`

// FuzzStream: whatever a client sends, each line that is not blank has one answer
// that names it or its task, and those that follow are read.
func FuzzStream(f *testing.F) {
	for _, seed := range []string{
		`{"op":"submit","task":` + aTask + "}\n", `{"op":"submit","events":true,"task":{"script_path":"/chatty.py"}}` + "\n\r\n", `{"op": "submit", "task": {}}` + "\n",
		`{"op":"cancel","task_id":"01890000-0000-7000-8000-000000000000"}` + "\n", `{"op":"submit","ack":true,"task":{"script_path":"/missing.py","task_id":"x"}}` + "\n{",
		"\n\n[]\n\xff\x00\n", `{"op":"submit","op":"cancel","task":null}` + "\n", `{"op":"submit","task":{"params":"` + strings.Repeat("x", 2000) + `"}}` + "\n",
	} {
		f.Add([]byte(seed))
	}
	socket, _ := ipctest.Serve(f, ipctest.New(), ipc.Options{BodyBytes: 1 << 10})
	f.Fuzz(func(t *testing.T, text []byte) {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		last := "\n" + `{"op":"submit","task":{"task_id":"` + task.NewID().String() + `","script_path":"/missing.py"}}` + "\n"
		go func() {
			_, _ = io.WriteString(conn, upgrade+string(text)+last) // an error shows as answers that are missing
			_ = conn.(*net.UnixConn).CloseWrite()
		}()
		r := bufio.NewReader(conn)
		if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%v %v", resp, err)
		}
		line := strings.Count(string(text), "\n") + 2
		var ev event
		for ev.Event != "rejected" || ev.Line != line {
			ev = event{}
			answer, err := r.ReadBytes('\n')
			if err != nil || json.Unmarshal(answer, &ev) != nil || ev.Line > line {
				t.Fatalf("%q: %q %v, but line %d has no answer", text, answer, err, line)
			}
		}
		if rest, err := io.ReadAll(r); err != nil {
			t.Fatalf("%q: after the last answer %q %v", text, rest, err)
		}
	})
}

// FuzzBatch: whatever the body, the answer is a problem, or has an id or an error
// for each task, by its line.
func FuzzBatch(f *testing.F) {
	for _, seed := range []string{"", aTask, aTask + "\n" + aTask, `{"tasks":[` + aTask + `,{},7]}`, `{"tasks":[` + aTask, `{"tasks":[]}{`, "[]\n[]", "{}\n\n{}\r\n\xff", `{"tasks"` + "\n:[null]}"} {
		for _, kind := range []string{"", "application/json", "application/x-ndjson", "text/plain; charset=\"", "application/x-www-form-urlencoded"} {
			f.Add([]byte(seed), kind)
		}
	}
	fuzzBody(f, "/v1/batches", func(t *testing.T, sent []byte, resp *http.Response, text []byte) {
		var a batchAnswer
		if err := json.Unmarshal(text, &a); err != nil || resp.StatusCode != http.StatusAccepted {
			t.Fatalf("%q: %s %q", sent, resp.Status, text)
		}
		errs, line := a.Errors, 0
		for _, id := range a.TaskIDs {
			if id != nil {
				continue
			}
			if len(errs) == 0 || errs[0].Line <= line || errs[0].Problem.Code == "" {
				t.Fatalf("%q: %s", sent, text)
			}
			line, errs = errs[0].Line, errs[1:]
		}
		if len(errs) > 0 || len(a.TaskIDs) == 0 {
			t.Fatalf("%q: %s", sent, text)
		}
	})
}

// FuzzTask: whatever the body, the answer is a problem or the task's view.
func FuzzTask(f *testing.F) {
	for _, seed := range []string{"", aTask, aTask + " {}", "null", `{"script_path":"/x","source":"y"}`, strings.Repeat("[", 3000), `{"params":` + strings.Repeat("[", 2000)} {
		f.Add([]byte(seed), "application/json")
	}
	fuzzBody(f, "/v1/tasks", func(t *testing.T, sent []byte, resp *http.Response, text []byte) {
		var v task.View
		if err := json.Unmarshal(text, &v); err != nil || resp.StatusCode != http.StatusAccepted || v.ID == (task.ID{}) {
			t.Fatalf("%q: %s %q", sent, resp.Status, text)
		}
	})
}

// fuzzBody posts bodies; check is given the answers that are no problems.
func fuzzBody(f *testing.F, path string, check func(t *testing.T, sent []byte, resp *http.Response, text []byte)) {
	socket, _ := ipctest.Serve(f, ipctest.New(), ipc.Options{BodyBytes: 4 << 10})
	client := http.Client{Transport: &http.Transport{DialContext: dialTo(socket)}}
	f.Cleanup(client.CloseIdleConnections)
	f.Fuzz(func(t *testing.T, sent []byte, kind string) {
		if strings.ContainsFunc(kind, func(r rune) bool { return r < ' ' || r > '~' }) {
			return // no header has it
		}
		req, err := http.NewRequest("POST", "http://cpulb"+path, strings.NewReader(string(sent)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", kind)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode < 400 {
			check(t, sent, resp, text)
			return
		}
		var p api.Problem
		if err := json.Unmarshal(text, &p); err != nil || p.Code == "" || p.Code == "internal" || p.Detail == "" || p.Status != resp.StatusCode {
			t.Fatalf("%q: %s %q", sent, resp.Status, text)
		}
	})
}
