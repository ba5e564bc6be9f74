package executortest

import (
	"encoding/json"
	"testing"

	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

// Watched is a process that is not our child and whose end can be waited for: unlike
// a pid, a pidfd never means another process.
type Watched struct{ fd int }

// Watch watches the process with that pid, which must live.
func Watch(t testing.TB, pid int) *Watched {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("process %d: %v", pid, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return &Watched{fd}
}

// WaitGone waits for the process's end; it kills it and fails the test when that
// does not come.
func (w *Watched) WaitGone(t testing.TB) {
	t.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			t.Fatalf("poll: %v", err)
		case n == 0:
			w.Kill()
			t.Fatal("the process lives on")
		default:
			return
		}
	}
}

// Gone reports whether it has ended.
func (w *Watched) Gone() bool {
	n, _ := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, 0)
	return n > 0
}

// Kill kills the process.
func (w *Watched) Kill() { _ = unix.PidfdSendSignal(w.fd, unix.SIGKILL, nil, 0) } // it may have ended

// child watches the process whose pid a task returned.
func child(b *bench, o plugins.Outcome) *Watched {
	b.Helper()
	var pid int
	if err := json.Unmarshal(o.Data, &pid); err != nil {
		b.Fatalf("%s %s %+v: %v", o.Status, o.Data, o.Error, err)
	}
	return Watch(b, pid)
}
