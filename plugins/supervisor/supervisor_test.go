package supervisor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cpulb/plugins"
	"cpulb/plugins/executortest"
	"cpulb/plugins/supervisor"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// box is a Launcher with a runtime folder of its own.
type box struct {
	*testing.T
	*supervisor.Launcher
	dir string
}

func newBox(t *testing.T) *box { return newBoxLogging(t, hclog.NewNullLogger()) }

func newBoxLogging(t *testing.T, log hclog.Logger) *box {
	t.Helper()
	dir, err := os.MkdirTemp("", "sup") // t.TempDir is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	l, err := supervisor.NewLauncher(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in the runtime folder: %v %v", left, err)
		}
		os.RemoveAll(dir)
	})
	return &box{t, l, dir}
}

func (b *box) spec(role string) supervisor.Spec {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	env := map[string]string{roleEnv: role, "GORACE": "atexit_sleep_ms=0"} // the race detector's second at each exit
	return supervisor.Spec{ID: "w", Pool: "test", Executor: "fake", Command: exe, Slots: 1, Env: env,
		ResultBytes: executortest.SuiteResultBytes, OutputBytes: 1 << 16, StartTimeout: 10 * time.Minute}
}

// start starts a worker and ends it with the test.
func (b *box) start(spec supervisor.Spec, handler func(first, count int) plugins.Handler) *supervisor.Process {
	b.Helper()
	p, err := b.Start(b.Context(), spec, handler)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Kill(); <-p.Done() })
	return p
}

// fails starts what can't be started.
func (b *box) fails(ctx context.Context, spec supervisor.Spec) error {
	b.Helper()
	p, err := b.Start(ctx, spec, recorders)
	if err == nil {
		p.Kill()
		<-p.Done()
		b.Fatal("it was started")
	}
	return err
}

func recorders(first, count int) plugins.Handler {
	return executortest.Each(func(int) executortest.SlotHandler { return executortest.NewRecorder() })(first, count)
}

func TestTheFakeExecutorConforms(t *testing.T) {
	executortest.Run(t, executortest.Suite{
		Scripts:   executortest.FakeScripts(),
		Shares:    true,
		StartWith: executortest.Program(newBox(t).spec("executor")),
	})
}

func TestOutputOutsideAnyTaskIsLogged(t *testing.T) {
	var log bytes.Buffer // read only after the worker's end, when nothing writes any more
	b := newBoxLogging(t, hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Info}))
	up := executortest.NewRecorder()
	p := b.start(b.spec("executor"), executortest.Each(func(int) executortest.SlotHandler { return up }))
	if err := p.Slot(0).Send(&plugins.Task{Seq: 1, ScriptPath: executortest.FakeScripts()[executortest.StrayOutput]}); err != nil {
		t.Fatal(err)
	}
	up.Wait(t, "ended", 1)
	p.Stop(t.Context())
	logged, dropped := strings.Count(log.String(), "x"), 0
	for line := range strings.Lines(log.String()) {
		if _, said, ok := strings.Cut(line, `of="output outside any task" bytes=`); ok {
			var n int
			if _, err := fmt.Sscanf(said, "%d", &n); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			dropped += n
		}
	}
	if logged < 200_000 || logged > 300_000 || logged+dropped < 2_000_000 {
		t.Errorf("of 1 MB on descriptor 1 and 1 MB on 2, %d bytes were logged and %d were said to be dropped", logged, dropped)
	}
	if !strings.Contains(log.String(), "output outside any task: text=\"xxx") {
		t.Errorf("the log: %.300s", log.String())
	}
}

func TestAScriptCanBeAnExecutor(t *testing.T) {
	b := newBox(t)
	spec := b.spec("executor")
	text := fmt.Sprintf("#!/bin/sh\nexec '%s'\n", spec.Command)
	spec.Command = filepath.Join(t.TempDir(), "executor.sh")
	if err := os.WriteFile(spec.Command, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	b.start(spec, recorders)
}

func TestTheProcessHasTheNameOfItsProgram(t *testing.T) {
	b := newBox(t)
	spec := b.spec("executor")
	p := b.start(spec, recorders)
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Base(spec.Command); !strings.HasPrefix(want, strings.TrimSpace(string(name))) {
		t.Errorf("it is named %q, not %q", name, want)
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID()))
	if err != nil || string(line) != spec.Command+"\x00" {
		t.Errorf("its command line is %q, %v", line, err)
	}
}

func TestAffinityIsSetBeforeExec(t *testing.T) {
	var mask unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mask); err != nil {
		t.Fatal(err)
	}
	b := newBox(t)
	for cpu := range 1024 {
		if !mask.IsSet(cpu) {
			continue
		}
		spec := b.spec("executor")
		spec.CPUs = []int{cpu}
		p := b.start(spec, recorders)
		stats, err := p.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// Every thread has the mask, also those that Go started before main.
		if want := strconv.Itoa(cpu); p.CPUsAllowed() != want || stats.CPUsAllowed != want {
			t.Errorf("pinned to %s: %q at the start, %q now", want, p.CPUsAllowed(), stats.CPUsAllowed)
		}
	}
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	free := b.start(b.spec("executor"), recorders)
	if !bytes.Contains(own, []byte("Cpus_allowed_list:\t"+free.CPUsAllowed()+"\n")) {
		t.Errorf("a worker that is not pinned has %s", free.CPUsAllowed())
	}
	spec := b.spec("executor")
	spec.CPUs = []int{1023}
	if !mask.IsSet(1023) {
		if err := b.fails(t.Context(), spec); !strings.Contains(err.Error(), "sched_setaffinity") {
			t.Error(err)
		}
	}
}

func TestRestartsLeakNoDescriptors(t *testing.T) {
	b := newBox(t)
	cycle := func() int {
		up := executortest.NewRecorder()
		p := b.start(b.spec("executor"), executortest.Each(func(int) executortest.SlotHandler { return up }))
		p.Stop(t.Context())
		up.WaitLost(t)
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	// gRPC closes its socket a little later, so one or two more may be counted.
	const cycles, slack = 12, 4
	first, last := cycle(), 0
	for range cycles {
		last = cycle()
	}
	if last > first+slack {
		t.Fatalf("%d descriptors after the first worker, %d after %d more", first, last, cycles)
	}
}

func TestFindLooksBesideTheDaemonFirst(t *testing.T) {
	root := t.TempDir()
	bin, libexec, path := filepath.Join(root, "bin"), filepath.Join(root, "libexec/cpulb"), filepath.Join(root, "path")
	t.Setenv("PATH", path)
	if _, err := supervisor.Find("x", bin); !errors.Is(err, supervisor.ErrNotFound) || !strings.Contains(err.Error(), bin) ||
		!strings.Contains(err.Error(), libexec) || !strings.Contains(err.Error(), "PATH") {
		t.Errorf("nowhere: %v", err)
	}
	for _, dir := range []string{path, libexec, bin} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		want := filepath.Join(dir, "x")
		if err := os.WriteFile(want, nil, 0o700); err != nil {
			t.Fatal(err)
		}
		if got, err := supervisor.Find("x", bin); err != nil || got != want {
			t.Errorf("found %q, %v, not %q", got, err, want)
		}
	}
	if err := os.Chmod(filepath.Join(bin, "x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := supervisor.Find("x", bin); !errors.Is(err, supervisor.ErrNotFound) || !strings.Contains(err.Error(), "not an executable") {
		t.Errorf("one that is not executable: %v", err)
	}
}
