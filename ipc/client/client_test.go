package client_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cpulb/daemon/api"
	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/client"
	"cpulb/ipc/ipctest"
)

func newTask(script string) *task.Task {
	return &task.Task{ID: task.NewID(), ScriptPath: script, Function: "main", Params: json.RawMessage(`{"n":1}`), Type: task.CPUBound, Priority: 5}
}

func serve(t *testing.T) (*ipctest.Engine, *client.Client, *ipc.Server) {
	t.Helper()
	engine := ipctest.New()
	socket, server := ipctest.Serve(t, engine, ipc.Options{})
	c := client.New(socket, client.WithPatience(0))
	t.Cleanup(c.Close)
	return engine, c, server
}

func openStream(t *testing.T, c *client.Client) *client.Stream {
	t.Helper()
	s, err := c.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestATaskIsSubmittedWatchedAndCancelled(t *testing.T) {
	_, c, _ := serve(t)
	x := newTask(ipctest.Held)
	if v, err := c.Submit(t.Context(), x); err != nil || v.ID != x.ID || v.Status != task.Running {
		t.Fatalf("Submit: %+v %v", v, err)
	}
	if v, err := c.Task(t.Context(), x.ID); err != nil || v.Status != task.Running {
		t.Fatalf("Task: %+v %v", v, err)
	}
	if _, err := c.Result(t.Context(), x.ID, time.Millisecond); !errors.Is(err, client.ErrNotEnded) {
		t.Fatalf("early Result: %v", err)
	}
	if _, err := c.Cancel(t.Context(), x.ID); err != nil {
		t.Fatal(err)
	}
	if r, err := c.Result(t.Context(), x.ID, time.Minute); err != nil || r.Status != task.Cancelled {
		t.Fatalf("Result: %+v %v", r, err)
	}
	if raw, err := c.Status(t.Context()); err != nil || !json.Valid(raw) {
		t.Fatalf("Status: %s %v", raw, err)
	}
}

func TestARefusalIsAProblemWithItsCode(t *testing.T) {
	_, c, _ := serve(t)
	_, err := c.Submit(t.Context(), newTask(ipctest.Missing))
	var p *api.Problem
	if !errors.As(err, &p) || p.Code != "script_not_found" || p.Status != 400 || p.Field != "script_path" {
		t.Errorf("call: %v", err)
	}
	_, err = openStream(t, c).Do(t.Context(), newTask(ipctest.Full))
	if !errors.As(err, &p) || p.Code != "queue_full" {
		t.Errorf("stream: %v", err)
	}
}

func TestAMissingDaemonIsNamed(t *testing.T) {
	dir := ipctest.Folder(t)
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for _, socket := range []string{filepath.Join(dir, "none"), stale} {
		c := client.New(socket)
		_, err := c.Status(t.Context())
		if !errors.Is(err, client.ErrNoDaemon) || !strings.Contains(err.Error(), socket+": is cpulbd running?") {
			t.Errorf("call: %v", err)
		}
		if _, err := c.OpenStream(t.Context()); !errors.Is(err, client.ErrNoDaemon) {
			t.Errorf("stream: %v", err)
		}
	}
}

func TestAStreamDeliversEachResultToWhoWaitsForIt(t *testing.T) {
	_, c, _ := serve(t)
	s := openStream(t, c)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			x := newTask(ipctest.Echo)
			if r, err := s.Do(t.Context(), x); err != nil || r.ID != x.ID || string(r.Data) != `{"n":1}` {
				t.Errorf("%+v %v", r, err)
			}
		})
	}
	wg.Wait()
}

