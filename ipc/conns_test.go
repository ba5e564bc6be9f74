package ipc_test

import (
	"bufio"
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
	for range 2 {
		_, v := c.do("POST", "/v1/tasks", body(ipctest.Echo, `,"params":`+big))
		lines = append(lines, fmt.Sprint(v["task_id"]))
	}
	a := c.batch("", `{"tasks":[`+body(ipctest.Held, "")+`]}`)
	for _, path := range []string{"/v1/tasks/" + lines[0] + "/result", "/v1/batches/" + a.ID.String() + "/results", "/v1/tasks/" + a.TaskIDs[0].String() + "/events"} {
		s := dial(t, socket)
		s.send("GET " + path + " HTTP/1.1\r\nHost: cpulb\r\n\r\n") // and reads nothing
	}
	engine.End(*a.TaskIDs[0], task.Result{Status: task.Completed, Data: []byte(big)}) // returns
	resp, r := c.do("GET", "/v1/tasks/"+lines[1]+"/result", "")
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

// While net/http answers a request it reads single bytes, which are not taken: a single
// byte of a head is none of these.
func TestAHeadThatComesInPiecesIsReadWhateverTheirSize(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	const buffer = 4096 // net/http's
	for _, size := range []int{1, buffer - 2, buffer - 1, buffer, buffer + 1} {
		s, line := dial(t, socket), "X: "+strings.Repeat("x", size)
		for range 2 {
			for _, piece := range []string{"GET /healthz HTTP/1.1\r\nHost: cpulb\r\n", line[:size], line[size:] + "\r\n\r\n"} {
				s.send(piece)
				s.taken()
			}
			s.conn.SetReadDeadline(time.Now().Add(time.Minute))
			resp, err := http.ReadResponse(s.r, nil)
			if err != nil || resp.StatusCode != 200 {
				t.Fatalf("a piece of %d bytes: %v", size, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
		}
	}
}

// taken returns once the other end has read all that was sent.
func (s *stream) taken() {
	s.t.Helper()
	raw, err := s.conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		s.t.Fatal(err)
	}
	for left := 1; left > 0; runtime.Gosched() {
		var asked error
		if err := raw.Control(func(fd uintptr) { left, asked = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil || asked != nil {
			s.t.Fatal(err, asked)
		}
	}
}

// docs/protocol.md and docs/api.md say 16 KiB.
func TestHeadersMayTakeAsMuchAsIsDocumented(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	for size, want := range map[int]int{16 << 10: http.StatusSwitchingProtocols, 16<<10 + 1: http.StatusRequestHeaderFieldsTooLarge} {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		head := "POST /v1/stream HTTP/1.1\r\nHost: cpulb\r\nConnection: Upgrade\r\nUpgrade: cpulb\r\nX: "
		if _, err := conn.Write([]byte(head + strings.Repeat("x", size-len(head)-4) + "\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != want {
			t.Errorf("%d bytes: %+v %v, want %d", size, resp, err, want)
		}
	}
}
