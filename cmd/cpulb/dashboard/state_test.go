package dashboard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// serve serves an engine that this program may administer, and a dashboard of it.
func serve(t *testing.T) (*ipctest.Engine, *Dashboard) {
	t.Helper()
	engine := ipctest.New()
	engine.Rules = access.Rules{Private: true, DaemonUID: uint32(os.Getuid())}
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	return engine, New(socket)
}

// submit submits a task to the daemon itself, and returns its id.
func submit(t *testing.T, d *Dashboard, script string) string {
	t.Helper()
	client := http.Client{Transport: d.transport}
	resp, err := client.Post("http://cpulb/v1/tasks", "application/json", strings.NewReader(`{"script_path":"`+script+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var v task.View
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v.ID.String()
}

// shown looks at the daemon once and returns what the page gets.
func shown(t *testing.T, d *Dashboard, after string) map[string]any {
	t.Helper()
	d.observer.take(d.observer.look(t.Context()))
	w := request(d, "GET", "/dashboard/state?after="+after, nil)
	var s map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Code != 200 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return s
}

func TestThePageGetsWhatTheDaemonShows(t *testing.T) {
	_, d := serve(t)
	held := submit(t, d, ipctest.Held)
	submit(t, d, ipctest.Raises)
	s := shown(t, d, "0")
	if s["administrator"] != false || s["problem"] != nil || s["socket"] != d.observer.socket { // this engine names no callers
		t.Errorf("%v", s)
	}
	status := s["status"].(map[string]any)
	if status["engine"].(map[string]any)["version"] != "1.2.3" {
		t.Errorf("%v", status)
	}
	workers := s["workers"].([]any)
	if w := workers[0].(map[string]any); len(workers) != 2 || w["id"] != "cpu-0" || w["tasks_done"] != 12345678.0 || w["tasks"] == nil {
		t.Errorf("%v", workers)
	}
	if pool := status["components"].(map[string]any)["process_pool"].(map[string]any)["metrics"].(map[string]any); pool["workers"] != nil || pool["total_workers"] != 2.0 {
		t.Errorf("%v", pool)
	}
	columns, samples := s["columns"].([]any), s["samples"].([]any)
	if first := samples[0].([]any); len(samples) != 1 || len(first) != len(columns) || columns[colWaiting] != "waiting" || first[colWaiting] != 2.0 || first[colCompleted] != nil {
		t.Errorf("%v %v", columns, samples)
	}
	if again := shown(t, d, "1"); len(again["samples"].([]any)) != 1 || again["samples"].([]any)[0].([]any)[colSeq] != 2.0 {
		t.Errorf("%v", again["samples"])
	}
	if w := request(d, "GET", "/dashboard/state?after=x", nil); w.Code != 400 {
		t.Errorf("%d", w.Code)
	}
	if w := request(d, "DELETE", "/v1/tasks/"+held, nil); w.Code != 202 {
		t.Errorf("cancel: %d %s", w.Code, w.Body)
	}
	if w := request(d, "POST", "/v1/tasks/"+held+"/rerun", nil); w.Code != 202 || strings.Contains(w.Body.String(), held) {
		t.Errorf("rerun: %d %s", w.Code, w.Body)
	}
}

func TestADaemonThatDoesNotAnswerIsSaidAndComesBack(t *testing.T) {
	l, socket := ipctest.Listen(t)
	l.Close() // removes it
	d := New(socket)
	if s := shown(t, d, "0"); !strings.Contains(s["problem"].(string), "no daemon answers on "+socket) || s["denied"] != nil || s["status"] != nil {
		t.Errorf("%v", s)
	}
	w := request(d, "GET", "/v1/tasks", nil)
	if w.Code != http.StatusBadGateway || code(t, w) != "no_daemon" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	_, other := serve(t)
	if err := os.Symlink(other.observer.socket, socket); err != nil {
		t.Fatal(err)
	}
	if s := shown(t, d, "0"); s["problem"] != nil || s["status"] == nil || len(s["samples"].([]any)) != 2 {
		t.Errorf("%v", s)
	}
}

// unreachable is a daemon to which no call gets, for a reason.
type unreachable struct{ why error }

func (u unreachable) Get(context.Context, string) ([]byte, error)     { return nil, u.why }
func (u unreachable) RoundTrip(*http.Request) (*http.Response, error) { return nil, u.why }

// forNobody returns what connecting to the socket fails with for a user who may not: for root,
// a thread of root's takes another user for it.
func forNobody(t *testing.T, d *Dashboard) error {
	t.Helper()
	if err := os.Chmod(d.observer.socket, 0); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this
		if os.Getuid() == 0 {
			_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0)
		}
		stream, err := d.daemon.OpenStream(t.Context()) // connects on this thread, as no other call does
		if err == nil {
			stream.Close()
		}
		failed <- err
	}()
	return <-failed
}

