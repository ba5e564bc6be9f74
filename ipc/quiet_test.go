package ipc_test

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"cpulb/ipc"
	"cpulb/ipc/ipctest"

	"github.com/hashicorp/go-hclog"
)

// record is what has been logged.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

// Whoever can connect could fill the log otherwise.
func TestWhatClientsDoToThemselvesIsNotLogged(t *testing.T) {
	var logged record
	socket, server := ipctest.Serve(t, ipctest.New(), ipc.Options{Logger: hclog.New(&hclog.LoggerOptions{Output: &logged, Level: hclog.Info}),
		BacklogBytes: 64 << 10})
	for range 20 {
		for _, text := range []string{
			"GET /metrics HTTP/1.1\r\nHost: cpulb\r\n\r\n",
			"GET /v1/status HTTP/1.1\r\nHost: cpulb\r\n\r\n",
			"GET /v1/openapi.json HTTP/1.1\r\nHost: cpulb\r\n\r\n",
			"nonsense\r\n\r\n",
			upgrade + "{\n",
		} {
			s := dial(t, socket)
			s.send(text)
			s.conn.Close()
		}
	}
	s := dial(t, socket)
	s.send(upgrade)
	s.conn.SetWriteDeadline(time.Now().Add(time.Second))
	for text := strings.Repeat("{}\n", 1000); ; { // the answers are not read
		if _, err := io.WriteString(s.conn, text); err != nil {
			break // nothing more is read: it is cut off
		}
	}
	s.conn.Close()
	if err := server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	logged.mu.Lock()
	defer logged.mu.Unlock()
	if logged.text.Len() > 0 {
		t.Errorf("%d lines, such as %.300s", strings.Count(logged.text.String(), "\n"), logged.text.String())
	}
}
