package daemon_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"cpulb/daemon/task"
	"cpulb/plugins"
)

// executorRole is set for a process of this test that is to be a worker.
const executorRole = "CPULB_TEST_EXECUTOR"

func TestMain(m *testing.M) {
	if os.Getenv(executorRole) != "" {
		plugins.Serve(executor{})
		return
	}
	flag.Parse()
	// Each of rapid's rounds starts processes; `go test -rapid.checks=…` asks for more.
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		checks := "6"
		if testing.Short() {
			checks = "3"
		}
		_ = f.Value.Set(checks) // a number
	}
	os.Exit(m.Run())
}

// What the executor's scripts do follows from their names.
const (
	echo      = "echo"      // gives back its params
	fails     = "fails"     // every time
	failsOnce = "failsonce" // the first attempt
	blocks    = "blocks"    // until it is stopped, or the file beside it is there
	crashes   = "crashes"   // ends its worker
	released  = "released"
)

// executor is a real worker, but for the language.
type executor struct{}

func (executor) Describe() plugins.Description {
	return plugins.Description{Name: "model", Version: "1", CanCancel: true, HasEvents: true}
}

func (executor) Configure(context.Context, plugins.Configuration) (string, error) {
	return "Go", nil
}

func (executor) OpenSlot(int) (plugins.Slot, error) { return &executorSlot{}, nil }

func (executor) Health(context.Context) (time.Duration, error) { return 0, nil }

type executorSlot struct {
	mu      sync.Mutex
	stopped map[uint64]plugins.StopReason
}

func (s *executorSlot) Run(t *plugins.Task, emit plugins.Emitter) plugins.Outcome {
	failed := plugins.Outcome{Status: task.Failed, Error: &task.Error{Type: "ValueError", Message: "as asked", Code: "exception"}}
	switch name := filepath.Base(t.ScriptPath); {
	case name == blocks:
		return s.block(t)
	case name == crashes:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case name == fails, name == failsOnce && t.Attempt == 1:
		return failed
	}
	emit.Progress(0.5, "half way")
	return plugins.Outcome{Status: task.Completed, Data: t.Params}
}

func (s *executorSlot) block(t *plugins.Task) plugins.Outcome {
	for {
		if _, err := os.Stat(filepath.Join(filepath.Dir(t.ScriptPath), released)); err == nil {
			return plugins.Outcome{Status: task.Completed, Data: t.Params}
		}
		s.mu.Lock()
		reason, stop := s.stopped[t.Seq]
		s.mu.Unlock()
		switch {
		case stop && reason == plugins.StopTimedOut:
			return plugins.Outcome{Status: task.TimedOut, Error: &task.Error{Type: "TaskTimeout", Message: "stopped", Code: "timed_out"}}
		case stop:
			return plugins.Outcome{Status: task.Cancelled, Error: &task.Error{Type: "TaskCancelled", Message: "stopped", Code: "cancelled"}}
		}
		time.Sleep(time.Millisecond)
	}
}

func (s *executorSlot) Cancel(seq uint64, reason plugins.StopReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped == nil {
		s.stopped = map[uint64]plugins.StopReason{}
	}
	s.stopped[seq] = reason
}

func (s *executorSlot) Close() {}
