package ipc_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"cpulb/daemon/api"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// door is a socket with few places, and who comes to it.
type door struct {
	t      *testing.T
	socket string
	places *atomic.Int64
}

func newDoor(t *testing.T, engine *ipctest.Engine, places int) *door {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can connect as several users")
	}
	d := &door{t: t, places: &atomic.Int64{}}
	d.places.Store(int64(places))
	d.socket = ipctest.ServeAll(t, engine, ipc.Options{Connections: func() int { return int(d.places.Load()) }})
	return d
}

// connect returns a new connection of that user's. Who connects is the thread that does.
func (d *door) connect(uid int) *stream {
	d.t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const keep = ^uintptr(0)
	if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, keep, uintptr(uid), keep); e != 0 {
		d.t.Fatal(e)
	}
	defer syscall.RawSyscall(syscall.SYS_SETRESUID, keep, 0, keep)
	return dial(d.t, d.socket)
}

// ask makes one request and returns the answer; nil: the connection was closed without.
func (s *stream) ask(method, path string) (*http.Response, string) {
	s.t.Helper()
	request, err := http.NewRequest(method, "http://cpulb"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if request.Write(s.conn) != nil { // it may have been closed already
		return nil, ""
	}
	resp, err := http.ReadResponse(s.r, request)
	if err != nil {
		return nil, ""
	}
	text := make([]byte, max(resp.ContentLength, 0))
	if method == http.MethodHead {
		return resp, ""
	}
	if _, err := resp.Body.Read(text); err != nil && len(text) == 0 {
		s.t.Fatal(err)
	}
	return resp, string(text)
}

// enters reports whether that user has got a place, and what it is told if it has not.
func (d *door) enters(uid int) (bool, string) {
	d.t.Helper()
	resp, text := d.connect(uid).ask("GET", "/v1/status")
	switch {
	case resp == nil:
		return false, "closed"
	case resp.StatusCode == http.StatusOK:
		return true, ""
	case resp.StatusCode != http.StatusServiceUnavailable || !resp.Close || resp.Header.Get("Retry-After") == "" ||
		resp.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(text, `"code":"too_many_connections"`):
		d.t.Fatalf("uid %d: %s %v %s", uid, resp.Status, resp.Header, text)
	}
	return false, text
}

// fill has the user take all that it gets, and returns how much that was.
func (d *door) fill(uid int) (n int) {
	d.t.Helper()
	for {
		in, why := d.enters(uid)
		if !in {
			if why == "closed" {
				d.t.Fatalf("uid %d was not told why", uid)
			}
			return n
		}
		n++
	}
}

func TestOneUserTakesItsShareOfTheConnections(t *testing.T) {
	d := newDoor(t, ipctest.New(), 30)
	if n := d.fill(3001); n != 20 {
		t.Errorf("one user alone got %d of 30", n)
	}
	if in, why := d.enters(3001); in || !strings.Contains(why, "your user has 20 connections") {
		t.Errorf("%v %s", in, why)
	}
	if n := d.fill(3002); n < 5 {
		t.Errorf("the second got %d", n)
	}
	for uid := 3003; ; uid++ {
		in, why := d.enters(uid)
		if !in {
			if !strings.Contains(why, "there are 30 connections") {
				t.Error(why)
			}
			break
		}
	}
	if in, why := d.enters(0); !in {
		t.Errorf("root did not get in: %s", why)
	}
}

func TestAdministratorsGetInWhenAdministratorsHaveTakenEverything(t *testing.T) {
	engine := ipctest.New()
	engine.Rules.Administer.Users = []uint32{3100}
	d := newDoor(t, engine, 20)
	if n := d.fill(3100); n < 20+10 {
		t.Errorf("an administrator got %d", n)
	}
	if in, why := d.enters(0); !in {
		t.Errorf("root did not get in: %s", why)
	}
	if in, why := d.enters(3001); in || !strings.Contains(why, "there are 20 connections") {
		t.Errorf("%v %s", in, why)
	}
}

func TestAPlaceIsFreeWhenItsConnectionHasEnded(t *testing.T) {
	d := newDoor(t, ipctest.New(), 3)
	streams := []*stream{d.connect(3001), d.connect(3001)}
	for _, s := range streams {
		s.send(upgrade)
		s.switched()
	}
	for range 3 {
		if in, _ := d.enters(3001); in {
			t.Fatal("an upgraded connection takes no place")
		}
	}
	streams[0].submit(ipctest.Echo, "") // those that are there go on
	streams[0].expect("accepted")
	streams[0].expect("result")
	streams[1].conn.(*net.UnixConn).CloseWrite()
	streams[1].expectEnd() // written before its place is free, so perhaps not at once
	for in := false; !in; {
		in, _ = d.enters(3001)
	}
}

func TestHowManyConnectionsThereMayBeCanChange(t *testing.T) {
	d := newDoor(t, ipctest.New(), 3)
	d.fill(3001)
	d.places.Store(30)
	if n := d.fill(3001); n != 18 {
		t.Errorf("%d more of 30", n)
	}
	d.places.Store(3)
	if in, _ := d.enters(3002); in {
		t.Error("there are more than three, and one more is served")
	}
}

func TestHealthIsAnsweredWhenThereIsNoPlace(t *testing.T) {
	d := newDoor(t, ipctest.New(), 3)
	d.fill(3001)
	for _, method := range []string{"GET", "HEAD"} {
		for path, want := range map[string]string{"/healthz": `{"status":"ok"}`, "/readyz": `{"status":"ready"}`, "/readyz?verbose": `{"status":"ready"}`} {
			resp, text := d.connect(3001).ask(method, path)
			if resp == nil || resp.StatusCode != 200 || !resp.Close || resp.ContentLength != int64(len(want))+1 || method == "GET" && strings.TrimSpace(text) != want {
				t.Errorf("%s %s: %v %s", method, path, resp, text)
			}
		}
	}
	for _, other := range []string{"POST /healthz", "GET /metrics", "GET /healthz/", "GET /v1/tasks", "DELETE /readyz", "GET /debug/pprof/"} {
		method, path, _ := strings.Cut(other, " ")
		if resp, text := d.connect(3001).ask(method, path); resp == nil || resp.StatusCode != 503 || !strings.Contains(text, "too_many_connections") {
			t.Errorf("%s: %v %s", other, resp, text)
		}
	}
}

func TestWhoHasAllOfAFewPlacesItselfIsTold(t *testing.T) {
	d := newDoor(t, ipctest.New(), 3)
	if n := d.fill(0); n != 3 {
		t.Errorf("root got %d of 3", n)
	}
	if resp, text := d.connect(0).ask("GET", "/healthz"); resp == nil || resp.StatusCode != 503 || !strings.Contains(text, "too_many_connections") {
		t.Errorf("%v %s", resp, text)
	}
	if resp, text := d.connect(3001).ask("GET", "/healthz"); resp == nil || resp.StatusCode != 200 {
		t.Errorf("another is not told of the health: %v %s", resp, text)
	}
}

func TestReadinessIsAnsweredWhenThereIsNoPlace(t *testing.T) {
	for readiness, code := range map[error]string{api.ErrDraining: "draining", errors.New(`pool "cpu" has no ready worker`): "not_ready"} {
		engine := ipctest.New()
		engine.ReadyError = readiness
		d := newDoor(t, engine, 3)
		d.fill(3001)
		if resp, text := d.connect(3001).ask("GET", "/readyz"); resp == nil || resp.StatusCode != 503 || !strings.Contains(text, code) {
			t.Errorf("%v: %v %s", readiness, resp, text)
		}
	}
}

func TestThoseWhoAskNothingDoNotKeepOthersFromBeingTold(t *testing.T) {
	d := newDoor(t, ipctest.New(), 3)
	d.fill(3001)
	in, _ := d.enters(3002)
	if !in {
		t.Fatal("the second got no place")
	}
	for range 500 {
		d.connect(3001) // and says nothing
	}
	for range 20 {
		if resp, text := d.connect(3002).ask("GET", "/healthz"); resp == nil || resp.StatusCode != 200 {
			t.Fatalf("not told: %v %s", resp, text)
		}
		if in, why := d.enters(3002); in || why == "closed" {
			t.Fatalf("%v, %s", in, why)
		}
		if in, why := d.enters(0); !in {
			t.Fatalf("root did not get in: %s", why)
		}
	}
}

func TestWhatIsNotARequestIsToldThatThereIsNoPlace(t *testing.T) {
	d := newDoor(t, ipctest.New(), 3)
	d.fill(3001)
	for _, text := range []string{"", "\r\n", "hello\r\n\r\n", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nX: " + strings.Repeat("x", 1<<16) + "\r\n\r\n"} {
		s := d.connect(3001)
		go func() {
			fmt.Fprint(s.conn, text)
			_ = s.conn.(*net.UnixConn).CloseWrite()
		}()
		if resp, err := http.ReadResponse(bufio.NewReader(s.conn), nil); err != nil || resp.StatusCode != 503 {
			t.Errorf("%.20q: %v %v", text, resp, err)
		}
	}
}

func TestWhoLeavesAgainIsNotInTheWayOfOthers(t *testing.T) {
	d := newDoor(t, ipctest.New(), 3)
	for range 500 {
		d.connect(3001).conn.Close()
	}
	if in, why := d.enters(3002); !in {
		t.Error(why)
	}
	for in := false; !in; { // those that had been accepted before they left end, too
		in, _ = d.enters(3001)
	}
}