func TestSubmissionsDoNotWaitForEachOther(t *testing.T) {
	engine, c, _ := serve(t)
	s := openStream(t, c)
	var all []*client.Pending
	for range 100 {
		p, err := s.Submit(t.Context(), newTask(ipctest.Held))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := engine.AwaitTasks(t.Context(), len(all)); err != nil {
		t.Fatal(err)
	}
	if err := s.Cancel(t.Context(), all[0].ID); err != nil {
		t.Fatal(err)
	}
	<-all[0].Done()
	for _, p := range all[1:] {
		engine.End(p.ID, task.Result{Status: task.Completed})
	}
	for i, p := range all {
		r, err := p.Result(t.Context())
		if err != nil || (r.Status == task.Cancelled) != (i == 0) {
			t.Fatalf("task %d: %+v %v", i, r, err)
		}
	}
}

func TestATaskTooLargeForTheDaemonIsToldToItsSenderAlone(t *testing.T) {
	_, c, _ := serve(t)
	s := openStream(t, c)
	held, err := s.Submit(t.Context(), newTask(ipctest.Held))
	if err != nil {
		t.Fatal(err)
	}
	large := newTask(ipctest.Echo)
	large.Params = json.RawMessage(`"` + strings.Repeat("x", ipctest.BodyBytes) + `"`)
	var p *api.Problem
	if _, err := s.Do(t.Context(), large); !errors.As(err, &p) || p.Code != "body_too_large" {
		t.Fatalf("large: %v", err)
	}
	// Refused cancels name a task, too, and are not that task's end.
	if err := s.Cancel(t.Context(), task.NewID()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Do(t.Context(), newTask(ipctest.Echo)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-held.Done():
		t.Fatal("the other task was told")
	default:
	}
}

func TestAWaitThatIsGivenUpLeavesTheTaskAndTheStream(t *testing.T) {
	engine, c, _ := serve(t)
	s := openStream(t, c)
	x := newTask(ipctest.Held)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		_ = engine.AwaitTasks(ctx, 1)
	}()
	if _, err := s.Do(ctx, x); !errors.Is(err, context.Canceled) {
		t.Fatalf("Do: %v", err)
	}
	engine.End(x.ID, task.Result{Status: task.Completed})
	if _, err := s.Do(t.Context(), newTask(ipctest.Echo)); err != nil {
		t.Fatal(err)
	}
	if r, err := c.Result(t.Context(), x.ID, time.Minute); err != nil || r.Status != task.Completed {
		t.Fatalf("Result: %+v %v", r, err)
	}
}

func TestTheSameTaskTwiceOnAStreamIsAnError(t *testing.T) {
	_, c, _ := serve(t)
	s := openStream(t, c)
	x := newTask(ipctest.Held)
	if _, err := s.Submit(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Submit(t.Context(), x); !errors.Is(err, client.ErrUnderWay) {
		t.Fatalf("again: %v", err)
	}
}

func TestTheEndOfAStreamIsToldToWhoeverWaits(t *testing.T) {
	_, c, server := serve(t)
	s := openStream(t, c)
	p, err := s.Submit(t.Context(), newTask(ipctest.Held))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Do(t.Context(), newTask(ipctest.Echo)); err != nil { // both lines have been read
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = server.Shutdown(ctx)
	if _, err := p.Result(t.Context()); !errors.Is(err, client.ErrStreamEnded) {
		t.Errorf("Result: %v", err)
	}
	if _, err := s.Submit(t.Context(), newTask(ipctest.Echo)); !errors.Is(err, client.ErrStreamEnded) {
		t.Errorf("Submit: %v", err)
	}
}

func TestAStreamIsNotOpenedOnWhatIsNoDaemon(t *testing.T) {
	l, socket := ipctest.Listen(t)
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = conn.Write([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
			conn.Close()
		}
	}()
	var p *api.Problem
	if _, err := client.New(socket).OpenStream(t.Context()); !errors.As(err, &p) || p.Status != 404 || p.Code != "" {
		t.Errorf("error: %v", err)
	}
}

func TestOpeningEndsWithItsContext(t *testing.T) {
	l, socket := ipctest.Listen(t)
	defer l.Close() // accepts nothing
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := client.New(socket).OpenStream(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error: %v", err)
	}
}

// A daemon that does not accept for a moment is not gone: many others connect.
func TestWhoConnectsWhileManyDoWaitsForItsTurn(t *testing.T) {
	l, path := ipctest.Crowded(t)
	c := client.New(path)
	defer c.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("over")
	time.AfterFunc(20*time.Millisecond, func() { cancel(over) })
	if _, err := c.Status(ctx); !errors.Is(err, over) && !errors.Is(err, context.Canceled) {
		t.Errorf("while nobody is accepted: %v", err)
	}
	ipctest.ServeOn(t, l, ipctest.New(), ipc.Options{})
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("once the others have been accepted: %v", err)
	}
}
