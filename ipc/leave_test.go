package ipc_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// leaving are the ways in which a client goes before it is answered.
func leaving(t *testing.T) map[string]func(socket string) (leave func()) {
	request := func(method, path, body string) func(string) func() {
		return func(socket string) func() {
			conn, err := net.Dial("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: cpulb\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
			return func() { conn.Close() }
		}
	}
	half := func(method, path, body string) func(string) func() {
		return func(socket string) func() {
			s := last(t, socket, method, path, body)
			return func() { s.conn.Close() }
		}
	}
	ahead := func(socket string) func() { // a further request is sent before the answer
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		one := body(ipctest.Echo, "")
		fmt.Fprintf(conn, "POST /v1/tasks HTTP/1.1\r\nHost: cpulb\r\nContent-Length: %d\r\n\r\n%s", len(one), one)
		return func() {
			fmt.Fprint(conn, "GET /v1/status HTTP/1.1\r\nHost: cpulb\r\n\r\n")
			conn.Close()
		}
	}
	one := body(ipctest.Echo, "")
	return map[string]func(string) func(){
		"a post":                      request("POST", "/v1/tasks", one),
		"a post that waits":           request("POST", "/v1/tasks?wait=1h", one),
		"a half closed post":          half("POST", "/v1/tasks", one),
		"a half closed wait":          half("POST", "/v1/tasks?wait=1h", one),
		"a post that is not the last": ahead,
		"a batch":                     request("POST", "/v1/batches", `{"tasks":[`+one+`]}`),
		"a stream": func(socket string) func() {
			s := open(t, socket)
			s.submit(ipctest.Echo, "")
			return func() { s.conn.Close() }
		},
		"a stream with keys": func(socket string) func() { // of which the answer names the tasks
			s := open(t, socket)
			for range 100 {
				s.submit(ipctest.Held, fmt.Sprintf(`,"idempotency_key":%q`, task.NewID()))
			}
			return func() { s.conn.Close() }
		},
		"a half closed stream": func(socket string) func() {
			s := open(t, socket)
			s.submit(ipctest.Echo, "")
			_ = s.conn.(*net.UnixConn).CloseWrite() // the client is still there
			return func() { s.conn.Close() }
		},
	}
}

// The engine withdraws what waits for room when it is told that the client has gone; an
// answer that comes later harms nobody.
func TestTheEngineIsToldWhenAClientGoes(t *testing.T) {
	for name, send := range leaving(t) {
		t.Run(name, func(t *testing.T) {
			engine := ipctest.New()
			engine.HoldAnswers()
			socket, _ := ipctest.Serve(t, engine, ipc.Options{})
			leave := send(socket)
			if err := engine.AwaitTasks(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			leave()
			if err := engine.AwaitLeft(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			engine.ReleaseAnswers()
			if _, err := net.Dial("unix", socket); err != nil {
				t.Error(err)
			}
		})
	}
}

// A stream whose answers are all open reads no further lines. It notices all the same that
// its client has gone: else what waits for room would wait for ever.
func TestAStreamThatReadsNothingNoticesThatItsClientGoes(t *testing.T) {
	engine := ipctest.New()
	engine.HoldAnswers()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	s := open(t, socket)
	const most = 1000
	for range most + 5 {
		s.submit(ipctest.Echo, "")
	}
	if err := engine.AwaitTasks(t.Context(), most); err != nil {
		t.Fatal(err)
	}
	s.conn.Close()
	if err := engine.AwaitLeft(t.Context(), most); err != nil {
		t.Fatal(err)
	}
	engine.ReleaseAnswers() // the lines that were left are carried out
	if err := engine.AwaitTasks(t.Context(), most+5); err != nil {
		t.Error(err)
	}
}

// What races with a client that goes may be the answer.
func TestAnAnswerThatComesAsItsClientGoesHarmsNobody(t *testing.T) {
	rounds := 50
	if testing.Short() {
		rounds = 10
	}
	for name, send := range leaving(t) {
		t.Run(name, func(t *testing.T) {
			engine := ipctest.New()
			socket, _ := ipctest.Serve(t, engine, ipc.Options{})
			for n := range rounds {
				engine.HoldAnswers()
				leave := send(socket)
				if err := engine.AwaitTasks(t.Context(), n+1); err != nil {
					t.Fatal(err)
				}
				go leave()
				engine.ReleaseAnswers()
			}
		})
	}
}

// Who waits for a result with its submission has it, although it is not kept.
func TestAResultReachesWhoWaitsThoughItIsGone(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	c := call(t, socket)
	id := task.NewID()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if engine.AwaitTasks(ctx, 1) == nil {
			engine.End(id, task.Result{Status: task.Completed, Data: []byte("7")})
			engine.Evict(id)
		}
	}()
	if resp, got := c.do("POST", "/v1/tasks?wait=1m", body(ipctest.Held, fmt.Sprintf(`,"task_id":%q`, id))); resp.StatusCode != 200 || got["data"] != 7.0 {
		t.Errorf("%d %v", resp.StatusCode, got)
	}
}
