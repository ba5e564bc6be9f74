package ipc_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cpulb/daemon/access"
	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// caller1 and caller2 are two users.
const caller1, caller2 = 4001, 4002

// dialAs is dial as another user: the kernel reports who the thread was that connected.
func dialAs(t *testing.T, uid uint32, socket string) *stream {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can connect as somebody else")
	}
	const unchanged = ^uintptr(0)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, unchanged, uintptr(uid), unchanged); errno != 0 {
		t.Fatal(errno)
	}
	conn, err := net.Dial("unix", socket)
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, unchanged, 0, unchanged); errno != 0 {
		panic(errno)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &stream{t: t, conn: conn, r: bufio.NewReaderSize(conn, 1<<20)}
}

// heap is what is in memory now.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// post sends the head of a request with a body, and what of it is given.
func (s *stream) post(path string, announced int, more, begin string) {
	s.t.Helper()
	s.send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: cpulb\r\nContent-Length: %d\r\n%s\r\n%s", path, announced, more, begin))
}

// whole reads an answer to its end.
func (s *stream) whole() (resp *http.Response, text string) {
	s.t.Helper()
	resp, err := http.ReadResponse(s.r, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		s.t.Fatal(err)
	}
	return resp, string(body)
}

func TestNothingOfABodyIsReadForWhoMayNotSendIt(t *testing.T) {
	engine := ipctest.New()
	engine.Rules.Submit = access.Who{Users: []uint32{4711}}
	socket := ipctest.ServeAll(t, engine, ipc.Options{})
	for _, path := range []string{"/v1/tasks", "/v1/batches", "/v1/stream", "/v1/tasks/01890000-0000-7000-8000-000000000000/rerun", "/v1/drain", "/v1/reload",
		"/v1/resume", "/v1/workers/cpu-0/restart", "/v1/executors/python/swap", "/v1/executors/python/rollback"} {
		for name, head := range map[string]string{"expected": "Expect: 100-continue\r\n", "unasked": ""} {
			s := dialAs(t, caller1, socket)
			s.post(path, 60<<10, head, "")
			if resp, text := s.whole(); resp.StatusCode != 403 || !resp.Close || !strings.Contains(text, "not_allowed") {
				t.Errorf("%s, %s: %s %s", path, name, resp.Status, text)
			}
		}
	}
}

func TestABodyThatIsAnnouncedTooLargeIsRefusedAtOnce(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	for _, path := range []string{"/v1/tasks", "/v1/batches"} {
		s := dial(t, socket)
		s.post(path, ipctest.BodyBytes+1, "Expect: 100-continue\r\n", "")
		if resp, text := s.whole(); resp.StatusCode != 413 || !resp.Close || !strings.Contains(text, "body_too_large") {
			t.Errorf("%s: %s %s", path, resp.Status, text)
		}
	}
}

func TestABodyIsHeldAsFarAsItHasCome(t *testing.T) {
	socket := ipctest.ServeAll(t, ipctest.New(), ipc.Options{BodyBytes: 1 << 20, InFlight: func() int64 { return 4 << 20 }})
	for range 100 { // each announces a quarter of what there is
		dialAs(t, caller1, socket).post("/v1/tasks", 1<<20, "", "{")
	}
	s := dialAs(t, caller1, socket)
	text := body(ipctest.Echo, "")
	s.post("/v1/tasks", len(text), "", text)
	if resp, text := s.whole(); resp.StatusCode != 202 {
		t.Errorf("%s %s", resp.Status, text)
	}
}

