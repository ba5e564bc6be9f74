package ipc_test

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"cpulb/daemon/config"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

// The formula for the most memory counts a constant for each connection, beside what is in
// flight.
func TestAConnectionTakesNoMoreThanTheFormulaHasForIt(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	const n = 40
	var many strings.Builder
	for i := range 2600 {
		fmt.Fprintf(&many, "%x:\r\n", i)
	}
	headers := "X: " + strings.Repeat("x", 15<<10) + "\r\n"
	for name, text := range map[string]string{
		"half a head":      "GET /healthz HTTP/1.1\r\nHost: cpulb\r\n" + headers,
		"kept alive":       "GET /healthz HTTP/1.1\r\nHost: cpulb\r\n" + headers + "\r\n",
		"half a body":      "POST /v1/tasks HTTP/1.1\r\nHost: cpulb\r\n" + headers + "Content-Length: 1000\r\n\r\n{",
		"a waiting call":   "POST /v1/tasks?wait=1h HTTP/1.1\r\nHost: cpulb\r\n" + headers + "Content-Length: 28\r\n\r\n{\"script_path\":\"/held.py\"}  ",
		"a stream":         strings.Replace(upgrade, "\r\n\r\n", "\r\n"+headers+"\r\n", 1),
		"half a line":      upgrade + "{" + strings.Repeat(" ", 30<<10),
		"half a long head": "GET /healthz HTTP/1.1\r\nHost: cpulb\r\n" + many.String(),
		"many headers":     "POST /v1/batches HTTP/1.1\r\nHost: cpulb\r\nContent-Length: 9\r\n" + many.String() + "\r\n{",
		"the same header":  "POST /v1/batches HTTP/1.1\r\nHost: cpulb\r\nContent-Length: 9\r\n" + strings.Repeat("A:\r\n", 3<<10) + "\r\n{",
	} {
		before := settled()
		var all []net.Conn
		for range n {
			conn, err := net.Dial("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, conn)
			if _, err := conn.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if each := (settled() - before) / n; each > config.ConnectionBytes {
			t.Errorf("%s: %d bytes for each connection, and the formula has %d", name, each, config.ConnectionBytes)
		} else {
			t.Logf("%s: %d bytes", name, each)
		}
		for _, conn := range all {
			conn.Close()
		}
	}
}

// settled is inUse once it does not change any more: the server's goroutines give no other
// sign.
func settled() int64 {
	for was := int64(0); ; time.Sleep(50 * time.Millisecond) {
		now := inUse()
		if max(now-was, was-now) < 64<<10 {
			return now
		}
		was = now
	}
}

// inUse is what is in memory and on stacks now.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
