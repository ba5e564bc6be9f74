package conformance

import (
	"encoding/json"
	"errors"
	"time"

	"cpulb/plugins"

	"golang.org/x/sys/unix"
)

// Watched is a process that is not our child and whose end can be waited for: unlike
// a pid, a pidfd never means another process.
type Watched struct {
	fd       int
	patience time.Duration
}

// Watch watches the process with that pid, which must live.
func Watch(t T, pid int) *Watched {
	t.Helper()
	w, err := watch(t, pid)
	if err != nil {
		t.Fatalf("process %d: %v", pid, err)
	}
	return w
}

func watch(t T, pid int) (*Watched, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { unix.Close(fd) })
	return &Watched{fd, forTests}, nil
}

// WaitGone waits for the process's end (nil has ended); it kills it and fails the test when that
// does not come.
func (w *Watched) WaitGone(t T) {
	t.Helper()
	if w == nil {
		return
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, int(w.patience.Milliseconds()))
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

// child watches the process whose pid a task returned. It is nil if that has ended with
// its task, as what a task starts may where each has a process of its own.
func child(b *bench, o plugins.Outcome) *Watched {
	b.Helper()
	var pid int
	if err := json.Unmarshal(o.Data, &pid); err != nil || pid <= 0 {
		b.Fatalf("wanted the pid of a process, got %s", outcome(o))
	}
	w, err := watch(b, pid)
	switch {
	case errors.Is(err, unix.ESRCH) && b.worker.Description().CanIsolate:
		return nil
	case err != nil:
		b.Fatalf("the task returned %d, and there is no such process: %v", pid, err)
	}
	w.patience = b.suite.patience()
	b.Cleanup(w.Kill) // a test that fails leaves nothing
	return w
}
