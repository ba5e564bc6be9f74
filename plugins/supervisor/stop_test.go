package supervisor_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// How a worker's end is asked for, and how it is told.

func TestNormalStopIsSilent(t *testing.T) {
	var log bytes.Buffer // read only after the worker's end
	b := newBoxLogging(t, hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Info}))
	up := executortest.NewRecorder()
	p := b.start(b.spec("executor"), executortest.Each(func(int) executortest.SlotHandler { return up }))
	if err := p.Slot(0).Send(&plugins.Task{Seq: 1, ScriptPath: executortest.FakeScripts()[executortest.Echo], Params: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	up.Wait(t, "ended", 1)
	p.Stop(t.Context())
	if p.Exit() != "exit status 0" {
		t.Errorf("it did not end by itself: %s", p.Exit())
	}
	if log.Len() > 0 {
		t.Errorf("the log: %s", log.String())
	}
}

func TestAnEndIsToldByItsSignal(t *testing.T) {
	b := newBox(t)
	for s, want := range map[unix.Signal]string{
		unix.SIGKILL: "signal: killed",
		unix.SIGTERM: "signal: terminated", // go-plugin does not swallow it
		unix.SIGSEGV: "signal: segmentation fault",
	} {
		up := executortest.NewRecorder()
		p := b.start(b.spec("executor"), executortest.Each(func(int) executortest.SlotHandler { return up }))
		if s == unix.SIGSEGV {
			if err := p.Slot(0).Send(&plugins.Task{Seq: 1, ScriptPath: executortest.FakeScripts()[executortest.Faults]}); err != nil {
				t.Fatal(err)
			}
		} else if err := unix.Kill(p.PID(), s); err != nil {
			t.Fatal(err)
		}
		<-p.Done()
		up.WaitLost(t)
		if got := p.Exit(); got != want && got != want+" (core dumped)" {
			t.Errorf("it ended with %q, not with %q", got, want)
		}
		p.Kill() // of nobody
		p.Stop(t.Context())
	}
}

func TestAnExitInATaskIsToldByItsStatus(t *testing.T) {
	b := newBox(t)
	p := b.start(b.spec("executor"), recorders)
	if err := p.Slot(0).Send(&plugins.Task{Seq: 1, ScriptPath: executortest.FakeScripts()[executortest.Exits]}); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if p.Exit() != "exit status 42" {
		t.Errorf("it ended with %q", p.Exit())
	}
}

func TestAnExecutorThatCannotStopATaskIsNotAskedTo(t *testing.T) {
	b := newBox(t)
	up := executortest.NewRecorder()
	p := b.start(b.spec("unstoppable"), executortest.Each(func(int) executortest.SlotHandler { return up }))
	if err := p.Slot(0).Send(&plugins.Task{Seq: 1, ScriptPath: executortest.FakeScripts()[executortest.BlocksUntilStopped]}); err != nil {
		t.Fatal(err)
	}
	up.Wait(t, "started", 1)
	if claim, err := p.Cancel(t.Context(), 0, 1, plugins.StopCancelled); err != nil || claim != plugins.Claimed {
		t.Errorf("a running task: %v, %v", claim, err)
	}
	if claim, err := p.Cancel(t.Context(), 0, 2, plugins.StopCancelled); err != nil || claim != plugins.Recalled {
		t.Errorf("a task that has not been read: %v, %v", claim, err)
	}
	if _, err := p.Health(t.Context()); err != nil {
		t.Errorf("the executor was asked: %v", err)
	}
}

func TestStopOfAStoppedWorkerEndsWithItsContext(t *testing.T) {
	b := newBox(t)
	p := b.start(b.spec("executor"), recorders)
	if err := unix.Kill(p.PID(), unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	p.Stop(ctx)
	if p.Exit() != "signal: killed" {
		t.Errorf("it ended with %q", p.Exit())
	}
}

func TestAStopThatIsHurriedKills(t *testing.T) {
	b := newBox(t)
	p := b.start(b.spec("executor"), recorders)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.Stop(ctx)
	if p.Exit() != "signal: killed" {
		t.Errorf("it ended with %q", p.Exit())
	}
}

func TestALauncherThatIsClosedStartsNothing(t *testing.T) {
	b := newBox(t)
	p := b.start(b.spec("executor"), recorders)
	b.Close()
	if err := b.fails(t.Context(), b.spec("executor")); err != supervisor.ErrClosed {
		t.Error(err)
	}
	if _, err := p.Health(t.Context()); err != nil {
		t.Errorf("the worker from before: %v", err)
	}
}