func TestOneCallersBodiesLeaveRoomForOthers(t *testing.T) {
	socket := ipctest.ServeAll(t, ipctest.New(), ipc.Options{BodyBytes: 1 << 20, InFlight: func() int64 { return 3 << 20 }, StallTimeout: time.Second})
	half := body(ipctest.Echo, `,"params":"`+strings.Repeat("x", 600<<10))
	var greedy []*stream
	for range 8 {
		s := dialAs(t, caller1, socket)
		greedy = append(greedy, s)
		go func() { // it is not read to its end
			_, _ = fmt.Fprintf(s.conn, "POST /v1/tasks HTTP/1.1\r\nHost: cpulb\r\nContent-Length: %d\r\n\r\n%s", 1<<20, half)
		}()
	}
	refused := 0
	for _, s := range greedy { // each is refused, or cut off because no more comes of it
		if resp, text := s.whole(); resp.StatusCode == 429 && strings.Contains(text, "too_many_in_flight") && resp.Header.Get("Retry-After") != "" {
			refused++
		}
		other := dialAs(t, caller2, socket)
		text := body(ipctest.Echo, `,"params":"`+strings.Repeat("x", 100<<10)+`"`)
		other.post("/v1/tasks", len(text), "", text)
		if resp, text := other.whole(); resp.StatusCode != 202 {
			t.Fatalf("the other caller: %s %s", resp.Status, text)
		}
	}
	if refused == 0 {
		t.Error("nobody was told that there is no room")
	}
}

func TestABatchOfTinyLinesTakesLittleMemory(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{BodyBytes: 4 << 20, InFlight: func() int64 { return 64 << 20 }})
	for name, x := range map[string]struct {
		line, kind, before, after string
		status                    int
	}{
		"blank lines":  {"\n", "application/x-ndjson", "", body(ipctest.Echo, "") + "\n", 202},
		"no tasks":     {"1\n", "application/x-ndjson", "", "", 400},
		"bad elements": {"1,", "application/json", `{"tasks":[`, "1]}", 400},
	} {
		before, most := heap(), int64(0)
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				most = max(most, heap())
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond): // how often it is looked
				}
			}
		}()
		s := dial(t, socket)
		n := (3 << 20) / len(x.line)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			piece := strings.Repeat(x.line, 16<<10)
			_, _ = fmt.Fprintf(s.conn, "POST /v1/batches HTTP/1.1\r\nHost: cpulb\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", x.kind,
				len(x.before)+n/(16<<10)*len(piece)+len(x.after), x.before)
			for range n / (16 << 10) {
				if _, err := io.WriteString(s.conn, piece); err != nil {
					return // it has been refused
				}
			}
			_, _ = io.WriteString(s.conn, x.after)
		}()
		resp, text := s.whole()
		s.conn.Close()
		<-sent
		close(stop)
		<-stopped
		if resp.StatusCode != x.status {
			t.Errorf("%s: %s %.200s", name, resp.Status, text)
		}
		if took := most - before; took > 8<<20 { // with what is not collected yet
			t.Errorf("%s: it took %d KiB", name, took>>10)
		}
	}
}

func TestABatchWithTooManyBadTasksIsRefusedAsAWhole(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{BodyBytes: 1 << 20})
	c := call(t, socket)
	good := body(ipctest.Echo, "") + "\n"
	resp := c.open("POST", "/v1/batches", good+strings.Repeat("{}\n", 10_001), "Content-Type", "application/x-ndjson")
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 400 || !strings.Contains(string(text), "10000") || !strings.Contains(string(text), "script_path") {
		t.Errorf("%s %s %v", resp.Status, text, err)
	}
	if engine.Last() != nil {
		t.Error("the good one was submitted")
	}
	if a := c.batch("application/x-ndjson", strings.Repeat("{}\n", 10_000)+good); len(a.TaskIDs) != 10_001 || len(a.Errors) != 10_000 || a.TaskIDs[10_000] == nil {
		t.Errorf("%d ids, %d errors", len(a.TaskIDs), len(a.Errors))
	}
}

func TestABatchThatStopsEarlyIsNone(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{})
	for _, kind := range []string{"application/x-ndjson", "application/json"} {
		s := dial(t, socket)
		s.post("/v1/batches", 1000, "Content-Type: "+kind+"\r\n", strings.Repeat(body(ipctest.Echo, "")+"\n", 3))
		if err := s.conn.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if resp, text := s.whole(); resp.StatusCode != 400 {
			t.Errorf("%s: %s %s", kind, resp.Status, text)
		}
	}
	if engine.Last() != nil {
		t.Error("tasks of a batch that did not come to its end were submitted")
	}
}

