package ipc_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"cpulb/daemon/api"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

func TestADaemonThatCanNotStartSaysWhy(t *testing.T) {
	l, path := ipctest.Listen(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ipc.Excuse(ctx, l, "its configuration is wrong", "config.hcl:2:3: unknown key")
	}()
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", path)
	}}}
	for _, method := range []string{"GET", "POST"} {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://cpulb/v1/tasks", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var p api.Problem
		if err := json.NewDecoder(answer.Body).Decode(&p); err != nil || answer.StatusCode != 503 || p.Code != "not_ready" ||
			!strings.Contains(p.Detail, "config.hcl:2:3") || answer.Header.Get("Retry-After") == "" {
			t.Errorf("%v: %d %+v", err, answer.StatusCode, p)
		}
		answer.Body.Close()
	}
	if text := excused(t, 3001, path); !strings.Contains(text, "its configuration is wrong") || strings.Contains(text, "config.hcl") {
		t.Errorf("who is not root is told %s", text)
	}
	stop()
	<-done
	if _, err := net.Dial("unix", path); err == nil {
		t.Error("it still listens")
	}
}

// excused is what a user is answered.
func excused(t *testing.T, uid uintptr, path string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	for _, shared := range []string{filepath.Dir(path), path} {
		if err := os.Chmod(shared, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	var conn net.Conn
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uid, uid, uid); errno != 0 {
			failed = errno
			return
		}
		conn, failed = net.Dial("unix", path)
	}()
	if <-done; failed != nil {
		t.Fatal(failed)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /v1/status HTTP/1.1\r\nHost: cpulb\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
