package ipc_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"

	"golang.org/x/sys/unix"
)

func TestAReaderWhoStallsHoldsUpNobody(t *testing.T) {
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{BodyBytes: 1 << 20})
	c := call(t, socket)
	big := `"` + strings.Repeat("x", 1<<20-200) + `"`
	var lines []string
	for range 8 {
		_, v := c.do("POST", "/v1/tasks", body(ipctest.Echo, `,"params":`+big))
		lines = append(lines, fmt.Sprint(v["task_id"]))
	}
	a := c.batch("", `{"tasks":[`+body(ipctest.Held, "")+`]}`)
	for _, path := range []string{"/v1/tasks/" + lines[0] + "/result", "/v1/batches/" + a.ID.String() + "/results", "/v1/tasks/" + a.TaskIDs[0].String() + "/events"} {
		s := dial(t, socket)
		s.send("GET " + path + " HTTP/1.1\r\nHost: cpulb\r\n\r\n") // and reads nothing
	}
	engine.End(*a.TaskIDs[0], task.Result{Status: task.Completed, Data: []byte(big)}) // returns
	resp, r := c.do("GET", "/v1/tasks/"+lines[7]+"/result", "")
	if resp.StatusCode != 200 || r["status"] != "completed" {
		t.Errorf("%s", resp.Status)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	s := dial(t, socket)
	go func() {
		_, _ = io.WriteString(s.conn, "GET /healthz HTTP/1.1\r\nHost: cpulb\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n") // cut off on the way
	}()
	resp, err := http.ReadResponse(s.r, nil)
	if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
}

// A buffer of net/http's has 4096 bytes: after 4095 of them it has room for one.
func TestHeadersMayArriveInPiecesOfAnySize(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	line := "GET /healthz?" + strings.Repeat("x", 5000) + " HTTP/1.1\r\n"
	for first := 4090; first < 4100; first++ {
		s := dial(t, socket)
		for range 2 { // the second one on a connection that has served
			s.send(line[:first])
			for unread(t, s.conn) > 0 {
				runtime.Gosched()
			}
			s.send(line[first:] + "Host: cpulb\r\n\r\n")
			resp, err := http.ReadResponse(s.r, nil)
			if err != nil {
				t.Fatalf("%d bytes first: %v", first, err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("%d bytes first: %s %v", first, resp.Status, err)
			}
		}
	}
}

// unread returns how much of what c has sent was not read yet.
func unread(t *testing.T, c net.Conn) (n int) {
	t.Helper()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAClientWhoStallsIsCutOff(t *testing.T) {
	t.Parallel()
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{BodyBytes: 8 << 20, StallTimeout: time.Second, Connections: func() int { return 1 }})
	id := task.NewID()
	first := call(t, socket)
	first.do("POST", "/v1/tasks", body(ipctest.Echo, fmt.Sprintf(`,"task_id":%q,"params":"%s"`, id, strings.Repeat("x", 4<<20))))
	first.client.CloseIdleConnections()
	// room returns once there is room for one connection. One that has been read to
	// its end takes none any more.
	room := func() {
		t.Helper()
		for answer := ""; !strings.HasPrefix(answer, "HTTP/1.1 200"); {
			s := dial(t, socket)
			s.send("GET /healthz HTTP/1.1\r\nHost: cpulb\r\nConnection: close\r\n\r\n")
			text, err := io.ReadAll(s.r)
			if err != nil {
				t.Fatal(err)
			}
			answer = string(text)
			s.conn.Close()
		}
	}
	for _, request := range []string{
		"GET /v1/tasks/" + id.String() + "/result HTTP/1.1\r\nHost: cpulb\r\n\r\n", // and does not read the answer
		"GET /healthz HTTP/1.1\r\nHost: cpulb\r\nContent-Length: 9\r\n\r\nhalf",    // which nobody wants
	} {
		room()
		s := dial(t, socket)
		s.send(request)
		room()
	}
	s := dial(t, socket)
	s.send("POST /v1/tasks HTTP/1.1\r\nHost: cpulb\r\nContent-Length: 99\r\n\r\n{\"script_path\":")
	resp, err := http.ReadResponse(s.r, nil)
	if err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Fatalf("half a body: %v %v", resp, err)
	}
	resp.Body.Close()
}

func TestALongWaitIsNoStall(t *testing.T) {
	t.Parallel()
	engine := ipctest.New()
	socket, _ := ipctest.Serve(t, engine, ipc.Options{StallTimeout: time.Second})
	c := call(t, socket)
	for range 2 { // the second on the same connection
		if resp, v := c.do("POST", "/v1/tasks?wait=1500ms", body(ipctest.Held, "")); resp.StatusCode != http.StatusAccepted {
			t.Errorf("%s %v", resp.Status, v)
		}
	}
}