func TestStreamsThatDoNotReadAreBoundedTogether(t *testing.T) {
	socket := ipctest.ServeAll(t, ipctest.New(), ipc.Options{BodyBytes: 4 << 20, BacklogBytes: 1 << 30, InFlight: func() int64 { return 12 << 20 }})
	before := heap()
	bad := strings.Repeat("{\"op\":\"nonsense\"}\n", 1000)
	ended := make(chan struct{})
	for range 8 {
		s := dialAs(t, caller1, socket)
		s.send(upgrade)
		go func() {
			for {
				if _, err := io.WriteString(s.conn, bad); err != nil { // cut off
					ended <- struct{}{}
					return
				}
			}
		}()
	}
	for range 8 {
		<-ended
		if took := heap() - before; took > 24<<20 {
			t.Errorf("%d KiB wait for clients who do not read", took>>10)
		}
	}
	other := dialAs(t, caller2, socket)
	other.send(upgrade)
	other.switched()
	other.submit(ipctest.Echo, "")
	other.expect("accepted")
	other.expect("result")
}

func TestUnreadAnswersAreBoundedTogether(t *testing.T) {
	engine := ipctest.New()
	// Nobody is cut off here: who reads has its answer, however slow the machine is.
	socket := ipctest.ServeAll(t, engine, ipc.Options{BodyBytes: 2 << 20, InFlight: func() int64 { return 2 << 20 }, StallTimeout: time.Hour})
	owner := dialAs(t, caller1, socket)
	id := task.NewID()
	text := body(ipctest.Held, fmt.Sprintf(`,"task_id":%q`, id))
	owner.post("/v1/tasks", len(text), "", text)
	owner.whole()
	engine.End(id, task.Result{Status: task.Failed, Stdout: strings.Repeat("\x00", 256<<10)}) // six times as long in JSON
	var readers []*stream
	for range 20 {
		readers = append(readers, dialAs(t, caller1, socket))
	}
	before := heap()
	for _, s := range readers {
		s.send(fmt.Sprintf("GET /v1/tasks/%s/result HTTP/1.1\r\nHost: cpulb\r\n\r\n", id))
	}
	for _, s := range readers {
		s.taken()
	}
	if took := heap() - before; took > 5<<20 {
		t.Errorf("%d KiB for 20 answers of which there is one result", took>>10)
	}
	var all sync.WaitGroup
	var whole atomic.Int64
	for _, s := range readers {
		all.Go(func() {
			resp, err := http.ReadResponse(s.r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			switch n, err := io.Copy(io.Discard, resp.Body); {
			case resp.StatusCode == 200 && err == nil:
				whole.Add(1)
			case resp.StatusCode != 429: // who waits for too long is refused
				t.Errorf("%s with %d bytes: %v", resp.Status, n, err)
			}
		})
	}
	if all.Wait(); whole.Load() == 0 {
		t.Error("nobody has got the result")
	}
}

// What is told of a task that was refused may be longer than the task.
func TestUnreadAnswersToBatchesAreBoundedTogether(t *testing.T) {
	engine := ipctest.New()
	engine.Rules.ScriptDirs = []string{"/none"}
	socket := ipctest.ServeAll(t, engine, ipc.Options{BodyBytes: 4 << 20, InFlight: func() int64 { return 24<<20 + 64<<10 }, StallTimeout: time.Second})
	line := `{"script_path":"/` + strings.Repeat("\U000e0001", 255) + `"}` + "\n" // each is ten characters in the answer
	text := strings.Repeat(line, 1200)
	var all []*stream
	for range 14 {
		all = append(all, dialAs(t, caller1, socket))
	}
	before, most := heap(), int64(0)
	for _, s := range all {
		go func() { // it is not read to its end
			_, _ = fmt.Fprintf(s.conn, "POST /v1/batches HTTP/1.1\r\nHost: cpulb\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		}()
		_, _ = s.r.Peek(1) // an answer, or none
		most = max(most, heap()-before)
	}
	if most > 28<<20 {
		t.Errorf("%d KiB for answers that are not read", most>>10)
	}
	runtime.KeepAlive(all)
}
