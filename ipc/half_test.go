package ipc_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// last sends a request and that nothing follows it.
func last(t *testing.T, socket, method, path, body string) *stream {
	t.Helper()
	s := dial(t, socket)
	s.send(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: cpulb\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body))
	if err := s.conn.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	return s
}

// answered reads the answer, which has to contain text, and the connection's end.
func (s *stream) answered(text string) {
	s.t.Helper()
	resp, err := http.ReadResponse(s.r, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 || !strings.Contains(string(got), text) {
		s.t.Fatalf("%s %q %v; want %s", resp.Status, got, err, text)
	}
	if rest, err := io.ReadAll(s.r); err != nil || len(rest) > 0 {
		s.t.Errorf("after the answer: %q %v", rest, err)
	}
}

// nc -N, socat and others end their own writing when there is nothing more to send.
func TestAClientThatOnlySendsNoMoreIsAnswered(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	c := call(t, socket)
	batch := c.batch("", `{"tasks":[`+body(ipctest.Held, "")+`]}`)
	id := *batch.TaskIDs[0]
	own := task.NewID()
	waiting := []*stream{
		last(t, socket, "GET", "/v1/tasks/"+id.String()+"/events", ""),
		last(t, socket, "GET", "/v1/tasks/"+id.String()+"/result?timeout=1h", ""),
		last(t, socket, "GET", "/v1/batches/"+batch.ID.String()+"/results", ""),
		last(t, socket, "POST", "/v1/tasks?wait=1h", body(ipctest.Held, fmt.Sprintf(`,"task_id":%q`, own))),
	}
	if err := engine.AwaitTasks(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	last(t, socket, "GET", "/healthz", "").answered("ok") // by now the ends of the others have been seen, most likely
	engine.End(id, task.Result{Status: task.Completed, Data: []byte(`"done"`)})
	engine.End(own, task.Result{Status: task.Completed, Data: []byte(`"done"`)})
	for _, s := range waiting {
		s.answered(`"data":"done"`)
	}
	engine.HoldAnswers()
	s := last(t, socket, "POST", "/v1/tasks", body(ipctest.Held, ""))
	if err := engine.AwaitTasks(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	engine.ReleaseAnswers()
	s.answered("running")
}

func TestRequestsInOnePieceAreAllAnsweredToAClientThatSendsNoMore(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	s := dial(t, socket)
	one := body(ipctest.Echo, `,"params":7`)
	s.send(strings.Repeat(fmt.Sprintf("POST /v1/tasks?wait=1m HTTP/1.1\r\nHost: cpulb\r\nContent-Length: %d\r\n\r\n%s", len(one), one), 5))
	_ = s.conn.(*net.UnixConn).CloseWrite()
	text, err := io.ReadAll(s.r)
	if n := strings.Count(string(text), `"data":7`); err != nil || n != 5 {
		t.Errorf("%d answers, %v", n, err)
	}
}

func TestABodyThatStopsInTheMiddleIsAnErrorAtOnce(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	one := body(ipctest.Echo, "")
	for _, request := range []string{
		fmt.Sprintf("POST /v1/tasks HTTP/1.1\r\nHost: cpulb\r\nContent-Length: %d\r\n\r\n%s", len(one)+1, one),
		fmt.Sprintf("POST /v1/tasks HTTP/1.1\r\nHost: cpulb\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(one), one),
		fmt.Sprintf("POST /v1/batches HTTP/1.1\r\nHost: cpulb\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\n\r\n", len(one)+1, one),
	} {
		s := dial(t, socket)
		s.send(request)
		_ = s.conn.(*net.UnixConn).CloseWrite()
		if text, err := io.ReadAll(s.r); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 400") {
			t.Errorf("%.40q: %.200q %v", request, text, err)
		}
	}
	if x := engine.Last(); x != nil {
		t.Errorf("a task was made: %v", x)
	}
}

// A stream goes on until its client has what it asked for.
func TestAStreamWhoseClientSendsNoMoreEndsWithItsLastResult(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	s := open(t, socket)
	id := s.submit(ipctest.Held, "")
	s.submit(ipctest.Echo, "")
	s.send(`{"op":"cancel","task_id":"nobody's"}` + "\n")
	_ = s.conn.(*net.UnixConn).CloseWrite()
	s.expect("accepted")
	s.expect("accepted")
	s.expect("result")
	s.expect("rejected")
	parsed, err := task.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	engine.End(parsed, task.Result{Status: task.Completed})
	s.expect("result")
	s.expectEnd()
}
