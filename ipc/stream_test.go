package ipc_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"cpulb/daemon/access"
	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

const upgrade = "POST /v1/stream HTTP/1.1\r\nHost: cpulb\r\nConnection: Upgrade\r\nUpgrade: cpulb\r\n\r\n"

// stream is a client that keeps to the letter of the protocol.
type stream struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	// checked counts the lines that were held to openapi.json, which takes long.
	checked int
}

// event is any line from the daemon.
type event struct {
	Event   string         `json:"event"`
	TaskID  *string        `json:"task_id"`
	SentAs  *string        `json:"sent_as"`
	Status  string         `json:"status"`
	Cursor  string         `json:"cursor"`
	Line    int            `json:"line"`
	Reason  string         `json:"reason"`
	Value   any            `json:"value"`
	Message string         `json:"message"`
	Problem map[string]any `json:"problem"`
	Result  map[string]any `json:"result"`
}

func dial(t *testing.T, socket string) *stream {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &stream{t: t, conn: conn, r: bufio.NewReaderSize(conn, 1<<20)}
}

// open upgrades a new connection.
func open(t *testing.T, socket string) *stream {
	t.Helper()
	s := dial(t, socket)
	s.send(upgrade)
	s.switched()
	return s
}

func (s *stream) switched() {
	s.t.Helper()
	resp, err := http.ReadResponse(s.r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != "cpulb" {
		s.t.Fatalf("upgrade: %v %v", resp, err)
	}
}

func (s *stream) send(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.conn, text); err != nil {
		s.t.Fatal(err)
	}
}

// submit sends a task with an id of its own, which it returns.
func (s *stream) submit(script, rest string) string {
	s.t.Helper()
	id := task.NewID().String()
	s.send(fmt.Sprintf(`{"op":"submit","task":{"task_id":%q,"script_path":%q%s}}`+"\n", id, script, rest))
	return id
}

func (s *stream) next() (event, error) {
	text, err := s.r.ReadBytes('\n')
	if err != nil {
		return event{}, err
	}
	var ev event
	if err := json.Unmarshal(text, &ev); err != nil {
		return ev, fmt.Errorf("not a JSON line: %.200q: %w", text, err)
	}
	if s.checked++; s.checked <= 10 {
		if err := lineAsDocumented("StreamLine", text); err != nil {
			return ev, fmt.Errorf("not as documented: %.200q: %w", text, err)
		}
	}
	return ev, nil
}

// expect reads the next line, which must be of this kind.
func (s *stream) expect(kind string) event {
	s.t.Helper()
	ev, err := s.next()
	if err != nil || ev.Event != kind {
		s.t.Fatalf("next line: %+v %v; want %s", ev, err, kind)
	}
	return ev
}

func (s *stream) expectEnd() {
	s.t.Helper()
	if ev, err := s.next(); !errors.Is(err, io.EOF) {
		s.t.Fatalf("next line: %+v %v; want the end", ev, err)
	}
}

func TestAcceptedComesBeforeTheResultOfTheShortestTask(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	s := open(t, socket)
	for range 100 {
		id := s.submit(ipctest.Echo, `,"params":[1]`)
		if ev := s.expect("accepted"); *ev.TaskID != id {
			t.Fatalf("accepted: %+v", ev)
		}
		if ev := s.expect("result"); *ev.TaskID != id || ev.Cursor != "1.1" || ev.Result["status"] != "completed" || fmt.Sprint(ev.Result["data"]) != "[1]" {
			t.Fatalf("result: %+v", ev)
		}
	}
}

func TestWhoWantsNoAcceptedGetsTheResultAlone(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	s := open(t, socket)
	for _, form := range []string{`{"op":"submit","ack":false,"task":%s}`, `{"ack":false,"task":%s,"op":"submit"}`} {
		s.send(fmt.Sprintf(form, fmt.Sprintf(`{"script_path":%q}`, ipctest.Echo)) + "\n")
		s.expect("result")
		s.send(fmt.Sprintf(form, `{"script_path":"not absolute"}`) + "\n")
		s.expect("rejected")
	}
}

