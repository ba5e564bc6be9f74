package ipctest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"cpulb/ipc"
)

// BodyBytes is the bound on bodies and lines of a server that Serve started
// without one.
const BodyBytes = 64 << 10

// Serve serves e on a socket of the test's own, whose path it returns, until the
// test ends.
func Serve(t testing.TB, e *Engine, o ipc.Options) (socket string, server *ipc.Server) {
	t.Helper()
	if o.BodyBytes == 0 {
		o.BodyBytes = BodyBytes
	}
	l, socket := Listen(t)
	return socket, ServeOn(t, l, e, o)
}

// ServeOn is Serve on a listener that the test has.
func ServeOn(t testing.TB, l net.Listener, e *Engine, o ipc.Options) *ipc.Server {
	t.Helper()
	server := ipc.NewServer(e, o)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		cut, cancel := context.WithCancel(context.Background())
		cancel() // not waiting for the tasks that a test holds
		_ = server.Shutdown(cut)
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return server
}

// ServeAll is Serve for clients of every user.
func ServeAll(t testing.TB, e *Engine, o ipc.Options) (socket string) {
	t.Helper()
	socket, _ = Serve(t, e, o)
	for path, mode := range map[string]os.FileMode{filepath.Dir(socket): 0o755, socket: 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	return socket
}

// Listen listens on a socket of the test's own; its path is short whatever the
// test's name.
func Listen(t testing.TB) (net.Listener, string) {
	t.Helper()
	path := filepath.Join(Folder(t), "s")
	l, err := ipc.Listen(ipc.ListenConfig{Path: path, Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	return l, path
}

// Folder is t.TempDir with a path short enough for sockets.
func Folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ipc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