func TestWhoMayNotUseTheSocketIsTold(t *testing.T) {
	_, d := serve(t)
	err := forNobody(t, d)
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "in the socket's group") {
		t.Fatal(err)
	}
	d.observer.from, d.transport = unreachable{err}, unreachable{err}
	if s := shown(t, d, "0"); s["denied"] != true || !strings.Contains(s["problem"].(string), "in the socket's group") {
		t.Errorf("%v", s)
	}
	if w := request(d, "GET", "/v1/status", nil); w.Code != http.StatusForbidden || code(t, w) != "not_allowed" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A daemon that does not accept for a moment is not gone: many others connect.
func TestThePageWaitsForItsTurnWhileManyConnect(t *testing.T) {
	l, socket := ipctest.Crowded(t)
	d := New(socket)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if look := d.observer.look(ctx); !errors.Is(look.err, context.DeadlineExceeded) {
		t.Errorf("while nobody is accepted: %v", look.err)
	}
	ipctest.ServeOn(t, l, ipctest.New(), ipc.Options{})
	if s := shown(t, d, "0"); s["problem"] != nil {
		t.Errorf("once the others have been accepted: %v", s["problem"])
	}
}

func TestEventsComeAsTheyHappen(t *testing.T) {
	engine, d := serve(t)
	server := httptest.NewServer(d.handler())
	defer server.Close()
	id := submit(t, d, ipctest.Held)
	req, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v1/tasks/"+id+"/events", nil)
	req.Header.Set("Authorization", "Bearer "+d.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	parsed, _ := task.ParseID(id)
	for _, message := range []string{"<b>one</b>", "two"} { // the second is sent once the first has been read
		engine.Tell(parsed, task.Event{Kind: task.EventLog, Level: "info", Message: message})
		if !lines.Scan() || !strings.Contains(lines.Text(), "two") && message == "two" {
			t.Fatalf("%q %v", lines.Text(), lines.Err())
		}
	}
	engine.End(parsed, task.Result{Status: task.Completed, Data: json.RawMessage("1")})
	if !lines.Scan() || !strings.Contains(lines.Text(), `"event":"result"`) || lines.Scan() {
		t.Fatalf("%q %v", lines.Text(), lines.Err())
	}
}

// An answer that the daemon has cut off does not look complete to the page either.
func TestEventsThatAreCutOffDoNotLookComplete(t *testing.T) {
	engine, d := serve(t)
	server := httptest.NewServer(d.handler())
	defer server.Close()
	id := submit(t, d, ipctest.Held)
	req, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v1/tasks/"+id+"/events", nil)
	req.Header.Set("Authorization", "Bearer "+d.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	engine.Stop()
	if text, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("it looks complete: %q", text)
	}
}

func TestASampleIsAnArrayWithGaps(t *testing.T) {
	s := sample{}
	s[colAt], s[colWaiting], s[colWait95], s[colRun95] = 12.3456, 1e6, math.NaN(), 0.000123456
	text, err := json.Marshal(s)
	if err != nil || string(text) != "[0,12.35,1000000,0,0,0,0,0,0,0,0,null,0,0.0001235]" {
		t.Errorf("%s %v", text, err)
	}
}