func TestPipelinedTasksAreAllAnswered(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	s := open(t, socket)
	const n = 500
	waiting := map[string]bool{}
	var all strings.Builder
	for range n {
		id := task.NewID()
		waiting[id.String()] = true
		fmt.Fprintf(&all, `{"op":"submit","task":{"task_id":"%s","script_path":%q}}`+"\n", id, ipctest.Held)
	}
	go func() {
		if engine.AwaitTasks(t.Context(), n) == nil {
			for id := range waiting {
				parsed, _ := task.ParseID(id)
				go engine.End(parsed, task.Result{Status: task.Completed})
			}
		}
	}()
	s.send(all.String())
	results := map[string]bool{}
	for len(results) < n {
		ev, err := s.next()
		if err != nil {
			t.Fatal(err)
		}
		if ev.Event == "result" {
			if !waiting[*ev.TaskID] || results[*ev.TaskID] {
				t.Fatalf("a result that nobody waits for: %+v", ev)
			}
			results[*ev.TaskID] = true
		}
	}
}

func TestNothingIsSentBeforeThe101(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	s := dial(t, socket)
	s.send(upgrade + body("", "") + "\n" + `{"op":"submit","task":{"script_path":"/echo.py"}}` + "\n")
	s.switched()
	s.expect("rejected")
	s.expect("accepted")
	s.expect("result")
}

func TestEventsComeInOrderWhenAskedFor(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	s := open(t, socket)
	s.send(`{"op":"submit","events":true,"task":{"script_path":"/chatty.py"}}` + "\n")
	s.expect("accepted")
	if ev := s.expect("state"); ev.Status != "running" || ev.Cursor != "1.1" {
		t.Errorf("state: %+v", ev)
	}
	if ev := s.expect("partial"); fmt.Sprint(ev.Value) != "map[part:1]" {
		t.Errorf("partial: %+v", ev)
	}
	s.expect("progress")
	if ev := s.expect("log"); ev.Message != "a <line>\nand another" {
		t.Errorf("log: %+v", ev)
	}
	if ev := s.expect("result"); ev.Cursor != "1.5" {
		t.Errorf("result: %+v", ev)
	}
	s.submit(ipctest.Chatty, "")
	s.expect("accepted")
	s.expect("result")
}

func TestABadLineIsRejectedByNumberAndTheNextIsRead(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	s := open(t, socket)
	const id = "01890000-0000-7000-8000-000000000000"
	for i, c := range []struct{ line, code, id string }{
		{`{"op":`, "invalid_json", ""},
		{`{"op":"submit","task":{}} {}`, "invalid_json", ""},
		{`[]`, "invalid_task", ""},
		{`{}`, "invalid_task", ""},
		{`{"op":"dance"}`, "invalid_task", ""},
		{`{"op":"submit"}`, "invalid_task", ""},
		{`{"op":"submit","tsak":{}}`, "invalid_task", ""},
		{`{"op":"submit","task":7}`, "invalid_task", ""},
		{`{"op":"submit","task":{"task_id":"` + id + `"}}`, "invalid_task", id},
		{`{"op":"submit","task":{"task_id":"mine"}}`, "invalid_task", "mine"},
		{`{"op":"submit","task":{"task_id":"` + id + `","script_path":"/missing.py"}}`, "script_not_found", id},
		{`{"op":"submit","task":{"script_path":"/full.py"}}`, "queue_full", ""},
		{`{"op":"cancel","task_id":"` + id + `"}`, "task_not_found", id},
		{`{"op":"cancel","task_id":"mine"}`, "task_not_found", "mine"},
		{`{"op":"cancel"}`, "invalid_task", ""},
		{"\xff", "invalid_json", ""},
	} {
		s.send(c.line + "\n\n") // blank lines are counted, and not answered
		ev := s.expect("rejected")
		if ev.Line != 2*i+1 || ev.Problem["code"] != c.code || ev.Problem["detail"] == "" || (ev.TaskID == nil) != (c.id == "") || ev.TaskID != nil && *ev.TaskID != c.id {
			t.Errorf("%s: %+v; want line %d, %s", c.line, ev, 2*i+1, c.code)
		}
	}
	s.submit(ipctest.Echo, "")
	s.expect("accepted")
}

