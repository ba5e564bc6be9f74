package client

import (
	"testing"

	"cpulb/daemon/task"
	"cpulb/ipc"
	"cpulb/ipc/ipctest"
)

func TestWhoRunsOneTaskAtATimeReadsByItself(t *testing.T) {
	socket, _ := ipctest.Serve(t, ipctest.New(), ipc.Options{})
	s, err := New(socket).OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	do := func() {
		x := &task.Task{ID: task.NewID(), ScriptPath: ipctest.Echo, Function: "main", Type: task.CPUBound}
		if _, err := s.Do(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	read := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.reads
	}
	if do(); read() {
		t.Error("somebody reads although nobody waits")
	}
	p, err := s.Submit(t.Context(), &task.Task{ID: task.NewID(), ScriptPath: ipctest.Echo, Function: "main", Type: task.CPUBound})
	if err != nil {
		t.Fatal(err)
	}
	if <-p.Done(); !read() {
		t.Error("nobody reads for who submits")
	}
}