func TestOverlongLineIsSkippedAndReported(t *testing.T) {
	for _, limit := range []int64{1 << 10, ipctest.BodyBytes} { // below the reader's buffer and above it
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{BodyBytes: limit})
			s := open(t, socket)
			lines := `{"op":"submit","task":{"params":"` + strings.Repeat("x", 4<<20) + "\"}}\n" +
				strings.Repeat(" ", int(limit)-2) + "{}\n" + `{"op":"submit","task":{"script_path":"/echo.py"}}` + "\n"
			go func() { // meanwhile the answers are read
				if _, err := io.WriteString(s.conn, lines); err != nil {
					t.Errorf("send: %v", err)
				}
			}()
			if ev := s.expect("rejected"); ev.Line != 1 || ev.TaskID != nil || ev.Problem["code"] != "body_too_large" {
				t.Errorf("overlong: %+v", ev)
			}
			if ev := s.expect("rejected"); ev.Line != 2 || ev.Problem["code"] != "invalid_task" {
				t.Errorf("just short enough: %+v", ev)
			}
			s.expect("accepted")
			s.expect("result")
		})
	}
}

func TestACancelIsAnsweredByTheResult(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	s := open(t, socket)
	id := s.submit(ipctest.Held, "")
	s.expect("accepted")
	s.send(`{"op":"cancel","task_id":"` + id + `"}` + "\n")
	if ev := s.expect("result"); *ev.TaskID != id || ev.Result["status"] != "cancelled" {
		t.Fatalf("result: %+v", ev)
	}
}

func TestALostConnectionCancelsNothing(t *testing.T) {
	engine := ipctest.New()
	socket, server := ipctest.Serve(t, engine, ipc.Options{})
	s := open(t, socket)
	id, _ := task.ParseID(s.submit(ipctest.Held, ""))
	s.expect("accepted")
	s.conn.Close()
	if err := server.Shutdown(t.Context()); err != nil { // returns once the loss has been noticed
		t.Fatal(err)
	}
	if v, err := engine.View(t.Context(), access.Identity{}, id); err != nil || v.Status != task.Running {
		t.Fatalf("the task: %+v %v", v, err)
	}
	engine.End(id, task.Result{Status: task.Completed}) // to a stream that is gone
}

func TestSlowReaderDoesNotDelayOthers(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{BacklogBytes: 1 << 20})
	slow, quick := open(t, socket), open(t, socket)
	ids := make([]task.ID, 64)
	for i := range ids {
		ids[i], _ = task.ParseID(slow.submit(ipctest.Held, ""))
	}
	if err := engine.AwaitTasks(t.Context(), len(ids)); err != nil {
		t.Fatal(err)
	}
	// More than the socket and the backlog take; End returns although nobody reads.
	big := json.RawMessage(`"` + strings.Repeat("x", 100<<10) + `"`)
	for _, id := range ids {
		engine.End(id, task.Result{Status: task.Completed, Data: big})
	}
	quick.submit(ipctest.Echo, "")
	quick.expect("accepted")
	quick.expect("result")
	// The slow one finds what had been queued, whole lines, and why it ends.
	var last event
	results := 0
	for {
		ev, err := slow.next()
		if err != nil {
			break
		}
		if last = ev; ev.Event == "result" {
			results++
		}
	}
	if last.Event != "goaway" || results == 0 || results == len(ids) {
		t.Fatalf("the slow client had %d results, at last %q", results, last.Event)
	}
	if r, err := engine.Result(t.Context(), access.Identity{}, ids[len(ids)-1]); err != nil || !bytes.Equal(r.Data, big) {
		t.Fatalf("the last result is not found by id: %v", err)
	}
}

func TestShutdownDeliversResultsAfterTheGoaway(t *testing.T) {
	engine := ipctest.New()
	socket, server := ipctest.Serve(t, engine, ipc.Options{})
	s := open(t, socket)
	id, _ := task.ParseID(s.submit(ipctest.Held, ""))
	s.expect("accepted")
	ended := make(chan error, 1)
	go func() { ended <- server.Shutdown(t.Context()) }()
	s.expect("goaway")
	engine.End(id, task.Result{Status: task.Completed})
	s.expect("result")
	s.expectEnd()
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownCutsOffWhatDoesNotEndInTime(t *testing.T) {
	socket, server := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	s := open(t, socket)
	s.submit(ipctest.Held, "")
	s.expect("accepted")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Shutdown(ctx) }()
	s.expect("goaway")
	cancel()
	s.expectEnd()
	<-ended
}

func TestAnUpgradeWithABodyIsRefused(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	s := dial(t, socket)
	s.send(strings.Replace(upgrade, "\r\n\r\n", "\r\nContent-Length: 2\r\n\r\n{}", 1))
	resp, err := http.ReadResponse(s.r, nil)
	if err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
}
